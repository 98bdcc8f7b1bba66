//! From a plan to running servers: the only place that sees both the plan and the sockets.

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::{Plan, plan};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::limits::StoreLimits;
use crate::net::Inherited;
use crate::net::ws::Origins;
use crate::server::{Loops, Running, Server};
use crate::services::{self, Needs};
use crate::state::{self, Location, Store, backup};

/// Everything that a plan declares, running.
#[derive(Debug)]
pub struct App {
    servers: Vec<Running>,
    store: Option<Arc<dyn Store>>,
    /// Dropped last: the servers' conversations live on them.
    _loops: Arc<Loops>,
}

impl App {
    /// Starts every server of the plan, or none.
    ///
    /// # Errors
    /// The first server that cannot start: an endpoint that cannot be listened on, a certificate, a program or a folder
    /// that is not there. A store that cannot be opened.
    pub fn start(plan: &Plan, mut inherited: Inherited) -> Result<App> {
        let loops = Arc::new(Loops::start()?);
        let needs = remember(plan, &loops)?;
        let mut servers = Vec::with_capacity(plan.servers.len());
        for server in &plan.servers {
            servers.push(build(server, &needs)?.start_on(&loops, &mut inherited)?);
        }
        for socket in inherited.left() {
            tracing::warn!(
                socket,
                "an inherited socket is none that the configuration listens on"
            );
        }
        Ok(App {
            servers,
            store: needs.store,
            _loops: loops,
        })
    }

    /// Where the servers listen, with real ports, and the service behind each.
    pub fn listeners(&self) -> impl Iterator<Item = (&Endpoint, &str)> {
        self.servers.iter().flat_map(|server| {
            server
                .endpoints()
                .iter()
                .map(|endpoint| (endpoint, server.service_name()))
        })
    }

    /// Stops accepting everywhere, lets conversations finish until each server's drain deadline, and cuts those that
    /// are left: their number is returned.
    ///
    /// May be called again while it runs, or after it was cancelled.
    pub async fn drain(&self) -> usize {
        // All at once: each has a deadline of its own.
        let cut = futures_util::future::join_all(self.servers.iter().map(Running::drain)).await;
        self.close().await;
        cut.iter().sum()
    }

    /// Ends every conversation at once.
    pub async fn cut(&self) {
        futures_util::future::join_all(self.servers.iter().map(Running::cut)).await;
        self.close().await;
    }

    /// Ends the store in good order, once nobody asks it any more.
    async fn close(&self) {
        if let Some(store) = &self.store
            && let Err(e) = store.close().await
        {
            tracing::error!(hint = e.next_step(), "{e}");
        }
    }
}

/// Opens the store, if anything needs one, and has it copied as the plan says.
fn remember(plan: &Plan, loops: &Loops) -> Result<Needs> {
    if !plan.remembers() {
        return Ok(Needs::default());
    }
    let location = match &plan.state {
        Some(state) => &state.store,
        None => {
            tracing::warn!(
                hint = "name a store: `[state] store = \"sqlite:bandy.db\"`, or --store",
                "accounts and records are kept in memory, and gone when this ends"
            );
            &Location::Memory
        }
    };
    let store = state::open_with(location, StoreLimits::default())?;
    if let Some(schedule) = plan.state.as_ref().and_then(|s| s.backup.clone()) {
        let store = store.clone();
        loops.spawn(async { match backup::run(store, schedule).await {} });
    }
    Ok(Needs {
        accounts: Some(Accounts::open(store.clone(), plan.accounts.clone())?),
        store: Some(store),
        ..Needs::default()
    })
}

fn build(planned: &plan::Server, needs: &Needs) -> Result<Server> {
    let needs = Needs {
        limits: planned.limits.clone(),
        ..needs.clone()
    };
    let service = services::build(&planned.answers, &needs)?;
    let server = Server::new(service)
        .named(&planned.name, planned.answers.name())
        .model(planned.model)
        .limits(planned.limits.clone())
        .tls(planned.tls.clone())
        .subprotocols(planned.answers.subprotocols())
        .origins(Origins {
            allowed: planned.origins.clone(),
        });
    Ok(planned
        .listen
        .iter()
        .cloned()
        .fold(server, Server::listen_at))
}

/// Lets this process open as many files as the system allows it to: each connection is one.
///
/// Gives the new limit, or `None` where the system does not say.
pub fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

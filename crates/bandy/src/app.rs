//! From a plan to running servers, and from there to another plan: the only place that sees both plans and sockets.

mod overseer;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::accounts::Accounts;
use crate::config::{Plan, plan};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result, Side};
use crate::limits::StoreLimits;
use crate::net::ws::Origins;
use crate::net::{Inherited, Spare};
use crate::pool::{self, Pools};
use crate::server::{Change, Loops, Running, Server};
use crate::services::admin::{Card, View, Wish};
use crate::services::balance::Balance;
use crate::services::{self, Built, Needs};
use crate::state::{self, Location, backup};
use overseer::Overseer;

/// Everything that a plan declares, running.
#[derive(Debug)]
pub struct App {
    plan: Plan,
    /// One for each server of the plan, in its order.
    servers: Vec<Served>,
    /// Servers that a plan before this one had, while their conversations finish.
    leaving: Vec<Arc<Running>>,
    needs: Needs,
    overseer: Overseer,
    backup: Option<AbortHandle>,
    /// Dropped last: the servers' conversations live on them.
    loops: Arc<Loops>,
}

/// A server, and what answers there.
#[derive(Debug)]
struct Served {
    running: Running,
    built: Built,
}

/// What another plan made of the servers and pools: their names. A pool's is `pool NAME`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that there were not.
    pub added: Vec<String>,
    /// Those that are not as they were.
    pub changed: Vec<String>,
    /// Those that there are no more.
    pub removed: Vec<String>,
    /// Those that nothing was done to.
    pub kept: Vec<String>,
}

impl Changes {
    fn extend(&mut self, more: Changes) {
        self.added.extend(more.added);
        self.changed.extend(more.changed);
        self.removed.extend(more.removed);
        self.kept.extend(more.kept);
    }
}

impl App {
    /// Starts every server of the plan, or none.
    ///
    /// # Errors
    /// The first server that cannot start: an endpoint that cannot be listened on, a certificate, a program or a folder
    /// that is not there. A store that cannot be opened.
    pub fn start(plan: &Plan, mut inherited: Inherited) -> Result<App> {
        let loops = Arc::new(Loops::start()?);
        let needs = Needs {
            pools: Pools::new(&plan.pools)?,
            ..remember(plan, &Needs::default())?
        };
        for pool in needs.pools.all() {
            loops.spawn(pool.keep());
        }
        let mut servers = Vec::with_capacity(plan.servers.len());
        for server in &plan.servers {
            servers.push(start(server, &needs, &loops, &mut inherited)?);
        }
        let overseer = Overseer::start(plan, &loops, &mut inherited)?;
        for socket in inherited.left() {
            tracing::warn!(
                socket,
                "an inherited socket is none that the configuration listens on"
            );
        }
        let app = App {
            backup: copy(plan, &needs, &loops),
            plan: plan.clone(),
            servers,
            leaving: Vec::new(),
            needs,
            overseer,
            loops,
        };
        app.show();
        Ok(app)
    }

    /// Becomes what another plan declares. What is the same in both is not touched. A server that is another one keeps
    /// its sockets, and what it has begun goes on; one that there is no more stops accepting and lets its conversations
    /// finish, until its drain deadline.
    ///
    /// # Errors
    /// As [`App::start`], and what cannot be changed while it runs: the store, and a server's model. Then nothing has
    /// changed.
    pub fn reload(&mut self, plan: &Plan) -> Result<Changes> {
        self.leaving.retain(|running| !running.is_over());
        let mut needs = match self.needs_of(plan)? {
            Some(needs) => needs,
            None => self.needs.clone(),
        };
        let (pools, updates) = self.needs.pools.next(&plan.pools)?;
        needs.pools = pools;
        let is_other_accounts = plan.accounts != self.plan.accounts;
        let before = |name: &str| self.plan.servers.iter().position(|s| s.name == name);

        // First everything that can fail, beside what runs.
        let mut next: Vec<Next> = Vec::with_capacity(plan.servers.len());
        for server in &plan.servers {
            next.push(match before(&server.name) {
                None => Next::New,
                Some(at) if self.plan.servers.get(at) == Some(server) && !is_other_accounts => {
                    Next::Same(at)
                }
                Some(at) => {
                    let built = build(server, &needs)?;
                    Next::Other(at, made(server, &built), built)
                }
            });
        }
        let is_kept = |at: usize| next.iter().any(|next| next.is_of(at));
        let mut inherited = self.leaving_sockets(plan, &next, is_kept)?;
        let mut steps = Vec::with_capacity(next.len());
        for (next, server) in next.into_iter().zip(&plan.servers) {
            steps.push(match next {
                Next::New => Step::Start(start(server, &needs, &self.loops, &mut inherited)?),
                Next::Same(at) => Step::Keep(at),
                Next::Other(at, server, built) => {
                    // Its number is from the plan that these are of.
                    let running = &self.servers[at].running;
                    let change = running.prepare(server, &mut inherited)?;
                    Step::Change(at, change, built)
                }
            });
        }
        let overseer = self
            .overseer
            .prepare(&self.plan, plan, &self.loops, &mut inherited)?;
        let told = |update: &pool::Update| format!("pool {}", update.name());
        let told: Vec<String> = updates.iter().map(told).collect();
        updates.into_iter().for_each(pool::Update::apply);
        let is_new = |pool: &&Arc<pool::Pool>| self.needs.pools.get(pool.name()).is_none();
        for pool in needs.pools.all().filter(is_new) {
            self.loops.spawn(pool.keep());
        }
        let pools = self.pool_changes(plan, told);
        let mut changes = self.commit(plan, needs, steps, &mut inherited);
        changes.extend(pools);
        if let Some(running) = self.overseer.become_next(overseer, &mut inherited) {
            self.leave(running);
        }
        self.show();
        Ok(changes)
    }

    /// What becomes of the pools, of which these are told anew.
    fn pool_changes(&self, plan: &Plan, changed: Vec<String>) -> Changes {
        let names = |plan: &Plan| -> Vec<String> {
            let names = plan.pools.iter().map(|pool| format!("pool {}", pool.name));
            names.collect()
        };
        let (before, now) = (names(&self.plan), names(plan));
        let (kept, added) = now
            .iter()
            .cloned()
            .partition::<Vec<_>, _>(|n| before.contains(n));
        Changes {
            added,
            kept: kept.into_iter().filter(|n| !changed.contains(n)).collect(),
            removed: before.into_iter().filter(|n| !now.contains(n)).collect(),
            changed,
        }
    }

    /// Does what was prepared.
    fn commit(
        &mut self,
        plan: &Plan,
        needs: Needs,
        steps: Vec<Step>,
        inherited: &mut Inherited,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut before: Vec<Option<Served>> = self.servers.drain(..).map(Some).collect();
        let mut take = |at: usize| before.get_mut(at).and_then(Option::take);
        for (step, server) in steps.into_iter().zip(&plan.servers) {
            let name = server.name.clone();
            let (served, noted) = match step {
                Step::Start(served) => (Some(served), &mut changes.added),
                Step::Keep(at) => (take(at), &mut changes.kept),
                Step::Change(at, change, built) => {
                    let served = take(at).map(|mut served| {
                        if let Err(e) = served.running.become_changed(change, inherited) {
                            tracing::error!(server = name, error = %e, "not all of it is listened on");
                        }
                        served.built.succeed(&built);
                        served.built = built;
                        served
                    });
                    (served, &mut changes.changed)
                }
            };
            noted.push(name);
            self.servers.extend(served);
        }
        for served in before.into_iter().flatten() {
            changes.removed.push(served.running.name());
            self.leave(served.running);
        }
        if plan.state != self.plan.state || self.needs.store.is_none() {
            if let Some(before) = self.backup.take() {
                before.abort();
            }
            self.backup = copy(plan, &needs, &self.loops);
        }
        self.needs = needs;
        self.plan = plan.clone();
        changes
    }

    /// Lets a server's conversations finish, and nobody else come.
    fn leave(&mut self, running: Running) {
        let running = Arc::new(running);
        let ending = running.clone();
        self.loops.spawn(async move {
            ending.drain().await;
        });
        self.leaving.push(running);
    }

    /// Has the admin endpoint show what runs now.
    fn show(&self) {
        let servers = self.servers.iter().map(|served| Card {
            name: served.running.name(),
            service: served.running.service_name(),
            model: served.running.model().as_str(),
            listen: served.running.endpoints().to_vec(),
            counted: served.running.ending().clone(),
        });
        self.overseer.board.show(View {
            servers: servers.collect(),
            names: self
                .plan
                .pools
                .iter()
                .map(|pool| pool.name.clone())
                .collect(),
            pools: self.needs.pools.clone(),
            balances: self.balances(),
        });
    }

    fn balances(&self) -> Vec<(String, Balance)> {
        let of = |served: &Served| {
            let name = served.running.name();
            let balances = served.built.balances().iter().cloned();
            balances
                .map(move |balance| (name.clone(), balance))
                .collect::<Vec<_>>()
        };
        self.servers.iter().flat_map(of).collect()
    }

    /// Where those who ask the admin endpoint for it want the configuration to be read again. Until this is taken, they
    /// are told that nobody does that.
    pub fn wishes(&self) -> mpsc::Receiver<Wish> {
        self.overseer.board.wishes()
    }

    /// What services need under another plan; `None` if it is the same as now.
    fn needs_of(&self, plan: &Plan) -> Result<Option<Needs>> {
        let store = |plan: &Plan| plan.state.as_ref().map(|state| state.store.clone());
        if self.needs.store.is_some() && store(plan) != store(&self.plan) {
            let error = Error::new(Kind::Usage, Side::Local, "changing the store");
            return Err(error
                .because("it cannot be changed while services use it")
                .hint("that takes a new process: `bandy reload --upgrade` starts one"));
        }
        let is_missing = plan.remembers() && self.needs.store.is_none();
        match is_missing || plan.accounts != self.plan.accounts {
            true => remember(plan, &self.needs).map(Some),
            false => Ok(None),
        }
    }

    /// The sockets that somebody leaves: others may listen at the same address, and nobody who connects is refused
    /// meanwhile.
    fn leaving_sockets(
        &self,
        plan: &Plan,
        next: &[Next],
        is_kept: impl Fn(usize) -> bool,
    ) -> Result<Inherited> {
        let mut spares: Vec<Arc<Spare>> = self.overseer.leaving(plan);
        for next in next {
            if let Next::Other(at, server, _) = next
                && let Some(served) = self.servers.get(*at)
            {
                spares.extend(served.running.leaving(server));
            }
        }
        for (at, served) in self.servers.iter().enumerate() {
            if !is_kept(at) {
                spares.extend(served.running.spares());
            }
        }
        Inherited::from_spares(spares)
    }

    /// What is running.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Handles on all its sockets, through which another process can go on listening.
    pub fn sockets(&self) -> impl Iterator<Item = Arc<Spare>> {
        let overseer = self.overseer.running();
        let servers = self.servers.iter().map(|served| &served.running);
        servers.chain(overseer).flat_map(Running::spares)
    }

    /// Where the servers listen, with real ports, and the service behind each.
    pub fn listeners(&self) -> impl Iterator<Item = (&Endpoint, String)> {
        let servers = self.servers.iter().flat_map(|served| {
            let name = served.running.service_name();
            let endpoints = served.running.endpoints().iter();
            endpoints.map(move |endpoint| (endpoint, name.clone()))
        });
        let admin = self.overseer.endpoints().iter();
        servers.chain(admin.map(|endpoint| (endpoint, services::admin::Options::NAME.to_owned())))
    }

    /// Stops accepting everywhere, lets conversations finish until each server's drain deadline, and cuts those that
    /// are left: their number is returned.
    ///
    /// May be called again while it runs, or after it was cancelled.
    pub async fn drain(&self) -> usize {
        // All at once: each has a deadline of its own.
        let cut = futures_util::future::join_all(self.all().map(Running::drain)).await;
        self.close().await;
        cut.iter().sum()
    }

    /// Ends every conversation at once.
    pub async fn cut(&self) {
        futures_util::future::join_all(self.all().map(Running::cut)).await;
        self.close().await;
    }

    fn all(&self) -> impl Iterator<Item = &Running> {
        let leaving = self.leaving.iter().map(|running| &**running);
        let servers = self.servers.iter().map(|s| &s.running);
        servers.chain(leaving).chain(self.overseer.running())
    }

    /// Ends the store in good order, once nobody asks it any more.
    async fn close(&self) {
        if let Some(store) = &self.needs.store
            && let Err(e) = store.close().await
        {
            tracing::error!(hint = e.next_step(), "{e}");
        }
    }
}

/// What becomes of the servers there are, by their number.
#[expect(clippy::large_enum_variant, reason = "there are a few, for a moment")]
enum Next {
    New,
    Same(usize),
    Other(usize, Server, Built),
}

impl Next {
    fn is_of(&self, number: usize) -> bool {
        matches!(self, Next::Same(at) | Next::Other(at, ..) if *at == number)
    }
}

/// As [`Next`], with everything done that can fail.
#[expect(clippy::large_enum_variant, reason = "there are a few, for a moment")]
enum Step {
    Start(Served),
    Keep(usize),
    Change(usize, Change, Built),
}

/// Opens the store, if anything needs one and it is not open.
fn remember(plan: &Plan, before: &Needs) -> Result<Needs> {
    if !plan.remembers() {
        return Ok(before.clone());
    }
    let store = match (&before.store, &plan.state) {
        (Some(store), _) => store.clone(),
        (None, Some(state)) => state::open_with(&state.store, StoreLimits::default())?,
        (None, None) => {
            tracing::warn!(
                hint = "name a store: `[state] store = \"sqlite:bandy.db\"`, or --store",
                "accounts and records are kept in memory, and gone when this ends"
            );
            state::open_with(&Location::Memory, StoreLimits::default())?
        }
    };
    Ok(Needs {
        accounts: Some(Accounts::open(store.clone(), plan.accounts.clone())?),
        store: Some(store),
        ..before.clone()
    })
}

/// Has the store copied as the plan says.
fn copy(plan: &Plan, needs: &Needs, loops: &Loops) -> Option<AbortHandle> {
    let store = needs.store.clone()?;
    let schedule = plan.state.as_ref()?.backup.clone()?;
    loops.spawn(async { match backup::run(store, schedule).await {} })
}

fn build(planned: &plan::Server, needs: &Needs) -> Result<Built> {
    let needs = Needs {
        limits: planned.limits.clone(),
        ..needs.clone()
    };
    services::build(&planned.answers, &needs)
}

fn made(planned: &plan::Server, built: &Built) -> Server {
    let server = Server::new(built.service())
        .named(&planned.name, planned.answers.name())
        .model(planned.model)
        .limits(planned.limits.clone())
        .tls(planned.tls.clone())
        .subprotocols(planned.answers.subprotocols())
        .origins(Origins {
            allowed: planned.origins.clone(),
        })
        .proxied(planned.proxied.clone());
    planned
        .listen
        .iter()
        .cloned()
        .fold(server, Server::listen_at)
}

fn start(
    planned: &plan::Server,
    needs: &Needs,
    loops: &Arc<Loops>,
    inherited: &mut Inherited,
) -> Result<Served> {
    let built = build(planned, needs)?;
    let running = made(planned, &built).start_on(loops, inherited)?;
    Ok(Served { running, built })
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

//! Servers: endpoints to listen on, a service behind them, and how its connections are run.
//!
//! [`Server`] is what is asked for, [`Running`] what came of it. `serve.rs` has the accept loop, `converse.rs` what
//! happens to each connection, `model.rs` where it runs, `change.rs` how it becomes another while it runs, `drain.rs` how
//! it all ends.

mod change;
mod converse;
mod drain;
mod listening;
mod live;
pub mod loops;
pub mod model;
mod serve;
pub mod signals;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use crate::endpoint::{Endpoint, Host};
use crate::error::{Error, Kind, Result, Side};
use crate::limits::Limits;
use crate::net::ca::names_for;
use crate::net::conn::Conn;
use crate::net::proxied::Proxied;
use crate::net::tls::{Acceptor, ServerTls};
use crate::net::ws::{Origins, Subprotocols};
use crate::net::{Doors, Ending, Inherited, bind};
use crate::service::{BoxService, Service};
use crate::tally::Counted;
pub use change::Change;
use drain::Drain;
use listening::Listening;
use live::{Live, Shared};
pub use loops::Loops;
pub use model::Model;

/// A server that is not yet started.
///
/// ```no_run
/// use bandy::{Server, services::echo::Echo};
///
/// fn main() -> bandy::Result<()> {
///     Server::new(Echo).listen("tcp://:7000")?.listen("tls://:7443")?.run()
/// }
/// ```
#[derive(Debug)]
pub struct Server {
    name: String,
    service_name: String,
    service: BoxService<Conn>,
    endpoints: Vec<Endpoint>,
    model: Model,
    limits: Limits,
    tls: ServerTls,
    origins: Origins,
    proxied: Proxied,
    subprotocols: Subprotocols,
}

impl Server {
    /// A server of this service that listens nowhere yet.
    pub fn new(service: impl Service<Conn, Out = ()>) -> Server {
        Server {
            name: "server".to_owned(),
            service_name: "service".to_owned(),
            service: BoxService::new(service),
            endpoints: Vec::new(),
            model: Model::default(),
            limits: Limits::default(),
            tls: ServerTls::default(),
            origins: Origins::default(),
            proxied: Proxied::default(),
            subprotocols: &[],
        }
    }

    /// Adds an endpoint, as written: `tcp://:7000`.
    ///
    /// # Errors
    /// That it is not an endpoint, and what to write.
    pub fn listen(self, endpoint: &str) -> Result<Server> {
        let parsed = endpoint.parse::<Endpoint>().map_err(|e| {
            let hint = e.hint();
            Error::new(Kind::Usage, Side::Local, "choosing where to listen")
                .because(e)
                .hint(hint)
        })?;
        Ok(self.listen_at(parsed))
    }

    /// Adds an endpoint.
    pub fn listen_at(mut self, endpoint: Endpoint) -> Server {
        self.endpoints.push(endpoint);
        self
    }

    /// What the server and its service are called in the log.
    pub fn named(mut self, server: impl Into<String>, service: impl Into<String>) -> Server {
        self.name = server.into();
        self.service_name = service.into();
        self
    }

    /// How connections are run; [`Model::Async`] unless told otherwise.
    pub fn model(mut self, model: Model) -> Server {
        self.model = model;
        self
    }

    /// The server's bounds.
    pub fn limits(mut self, limits: Limits) -> Server {
        self.limits = limits;
        self
    }

    /// Its certificate; a leaf of the local CA unless told otherwise.
    pub fn tls(mut self, tls: ServerTls) -> Server {
        self.tls = tls;
        self
    }

    /// Which browser pages may open a WebSocket.
    pub fn origins(mut self, origins: Origins) -> Server {
        self.origins = origins;
        self
    }

    /// From whom connections are taken that begin with whom they bring (the PROXY protocol).
    pub fn proxied(mut self, proxied: Proxied) -> Server {
        self.proxied = proxied;
        self
    }

    /// What may be spoken over its WebSockets, by the names that clients ask for ([`Conn::subprotocol`]).
    pub fn subprotocols(mut self, subprotocols: Subprotocols) -> Server {
        self.subprotocols = subprotocols;
        self
    }

    /// Starts the server on event loops of its own, one per core.
    ///
    /// # Errors
    /// What [`Server::start_on`] reports.
    pub fn start(self) -> Result<Running> {
        let loops = Arc::new(Loops::start()?);
        self.start_on(&loops, &mut Inherited::none())
    }

    /// Starts the server, and ends it in an orderly way on SIGTERM or SIGINT: [`Server::start`], then
    /// [`Running::wait`].
    ///
    /// # Errors
    /// What [`Server::start_on`] reports.
    ///
    /// # Panics
    /// As [`Running::wait`].
    pub fn run(self) -> Result<()> {
        self.start()?.wait()
    }

    /// Starts the server on event loops that it may share with others. All its sockets are bound, or none.
    ///
    /// # Errors
    /// Which endpoint cannot be listened on, and why; what is wrong with its certificate.
    pub fn start_on(self, loops: &Arc<Loops>, inherited: &mut Inherited) -> Result<Running> {
        if self.endpoints.is_empty() {
            return Err(self.listens_nowhere());
        }
        // Before anything listens: whoever connects may then rely on the local CA being there.
        let tls = Certificate::of(&self, None)?;
        let mut bound = Vec::new();
        for endpoint in &self.endpoints {
            bound.push((endpoint.clone(), bind(endpoint, inherited)?));
        }
        let drain = Drain::new();
        let doors = self.doors(&tls, &drain);
        let places = Arc::new(Semaphore::new(Shared::places(&self.limits)));
        let place = match self.model {
            Model::Sequential => On::Own(Loops::start_some(1)?),
            Model::Async | Model::Threads => On::Shared,
        };
        let mut running = Running {
            model: self.model,
            live: Arc::new(Live::new(self.shared(places, drain))),
            listening: Vec::new(),
            endpoints: Vec::new(),
            tls,
            turn: Arc::new(Semaphore::new(1)),
            on: place,
            loops: loops.clone(),
        };
        // What was started before something fails stops again as it is dropped.
        for (asked, sockets) in bound {
            running.open(&asked, sockets, &doors, inherited)?;
        }
        running.note_endpoints();
        Ok(running)
    }

    fn listens_nowhere(&self) -> Error {
        Error::new(Kind::Usage, Side::Local, format!("starting {}", self.name))
            .because("it listens nowhere")
            .hint("give it an endpoint, such as tcp://127.0.0.1:7000")
    }

    /// What stands behind its sockets.
    fn doors(&self, tls: &Certificate, drain: &Drain) -> Doors {
        Doors {
            tls: tls.acceptor.clone(),
            origins: self.origins.clone(),
            proxied: self.proxied.clone(),
            subprotocols: self.subprotocols,
            limits: self.limits.clone(),
            one_at_a_time: self.model == Model::Sequential,
            ending: drain.ending().clone(),
        }
    }

    fn shared(self, places: Arc<Semaphore>, drain: Arc<Drain>) -> Shared {
        Shared {
            name: self.name,
            service_name: self.service_name,
            service: self.service,
            limits: self.limits,
            places,
            drain,
            overload: serve::OverloadLog::default(),
        }
    }
}

/// A server's certificate, and what it was made for.
#[derive(Debug, Clone)]
struct Certificate {
    acceptor: Option<Acceptor>,
    asked: ServerTls,
    names: Vec<Host>,
}

impl Certificate {
    /// The certificate that a server asks for: the one before, where it is the same. That goes on with the sessions that
    /// clients take up again.
    fn of(server: &Server, before: Option<&Certificate>) -> Result<Certificate> {
        let names = names_for(&server.endpoints);
        let is_secure = server.endpoints.iter().any(|e| e.scheme().is_secure());
        let same = |c: &&Certificate| {
            c.asked == server.tls && c.names == names && c.acceptor.is_some() == is_secure
        };
        if let Some(same) = before.filter(same) {
            return Ok(same.clone());
        }
        Ok(Certificate {
            acceptor: match is_secure {
                true => Some(Acceptor::new(&server.tls, &names)?),
                false => None,
            },
            asked: server.tls.clone(),
            names,
        })
    }
}

/// A server that answers.
///
/// Dropping it stops accepting, and ends its conversations with the event loops that only it has. [`Running::drain`]
/// lets them finish first.
#[derive(Debug)]
pub struct Running {
    live: Arc<Live>,
    model: Model,
    listening: Vec<Listening>,
    endpoints: Vec<Endpoint>,
    tls: Certificate,
    /// One at a time, for a sequential server.
    turn: Arc<Semaphore>,
    on: On,
    /// Kept alive for the conversations on them.
    loops: Arc<Loops>,
}

/// The event loops of a server.
#[derive(Debug)]
enum On {
    /// Those of everybody.
    Shared,
    /// One that only a sequential server has: its services may block it.
    Own(Loops),
}

impl Running {
    /// Where it listens, with real ports, in the order in which the endpoints were given.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The first of them.
    pub fn endpoint(&self) -> &Endpoint {
        // A server without endpoints does not start.
        &self.endpoints[0]
    }

    /// How its connections are run.
    pub fn model(&self) -> Model {
        self.model
    }

    /// What the service is called.
    pub fn service_name(&self) -> String {
        self.live.current().service_name.clone()
    }

    /// What the server is called.
    pub fn name(&self) -> String {
        self.live.current().name.clone()
    }

    /// Stops accepting, lets conversations finish until the drain deadline, and cuts those that are left: their number
    /// is returned.
    ///
    /// May be called again while it runs, or after it was cancelled.
    pub async fn drain(&self) -> usize {
        let shared = self.live.current();
        shared.drain.run(shared.limits.drain).await
    }

    /// Keeps this thread until SIGTERM or SIGINT, and then lets conversations finish as [`Running::drain`] does.
    ///
    /// # Errors
    /// That the system does not let us listen for signals.
    ///
    /// # Panics
    /// Inside a tokio runtime, whose thread must not be kept: await [`signals::Shutdown`] and [`Running::drain`] there.
    pub fn wait(self) -> Result<()> {
        let waiting = Builder::new_current_thread().enable_all().build();
        let waiting = waiting
            .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
        waiting.block_on(async {
            signals::Shutdown::new()?.requested().await;
            self.drain().await;
            Ok(())
        })
    }

    /// What was counted of it, over all that it was changed to.
    pub fn counted(&self) -> Counted {
        self.live.drain.ending().counted()
    }

    /// Where that is counted, for whoever looks while it runs.
    pub fn ending(&self) -> &Ending {
        self.live.drain.ending()
    }

    /// Whether nothing of it is left: it has stopped, and its conversations have ended.
    pub fn is_over(&self) -> bool {
        self.live.drain.is_over()
    }

    /// Ends every conversation at once.
    pub async fn cut(&self) {
        self.live.drain.run(Duration::ZERO).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.live.drain.stop();
    }
}

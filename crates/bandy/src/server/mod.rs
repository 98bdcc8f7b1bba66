//! Servers: endpoints to listen on, a service behind them, and how its connections are run.
//!
//! [`Server`] is what is asked for, [`Running`] what came of it. `serve.rs` has the accept loop, `converse.rs` what
//! happens to each connection, `model.rs` where it runs, `drain.rs` how it all ends.

mod converse;
mod drain;
pub mod loops;
pub mod model;
mod serve;
pub mod signals;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result, Side};
use crate::limits::Limits;
use crate::net::ca::names_for;
use crate::net::conn::Conn;
use crate::net::tls::{Acceptor, ServerTls};
use crate::net::ws::{Origins, Subprotocols};
use crate::net::{Bound, Doors, Inherited, bind};
use crate::service::{BoxService, Service};
use drain::Drain;
pub use loops::Loops;
pub use model::Model;
use model::Run;

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
            return Err(
                Error::new(Kind::Usage, Side::Local, format!("starting {}", self.name))
                    .because("it listens nowhere")
                    .hint("give it an endpoint, such as tcp://127.0.0.1:7000"),
            );
        }
        // Before anything listens: whoever connects may then rely on the local CA being there.
        let tls = match self.endpoints.iter().any(|e| e.scheme().is_secure()) {
            true => Some(Acceptor::new(&self.tls, &names_for(&self.endpoints))?),
            false => None,
        };
        let mut bound = Vec::new();
        for endpoint in &self.endpoints {
            bound.extend(bind(endpoint, inherited)?);
        }
        let endpoints: Vec<Endpoint> = bound.iter().map(|b| b.endpoint().clone()).collect();
        let drain = Drain::new();
        let doors = Doors {
            tls,
            origins: self.origins,
            subprotocols: self.subprotocols,
            limits: self.limits.clone(),
            one_at_a_time: self.model == Model::Sequential,
            ending: drain.ending().clone(),
        };
        let shared = Arc::new(Shared {
            name: self.name,
            service_name: self.service_name,
            service: self.service,
            places: Arc::new(Semaphore::new(
                self.limits.connections.min(Semaphore::MAX_PERMITS),
            )),
            limits: self.limits,
            drain,
            overload: serve::OverloadLog::default(),
        });
        let own = start_listening(&shared, self.model, bound, &doors, loops)?;
        Ok(Running {
            shared,
            endpoints,
            _own: own,
            _loops: loops.clone(),
        })
    }
}

/// Puts every socket on an event loop, with an accept loop each. Gives the loop that only this server has, if any.
fn start_listening(
    shared: &Arc<Shared>,
    model: Model,
    bound: Vec<Bound>,
    doors: &Doors,
    loops: &Arc<Loops>,
) -> Result<Option<Loops>> {
    // What was started before something fails is stopped again.
    let undo = StopUnlessKept(Some(shared.clone()));
    let own = match model {
        Model::Sequential => Some(Loops::start_some(1)?),
        Model::Async | Model::Threads => None,
    };
    let all = own.as_ref().unwrap_or(loops).all();
    let turn = Arc::new(Semaphore::new(1));
    let start = |socket: Bound, home: usize| -> Result<()> {
        let run = match model {
            Model::Async => Run::OnLoops {
                loops: all.clone(),
                home,
            },
            Model::Threads => Run::OnThreads,
            Model::Sequential => Run::InTurn(turn.clone()),
        };
        let Some(event_loop) = all.get(home) else {
            return Ok(());
        };
        let _on_loop = event_loop.handle.enter();
        let listener = socket.listen(doors)?;
        event_loop.handle.spawn(serve::serve(
            shared.clone(),
            listener,
            run,
            shared.drain.part(),
        ));
        Ok(())
    };
    for (i, socket) in bound.into_iter().enumerate() {
        if model == Model::Async {
            for home in 1..all.len() {
                if let Some(another) = socket.beside()? {
                    start(another, home)?;
                }
            }
            start(socket, 0)?;
        } else {
            start(socket, i % all.len())?;
        }
    }
    undo.keep();
    Ok(own)
}

struct StopUnlessKept(Option<Arc<Shared>>);

impl StopUnlessKept {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for StopUnlessKept {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.drain.stop();
        }
    }
}

/// What all connections of a server share.
#[derive(Debug)]
struct Shared {
    name: String,
    service_name: String,
    service: BoxService<Conn>,
    limits: Limits,
    places: Arc<Semaphore>,
    drain: Arc<Drain>,
    overload: serve::OverloadLog,
}

/// A server that answers.
///
/// Dropping it stops accepting, and ends its conversations with the event loops that only it has. [`Running::drain`]
/// lets them finish first.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint>,
    /// The loop of a sequential server.
    _own: Option<Loops>,
    /// Kept alive for the conversations on them.
    _loops: Arc<Loops>,
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

    /// What the service is called.
    pub fn service_name(&self) -> &str {
        &self.shared.service_name
    }

    /// What the server is called.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Stops accepting, lets conversations finish until the drain deadline, and cuts those that are left: their number
    /// is returned.
    ///
    /// May be called again while it runs, or after it was cancelled.
    pub async fn drain(&self) -> usize {
        self.shared.drain.run(self.shared.limits.drain).await
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

    /// Ends every conversation at once.
    pub async fn cut(&self) {
        self.shared.drain.run(Duration::ZERO).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.drain.stop();
    }
}

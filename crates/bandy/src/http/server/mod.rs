//! The lift: a service of requests as a service of connections.
//!
//! `h1` has HTTP/1.1, ours from the socket up; `h2` has HTTP/2 by hyper and h2. Which of them a connection speaks is
//! agreed on in the TLS handshake (ALPN, RFC 7301), and else told by its first bytes (prior knowledge, RFC 9113, section
//! 3.3).

mod calling;
mod date;
pub(crate) mod forward;
mod h1;
mod h2;
mod h2_body;
mod incoming;
mod pace;
mod reply;
mod serving;
mod times;
mod upload;
mod wire;

use std::sync::{Arc, OnceLock};

use forward::Forward;
pub(crate) use h2_body::H2Body;
pub use incoming::Incoming;
use serving::{Begin, serve};

use crate::error::Result;
use crate::http::{Request, Response};
use crate::limits::HttpLimits;
use crate::net::Conn;
use crate::service::{Answer, Service};

/// A service of requests as a service of connections, which any server runs.
///
/// Its deadlines are kept by the server that runs it ([`Conn::wake_at`]).
///
/// ```no_run
/// use bandy::http::{self, Http, Request, Response, StatusCode};
/// use bandy::{Result, Server, service_fn};
///
/// async fn hello(request: Request) -> Result<Response> {
///     Ok(http::text(StatusCode::OK, format!("Hello from {}\n", request.uri().path())))
/// }
///
/// fn main() -> Result<()> {
///     Server::new(Http::new(service_fn(hello))).listen("http://:8000")?.run()
/// }
/// ```
#[derive(Debug)]
pub struct Http<S>(Arc<Generation<S>>);

/// What answers requests until something else does.
#[derive(Debug)]
struct Generation<S> {
    service: Arc<S>,
    limits: HttpLimits,
    /// The service again, where it can pass requests on as they came.
    forward: Option<Arc<dyn Forward>>,
    /// What answers from now on. Connections go over to it from one request to the next.
    next: OnceLock<Arc<Generation<S>>>,
}

impl<S> Generation<S> {
    /// What answers now.
    fn latest(self: &Arc<Self>) -> &Arc<Generation<S>> {
        let mut latest = self;
        while let Some(next) = latest.next.get() {
            latest = next;
        }
        latest
    }

    fn is_latest(&self) -> bool {
        self.next.get().is_none()
    }

    /// Who may pass the next request on, if it is for this service.
    fn forward(&self) -> Option<&dyn Forward> {
        self.forward.as_deref().filter(|_| self.is_latest())
    }
}

impl<S> Clone for Http<S> {
    fn clone(&self) -> Self {
        Http(self.0.clone())
    }
}

impl<S: Service<Request, Out = Response>> Http<S> {
    /// Lifts a service.
    pub fn new(service: S) -> Http<S> {
        Http::of(Arc::new(service), HttpLimits::default(), None)
    }

    fn of(service: Arc<S>, limits: HttpLimits, forward: Option<Arc<dyn Forward>>) -> Http<S> {
        Http(Arc::new(Generation {
            service,
            limits,
            forward,
            next: OnceLock::new(),
        }))
    }

    /// The bounds of its requests and connections.
    pub fn limits(self, limits: HttpLimits) -> Http<S> {
        Http::of(self.0.service.clone(), limits, self.0.forward.clone())
    }

    /// Has requests that can be passed on as they came by this, which answers as the service does.
    pub(crate) fn forward(self, forward: Arc<dyn Forward>) -> Http<S> {
        Http::of(self.0.service.clone(), self.0.limits.clone(), Some(forward))
    }

    /// Has another service answer from now on, also on connections that stand: what has begun is finished as it began,
    /// the next request of each goes to the other service, under the other's bounds.
    pub fn succeed(&self, next: &Http<S>) {
        // Another succession may be quicker: then ours comes after it.
        while !Arc::ptr_eq(self.0.latest(), next.0.latest())
            && self.0.latest().next.set(next.0.clone()).is_err()
        {}
    }
}

impl<S: Service<Request, Out = Response>> Service<Conn> for Http<S> {
    type Out = ();

    fn call(&self, conn: Conn) -> impl Future<Output = Result<()>> + Send {
        serve(self.0.clone(), Begin::Conn(Box::new(conn)))
    }

    fn call_owned(self: Arc<Self>, conn: Conn) -> Answer<'static, ()> {
        Box::pin(serve(self.0.clone(), Begin::Conn(Box::new(conn))))
    }
}

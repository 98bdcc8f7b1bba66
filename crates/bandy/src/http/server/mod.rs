//! The lift: a service of requests as a service of connections.
//!
//! `h1` has HTTP/1.1, ours from the socket up; `h2` has HTTP/2 by hyper and h2. Which of them a connection speaks is
//! agreed on in the TLS handshake (ALPN, RFC 7301), and else told by its first bytes (prior knowledge, RFC 9113, section
//! 3.3).

mod calling;
mod date;
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

use std::sync::Arc;

pub(crate) use h2_body::H2Body;
pub use incoming::Incoming;
use serving::Serving;

use crate::error::Result;
use crate::http::{Request, Response};
use crate::limits::HttpLimits;
use crate::net::Conn;
use crate::service::Service;

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
pub struct Http<S> {
    service: Arc<S>,
    limits: HttpLimits,
}

impl<S: Service<Request, Out = Response>> Http<S> {
    /// Lifts a service.
    pub fn new(service: S) -> Http<S> {
        Http {
            service: Arc::new(service),
            limits: HttpLimits::default(),
        }
    }

    /// The bounds of its requests and connections.
    pub fn limits(mut self, limits: HttpLimits) -> Http<S> {
        self.limits = limits;
        self
    }
}

impl<S: Service<Request, Out = Response>> Service<Conn> for Http<S> {
    type Out = ();

    fn call(&self, conn: Conn) -> impl Future<Output = Result<()>> + Send {
        Serving::new(conn, self)
    }
}

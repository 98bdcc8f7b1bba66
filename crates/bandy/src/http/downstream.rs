//! Whom a request came from.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Request;
use crate::endpoint::Endpoint;
use crate::net::{Conn, Ending, Meter, Peer, Tick, tls};

/// The connection that a request came over, as far as a service may care.
///
/// It travels with the request's body, which costs less than an extension; [`Downstream::of`] finds it in either place.
#[derive(Debug, Clone)]
pub struct Downstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    meter: Arc<Meter>,
    tls: Option<tls::Info>,
    local: Option<SocketAddr>,
}

impl Downstream {
    /// The other end of this connection.
    pub fn new(conn: &Conn) -> Downstream {
        Downstream(Arc::new(Inner {
            meter: conn.meter().clone(),
            tls: conn.tls().cloned(),
            local: local(conn),
        }))
    }

    /// Whom this request came from; `None` for one that came over no connection.
    pub fn of(request: &Request) -> Option<&Downstream> {
        let body = request.body().downstream();
        body.or_else(|| request.extensions().get())
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        self.0.meter.peer()
    }

    /// Their IP address, if they have one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.peer() {
            Peer::Ip(address) => Some(address.ip()),
            _ => None,
        }
    }

    /// Where they went to: our end's address, if it has one.
    pub fn local(&self) -> Option<SocketAddr> {
        self.0.local
    }

    /// The endpoint that was listened on.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.meter.endpoint
    }

    /// What was agreed on in the TLS handshake, if there was one.
    pub fn tls(&self) -> Option<&tls::Info> {
        self.0.tls.as_ref()
    }

    /// Whether nobody on the way can read along.
    pub fn is_secure(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Whether the other end has closed its direction: it has said everything, or is gone. It is looked for while a
    /// service answers over HTTP/1.1; the task that polls the service is woken, and the service polled again.
    pub fn has_finished(&self) -> bool {
        self.0.meter.peer_closed()
    }

    /// Has the conversation's task polled by then. What else it waits for may have it polled earlier.
    pub(crate) fn wake_by(&self, when: Tick) {
        self.0.meter.wake_by(when);
    }

    /// Whether the server has begun to end: an answer without an end should come to one.
    pub fn ending(&self) -> &Ending {
        self.0.meter.ending()
    }
}

/// The system is asked only where the endpoint does not say it: a system call for each connection.
fn local(conn: &Conn) -> Option<SocketAddr> {
    let is_one = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0;
    match conn.was_told_of() {
        true => conn.local(),
        false => conn
            .endpoint()
            .socket_addr()
            .filter(is_one)
            .or_else(|| conn.local()),
    }
}

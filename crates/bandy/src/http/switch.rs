//! Leaving HTTP for another protocol on the same connection (RFC 9110, section 7.8).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Body, Response, StatusCode};
use crate::error::Result;
use crate::net::Conn;
use crate::service::Answer;

type Next = Box<dyn FnOnce(Conn) -> Answer<'static, ()> + Send>;

/// What goes on, on a connection, once its `101 Switching Protocols` is sent: an extension of that response.
///
/// It runs as part of the same conversation, under its server's deadlines and in its log line.
#[derive(Clone)]
pub struct Switch(Arc<Mutex<Option<Next>>>);

impl Switch {
    /// A response of 101 without fields, after which the connection is `next`'s.
    pub fn to<F>(next: impl FnOnce(Conn) -> F + Send + 'static) -> Response
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let next: Next = Box::new(|conn| Box::pin(next(conn)));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .extensions_mut()
            .insert(Switch(Arc::new(Mutex::new(Some(next)))));
        response
    }

    /// Takes it out of a response; once.
    pub(crate) fn take(response: &mut Response) -> Option<Next> {
        let switch = response.extensions_mut().remove::<Switch>()?;
        switch
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switch")
    }
}

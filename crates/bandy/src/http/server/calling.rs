//! What a service makes of a request, before it is sent: its panics and its odd answers are failures of one request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::times::Asked;
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Request, Response, StatusCode, Switch};
use crate::net::conn::Conn;
use crate::service::{Answer, Service};

/// What goes on after a 101.
pub(super) type After101 = Box<dyn FnOnce(Conn) -> Answer<'static, ()> + Send>;

/// A service's call, whose panic is an error: the client is told that something went wrong, and with HTTP/2 the
/// connection's other requests go on.
pub(super) struct Caught<'a> {
    call: Option<Answer<'a, Response>>,
    /// Of a request that asked for times.
    times: Option<Box<Asked>>,
}

impl<'a> Caught<'a> {
    /// Calls the service.
    pub(super) fn call<S>(service: &'a S, mut request: Request) -> Caught<'a>
    where
        S: Service<Request, Out = Response>,
    {
        let times = Asked::take(&mut request);
        let call = AssertUnwindSafe(|| service.call_boxed(request));
        Caught {
            call: catch_unwind(call).ok(),
            times,
        }
    }
}

impl<'a> Caught<'a> {
    /// A call that was made.
    pub(super) fn of(call: Answer<'a, Response>) -> Caught<'a> {
        Caught {
            call: Some(call),
            times: None,
        }
    }
}

impl Future for Caught<'_> {
    type Output = Result<Response>;

    /// It is not polled again after a panic.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response>> {
        let panicked = || Poll::Ready(Err(wrong("the service panicked")));
        let mut polled = match &mut self.call {
            None => panicked(),
            Some(call) => {
                let poll = AssertUnwindSafe(|| call.as_mut().poll(cx));
                catch_unwind(poll).unwrap_or_else(|_| panicked())
            }
        };
        if let (Poll::Ready(Ok(response)), Some(times)) = (&mut polled, &self.times) {
            times.tell(response);
        }
        polled
    }
}

/// A response that a client can take as the last of its request, or one that switches the protocol. After any other
/// 1xx a client waits for what does not come.
pub(super) fn final_or_switch(mut response: Response) -> Result<(Response, Option<After101>)> {
    let next = Switch::take(&mut response);
    match (response.status(), next) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(next)) => Ok((response, Some(next))),
        (status, _) if status.is_informational() => {
            Err(wrong(format!("the service answered {status} and no more")))
        }
        _ => Ok((response, None)),
    }
}

fn wrong(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Other, Side::Local, "answering a request").because(why)
}

//! What a service makes of a request, before it is sent: its panics and its odd answers are failures of one request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::error::{Error, Kind, Result, Side};
use crate::http::{Response, StatusCode, Switch};
use crate::net::conn::Conn;
use crate::service::Answer;

/// What goes on after a 101.
pub(super) type After101 = Box<dyn FnOnce(Conn) -> Answer<'static, ()> + Send>;

/// The same call, whose panic is an error: the client is told that something went wrong, and with HTTP/2 the
/// connection's other requests go on.
pub(super) async fn caught(call: impl Future<Output = Result<Response>>) -> Result<Response> {
    let mut call = pin!(call);
    // It is not polled again after a panic.
    std::future::poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)))
            .unwrap_or_else(|_| Poll::Ready(Err(wrong("the service panicked"))))
    })
    .await
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

//! Requests that are passed on as they came: between two connections over HTTP/1.1, heads are rewritten where they lie,
//! and no request or response is made of them.
//!
//! What is seldom, a service is called for as for any other request: when it says so before anything happened, or for
//! what is left once an answer is no longer one that came whole. Both ways go by the same rules.

use std::fmt;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::h1::{After, Line};
use super::reply::{self, Begun, Terms};
use super::times;
use crate::error::Result;
use crate::http::{Body, Downstream, Response};
use crate::limits::HttpLimits;
use crate::service::Answer;
use crate::wire::http1::{self, Length, RequestHead, ResponseHead};

/// A service that passes requests on as they came.
pub(crate) trait Forward: fmt::Debug + Send + Sync + 'static {
    /// Begins to pass a request on. `None`: nothing has happened, and the service is to be called with it.
    fn forward<'a>(
        &'a self,
        came: AsItCame<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Option<Forwarding<'a>>;
}

/// A request as it came, with all of its body.
pub(crate) struct AsItCame<'r, 'b> {
    pub(crate) head: &'r RequestHead<'b>,
    pub(crate) body: Body,
    pub(crate) downstream: &'r Downstream,
}

/// A request on its way. Dropping it ends that.
pub(crate) type Forwarding<'a> = Box<dyn OnItsWay<'a> + Send + 'a>;

/// See [`Forwarding`].
pub(crate) trait OnItsWay<'a> {
    /// Is given the request's head, for when it is needed again.
    fn keep(&mut self, head: Bytes);

    /// Waits for the answer. `take` is given one that came whole, once: its head and its body. `false`: [`OnItsWay::rest`]
    /// says how it goes on.
    fn poll(&mut self, take: &mut Take<'_>, cx: &mut Context<'_>) -> Poll<bool>;

    /// What is left to be done for the answer.
    fn rest(self: Box<Self>) -> Answer<'a, Response>;
}

/// Takes an answer, whose connection is lent for as long.
pub(crate) type Take<'t> = dyn FnMut(&ResponseHead<'_>, &[u8]) + 't;

/// A request of this connection that is passed on.
pub(super) struct Passing<'a> {
    asked: Terms,
    forwarding: Forwarding<'a>,
}

impl Passing<'_> {
    /// The same, whose head has these first bytes of what came.
    pub(super) fn of(mut self, came: Bytes, len: usize) -> Self {
        self.forwarding.keep(match len == came.len() {
            true => came,
            false => came.slice(..len),
        });
        self
    }
}

/// What came of a request that was passed on.
pub(super) enum Passed<'a> {
    Answered(Result<After>),
    /// Some of the answer is still to be sent.
    Begun(Terms, Begun),
    /// The answer is to be waited for as a service's.
    Called(Terms, Answer<'a, Response>),
}

impl Line {
    /// Passes a request on as it came, if it can be: what is on its way, and how many bytes of body it took from what came
    /// behind the head.
    pub(super) fn forward<'a>(
        &mut self,
        forward: &'a dyn Forward,
        head: &RequestHead<'_>,
        rest: &[u8],
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Option<(Passing<'a>, usize)> {
        let body = match head.length {
            Length::None | Length::Known(0) => &[],
            Length::Known(len) if len <= limits.body_bytes => {
                rest.get(..usize::try_from(len).ok()?)?
            }
            _ => return None,
        };
        let is_plain = !head.upgrades && head.path_and_query().is_some() && !self.tells_times();
        if !is_plain || times::is_wanted(head.fields()) {
            return None;
        }
        self.wire.conn.wake_at(None);
        let came = AsItCame {
            head,
            body: Body::full(Bytes::copy_from_slice(body)),
            downstream: self.downstream(),
        };
        let forwarding = forward.forward(came, cx)?;
        let asked = Terms {
            what: http1::Asked::by(head.method),
            version: head.version,
            keep_alive: self.count_request(limits) && head.keep_alive,
        };
        Some((Passing { asked, forwarding }, body.len()))
    }

    /// Sends the answer of the request that is passed on, once it is there.
    pub(super) fn poll_passed<'a>(
        &mut self,
        passing: &mut Option<Passing<'a>>,
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Poll<Passed<'a>> {
        let closed = || Poll::Ready(Passed::Answered(Ok(After::Close)));
        let Some(Passing { asked, forwarding }) = passing else {
            return closed();
        };
        let (asked, waker) = (*asked, cx.waker());
        let (mut begun, wire) = (None, &mut self.wire);
        loop {
            let mut take = |head: &ResponseHead<'_>, body: &[u8]| {
                let cx = &mut Context::from_waker(waker);
                begun = Some(reply::begin_as_it_came(wire, asked, head, body, cx));
            };
            if let Poll::Ready(is_taken) = forwarding.poll(&mut take, cx) {
                wire.conn.wake_at(None);
                if is_taken {
                    break;
                }
                let rest = passing.take().map(|passing| passing.forwarding.rest());
                return rest.map_or_else(closed, |rest| Poll::Ready(Passed::Called(asked, rest)));
            }
            // Nobody waits for the answer any more: dropping it ends what goes on for it.
            if let Err(e) = ready!(wire.poll_peer(cx)) {
                *passing = None;
                return Poll::Ready(Passed::Answered(Err(e)));
            }
        }
        *passing = None;
        let Some(begun) = begun else {
            return closed();
        };
        Poll::Ready(match begun {
            Err(e) => Passed::Answered(Err(e)),
            Ok(mut begun) => match begun.poll_rest(&mut self.wire, cx) {
                Poll::Ready(Ok(is_kept)) => {
                    Passed::Answered(Ok(self.settle(is_kept, None, limits)))
                }
                Poll::Ready(Err(e)) => Passed::Answered(Err(e)),
                Poll::Pending => Passed::Begun(asked, begun),
            },
        })
    }
}

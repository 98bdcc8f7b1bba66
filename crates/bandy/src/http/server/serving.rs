//! A connection from its first byte to its last, whichever HTTP it speaks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::calling::Caught;
use super::forward::{Passed, Passing};
use super::h1::{After, Left, Line, Next, Received};
use super::{Generation, h2};
use crate::error::Result;
use crate::http::{Request, Response};
use crate::net::Conn;
use crate::service::{Answer, Service};

/// Serves a connection from where it stands, by whatever service answers at the time.
pub(super) async fn serve<S>(mut http: Arc<Generation<S>>, mut begin: Begin) -> Result<()>
where
    S: Service<Request, Out = Response>,
{
    loop {
        match Serving::new(begin, &http).await {
            Ended::Over(ended) => return ended,
            Ended::Renewed(again) => begin = Begin::Again(again),
        }
        http = http.latest().clone();
    }
}

/// Where a connection stands when its serving begins. In boxes: what is here has a place in the future of every connection.
pub(super) enum Begin {
    /// Nothing was read of it.
    Conn(Box<Conn>),
    /// Another service answers its next request.
    Again(Again),
}

/// A line, and what comes next on it.
type Again = Box<(Line, Result<Next>)>;

/// Why a connection is not served any further.
pub(super) enum Ended {
    Over(Result<()>),
    /// Another service answers what comes next.
    Renewed(Again),
}

/// A connection that is being served.
///
/// Written by hand: an `async fn` of the same logic holds several copies of the connection, and memory is what an idle
/// one costs.
pub(super) struct Serving<'a, S> {
    http: &'a Arc<Generation<S>>,
    stage: Stage<'a>,
    /// The line's request that is passed on, if it has one. The line stays where it is meanwhile.
    passing: Option<Passing<'a>>,
}

enum Stage<'a> {
    /// Between two requests of HTTP/1.1, or with one that is passed on.
    Idle(Line),
    /// A request is answered. The line goes in and comes out again, so that this can be an allocation of its own, which
    /// an idle connection does not have.
    Busy(Pin<Box<dyn Future<Output = (Line, Result<After>)> + Send + 'a>>),
    /// HTTP/2, another protocol, or a goodbye: what comes last.
    Last(Answer<'a, ()>),
    /// What comes next came while another service answered.
    Again(Again),
    Over,
}

impl<'a, S> Serving<'a, S>
where
    S: Service<Request, Out = Response>,
{
    fn new(begin: Begin, http: &'a Arc<Generation<S>>) -> Serving<'a, S> {
        let conn = match begin {
            Begin::Conn(conn) => *conn,
            Begin::Again(again) => {
                let stage = Stage::Again(again);
                return Serving::at(stage, http);
            }
        };
        let stage = match conn.tls().map(|tls| tls.alpn.as_deref()) {
            Some(Some("h2")) => Stage::Last(Box::pin(h2::serve(conn, Bytes::new(), http))),
            Some(Some(_)) => Stage::Idle(Line::new(conn, false, &http.limits)),
            Some(None) | None => Stage::Idle(Line::new(conn, true, &http.limits)),
        };
        Serving::at(stage, http)
    }

    fn at(stage: Stage<'a>, http: &'a Arc<Generation<S>>) -> Serving<'a, S> {
        Serving {
            http,
            stage,
            passing: None,
        }
    }

    /// What follows on a line's next request.
    fn begin(&self, mut line: Line, next: Result<Next>, cx: &mut Context<'_>) -> Stage<'a> {
        let http = self.http;
        match next {
            Ok(Next::Request(received)) => self.answer(line, received, cx),
            Ok(Next::Rejected(reject)) => Stage::Busy(Box::pin(async move {
                let after = line.refuse(reject, &http.limits).await;
                (line, after)
            })),
            Ok(Next::TooSlow) => Stage::Busy(Box::pin(async move {
                let after = line.too_slow(&http.limits).await;
                (line, after)
            })),
            Ok(Next::Http2) => {
                let wire = line.wire;
                Stage::Last(Box::pin(h2::serve(wire.conn, wire.input.freeze(), http)))
            }
            Ok(Next::Passing) => Stage::Idle(line),
            Ok(Next::End) => goodbye(line, Ok(())),
            Err(e) => Stage::Last(Box::pin(std::future::ready(Err(e)))),
        }
    }
}

impl<'a, S> Serving<'a, S>
where
    S: Service<Request, Out = Response>,
{
    /// Has the service answer a request. An answer that is there at once, to a request that was whole, is sent without
    /// an allocation for the time in between.
    fn answer(&self, mut line: Line, received: Received, cx: &mut Context<'_>) -> Stage<'a> {
        let limits = &self.http.limits;
        let (asked, taken) = line.take(received, limits);
        let (request, upload) = match taken {
            Ok(taken) => taken,
            Err(problem) => {
                return Stage::Busy(Box::pin(async move {
                    let after = line.decline(asked, problem, limits).await;
                    (line, after)
                }));
            }
        };
        let mut call = Caught::call(&*self.http.service, request);
        if upload.is_none()
            && let Poll::Ready(answered) = Pin::new(&mut call).poll(cx)
        {
            drop(call);
            return match line.send_now(asked, answered, limits, cx) {
                Ok(Ok(after)) => go_on(line, Ok(after)),
                Ok(Err(left)) => Stage::Busy(Box::pin(async move {
                    let after = line.go_on(asked, left, limits).await;
                    (line, after)
                })),
                Err(e) => go_on(line, Err(e)),
            };
        }
        Stage::Busy(Box::pin(async move {
            let after = line.answer(call, asked, upload, limits).await;
            (line, after)
        }))
    }
}

impl<'a, S> Serving<'a, S>
where
    S: Service<Request, Out = Response>,
{
    /// What follows on a request that was passed on.
    fn passed(&self, mut line: Line, passed: Passed<'a>) -> Stage<'a> {
        let limits = &self.http.limits;
        match passed {
            Passed::Answered(after) => go_on(line, after),
            Passed::Begun(asked, begun) => Stage::Busy(Box::pin(async move {
                let left = Left::Begun(begun, None);
                let after = line.go_on(asked, left, limits).await;
                (line, after)
            })),
            Passed::Called(asked, rest) => Stage::Busy(Box::pin(async move {
                let after = line.answer(Caught::of(rest), asked, None, limits).await;
                (line, after)
            })),
        }
    }
}

/// What follows on an answer.
fn go_on<'a>(line: Line, after: Result<After>) -> Stage<'a> {
    match after {
        Ok(After::Keep) => Stage::Idle(line),
        Ok(After::Close) => goodbye(line, Ok(())),
        Ok(After::Fail(e)) => goodbye(line, Err(e)),
        Ok(After::Switch(next)) => Stage::Last(next(line.wire.conn)),
        Err(e) => Stage::Last(Box::pin(std::future::ready(Err(e)))),
    }
}

fn goodbye<'a>(line: Line, ended: Result<()>) -> Stage<'a> {
    Stage::Last(Box::pin(async move {
        line.bid_farewell().await;
        ended
    }))
}

impl<S> Future for Serving<'_, S>
where
    S: Service<Request, Out = Response>,
{
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let this = self.get_mut();
        loop {
            this.stage = match &mut this.stage {
                Stage::Idle(line) if this.passing.is_some() => {
                    let limits = &this.http.limits;
                    let passed = ready!(line.poll_passed(&mut this.passing, limits, cx));
                    // Most answers are gone at once, and the line stays where it is.
                    if matches!(passed, Passed::Answered(Ok(After::Keep))) {
                        continue;
                    }
                    match std::mem::replace(&mut this.stage, Stage::Over) {
                        Stage::Idle(line) => this.passed(line, passed),
                        other => other,
                    }
                }
                Stage::Idle(line) => {
                    let (forward, limits) = (this.http.forward(), &this.http.limits);
                    let next = ready!(line.poll_next(forward, &mut this.passing, limits, cx));
                    if matches!(next, Ok(Next::Passing)) {
                        continue;
                    }
                    match std::mem::replace(&mut this.stage, Stage::Over) {
                        Stage::Idle(line) if !this.http.is_latest() => {
                            return Poll::Ready(Ended::Renewed(Box::new((line, next))));
                        }
                        Stage::Idle(line) => this.begin(line, next, cx),
                        other => other,
                    }
                }
                Stage::Again(_) => match std::mem::replace(&mut this.stage, Stage::Over) {
                    Stage::Again(again) => this.begin(again.0, again.1, cx),
                    other => other,
                },
                Stage::Busy(answering) => {
                    let (line, after) = ready!(answering.as_mut().poll(cx));
                    go_on(line, after)
                }
                Stage::Last(last) => {
                    let ended = ready!(last.as_mut().poll(cx));
                    this.stage = Stage::Over;
                    return Poll::Ready(Ended::Over(ended));
                }
                Stage::Over => return Poll::Ready(Ended::Over(Ok(()))),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::BoxService;

    #[test]
    fn an_idle_connection_is_small() {
        // With its task, its socket and what is counted of it, this is what 10,000 idle clients cost.
        assert!(size_of::<Serving<'_, BoxService<Request, Response>>>() <= 256);
    }
}

//! A connection that speaks HTTP/1.1 (RFC 9112): one request after the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::calling::{After101, final_or_switch};
use super::forward::{Forward, Passing};
use super::incoming::incoming;
use super::reply::{Begun, Terms, begin, reply};
use super::times::{self, Times};
use super::upload::Upload;
use super::wire::{Watched, Wire};
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Body, Downstream, Problem, Request, Response, StatusCode};
use crate::limits::HttpLimits;
use crate::net::Tick;
use crate::net::conn::Conn;
use crate::wire::http1::{self, BodyDecoder, Bounds, Length, Reject, Scan, parse_request};

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection, and where it stands between two requests.
pub(super) struct Line {
    pub(super) wire: Wire,
    downstream: Option<Downstream>,
    served: u64,
    /// When the next request's head must be whole, or have begun.
    deadline: Option<Tick>,
    scan: Scan,
    /// Some of that head has come.
    is_begun: bool,
    may_be_h2: bool,
    /// Where a request has asked for them.
    times: Option<Box<Times>>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is what usually comes"
)]
pub(super) enum Next {
    Request(Received),
    /// One that is passed on as it came.
    Passing,
    Http2,
    /// The client is done, or nothing more is taken from it.
    End,
    Rejected(Reject),
    TooSlow,
}

pub(super) enum After {
    Keep,
    Close,
    Fail(Error),
    Switch(After101),
}

/// A request's head, and what came with it.
pub(super) struct Received {
    request: Request,
    asked: Terms,
    length: Length,
    expects_continue: bool,
    /// What came behind the head: of its body, and of what follows.
    rest: Bytes,
}

impl Line {
    pub(super) fn new(conn: Conn, may_be_h2: bool, limits: &HttpLimits) -> Line {
        // What a handshake took counts too.
        let left = limits.head.saturating_sub(conn.opened().elapsed());
        Line {
            wire: Wire::new(conn),
            downstream: None,
            served: 0,
            deadline: Some(Tick::after(left)),
            scan: Scan::new(&bounds(limits)),
            is_begun: false,
            may_be_h2,
            times: None,
        }
    }

    /// After a request: waits for the next.
    fn rewind(&mut self, limits: &HttpLimits) {
        self.is_begun = !self.wire.input.is_empty();
        if !self.is_begun {
            // A body was read into it.
            self.wire.input = BytesMut::new();
        }
        self.scan = Scan::new(&bounds(limits));
        self.deadline = match (self.is_begun, limits.keep_alive) {
            // What came behind the last request is the beginning of this one.
            (true, _) => Some(Tick::after(limits.head)),
            (false, keep_alive) => keep_alive.map(Tick::after),
        };
    }

    /// The next request. One that `forward` passes on comes into `passing`.
    pub(super) fn poll_next<'a>(
        &mut self,
        forward: Option<&'a dyn Forward>,
        passing: &mut Option<Passing<'a>>,
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next>> {
        let mut came = std::mem::take(&mut self.wire.input).freeze();
        loop {
            if !came.is_empty() {
                if let Some(times) = &mut self.times
                    && !self.is_begun
                {
                    times.reads();
                }
                if !std::mem::replace(&mut self.is_begun, true) && self.served > 0 {
                    self.deadline = Some(Tick::after(limits.head));
                }
                if let Some(next) = self.take_head(came, (forward, passing), limits, cx) {
                    return Poll::Ready(Ok(next));
                }
            }
            match self.wire.poll_read_head(cx) {
                Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                    came = bytes;
                    continue;
                }
                Poll::Ready(Ok(_)) if self.is_begun => return Poll::Ready(Err(self.broke_off())),
                Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Next::End)),
                // Between two requests a reset is a way to leave.
                Poll::Ready(Err(e)) if !self.is_begun && e.kind() == Kind::Closed => {
                    return Poll::Ready(Ok(Next::End));
                }
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {}
            }
            if self.wire.conn.is_ending() && !self.is_begun {
                if self.served > 0 {
                    return Poll::Ready(Ok(Next::End));
                }
                // Whoever has just connected may have asked already.
                let grace = Tick::after(LAST_REQUEST);
                self.deadline = Some(self.deadline.map_or(grace, |at| at.min(grace)));
            }
            return match self.wire.watch(self.deadline) {
                Watched::Waiting => Poll::Pending,
                Watched::Past if self.is_begun => Poll::Ready(Ok(Next::TooSlow)),
                Watched::Past => Poll::Ready(Ok(Next::End)),
            };
        }
    }

    /// Takes a head from what came, if there is a whole one. What is left waits in the input.
    fn take_head<'a>(
        &mut self,
        came: Bytes,
        (forward, passing): (Option<&'a dyn Forward>, &mut Option<Passing<'a>>),
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Option<Next> {
        if self.may_be_h2
            && self.served == 0
            && came.starts_with(&PREFACE[..PREFACE.len().min(came.len())])
        {
            let is_whole = came.len() >= PREFACE.len();
            self.wire.input = BytesMut::from(came);
            return is_whole.then_some(Next::Http2);
        }
        if !self.scan.is_worth_parsing(&came) {
            self.wire.input = BytesMut::from(came);
            return None;
        }
        let (head, len) = match parse_request(&came, &bounds(limits)) {
            Err(reject) => return Some(Next::Rejected(reject)),
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                // Nobody else has these bytes: they go back as they are.
                self.wire.input = BytesMut::from(came);
                return None;
            }
        };
        let rest = came.get(len..).unwrap_or_default();
        let passed = forward.and_then(|it| self.forward(it, &head, rest, limits, cx));
        if let Some((on_its_way, taken)) = passed {
            if taken < rest.len() {
                self.wire.keep(came.slice(len + taken..));
            }
            *passing = Some(on_its_way.of(came, len));
            return Some(Next::Passing);
        }
        let parts = match head.to_parts(&came.slice(..len)) {
            Ok(parts) => parts,
            Err(reject) => return Some(Next::Rejected(reject)),
        };
        Some(Next::Request(Received {
            asked: Terms {
                what: http1::Asked::by(head.method),
                version: head.version,
                keep_alive: head.keep_alive,
            },
            length: head.length,
            expects_continue: head.expects_continue,
            request: Request::from_parts(parts, Body::empty()),
            rest: came.slice(len..),
        }))
    }

    /// Takes a request up: what the service is called with, or why it is not called.
    pub(super) fn take(
        &mut self,
        received: Received,
        limits: &HttpLimits,
    ) -> (Terms, Result<(Request, Option<Upload>), Problem>) {
        let Received {
            mut request,
            mut asked,
            length,
            expects_continue,
            rest,
        } = received;
        asked.keep_alive &= self.count_request(limits);
        self.wire.conn.wake_at(None);
        if let Some(problem) = refusal(asked, length, limits) {
            asked.keep_alive = false;
            return (asked, Err(problem));
        }
        if times::wants(&mut request, &self.wire.conn) && self.times.is_none() {
            let times = Times::begin(&self.wire.conn, self.served == 1);
            self.times = Some(Box::new(times));
        }
        if let Some(times) = &mut self.times {
            times.calls(&mut request);
        }
        let downstream = self.downstream().clone();
        let mut upload = None;
        let body = self.body(length, rest, expects_continue, &mut upload, limits);
        *request.body_mut() = body.that_came_over(downstream);
        (asked, Ok((request, upload)))
    }

    /// Counts a request. Whether another may follow.
    pub(super) fn count_request(&mut self, limits: &HttpLimits) -> bool {
        self.served += 1;
        self.served != limits.requests
    }

    pub(super) fn downstream(&mut self) -> &Downstream {
        let conn = &self.wire.conn;
        self.downstream.get_or_insert_with(|| Downstream::new(conn))
    }

    /// Whether times of its requests were asked for.
    pub(super) fn tells_times(&self) -> bool {
        self.times.is_some()
    }

    /// Sends what a service answered at once. What has to be waited for comes back: an answer that is begun, or that is
    /// to be sent by [`Line::go_on`].
    pub(super) fn send_now(
        &mut self,
        asked: Terms,
        answered: Result<Response>,
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Result<std::result::Result<After, Left>> {
        let (response, next, failure) = answer_of(answered);
        if next.is_some() {
            return Ok(Err(Left::Response(response, next, failure)));
        }
        if let Some(times) = &mut self.times {
            times.writes();
        }
        let mut begun = begin(&mut self.wire, asked, response, &mut None, cx)?;
        Ok(match begun.poll_rest(&mut self.wire, cx)? {
            Poll::Ready(is_kept) => Ok(self.settle(is_kept, failure, limits)),
            Poll::Pending => Err(Left::Begun(begun, failure)),
        })
    }

    /// Sends what [`Line::send_now`] left.
    pub(super) async fn go_on(
        &mut self,
        asked: Terms,
        left: Left,
        limits: &HttpLimits,
    ) -> Result<After> {
        match left {
            Left::Begun(begun, failure) => {
                let is_kept = begun.rest(&mut self.wire, &mut None, limits).await?;
                Ok(self.settle(is_kept, failure, limits))
            }
            Left::Response(response, next, failure) => {
                self.send(asked, response, next, failure, None, limits)
                    .await
            }
        }
    }

    /// Waits for a service's answer, and sends it. What the service wants of the request's body is read meanwhile.
    pub(super) async fn answer(
        &mut self,
        mut call: impl Future<Output = Result<Response>> + Unpin,
        asked: Terms,
        mut upload: Option<Upload>,
        limits: &HttpLimits,
    ) -> Result<After> {
        let wire = &mut self.wire;
        let answered: Result<_> = poll_fn(|cx| {
            loop {
                if let Poll::Ready(answered) = Pin::new(&mut call).poll(cx) {
                    return Poll::Ready(Ok(answered));
                }
                if let Some(upload) = &mut upload
                    && upload.poll_feed(wire, limits, cx).is_ready()
                {
                    continue;
                }
                // Nobody waits for the answer any more: dropping the service ends what it does.
                ready!(wire.poll_peer(cx))?;
            }
        })
        .await;
        drop(call);
        let answered = answered?;
        self.wire.conn.wake_at(None);
        let (response, next, failure) = answer_of(answered);
        self.send(asked, response, next, failure, upload, limits)
            .await
    }

    async fn send(
        &mut self,
        asked: Terms,
        response: Response,
        next: Option<After101>,
        failure: Option<Error>,
        mut upload: Option<Upload>,
        limits: &HttpLimits,
    ) -> Result<After> {
        if let Some(next) = next {
            let is_read = upload.as_ref().is_none_or(Upload::is_done);
            return self.switch(asked, response, next, is_read, limits).await;
        }
        if let Some(times) = &mut self.times {
            times.writes();
        }
        let mut is_kept = reply(&mut self.wire, asked, response, &mut upload, limits).await?;
        if is_kept && let Some(mut upload) = upload {
            let wire = &mut self.wire;
            is_kept = poll_fn(|cx| upload.poll_rest(wire, limits, cx)).await;
        }
        Ok(self.settle(is_kept, failure, limits))
    }

    /// After a response: what becomes of the connection, and who hears of a failure.
    pub(super) fn settle(
        &mut self,
        is_kept: bool,
        failure: Option<Error>,
        limits: &HttpLimits,
    ) -> After {
        match failure {
            // What the client did wrong is its connection's affair; anything else is the server's, and one request's.
            Some(e) if e.side() == Side::Downstream && !is_kept => return After::Fail(e),
            Some(e) => {
                tracing::warn!(peer = %self.wire.conn.peer(), error = %e, "a request failed");
            }
            None => {}
        }
        if let Some(times) = &mut self.times {
            times.wrote();
        }
        self.rewind(limits);
        match is_kept {
            true => After::Keep,
            false => After::Close,
        }
    }

    /// Says why the service is not called.
    pub(super) async fn decline(
        &mut self,
        asked: Terms,
        problem: Problem,
        limits: &HttpLimits,
    ) -> Result<After> {
        let response = problem.response();
        reply(&mut self.wire, asked, response, &mut None, limits).await?;
        Ok(After::Close)
    }
}

/// What is left of an answer once all is sent that could be without waiting.
pub(super) enum Left {
    Begun(Begun, Option<Error>),
    Response(Response, Option<After101>, Option<Error>),
}

fn answer_of(answered: Result<Response>) -> (Response, Option<After101>, Option<Error>) {
    match answered.and_then(final_or_switch) {
        Ok((response, next)) => (response, next, None),
        Err(e) => (Problem::from(&e).response(), None, Some(e)),
    }
}

impl Line {
    /// A request's body: whole, if it came with the head, and else as it comes.
    fn body(
        &mut self,
        length: Length,
        mut rest: Bytes,
        expects_continue: bool,
        upload: &mut Option<Upload>,
        limits: &HttpLimits,
    ) -> Body {
        let len = match length {
            Length::None | Length::Known(0) => {
                self.wire.keep(rest);
                return Body::empty();
            }
            Length::Known(len) => match usize::try_from(len) {
                Ok(whole) if whole <= rest.len() => {
                    let body = rest.split_to(whole);
                    self.wire.keep(rest);
                    return Body::full(body);
                }
                _ => Some(len),
            },
            Length::Chunked | Length::UntilClose => None,
        };
        self.wire.keep(rest);
        let (source, incoming) = incoming(len);
        let decoder = BodyDecoder::new(length, &bounds(limits));
        *upload = Some(Upload::new(source, decoder, expects_continue));
        Body::incoming(incoming).at_most(limits.body_bytes)
    }

    /// Goes over to another protocol. What the client sent before it was told so is not part of that.
    async fn switch(
        &mut self,
        mut asked: Terms,
        response: Response,
        next: After101,
        is_read: bool,
        limits: &HttpLimits,
    ) -> Result<After> {
        // What is left of the request's body would be the first that the other protocol hears. HTTP/1.0 has no switches
        // (RFC 9110, section 7.8).
        if !is_read || asked.version == ::http::Version::HTTP_10 || !self.wire.input.is_empty() {
            asked.keep_alive = false;
            let problem = Problem::new(StatusCode::BAD_REQUEST);
            let problem = problem.detail("the protocol is switched after a whole request of HTTP/1.1, and before more is sent");
            reply(&mut self.wire, asked, problem.response(), &mut None, limits).await?;
            return Ok(After::Close);
        }
        reply(&mut self.wire, asked, response, &mut None, limits).await?;
        self.wire.conn.wake_at(None);
        Ok(After::Switch(next))
    }

    /// Says why a request is not taken.
    pub(super) async fn refuse(&mut self, reject: Reject, limits: &HttpLimits) -> Result<After> {
        let problem = Problem::new(reject.status()).detail(reject.to_string());
        self.last_words(problem, limits).await?;
        let act = format!("reading a request of {}", self.wire.conn.peer());
        let error = Error::new(Kind::Protocol, Side::Downstream, act);
        Ok(After::Fail(error.because(reject)))
    }

    /// Says that a request came too slowly.
    pub(super) async fn too_slow(&mut self, limits: &HttpLimits) -> Result<After> {
        let problem = Problem::new(StatusCode::REQUEST_TIMEOUT);
        self.last_words(problem, limits).await?;
        let act = format!("reading a request of {}", self.wire.conn.peer());
        let why = format!("its head took longer than {:?}", limits.head);
        let error = Error::new(Kind::TimedOut, Side::Downstream, act);
        Ok(After::Fail(error.because(why)))
    }

    async fn last_words(&mut self, problem: Problem, limits: &HttpLimits) -> Result<()> {
        let asked = Terms {
            what: http1::Asked::Other,
            version: ::http::Version::HTTP_11,
            keep_alive: false,
        };
        reply(&mut self.wire, asked, problem.response(), &mut None, limits).await?;
        Ok(())
    }

    /// Closes so that the last response arrives.
    pub(super) async fn bid_farewell(self) {
        self.wire.conn.wake_at(None);
        self.wire.conn.close().await;
    }

    fn broke_off(&self) -> Error {
        let act = format!("reading a request of {}", self.wire.conn.peer());
        Error::new(Kind::Closed, Side::Downstream, act).because("the connection ended in its head")
    }
}

/// Why a request is not taken, if it is not, before its body is.
fn refusal(asked: Terms, length: Length, limits: &HttpLimits) -> Option<Problem> {
    match length {
        // Whoever hears 200 to a CONNECT sends on whatever it has, as if it were in a tunnel: what a client then sends
        // for another server would be requests here.
        _ if asked.what == http1::Asked::Connect => Some(Problem::new(StatusCode::NOT_IMPLEMENTED)),
        Length::Known(len) if len > limits.body_bytes => {
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE);
            Some(problem.detail(format!("at most {} bytes are taken", limits.body_bytes)))
        }
        _ => None,
    }
}

fn bounds(limits: &HttpLimits) -> Bounds {
    Bounds {
        head_bytes: limits.head_bytes,
        target_bytes: limits.target_bytes,
        fields: limits.fields,
    }
}

/// How long a connection on which nothing was asked yet may take for its first request once the server ends.
const LAST_REQUEST: std::time::Duration = std::time::Duration::from_millis(200);

//! A connection that speaks HTTP/1.1 (RFC 9112): one request after the other.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};

use super::Http;
use super::incoming::incoming;
use super::reply::{Terms, reply};
use super::upload::Upload;
use super::wire::{Watched, Wire};
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Body, Downstream, Problem, Request, Response, StatusCode, Switch};
use crate::limits::HttpLimits;
use crate::net::Tick;
use crate::net::conn::Conn;
use crate::service::{Answer, Service};
use crate::wire::http1::{self, BodyDecoder, Bounds, Length, Reject, Scan, parse_request};

/// What an HTTP/2 client says first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What became of a connection.
pub(super) enum Ended {
    /// It is closed.
    Closed,
    /// The client speaks HTTP/2, and these are its first bytes.
    Http2(Conn, BytesMut),
}

/// Serves a connection until it ends. One that speaks HTTP/2 is given back, unless the protocol was agreed on before.
pub(super) async fn serve<S>(conn: Conn, http: &Http<S>, may_be_h2: bool) -> Result<Ended>
where
    S: Service<Request, Out = Response>,
{
    let mut line = Line {
        wire: Wire::new(conn),
        served: 0,
        may_be_h2,
        downstream: None,
    };
    loop {
        match line.next(&http.limits).await? {
            Next::Request(received) => {
                // Boxed: what a request needs is not kept while the connection is idle.
                match Box::pin(line.answer(received, http)).await? {
                    After::Keep => {}
                    After::Close => break,
                    After::Fail(e) => {
                        line.bid_farewell().await;
                        return Err(e);
                    }
                    After::Switch(next) => {
                        next(line.wire.conn).await?;
                        return Ok(Ended::Closed);
                    }
                }
            }
            Next::Http2 => return Ok(Ended::Http2(line.wire.conn, line.wire.input)),
            Next::End => break,
            Next::Rejected(reject) => return line.refuse(reject, &http.limits).await,
            Next::TooSlow => return line.too_slow(&http.limits).await,
        }
    }
    line.bid_farewell().await;
    Ok(Ended::Closed)
}

/// A connection between requests.
struct Line {
    wire: Wire,
    served: u64,
    may_be_h2: bool,
    downstream: Option<Downstream>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is what usually comes"
)]
enum Next {
    Request(Received),
    Http2,
    /// The client is done, or nothing more is taken from it.
    End,
    Rejected(Reject),
    TooSlow,
}

enum After {
    Keep,
    Close,
    Fail(Error),
    Switch(Box<dyn FnOnce(Conn) -> Answer<'static, ()> + Send>),
}

/// A request's head, and what came with it.
struct Received {
    request: Request,
    asked: Terms,
    length: Length,
    expects_continue: bool,
    /// What came behind the head: of its body, and of what follows.
    rest: Bytes,
}

impl Line {
    /// The next request.
    async fn next(&mut self, limits: &HttpLimits) -> Result<Next> {
        let mut scan = Scan::new(&bounds(limits));
        let mut deadline = match (self.served, limits.keep_alive) {
            // What came behind the last request is the beginning of this one.
            _ if !self.wire.input.is_empty() => Some(Tick::after(limits.head)),
            (0, _) => Some(self.opened_for(limits)),
            (_, keep_alive) => keep_alive.map(Tick::after),
        };
        let mut came = self.wire.input.split().freeze();
        let mut is_begun = !came.is_empty();
        poll_fn(|cx| {
            loop {
                if !came.is_empty() {
                    if !std::mem::replace(&mut is_begun, true) && self.served > 0 {
                        deadline = Some(Tick::after(limits.head));
                    }
                    if let Some(next) = self.take_head(std::mem::take(&mut came), &mut scan, limits)
                    {
                        return Poll::Ready(Ok(next));
                    }
                }
                match self.wire.poll_read_head(cx) {
                    Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                        came = bytes;
                        continue;
                    }
                    Poll::Ready(Ok(_)) if is_begun => return Poll::Ready(Err(self.broke_off())),
                    Poll::Ready(Ok(_)) => return Poll::Ready(Ok(Next::End)),
                    // Between two requests a reset is a way to leave.
                    Poll::Ready(Err(e)) if !is_begun && e.kind() == Kind::Closed => {
                        return Poll::Ready(Ok(Next::End));
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {}
                }
                if self.wire.conn.is_ending() && !is_begun {
                    if self.served > 0 {
                        return Poll::Ready(Ok(Next::End));
                    }
                    // Whoever has just connected may have asked already.
                    let grace = Tick::after(LAST_REQUEST);
                    deadline = Some(deadline.map_or(grace, |at| at.min(grace)));
                }
                return match self.wire.watch(deadline) {
                    Watched::Waiting => Poll::Pending,
                    Watched::Past if is_begun => Poll::Ready(Ok(Next::TooSlow)),
                    Watched::Past => Poll::Ready(Ok(Next::End)),
                };
            }
        })
        .await
    }

    /// The first head's deadline counts from when the connection was made.
    fn opened_for(&self, limits: &HttpLimits) -> Tick {
        Tick::after(
            limits
                .head
                .saturating_sub(self.wire.conn.opened().elapsed()),
        )
    }

    /// Takes a head from what came, if there is a whole one. What is left waits in the input.
    fn take_head(&mut self, came: Bytes, scan: &mut Scan, limits: &HttpLimits) -> Option<Next> {
        if self.may_be_h2
            && self.served == 0
            && came.starts_with(&PREFACE[..PREFACE.len().min(came.len())])
        {
            let is_whole = came.len() >= PREFACE.len();
            self.wire.input = BytesMut::from(came);
            return is_whole.then_some(Next::Http2);
        }
        if !scan.is_worth_parsing(&came) {
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

    /// Has the service answer a request, and sends its response.
    async fn answer<S>(&mut self, received: Received, http: &Http<S>) -> Result<After>
    where
        S: Service<Request, Out = Response>,
    {
        let Received {
            mut request,
            mut asked,
            length,
            expects_continue,
            rest,
        } = received;
        let limits = &http.limits;
        self.served += 1;
        if self.served == limits.requests {
            asked.keep_alive = false;
        }
        self.wire.conn.wake_at(None);
        let downstream = self
            .downstream
            .get_or_insert_with(|| Downstream::new(&self.wire.conn));
        let downstream = downstream.clone();
        let mut upload = None;
        if let Length::Known(len) = length
            && len > limits.body_bytes
        {
            asked.keep_alive = false;
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE);
            let problem = problem.detail(format!("at most {} bytes are taken", limits.body_bytes));
            reply(
                &mut self.wire,
                asked,
                problem.response(),
                &mut upload,
                limits,
            )
            .await?;
            return Ok(After::Close);
        }
        let body = self.body(length, rest, expects_continue, &mut upload, limits);
        *request.body_mut() = body.that_came_over(downstream);

        let mut call = pin!(http.service.call(request));
        let wire = &mut self.wire;
        let answered = poll_fn(|cx| {
            loop {
                if let Poll::Ready(answered) = call.as_mut().poll(cx) {
                    return Poll::Ready(answered);
                }
                match &mut upload {
                    Some(upload) => ready!(upload.poll_feed(wire, limits, cx)),
                    None => return Poll::Pending,
                }
            }
        })
        .await;
        self.wire.conn.wake_at(None);
        let (mut response, failure) = match answered {
            Ok(response) => (response, None),
            Err(e) => (Problem::from(&e).response(), Some(e)),
        };
        let next = Switch::take(&mut response);
        if let Some(next) = next
            && response.status() == StatusCode::SWITCHING_PROTOCOLS
        {
            return self.switch(asked, response, next, limits).await;
        }
        let mut is_kept = reply(&mut self.wire, asked, response, &mut upload, limits).await?;
        if is_kept && let Some(mut upload) = upload {
            let wire = &mut self.wire;
            is_kept = poll_fn(|cx| upload.poll_rest(wire, limits, cx)).await;
        }
        self.wire.conn.wake_at(None);
        match failure {
            // What the client did wrong is its connection's affair; anything else is the server's, and one request's.
            Some(e) if e.side() == Side::Downstream && !is_kept => Ok(After::Fail(e)),
            Some(e) => {
                tracing::warn!(peer = %self.wire.conn.peer(), error = %e, "a request failed");
                Ok(if is_kept { After::Keep } else { After::Close })
            }
            None => Ok(if is_kept { After::Keep } else { After::Close }),
        }
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
        next: Box<dyn FnOnce(Conn) -> Answer<'static, ()> + Send>,
        limits: &HttpLimits,
    ) -> Result<After> {
        if !self.wire.input.is_empty() {
            asked.keep_alive = false;
            let problem = Problem::new(StatusCode::BAD_REQUEST);
            let problem = problem.detail("more was sent before the protocol was switched");
            reply(&mut self.wire, asked, problem.response(), &mut None, limits).await?;
            return Ok(After::Close);
        }
        reply(&mut self.wire, asked, response, &mut None, limits).await?;
        self.wire.conn.wake_at(None);
        Ok(After::Switch(next))
    }

    /// Says why a request is not taken, and closes.
    async fn refuse(mut self, reject: Reject, limits: &HttpLimits) -> Result<Ended> {
        let problem = Problem::new(reject.status()).detail(reject.to_string());
        self.last_words(problem, limits).await?;
        let act = format!("reading a request of {}", self.wire.conn.peer());
        self.bid_farewell().await;
        Err(Error::new(Kind::Protocol, Side::Downstream, act).because(reject))
    }

    /// Says that a request came too slowly, and closes.
    async fn too_slow(mut self, limits: &HttpLimits) -> Result<Ended> {
        let problem = Problem::new(StatusCode::REQUEST_TIMEOUT);
        self.last_words(problem, limits).await?;
        let act = format!("reading a request of {}", self.wire.conn.peer());
        self.bid_farewell().await;
        let why = format!("its head took longer than {:?}", limits.head);
        Err(Error::new(Kind::TimedOut, Side::Downstream, act).because(why))
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
    async fn bid_farewell(self) {
        self.wire.conn.wake_at(None);
        self.wire.conn.close().await;
    }

    fn broke_off(&self) -> Error {
        let act = format!("reading a request of {}", self.wire.conn.peer());
        Error::new(Kind::Closed, Side::Downstream, act).because("the connection ended in its head")
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

//! One exchange with a backend over HTTP/1.1: a request out, its answer in.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::response;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead as _, ReadBuf};

use super::sending::Sending;
use super::{Alarm, End, Failed, Heard, Keep, OnEnd, Outgoing, idle};
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Body, Response, StatusCode};
use crate::net::{Conn, Tick, scratch};
use crate::printable::printable;
use crate::wire::http1::{
    Asked, BodyDecoder, Bounds, Reject, ResponseHead, Scan, Step, parse_response,
};

/// How much is read at once where a head is expected; it is copied once.
const HEAD_READ: usize = 16 << 10;
/// Heads of 1xx before an answer.
const INFORMATIONAL: u8 = 16;

/// A request that was sent to a backend, and its answer so far.
pub(crate) struct Exchange {
    /// `None` once it is brought back, or has become something else.
    conn: Option<Conn>,
    keep: Keep,
    body: Outgoing,
    sending: Sending,
    asked: Asked,
    bounds: Bounds,
    /// Of a head that is not whole.
    head: BytesMut,
    scan: Scan,
    informational: u8,
    has_heard: bool,
    /// Came, and was not looked at.
    input: Bytes,
    decoder: Option<BodyDecoder>,
    keep_alive: bool,
    alarm: Alarm,
    /// What comes on the connection wakes this task already, and nothing had come when it was taken.
    is_watched: bool,
    times: Times,
    /// How long the answer may take once all of the request is sent.
    allowed: Option<Duration>,
    /// How many writes there were when that was last looked at.
    moved: u64,
    stall: Option<Tick>,
}

/// How long a backend may take.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// By when the answer's head is there; later where the request's body is still on its way by then, and moves.
    pub(crate) head_by: Option<Tick>,
    /// The longest silence inside an answer's body.
    pub(crate) silence: Option<Duration>,
}

/// What is asked, as far as it decides how the answer is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) asked: Asked,
    /// The body waits for `100 Continue`.
    pub(crate) expects_continue: bool,
}

/// An answer's head, and what came with it.
pub(crate) enum Came<T> {
    /// All of the answer came at once, and this was made of it where it lay.
    Whole(T),
    /// The head, and whether what follows is another protocol.
    Head(response::Parts, bool),
}

impl Exchange {
    /// An exchange that was not begun.
    pub(crate) fn new(
        conn: Conn,
        keep: Keep,
        ask: Ask,
        body: Outgoing,
        alarm: Alarm,
        times: Times,
    ) -> Exchange {
        let bounds = Bounds::default();
        let body_is_sent = !body.is_nothing();
        Exchange {
            conn: Some(conn),
            keep,
            sending: Sending::new(body.length(), ask.expects_continue),
            body,
            asked: ask.asked,
            head: BytesMut::new(),
            scan: Scan::new(&bounds),
            bounds,
            informational: 0,
            has_heard: false,
            input: Bytes::new(),
            decoder: None,
            keep_alive: false,
            alarm,
            is_watched: false,
            times,
            allowed: match body_is_sent {
                true => times.head_by.map(Tick::remaining),
                false => None,
            },
            moved: 0,
            stall: None,
        }
    }

    /// Sends the request, and waits for the head of its answer. Where it fails, the body comes back.
    pub(crate) async fn run(
        mut self,
        head: impl FnOnce(&mut Vec<u8>),
    ) -> std::result::Result<Heard, (Failed, Outgoing)> {
        let mut head = Some(head);
        let heard = std::future::poll_fn(|cx| {
            if let Some(head) = head.take() {
                self.begin(head, cx)?;
            }
            self.poll_head(&mut Exchange::own, cx)
        });
        match heard.await {
            Ok((parts, upgrades)) => Ok(self.heard(parts, upgrades)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Sends what can be sent of the request at once. Fails for reasons on this side only.
    pub(crate) fn begin(
        &mut self,
        head: impl FnOnce(&mut Vec<u8>),
        cx: &mut Context<'_>,
    ) -> Result<()> {
        match &mut self.conn {
            Some(conn) => self.sending.begin(conn, &mut self.body, head, cx),
            None => Ok(()),
        }
    }

    /// The same, on a connection that was taken to wake this task.
    pub(crate) fn watched(mut self) -> Exchange {
        self.is_watched = true;
        self
    }

    /// Once it is begun: goes on until the answer's head is there. `take` is given an answer that came whole, where it
    /// lies; the exchange is over then, but for [`Exchange::finish`].
    pub(crate) fn poll_came<T>(
        &mut self,
        take: &mut impl FnMut(&ResponseHead<'_>, &[u8]) -> T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Came<T>>> {
        let mut take_or_own = |this: &mut Exchange, head: &ResponseHead<'_>, came: &[u8], len| {
            let rest = came.get(len..).unwrap_or_default();
            if !head.upgrades
                && let Some(whole) = this.whole(rest)
            {
                let (body, left) = rest.split_at(whole);
                this.input = Bytes::copy_from_slice(left);
                return Ok(Came::Whole(take(head, body)));
            }
            let (parts, upgrades) = this.own(head, came, len)?;
            Ok(Came::Head(parts, upgrades))
        };
        self.poll_head(&mut take_or_own, cx)
    }

    /// Why it came to nothing, with the body that was to be sent.
    pub(crate) fn failed(self, error: Error) -> (Failed, Outgoing) {
        let failed = Failed {
            error,
            sent: self.sending.has_begun(),
            heard: self.has_heard,
        };
        (failed, self.body)
    }

    /// Sends what can be sent. Fails for reasons on this side only.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<()> {
        match &mut self.conn {
            Some(conn) => match self.sending.poll(conn, &mut self.body, cx) {
                Poll::Ready(sent) => sent,
                Poll::Pending => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Goes on until the answer's head is there: what `take` makes of it, and of what came with it.
    fn poll_head<T>(
        &mut self,
        take: &mut impl FnMut(&mut Exchange, &ResponseHead<'_>, &[u8], usize) -> Result<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T>> {
        loop {
            self.poll_send(cx)?;
            if std::mem::take(&mut self.is_watched) && self.sending.is_done() {
                break;
            }
            match self.poll_read_head(take, cx) {
                Poll::Ready(Ok(Some(taken))) => return Poll::Ready(Ok(taken)),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => break,
            }
        }
        if let Some(until) = self.sending.waits_until()
            && self.alarm.poll(Some(until), cx).is_ready()
        {
            cx.waker().wake_by_ref();
        }
        self.extend();
        ready!(self.alarm.poll(self.times.head_by, cx));
        let error = Error::new(Kind::TimedOut, Side::Upstream, self.act());
        Poll::Ready(Err(error.because("it did not answer in time")))
    }

    /// The answer's time begins when the last of the request is sent: a long upload is not what it is measured by.
    fn extend(&mut self) {
        let moved = self.sending.moved();
        if moved != self.moved && !self.sending.is_done() {
            self.moved = moved;
            let later = self.allowed.map(Tick::after);
            self.times.head_by = self.times.head_by.max(later);
        }
    }

    /// Reads once: a head, if one is whole then. In the loop's buffer, where it is parsed in place.
    fn poll_read_head<T>(
        &mut self,
        take: &mut impl FnMut(&mut Exchange, &ResponseHead<'_>, &[u8], usize) -> Result<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<T>>> {
        scratch::with(|buffer| {
            let Some(conn) = &mut self.conn else {
                return Poll::Ready(Err(self.no_answer()));
            };
            let room = buffer.len().min(HEAD_READ);
            let mut read = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
            if let Err(e) = ready!(Pin::new(&mut *conn).poll_read(cx, &mut read)) {
                let error = conn.failed("reading from", e);
                return Poll::Ready(Err(match error.kind() {
                    Kind::Closed => self.no_answer(),
                    _ => error,
                }));
            }
            let came = read.filled();
            if came.is_empty() {
                return Poll::Ready(Err(self.no_answer()));
            }
            self.has_heard = true;
            Poll::Ready(if self.head.is_empty() {
                self.take_head(came, take)
            } else {
                self.head.extend_from_slice(came);
                let whole = std::mem::take(&mut self.head);
                self.take_head(&whole, take)
            })
        })
    }

    /// Takes an answer's head from what came. What is not one yet is kept.
    fn take_head<T>(
        &mut self,
        mut came: &[u8],
        take: &mut impl FnMut(&mut Exchange, &ResponseHead<'_>, &[u8], usize) -> Result<T>,
    ) -> Result<Option<T>> {
        while self.scan.is_worth_parsing(came) {
            let parsed = parse_response(came, &self.bounds, self.asked);
            let parsed = parsed.map_err(|reject| self.rejected(reject, came))?;
            let Some((head, len)) = parsed else {
                break;
            };
            let is_early = head.status.is_informational();
            if is_early && head.status != StatusCode::SWITCHING_PROTOCOLS {
                if head.status == StatusCode::CONTINUE {
                    self.sending.go_on();
                }
                self.informational += 1;
                if self.informational > INFORMATIONAL {
                    let error = Error::new(Kind::Protocol, Side::Upstream, self.act());
                    return Err(error.because("it says 1xx again and again"));
                }
                self.scan = Scan::new(&self.bounds);
                came = came.get(len..).unwrap_or_default();
                continue;
            }
            self.sending.answered();
            self.keep_alive = head.keep_alive && !head.upgrades;
            self.decoder = Some(BodyDecoder::new(head.length, &self.bounds));
            return take(self, &head, came, len).map(Some);
        }
        self.head.extend_from_slice(came);
        Ok(None)
    }

    /// A head of this length as parts, and whether what follows is another protocol. What came behind it waits.
    fn own(
        &mut self,
        head: &ResponseHead<'_>,
        came: &[u8],
        len: usize,
    ) -> Result<(response::Parts, bool)> {
        let mut owned = Bytes::copy_from_slice(came);
        let rest = owned.split_off(len.min(owned.len()));
        let parts = head.to_parts(&owned);
        let parts = parts.map_err(|reject| self.rejected(reject, came))?;
        self.input = rest;
        Ok((parts, head.upgrades))
    }

    /// What came of it, with the connection in it, or already back in its place.
    pub(crate) fn heard(mut self, parts: response::Parts, upgrades: bool) -> Heard {
        let answer = Response::from_parts(parts, Body::empty());
        if upgrades && let Some(conn) = self.conn.take() {
            return Heard::Switch(answer, conn, self.input);
        }
        let input = std::mem::take(&mut self.input);
        let whole = self.whole(&input);
        self.input = input;
        let body = match whole {
            Some(len) => {
                let body = self.input.split_to(len);
                self.finish();
                Body::full(body)
            }
            None => Body::upstream(Upstream::new(Source::Http1(self))),
        };
        Heard::Answer(answer.map(|_| body))
    }

    /// The length of the body, if all of it came with the head, in one piece; then it is taken.
    fn whole(&mut self, input: &[u8]) -> Option<usize> {
        let decoder = self.decoder.as_mut()?;
        match decoder.remaining()? {
            0 => Some(0),
            left if left <= input.len() as u64 => match decoder.decode(input) {
                Ok(Step::Data { skip: 0, len }) => Some(len),
                // A known length is one piece without framing.
                _ => None,
            },
            _ => None,
        }
    }

    /// The answer is whole: the connection goes back, if it can be used again. One on which something is left, or on
    /// which some of the request still waits to be sent, cannot.
    pub(crate) fn finish(&mut self) {
        let is_clean = self.keep_alive && self.input.is_empty() && self.sending.is_done();
        if let Some(conn) = self.conn.take()
            && is_clean
        {
            idle::put(conn, self.keep);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        loop {
            if !self.sending.is_done()
                && let Err(e) = self.poll_send(cx)
            {
                self.conn = None;
                return Poll::Ready(Some(Err(e)));
            }
            let Some(decoder) = self.decoder.as_mut().filter(|_| self.conn.is_some()) else {
                return Poll::Ready(None);
            };
            if decoder.is_done() {
                self.finish();
                return Poll::Ready(None);
            }
            match decoder.decode(&self.input) {
                Ok(Step::Data { skip, len }) => {
                    self.input.advance(skip);
                    return Poll::Ready(Some(Ok(Frame::data(self.input.split_to(len)))));
                }
                Ok(Step::More { consumed }) => self.input.advance(consumed),
                Ok(Step::End { consumed, trailers }) => {
                    self.input.advance(consumed);
                    self.finish();
                    return Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))));
                }
                Err(reject) => {
                    let error = self.rejected(reject, &[]);
                    self.conn = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match ready!(self.poll_more(cx)) {
                Ok(bytes) if bytes.is_empty() => {
                    let ended = self.decoder.as_mut().map(BodyDecoder::end_of_stream);
                    let error = Error::new(Kind::Closed, Side::Upstream, self.act());
                    self.conn = None;
                    let is_broken = matches!(ended, Some(Err(_)));
                    let broken = || Err(error.because("it breaks off before its end"));
                    return Poll::Ready(is_broken.then(broken));
                }
                Ok(bytes) => self.input = bytes,
                Err(e) => {
                    self.conn = None;
                    return Poll::Ready(Some(Err(e)));
                }
            }
        }
    }

    /// Reads more of the body, or fails once nothing came for too long. Nothing is the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        let Some(conn) = &mut self.conn else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        if let Poll::Ready(read) = scratch::poll_bulk(Pin::new(&mut *conn), cx) {
            self.stall = None;
            return Poll::Ready(read.map_err(|e| conn.failed("reading from", e)));
        }
        let by = self.stall.or_else(|| self.times.silence.map(Tick::after));
        self.stall = by;
        ready!(self.alarm.poll(by, cx));
        let error = Error::new(Kind::TimedOut, Side::Upstream, self.act());
        Poll::Ready(Err(error.because("it stopped in the middle")))
    }

    fn act(&self) -> String {
        match &self.conn {
            Some(conn) => format!("reading the answer of {}", conn.endpoint()),
            None => "reading the answer".to_owned(),
        }
    }

    /// The backend closed where its answer should have been.
    fn no_answer(&mut self) -> Error {
        let error = Error::new(Kind::Closed, Side::Upstream, self.act());
        match (self.has_heard, self.sending.refusal()) {
            (true, _) => error.because("it breaks off in its head"),
            (false, Some(refused)) => refused,
            (false, None) => error.because("the backend closed the connection without one"),
        }
    }

    fn rejected(&self, reject: Reject, came: &[u8]) -> Error {
        let error = Error::new(Kind::Protocol, Side::Upstream, self.act());
        let begins = came.get(..came.len().min(40)).unwrap_or_default();
        // A record of TLS (RFC 8446, section 5.1): the alert that our first line is none.
        if begins.starts_with(&[0x15, 0x03]) {
            return error
                .because("the backend speaks TLS")
                .hint("write https:// before its address");
        }
        if !begins.is_empty() && !begins.starts_with(b"HTTP/") {
            let begins = printable(&String::from_utf8_lossy(begins));
            return error.because(format!("it is not HTTP, and begins `{begins}`"));
        }
        error.because(reject.to_string())
    }
}

/// The body of a backend's answer, which goes on with its exchange.
pub(crate) struct Upstream {
    source: Source,
    bytes: u64,
    on_end: Option<OnEnd>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is what usually comes"
)]
pub(super) enum Source {
    Http1(Exchange),
    Http2(Box<super::h2::Incoming>),
}

impl Upstream {
    pub(super) fn new(source: Source) -> Upstream {
        Upstream {
            source,
            bytes: 0,
            on_end: None,
        }
    }

    /// Has this told how the body ended.
    pub(crate) fn on_end(&mut self, tell: OnEnd) {
        self.on_end = Some(tell);
    }

    fn end(&mut self, how: End<'_>) {
        if let Some(tell) = self.on_end.take() {
            tell(how, self.bytes);
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(match &mut self.source {
            Source::Http1(exchange) => exchange.poll_frame(cx),
            Source::Http2(incoming) => incoming.poll_frame(cx),
        });
        match &frame {
            None => self.end(End::Whole),
            Some(Err(e)) => self.end(End::Broken(e)),
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => self.bytes = self.bytes.saturating_add(data.len() as u64),
                None => self.end(End::Whole),
            },
        }
        // Whoever knows the length asks for no more once it is there: the connection is free by then.
        if self.size_hint().exact() == Some(0)
            && let Source::Http1(exchange) = &mut self.source
            && exchange.conn.is_some()
            && exchange.poll_send(cx).is_ok()
        {
            exchange.finish();
            self.end(End::Whole);
        }
        Poll::Ready(frame)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(exchange) => {
                let left = exchange.decoder.as_ref().and_then(BodyDecoder::remaining);
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Source::Http2(incoming) => incoming.size_hint(),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream")
    }
}

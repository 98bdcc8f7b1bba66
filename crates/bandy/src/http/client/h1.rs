//! HTTP/1.1: one exchange at a time on a connection.
//!
//! An exchange has no task of its own: it goes on while its answer, or its answer's body, is polled for. Each poll sends
//! what can be sent and reads what is wanted. A server that answers early and takes no more of the request is no
//! failure, as long as its answer is whole; the connection is not used again then.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::Sleep;

use super::watch::Watched;
use super::{RawHead, Watch, head};
use crate::error::{Error, Kind, Result, Side, is_closed};
use crate::http::{Body, Request, Response, StatusCode};
use crate::net::Conn;
use crate::printable::printable;
use crate::wire::http1::{
    Asked, BodyDecoder, Bounds, CHUNK_TAIL, Length, Reject, Scan, Step, parse_response,
    write_chunk_head, write_last_chunk,
};

/// How long a body waits for `100 Continue`: older servers never send it.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// What is read at once.
const READ: usize = 16 << 10;

/// A connection, while no exchange has it.
#[derive(Debug)]
pub(super) struct Connection {
    home: Home,
    bounds: Bounds,
}

/// Where an exchange brings the connection back to.
#[derive(Debug, Clone)]
struct Home(Arc<Mutex<Option<Conn>>>);

impl Home {
    fn lock(&self) -> MutexGuard<'_, Option<Conn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    pub(super) fn new(conn: Conn, bounds: Bounds) -> Connection {
        Connection {
            home: Home(Arc::new(Mutex::new(Some(conn)))),
            bounds,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.home.lock().is_some()
    }

    pub(super) async fn close(self) {
        let conn = self.home.lock().take();
        if let Some(mut conn) = conn {
            // The answer is whole: how the goodbye is taken makes no difference.
            let _ = conn.finish().await;
        }
    }

    pub(super) async fn send(&mut self, request: Request, watch: Watch) -> Result<Response> {
        let length = head::length(&request)?;
        let Some(conn) = self.home.lock().take() else {
            return Err(busy());
        };
        let mut exchange = Exchange::new(conn, request, length, self, watch);
        std::future::poll_fn(|cx| exchange.poll_head(cx)).await?;
        exchange.into_response()
    }
}

fn busy() -> Error {
    Error::new(Kind::Usage, Side::Local, "sending a request")
        .because("the connection is closed, or has another exchange that is not over")
        .hint("read the answer's body to its end first, or open another connection")
}

struct Exchange {
    /// `None` once it is brought back.
    conn: Option<Conn>,
    home: Home,
    // Out.
    queue: VecDeque<Bytes>,
    body: Watched,
    length: Length,
    /// Of a body of known length.
    left: u64,
    sending: Sending,
    // In.
    buffer: BytesMut,
    reading: Reading,
    received: u64,
    asked: Asked,
    bounds: Bounds,
    watch: Watch,
    answer: Option<Response>,
    keep_alive: bool,
}

enum Sending {
    /// The head is queued; the body waits for a word of the server.
    Asking(Pin<Box<Sleep>>),
    Body,
    /// All is queued.
    Last,
    Done,
    /// The server takes no more, and why.
    Refused(Error),
}

enum Reading {
    Head(Scan),
    Body(BodyDecoder),
    Done,
}

impl Exchange {
    fn new(
        conn: Conn,
        request: Request,
        length: Length,
        connection: &Connection,
        watch: Watch,
    ) -> Exchange {
        let head = head::written(&request, super::Version::Http1);
        let waits = length != Length::None && head::expects_continue(request.headers());
        let asked = Asked::by(request.method().as_str());
        let body = Watched::new(request.into_body(), watch.clone());
        Exchange {
            conn: Some(conn),
            home: connection.home.clone(),
            queue: VecDeque::from([Bytes::from(head)]),
            body,
            length,
            left: match length {
                Length::Known(length) => length,
                _ => 0,
            },
            sending: match () {
                () if waits => Sending::Asking(Box::pin(tokio::time::sleep(CONTINUE_WAIT))),
                () if length == Length::None => Sending::Last,
                () => Sending::Body,
            },
            buffer: BytesMut::new(),
            reading: Reading::Head(Scan::new(&connection.bounds)),
            received: 0,
            asked,
            bounds: connection.bounds,
            watch,
            answer: None,
            keep_alive: false,
        }
    }

    /// Sends what can be sent. Ready once there is nothing more to send; fails only for reasons on this side.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if let Err(e) = ready!(self.poll_queue(cx)) {
                self.sending = Sending::Refused(e);
                self.queue.clear();
            }
            match &mut self.sending {
                Sending::Asking(_) => {
                    // What was queued so far has to leave, or the server cannot answer to it.
                    let _ = self.poll_flush(cx);
                    if let Sending::Asking(sleep) = &mut self.sending {
                        ready!(sleep.as_mut().poll(cx));
                        self.sending = Sending::Body;
                    }
                }
                Sending::Body => match Pin::new(&mut self.body).poll_body(cx) {
                    Poll::Pending => {
                        let _ = self.poll_flush(cx);
                        return Poll::Pending;
                    }
                    Poll::Ready(frame) => self.take(frame.transpose()?)?,
                },
                Sending::Last => {
                    if let Err(e) = ready!(self.poll_flush(cx)) {
                        self.sending = Sending::Refused(e);
                    } else {
                        self.watch.sent();
                        self.sending = Sending::Done;
                    }
                }
                Sending::Done | Sending::Refused(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Queues a piece of the body, or its end.
    fn take(&mut self, frame: Option<Frame<Bytes>>) -> Result<()> {
        let is_chunked = self.length == Length::Chunked;
        match frame.map(Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) if is_chunked => {
                let mut head = Vec::with_capacity(18);
                write_chunk_head(&mut head, data.len());
                self.queue
                    .extend([head.into(), data, Bytes::from_static(CHUNK_TAIL)]);
            }
            Some(Ok(data)) => {
                self.left = self
                    .left
                    .checked_sub(data.len() as u64)
                    .ok_or_else(|| misfit("it is longer than its Content-Length says"))?;
                self.queue.push_back(data);
            }
            trailers_or_end => {
                if self.left > 0 {
                    return Err(misfit("it is shorter than its Content-Length says"));
                }
                if is_chunked {
                    let trailers = trailers_or_end.and_then(|frame| frame.err());
                    let trailers = trailers.and_then(|frame| frame.into_trailers().ok());
                    let mut last = Vec::new();
                    write_last_chunk(&mut last, trailers.as_ref());
                    self.queue.push_back(last.into());
                }
                self.sending = Sending::Last;
            }
        }
        Ok(())
    }

    /// Writes what is queued. Fails when the server takes no more.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(conn) = &mut self.conn else {
            return Poll::Ready(Ok(()));
        };
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let pieces = self.queue.iter().filter(|piece| !piece.is_empty());
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let written = match ready!(Pin::new(&mut *conn).poll_write_vectored(cx, slices)) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                written => written,
            };
            let mut written = written.map_err(|e| conn.failed("writing to", e))?;
            while let Some(piece) = self.queue.front_mut() {
                let n = written.min(piece.len());
                piece.advance(n);
                written -= n;
                if !piece.is_empty() {
                    break;
                }
                self.queue.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.conn {
            Some(conn) => {
                let flushed = ready!(Pin::new(&mut *conn).poll_flush(cx));
                Poll::Ready(flushed.map_err(|e| conn.failed("writing to", e)))
            }
            None => Poll::Ready(Ok(())),
        }
    }

    /// Reads some more: how many bytes, 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        let Some(conn) = &mut self.conn else {
            return Poll::Ready(Ok(0));
        };
        self.buffer.reserve(READ);
        let n = match ready!(pin!(conn.read_buf(&mut self.buffer)).poll(cx)) {
            Ok(n) => n,
            Err(e) => {
                let is_gone = is_closed(e.kind());
                let error = conn.failed("reading from", e);
                return Poll::Ready(Err(match is_gone && error.kind() == Kind::Closed {
                    true => self.broken(error),
                    false => error,
                }));
            }
        };
        if n > 0 {
            self.watch.received();
            self.received += n as u64;
        }
        Poll::Ready(Ok(n))
    }

    /// Goes on until the answer's head is there.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            if let Poll::Ready(Err(e)) = self.poll_send(cx) {
                return Poll::Ready(Err(e));
            }
            if let Reading::Head(scan) = &mut self.reading
                && scan.is_worth_parsing(&self.buffer)
                && self.parse()?
                && self.answer.is_none()
            {
                // One of 1xx: it may have let the body go, and the next head may be here already.
                continue;
            }
            if self.answer.is_some() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_read(cx))? == 0 {
                return Poll::Ready(Err(self.no_answer()));
            }
        }
    }

    /// Parses a head, if it is whole.
    fn parse(&mut self) -> Result<bool> {
        let parsed = parse_response(&self.buffer, &self.bounds, self.asked);
        let Some((head, len)) = parsed.map_err(|reject| self.rejected(reject))? else {
            return Ok(false);
        };
        let (length, keep_alive, upgrades) = (head.length, head.keep_alive, head.upgrades);
        // Copied, so that the buffer can be read into while the fields live.
        let owned = Bytes::copy_from_slice(self.buffer.get(..len).unwrap_or_default());
        let parts = head.to_parts(&owned);
        let parts = parts.map_err(|reject| self.rejected(reject))?;
        self.buffer.advance(len);
        let status = parts.status;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            self.watch.informational(status, parts.headers);
            if status == StatusCode::CONTINUE && matches!(self.sending, Sending::Asking(_)) {
                self.sending = Sending::Body;
            }
            self.reading = Reading::Head(Scan::new(&self.bounds));
            return Ok(true);
        }
        if matches!(self.sending, Sending::Asking(_)) {
            // It answers without the body, and so is not sent it (RFC 9110, section 10.1.1).
            let why = "the server answered before it wanted the body";
            let act = "sending a request's body";
            let error = Error::new(Kind::Closed, Side::Upstream, act).because(why);
            self.sending = Sending::Refused(error);
        }
        self.keep_alive = keep_alive && !upgrades;
        // Whatever follows a change of protocol, it lasts until the end.
        let length = if upgrades { Length::UntilClose } else { length };
        self.reading = Reading::Body(BodyDecoder::new(length, &self.bounds));
        let mut answer = Response::from_parts(parts, Body::empty());
        answer.extensions_mut().insert(RawHead(owned));
        self.answer = Some(answer);
        Ok(true)
    }

    fn into_response(mut self) -> Result<Response> {
        let Some(answer) = self.answer.take() else {
            return Err(self.no_answer());
        };
        let is_empty = matches!(&self.reading, Reading::Body(decoder) if decoder.is_done());
        if is_empty && matches!(self.sending, Sending::Done) {
            self.end();
            return Ok(answer);
        }
        Ok(answer.map(|_| Body::stream(Incoming(Box::new(self)))))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        loop {
            if let Poll::Ready(Err(e)) = self.poll_send(cx) {
                self.reading = Reading::Done;
                return Poll::Ready(Some(Err(e)));
            }
            let step = match &mut self.reading {
                Reading::Body(decoder) if decoder.is_done() => {
                    self.end();
                    return Poll::Ready(None);
                }
                Reading::Body(decoder) => decoder.decode(&self.buffer),
                Reading::Head(_) | Reading::Done => return Poll::Ready(None),
            };
            match step {
                Ok(Step::Data { skip, len }) => {
                    self.buffer.advance(skip);
                    let data = self.buffer.split_to(len).freeze();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Step::More { consumed }) => self.buffer.advance(consumed),
                Ok(Step::End { consumed, trailers }) => {
                    self.buffer.advance(consumed);
                    self.end();
                    let trailers = trailers.filter(|trailers| !trailers.is_empty());
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Err(reject) => {
                    let error = self.rejected(reject);
                    self.reading = Reading::Done;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let left = self.remaining();
            let ended = match ready!(self.poll_read(cx)) {
                Ok(0) => match &mut self.reading {
                    Reading::Body(decoder) => decoder.end_of_stream(),
                    _ => Ok(()),
                },
                Ok(_) => continue,
                Err(e) => {
                    self.reading = Reading::Done;
                    return Poll::Ready(Some(Err(e)));
                }
            };
            let end = match ended {
                Ok(()) => None,
                Err(_) => Some(Err(self.broken(missing(left)))),
            };
            self.reading = Reading::Done;
            return Poll::Ready(end);
        }
    }

    /// The answer is whole: the connection goes home if it can be used again.
    fn end(&mut self) {
        self.reading = Reading::Done;
        let is_clean = self.buffer.is_empty() && matches!(self.sending, Sending::Done);
        if let Some(conn) = self.conn.take()
            && is_clean
            && self.keep_alive
        {
            *self.home.lock() = Some(conn);
        }
    }

    fn remaining(&self) -> Option<u64> {
        match &self.reading {
            Reading::Body(decoder) => decoder.remaining(),
            Reading::Head(_) => None,
            Reading::Done => Some(0),
        }
    }

    fn act(&self) -> String {
        match &self.conn {
            Some(conn) => format!("reading the answer of {}", conn.endpoint()),
            None => "reading the answer".to_owned(),
        }
    }

    /// The server closed where its answer should have been.
    fn no_answer(&self) -> Error {
        let error = Error::new(Kind::Closed, Side::Upstream, self.act());
        match self.received {
            0 => error
                .because("the server closed the connection without one")
                .hint("does it speak HTTP, and without TLS? Its own log may say why"),
            _ => error.because("it breaks off in its head"),
        }
    }

    /// The connection broke in the middle of the answer, or before it.
    fn broken(&self, cause: Error) -> Error {
        if self.received == 0 {
            // What the server said of it may be in the failure to write.
            return match &self.sending {
                Sending::Refused(e) => Error::new(Kind::Closed, Side::Upstream, e.act()).because(
                    "the server closed the connection before it took all, and without an answer",
                ),
                _ => self.no_answer(),
            };
        }
        let error = Error::new(Kind::Closed, Side::Upstream, self.act());
        error
            .because(format!("it breaks off: {cause}"))
            .hint("what came is not all; ask again")
    }

    fn rejected(&self, reject: Reject) -> Error {
        let error = Error::new(Kind::Protocol, Side::Upstream, self.act());
        let begins = self
            .buffer
            .get(..self.buffer.len().min(40))
            .unwrap_or_default();
        // A record of TLS (RFC 8446, section 5.1): the alert that our first line is none.
        if matches!(self.reading, Reading::Head(_)) && begins.starts_with(&[0x15, 0x03]) {
            return error
                .because("the server speaks TLS")
                .hint("ask it at https://");
        }
        if matches!(self.reading, Reading::Head(_)) && !begins.starts_with(b"HTTP/") {
            let begins = printable(&String::from_utf8_lossy(begins));
            return error
                .because(format!("it is not HTTP, and begins `{begins}`"))
                .hint("tcp:// shows what a server of something else says");
        }
        error
            .because(reject.to_string())
            .hint("the server does not keep to HTTP; tcp:// shows what it sends")
    }
}

fn missing(bytes: Option<u64>) -> Error {
    let why = match bytes {
        Some(bytes) => format!("the server closed, and {bytes} bytes are missing"),
        None => "the server closed before its end".to_owned(),
    };
    Error::new(Kind::Closed, Side::Upstream, why)
}

fn misfit(why: &str) -> Error {
    Error::new(Kind::Usage, Side::Local, "sending a request's body")
        .because(why)
        .hint("did the file change meanwhile?")
}

impl Watched {
    fn poll_body(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        http_body::Body::poll_frame(self, cx)
    }
}

/// An answer's body, which goes on with the exchange.
struct Incoming(Box<Exchange>);

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.0.poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.remaining() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incoming")
    }
}

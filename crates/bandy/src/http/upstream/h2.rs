//! HTTP/2 to a backend, by hyper and h2: many requests at once on each of an event loop's connections.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::Version;
use bytes::Bytes;
use foldhash::HashMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::client::conn::http2;
use tokio::runtime::{Handle, Id};

use super::exchange::{Source, Times, Upstream};
use super::{Alarm, Failed, Heard, Keep, Outgoing};
use crate::error::{Error, Kind, Result, Side};
use crate::http::Body;
use crate::http::transport::{OnThisLoop, Transport};
use crate::net::{Conn, Tick};
use crate::wire::http1::{Length, is_forbidden_trailer};

/// Bytes that may be on their way unread in one answer, and in all of a connection's.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The longest head of an answer, as HTTP/1.1's.
const HEAD_BYTES: u32 = 64 << 10;
/// Requests at once on one connection: what servers allow who say nothing (RFC 9113, section 6.5.2). Beyond it another
/// connection is made.
const STREAMS: usize = 100;

thread_local! {
    static LINES: RefCell<Option<Lines>> = const { RefCell::new(None) };
}

/// An event loop's connections.
#[derive(Clone)]
struct Lines {
    runtime: Id,
    all: Arc<Mutex<HashMap<u64, Vec<Arc<Inner>>>>>,
    /// Who connects to a backend, while others that want the same wait.
    dialing: Arc<Mutex<HashMap<u64, Arc<tokio::sync::Mutex<()>>>>>,
}

/// A place on a connection to a backend, for one request.
pub(crate) struct Line(Arc<Inner>);

struct Inner {
    sender: http2::SendRequest<Sent>,
    /// Requests on it.
    open: AtomicUsize,
    used: Mutex<Tick>,
    backend: u64,
    /// For messages.
    endpoint: String,
}

impl Lines {
    fn here() -> Option<Lines> {
        let runtime = Handle::try_current().ok()?.id();
        LINES.with_borrow_mut(|lines| match lines {
            Some(lines) if lines.runtime == runtime => Some(lines.clone()),
            _ => {
                let fresh = Lines {
                    runtime,
                    all: Arc::default(),
                    dialing: Arc::default(),
                };
                Some(lines.insert(fresh).clone())
            }
        })
    }

    fn take(&self, backend: u64) -> Option<Line> {
        let mut all = lock(&self.all);
        let lines = all.get_mut(&backend)?;
        lines.retain(|line| !line.sender.is_closed());
        let free = lines
            .iter()
            .find(|line| line.open.load(Relaxed) < STREAMS)?;
        free.open.fetch_add(1, Relaxed);
        Some(Line(free.clone()))
    }

    fn forget(&self, line: &Arc<Inner>) {
        if let Some(lines) = lock(&self.all).get_mut(&line.backend) {
            lines.retain(|other| !Arc::ptr_eq(other, line));
        }
    }
}

/// A place on one of this event loop's connections to a backend, if there is one.
pub(crate) fn take(backend: u64) -> Option<Line> {
    LINES.with_borrow(|lines| lines.clone())?.take(backend)
}

/// As [`take`]; else connects, which only one at a time does for a backend.
///
/// # Errors
/// What `connect` and the handshake report.
pub(crate) async fn take_or_open(
    keep: Keep,
    connect: impl Future<Output = Result<Conn>>,
) -> Result<Line> {
    let Some(lines) = Lines::here() else {
        let error = Error::new(Kind::Usage, Side::Local, "connecting over HTTP/2");
        return Err(error.because("there is no event loop here"));
    };
    let turn = lock(&lines.dialing)
        .entry(keep.backend)
        .or_default()
        .clone();
    let _turn = turn.lock().await;
    match lines.take(keep.backend) {
        Some(line) => Ok(line),
        None => open(connect.await?, keep).await,
    }
}

/// Begins HTTP/2 on a connection, which is kept from then on.
///
/// # Errors
/// What the handshake reports.
pub(crate) async fn open(conn: Conn, keep: Keep) -> Result<Line> {
    let endpoint = conn.endpoint().to_string();
    let act = format!("beginning HTTP/2 with {endpoint}");
    let Some(lines) = Lines::here() else {
        return Err(Error::new(Kind::Usage, Side::Local, act));
    };
    let mut builder = http2::Builder::new(OnThisLoop);
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_BYTES);
    let transport = Transport::new(conn, Bytes::new());
    let (sender, connection) = builder
        .handshake(transport)
        .await
        .map_err(|e| explained(act, &e))?;
    let inner = Arc::new(Inner {
        sender,
        open: AtomicUsize::new(1),
        used: Mutex::new(Tick::now()),
        backend: keep.backend,
        endpoint,
    });
    let of_backend = keep.backend;
    lock(&lines.all)
        .entry(of_backend)
        .or_default()
        .push(inner.clone());
    let watched = Arc::downgrade(&inner);
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        loop {
            let look = keep.idle.max(Duration::from_millis(100));
            // How it ended, its requests are told.
            if tokio::time::timeout(look, connection.as_mut())
                .await
                .is_ok()
            {
                break;
            }
            // Without anybody who could send, it ends.
            let Some(line) = watched.upgrade() else {
                continue;
            };
            let is_idle = line.open.load(Relaxed) == 0 && lock(&line.used).elapsed() >= keep.idle;
            if is_idle {
                lines.forget(&line);
            }
        }
        if let Some(line) = watched.upgrade() {
            lines.forget(&line);
        }
    });
    Ok(Line(inner))
}

impl Line {
    /// Sends a request, whose URI is absolute, and waits for the head of its answer. Where it fails, the body comes back.
    pub(crate) async fn ask(
        self,
        request: ::http::Request<()>,
        body: Outgoing,
        mut alarm: Alarm,
        times: Times,
    ) -> std::result::Result<Heard, (Failed, Outgoing)> {
        let length = body.length();
        let place = Arc::new(Mutex::new(Some(body)));
        let sent = Sent {
            body: place.clone(),
            length,
        };
        let act = format!("reading the answer of {}", self.0.endpoint);
        let mut sending = pin!(self.0.sender.clone().send_request(request.map(|()| sent)));
        let answered = std::future::poll_fn(|cx| {
            if let Poll::Ready(answered) = sending.as_mut().poll(cx) {
                return Poll::Ready(answered.map_err(|e| {
                    let sent = !was_never_sent(&e);
                    (explained(act.clone(), &e), sent)
                }));
            }
            ready!(alarm.poll(times.head_by, cx));
            // Whether anybody is still there at all is not known: what comes next goes another way.
            if let Some(lines) = Lines::here() {
                lines.forget(&self.0);
            }
            let error = Error::new(Kind::TimedOut, Side::Upstream, act.clone());
            Poll::Ready(Err((error.because("it did not answer in time"), true)))
        });
        match answered.await {
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                parts.version = Version::HTTP_11;
                let is_over = body.is_end_stream();
                let incoming = Incoming {
                    body,
                    line: self,
                    alarm,
                    silence: times.silence,
                    stall: None,
                };
                let body = match is_over {
                    true => Body::empty(),
                    false => Body::upstream(Upstream::new(Source::Http2(Box::new(incoming)))),
                };
                Ok(Heard::Answer(::http::Response::from_parts(parts, body)))
            }
            Err((error, sent)) => {
                let failed = Failed {
                    error,
                    sent,
                    heard: false,
                };
                let body = lock(&place).take();
                let body = body.unwrap_or_else(|| Outgoing::new(Body::empty(), false));
                Err((failed, body))
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        *lock(&self.0.used) = Tick::now();
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// A request's body on its way, which whoever sent it can take back.
struct Sent {
    body: Arc<Mutex<Option<Outgoing>>>,
    length: Length,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match &mut *lock(&self.body) {
            Some(body) => body.poll_next(cx).map_ok(passed),
            None => {
                let error = Error::new(Kind::Closed, Side::Local, "sending a request's body");
                Poll::Ready(Some(Err(error.because("it is sent to another backend"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length == Length::None
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Length::None => SizeHint::with_exact(0),
            Length::Known(len) => SizeHint::with_exact(len),
            Length::Chunked | Length::UntilClose => SizeHint::default(),
        }
    }
}

/// An answer's body.
pub(super) struct Incoming {
    body: hyper::body::Incoming,
    line: Line,
    alarm: Alarm,
    silence: Option<Duration>,
    stall: Option<Tick>,
}

impl Incoming {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let act = || format!("reading the answer of {}", self.line.0.endpoint);
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.stall = None;
            let frame = frame.map(|frame| frame.map(passed).map_err(|e| explained(act(), &e)));
            return Poll::Ready(frame);
        }
        let by = self.stall.or_else(|| self.silence.map(Tick::after));
        self.stall = by;
        ready!(self.alarm.poll(by, cx));
        let error = Error::new(Kind::TimedOut, Side::Upstream, act());
        Poll::Ready(Some(Err(error.because("it stopped in the middle"))))
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A frame without the trailers that have no place there.
fn passed(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(fields) => {
            let fields = fields.into_iter();
            let mut name = None;
            let mut kept = crate::http::HeaderMap::new();
            for (next, value) in fields {
                name = next.or(name);
                if let Some(name) = &name
                    && !is_forbidden_trailer(name.as_str())
                {
                    kept.append(name.clone(), value);
                }
            }
            Frame::trailers(kept)
        }
        Err(frame) => frame,
    }
}

/// Whether the backend certainly did nothing about a request (RFC 9113, section 8.7): it never left, or was refused.
fn was_never_sent(error: &hyper::Error) -> bool {
    let refused = |e: &h2::Error| e.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_canceled() || source_of::<h2::Error>(error).is_some_and(refused)
}

fn source_of<E: std::error::Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = std::error::Error::source(error);
    while let Some(e) = source {
        if let Some(found) = e.downcast_ref() {
            return Some(found);
        }
        source = e.source();
    }
    None
}

fn explained(act: String, cause: &hyper::Error) -> Error {
    // What the request's body said of itself.
    if let Some(e) = source_of::<Error>(cause) {
        return Error::new(e.kind(), e.side(), act).because(e.to_string());
    }
    if let Some(e) = source_of::<std::io::Error>(cause) {
        let e = std::io::Error::new(e.kind(), e.to_string());
        return Error::talking(Side::Upstream, act, e);
    }
    let why = match std::error::Error::source(cause) {
        Some(source) => format!("{cause}: {source}"),
        None => cause.to_string(),
    };
    let kind = match cause.is_closed() || cause.is_canceled() || cause.is_incomplete_message() {
        true => Kind::Closed,
        false => Kind::Protocol,
    };
    Error::new(kind, Side::Upstream, act).because(why)
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

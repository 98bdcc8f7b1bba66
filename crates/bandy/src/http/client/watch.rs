//! What happens when in an exchange, for whoever draws it, and how long nothing did.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::error::{Error, Kind, Result, Side};
use crate::http::{Body, HeaderMap, StatusCode};
use crate::net::Conn;

/// What is counted of the connection underneath.
#[derive(Clone)]
pub(super) struct Meter(Arc<crate::net::Meter>);

impl Meter {
    pub(super) fn of(conn: &Conn) -> Meter {
        Meter(conn.meter().clone())
    }

    pub(super) fn sent(&self) -> u64 {
        self.0.written()
    }

    pub(super) fn received(&self) -> u64 {
        self.0.read()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// Who is told what happens in an exchange: an extension of its request. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    meter: Option<Meter>,
    /// The request's body is what is waited for.
    waits_for_source: bool,
}

/// What happened so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When the last byte of the request was on its way.
    pub sent: Option<Instant>,
    /// When the first byte of the answer came, of an informational one too.
    pub first: Option<Instant>,
    /// Answers of 1xx before the real one, in their order.
    pub informational: Vec<(StatusCode, HeaderMap)>,
}

/// As many as anyone needs to see; a server can send them without end.
const INFORMATIONAL_MAX: usize = 16;

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened so far.
    pub fn seen(&self) -> Seen {
        self.lock().seen.clone()
    }

    /// Bytes that the connection has sent and received by now, with all exchanges before this one.
    pub fn bytes(&self) -> (u64, u64) {
        match &self.lock().meter {
            Some(meter) => (meter.sent(), meter.received()),
            None => (0, 0),
        }
    }

    /// Does a part of the exchange, as long as the connection is not silent for `patience`, in which time neither end
    /// took or sent a byte. Waiting for our own request's body is not timed.
    ///
    /// # Errors
    /// [`Kind::TimedOut`], saying what was attempted.
    pub async fn within<F: Future>(
        &self,
        patience: Option<Duration>,
        act: impl FnOnce() -> String,
        part: F,
    ) -> Result<F::Output> {
        let Some(patience) = patience else {
            return Ok(part.await);
        };
        let mut part = pin!(part);
        let mut wait = patience;
        let began = Instant::now();
        loop {
            if let Ok(done) = tokio::time::timeout(wait, &mut part).await {
                return Ok(done);
            }
            let silent = self.silent_for(began.elapsed());
            wait = match patience.checked_sub(silent) {
                Some(left) if !left.is_zero() => left,
                _ if self.lock().waits_for_source => patience,
                _ => {
                    return Err(Error::new(Kind::TimedOut, Side::Upstream, act())
                        .because(format!("nothing came for {patience:?}"))
                        .hint("is the server busy or stuck? --timeout allows more"));
                }
            };
        }
    }

    /// How long nothing went either way, at most `longest`.
    fn silent_for(&self, longest: Duration) -> Duration {
        match &self.lock().meter {
            Some(meter) => meter.0.idle_for().min(longest),
            None => longest,
        }
    }

    pub(super) fn begin(&self, meter: Meter) {
        *self.lock() = State {
            meter: Some(meter),
            ..State::default()
        };
    }

    pub(super) fn sent(&self) {
        self.lock().seen.sent.get_or_insert_with(Instant::now);
    }

    pub(super) fn received(&self) {
        self.lock().seen.first.get_or_insert_with(Instant::now);
    }

    pub(super) fn informational(&self, status: StatusCode, fields: HeaderMap) {
        let mut state = self.lock();
        if state.seen.informational.len() < INFORMATIONAL_MAX {
            state.seen.informational.push((status, fields));
        }
    }

    pub(super) fn waits_for_source(&self, waits: bool) {
        self.lock().waits_for_source = waits;
    }
}

/// A request's body that tells the watch when it is waited for, and when it is over.
pub(super) struct Watched {
    body: Body,
    watch: Watch,
}

impl Watched {
    pub(super) fn new(body: Body, watch: Watch) -> Watched {
        if body.is_empty() {
            watch.sent();
        }
        Watched { body, watch }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.watch.waits_for_source(polled.is_pending());
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.watch.sent();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! One connection from its acceptance to its line in the log.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;
use tokio::time::Sleep;

use super::Shared;
use super::drain::Drain;
use crate::error::{Error, Kind, Result, Side};
use crate::limits::Limits;
use crate::net::Incoming;
use crate::net::conn::{Conn, Meter};

/// Establishes a connection, has the service answer it within the server's deadlines, and logs how it went.
pub(super) async fn converse(server: Arc<Shared>, incoming: Incoming) {
    let meter = incoming.meter().clone();
    // Logs when it is dropped, so that a conversation that is cut from outside has its line too.
    let mut record = Record {
        server: &server,
        meter: meter.clone(),
        end: End::Cut,
    };
    let conn = match establish(incoming, &server.limits).await {
        Ok(conn) => conn,
        Err(e) => {
            record.end = End::Failed(e);
            return;
        }
    };
    let mut cut = pin!(server.drain.cut());
    // Registered before it is looked at: a cut between the two is not missed.
    cut.as_mut().enable();
    let first = match look(&meter, &server.limits, Instant::now()) {
        Ok(first) => first,
        Err(end) => {
            record.end = end;
            return;
        }
    };
    let timer = tokio::time::sleep_until(first.into());
    let watch = Watch {
        call: server.service.call_boxed(conn),
        deadlines: pin!(timer),
        is_watched: false,
        cut,
        meter: &meter,
        limits: &server.limits,
        drain: &server.drain,
    };
    record.end = watch.await;
}

async fn establish(incoming: Incoming, limits: &Limits) -> Result<Conn> {
    if !incoming.has_handshake() {
        return incoming.establish().await;
    }
    let peer = incoming.peer().clone();
    // Boxed for the same reason as the handshake itself: see `Incoming::establish`.
    let handshake = Box::pin(tokio::time::timeout(limits.handshake, incoming.establish()));
    match handshake.await {
        Ok(established) => established,
        Err(_) => {
            let act = format!("handshake with {peer}");
            let why = format!("it took longer than {:?}", limits.handshake);
            Err(Error::new(Kind::TimedOut, Side::Downstream, act).because(why))
        }
    }
}

/// How a conversation ended.
#[derive(Debug)]
enum End {
    /// The service was done.
    Served,
    /// The service, or a handshake before it, failed.
    Failed(Error),
    /// No byte went either way for the idle time.
    Idle(Duration),
    /// It was open for as long as any may be.
    Lifetime(Duration),
    /// It was still open at the drain deadline.
    Cut,
    /// The service panicked.
    Panicked,
}

/// A service's call under its server's deadlines.
///
/// A byte moves no timer: it only leaves its time in the meter. When the timer fires, it is set to when the idle time
/// would be over now, if that is later.
struct Watch<'a, 'd, F> {
    call: F,
    deadlines: Pin<&'a mut Sleep>,
    /// The timer has this task's waker.
    is_watched: bool,
    cut: Pin<&'a mut Notified<'d>>,
    meter: &'a Meter,
    limits: &'a Limits,
    drain: &'a Drain,
}

impl<F: Future<Output = Result<()>> + Unpin> Future for Watch<'_, '_, F> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = &mut *self;
        let call = std::panic::AssertUnwindSafe(|| Pin::new(&mut this.call).poll(cx));
        // A service of one's own may panic; that is its conversation's end and nobody else's.
        match std::panic::catch_unwind(call) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(End::Served),
            Ok(Poll::Ready(Err(e))) => return Poll::Ready(End::Failed(e)),
            Ok(Poll::Pending) => {}
            Err(_) => return Poll::Ready(End::Panicked),
        }
        if this.drain.is_cut() {
            return Poll::Ready(End::Cut);
        }
        if this.is_watched && !this.deadlines.is_elapsed() {
            // Woken by bytes: the timer and the cut have this task's waker from before, and need no look.
            return Poll::Pending;
        }
        if !this.is_watched {
            let _ = this.cut.as_mut().poll(cx);
            this.is_watched = true;
        }
        while this.deadlines.as_mut().poll(cx).is_ready() {
            match look(this.meter, this.limits, Instant::now()) {
                Ok(next) => this.deadlines.as_mut().reset(next.into()),
                Err(end) => return Poll::Ready(end),
            }
        }
        Poll::Pending
    }
}

/// What is over now, or else when to look again.
fn look(meter: &Meter, limits: &Limits, now: Instant) -> std::result::Result<Instant, End> {
    // Later than any process runs; `Instant` cannot hold much more.
    let mut next = now + Duration::from_secs(30 * 365 * 24 * 3600);
    if let Some(lifetime) = limits.lifetime {
        let left = lifetime.saturating_sub(now.saturating_duration_since(meter.opened));
        if left.is_zero() {
            return Err(End::Lifetime(lifetime));
        }
        next = next.min(now + left);
    }
    if let Some(idle) = limits.idle {
        let left = idle.saturating_sub(meter.idle_for());
        if left.is_zero() {
            return Err(End::Idle(idle));
        }
        next = next.min(now + left);
    }
    Ok(next)
}

/// What a conversation's line in the log says. Logs when dropped.
struct Record<'a> {
    server: &'a Shared,
    meter: Arc<Meter>,
    end: End,
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let meter = &self.meter;
        let duration_ms = meter.opened.elapsed().as_secs_f64() * 1e3;
        let side = self.side();
        tracing::info!(
            server = %self.server.name,
            service = %self.server.service_name,
            endpoint = %meter.endpoint,
            peer = %meter.peer,
            received = meter.read(),
            sent = meter.written(),
            duration_ms = (duration_ms * 1e3).round() / 1e3,
            side = side.map(tracing::field::display),
            ended = %Ended(self),
            "conversation"
        );
    }
}

impl Record<'_> {
    /// Whose side ended it.
    fn side(&self) -> Option<Side> {
        Some(match &self.end {
            End::Served if self.meter.peer_closed() => Side::Downstream,
            End::Failed(e) => e.side(),
            End::Idle(_) => Side::Downstream,
            End::Served | End::Lifetime(_) | End::Cut | End::Panicked => Side::Local,
        })
    }
}

struct Ended<'a>(&'a Record<'a>);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.end {
            End::Served if self.0.meter.peer_closed() => f.write_str("closed by the peer"),
            End::Served => f.write_str("closed by the service"),
            End::Failed(e) => write!(f, "{e}"),
            End::Idle(idle) => write!(f, "idle for {idle:?}"),
            End::Lifetime(lifetime) => write!(f, "open for {lifetime:?}, the longest allowed"),
            End::Cut => f.write_str("cut: the server ended"),
            End::Panicked => f.write_str("the service panicked"),
        }
    }
}

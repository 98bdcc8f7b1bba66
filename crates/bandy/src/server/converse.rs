//! One connection from its acceptance to its line in the log.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

use super::drain::{Part, Stage};
use super::live::Shared;
use super::loops::OnLoop;
use super::serve::Place;
use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::limits::Limits;
use crate::net::{Conn, Incoming, Meter, Tick};

/// A connection with all that it holds while it lives.
pub(super) struct Conversation {
    pub(super) server: Arc<Shared>,
    pub(super) incoming: Incoming,
    pub(super) held: Held,
}

/// What comes back to the server when a conversation is over, by being dropped.
pub(super) struct Held {
    pub(super) _place: Place,
    pub(super) _part: Part,
    pub(super) _on_loop: Option<OnLoop>,
}

impl Conversation {
    /// Establishes the connection, has the service answer it within the server's deadlines, and logs how it went.
    pub(super) async fn run(self) {
        let (mut record, incoming, held) = self.begin();
        // Boxed: a handshake's state is large, and would be part of the task for as long as the connection lives.
        let handshake = Box::pin(establish(incoming, &record.server.limits));
        match handshake.await {
            Ok(conn) => Talk::new(record, conn, held).await,
            Err(e) => record.end = End::Failed(e),
        }
    }

    /// As [`Conversation::run`], for a connection without handshakes: nothing has to be waited for, and the future is
    /// as small as can be. Must be called on the event loop that the future will run on.
    pub(super) fn run_plain(self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let (mut record, incoming, held) = self.begin();
        match incoming.establish_plain() {
            Ok(conn) => Some(Talk::new(record, conn, held)),
            Err(e) => {
                record.end = End::Failed(e);
                None
            }
        }
    }

    /// The record logs when it is dropped, so that a conversation that is cut from outside has its line too.
    fn begin(self) -> (Record, Incoming, Held) {
        self.incoming.meter().count_begin();
        let record = Record {
            server: self.server,
            meter: self.incoming.meter().clone(),
            end: End::Cut,
        };
        (record, self.incoming, self.held)
    }

    /// Takes the connection off this thread's event loop, to run on another. A connection that cannot be is closed.
    pub(super) fn loosen(mut self) -> Option<Conversation> {
        match self.incoming.loosen() {
            Ok(incoming) => self.incoming = incoming,
            Err(e) => {
                tracing::warn!(error = %e, "connection lost");
                return None;
            }
        }
        Some(self)
    }
}

async fn establish(incoming: Incoming, limits: &Limits) -> Result<Conn> {
    let peer = incoming.peer().clone();
    match tokio::time::timeout(limits.handshake, incoming.establish()).await {
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

pin_project! {
    /// A service's call under its server's deadlines.
    ///
    /// A byte moves no timer: it only leaves its time in the meter. When the timer fires, it is set to when the idle
    /// time would be over now, if that is later. A service's own deadlines ([`Conn::wake_at`]) are on the same timer.
    ///
    /// Written by hand, and in this order, for the cache: with many connections every line that a message touches is a
    /// miss, and an `async fn` of the same logic cost a tenth of an echo's CPU at 1,000 connections.
    #[repr(C)]
    struct Talk {
        call: Pin<Box<dyn Future<Output = Result<()>> + Send>>,
        // The timer and the news have this task's waker.
        is_watched: bool,
        // When the timer fires.
        looks_at: Tick,
        record: Record,
        #[pin]
        timer: Sleep,
        #[pin]
        news: OwnedNotified,
        held: Held,
    }
}

impl Talk {
    fn new(record: Record, conn: Conn, held: Held) -> Talk {
        let news = record.server.drain.news();
        let call = record.server.service.answer(conn);
        // Looked at when it is first polled; by then it is on the event loop whose timers it uses.
        let timer = tokio::time::sleep(Duration::ZERO);
        Talk {
            call,
            is_watched: false,
            looks_at: Tick::now(),
            record,
            timer,
            news,
            held,
        }
    }
}

impl Future for Talk {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let (server, meter) = (&this.record.server, &this.record.meter);
        let stage = server.drain.stage();
        let call = std::panic::AssertUnwindSafe(|| this.call.as_mut().poll(cx));
        // A service of one's own may panic; that is its conversation's end and nobody else's.
        let end = match std::panic::catch_unwind(call) {
            Ok(Poll::Ready(Ok(()))) => End::Served,
            Ok(Poll::Ready(Err(e))) => End::Failed(e),
            Err(_) => End::Panicked,
            // Woken by bytes: the timer and the news have this task's waker from before, and need no look. Once the server
            // ends they always get one: its news may have come already, and then there is more to listen for.
            Ok(Poll::Pending)
                if *this.is_watched
                    && stage == Stage::Open
                    && !this.timer.is_elapsed()
                    && meter.wake().is_none_or(|at| *this.looks_at <= at) =>
            {
                return Poll::Pending;
            }
            Ok(Poll::Pending) => loop {
                if stage == Stage::Cut {
                    break End::Cut;
                }
                if this.news.as_mut().poll(cx).is_ready() {
                    this.news.set(server.drain.news());
                    continue;
                }
                // Listened to before it is looked at: no news between the two is missed.
                *this.is_watched = true;
                if server.drain.stage() != stage || meter.grant_wake() {
                    cx.waker().wake_by_ref();
                }
                let now = Instant::now();
                match look(meter, &server.limits, now) {
                    Err(end) => break end,
                    Ok(next) => {
                        *this.looks_at = Tick::after(next.saturating_duration_since(now));
                        this.timer.as_mut().reset(next.into());
                    }
                }
                if this.timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            },
        };
        this.record.end = end;
        Poll::Ready(())
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
    if let Some(wake) = meter.wake() {
        next = next.min(now + wake.remaining() + Tick::STEP);
    }
    Ok(next)
}

/// What a conversation's line in the log says. Logs when dropped.
struct Record {
    server: Arc<Shared>,
    meter: Arc<Meter>,
    end: End,
}

impl Drop for Record {
    fn drop(&mut self) {
        let meter = &self.meter;
        meter.count_end();
        let duration_ms = meter.opened.elapsed().as_secs_f64() * 1e3;
        let side = self.side();
        tracing::info!(
            server = %self.server.name,
            service = %self.server.service_name,
            endpoint = %meter.endpoint,
            peer = %meter.peer(),
            backend = meter.backend().as_deref(),
            received = meter.read(),
            sent = meter.written(),
            duration_ms = (duration_ms * 1e3).round() / 1e3,
            side = side.map(tracing::field::display),
            // As text, and so in quotes: it is the one field with spaces in it.
            ended = Ended(self).to_string(),
            "conversation"
        );
    }
}

impl Record {
    /// Whose side ended it.
    fn side(&self) -> Option<Side> {
        Some(match &self.end {
            // Nobody ends a flow: it is forgotten, or the server ends.
            End::Served if self.is_flow() => Side::Local,
            End::Served if self.meter.is_peers_end() => Side::Downstream,
            End::Failed(e) => e.side(),
            End::Idle(_) => Side::Downstream,
            End::Served | End::Lifetime(_) | End::Cut | End::Panicked => Side::Local,
        })
    }
}

impl Record {
    fn is_flow(&self) -> bool {
        self.meter.endpoint.scheme().carries() == Carries::Datagram
    }
}

struct Ended<'a>(&'a Record);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.end {
            End::Served if self.0.is_flow() => {
                f.write_str("the flow was idle, or the server ended")
            }
            End::Served if self.0.meter.is_peers_end() => f.write_str("closed by the peer"),
            End::Served => f.write_str("closed by the service"),
            End::Failed(e) => write!(f, "{e}"),
            End::Idle(idle) => write!(f, "idle for {idle:?}"),
            End::Lifetime(lifetime) => write!(f, "open for {lifetime:?}, the longest allowed"),
            End::Cut => f.write_str("cut: the server ended"),
            End::Panicked => f.write_str("the service panicked"),
        }
    }
}

//! What is counted of a connection while it is open, and when it wants to be looked at again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::conn::Peer;
use super::ending::Ending;
use super::tick::Tick;
use crate::endpoint::Endpoint;
use crate::error::Side;
use crate::tally::Tally;

/// What is counted of a connection while it is open. Shared with whoever watches it.
///
/// Only the connection's own task writes, so a load and a store do for an increment. What every message touches comes
/// first, together: with many connections each cache line is a miss.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Meter {
    read: AtomicU64,
    written: AtomicU64,
    /// When the last byte went either way.
    active: AtomicU64,
    peer_closed: AtomicBool,
    /// We said goodbye before the peer did.
    pub(super) closed_first: AtomicBool,
    /// When the service wants to be polled again, a [`Tick`]'s nanoseconds; 0 is never.
    wake: AtomicU64,
    ending: Ending,
    /// Which side the peer is on: downstream where it came to us, upstream where we went to it.
    pub(crate) side: Side,
    pub(crate) opened: Instant,
    pub(crate) endpoint: Arc<Endpoint>,
    peer: Peer,
    /// What whoever is in between told of the connection, where it is believed.
    told: OnceLock<Box<Told>>,
    /// The backend that answers, where another server does.
    backend: Mutex<Option<Box<str>>>,
}

/// Between whom the conversation is, as told by who passes it on to us.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) from: Peer,
    pub(super) to: Option<SocketAddr>,
}

impl Meter {
    /// The meter of a connection that came to a listener.
    pub(crate) fn accepted(peer: Peer, endpoint: &Arc<Endpoint>, ending: &Ending) -> Arc<Meter> {
        Meter::new(peer, endpoint.clone(), Side::Downstream, ending.clone())
    }

    /// The meter of a connection that we made.
    pub(crate) fn asked(peer: Peer, endpoint: Arc<Endpoint>) -> Arc<Meter> {
        Meter::new(peer, endpoint, Side::Upstream, Ending::default())
    }

    fn new(peer: Peer, endpoint: Arc<Endpoint>, side: Side, ending: Ending) -> Arc<Meter> {
        Arc::new(Meter {
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            active: AtomicU64::new(Tick::now().as_nanos()),
            peer_closed: AtomicBool::new(false),
            closed_first: AtomicBool::new(false),
            wake: AtomicU64::new(0),
            ending,
            side,
            opened: Instant::now(),
            endpoint,
            peer,
            told: OnceLock::new(),
            backend: Mutex::default(),
        })
    }

    /// Who is at the other end: as the system tells it, or as was told by who passes the conversation on.
    pub(crate) fn peer(&self) -> &Peer {
        self.told.get().map_or(&self.peer, |told| &told.from)
    }

    /// Who is at the other end of the transport.
    pub(super) fn next_peer(&self) -> &Peer {
        &self.peer
    }

    /// Notes what was told. It is told once, before anybody else looks.
    pub(super) fn tell(&self, told: Told) {
        let _ = self.told.set(Box::new(told));
    }

    /// Where the peer went to, where that was told.
    pub(super) fn told_to(&self) -> Option<SocketAddr> {
        self.told.get()?.to
    }

    /// Notes that it is this backend that answers from now on.
    pub(crate) fn brought_to(&self, backend: &str) {
        *self.lock_backend() = Some(backend.into());
    }

    /// The backend that answers, or did last.
    pub(crate) fn backend(&self) -> Option<Box<str>> {
        self.lock_backend().clone()
    }

    fn lock_backend(&self) -> MutexGuard<'_, Option<Box<str>>> {
        // A name that somebody panicked beside is still a name.
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_read(&self, n: usize) {
        if n == 0 {
            self.peer_closed.store(true, Relaxed);
        } else {
            let whole = counted(&self.read, n);
            if whole > 0 {
                self.count(|tally| tally.received(whole));
            }
        }
        self.touch();
    }

    pub(super) fn count_written(&self, n: usize) {
        let whole = counted(&self.written, n);
        if whole > 0 {
            self.count(|tally| tally.sent(whole));
        }
        self.touch();
    }

    /// Notes that the peer is there.
    fn touch(&self) {
        self.active.store(Tick::now().as_nanos(), Relaxed);
    }

    /// How long ago the last byte went either way, to within a few milliseconds.
    pub(crate) fn idle_for(&self) -> Duration {
        Tick::from_nanos(self.active.load(Relaxed)).elapsed()
    }

    /// See [`Conn::wake_at`](super::Conn::wake_at).
    pub(crate) fn wake_at(&self, when: Option<Tick>) {
        let at = when.map_or(0, |when| when.as_nanos().max(1));
        self.wake.store(at, Relaxed);
    }

    /// As [`Meter::wake_at`], for one of several that wait at once: the earliest of their times holds.
    pub(crate) fn wake_by(&self, when: Tick) {
        let at = when.as_nanos().max(1);
        let set = self.wake.load(Relaxed);
        if set == 0 || at < set {
            self.wake.store(at, Relaxed);
        }
    }

    /// When the service wants to be polled, if it does.
    pub(crate) fn wake(&self) -> Option<Tick> {
        match self.wake.load(Relaxed) {
            0 => None,
            at => Some(Tick::from_nanos(at)),
        }
    }

    /// Grants the service's wish, if its time has come.
    pub(crate) fn grant_wake(&self) -> bool {
        let is_time = self.wake().is_some_and(Tick::is_past);
        if is_time {
            self.wake.store(0, Relaxed);
        }
        is_time
    }

    /// The end of the server that accepted it.
    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }

    pub(crate) fn end_of_peer(&self) {
        self.peer_closed.store(true, Relaxed);
    }

    /// Bytes that came from the peer.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Bytes that went to the peer.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Whether it was the peer who ended the conversation.
    pub(crate) fn is_peers_end(&self) -> bool {
        self.peer_closed() && !self.closed_first.load(Relaxed)
    }

    /// Whether the peer has closed its direction.
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed.load(Relaxed)
    }

    /// The conversation begins, or is over: what its server counts of it.
    pub(crate) fn count_begin(&self) {
        self.count(Tally::accepted);
    }

    /// See [`Meter::count_begin`].
    pub(crate) fn count_end(&self) {
        let rest = |bytes: u64| bytes % Tally::STEP;
        self.count(|tally| {
            tally.received(rest(self.read()));
            tally.sent(rest(self.written()));
            tally.over();
        });
    }

    /// A response of this status begins.
    pub(crate) fn count_response(&self, status: u16) {
        self.count(|tally| tally.responded(status));
    }

    fn count(&self, what: impl FnOnce(&Tally)) {
        if let Some(tally) = self.ending.tally() {
            what(tally);
        }
    }
}

/// Counts bytes, and gives those that the server is to be told of: whole steps.
fn counted(count: &AtomicU64, n: usize) -> u64 {
    let before = count.load(Relaxed);
    let after = before.wrapping_add(n as u64);
    count.store(after, Relaxed);
    let steps = |bytes: u64| bytes & !(Tally::STEP - 1);
    steps(after).wrapping_sub(steps(before))
}

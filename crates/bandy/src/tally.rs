//! What is counted while it runs: a line of counters for each thread, added up when somebody asks.
//!
//! Whoever counts writes to a cache line that no other event loop writes to, so counting waits for nobody. Whoever reads
//! pays for it, and sees a sum that was true at no single moment, and is late by no more than what happened meanwhile.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Lines. With more threads than that, some share one.
const LANES: usize = 16;

static NEXT_LANE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LANE: usize = NEXT_LANE.fetch_add(1, Relaxed) % LANES;
}

/// Some counters that belong together.
#[derive(Debug)]
struct Lanes<const N: usize>(Box<[Lane<N>; LANES]>);

/// Two cache lines: processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Lanes<N> {
    fn default() -> Lanes<N> {
        let lane = |_| Lane(std::array::from_fn(|_| AtomicU64::new(0)));
        Lanes(Box::new(std::array::from_fn(lane)))
    }
}

impl<const N: usize> Lanes<N> {
    fn add(&self, counter: usize, n: u64) {
        // A thread that is ending has lost its number; any line does for it.
        let lane = LANE.try_with(|lane| *lane).unwrap_or(0);
        if let Some(count) = self.0.get(lane).and_then(|lane| lane.0.get(counter)) {
            count.fetch_add(n, Relaxed);
        }
    }

    fn sums(&self) -> [u64; N] {
        std::array::from_fn(|counter| {
            let counts = self.0.iter().filter_map(|lane| lane.0.get(counter));
            counts.fold(0, |sum: u64, count| sum.wrapping_add(count.load(Relaxed)))
        })
    }
}

/// What is counted of a server, over all that it was changed to while it ran.
#[derive(Debug, Default)]
pub(crate) struct Tally(Lanes<10>);

/// What was counted of a server up to some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Connections and UDP flows that were accepted.
    pub accepted: u64,
    /// Of these, the ones that are not over.
    pub open: u64,
    /// Connections that were refused, because there were as many as may be.
    pub refused: u64,
    /// Bytes that came from clients, to within `Tally::STEP` for each open connection.
    pub received: u64,
    /// Bytes that went to them, likewise.
    pub sent: u64,
    /// Responses by the first digit of their status: 1xx to 5xx.
    pub responses: [u64; 5],
}

impl Tally {
    /// Bytes of a connection are counted here whenever so many of them have come together. A power of two.
    pub(crate) const STEP: u64 = 16 << 10;

    const ACCEPTED: usize = 0;
    const OVER: usize = 1;
    const REFUSED: usize = 2;
    const RECEIVED: usize = 3;
    const SENT: usize = 4;
    const RESPONSES: usize = 5;

    pub(crate) fn accepted(&self) {
        self.0.add(Tally::ACCEPTED, 1);
    }

    pub(crate) fn over(&self) {
        self.0.add(Tally::OVER, 1);
    }

    pub(crate) fn refused(&self) {
        self.0.add(Tally::REFUSED, 1);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.0.add(Tally::RECEIVED, bytes);
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.0.add(Tally::SENT, bytes);
    }

    /// A response of this status was begun.
    pub(crate) fn responded(&self, status: u16) {
        if let class @ 1..=5 = usize::from(status / 100) {
            self.0.add(Tally::RESPONSES + class - 1, 1);
        }
    }

    pub(crate) fn counted(&self) -> Counted {
        let [accepted, over, refused, received, sent, responses @ ..] = self.0.sums();
        Counted {
            accepted,
            open: accepted.saturating_sub(over),
            refused,
            received,
            sent,
            responses,
        }
    }
}

/// How long things took: how many were within each of a few bounds.
#[derive(Debug, Default)]
pub(crate) struct Histogram(Lanes<16>);

/// What a histogram had counted up to some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    /// How many took at most [`Latencies::BOUNDS`], and longer than the bound before; the last took longer than all.
    pub counts: [u64; 15],
    /// All of them together, to within a microsecond each.
    pub sum: Duration,
}

impl Histogram {
    pub(crate) fn note(&self, took: Duration) {
        let slot = Latencies::BOUNDS.iter().position(|bound| took <= *bound);
        self.0.add(slot.unwrap_or(Latencies::BOUNDS.len()), 1);
        self.0
            .add(15, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn latencies(&self) -> Latencies {
        let [counts @ .., micros] = self.0.sums();
        Latencies {
            counts,
            sum: Duration::from_micros(micros),
        }
    }
}

impl Latencies {
    /// The bounds that are told apart, from half a millisecond to ten seconds.
    pub const BOUNDS: [Duration; 14] = [
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
        Duration::from_secs(10),
    ];

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_added_up() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for status in [100, 200, 204, 302, 404, 503, 999] {
                        tally.responded(status);
                    }
                    tally.accepted();
                    tally.received(3);
                });
            }
        });
        (0..39).for_each(|_| tally.over());
        let counted = tally.counted();
        assert_eq!(counted.responses, [40, 80, 40, 40, 40]);
        assert_eq!((counted.accepted, counted.open), (40, 1));
        assert_eq!((counted.received, counted.sent), (120, 0));
    }

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let histogram = Histogram::default();
        for ms in [0, 1, 2, 10_000, 10_001] {
            histogram.note(Duration::from_millis(ms));
        }
        let latencies = histogram.latencies();
        assert_eq!(
            latencies.counts,
            [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
        );
        assert_eq!(latencies.count(), 5);
        assert_eq!(latencies.sum, Duration::from_millis(20_004));
    }
}

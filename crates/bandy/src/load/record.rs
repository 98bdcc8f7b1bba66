//! What is measured of the requests of one event loop: histograms for the whole run, and coarse ones over time.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::tally::Tally;

/// Latencies in nanoseconds, exact to three digits, from one microsecond to [`LATENCY_MAX`]; what is beyond counts as
/// that.
pub type Latencies = Histogram<u64>;

/// The longest latency that is told from a longer one.
pub const LATENCY_MAX: Duration = Duration::from_secs(3600);

/// An empty histogram.
pub fn latencies() -> Latencies {
    let max = LATENCY_MAX.as_nanos() as u64;
    Histogram::new_with_bounds(1_000, max, 3).expect("the bounds are constants that hold")
}

/// Of a slice of time: coarse buckets of latency, eight to each doubling, from a microsecond to beyond a minute.
pub const BUCKETS: usize = 27 * 8;

/// The bucket of a latency in nanoseconds.
pub fn bucket(nanos: u64) -> usize {
    let micros = nanos / 1_000;
    if micros < 8 {
        // Below eight microseconds a bucket has one.
        return micros as usize;
    }
    // The three bits behind the leading one say which eighth of the doubling it is.
    let doubling = 63 - micros.leading_zeros();
    let eighth = (micros >> (doubling - 3)) & 7;
    ((doubling as usize - 2) * 8 + eighth as usize).min(BUCKETS - 1)
}

/// Where a bucket begins, in nanoseconds.
pub fn bucket_start(bucket: usize) -> u64 {
    if bucket < 8 {
        return bucket as u64 * 1_000;
    }
    let (doubling, eighth) = (bucket as u64 / 8 + 2, bucket as u64 % 8);
    ((8 + eighth) << (doubling - 3)) * 1_000
}

/// A slice of a run's time on one event loop, or on all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Which slice it is.
    pub index: usize,
    /// How many good answers came in it.
    pub done: u64,
    /// How many requests failed or timed out in it.
    pub failed: u64,
    /// The headline latency of those that were done, by [`bucket`].
    pub latency: Vec<u32>,
}

impl Slice {
    /// An empty one.
    pub fn new(index: usize) -> Slice {
        Slice {
            index,
            done: 0,
            failed: 0,
            latency: vec![0; BUCKETS],
        }
    }

    /// Adds the same slice of another event loop.
    pub fn add(&mut self, other: &Slice) {
        self.done += other.done;
        self.failed += other.failed;
        for (to, from) in self.latency.iter_mut().zip(&other.latency) {
            *to = to.saturating_add(*from);
        }
    }

    /// The latency that this part of its requests did not exceed, in nanoseconds, to within a bucket; `None` without
    /// requests.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = (self.done as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.latency.iter().enumerate() {
            seen += u64::from(*count);
            if *count > 0 && seen >= rank {
                return Some((bucket_start(bucket) + bucket_start(bucket + 1)) / 2);
            }
        }
        None
    }
}

/// What one event loop records.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) tally: Tally,
    /// Intended to done: the headline.
    pub(super) total: Latencies,
    /// What only an open model has; in a closed one a request is sent when it is intended.
    pub(super) open: Option<Box<OpenModel>>,
    pub(super) connect: Latencies,
    pub(super) tls: Latencies,
    /// Of those that failed or timed out: apart, so that errors never flatter the latency.
    pub(super) failures: Latencies,
    pub(super) server: ServerTimes,
    pub(super) slice: Slice,
    /// Nanoseconds.
    slice_lasts: u64,
    slice_ends: u64,
    pub(super) over: Vec<Slice>,
}

/// The histograms beside the headline.
#[derive(Debug)]
pub(super) struct OpenModel {
    /// Sent to done.
    pub(super) service: Latencies,
    /// Intended to sent.
    pub(super) lag: Latencies,
    /// The part of that in which a connection was free: the generator's own.
    pub(super) own_lag: Latencies,
}

/// What servers said of their own times (Server-Timing), by name.
#[derive(Debug, Default)]
pub(super) struct ServerTimes(pub(super) Vec<(String, Latencies)>);

/// Names of phases that are told apart; a server that makes up more is not followed.
const PHASES_MAX: usize = 16;

impl ServerTimes {
    pub(super) fn record(&mut self, name: &str, took: Duration) {
        let at = self.0.iter().position(|(known, _)| known == name);
        let at = match at {
            Some(at) => at,
            None if self.0.len() >= PHASES_MAX => return,
            None => {
                self.0.push((name.to_owned(), latencies()));
                self.0.len() - 1
            }
        };
        if let Some((_, times)) = self.0.get_mut(at) {
            times.saturating_record(took.as_nanos() as u64);
        }
    }

    pub(super) fn add(&mut self, other: ServerTimes) {
        for (name, times) in other.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                // Of one shape, so they fit.
                Some((_, all)) => {
                    let _ = all.add(&times);
                }
                None => self.0.push((name, times)),
            }
        }
    }
}

/// The times of a request, in nanoseconds from the run's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// When it was due.
    pub(super) intended: u64,
    /// When a connection was there for it.
    pub(super) ready: u64,
    pub(super) sent: u64,
    pub(super) done: u64,
}

impl Recorder {
    pub(super) fn new(is_open: bool, slice_lasts: Duration) -> Recorder {
        let slice_lasts = (slice_lasts.as_nanos() as u64).max(1);
        Recorder {
            tally: Tally::default(),
            total: latencies(),
            open: is_open.then(|| {
                Box::new(OpenModel {
                    service: latencies(),
                    lag: latencies(),
                    own_lag: latencies(),
                })
            }),
            connect: latencies(),
            tls: latencies(),
            failures: latencies(),
            server: ServerTimes::default(),
            slice: Slice::new(0),
            slice_lasts,
            slice_ends: slice_lasts,
            over: Vec::new(),
        }
    }

    /// A good answer.
    #[inline]
    pub(super) fn done(&mut self, times: Times) {
        let total = times.done.saturating_sub(times.intended);
        self.total.saturating_record(total);
        if let Some(open) = &mut self.open {
            open.service
                .saturating_record(times.done.saturating_sub(times.sent));
            open.lag
                .saturating_record(times.sent.saturating_sub(times.intended));
            open.own_lag
                .saturating_record(times.sent.saturating_sub(times.ready));
        }
        if times.done >= self.slice_ends {
            self.turn(times.done);
        }
        self.slice.done += 1;
        if let Some(count) = self.slice.latency.get_mut(bucket(total)) {
            *count = count.saturating_add(1);
        }
    }

    /// A failure, or no answer in time.
    pub(super) fn failed(&mut self, intended: u64, now: u64) {
        self.turn(now);
        self.slice.failed += 1;
        self.failures
            .saturating_record(now.saturating_sub(intended));
    }

    /// Closes the slices that are over at this time.
    pub(super) fn turn(&mut self, now: u64) {
        if now < self.slice_ends {
            return;
        }
        let index = (now / self.slice_lasts) as usize;
        let slice = std::mem::replace(&mut self.slice, Slice::new(index));
        self.over.push(slice);
        self.slice_ends = (index as u64 + 1).saturating_mul(self.slice_lasts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_are_where_they_begin() {
        for at in 0..BUCKETS {
            assert_eq!(bucket(bucket_start(at)), at);
            assert!(bucket_start(at) < bucket_start(at + 1));
        }
        assert!(bucket_start(BUCKETS) >= 60_000_000_000);
    }

    #[test]
    fn slices_have_gaps_and_lose_nothing() {
        let mut recorder = Recorder::new(false, Duration::from_secs(1));
        let second = 1_000_000_000;
        for done in [0, 1, second - 1, second, 5 * second + 1] {
            recorder.done(Times {
                intended: 0,
                ready: 0,
                sent: 0,
                done,
            });
        }
        let slices: Vec<_> = recorder.over.iter().map(|s| (s.index, s.done)).collect();
        assert_eq!(slices, [(0, 3), (1, 1)]);
        assert_eq!((recorder.slice.index, recorder.slice.done), (5, 1));
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_falls_into_it(nanos in 0_u64..100_000_000_000) {
            let at = bucket(nanos);
            prop_assert!(bucket_start(at) <= nanos);
            prop_assert!(at == BUCKETS - 1 || nanos < bucket_start(at + 1));
        }

        #[test]
        fn quantiles_are_close(mut values in prop::collection::vec(8_000_u64..10_000_000_000, 1..200)) {
            let mut slice = Slice::new(0);
            for value in &values {
                slice.done += 1;
                slice.latency[bucket(*value)] += 1;
            }
            values.sort_unstable();
            for quantile in [0.5, 0.9, 0.99, 1.0] {
                let rank = ((values.len() as f64 * quantile).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                let told = slice.quantile(quantile).expect("there are values") as f64;
                prop_assert!((told / exact - 1.0).abs() < 0.08, "{} {}", told, exact);
            }
        }
    }
}

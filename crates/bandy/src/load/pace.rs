//! When requests are due: a rate over time, and the arrivals that it means. No clock, and randomness by seed.
//!
//! A rate is straight pieces, one after the other. Its integral up to a time is how many requests are due by then, so
//! the time of the n-th is where the integral reaches n; for a Poisson process n grows by random steps whose mean is 1
//! (time rescaling: Brown et al., "The time-rescaling theorem", 2002). With one constant piece that is `t0 + n / rate`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What decides when the next request is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Pace {
    /// The closed model: each connection sends its next request when it has the answer to the one before. A server that
    /// is slow is asked less, so the tail of this is not what users see.
    Closed,
    /// The open model: requests are due whether or not the server keeps up, as users come.
    Open {
        /// How many are due, over time.
        rate: Rate,
        /// When exactly.
        arrivals: Arrivals,
    },
}

/// How the arrivals of a rate are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// As independent users come: a Poisson process, from this seed.
    Poisson(u64),
}

/// A rate over time: straight pieces. Behind the last it stays as it was at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    from: f64,
    to: f64,
    /// Seconds.
    lasts: f64,
}

/// The highest rate that is taken, in requests a second.
pub const RATE_MAX: f64 = 10_000_000.0;

/// What was typed for a rate, before it is known how long the run lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct RateText(Vec<(f64, f64)>);

/// What is wrong with a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRate(String);

impl fmt::Display for WrongRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongRate {}

impl std::str::FromStr for RateText {
    type Err = WrongRate;

    /// `100`: so many a second. `100..1000`: a ramp. `100,200,400`: steps, or ramps, that share the time.
    fn from_str(text: &str) -> Result<RateText, WrongRate> {
        let pieces: Result<Vec<_>, _> = text.split(',').map(piece).collect();
        let pieces = pieces?;
        if pieces.iter().all(|(from, to)| *from == 0.0 && *to == 0.0) {
            return Err(WrongRate("a rate of 0 asks for nothing".to_owned()));
        }
        Ok(RateText(pieces))
    }
}

fn piece(text: &str) -> Result<(f64, f64), WrongRate> {
    let number = |text: &str| {
        let text = text.trim().trim_end_matches("/s");
        match text.parse::<f64>() {
            Ok(rate) if (0.0..=RATE_MAX).contains(&rate) => Ok(rate),
            _ => Err(WrongRate(format!(
                "`{text}` is no rate: write requests a second, as in 500, 100..1000 or 100,200,400, up to {RATE_MAX:.0}"
            ))),
        }
    };
    match text.split_once("..") {
        Some((from, to)) => Ok((number(from)?, number(to)?)),
        None => number(text).map(|rate| (rate, rate)),
    }
}

impl RateText {
    /// Whether it changes over time, and so needs to know how long that is.
    pub fn is_constant(&self) -> bool {
        matches!(self.0.as_slice(), [(from, to)] if from == to)
    }

    /// The rate of a run of this length; of one without end only a constant rate means anything.
    pub fn over(&self, lasts: Option<Duration>) -> Rate {
        let lasts = lasts.map_or(1.0, |lasts| lasts.as_secs_f64());
        let each = lasts / self.0.len().max(1) as f64;
        Rate(
            self.0
                .iter()
                .map(|&(from, to)| Piece {
                    from,
                    to,
                    lasts: each,
                })
                .collect(),
        )
    }
}

impl Rate {
    /// So many requests a second.
    pub fn constant(rate: f64) -> Rate {
        let rate = rate.clamp(f64::MIN_POSITIVE, RATE_MAX);
        Rate(vec![Piece {
            from: rate,
            to: rate,
            lasts: 1.0,
        }])
    }

    /// Requests a second at this time.
    pub fn at(&self, seconds: f64) -> f64 {
        let mut left = seconds;
        for piece in &self.0 {
            if left < piece.lasts {
                return piece.from + (piece.to - piece.from) * left / piece.lasts;
            }
            left -= piece.lasts;
        }
        self.0.last().map_or(0.0, |piece| piece.to)
    }

    /// The highest that it is at any time.
    pub fn most(&self) -> f64 {
        let ends = self.0.iter().flat_map(|piece| [piece.from, piece.to]);
        ends.fold(0.0, f64::max)
    }

    /// How many requests are due by then.
    pub(super) fn count(&self, seconds: f64) -> f64 {
        let (mut count, mut left) = (0.0, seconds);
        for piece in &self.0 {
            let within = left.min(piece.lasts);
            let at = piece.from + (piece.to - piece.from) * within / piece.lasts;
            count += (piece.from + at) / 2.0 * within;
            left -= within;
        }
        count + self.0.last().map_or(0.0, |piece| piece.to) * left
    }

    /// When so many requests are due, in seconds; `None` if never.
    fn when(&self, mut count: f64) -> Option<f64> {
        let mut start = 0.0;
        for piece in &self.0 {
            let all = (piece.from + piece.to) / 2.0 * piece.lasts;
            if count < all {
                return Some(start + within(piece, count));
            }
            count -= all;
            start += piece.lasts;
        }
        let last = self.0.last()?.to;
        (last > 0.0).then(|| start + count / last)
    }
}

/// How long after its beginning a piece has brought `count` requests: the root of `from * t + slope * t^2 / 2 = count`.
fn within(piece: &Piece, count: f64) -> f64 {
    let slope = (piece.to - piece.from) / piece.lasts;
    // In the form that stays exact for a slope near 0.
    let root = (piece.from * piece.from + 2.0 * slope * count)
        .max(0.0)
        .sqrt();
    let below = piece.from + root;
    match below > 0.0 {
        true => 2.0 * count / below,
        false => 0.0,
    }
}

/// The arrivals of one event loop, out of those of the whole run.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// Shared, since a schedule is copied to look ahead.
    rate: Arc<Rate>,
    /// The integral of the rate at the next arrival.
    count: f64,
    /// By how much it grows from one to the next, on average.
    step: f64,
    random: Option<Random>,
    /// Nanoseconds from the run's beginning.
    next: Option<u64>,
    left: Option<u64>,
}

impl Schedule {
    /// The part of event loop `index` of `loops`, of at most `max` requests in all loops together.
    pub(super) fn new(
        rate: &Rate,
        arrivals: Arrivals,
        index: usize,
        loops: usize,
        max: Option<u64>,
    ) -> Schedule {
        let mut schedule = Schedule {
            rate: Arc::new(rate.clone()),
            // Evenly spaced, the loops take turns; of a Poisson process each has an independent part.
            count: index as f64,
            step: loops.max(1) as f64,
            random: None,
            next: None,
            left: max.map(|max| share(max, index, loops)),
        };
        if let Arrivals::Poisson(seed) = arrivals {
            let mut random = Random::new(seed.wrapping_add(index as u64));
            schedule.count = schedule.step * random.exponential();
            schedule.random = Some(random);
        }
        schedule.note();
        schedule
    }

    fn note(&mut self) {
        self.next = match self.left {
            Some(0) => None,
            // Beyond what fits nothing is due.
            _ => self.rate.when(self.count).map(|at| (at * 1e9) as u64),
        };
    }

    /// When the next one is due.
    pub(super) fn peek(&self) -> Option<u64> {
        self.next
    }

    /// Takes the next one.
    pub(super) fn take(&mut self) -> Option<u64> {
        let next = self.next?;
        self.count += match &mut self.random {
            None => self.step,
            Some(random) => self.step * random.exponential(),
        };
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.note();
        Some(next)
    }

    /// How many are due before this time, all of which are taken now.
    pub(super) fn take_before(&mut self, end: u64) -> u64 {
        let mut taken = 0;
        while self.next.is_some_and(|next| next < end) {
            self.take();
            taken += 1;
        }
        taken
    }

    /// How many are left of a bounded number.
    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }
}

/// The part of `all` that falls to `index` of `parts`: as even as can be.
pub(super) fn share(all: u64, index: usize, parts: usize) -> u64 {
    let (parts, index) = (parts.max(1) as u64, index as u64);
    all / parts + u64::from(index < all % parts)
}

/// A small generator of random numbers (SplitMix64; Steele et al., 2014): what spaces arrivals needs no more.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Of the exponential distribution with mean 1.
    fn exponential(&mut self) -> f64 {
        // In (0, 1], so that the logarithm is finite.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        -uniform.ln()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(rate: &Rate, arrivals: Arrivals, loops: usize, end: u64) -> Vec<u64> {
        let mut times = Vec::new();
        for index in 0..loops {
            let mut schedule = Schedule::new(rate, arrivals, index, loops, None);
            while schedule.peek().is_some_and(|next| next < end) {
                times.extend(schedule.take());
            }
        }
        times.sort_unstable();
        times
    }

    #[test]
    fn a_constant_rate_is_even_however_many_loops_there_are() {
        for loops in 1..4 {
            let times = all(
                &Rate::constant(1000.0),
                Arrivals::Constant,
                loops,
                1_000_000_000,
            );
            assert_eq!(times.len(), 1000);
            for (i, time) in times.iter().enumerate() {
                assert!(time.abs_diff(i as u64 * 1_000_000) <= 1, "{i}: {time}");
            }
        }
    }

    #[test]
    fn a_poisson_process_has_its_rate_and_its_variance() {
        let second = 1_000_000_000;
        let times = all(
            &Rate::constant(1000.0),
            Arrivals::Poisson(7),
            2,
            100 * second,
        );
        let mut counts = [0_f64; 100];
        for time in times {
            counts[(time / second) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 100.0;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / 99.0;
        assert!((mean - 1000.0).abs() < 15.0, "{mean}");
        // As large as the mean; a constant rate has none.
        assert!((0.6..1.6).contains(&(variance / mean)), "{variance}");
    }

    #[test]
    fn ramps_and_steps() {
        let ramp: RateText = "0..1000".parse().expect("a rate");
        let times = all(
            &ramp.over(Some(Duration::from_secs(2))),
            Arrivals::Constant,
            1,
            2_000_000_000,
        );
        assert_eq!(times.len(), 1000);
        let in_first_half = times.iter().filter(|t| **t < 1_000_000_000).count();
        assert!((249..=251).contains(&in_first_half), "{in_first_half}");

        let steps: RateText = "100,0,300".parse().expect("a rate");
        let times = all(
            &steps.over(Some(Duration::from_secs(3))),
            Arrivals::Constant,
            1,
            3_000_000_000,
        );
        let in_second = |n: u64| times.iter().filter(|t| **t / 1_000_000_000 == n).count();
        assert_eq!([0, 1, 2].map(in_second), [100, 0, 300]);
    }

    #[test]
    fn what_is_no_rate() {
        for wrong in [
            "",
            "x",
            "-1",
            "1..",
            "0",
            "1,,2",
            "inf",
            "NaN",
            "99999999999",
        ] {
            wrong.parse::<RateText>().expect_err(wrong);
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(all in 0_u64..1000, parts in 1_usize..9) {
            let sum: u64 = (0..parts).map(|i| share(all, i, parts)).sum();
            prop_assert_eq!(sum, all);
        }

        #[test]
        fn arrivals_never_go_back(
            pieces in prop::collection::vec((0_f64..1e4, 0_f64..1e4), 1..5), seed: u64, loops in 1_usize..4,
        ) {
            let rate = RateText(pieces).over(Some(Duration::from_secs(1)));
            for arrivals in [Arrivals::Constant, Arrivals::Poisson(seed)] {
                let mut schedule = Schedule::new(&rate, arrivals, 0, loops, Some(500));
                let mut last = 0;
                while let Some(time) = schedule.take() {
                    prop_assert!(time >= last);
                    last = time;
                }
            }
        }
    }
}

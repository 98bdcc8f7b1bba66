//! Two runs beside each other: what changed, and whether it is more than noise.
//!
//! A run's slices are samples: their mean and spread say how far two runs differ by chance (Welch's t-test; Welch 1947).
//! Slices of one run are not independent, and machines differ from minute to minute, so a difference counts only where
//! it is far beyond chance and large enough to matter.

use super::report::Report;

/// A number of two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is of.
    pub name: &'static str,
    /// In the first run, and in the second.
    pub values: (f64, f64),
    /// What to make of it.
    pub meaning: Meaning,
}

/// What to make of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The second run is better, by more than noise.
    Better,
    /// The second run is worse, by more than noise.
    Worse,
    /// No more than noise.
    Noise,
    /// There is too little to tell: a single number of each run.
    Unknown,
}

/// A difference matters from this on.
const MATTERS: f64 = 0.02;
/// How many standard errors are beyond chance: of samples that hang together, more than the usual two.
const BEYOND_CHANCE: f64 = 4.0;
/// Fewer slices are no sample.
const SAMPLES_MIN: usize = 8;

impl Change {
    /// By how much the second is more than the first: 0.1 is a tenth more.
    pub fn part(&self) -> f64 {
        match self.values.0 {
            0.0 if self.values.1 == 0.0 => 0.0,
            0.0 => f64::INFINITY,
            first => self.values.1 / first - 1.0,
        }
    }
}

/// What changed from the first run to the second.
pub fn compare(first: &Report, second: &Report) -> Vec<Change> {
    let rate = |report: &Report| inner(&report.series.done, |n| Some(*n as f64));
    let p50 = |report: &Report| inner(&report.series.p50_ms, |ms| *ms);
    let p99 = |report: &Report| inner(&report.series.p99_ms, |ms| *ms);
    let latency = |pick: fn(&super::report::Latency) -> f64| {
        let of = |report: &Report| report.latency_ms.as_ref().map(pick);
        of(first).zip(of(second))
    };
    let mut changes = vec![Change {
        name: "rate (1/s)",
        values: (first.rate, second.rate),
        meaning: judge(&rate(first), &rate(second), (first.rate, second.rate), true),
    }];
    let mut add = |name, values: Option<(f64, f64)>, samples: Option<(Vec<f64>, Vec<f64>)>| {
        let Some(values) = values else { return };
        let meaning = match samples {
            Some((first, second)) => judge(&first, &second, values, false),
            None => Meaning::Unknown,
        };
        changes.push(Change {
            name,
            values,
            meaning,
        });
    };
    add(
        "p50 (ms)",
        latency(|l| l.p50),
        Some((p50(first), p50(second))),
    );
    add("p90 (ms)", latency(|l| l.p90), None);
    add(
        "p99 (ms)",
        latency(|l| l.p99),
        Some((p99(first), p99(second))),
    );
    add("p99.9 (ms)", latency(|l| l.p999), None);
    add("p99.99 (ms)", latency(|l| l.p9999), None);
    add("max (ms)", latency(|l| l.max), None);
    changes.push(errors(first, second));
    changes
}

/// The slices without the first and the last: one warms up, the other is cut off.
fn inner<T>(slices: &[T], value: impl Fn(&T) -> Option<f64>) -> Vec<f64> {
    let end = slices.len().saturating_sub(1);
    let inner = slices.get(1..end).unwrap_or_default();
    inner.iter().filter_map(value).collect()
}

fn judge(first: &[f64], second: &[f64], values: (f64, f64), more_is_better: bool) -> Meaning {
    if first.len() < SAMPLES_MIN || second.len() < SAMPLES_MIN {
        return Meaning::Unknown;
    }
    let (a, b) = (Spread::of(first), Spread::of(second));
    let error = (a.variance / first.len() as f64 + b.variance / second.len() as f64).sqrt();
    let is_chance = (b.mean - a.mean).abs() <= BEYOND_CHANCE * error;
    let is_small = (values.1 - values.0).abs() <= MATTERS * values.0.abs();
    if is_chance || is_small {
        return Meaning::Noise;
    }
    match (values.1 > values.0) == more_is_better {
        true => Meaning::Better,
        false => Meaning::Worse,
    }
}

struct Spread {
    mean: f64,
    variance: f64,
}

impl Spread {
    /// Of two samples or more.
    fn of(samples: &[f64]) -> Spread {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>();
        Spread {
            mean,
            variance: squares / (count - 1.0).max(1.0),
        }
    }
}

/// Errors are counted, so two shares of them are held against each other (a two-proportion z-test).
fn errors(first: &Report, second: &Report) -> Change {
    let of = |report: &Report| {
        let bad = (report.requests.failed + report.requests.timed_out) as f64;
        (bad, (bad + report.requests.done as f64).max(1.0))
    };
    let ((bad_1, all_1), (bad_2, all_2)) = (of(first), of(second));
    let (p1, p2) = (bad_1 / all_1, bad_2 / all_2);
    let both = (bad_1 + bad_2) / (all_1 + all_2);
    let error = (both * (1.0 - both) * (1.0 / all_1 + 1.0 / all_2)).sqrt();
    let meaning = match () {
        () if (p2 - p1).abs() <= BEYOND_CHANCE * error => Meaning::Noise,
        () if p2 > p1 => Meaning::Worse,
        () => Meaning::Better,
    };
    Change {
        name: "errors (%)",
        values: (p1 * 100.0, p2 * 100.0),
        meaning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(around: f64, by: f64) -> Vec<f64> {
        (0..50)
            .map(|i| around + by * f64::from(i % 5 - 2))
            .collect()
    }

    #[test]
    fn noise_is_no_change() {
        let (a, b) = (wave(1000.0, 30.0), wave(1015.0, 30.0));
        assert_eq!(judge(&a, &b, (1000.0, 1015.0), true), Meaning::Noise);
        // Beyond chance, and too little to matter.
        let (a, b) = (wave(1000.0, 0.1), wave(1010.0, 0.1));
        assert_eq!(judge(&a, &b, (1000.0, 1010.0), true), Meaning::Noise);
    }

    #[test]
    fn a_change_is_one() {
        let (a, b) = (wave(1000.0, 30.0), wave(1200.0, 30.0));
        assert_eq!(judge(&a, &b, (1000.0, 1200.0), true), Meaning::Better);
        assert_eq!(judge(&a, &b, (1000.0, 1200.0), false), Meaning::Worse);
        assert_eq!(judge(&a[..3], &b, (1000.0, 1200.0), true), Meaning::Unknown);
    }
}

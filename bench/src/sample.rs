//! What one round of one subject gave, and the arithmetic of many: medians, and ratios paired by round.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::loader::Load;
use crate::proc;

/// One subject, one setting, one round.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    pub messages: u64,
    pub per_second: f64,
    /// User and system time of the whole server, in microseconds.
    pub cpu_us: f64,
    /// How much of one core the server used: far below 1, the generator was the bottleneck.
    pub busy: f64,
    /// None where the generator does not tell.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// How many cores everything else on the machine used: what disturbed the measurement.
    pub others: f64,
    /// Datagrams that were never answered, as a share of those sent.
    pub lost: f64,
}

/// How long to run before counting, and how long to count.
#[derive(Clone, Copy)]
pub struct Window {
    pub warm_up: Duration,
    pub count: Duration,
}

/// Round-trip times in nanoseconds, kept whole: percentiles are exact.
pub struct Latencies(Vec<u32>);

/// Some ten seconds at a million a second; what comes after is counted but not kept.
const LATENCIES_MAX: usize = 10_000_000;

impl Latencies {
    pub fn new() -> Latencies {
        Latencies(Vec::with_capacity(1 << 20))
    }

    pub fn record(&mut self, time: Duration) {
        if self.0.len() < LATENCIES_MAX {
            self.0
                .push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Microseconds that `share` of the round trips stayed within; 0 when there were none.
    fn percentile_us(&mut self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else {
            return 0.0;
        };
        let rank = (share * last as f64).round() as usize;
        let (_, nanos, _) = self.0.select_nth_unstable(rank);
        f64::from(*nanos) / 1000.0
    }
}

/// The counted window: opened after the warm-up, closed at its end, around one server's CPU clock.
pub struct Counting {
    pid: u32,
    cpu: Duration,
    others: Duration,
    since: Instant,
}

impl Counting {
    pub fn open(pid: u32) -> Result<Counting> {
        Ok(Counting {
            pid,
            others: others_cpu(pid)?,
            cpu: proc::cpu(pid)?,
            since: Instant::now(),
        })
    }

    pub fn close(self, messages: u64, lost: u64, latencies: &mut Latencies) -> Result<Sample> {
        let load = Load {
            requests: messages,
            seconds: self.since.elapsed().as_secs_f64(),
            p50_us: Some(latencies.percentile_us(0.50)),
            p99_us: Some(latencies.percentile_us(0.99)),
            bytes: 0,
        };
        let sample = self.close_over(&load)?;
        Ok(Sample {
            lost: lost as f64 / (messages + lost) as f64,
            ..sample
        })
    }

    /// What another program sent, all of it while this was open, and counted by its own clock.
    pub fn close_over(self, load: &Load) -> Result<Sample> {
        let messages = load.requests;
        let seconds = load.seconds;
        let elapsed = self.since.elapsed().as_secs_f64();
        let cpu = proc::cpu(self.pid)?.saturating_sub(self.cpu).as_secs_f64();
        let others = others_cpu(self.pid)?
            .saturating_sub(self.others)
            .as_secs_f64();
        anyhow::ensure!(
            messages > 0,
            "counting answers: there was none in {seconds:.1} s"
        );
        Ok(Sample {
            messages,
            per_second: messages as f64 / seconds,
            cpu_us: cpu * 1e6 / messages as f64,
            busy: cpu / seconds,
            others: others / elapsed,
            p50_us: load.p50_us,
            p99_us: load.p99_us,
            lost: 0.0,
        })
    }
}

/// What all but this program and the server `pid` have used.
fn others_cpu(pid: u32) -> Result<Duration> {
    let ours = proc::own_cpu()? + proc::cpu(pid)?;
    Ok(proc::machine_cpu()?.saturating_sub(ours))
}

/// The middle value, or the mean of the two middle ones; None of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        Some(upper)
    } else {
        Some((values[values.len() / 2 - 1] + upper) / 2.0)
    }
}

/// The median of `ours / theirs`, round by round: what slowed a whole round down falls out. Rounds that one of them missed
/// (None) are left out.
pub fn paired_ratio(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<f64> {
    median(ours.iter().zip(theirs).filter_map(|(ours, theirs)| {
        let (ours, theirs) = ((*ours)?, (*theirs)?);
        (theirs > 0.0).then_some(ours / theirs)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn ratios_are_paired_by_round() {
        // The second round was slow for both: the ratio of the medians would say 1.0, the rounds say 0.5.
        let ours = [Some(1.0), Some(10.0), Some(2.0)];
        let theirs = [Some(2.0), Some(20.0), Some(2.0)];
        assert_eq!(paired_ratio(&ours, &theirs), Some(0.5));
    }

    #[test]
    fn a_missed_round_has_no_ratio() {
        assert_eq!(
            paired_ratio(&[Some(1.0), None], &[Some(2.0), Some(1.0)]),
            Some(0.5)
        );
        assert_eq!(paired_ratio(&[Some(1.0)], &[Some(0.0)]), None);
        assert_eq!(paired_ratio(&[], &[]), None);
    }

    #[test]
    fn percentiles_are_exact() {
        let mut latencies = Latencies::new();
        for micros in (1..=101).rev() {
            latencies.record(Duration::from_micros(micros));
        }
        assert_eq!(latencies.percentile_us(0.50), 51.0);
        assert_eq!(latencies.percentile_us(0.99), 100.0);
        latencies.clear();
        assert_eq!(latencies.percentile_us(0.99), 0.0);
    }
}

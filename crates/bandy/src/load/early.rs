//! A run that is not over, as far as it can be judged.

use std::time::Duration;

use super::expect::Measures;
use super::pace::Pace;
use super::plan::Plan;
use super::record::{Slice, bucket_start, latencies};

/// What there is of a run so far.
#[derive(Debug, Clone, Copy)]
pub struct SoFar<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// The slices of its time that are over, in order, of all event loops together.
    pub slices: &'a [Slice],
    /// Requests that failed or timed out.
    pub failed: u64,
}

/// A rate is judged by no less of the run than this, and by no more of its latest part.
const WINDOW: Duration = Duration::from_secs(3);
/// A server that answers so much of what is due keeps up.
const KEEPS_UP: f64 = 0.95;

impl SoFar<'_> {
    /// Requests that are done.
    pub(super) fn done(&self) -> u64 {
        self.slices.iter().map(|slice| slice.done).sum()
    }

    pub(super) fn measures(&self) -> Measures {
        let mut latency = latencies();
        for slice in self.slices {
            for (bucket, count) in slice.latency.iter().enumerate().filter(|(_, n)| **n > 0) {
                let middle = (bucket_start(bucket) + bucket_start(bucket + 1)) / 2;
                latency.saturating_record_n(middle, u64::from(*count));
            }
        }
        let ended = self.done() + self.failed;
        Measures {
            latency: Some(latency),
            error_part: match ended {
                0 => 0.0,
                ended => self.failed as f64 / ended as f64,
            },
            failed: self.failed,
            ..Measures::default()
        }
    }

    /// What the rate may be in the end, in answers a second: of a run whose length is planned, if it goes on as in the
    /// last seconds, or, where the server keeps up, as requests are due. Of one without a set end the rate of all of it
    /// so far, and of the last seconds.
    pub(super) fn rates(&self) -> Option<[f64; 2]> {
        // The latest slices may be told by some event loops only.
        let known = self.slices.get(..self.slices.len().saturating_sub(2))?;
        let slice = self.plan.slice().as_secs_f64();
        let elapsed = known.len() as f64 * slice;
        if elapsed < WINDOW.as_secs_f64() {
            return None;
        }
        let sum = |slices: &[Slice]| slices.iter().map(|slice| slice.done).sum::<u64>() as f64;
        let latest = ((WINDOW.as_secs_f64() / slice).ceil() as usize).clamp(1, known.len());
        let recent = sum(known.get(known.len() - latest..)?) / (latest as f64 * slice);
        let done = sum(known);
        let Some(whole) = self.plan.stop.after.map(|after| after.as_secs_f64()) else {
            return Some([done / elapsed, recent]);
        };
        let left = (whole - elapsed).max(0.0);
        let coming = match &self.plan.pace {
            Pace::Closed => recent * left,
            Pace::Open { rate, .. } => {
                let each = match &self.plan.work {
                    // A message is as many deliveries as there are members.
                    super::plan::Work::Chat(_) => self.plan.connections as f64,
                    _ => 1.0,
                };
                let due = |from: f64, to: f64| (rate.count(to) - rate.count(from)) * each;
                let window = latest as f64 * slice;
                let was_due = due(elapsed - window, elapsed) / window;
                match recent >= KEEPS_UP * was_due {
                    true => due(elapsed, whole),
                    false => recent * left,
                }
            }
        };
        Some([(done + coming) / whole.max(elapsed); 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Arrivals, Expect, HttpRequest, RateText, Script, Stop, Work};
    use crate::net::Dialer;

    fn plan(rate: Option<&str>, seconds: Option<u64>) -> Plan {
        let to: crate::Endpoint = "http://127.0.0.1:1".parse().expect("an endpoint");
        let after = seconds.map(Duration::from_secs);
        Plan {
            work: Work::Http1(Script::one(HttpRequest::get(&to), &to)),
            to,
            dialer: Dialer::plain(),
            pace: match rate {
                None => Pace::Closed,
                Some(rate) => Pace::Open {
                    rate: rate.parse::<RateText>().expect("a rate").over(after),
                    arrivals: Arrivals::Constant,
                },
            },
            stop: Stop {
                after,
                requests: None,
            },
            connections: 1,
            per_connection: None,
            timeout: WINDOW,
            loops: None,
        }
    }

    /// Slices in which so many were done each second.
    fn slices(plan: &Plan, seconds: &[u64]) -> Vec<Slice> {
        let each = (1.0 / plan.slice().as_secs_f64()).round() as u64;
        let all = seconds
            .iter()
            .flat_map(|rate| vec![rate / each; each as usize]);
        let mut all: Vec<Slice> = (0..)
            .zip(all)
            .map(|(index, done)| {
                let mut slice = Slice::new(index);
                slice.done = done;
                slice.latency[100] = done as u32;
                slice
            })
            .collect();
        // Of which not every loop has told.
        all.extend([Slice::new(all.len()), Slice::new(all.len() + 1)]);
        all
    }

    /// Whether it is met, or not known.
    fn early(text: &str, plan: &Plan, seconds: &[u64], failed: u64) -> Option<bool> {
        let expect: Expect = text.parse().expect("a threshold");
        let slices = slices(plan, seconds);
        let so_far = SoFar {
            plan,
            slices: &slices,
            failed,
        };
        expect.check_early(&so_far).map(|checked| checked.is_met)
    }

    #[test]
    fn a_rate_is_what_it_will_be() {
        let closed = plan(None, Some(10));
        assert_eq!(early("rate>500", &closed, &[100, 100], 0), None);
        assert_eq!(early("rate>500", &closed, &[100, 100, 100], 0), Some(false));
        // It began slowly, and gets there.
        let rising = [0, 0, 1000, 1000, 1000];
        assert_eq!(early("rate>500", &closed, &rising, 0), Some(true));
        assert_eq!(early("rate<500", &closed, &rising, 0), Some(false));
        let falling = [1000, 1000, 0, 0, 0];
        assert_eq!(early("rate>500", &closed, &falling, 0), Some(false));
        // Without an end all of it and its latest part have a say.
        let endless = plan(None, None);
        assert_eq!(
            early("rate>500", &endless, &[0, 0, 0, 0, 900, 900, 900], 0),
            Some(true)
        );
        assert_eq!(early("rate>500", &endless, &[100; 5], 0), Some(false));
    }

    #[test]
    fn a_ramp_is_not_judged_by_its_foot() {
        let ramp = plan(Some("0..1000"), Some(10));
        // On its way as planned: 50, 150, 250 …; in the end it is 500.
        assert_eq!(early("rate>450", &ramp, &[50, 150, 250], 0), Some(true));
        assert_eq!(early("rate>550", &ramp, &[50, 150, 250], 0), Some(false));
        // The server does not keep up.
        assert_eq!(early("rate>450", &ramp, &[50, 100, 100], 0), Some(false));
    }

    #[test]
    fn too_few_tell_nothing() {
        let closed = plan(None, Some(10));
        assert_eq!(early("p99<1us", &closed, &[90], 0), None);
        assert_eq!(early("p99<1us", &closed, &[1000], 0), Some(false));
        assert_eq!(early("max<1us", &closed, &[10], 0), Some(false));
        assert_eq!(early("min<1us", &closed, &[1000], 0), None);
        assert_eq!(early("p50>1s", &closed, &[1000], 0), None);
        assert_eq!(early("errors<1%", &closed, &[10], 10), None);
        assert_eq!(early("errors<1%", &closed, &[100], 100), Some(false));
        assert_eq!(early("errors<5", &closed, &[], 5), Some(false));
    }
}

//! What is said in a full room reaches everybody: how fast, at what cost, and how long it takes when the server has time.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::crowd::{Crowd, Pace};
use super::subject::Subject;
use crate::machine::Interrupt;
use crate::proc;
use crate::sample::{Counting, Latencies, Sample, Window};
use crate::stable::Stable;

pub const MEMBERS: usize = 1_000;
/// Each of them has one message underway at the peak, and says the next when everybody has heard it.
pub const SENDERS: usize = 64;
/// So many messages are underway where few speak.
pub const FEW: u64 = 4;

/// One turn.
#[derive(Clone, Debug, Serialize)]
pub struct FanOut {
    /// Where few speak.
    pub few: Sample,
    /// At the peak. A delivery is what is counted; there are no latencies.
    pub peak: Sample,
    /// How much of its core the generator used at the peak: at 1 it is what was measured.
    pub generator: f64,
    /// At half of the peak: from when a message was due to when a member had it.
    pub half: Sample,
}

impl FanOut {
    pub fn per_cpu_second(&self) -> f64 {
        1e6 / self.peak.cpu_us
    }

    pub fn p99_ms(&self) -> Option<f64> {
        self.half.p99_us.map(|us| us / 1_000.0)
    }
}

pub fn measure(
    stable: &Stable,
    subject: Subject,
    window: Window,
    interrupt: &Interrupt,
) -> Result<FanOut> {
    let server = subject.start(stable)?;
    let speech = subject.speech();
    let mut crowd = Crowd::gather(speech, server.address, MEMBERS, SENDERS, interrupt)?;
    let mut underway = |count| -> Result<(Sample, f64)> {
        let pace = Pace::Underway(count);
        crowd.speak(pace, window.warm_up, interrupt)?;
        let before = crowd.deliveries();
        let (own, since) = (proc::own_cpu()?, Instant::now());
        let counting = Counting::open(server.pid())?;
        crowd.speak(pace, window.count, interrupt)?;
        let deliveries = crowd.deliveries() - before;
        let sample = Sample {
            p50_us: None,
            p99_us: None,
            ..counting.close(deliveries, 0, &mut Latencies::new())?
        };
        let own = (proc::own_cpu()? - own).as_secs_f64();
        Ok((sample, own / since.elapsed().as_secs_f64()))
    };
    let (few, _) = underway(FEW)?;
    let (peak, generator) = underway(SENDERS as u64)?;
    crowd.settle(interrupt)?;
    let pace = Pace::PerSecond(peak.per_second / 2.0 / MEMBERS as f64);
    crowd.speak(pace, window.warm_up, interrupt)?;
    crowd.measure();
    let before = crowd.deliveries();
    let counting = Counting::open(server.pid())?;
    crowd.speak(pace, window.count, interrupt)?;
    crowd.settle(interrupt)?;
    let half = counting.close(crowd.deliveries() - before, 0, &mut crowd.latencies())?;
    Ok(FanOut {
        few,
        peak,
        generator,
        half,
    })
}

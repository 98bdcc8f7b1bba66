//! What a run came to: the parts of all its event loops together, and whether to believe it.

use std::time::{Duration, SystemTime};

use super::chat::Chat;
use super::pace::Pace;
use super::plan::{Plan, Work};
use super::record::{Latencies, Recorder, Slice, latencies};
use super::tally::{Requests, Tally};

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was asked for.
    pub plan: Plan,
    /// Requests that could be on their way at once.
    pub concurrency: usize,
    /// When it began.
    pub began: SystemTime,
    /// How long it took, its warm-up not counted.
    pub elapsed: Duration,
    /// What became of the requests.
    pub tally: Tally,
    /// From when a request was intended until it was done: the headline. Only good answers are in it.
    pub latency: Latencies,
    /// What only the open model has.
    pub open: Option<OpenLatencies>,
    /// How long connecting took.
    pub connect: Latencies,
    /// How long TLS handshakes took.
    pub tls: Latencies,
    /// From intended until it was known, of requests that failed or timed out.
    pub failures: Latencies,
    /// What the server said of its own times (Server-Timing), by name, where that was asked for.
    pub server: Vec<(String, Latencies)>,
    /// The run's time in slices of [`Plan::slice`], in order.
    pub slices: Vec<Slice>,
    /// What the generator itself took.
    pub generator: Generator,
    /// What else is known of a chat, of which the requests are the deliveries.
    pub chat: Option<Chat>,
}

/// The histograms beside the headline, of the open model.
#[derive(Debug, Clone)]
pub struct OpenLatencies {
    /// From sent until done: what a closed model would have seen.
    pub service: Latencies,
    /// From intended until sent.
    pub lag: Latencies,
    /// The part of that in which a connection was free: the generator's own fault.
    pub own_lag: Latencies,
}

/// What the generator itself took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Generator {
    /// Its event loops.
    pub loops: usize,
    /// How long they ran, all together.
    pub wall: Duration,
    /// How long they had a processor.
    pub cpu: Duration,
    /// How long they were ready to run and had none.
    pub waited: Duration,
    /// The part of its time that the busiest of them was on a processor, 0 to 1.
    pub busiest: f64,
}

/// From here on a loop has no time left: what is measured is the generator.
const BUSY: f64 = 0.95;
/// Shorter runs say nothing about that.
const BUSY_AFTER: Duration = Duration::from_millis(500);
/// How late the generator may be by itself in 99 of 100 requests: this, or a tenth of the latency that it measures.
const OWN_LAG: Duration = Duration::from_millis(10);
/// The part of its time for which the generator may wait for a processor before that is said.
const WAITED: f64 = 0.2;

impl Generator {
    /// Of one loop, with how busy it was.
    pub(super) fn rated(mut self) -> Generator {
        self.busiest = match self.wall >= BUSY_AFTER {
            true => self.cpu.as_secs_f64() / self.wall.as_secs_f64(),
            false => 0.0,
        };
        self
    }

    fn add(&mut self, other: Generator) {
        self.loops += other.loops;
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.waited += other.waited;
        self.busiest = self.busiest.max(other.busiest);
    }

    /// The part of its time that it waited for a processor, 0 to 1.
    pub fn waited_part(&self) -> f64 {
        match self.wall.is_zero() {
            true => 0.0,
            false => self.waited.as_secs_f64() / self.wall.as_secs_f64(),
        }
    }
}

impl Outcome {
    pub(super) fn new(plan: Plan, concurrency: usize, began: SystemTime, is_open: bool) -> Outcome {
        Outcome {
            plan,
            concurrency,
            began,
            elapsed: Duration::ZERO,
            tally: Tally::default(),
            latency: latencies(),
            open: is_open.then(|| OpenLatencies {
                service: latencies(),
                lag: latencies(),
                own_lag: latencies(),
            }),
            connect: latencies(),
            tls: latencies(),
            failures: latencies(),
            server: Vec::new(),
            slices: Vec::new(),
            generator: Generator::default(),
            chat: None,
        }
    }

    /// Adds what another event loop recorded.
    pub(super) fn add(&mut self, part: Recorder, elapsed: Duration, generator: Generator) {
        self.elapsed = self.elapsed.max(elapsed);
        self.tally.add(part.tally);
        // All are of one shape, so that adding them cannot fail.
        let add = |to: &mut Latencies, from: &Latencies| {
            let _ = to.add(from);
        };
        add(&mut self.latency, &part.total);
        add(&mut self.connect, &part.connect);
        add(&mut self.tls, &part.tls);
        add(&mut self.failures, &part.failures);
        if let (Some(to), Some(from)) = (&mut self.open, &part.open) {
            add(&mut to.service, &from.service);
            add(&mut to.lag, &from.lag);
            add(&mut to.own_lag, &from.own_lag);
        }
        let mut server = super::record::ServerTimes(std::mem::take(&mut self.server));
        server.add(part.server);
        self.server = server.0;
        self.generator.add(generator);
    }

    /// What became of the requests.
    pub fn requests(&self) -> &Requests {
        &self.tally.requests
    }

    /// Good answers a second.
    pub fn rate(&self) -> f64 {
        match self.elapsed.is_zero() {
            true => 0.0,
            false => self.requests().done as f64 / self.elapsed.as_secs_f64(),
        }
    }

    /// The part of the requests that ended which failed or timed out, 0 to 1.
    pub fn error_part(&self) -> f64 {
        let requests = self.requests();
        let bad = requests.failed + requests.timed_out;
        match bad + requests.done {
            0 => 0.0,
            all => bad as f64 / all as f64,
        }
    }

    /// Whether requests were due by a schedule.
    pub fn is_open(&self) -> bool {
        matches!(self.plan.pace, Pace::Open { .. })
    }

    /// What is spoken, in words.
    pub fn protocol(&self) -> String {
        match &self.plan.work {
            Work::Http1(_) => "HTTP/1.1".to_owned(),
            Work::Http2 { .. } => "HTTP/2".to_owned(),
            Work::Chat(_) => format!("chat over {}", self.plan.to.scheme()),
            _ => self.plan.to.scheme().to_string(),
        }
    }

    /// Why what was measured is the generator and not the server: nothing, for a run that is valid.
    pub fn invalid_because(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.generator.busiest >= BUSY {
            why.push(format!(
                "the generator had no time left (its busiest event loop was at {:.0} % of a processor): the rate is its own, not the server's",
                self.generator.busiest * 100.0
            ));
        }
        if let Some(open) = &self.open {
            let lag = Duration::from_nanos(open.own_lag.value_at_quantile(0.99));
            let latency = Duration::from_nanos(self.latency.value_at_quantile(0.99));
            if lag > OWN_LAG.max(latency / 10) {
                why.push(format!(
                    "the generator sent late by itself: 1 % of the requests left {:.1} ms or more after they could have",
                    lag.as_secs_f64() * 1e3
                ));
            }
        }
        if !self.requests().reconcile() {
            why.push("the totals do not reconcile: this is a mistake in bandy".to_owned());
        }
        why
    }

    /// What is worth knowing of how it was measured, though it holds.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.is_open() {
            notes.push(
                "closed model: each connection waits for its answer before it asks again, so the tail is not what users see; --rate measures that"
                    .to_owned(),
            );
        }
        if self.generator.waited_part() > WAITED {
            notes.push(format!(
                "the generator waited for a processor {:.0} % of its time: it shares them with the server or others, and the latencies have that wait in them",
                self.generator.waited_part() * 100.0
            ));
        }
        let requests = self.requests();
        if self.is_open() && requests.never_sent > 0 {
            notes.push(format!(
                "{} due and not sent when the run ended: the tail may be longer than what is shown",
                match (&self.chat, requests.never_sent) {
                    (Some(_), 1) => "1 delivery was".to_owned(),
                    (Some(_), n) => format!("{n} deliveries were"),
                    (None, 1) => "1 request was".to_owned(),
                    (None, n) => format!("{n} requests were"),
                }
            ));
        }
        notes
    }
}

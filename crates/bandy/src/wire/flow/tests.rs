//! Seeded simulation: the table beside a model that is too simple to be wrong.
//!
//! A failure names its seed; `BANDY_SEED=7 cargo test -p bandy flow` runs that one again.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SEEDS: u64 = 300;
const STEPS: usize = 2_000;

#[test]
fn flows_behave_as_the_model_does() {
    let seeds = match std::env::var("BANDY_SEED") {
        Ok(seed) => vec![seed.parse().expect("BANDY_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    };
    for seed in seeds {
        let simulation = std::panic::catch_unwind(|| simulate(seed));
        assert!(
            simulation.is_ok(),
            "seed {seed} failed as told above; BANDY_SEED={seed} runs it alone"
        );
    }
}

fn simulate(seed: u64) {
    let mut random = Random(seed);
    let mut sim = Simulation::new(&mut random);
    for _ in 0..STEPS {
        let key = random.below(sim.keys) as u32;
        match random.below(16) {
            0..=4 => sim.touch(key),
            5..=8 => sim.insert(key),
            9..=10 => sim.remove(key),
            11 => sim.remove_stale(key),
            12..=13 => sim.expire(),
            _ => sim.pass(&mut random),
        }
        sim.check();
    }
}

/// The table, the model, and the time that both are told.
struct Simulation {
    flows: Flows<u32, u64>,
    model: Model,
    now: Instant,
    /// Flows are drawn from this many keys: few of them come back often, many fill the table.
    keys: u64,
    begun: u64,
}

/// Every flow by key: its number, and when its last datagram came.
#[derive(Default)]
struct Model {
    flows: BTreeMap<u32, (u64, Instant)>,
    idle: Duration,
    max: usize,
}

impl Simulation {
    fn new(random: &mut Random) -> Simulation {
        let max = random.below(40) as usize;
        let idle = Duration::from_millis([0, 1, 10, 1_000][random.below(4) as usize]);
        Simulation {
            flows: Flows::new(max, idle),
            model: Model {
                idle,
                max,
                ..Model::default()
            },
            now: Instant::now(),
            keys: 1 + random.below(80),
            begun: 0,
        }
    }

    fn touch(&mut self, key: u32) {
        let touched = self.flows.touch(&key, self.now).copied();
        let known = self.model.flows.get_mut(&key).map(|(number, last)| {
            *last = self.now;
            *number
        });
        assert_eq!(touched, known, "touching {key}");
    }

    /// A new flow, or one in the place of another.
    fn insert(&mut self, key: u32) {
        let is_full = self.model.flows.len() >= self.model.max;
        let expected = match is_full && !self.model.flows.contains_key(&key) {
            true => Err(Full),
            false => Ok(()),
        };
        self.begun += 1;
        let inserted = self.flows.insert(key, self.begun, self.now);
        assert_eq!(inserted, expected, "inserting {key}");
        if expected.is_ok() {
            self.model.flows.insert(key, (self.begun, self.now));
            let (queued, live) = (self.flows.due.len(), self.flows.len());
            assert!(queued <= 2 * live + 64, "{queued} entries, {live} flows");
        }
    }

    fn remove(&mut self, key: u32) {
        let meant = self.model.flows.remove(&key).map(|(number, _)| number);
        let removed = self.flows.remove_if(&key, |value| Some(*value) == meant);
        assert_eq!(removed, meant, "removing {key}");
    }

    /// Somebody who still holds an earlier flow with this key lets it go: the later one stays.
    fn remove_stale(&mut self, key: u32) {
        let later = self.model.flows.get(&key).map(|(number, _)| *number);
        let removed = self.flows.remove_if(&key, |value| Some(*value) != later);
        assert_eq!(removed, None, "removing an earlier flow of {key}");
    }

    fn expire(&mut self) {
        let mut ended = BTreeSet::new();
        self.flows.expire(self.now, |key, value| {
            assert!(ended.insert((key, value)), "flow {value} ended twice");
        });
        let (now, idle) = (self.now, self.model.idle);
        let is_idle = |last: Instant| now.duration_since(last) >= idle;
        let expected: BTreeSet<_> = self
            .model
            .flows
            .iter()
            .filter(|(_, (_, last))| is_idle(*last))
            .map(|(key, (number, _))| (*key, *number))
            .collect();
        assert_eq!(ended, expected, "ended");
        self.model.flows.retain(|_, (_, last)| !is_idle(*last));
        let due = self.flows.next_due();
        assert!(due.is_none_or(|at| at > now), "due again at once");
    }

    /// Time passes: not at all, a little, just short of the idle time, exactly it, or far beyond.
    fn pass(&mut self, random: &mut Random) {
        let idle = self.model.idle;
        self.now += match random.below(6) {
            0 => Duration::ZERO,
            1 => Duration::from_nanos(1),
            2 => idle.saturating_sub(Duration::from_nanos(1)),
            3 => idle,
            4 => idle * 3,
            _ => Duration::from_micros(random.below(2_000)),
        };
    }

    /// What holds at all times.
    fn check(&self) {
        assert_eq!(self.flows.len(), self.model.flows.len());
        assert_eq!(self.flows.is_empty(), self.model.flows.is_empty());
        assert!(self.flows.len() <= self.model.max);
        let values: BTreeSet<u64> = self.flows.values().copied().collect();
        let numbers = self.model.flows.values().map(|(number, _)| *number);
        assert_eq!(values, numbers.collect());

        let first = self.model.flows.values().map(|(_, last)| *last).min();
        if let Some(deadline) = first.map(|last| last + self.model.idle) {
            let due = self.flows.next_due();
            assert!(
                due.is_some_and(|at| at <= deadline),
                "a deadline passes unseen"
            );
        }

        let is_live = |due: &Due<u32>| {
            self.flows
                .by_key
                .get(&due.key)
                .is_some_and(|f| f.id == due.id)
        };
        let live = self
            .flows
            .due
            .iter()
            .filter(|Reverse(due)| is_live(due))
            .count();
        assert_eq!(live, self.flows.len(), "one entry for each flow");
        assert!(self.flows.due.len() <= 2 * self.model.max + 64);
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

//! What a pool looks like from outside, as plain data: for reports, metrics and people.

use std::time::Duration;

use super::backend::{Backend, Counters};
use super::health::State;
use super::{Pool, Wanted};
use crate::tally::Latencies;

/// A pool at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSnapshot {
    /// Its name.
    pub name: String,
    /// Its strategy's name.
    pub strategy: &'static str,
    /// Its backends, in the order of the configuration.
    pub backends: Vec<BackendSnapshot>,
    /// Whether so few are well that their health is no guide (see [`health`](super::health)).
    pub is_panic: bool,
    /// Who waits for a place.
    pub waiting: usize,
    /// How often a lease was wanted while nobody was ready.
    pub unready: u64,
    /// How often one was refused because there was no place, in time or at all.
    pub overloaded: u64,
    /// Retries that were ever made.
    pub retries: u64,
    /// Retries that could be made now.
    pub retries_left: u32,
}

/// A backend at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendSnapshot {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub endpoint: String,
    /// How it is.
    pub state: State,
    /// For how long it has been so.
    pub since: Duration,
    /// How long its pause goes on, if it has one.
    pub ejected_for: Option<Duration>,
    /// What was last found wrong with it; it may be well again by now.
    pub trouble: Option<String>,
    /// Whether it gets nothing new by an operator's wish.
    pub is_draining: bool,
    /// Whether it can be picked.
    pub is_ready: bool,
    /// Its weight as it was told.
    pub weight: u32,
    /// The part of its weight that it has now, between 0 and 1: less than 1 while it warms up.
    pub warmth: f64,
    /// Leases out.
    pub active: usize,
    /// The most of them.
    pub max: Option<usize>,
    /// What it takes until an answer begins, as of late.
    pub latency: Option<Duration>,
    /// What was counted.
    pub counters: Counters,
    /// How long it took until answers began, all of them.
    pub latencies: Latencies,
}

/// Which backend somebody would get, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The backend's name; `None` when nobody is ready.
    pub backend: Option<String>,
    /// Why it, or why nobody.
    pub why: String,
    /// Everyone who would not be picked, whatever is asked, and why.
    pub out: Vec<Out>,
}

/// A backend that is not picked, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Out {
    /// Its name.
    pub backend: String,
    /// Why: `ejected`, `down`, `draining` or `full`.
    pub why: &'static str,
    /// For how long it has been so, where that is known.
    pub since: Option<Duration>,
}

impl Pool {
    /// What the pool looks like now.
    pub fn snapshot(&self) -> PoolSnapshot {
        use std::sync::atomic::Ordering::Relaxed;
        let roster = self.roster();
        PoolSnapshot {
            name: self.name().to_owned(),
            strategy: roster.options.strategy.as_str(),
            backends: self.members().iter().map(|b| b.snapshot()).collect(),
            is_panic: roster.is_panic,
            waiting: self.queue.length(),
            unready: self.counts.unready.load(Relaxed),
            overloaded: self.counts.overloaded.load(Relaxed),
            retries: self.budget().made(),
            retries_left: self.budget().left(),
        }
    }

    /// Which backend somebody who wants this would get now, and why. Nothing is changed by asking.
    pub fn explain(&self, wanted: Wanted<'_>) -> Explained {
        let roster = self.roster();
        let (backend, why) = match self.would_pick(&roster, wanted) {
            Some((backend, why)) => (Some(backend.name().to_owned()), why.to_owned()),
            None if roster.ready.is_empty() => (None, self.nobody_ready().to_string()),
            None => (None, "all that are ready are at their `max`".to_owned()),
        };
        let members = self.members();
        let out = members.iter().filter_map(|b| {
            let is_picked_from = roster.ready.iter().any(|r| std::sync::Arc::ptr_eq(r, b));
            b.out(is_picked_from)
        });
        Explained {
            backend,
            why,
            out: out.collect(),
        }
    }
}

impl Backend {
    /// What the backend looks like now.
    pub fn snapshot(&self) -> BackendSnapshot {
        let health = self.health();
        let full = u64::from(self.weight()) * Backend::PARTS;
        BackendSnapshot {
            name: self.name().to_owned(),
            endpoint: self.endpoint().to_string(),
            state: self.state(),
            since: health.since().elapsed(),
            ejected_for: health.ejected_until().map(|until| until.remaining()),
            trouble: self.trouble(),
            is_draining: self.is_draining(),
            is_ready: self.is_ready(),
            weight: self.weight(),
            warmth: self.share() as f64 / full as f64,
            active: self.active(),
            max: self.max(),
            latency: self.latency(),
            counters: self.counters(),
            latencies: self.latencies(),
        }
    }

    fn out(&self, is_picked_from: bool) -> Option<Out> {
        let health = self.health();
        let (why, since) = match self.state() {
            _ if self.is_draining() => ("draining", None),
            State::Down if !is_picked_from => ("down", Some(health.since().elapsed())),
            State::Ejected if !is_picked_from => ("ejected", Some(health.since().elapsed())),
            _ if self.is_full() => ("full", None),
            _ => return None,
        };
        Some(Out {
            backend: self.name().to_owned(),
            why,
            since,
        })
    }
}

//! `peak-ewma`: who would answer soonest, as far as can be told.

use std::sync::Arc;

use super::Strategy;
use super::p2c::of_two;
use crate::net::Tick;
use crate::pool::{Backend, Key};

/// Of two backends at random the one that would answer sooner: its latency of late, times what it has to do (Finagle's and
/// linkerd's peak EWMA). The latency goes up at once and comes down slowly, so a backend that turns slow is left alone at its
/// first slow answer. One that has not answered yet, and has nothing to do, is tried first.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeakEwma;

impl Strategy for PeakEwma {
    fn pick(&self, ready: &[Arc<Backend>], _key: Option<Key>) -> Option<usize> {
        if ready.len() <= 1 {
            return ready.len().checked_sub(1);
        }
        let now = Tick::now();
        of_two(ready, |backend| cost(backend, now))
    }

    fn why(&self) -> &'static str {
        "the one that would answer sooner of two at random"
    }
}

/// Of a backend that has work and never answered: worse than any that answers.
const UNKNOWN: f64 = 1e12;

fn cost(backend: &Backend, now: Tick) -> f64 {
    let active = backend.active() as f64;
    match backend.latency_now(now) {
        0 if active > 0.0 => UNKNOWN * active,
        latency => latency as f64 * (active + 1.0),
    }
}

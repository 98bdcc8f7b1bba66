//! `p2c`: the better of two at random.

use std::sync::Arc;

use super::Strategy;
use super::random::by_share;
use crate::pool::{Backend, Key};

/// Of two backends at random the one with fewer leases out (Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing", 2001). It looks at two however many there are, and several balancers that do so do not all run to the same
/// one, as they would to the one with the fewest.
#[derive(Debug, Clone, Copy, Default)]
pub struct P2c;

impl Strategy for P2c {
    fn pick(&self, ready: &[Arc<Backend>], _key: Option<Key>) -> Option<usize> {
        of_two(ready, |backend| backend.active() as f64)
    }

    fn why(&self) -> &'static str {
        "the one with fewer connections of two at random"
    }
}

/// Of two at random, by weight, the one that costs less. Weights have had their say in which two these are.
pub(super) fn of_two(ready: &[Arc<Backend>], cost: impl Fn(&Backend) -> f64) -> Option<usize> {
    let first = by_share(ready, None)?;
    let Some(second) = by_share(ready, Some(first)) else {
        return Some(first);
    };
    let cost_at = |at: usize| ready.get(at).map_or(f64::INFINITY, |b| cost(b));
    match cost_at(second) < cost_at(first) {
        true => Some(second),
        false => Some(first),
    }
}

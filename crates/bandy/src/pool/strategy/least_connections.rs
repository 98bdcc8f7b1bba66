//! `least-connections`: whoever has the fewest for its weight.

use std::sync::Arc;

use super::Strategy;
use crate::pool::{Backend, Key};

/// The backend with the fewest leases out, for its weight. Of several that have equally few, one at random, by weight: what
/// comes first would else get everything while little is going on, and two event loops would pick the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastConnections;

impl Strategy for LeastConnections {
    fn pick(&self, ready: &[Arc<Backend>], _key: Option<Key>) -> Option<usize> {
        let mut best: Option<Best> = None;
        for (at, backend) in ready.iter().enumerate() {
            let load = Load {
                active: backend.active() as u128,
                share: u128::from(backend.share().max(1)),
            };
            best = Some(match best {
                Some(best) if best.load.is_less_than(load) => best,
                Some(best) if !load.is_less_than(best.load) => best.or(at, load),
                _ => Best {
                    at,
                    load,
                    shares: load.share,
                },
            });
        }
        best.map(|best| best.at)
    }

    fn why(&self) -> &'static str {
        "fewest connections for its weight"
    }
}

/// Leases out, for this share of the work.
#[derive(Debug, Clone, Copy)]
struct Load {
    active: u128,
    share: u128,
}

impl Load {
    /// Compared without a division, which would round.
    fn is_less_than(self, other: Load) -> bool {
        self.active * other.share < other.active * self.share
    }
}

/// The best so far, and the shares of all that are as good.
#[derive(Debug, Clone, Copy)]
struct Best {
    at: usize,
    load: Load,
    shares: u128,
}

impl Best {
    /// Another that is as good takes its place as often as its share says (sampling from a reservoir).
    fn or(self, at: usize, load: Load) -> Best {
        let shares = self.shares + load.share;
        match fastrand::u128(..shares) < load.share {
            true => Best { at, load, shares },
            false => Best { shares, ..self },
        }
    }
}

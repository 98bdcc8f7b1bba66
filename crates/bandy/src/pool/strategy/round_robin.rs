//! `round-robin`: one after the other, by weight.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use super::Strategy;
use crate::pool::{Backend, Key};

/// nginx's smooth weighted order: each pick, every backend's sum grows by its weight, the largest is taken, and loses what
/// all have gained. With weights 5, 1, 1 that is `a a b a c a a`, and not `a a a a a b c`.
///
/// The sums stand in the backends, so that they survive those that come and go; the lock is held for one pass over them.
/// A counter for each event loop would need no lock, and be exact on none: a client's requests on one loop, another's on
/// the other, and the same backend gets both.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turns: Mutex<()>,
}

impl Strategy for RoundRobin {
    fn pick(&self, ready: &[Arc<Backend>], _key: Option<Key>) -> Option<usize> {
        if ready.len() <= 1 {
            return ready.len().checked_sub(1);
        }
        let _turn = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut total, mut best) = (0, None);
        for (at, backend) in ready.iter().enumerate() {
            let share = backend.share().cast_signed();
            total += share;
            let turn = backend.turn.load(Relaxed) + share;
            backend.turn.store(turn, Relaxed);
            if best.is_none_or(|(_, most)| turn > most) {
                best = Some((at, turn));
            }
        }
        let (at, turn) = best?;
        ready.get(at)?.turn.store(turn - total, Relaxed);
        Some(at)
    }

    fn peek(&self, ready: &[Arc<Backend>], _key: Option<Key>) -> Option<usize> {
        let _turn = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = |b: &Arc<Backend>| b.turn.load(Relaxed) + b.share().cast_signed();
        // The first of the largest, as `pick` has it.
        let turns = ready.iter().map(turn).enumerate();
        turns
            .max_by_key(|(at, turn)| (*turn, std::cmp::Reverse(*at)))
            .map(|(at, _)| at)
    }

    fn why(&self) -> &'static str {
        "its turn in the weighted order"
    }
}

//! `random`: anyone, as often as its weight says.

use std::sync::Arc;

use super::Strategy;
use crate::pool::{Backend, Key};

/// Anyone, as often as its weight says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Strategy for Random {
    fn pick(&self, ready: &[Arc<Backend>], _key: Option<Key>) -> Option<usize> {
        by_share(ready, None)
    }

    fn why(&self) -> &'static str {
        "chance, by weight"
    }
}

/// One at random, by weight, but not the one at `except`; `None` where there is no other.
pub(super) fn by_share(ready: &[Arc<Backend>], except: Option<usize>) -> Option<usize> {
    // In one pass, since a share that warms up is another at the second look.
    let (mut shares, mut chosen) = (0u64, None);
    for (at, backend) in ready.iter().enumerate() {
        if Some(at) == except {
            continue;
        }
        let share = backend.share().max(1);
        shares = shares.saturating_add(share);
        if fastrand::u64(..shares) < share {
            chosen = Some(at);
        }
    }
    chosen
}

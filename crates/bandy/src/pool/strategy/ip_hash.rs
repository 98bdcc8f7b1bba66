//! `ip-hash`: the same client, the same server.

use std::sync::Arc;

use super::Strategy;
use super::random::by_share;
use crate::pool::{Backend, Key};

/// Each client has a ranking of all backends, and gets the first that is ready (rendezvous hashing: Thaler and Ravishankar,
/// 1996; weights as in Schindelhauer and Schomaker, 2005). When one goes, only its clients move, and they spread over the
/// others; when it comes back, just they return. What has no address goes anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct IpHash;

impl Strategy for IpHash {
    fn pick(&self, ready: &[Arc<Backend>], key: Option<Key>) -> Option<usize> {
        let Some(key) = key else {
            return by_share(ready, None);
        };
        let scores = ready.iter().map(|backend| score(backend, key)).enumerate();
        scores
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(at, _)| at)
    }

    fn why(&self) -> &'static str {
        "the client's address"
    }
}

/// `-weight / ln(u)`, where `u` is a number between 0 and 1 that client and backend have in common. A weight is the one that
/// was told: a backend that warms up has its clients.
fn score(backend: &Backend, key: Key) -> f64 {
    // 53 bits are what a float holds; neither 0 nor 1 comes of them.
    let bits = key.with(backend.salt()) >> 11;
    let u = (bits as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(backend.weight()) / -u.ln()
}

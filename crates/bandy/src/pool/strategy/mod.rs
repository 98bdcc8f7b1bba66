//! Strategies: which of the backends that are ready. One a file.
//!
//! A strategy does no I/O and never waits. It sees each backend's load as it is at that moment; several event loops pick
//! at the same time, so a law that is about counts holds exactly for one pick after the other, and to within the number of
//! loops when they pick at once.

mod consistent_hash;
mod ip_hash;
mod least_connections;
mod p2c;
mod peak_ewma;
mod random;
mod round_robin;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use super::{Backend, Key};
use crate::http::HeaderName;
pub use consistent_hash::ConsistentHash;
pub use ip_hash::IpHash;
pub use least_connections::LeastConnections;
pub use p2c::P2c;
pub use peak_ewma::PeakEwma;
pub use random::Random;
pub use round_robin::RoundRobin;

/// Picks a backend.
pub trait Strategy: Send + Sync + 'static {
    /// The place in `ready` of the one to take; `None` where there is nobody. `ready` may be fewer than are ready: those that
    /// are full or were tried are left out.
    fn pick(&self, ready: &[Arc<Backend>], key: Option<Key>) -> Option<usize>;

    /// The one that [`Strategy::pick`] would take next, with nothing changed by asking. Where chance has a say, one that it
    /// could be.
    fn peek(&self, ready: &[Arc<Backend>], key: Option<Key>) -> Option<usize> {
        self.pick(ready, key)
    }

    /// Told of all members of the pool, ready or not, whenever something about them changed: for tables.
    fn prepare(&self, _members: &[Arc<Backend>]) {}

    /// Why it takes the one that it takes, for people: `fewest connections for its weight`.
    fn why(&self) -> &'static str;
}

/// Which strategy, and what it was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Choice {
    /// One after the other, in nginx's smooth weighted order.
    #[default]
    RoundRobin,
    /// Whoever has the fewest leases out, for its weight.
    LeastConnections,
    /// The same client, the same backend.
    IpHash,
    /// Anyone, by weight.
    Random,
    /// The one with fewer leases of two at random.
    P2c,
    /// The one that would answer sooner of two at random.
    PeakEwma,
    /// The same key, the same backend.
    ConsistentHash {
        /// What the key is made of.
        key: KeyOf,
        /// The most that one backend may have, in percent of what all have on average; 0 is no bound.
        load: u32,
    },
}

/// What a key is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOf {
    /// The client's address.
    Ip,
    /// A request's field of this name.
    Header(HeaderName),
    /// A request's cookie of this name.
    Cookie(String),
    /// A request's path.
    Path,
    /// A parameter of a request's query.
    Query(String),
}

impl Choice {
    /// The name of every strategy, in the order that help texts list them.
    pub const NAMES: [&'static str; 7] = [
        "round-robin",
        "least-connections",
        "ip-hash",
        "random",
        "p2c",
        "peak-ewma",
        "consistent-hash",
    ];

    /// As written in a configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Choice::RoundRobin => "round-robin",
            Choice::LeastConnections => "least-connections",
            Choice::IpHash => "ip-hash",
            Choice::Random => "random",
            Choice::P2c => "p2c",
            Choice::PeakEwma => "peak-ewma",
            Choice::ConsistentHash { .. } => "consistent-hash",
        }
    }

    /// What keys are to be made of, by whoever asks for a lease; `None` where nothing hangs on them.
    pub fn key(&self) -> Option<&KeyOf> {
        match self {
            Choice::IpHash => Some(&KeyOf::Ip),
            Choice::ConsistentHash { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Makes it.
    pub fn build(&self) -> Arc<dyn Strategy> {
        match self {
            Choice::RoundRobin => Arc::new(RoundRobin::default()),
            Choice::LeastConnections => Arc::new(LeastConnections),
            Choice::IpHash => Arc::new(IpHash),
            Choice::Random => Arc::new(Random),
            Choice::P2c => Arc::new(P2c),
            Choice::PeakEwma => Arc::new(PeakEwma),
            Choice::ConsistentHash { load, .. } => Arc::new(ConsistentHash::new(*load)),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `ip`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`.
impl std::str::FromStr for KeyOf {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<KeyOf, &'static str> {
        match text.split_once(':') {
            None if text == "ip" => Ok(KeyOf::Ip),
            None if text == "path" => Ok(KeyOf::Path),
            Some((_, "")) => Err("the name behind the colon is missing"),
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes())
                .map(KeyOf::Header)
                .map_err(|_| "that is no field's name"),
            Some(("cookie", name)) => Ok(KeyOf::Cookie(name.to_owned())),
            Some(("query", name)) => Ok(KeyOf::Query(name.to_owned())),
            _ => Err("a key is `ip`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`"),
        }
    }
}

impl fmt::Display for KeyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyOf::Ip => f.write_str("ip"),
            KeyOf::Header(name) => write!(f, "header:{name}"),
            KeyOf::Cookie(name) => write!(f, "cookie:{name}"),
            KeyOf::Path => f.write_str("path"),
            KeyOf::Query(name) => write!(f, "query:{name}"),
        }
    }
}

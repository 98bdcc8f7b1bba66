//! Strategies: which of the backends that are ready. One a file.
//!
//! A strategy does no I/O and never waits. It sees each backend's load as it is at that moment; several event loops pick
//! at the same time, so a law that is about counts holds exactly for one pick after the other, and to within the number of
//! loops when they pick at once.

mod round_robin;

use std::fmt;
use std::sync::Arc;

use super::{Backend, Key};
pub use round_robin::RoundRobin;

/// Picks a backend.
pub trait Strategy: Send + Sync + 'static {
    /// The place in `ready` of the one to take; `None` where there is nobody. `ready` may be fewer than are ready: those that
    /// are full or were tried are left out.
    fn pick(&self, ready: &[Arc<Backend>], key: Option<Key>) -> Option<usize>;

    /// The one that [`Strategy::pick`] would take next, with nothing changed by asking.
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
}

impl Choice {
    /// The name of every strategy, in the order that help texts list them.
    pub const NAMES: [&'static str; 1] = ["round-robin"];

    /// As written in a configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Choice::RoundRobin => "round-robin",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Choice> {
        [Choice::RoundRobin]
            .into_iter()
            .find(|choice| choice.as_str() == name)
    }

    /// Makes it.
    pub fn build(&self) -> Arc<dyn Strategy> {
        match self {
            Choice::RoundRobin => Arc::new(RoundRobin::default()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Who wants to know that a log has grown. Nobody may rely on it but as a reason to look.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// A sender for each log that somebody watches.
///
/// Invariant: no more of them than receivers, but for those whose receivers went since the last [`Hints::prune`].
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    by_log: HashMap<String, watch::Sender<u64>>,
    /// How many there may be before those are looked for whom nobody watches any more.
    prune_at: usize,
    is_closed: bool,
}

impl Hints {
    /// A hint for this log, and whether it is the first of all.
    pub(super) fn watch(&self, log: &str) -> (watch::Receiver<u64>, bool) {
        let mut watched = self.lock();
        if watched.is_closed {
            // Its sender is dropped at once, which says the same as later.
            return (watch::channel(0).1, false);
        }
        if let Some(sender) = watched.by_log.get(log) {
            return (sender.subscribe(), false);
        }
        if watched.by_log.len() >= watched.prune_at {
            watched.prune();
        }
        let (sender, receiver) = watch::channel(0);
        let is_first = watched.by_log.is_empty();
        watched.by_log.insert(log.to_owned(), sender);
        (receiver, is_first)
    }

    /// The log has an entry `seq`.
    pub(super) fn raise(&self, log: &str, seq: u64) {
        if let Some(sender) = self.lock().by_log.get(log) {
            sender.send_if_modified(|last| {
                let is_news = *last < seq;
                *last = seq.max(*last);
                is_news
            });
        }
    }

    /// Whether anybody watches, as of the last [`Hints::prune`].
    pub(super) fn is_watched(&self) -> bool {
        !self.lock().by_log.is_empty()
    }

    /// The logs that are watched.
    pub(super) fn logs(&self) -> Vec<String> {
        self.lock().by_log.keys().cloned().collect()
    }

    /// Forgets the logs that nobody watches any more.
    pub(super) fn prune(&self) {
        self.lock().prune();
    }

    /// Ends every watching.
    pub(super) fn close(&self) {
        let mut watched = self.lock();
        watched.is_closed = true;
        watched.by_log.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn prune(&mut self) {
        const FEW: usize = 64;
        self.by_log.retain(|_, sender| sender.receiver_count() > 0);
        self.prune_at = (self.by_log.len() * 2).max(FEW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_only_grows() {
        let hints = Hints::default();
        let (mut receiver, is_first) = hints.watch("a");
        assert!(is_first && !hints.watch("b").1);
        hints.raise("a", 3);
        hints.raise("a", 2);
        assert_eq!(*receiver.borrow_and_update(), 3);
        hints.raise("a", 3);
        assert!(!receiver.has_changed().unwrap());
        hints.close();
        assert!(receiver.has_changed().is_err());
    }

    #[test]
    fn logs_that_nobody_watches_are_forgotten() {
        let hints = Hints::default();
        for n in 0..10_000 {
            drop(hints.watch(&n.to_string()));
        }
        assert!(hints.logs().len() <= 64);
        hints.prune();
        assert!(!hints.is_watched());
    }
}

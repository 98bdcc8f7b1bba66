//! Following a log: what is in it, and then what comes.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Entry, Store, closed};
use crate::error::Result;
use crate::printable::printable;

/// How many entries are read at once; their bytes are bounded by the store.
const READ_AHEAD: usize = 256;

/// Follows a log from behind the entry `after`; 0 is the beginning.
pub fn tail(store: Arc<dyn Store>, log: impl Into<String>, after: u64) -> Tail {
    let log = log.into();
    Tail {
        hint: store.watch(&log),
        ahead: VecDeque::new(),
        seq: after,
        store,
        log,
    }
}

/// A log being followed: gives every entry once, in order.
///
/// The log is what is read; the store's hint only says when to look again.
#[derive(Debug)]
pub struct Tail {
    store: Arc<dyn Store>,
    log: String,
    /// The last entry that was given out.
    seq: u64,
    /// Those behind it that have been read already.
    ahead: VecDeque<Entry>,
    hint: watch::Receiver<u64>,
}

impl Tail {
    /// The next entry; waits for one where there is none. Cancel-safe.
    ///
    /// # Errors
    /// [`Kind::Gone`](crate::error::Kind::Gone) when the next entry was trimmed before it was read; a new tail from
    /// [`Store::oldest`] goes on from there. [`Kind::Closed`](crate::error::Kind::Closed) when the store is closed. As
    /// [`Store`] says otherwise. It can be called again after any of them, and goes on where it was.
    pub async fn next(&mut self) -> Result<Entry> {
        loop {
            if let Some(entry) = self.ahead.pop_front() {
                self.seq = entry.seq;
                return Ok(entry);
            }
            // Before looking: what is appended while we look is news.
            self.hint.mark_unchanged();
            self.ahead = self
                .store
                .read(&self.log, self.seq, READ_AHEAD)
                .await?
                .into();
            if self.ahead.is_empty() && self.hint.changed().await.is_err() {
                let act = format!("following the log \"{}\"", printable(&self.log));
                return Err(closed(act));
            }
        }
    }

    /// The last entry that was given out: a tail made with it goes on where this one is.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

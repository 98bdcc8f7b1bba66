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
            self.ahead = self.look().await?;
            if self.ahead.is_empty() {
                self.grown().await?;
            }
        }
    }

    /// The next entries, as many as are read at once; none where there are none yet. Cancel-safe.
    ///
    /// # Errors
    /// As [`Tail::next`].
    pub async fn read(&mut self) -> Result<VecDeque<Entry>> {
        let entries = match self.ahead.is_empty() {
            true => self.look().await?,
            false => std::mem::take(&mut self.ahead),
        };
        self.seq = entries.back().map_or(self.seq, |last| last.seq);
        Ok(entries)
    }

    /// Waits until the store says that the log has grown since it was last looked at. Cancel-safe.
    ///
    /// # Errors
    /// [`Kind::Closed`](crate::error::Kind::Closed) when the store is closed.
    pub async fn grown(&mut self) -> Result<()> {
        self.hint.changed().await.map_err(|_| {
            let act = format!("following the log \"{}\"", printable(&self.log));
            closed(act)
        })
    }

    /// Whether the store has said that there is more than was given out or passed over. Before the first entry was read
    /// it may not have said so.
    pub fn is_behind(&self) -> bool {
        *self.hint.borrow() > self.seq
    }

    /// Goes on behind this entry: what is up to it is known already.
    pub fn pass_over(&mut self, through: u64) {
        if through > self.seq {
            self.seq = through;
            self.ahead.retain(|entry| entry.seq > through);
        }
    }

    async fn look(&mut self) -> Result<VecDeque<Entry>> {
        // Before looking: what is appended while we look is news.
        self.hint.mark_unchanged();
        let read = self.store.read(&self.log, self.seq, READ_AHEAD).await?;
        Ok(read.into())
    }

    /// The last entry that was given out: a tail made with it goes on where this one is.
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

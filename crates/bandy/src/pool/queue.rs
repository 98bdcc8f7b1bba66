//! The queue of those who wait for a place, first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::backend::Backend;
use super::{Key, Lease, Pool, Wanted};
use crate::error::{Kind, Result};

/// Those who wait.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<VecDeque<Waiter>>,
    /// Its length, for those who only want to know whether there is one.
    length: AtomicUsize,
}

struct Waiter {
    key: Option<Key>,
    avoid: Vec<Arc<Backend>>,
    stick: Option<String>,
    hand: oneshot::Sender<Result<Lease>>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // A line that somebody panicked beside is still a line.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub(super) fn length(&self) -> usize {
        self.length.load(SeqCst)
    }
}

/// Whoever goes, served or not, leaves nothing in the line.
struct Leaving<'a>(&'a Queue);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut line = self.0.lock();
        line.retain(|waiter| !waiter.hand.is_closed());
        self.0.length.store(line.len(), SeqCst);
    }
}

impl Pool {
    /// Waits for a place until the queue's deadline.
    pub(super) async fn wait(&self, wanted: Wanted<'_>) -> Result<Lease> {
        let waiting = self.options().queue.clone();
        // Dropped last: when the hand that was held out is gone.
        let _leaving = Leaving(&self.queue);
        let (hand, handed) = oneshot::channel();
        {
            let mut line = self.queue.lock();
            if line.len() >= waiting.length {
                Pool::count(&self.counts.overloaded);
                let why = match waiting.length {
                    0 => "all backends that are ready are at their `max`".to_owned(),
                    n => format!("all backends are at their `max`, and {n} wait already"),
                };
                return Err(self.refused(Kind::Overload, why));
            }
            line.push_back(Waiter {
                key: wanted.key,
                avoid: wanted.avoid.to_vec(),
                stick: wanted.stick.map(str::to_owned),
                hand,
            });
            self.queue.length.store(line.len(), SeqCst);
        }
        // A place that came back in between was given back before anyone stood in line.
        self.serve_queue();
        match tokio::time::timeout(waiting.wait, handed).await {
            Ok(Ok(lease)) => lease,
            Ok(Err(_)) | Err(_) => {
                Pool::count(&self.counts.overloaded);
                let why = format!("no place was free within {:?}", waiting.wait);
                Err(self.refused(Kind::Overload, why))
            }
        }
    }

    /// Gives places to those who wait longest, as long as there are any.
    pub(super) fn serve_queue(&self) {
        if self.queue.length() == 0 {
            return;
        }
        // What nobody takes any more is dropped outside the lock: its place goes round again.
        let mut unwanted = Vec::new();
        let mut line = self.queue.lock();
        while let Some(first) = line.front() {
            if first.hand.is_closed() {
                line.pop_front();
                continue;
            }
            let wanted = Wanted {
                key: first.key,
                avoid: &first.avoid,
                stick: first.stick.as_deref(),
            };
            // Not `roster()`: that may come here again, and the line is taken.
            let answer = match self.pick(&self.roster.load(), wanted) {
                Ok(None) => break,
                Ok(Some(lease)) => Ok(lease),
                Err(error) => Err(error),
            };
            if let Some(first) = line.pop_front() {
                unwanted.extend(first.hand.send(answer).err());
            }
        }
        self.queue.length.store(line.len(), SeqCst);
        drop(line);
        drop(unwanted);
    }
}

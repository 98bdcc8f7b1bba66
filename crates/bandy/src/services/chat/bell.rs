//! Waking the sessions of an event loop from another thread, all of them at once.
//!
//! To wake a task of another thread's loop costs a system call; to wake one of one's own costs nothing. A message to a
//! room of a thousand wakes a thousand tasks: here each loop is rung once, and wakes its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::thread::{self, ThreadId};

use foldhash::fast::RandomState;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// One event loop's bell.
#[derive(Debug, Default)]
pub(super) struct Bell {
    waiting: Mutex<Vec<Waker>>,
    rung: Notify,
    /// Its event loop has ended, or ends.
    is_over: AtomicBool,
}

impl Bell {
    /// Has somebody woken at the next ring. Whether nobody else waited for it: then it is to be rung.
    pub(super) fn add(&self, waker: Waker) -> bool {
        let mut waiting = self.lock();
        if self.is_over.load(Relaxed) {
            drop(waiting);
            waker.wake();
            return false;
        }
        waiting.push(waker);
        waiting.len() == 1
    }

    pub(super) fn ring(&self) {
        self.rung.notify_one();
    }

    fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bells of all event loops that have sessions.
#[derive(Debug, Default)]
pub(super) struct Bells(HashMap<ThreadId, Weak<Bell>, RandomState>);

impl Bells {
    /// That of the event loop that this is called on; `None` outside of one.
    pub(super) fn here(&mut self) -> Option<Arc<Bell>> {
        let handle = Handle::try_current().ok()?;
        let here = thread::current().id();
        let known = self.0.get(&here).and_then(Weak::upgrade);
        if let Some(bell) = known.filter(|bell| !bell.is_over.load(Relaxed)) {
            return Some(bell);
        }
        // With a thread for each connection there is one for each, and they go.
        self.0.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::new(Bell::default());
        self.0.insert(here, Arc::downgrade(&bell));
        handle.spawn(ring_on(OverAtEnd(bell.clone())));
        Some(bell)
    }
}

/// The event loop's part: it ends with the loop.
async fn ring_on(bell: OverAtEnd) {
    loop {
        bell.0.rung.notified().await;
        bell.0.wake_all();
        // Until all of them had their turn: what comes meanwhile is written to each of them as one.
        tokio::task::yield_now().await;
    }
}

/// Nobody shall wait for a bell that nobody hears.
struct OverAtEnd(Arc<Bell>);

impl Drop for OverAtEnd {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
        self.0.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[tokio::test]
    async fn one_ring_wakes_all_who_wait() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let bell = Bells::default().here().expect("an event loop");
        assert!(bell.add(count.clone().into()));
        assert!(!bell.add(count.clone().into()));
        assert_eq!(count.0.load(Relaxed), 0);
        bell.ring();
        tokio::task::yield_now().await;
        assert_eq!(count.0.load(Relaxed), 2);
        assert!(bell.add(count.clone().into()), "rung anew");
    }

    #[test]
    fn after_the_end_of_its_loop_everybody_is_woken_at_once() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let mut bells = Bells::default();
        assert!(bells.here().is_none());
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let bell = runtime.block_on(async { bells.here() }).expect("a bell");
        bell.add(count.clone().into());
        drop(runtime);
        assert_eq!(count.0.load(Relaxed), 1);
        assert!(!bell.add(count.clone().into()));
        assert_eq!(count.0.load(Relaxed), 2);
    }
}

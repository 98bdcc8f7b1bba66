//! Connections on which nothing is going on, kept for the next request: for each event loop its own.
//!
//! What was used last is used first, so that those which are not needed grow old and are closed. One that its backend
//! closes, or on which something comes unasked, is never used again: the loop's one janitor hears of it and drops it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::HashMap;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep};

use super::Keep;
use crate::net::{Conn, Tick};

thread_local! {
    static SHELF: RefCell<Option<Shelf>> = const { RefCell::new(None) };
}

/// The connections of one event loop. Only its own thread locks it, so there is nobody to wait for.
#[derive(Clone)]
struct Shelf {
    runtime: Id,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    backends: HashMap<u64, VecDeque<Resting>>,
    /// Hears of what happens to connections that rest; `None` while nobody does.
    janitor: Option<Waker>,
}

struct Resting {
    conn: Conn,
    until: Tick,
}

/// Looked for what is too old at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The connection to this backend that was used last, if one is kept here and still stands. What comes on it from now on
/// wakes `waker`.
pub(crate) fn take(backend: u64, waker: &Waker) -> Option<Conn> {
    SHELF.with_borrow(|shelf| {
        let shelf = shelf.as_ref()?;
        if Handle::try_current().ok()?.id() != shelf.runtime {
            return None;
        }
        let mut kept = shelf.lock();
        let resting = kept.backends.get_mut(&backend)?;
        while let Some(mut next) = resting.pop_back() {
            if !next.until.is_past() && is_quiet(&mut next.conn, waker) {
                return Some(next.conn);
            }
        }
        None
    })
}

/// Keeps a connection on which nothing is going on.
pub(super) fn put(conn: Conn, keep: Keep) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    let shelf = SHELF.with_borrow_mut(|shelf| match shelf {
        Some(shelf) if shelf.runtime == runtime.id() => shelf.clone(),
        _ => {
            let fresh = Shelf {
                runtime: runtime.id(),
                kept: Arc::default(),
            };
            shelf.insert(fresh).clone()
        }
    });
    shelf.put(conn, keep, &runtime);
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, mut conn: Conn, keep: Keep, runtime: &Handle) {
        let mut kept = self.lock();
        let is_watched = match &kept.janitor {
            Some(waker) => is_quiet(&mut conn, waker),
            None => is_quiet(&mut conn, Waker::noop()),
        };
        if !is_watched || keep.at_most == 0 {
            return;
        }
        let resting = kept.backends.entry(keep.backend).or_default();
        let too_many = match resting.len() >= keep.at_most {
            true => resting.pop_front(),
            false => None,
        };
        resting.push_back(Resting {
            conn,
            until: Tick::after(keep.idle),
        });
        let is_alone = kept.janitor.is_none();
        if is_alone {
            // Until it has run for the first time.
            kept.janitor = Some(Waker::noop().clone());
        }
        drop(kept);
        drop(too_many);
        if is_alone {
            runtime.spawn(janitor(Janitor(self.kept.clone())));
        }
    }
}

/// Whether nothing came on it. If not, `waker` is woken once something does, or it is closed.
fn is_quiet(conn: &mut Conn, waker: &Waker) -> bool {
    let mut byte = [0];
    let mut read = ReadBuf::new(&mut byte);
    let cx = &mut Context::from_waker(waker);
    Pin::new(conn).poll_read(cx, &mut read).is_pending()
}

/// Ends with its loop, and the connections with it.
struct Janitor(Arc<Mutex<Kept>>);

impl Drop for Janitor {
    fn drop(&mut self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *kept);
        drop(kept);
        drop(ended);
    }
}

/// Drops connections that were closed or grew old, for as long as there are some.
async fn janitor(shelf: Janitor) {
    let mut timer = pin!(tokio::time::sleep(SWEEP_EVERY));
    std::future::poll_fn(|cx| {
        loop {
            let mut kept = shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.janitor = Some(cx.waker().clone());
            let dropped = kept.sweep(cx.waker());
            let is_time = elapsed(timer.as_mut(), cx);
            if is_time && kept.backends.is_empty() {
                // Under the lock: who puts one here next, spawns another.
                kept.janitor = None;
                return Poll::Ready(());
            }
            drop(kept);
            drop(dropped);
            if !is_time {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Whether the timer has fired; then it is set again.
fn elapsed(mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> bool {
    let is_time = timer.as_mut().poll(cx).is_ready();
    if is_time {
        timer.reset(Instant::now() + SWEEP_EVERY);
    }
    is_time
}

impl Kept {
    /// Takes out those that are to be dropped.
    fn sweep(&mut self, waker: &Waker) -> Vec<Resting> {
        let mut dropped = Vec::new();
        self.backends.retain(|_, resting| {
            for _ in 0..resting.len() {
                let Some(mut next) = resting.pop_front() else {
                    break;
                };
                match !next.until.is_past() && is_quiet(&mut next.conn, waker) {
                    true => resting.push_back(next),
                    false => dropped.push(next),
                }
            }
            !resting.is_empty()
        });
        dropped
    }
}

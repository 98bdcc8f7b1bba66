//! Event loops: one thread each, and how many conversations each has.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::error::{Error, Kind, Result, Side};

/// The event loops of a process. Dropping them ends whatever still runs on them.
#[derive(Debug)]
pub struct Loops {
    all: Arc<[EventLoop]>,
    threads: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    end: Option<oneshot::Sender<()>>,
    /// Behind a lock that is never taken, so that a running server is `Sync` and can be shared between threads.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// One event loop, as seen from any thread.
#[derive(Debug)]
pub(super) struct EventLoop {
    pub(super) handle: Handle,
    /// Conversations that live on it. On a cache line of its own: every loop counts on its own.
    load: Load,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Load(AtomicUsize);

impl Loops {
    /// One event loop for each core that this process may use.
    ///
    /// # Errors
    /// That the system gives no thread or no epoll.
    pub fn start() -> Result<Loops> {
        let cores = thread::available_parallelism().map_or(1, |n| n.get());
        Loops::start_some(cores)
    }

    /// This many event loops, at least one.
    ///
    /// # Errors
    /// As [`Loops::start`].
    pub fn start_some(count: usize) -> Result<Loops> {
        let mut all = Vec::new();
        let mut threads = Vec::new();
        for i in 0..count.max(1) {
            let (handle, thread) = start_one(i).map_err(|e| {
                Error::new(Kind::Io, Side::Local, "starting an event loop").because(e)
            })?;
            all.push(EventLoop {
                handle,
                load: Load::default(),
            });
            threads.push(thread);
        }
        Ok(Loops {
            all: all.into(),
            threads,
        })
    }

    /// Runs something beside the servers, until it ends or the event loops do.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let first = self.all.first()?;
        Some(first.handle.spawn(work).abort_handle())
    }

    pub(super) fn all(&self) -> &Arc<[EventLoop]> {
        &self.all
    }
}

fn start_one(i: usize) -> std::io::Result<(Handle, Thread)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (end, told_to_end) = oneshot::channel::<()>();
    let (has_ended, ended) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name(format!("bandy-loop-{i}"))
        .spawn(move || {
            // An error says that the sender was dropped, which means the same.
            let _ = runtime.block_on(told_to_end);
            // Blocking work that somebody left behind (a name being resolved) is not waited for.
            runtime.shutdown_background();
            // Nobody listens any more if the loop took longer than it was waited for.
            let _ = has_ended.try_send(());
        })?;
    Ok((
        handle,
        Thread {
            end: Some(end),
            ended: Mutex::new(ended),
        },
    ))
}

/// How long an event loop may take to end: a service that blocks it is not waited for longer.
const END: Duration = Duration::from_secs(1);

impl Drop for Loops {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            drop(thread.end.take());
        }
        // Waited for, so that what conversations do when they are dropped (end a program, remove a socket file) is done
        // before the process ends.
        let deadline = Instant::now() + END;
        for thread in &mut self.threads {
            let ended = thread.ended.get_mut();
            let _ = ended
                .unwrap_or_else(PoisonError::into_inner)
                .recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// A conversation's place on a loop, for as long as it lives.
#[derive(Debug)]
pub(super) struct OnLoop {
    loops: Arc<[EventLoop]>,
    index: usize,
}

impl OnLoop {
    /// The place of a connection that loop `home` accepted: there, unless another has clearly less to do. The system
    /// deals connections out by hash, which can be uneven, and a connection stays where it begins.
    pub(super) fn choose(loops: &Arc<[EventLoop]>, home: usize) -> OnLoop {
        let load = |i: usize| loops.get(i).map_or(usize::MAX, |l| l.load.0.load(Relaxed));
        let least = (0..loops.len()).min_by_key(|&i| load(i)).unwrap_or(home);
        let index = if load(home) > load(least) + SLACK {
            least
        } else {
            home
        };
        if let Some(chosen) = loops.get(index) {
            chosen.load.0.fetch_add(1, Relaxed);
        }
        OnLoop {
            loops: loops.clone(),
            index,
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn handle(&self) -> Option<&Handle> {
        self.loops.get(self.index).map(|l| &l.handle)
    }
}

/// How many more conversations a loop may have than another before it hands one over. Handing over costs two system
/// calls and a wake-up; being one ahead costs nothing.
const SLACK: usize = 1;

impl Drop for OnLoop {
    fn drop(&mut self) {
        if let Some(chosen) = self.loops.get(self.index) {
            chosen.load.0.fetch_sub(1, Relaxed);
        }
    }
}

//! The engine for one machine: a SQLite database in a file, with a write-ahead log.
//!
//! One thread writes, a few read; tasks hand them work and wait without blocking their event loop. A commit is answered
//! when the disk has it (`synchronous = FULL`), and a reader that begins after that sees it. Other processes may have the
//! same file open.

mod connect;
mod copy;
mod failures;
mod queue;
mod reader;
mod schema;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rusqlite::{Connection, Row};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use self::failures::{Failures, absolute};
use self::queue::{Queue, Taken};
use self::writer::{Asked, Writer};
use super::hints::Hints;
use super::room::Room;
use super::{Batch, Committed, Conflict, Entry, Later, Record, Store, closed, history_lost};
use crate::error::Result;
use crate::limits::StoreLimits;

/// Connections that read. More of them would wait for the same disk; what is in memory takes microseconds.
const READERS: usize = 4;

/// Work for a connection that reads.
type Question = Box<dyn FnOnce(&mut Connection) + Send>;

pub(super) struct Sqlite {
    path: Arc<Path>,
    limits: StoreLimits,
    writes: Arc<Queue<Asked>>,
    reads: Arc<Queue<Question>>,
    hints: Arc<Hints>,
    /// Held by the one backup that is being made.
    backing_up: Arc<Mutex<()>>,
    /// Gives `None` when every thread has ended, since each holds a sender.
    threads: Mutex<mpsc::Receiver<()>>,
    failures: Failures,
}

impl Sqlite {
    pub(super) fn open(path: &Path, limits: StoreLimits) -> Result<Sqlite> {
        let path = &absolute(path, &format!("opening the store {}", path.display()))?;
        let path: Arc<Path> = path.as_path().into();
        let failures = Failures { path: path.clone() };
        connect::create(&path).map_err(|e| failures.of_system("opening", e))?;
        let (db, seen) = connect::writer(&path, &limits).map_err(|e| failures.refused(&e))?;
        let (alive, threads) = mpsc::channel(1);
        let store = Sqlite {
            path: path.clone(),
            writes: Arc::new(Queue::new(weight_of_queue(&limits))),
            reads: Arc::new(Queue::new(limits.reads)),
            hints: Arc::default(),
            backing_up: Arc::default(),
            threads: Mutex::new(threads),
            failures: failures.clone(),
            limits,
        };
        for n in 1..=READERS {
            let db = connect::reader(&path, &store.limits)
                .map_err(|e| failures.of_sqlite("opening", &e))?;
            let (queue, alive) = (store.reads.clone(), alive.clone());
            store.start(format!("state-read-{n}"), move || {
                let _alive = alive;
                answer_questions(db, &queue);
            })?;
        }
        let writer = Writer {
            db,
            queue: store.writes.clone(),
            hints: store.hints.clone(),
            failures: failures.clone(),
            seen,
        };
        store.start("state-write".into(), move || {
            let _alive = alive;
            let _closing = CloseAtEnd(writer.queue.clone());
            writer.run();
        })?;
        Ok(store)
    }

    fn start(&self, name: String, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let started = thread::Builder::new().name(name).spawn(run);
        let failed = |e| self.failures.of_system("starting a thread for", e);
        started.map(drop).map_err(failed)
    }

    /// What a connection that reads answers.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        const ACT: &str = "reading";
        let (answer, answered) = oneshot::channel();
        let work: Question = Box::new(move |db| {
            // Who has gone away while waiting is spared.
            if !answer.is_closed() {
                let _ = answer.send(question(db));
            }
        });
        let closed = || closed(self.failures.act(ACT));
        self.reads.push(work, 1).await.map_err(|_| closed())?;
        let answered = answered.await.map_err(|_| closed())?;
        answered.map_err(|cause| self.failures.of_sqlite(ACT, &cause))
    }

    async fn write(&self, batch: Batch) -> Result<Result<Committed, Conflict>> {
        batch.check(&self.limits)?;
        if batch.is_empty() {
            return Ok(Ok(Committed::default()));
        }
        let weight = share(&self.limits) + batch.bytes();
        let (answer, answered) = oneshot::channel();
        let closed = || closed(self.failures.act("writing"));
        let pushed = self.writes.push(Asked { batch, answer }, weight).await;
        pushed.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn span(&self, log: &str) -> Result<Option<reader::Span>> {
        let log = log.to_owned();
        self.ask(move |db| reader::span(db, &log)).await
    }

    fn room(&self) -> Room {
        Room::new(self.limits.answer_bytes)
    }

    async fn copy(&self, to: &Path) -> Result<()> {
        let turn = self.backing_up.clone().lock_owned().await;
        if self.writes.is_closed() {
            return Err(closed(self.failures.act("backing up")));
        }
        let (path, to) = (self.path.clone(), to.to_owned());
        let (failures, limits) = (self.failures.clone(), self.limits.clone());
        let (answer, answered) = oneshot::channel();
        self.start("state-backup".into(), move || {
            let done = copy::copy(&path, &to, &failures, &limits);
            // The next one may begin when its caller hears of this one's end.
            drop(turn);
            let _ = answer.send(done);
        })?;
        let panicked = || closed(self.failures.act("backing up"));
        answered.await.map_err(|_| panicked())?
    }

    async fn end(&self) -> Result<()> {
        self.reads.close();
        self.writes.close();
        // Nothing is ever sent: this is the end of every thread.
        self.threads.lock().await.recv().await;
        // A copy that was begun becomes whole.
        drop(self.backing_up.lock().await);
        self.hints.close();
        Ok(())
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
        self.hints.close();
    }
}

impl Store for Sqlite {
    fn get<'a>(&'a self, key: &'a str) -> Later<'a, Option<Record>> {
        let key = key.to_owned();
        Box::pin(self.ask(move |db| reader::get(db, &key)))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Later<'a, Vec<Record>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let room = self.room();
        Box::pin(self.ask(move |db| reader::list(db, &prefix, after.as_deref(), limit, room)))
    }

    fn commit(&self, batch: Batch) -> Later<'_, Result<Committed, Conflict>> {
        Box::pin(self.write(batch))
    }

    fn read<'a>(&'a self, log: &'a str, after: u64, limit: usize) -> Later<'a, Vec<Entry>> {
        let (name, room) = (log.to_owned(), self.room());
        Box::pin(async move {
            let question = move |db: &mut Connection| reader::read(db, &name, after, limit, room);
            let found = self.ask(question).await?;
            found.map_err(|oldest| history_lost(log, after, oldest))
        })
    }

    fn last<'a>(&'a self, log: &'a str) -> Later<'a, u64> {
        Box::pin(async move { Ok(self.span(log).await?.map_or(0, |span| span.last)) })
    }

    fn oldest<'a>(&'a self, log: &'a str) -> Later<'a, u64> {
        Box::pin(async move { Ok(self.span(log).await?.map_or(1, |span| span.oldest)) })
    }

    fn watch(&self, log: &str) -> watch::Receiver<u64> {
        let (receiver, is_first) = self.hints.watch(log);
        if is_first {
            // The writer looks for what others wrote only while somebody watches.
            self.writes.nudge();
        }
        receiver
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        Box::pin(self.copy(to))
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(self.end())
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.path.display())
    }
}

/// The weight of a full queue: that of [`StoreLimits::queue`] batches without a byte in them, or of one that is as long
/// as may be.
fn weight_of_queue(limits: &StoreLimits) -> usize {
    limits.batch_bytes
}

/// What a batch weighs beside its bytes.
fn share(limits: &StoreLimits) -> usize {
    weight_of_queue(limits) / limits.queue.max(1)
}

/// Nobody shall wait for a thread that has panicked.
struct CloseAtEnd<T>(Arc<Queue<T>>);

impl<T> Drop for CloseAtEnd<T> {
    fn drop(&mut self) {
        self.0.close();
        // Whoever waits for an answer to what is dropped here hears that there is none.
        while let Taken::Jobs(_) = self.0.take(usize::MAX, None) {}
    }
}

fn answer_questions(mut db: Connection, queue: &Arc<Queue<Question>>) {
    let _closing = CloseAtEnd(queue.clone());
    loop {
        match queue.take(1, None) {
            Taken::Jobs(jobs) => jobs.into_iter().for_each(|job| (job.work)(&mut db)),
            Taken::Nothing => {}
            Taken::Closed => return,
        }
    }
}

/// SQLite's integers have a sign; no count of ours gets near it. What a caller makes up beyond is the largest.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let found: i64 = row.get(column)?;
    u64::try_from(found).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, found))
}

//! The one thread that writes: all batches that wait become one transaction, so that they share one sync of the disk.
//!
//! Numbers are taken from the database inside the transaction, never from memory: another process may write as well.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::queue::{Job, Queue, Taken};
use super::{Failures, integer, number};
use crate::error::Result;
use crate::state::batch::Write;
use crate::state::hints::Hints;
use crate::state::{Batch, Committed, Conflict, Expect};

/// How many batches one transaction takes at most: what the first of them waits for the last.
const GROUP: usize = 1_024;
/// How often is looked, while somebody watches, whether another process has written. The look costs microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A batch, and who waits for what comes of it.
pub(super) struct Asked {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<Outcome>>,
}

type Outcome = Result<Committed, Conflict>;

pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) queue: Arc<Queue<Asked>>,
    pub(super) hints: Arc<Hints>,
    pub(super) failures: Failures,
    /// What SQLite counts up on this connection when another one has committed.
    pub(super) seen: i64,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            let wait = self.hints.is_watched().then_some(LOOK_EVERY);
            match self.queue.take(GROUP, wait) {
                Taken::Jobs(jobs) => self.write_group(jobs),
                Taken::Nothing => self.hints.prune(),
                Taken::Closed => return,
            }
            self.look_for_others();
        }
    }

    fn write_group(&mut self, mut jobs: Vec<Job<Asked>>) {
        // Who has gone away while waiting is spared.
        jobs.retain(|job| !job.work.answer.is_closed());
        match self.transact(&jobs) {
            Ok(outcomes) => self.answer(jobs, outcomes),
            // One batch may be what the disk has no room for: the others need not fail with it. Where not even a
            // transaction could be begun, nor can another one.
            Err(Failed::Inside(_)) if jobs.len() > 1 => {
                for job in jobs {
                    let alone = vec![job];
                    match self.transact(&alone) {
                        Ok(outcomes) => self.answer(alone, outcomes),
                        Err(failed) => self.fail(alone, &failed),
                    }
                }
            }
            Err(failed) => self.fail(jobs, &failed),
        }
    }

    /// Writes these in one transaction, each of them wholly or, where it conflicts, not at all.
    fn transact(&mut self, jobs: &[Job<Asked>]) -> Result<Vec<Outcome>, Failed> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Failed::Outside)?;
        // Dropping a transaction rolls it back.
        let mut write = || {
            let before = last_revision(&tx)?;
            let mut revision = before;
            let mut outcomes = Vec::with_capacity(jobs.len());
            for job in jobs {
                outcomes.push(write_batch(&mut tx, &job.work.batch, &mut revision)?);
            }
            if revision != before {
                let mut update = tx.prepare_cached("UPDATE store SET revision = ?1")?;
                update.execute([integer(revision)])?;
            }
            Ok(outcomes)
        };
        let outcomes = write().map_err(Failed::Inside)?;
        tx.commit().map_err(Failed::Inside)?;
        Ok(outcomes)
    }

    fn answer(&self, jobs: Vec<Job<Asked>>, outcomes: Vec<Outcome>) {
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let Asked { batch, answer } = job.work;
            if let Ok(done) = &outcome {
                for (write, seq) in batch.writes.iter().zip(done.numbers()) {
                    if let Write::Append { log, .. } = write {
                        self.hints.raise(log, *seq);
                    }
                }
            }
            // Who asked may have gone away.
            let _ = answer.send(Ok(outcome));
        }
    }

    fn fail(&self, jobs: Vec<Job<Asked>>, failed: &Failed) {
        let (Failed::Outside(cause) | Failed::Inside(cause)) = failed;
        for job in jobs {
            let _ = job
                .work
                .answer
                .send(Err(self.failures.of_sqlite("writing", cause)));
        }
    }

    /// Tells watchers what another process may have appended.
    fn look_for_others(&mut self) {
        if !self.hints.is_watched() {
            return;
        }
        // A failure here is one of the next read or write as well, which says so.
        let _ = self.tell_of_others();
    }

    fn tell_of_others(&mut self) -> rusqlite::Result<()> {
        let version = data_version(&self.db)?;
        if version == self.seen {
            return Ok(());
        }
        let mut last = self
            .db
            .prepare_cached("SELECT last FROM log WHERE name = ?1")?;
        for log in self.hints.logs() {
            let found = last.query_row([log.as_bytes()], |row| number(row, 0));
            if let Some(seq) = found.optional()? {
                self.hints.raise(&log, seq);
            }
        }
        self.seen = version;
        Ok(())
    }
}

/// What other connections have committed so far, as a number that changes.
pub(super) fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

/// Why a transaction did not come about.
enum Failed {
    /// It could not be begun.
    Outside(rusqlite::Error),
    /// It was begun, and is rolled back.
    Inside(rusqlite::Error),
}

fn last_revision(tx: &Transaction<'_>) -> rusqlite::Result<u64> {
    tx.prepare_cached("SELECT revision FROM store")?
        .query_row([], |row| number(row, 0))
}

fn write_batch(
    tx: &mut Transaction<'_>,
    batch: &Batch,
    revision: &mut u64,
) -> rusqlite::Result<Outcome> {
    // A single write looks before it changes anything, so there is nothing to go back to.
    if batch.len() == 1 {
        return write_all(tx, batch, revision);
    }
    let savepoint = tx.savepoint()?;
    let outcome = write_all(&savepoint, batch, revision)?;
    // Dropping a savepoint rolls back to it.
    if outcome.is_ok() {
        savepoint.commit()?;
    }
    Ok(outcome)
}

fn write_all(db: &Connection, batch: &Batch, revision: &mut u64) -> rusqlite::Result<Outcome> {
    let mut numbers = Vec::with_capacity(batch.len());
    for write in &batch.writes {
        let done = match write {
            Write::Put { key, value, expect } => match expected(db, key, *expect)? {
                Ok(_) => {
                    *revision += 1;
                    put(db, key, value, *revision)?;
                    *revision
                }
                Err(conflict) => return Ok(Err(conflict)),
            },
            Write::Delete { key, expect } => match expected(db, key, *expect)? {
                Ok(Some(actual)) => {
                    let mut delete = db.prepare_cached("DELETE FROM record WHERE key = ?1")?;
                    delete.execute([key.as_bytes()])?;
                    actual
                }
                Ok(None) => 0,
                Err(conflict) => return Ok(Err(conflict)),
            },
            Write::Append { log, value } => append(db, log, value)?,
            Write::Trim { log, through } => trim(db, log, *through)?,
        };
        numbers.push(done);
    }
    Ok(Ok(Committed(numbers)))
}

/// The revision under a key, where it is as expected.
fn expected(
    db: &Connection,
    key: &str,
    expect: Expect,
) -> rusqlite::Result<Result<Option<u64>, Conflict>> {
    let actual = db
        .prepare_cached("SELECT revision FROM record WHERE key = ?1")?
        .query_row([key.as_bytes()], |row| number(row, 0))
        .optional()?;
    Ok(Conflict::unless_met(key, expect, actual).map(|()| actual))
}

fn put(db: &Connection, key: &str, value: &[u8], revision: u64) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT INTO record (key, revision, value) VALUES (?1, ?2, ?3)
        ON CONFLICT (key) DO UPDATE SET revision = ?2, value = ?3";
    let mut put = db.prepare_cached(PUT)?;
    put.execute((key.as_bytes(), integer(revision), value))?;
    Ok(())
}

fn append(db: &Connection, log: &str, value: &[u8]) -> rusqlite::Result<u64> {
    const NEXT: &str = "INSERT INTO log (name, last, oldest) VALUES (?1, 1, 1)
        ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING id, last";
    let (id, seq) = db
        .prepare_cached(NEXT)?
        .query_row([log.as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, number(row, 1)?))
        })?;
    db.prepare_cached("INSERT INTO entry (log, seq, value) VALUES (?1, ?2, ?3)")?
        .execute((id, integer(seq), value))?;
    Ok(seq)
}

fn trim(db: &Connection, log: &str, through: u64) -> rusqlite::Result<u64> {
    let found = db
        .prepare_cached("SELECT id, last, oldest FROM log WHERE name = ?1")?
        .query_row([log.as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, number(row, 1)?, number(row, 2)?))
        })
        .optional()?;
    let Some((id, last, before)) = found else {
        return Ok(1);
    };
    let oldest = before.max(through.min(last) + 1);
    if oldest > before {
        db.prepare_cached("DELETE FROM entry WHERE log = ?1 AND seq < ?2")?
            .execute((id, integer(oldest)))?;
        db.prepare_cached("UPDATE log SET oldest = ?2 WHERE id = ?1")?
            .execute((id, integer(oldest)))?;
    }
    Ok(oldest)
}

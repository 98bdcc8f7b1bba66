//! The engine that forgets: everything in this process's memory, for tests and for what may be lost.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::ready;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::batch::Write;
use super::hints::Hints;
use super::room::Room;
use super::{Batch, Committed, Conflict, Entry, Later, Record, Store, closed, history_lost};
use crate::error::{Error, Kind, Result, Side};
use crate::limits::StoreLimits;

/// Records and logs behind one lock, which is held for as long as one answer takes.
pub(super) struct Memory {
    kept: Mutex<Kept>,
    hints: Hints,
    limits: StoreLimits,
}

#[derive(Default)]
struct Kept {
    records: BTreeMap<String, Held>,
    logs: HashMap<String, Log>,
    /// The last one that was given.
    revision: u64,
    is_closed: bool,
}

#[derive(Clone)]
struct Held {
    value: Bytes,
    revision: u64,
}

/// Invariant: `last` is that of the last entry, where there is one.
#[derive(Default)]
struct Log {
    entries: VecDeque<Bytes>,
    last: u64,
}

impl Log {
    fn oldest(&self) -> u64 {
        self.last + 1 - self.entries.len() as u64
    }
}

/// How a write is taken back: with what was there before it.
enum Undo {
    Record(String, Option<Held>),
    Append(String),
    Trim(String, Vec<Bytes>),
}

impl Memory {
    pub(super) fn new(limits: StoreLimits) -> Memory {
        Memory {
            kept: Mutex::default(),
            hints: Hints::default(),
            limits,
        }
    }

    /// # Errors
    /// When it is closed.
    fn lock(&self) -> Result<MutexGuard<'_, Kept>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.is_closed {
            true => Err(closed("using the store in memory")),
            false => Ok(kept),
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>> {
        let kept = self.lock()?;
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let found = kept.records.range::<str, _>((from, Bound::Unbounded));
        let mut room = Room::new(self.limits.answer_bytes);
        let found = found
            .take_while(|(key, _)| key.starts_with(prefix))
            .take_while(|(key, held)| room.takes(key.len() + held.value.len()))
            .take(limit);
        Ok(found.map(|(key, held)| held.record(key)).collect())
    }

    fn commit(&self, batch: Batch) -> Result<Result<Committed, Conflict>> {
        batch.check(&self.limits)?;
        let mut kept = self.lock()?;
        let done = kept.commit(&batch);
        // Under the lock, so that hints come in the order of what they tell of.
        if let Ok(done) = &done {
            for (write, number) in batch.writes.iter().zip(done.numbers()) {
                if let Write::Append { log, .. } = write {
                    self.hints.raise(log, *number);
                }
            }
        }
        Ok(done)
    }

    fn read(&self, log: &str, after: u64, limit: usize) -> Result<Vec<Entry>> {
        let kept = self.lock()?;
        let Some(found) = kept.logs.get(log) else {
            return Ok(Vec::new());
        };
        let oldest = found.oldest();
        let skip = match after.checked_sub(oldest - 1) {
            Some(skip) => usize::try_from(skip).unwrap_or(usize::MAX),
            None => return Err(history_lost(log, after, oldest)),
        };
        let mut room = Room::new(self.limits.answer_bytes);
        let entries = (oldest..).zip(&found.entries).skip(skip);
        let entries = entries
            .take_while(|(_, value)| room.takes(value.len()))
            .take(limit);
        Ok(entries
            .map(|(seq, value)| Entry {
                seq,
                value: value.clone(),
            })
            .collect())
    }

    fn of_log<T>(&self, log: &str, none: T, some: impl FnOnce(&Log) -> T) -> Result<T> {
        Ok(self.lock()?.logs.get(log).map_or(none, some))
    }
}

impl Held {
    fn record(&self, key: &str) -> Record {
        Record {
            key: key.to_owned(),
            value: self.value.clone(),
            revision: self.revision,
        }
    }
}

impl Kept {
    fn commit(&mut self, batch: &Batch) -> Result<Committed, Conflict> {
        let (mut numbers, mut undo) = (Vec::with_capacity(batch.len()), Vec::new());
        for write in &batch.writes {
            match self.write(write, &mut undo) {
                Ok(number) => numbers.push(number),
                Err(conflict) => {
                    undo.into_iter().rev().for_each(|undo| self.take_back(undo));
                    return Err(conflict);
                }
            }
        }
        Ok(Committed(numbers))
    }

    fn write(&mut self, write: &Write, undo: &mut Vec<Undo>) -> Result<u64, Conflict> {
        match write {
            Write::Put { key, value, expect } => {
                let actual = self.records.get(key).map(|held| held.revision);
                Conflict::unless_met(key, *expect, actual)?;
                self.revision += 1;
                let (value, revision) = (value.clone(), self.revision);
                let before = self.records.insert(key.clone(), Held { value, revision });
                undo.push(Undo::Record(key.clone(), before));
                Ok(revision)
            }
            Write::Delete { key, expect } => {
                let actual = self.records.get(key).map(|held| held.revision);
                Conflict::unless_met(key, *expect, actual)?;
                let before = self.records.remove(key);
                undo.push(Undo::Record(key.clone(), before));
                Ok(actual.unwrap_or(0))
            }
            Write::Append { log, value } => {
                undo.push(Undo::Append(log.clone()));
                let log = self.logs.entry(log.clone()).or_default();
                log.entries.push_back(value.clone());
                log.last += 1;
                Ok(log.last)
            }
            Write::Trim { log: name, through } => {
                let Some(log) = self.logs.get_mut(name) else {
                    return Ok(1);
                };
                let count = (through.saturating_add(1)).saturating_sub(log.oldest());
                let count = log
                    .entries
                    .len()
                    .min(usize::try_from(count).unwrap_or(usize::MAX));
                undo.push(Undo::Trim(
                    name.clone(),
                    log.entries.drain(..count).collect(),
                ));
                Ok(log.oldest())
            }
        }
    }

    fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Record(key, Some(held)) => drop(self.records.insert(key, held)),
            Undo::Record(key, None) => drop(self.records.remove(&key)),
            Undo::Append(name) => {
                if let Some(log) = self.logs.get_mut(&name) {
                    log.entries.pop_back();
                    log.last -= 1;
                    if log.last == 0 {
                        self.logs.remove(&name);
                    }
                }
            }
            Undo::Trim(name, entries) => {
                if let Some(log) = self.logs.get_mut(&name) {
                    entries
                        .into_iter()
                        .rev()
                        .for_each(|entry| log.entries.push_front(entry));
                }
            }
        }
    }
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a str) -> Later<'a, Option<Record>> {
        let found = self
            .lock()
            .map(|kept| kept.records.get(key).map(|held| held.record(key)));
        Box::pin(ready(found))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Later<'a, Vec<Record>> {
        Box::pin(async move { self.list(prefix, after, limit) })
    }

    fn commit(&self, batch: Batch) -> Later<'_, Result<Committed, Conflict>> {
        Box::pin(async move { self.commit(batch) })
    }

    fn read<'a>(&'a self, log: &'a str, after: u64, limit: usize) -> Later<'a, Vec<Entry>> {
        Box::pin(async move { self.read(log, after, limit) })
    }

    fn last<'a>(&'a self, log: &'a str) -> Later<'a, u64> {
        Box::pin(async move { self.of_log(log, 0, |log| log.last) })
    }

    fn oldest<'a>(&'a self, log: &'a str) -> Later<'a, u64> {
        Box::pin(async move { self.of_log(log, 1, Log::oldest) })
    }

    fn watch(&self, log: &str) -> watch::Receiver<u64> {
        self.hints.watch(log).0
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        let act = format!("backing up memory: to {}", to.display());
        let error = Error::new(Kind::Usage, Side::Local, act)
            .because("a store in memory has no file to copy")
            .hint("keep what must not be lost in a file: store = \"sqlite:bandy.db\"");
        Box::pin(ready(Err(error)))
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Kept {
                is_closed: true,
                ..Kept::default()
            };
            self.hints.close();
            Ok(())
        })
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

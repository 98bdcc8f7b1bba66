//! A store that is slow or fails, as disks and networks are and do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bandy::error::{Error, Kind, Side};
use bandy::state::{self, Batch, Committed, Conflict, Entry, Later, Record, Store};
use tokio::sync::watch;

/// A store in memory from which logs are read slowly, and that fails when it is told to.
#[derive(Debug)]
pub struct Fickle {
    store: Arc<dyn Store>,
    /// What reading from a log takes.
    reading: Duration,
    fails: AtomicBool,
}

impl Fickle {
    pub fn new() -> Fickle {
        Fickle {
            store: state::open("memory:").expect("a store"),
            reading: Duration::ZERO,
            fails: AtomicBool::new(false),
        }
    }

    /// One that takes so long to read from a log.
    pub fn slow(reading: Duration) -> Fickle {
        Fickle {
            reading,
            ..Fickle::new()
        }
    }

    /// From now on nothing can be written.
    pub fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }
}

impl Store for Fickle {
    fn get<'a>(&'a self, key: &'a str) -> Later<'a, Option<Record>> {
        self.store.get(key)
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Later<'a, Vec<Record>> {
        self.store.list(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Later<'_, Result<Committed, Conflict>> {
        if self.fails.load(Ordering::SeqCst) {
            let error = Error::new(Kind::Io, Side::Local, "writing to the store");
            return Box::pin(std::future::ready(Err(error.because("the disk is gone"))));
        }
        self.store.commit(batch)
    }

    fn read<'a>(&'a self, log: &'a str, after: u64, limit: usize) -> Later<'a, Vec<Entry>> {
        Box::pin(async move {
            tokio::time::sleep(self.reading).await;
            self.store.read(log, after, limit).await
        })
    }

    fn last<'a>(&'a self, log: &'a str) -> Later<'a, u64> {
        self.store.last(log)
    }

    fn oldest<'a>(&'a self, log: &'a str) -> Later<'a, u64> {
        self.store.oldest(log)
    }

    fn watch(&self, log: &str) -> watch::Receiver<u64> {
        self.store.watch(log)
    }

    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()> {
        self.store.backup(to)
    }

    fn close(&self) -> Later<'_, ()> {
        self.store.close()
    }
}

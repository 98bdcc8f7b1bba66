//! What holds for every store, whatever its engine, and what holds for those in files.
//!
//! A new engine gets a function that makes an empty store, and a line in `laws.rs`; the laws in there and in `model.rs`
//! are then its tests.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests, also what is called by one"
)]

mod crash;
mod files;
mod laws;
mod model;
mod schedule;
mod speed;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use bandy::limits::StoreLimits;
use bandy::state::{self, Entry, Location, Store};
use tempfile::TempDir;

/// An empty store, and its folder if it has one.
struct Fresh {
    store: Arc<dyn Store>,
    folder: Option<TempDir>,
}

impl Deref for Fresh {
    type Target = Arc<dyn Store>;

    fn deref(&self) -> &Arc<dyn Store> {
        &self.store
    }
}

impl Fresh {
    /// A name in the folder of a store that has one.
    fn path(&self, name: &str) -> PathBuf {
        let folder = self.folder.as_ref().expect("a store with a folder");
        folder.path().join(name)
    }

    /// Another handle on the same store, as another process has it.
    fn again(&self) -> Arc<dyn Store> {
        open(self.path("a.db"))
    }
}

fn open(path: PathBuf) -> Arc<dyn Store> {
    let location = Location::Sqlite(path);
    state::open_with(&location, StoreLimits::default()).expect("a store")
}

fn memory(limits: StoreLimits) -> Fresh {
    Fresh {
        store: state::open_with(&Location::Memory, limits).expect("memory"),
        folder: None,
    }
}

fn sqlite(limits: StoreLimits) -> Fresh {
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::Sqlite(folder.path().join("a.db"));
    Fresh {
        store: state::open_with(&location, limits).expect("a store"),
        folder: Some(folder),
    }
}

/// All that is left of a log.
async fn whole(store: &dyn Store, log: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut after = store.oldest(log).await.expect("oldest") - 1;
    loop {
        let more = store.read(log, after, 1_000).await.expect("entries");
        let Some(last) = more.last() else {
            return entries;
        };
        after = last.seq;
        entries.extend(more);
    }
}

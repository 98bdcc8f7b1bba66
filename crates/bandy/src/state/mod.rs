//! What must be remembered: records, which are revisioned values under keys, and logs, which are ordered appends.
//!
//! A [`Store`] keeps both. Everything above it holds an `Arc<dyn Store>` that [`open`] gives, and cannot tell the engines
//! apart: all pass the same laws (`tests/state`). What is acknowledged is durable, and survives the process being killed at
//! any moment. Who makes records out of JSON, or rooms out of logs, does so above; here values are bytes.
//!
//! ```
//! use bandy::state::{self, Batch, Expect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> bandy::Result<()> {
//! let store = state::open("memory:")?;
//!
//! let done = store
//!     .commit(Batch::new().put("greeting", "hello", Expect::Absent).append("audit", "greeted"))
//!     .await??; // the first `?` is for failures, the second for conflicts
//! let record = store.get("greeting").await?.expect("put before");
//! assert_eq!((&record.value[..], record.revision), (&b"hello"[..], done[0]));
//!
//! // Somebody who expects an older revision changes nothing.
//! let late = store.put("greeting", "bye".into(), Expect::Revision(0)).await?;
//! assert_eq!(late.expect_err("a conflict").actual, Some(record.revision));
//!
//! let mut tail = state::tail(store.clone(), "audit", 0);
//! assert_eq!(tail.next().await?.value, "greeted");
//! # Ok(())
//! # }
//! ```

pub mod backup;
mod batch;
mod hints;
mod memory;
mod room;
mod sqlite;
mod tail;

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

pub use batch::{Batch, Committed, Conflict, Expect};
pub use tail::{Tail, tail};

use crate::error::{Error, Kind, Result, Side};
use crate::limits::StoreLimits;
use crate::printable::printable;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub key: String,
    /// What it holds.
    pub value: Bytes,
    /// Which of the store's writes put it there. Revisions grow over the whole store and none is given twice: a record
    /// that was deleted and made anew never has a revision that it had before.
    pub revision: u64,
}

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place: 1, 2, 3, … in each log, with no gap.
    pub seq: u64,
    /// What was appended.
    pub value: Bytes,
}

/// What a store will have done.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Keeps records and logs. Object-safe; many tasks use one at the same time, on any runtime or none.
///
/// Every future may be dropped. A read then did nothing. A write may have happened or not, as with a lost connection.
///
/// # Errors
/// Besides what is said at each method, all of them fail with [`Kind::Closed`] after [`close`](Store::close), with
/// [`Kind::TimedOut`] where another process holds the store for too long, and with [`Kind::Io`] where the disk does not
/// do what is asked of it: it is full, or broken. After such a failure the store can be used as before, and what
/// had been acknowledged is there; the write that failed is not, as long as the process lives. (If it is killed then, it may be.)
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The record under this key.
    fn get<'a>(&'a self, key: &'a str) -> Later<'a, Option<Record>>;

    /// Records whose keys begin with `prefix`, in the order of their keys' bytes, from behind the key `after`, as of one
    /// moment.
    ///
    /// At most `limit` of them, and fewer where they are large ([`StoreLimits::answer_bytes`]): only an empty answer says
    /// that there are no more.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> Later<'a, Vec<Record>>;

    /// Writes a batch, all of it or nothing; returns when it is durable. Every read that begins then sees it.
    ///
    /// A [`Conflict`] is an answer, not a failure, so it stands in a result of its own. Where it cannot happen, or is a
    /// failure to the caller, `commit(batch).await??` makes an [`Error`] of [`Kind::Conflict`] of it.
    ///
    /// Where more is being written than the disk can take, it waits.
    ///
    /// # Errors
    /// [`Kind::Overload`] when the batch, a name or a value is longer than the store's limits allow.
    fn commit(&self, batch: Batch) -> Later<'_, Result<Committed, Conflict>>;

    /// A log's entries behind `after` (0: from the beginning), in their order.
    ///
    /// At most `limit` of them, and fewer where they are large; only an empty answer says that there are no more.
    ///
    /// # Errors
    /// [`Kind::Gone`] when the entry behind `after` has been trimmed: what is missing is never skipped in silence.
    fn read<'a>(&'a self, log: &'a str, after: u64, limit: usize) -> Later<'a, Vec<Entry>>;

    /// The `seq` of a log's last entry, whether or not it has been trimmed since; 0 for a log that there never was.
    fn last<'a>(&'a self, log: &'a str) -> Later<'a, u64>;

    /// The `seq` of the oldest entry that was not trimmed; where there is none, that of the next one to come.
    fn oldest<'a>(&'a self, log: &'a str) -> Later<'a, u64>;

    /// A hint of the log's last `seq`, as far as this process has seen entries being appended since it began to watch. It
    /// grows after an entry has become readable; it starts at 0, may skip numbers, and may be late for what other
    /// processes append. The log is the truth: [`tail`] is the way to follow it.
    ///
    /// Its sender is gone when the store is closed.
    fn watch(&self, log: &str) -> watch::Receiver<u64>;

    /// Makes a copy of the whole store as of one moment, while it goes on being used. The copy is a store of its own
    /// that [`open`] opens. It is whole or not there, replaces what is at `to`, is durable, and only its owner may read it.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a store that has no file, or when `to` is the store itself.
    fn backup<'a>(&'a self, to: &'a Path) -> Later<'a, ()>;

    /// The orderly end: takes nothing new, does what is waiting, and returns when its files are closed. Dropping the
    /// last `Arc` does the same without waiting for it.
    fn close(&self) -> Later<'_, ()>;

    /// Puts one record: its new revision.
    ///
    /// # Errors
    /// As [`commit`](Store::commit).
    fn put<'a>(
        &'a self,
        key: &'a str,
        value: Bytes,
        expect: Expect,
    ) -> Later<'a, Result<u64, Conflict>> {
        let done = self.commit(Batch::new().put(key, value, expect));
        Box::pin(async move { Ok(done.await?.map(|done| done.last())) })
    }

    /// Deletes one record: the revision that is gone, 0 where there was none.
    ///
    /// # Errors
    /// As [`commit`](Store::commit).
    fn delete<'a>(&'a self, key: &'a str, expect: Expect) -> Later<'a, Result<u64, Conflict>> {
        let done = self.commit(Batch::new().delete(key, expect));
        Box::pin(async move { Ok(done.await?.map(|done| done.last())) })
    }

    /// Appends one entry: its `seq`.
    ///
    /// # Errors
    /// As [`commit`](Store::commit).
    fn append<'a>(&'a self, log: &'a str, value: Bytes) -> Later<'a, u64> {
        let done = self.commit(Batch::new().append(log, value));
        Box::pin(async move { Ok(done.await??.last()) })
    }

    /// Drops a log's entries up to and with `through`: the `seq` of the oldest that is left. How long it takes grows
    /// with how many there are, and other writes wait for it: trim often rather than much.
    ///
    /// # Errors
    /// As [`commit`](Store::commit).
    fn trim<'a>(&'a self, log: &'a str, through: u64) -> Later<'a, u64> {
        let done = self.commit(Batch::new().trim(log, through));
        Box::pin(async move { Ok(done.await??.last()) })
    }
}

/// Where a store is: `sqlite:bandy.db`, `memory:`. Parsed, and not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A SQLite database in a file.
    Sqlite(PathBuf),
    /// In the memory of this process, until the store is closed.
    Memory,
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Location> {
        let wrong = |cause: &str, hint: &str| {
            let act = format!("reading the store's location \"{}\"", printable(text));
            let error = Error::new(Kind::Usage, Side::Local, act);
            Err(error.because(cause).hint(hint))
        };
        const FILE: &str = "write sqlite:bandy.db, or sqlite:/var/lib/bandy/bandy.db";
        let Some((scheme, rest)) = text.split_once(':') else {
            return wrong("it has no scheme", FILE);
        };
        match (scheme, rest) {
            ("sqlite", "") => wrong("it names no file", FILE),
            ("sqlite", ":memory:") => wrong("that is not a file", "write memory:"),
            ("sqlite", path) if path.starts_with("//") => {
                wrong("a file is on this machine, and has no `//` before it", FILE)
            }
            ("sqlite", path) if path.contains('\0') => wrong("no file has such a name", FILE),
            ("sqlite", path) => Ok(Location::Sqlite(path.into())),
            ("memory", "") => Ok(Location::Memory),
            ("memory", _) => wrong("a store in memory has no name", "write memory:"),
            ("postgres" | "postgresql" | "nats" | "redis" | "mysql", _) => wrong(
                &format!("there is no engine for {scheme} yet"),
                "use sqlite:PATH",
            ),
            _ => wrong(
                &format!("there is no engine `{}`", printable(scheme)),
                "use sqlite:PATH, or memory: for what may be forgotten",
            ),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Location::Memory => f.write_str("memory:"),
        }
    }
}

/// Opens the store at a location, with the default limits. See [`open_with`].
///
/// # Errors
/// As [`open_with`].
pub fn open(location: &str) -> Result<Arc<dyn Store>> {
    open_with(&location.parse()?, StoreLimits::default())
}

/// Opens a store, and makes it where there is none: a file is then readable by its owner only. It may wait for the disk,
/// and for other processes that have the store open; needs no runtime.
///
/// Several processes may have one file open at the same time, each seeing what the others commit.
///
/// # Errors
/// [`Kind::Usage`] when there is no such engine, when the file belongs to another program, or to a newer Bandy;
/// [`Kind::Io`] when it cannot be read and written, or is damaged.
pub fn open_with(location: &Location, limits: StoreLimits) -> Result<Arc<dyn Store>> {
    Ok(match location {
        Location::Sqlite(path) => Arc::new(sqlite::Sqlite::open(path, limits)?),
        Location::Memory => Arc::new(memory::Memory::new(limits)),
    })
}

/// The answer to a question about what has been trimmed: the entry behind `after` is gone, and `oldest` is there.
fn history_lost(log: &str, after: u64, oldest: u64) -> Error {
    let act = format!("reading the log \"{}\" after {after}", printable(log));
    Error::new(Kind::Gone, Side::Local, act)
        .because(format!("its entries before {oldest} have been trimmed"))
        .hint(format!(
            "go on after {}, and tell whoever is reading that history was lost",
            oldest.saturating_sub(1)
        ))
}

fn closed(act: impl Into<String>) -> Error {
    Error::new(Kind::Closed, Side::Local, act).because("the store is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_print_as_they_were_written() {
        for text in ["sqlite:bandy.db", "sqlite:/var/lib/bandy/a.db", "memory:"] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_location_says_what_to_write() {
        for text in [
            "",
            "bandy.db",
            "sqlite:",
            "sqlite::memory:",
            "sqlite://bandy.db",
            "memory:a",
            "postgres://db/bandy",
            "sqlight:a",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(error.next_step().is_some(), "{text}");
        }
    }
}

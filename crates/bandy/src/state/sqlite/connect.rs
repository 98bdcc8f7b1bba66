//! Connections to a database, and how each is set.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::schema::{self, Refused};
use super::writer::data_version;
use super::{integer, number};
use crate::limits::StoreLimits;
use crate::net::ca::files;

/// Statements that a connection keeps prepared: more than there are.
const STATEMENTS: usize = 32;
/// The write-ahead log is cut to this once it has grown beyond, by a long read or a large batch.
const JOURNAL_BYTES: i64 = 64 << 20;

/// Makes an empty file where there is none.
///
/// One that is there must not be opened, not even to look at it: closing it again would give up every lock that this
/// process holds on it, also those of another `Sqlite` on the same file (fcntl(2), "record locks").
pub(super) fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(files::PRIVATE);
    match options.open(path) {
        Ok(file) => file.sync_all().and_then(|()| files::sync_parent(path)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.mode();
            if mode & 0o077 != 0 {
                let (path, mode) = (path.display(), mode & 0o7777);
                tracing::warn!(%path, "the store can be read by others: mode {mode:04o}; chmod 600 keeps it private");
            }
            Ok(())
        }
        Err(e) => Err(e),
    }
}

pub(super) fn connect(path: &Path, limits: &StoreLimits) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI: a file's name is nothing but that. A connection belongs to one thread.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(limits.busy)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// The connection that writes, on a database that is ours and of the present version, and what it has seen of other ones'
/// commits.
pub(super) fn writer(path: &Path, limits: &StoreLimits) -> Result<(Connection, i64), Refused> {
    // SQLite waits for others by itself (`busy_timeout`), but not where it changes a database to have a write-ahead log, as
    // several do that open a new one at the same time.
    const AGAIN_AFTER: Duration = Duration::from_millis(5);
    let since = Instant::now();
    loop {
        match try_writer(path, limits) {
            Err(refused) if refused.is_busy() && since.elapsed() < limits.busy => {
                thread::sleep(AGAIN_AFTER);
            }
            done => return done,
        }
    }
}

fn try_writer(path: &Path, limits: &StoreLimits) -> Result<(Connection, i64), Refused> {
    let mut db = connect(path, limits)?;
    schema::migrate(&mut db)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Refused::NoWal);
    }
    // Every commit is on the disk before it is answered; the default of a database with a write-ahead log is not.
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)?;
    if let Some(bytes) = limits.file_bytes {
        let page: u64 = db.pragma_query_value(None, "page_size", |row| number(row, 0))?;
        let pages = bytes.div_ceil(page.max(1));
        db.pragma_update(None, "max_page_count", integer(pages))?;
    }
    let seen = data_version(&db)?;
    Ok((db, seen))
}

pub(super) fn reader(path: &Path, limits: &StoreLimits) -> rusqlite::Result<Connection> {
    let db = connect(path, limits)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

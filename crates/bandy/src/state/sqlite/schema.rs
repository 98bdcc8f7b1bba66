//! How records and logs lie in the database, and how an older one becomes what this version knows.

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

/// One step from each version to the next; the version is SQLite's `user_version`. Steps that were released never change.
///
/// Names are BLOBs, because they are compared by bytes, and SQLite leaves open what text with a NUL in it is.
/// A log's row stays when its entries are trimmed, so that no `seq` is given twice.
const STEPS: [&str; 1] = ["
    CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL -- the last one that was given
    ) STRICT;
    INSERT INTO store (id, revision) VALUES (1, 0);

    CREATE TABLE record (
        key BLOB PRIMARY KEY NOT NULL,
        revision INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        name BLOB NOT NULL UNIQUE,
        last INTEGER NOT NULL,  -- the seq of the last entry, trimmed or not
        oldest INTEGER NOT NULL -- that of the oldest one that is left, or last + 1
    ) STRICT;

    CREATE TABLE entry (
        log INTEGER NOT NULL, -- its id
        seq INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (log, seq)
    ) STRICT, WITHOUT ROWID;
"];

/// `bndy` in SQLite's header, by which `file` and we tell whose database it is.
const APPLICATION: i32 = i32::from_be_bytes(*b"bndy");

/// Why a database is not ours to use.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is another program's.
    Foreign,
    /// It was written by a version of ours that knows more steps.
    Newer { found: usize, known: usize },
    /// Its file system has no write-ahead log.
    NoWal,
    /// Looking at it, or a step, failed.
    Failed(rusqlite::Error),
}

impl Refused {
    /// Whether another connection was in the way, which passes.
    pub(super) fn is_busy(&self) -> bool {
        let Refused::Failed(cause) = self else {
            return false;
        };
        matches!(
            cause.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Refused {
        Refused::Failed(error)
    }
}

/// Brings a database to the present version, from none if need be: all steps or none.
pub(super) fn migrate(db: &mut Connection) -> Result<(), Refused> {
    // Looked at before anything is written: what is not ours stays as it is, and what is needs no room on a full disk.
    // As of one moment, or another process's steps could be half seen.
    let before = db.transaction()?;
    if check(&before)? == STEPS.len() {
        return Ok(());
    }
    drop(before);
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been here between the two.
    let version = check(&tx)?;
    for (step, sql) in (1..).zip(STEPS).skip(version) {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", step)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION)?;
    Ok(tx.commit()?)
}

/// The version of a database that is ours, or of nobody yet.
fn check(db: &Connection) -> Result<usize, Refused> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = application == 0 && version == 0 && tables == 0;
    if !is_new && application != APPLICATION {
        return Err(Refused::Foreign);
    }
    match usize::try_from(version) {
        Ok(version) if version <= STEPS.len() => Ok(version),
        version => Err(Refused::Newer {
            found: version.unwrap_or(usize::MAX),
            known: STEPS.len(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_is_migrating_once() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        migrate(&mut db).unwrap();
        assert_eq!(check(&db).unwrap(), STEPS.len());
    }

    #[test]
    fn what_is_not_ours_or_newer_is_refused_and_stays_as_it_is() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE theirs (a)").unwrap();
        assert!(matches!(migrate(&mut db), Err(Refused::Foreign)));

        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        db.pragma_update(None, "user_version", 1000).unwrap();
        let refused = migrate(&mut db);
        assert!(matches!(refused, Err(Refused::Newer { found: 1000, .. })));
        let version = db.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
        assert_eq!(version, Ok(1000));
    }
}

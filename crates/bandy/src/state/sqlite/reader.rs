//! What is asked of the connections that read. Each answer is as of one moment.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};

use super::{integer, number};
use crate::state::room::Room;
use crate::state::{Entry, Record};

/// Where a log begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    id: i64,
    pub(super) oldest: u64,
    pub(super) last: u64,
}

pub(super) fn get(db: &Connection, key: &str) -> rusqlite::Result<Option<Record>> {
    db.prepare_cached("SELECT key, revision, value FROM record WHERE key = ?1")?
        .query_row([key.as_bytes()], record)
        .optional()
}

/// Records in order, from behind `after`, as many as there is room for.
pub(super) fn list(
    db: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    room: Room,
) -> rusqlite::Result<Vec<Record>> {
    const LIST: &str = "SELECT key, revision, value FROM record
        WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
    // The next key after any is the same with a NUL behind it.
    let from = after.map(|after| [after.as_bytes(), b"\0"].concat());
    let from = from.unwrap_or_default().max(prefix.into());
    let statement = db.prepare_cached(LIST)?;
    let limits = (from, behind(prefix), integer(limit as u64));
    take(statement, limits, room, record, |record| {
        record.key.len() + record.value.len()
    })
}

/// The first bytes that are behind every key with this prefix. Keys are UTF-8, which has no byte 0xFF.
fn behind(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    match bytes.last_mut() {
        Some(last) => *last += 1,
        None => bytes.push(u8::MAX),
    }
    bytes
}

/// A log's entries behind `after`, or the `seq` of its oldest one when that is too late.
pub(super) fn read(
    db: &mut Connection,
    log: &str,
    after: u64,
    limit: usize,
    room: Room,
) -> rusqlite::Result<Result<Vec<Entry>, u64>> {
    const READ: &str = "SELECT seq, value FROM entry
        WHERE log = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    let tx = db.transaction()?;
    let Some(span) = span(&tx, log)? else {
        return Ok(Ok(Vec::new()));
    };
    if after.saturating_add(1) < span.oldest {
        return Ok(Err(span.oldest));
    }
    let statement = tx.prepare_cached(READ)?;
    let entry = |row: &Row<'_>| {
        Ok(Entry {
            seq: number(row, 0)?,
            value: bytes(row, 1)?.into(),
        })
    };
    let limits = (span.id, integer(after), integer(limit as u64));
    take(statement, limits, room, entry, |entry| entry.value.len()).map(Ok)
}

pub(super) fn span(db: &Connection, log: &str) -> rusqlite::Result<Option<Span>> {
    db.prepare_cached("SELECT id, oldest, last FROM log WHERE name = ?1")?
        .query_row([log.as_bytes()], |row| {
            Ok(Span {
                id: row.get(0)?,
                oldest: number(row, 1)?,
                last: number(row, 2)?,
            })
        })
        .optional()
}

/// The rows, as long as there is room for them.
fn take<T>(
    mut statement: CachedStatement<'_>,
    parameters: impl rusqlite::Params,
    mut room: Room,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    bytes: impl Fn(&T) -> usize,
) -> rusqlite::Result<Vec<T>> {
    let mut rows = statement.query(parameters)?;
    let mut taken = Vec::new();
    while let Some(row) = rows.next()? {
        let next = read(row)?;
        if !room.takes(bytes(&next)) {
            break;
        }
        taken.push(next);
    }
    Ok(taken)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let key = String::from_utf8(bytes(row, 0)?);
    Ok(Record {
        key: key.map_err(|e| rusqlite::Error::Utf8Error(0, e.utf8_error()))?,
        revision: number(row, 1)?,
        value: bytes(row, 2)?.into(),
    })
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(column)?.as_blob()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn what_is_behind_a_prefix() {
        for prefix in ["", "a", "a\u{7f}", "ä", "\u{10ffff}", "a\0"] {
            let longest = format!("{prefix}\u{10ffff}\u{10ffff}");
            assert!(longest.as_bytes() < &behind(prefix)[..], "{prefix:?}");
            assert!(prefix.as_bytes() < &behind(prefix)[..]);
        }
        assert!("b".as_bytes() >= &behind("a")[..]);
    }
}

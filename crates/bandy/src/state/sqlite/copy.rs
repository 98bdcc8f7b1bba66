//! A copy of the database as of one moment, while it goes on being used.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::connect::connect;
use super::failures::{Failures, absolute, sorted};
use crate::error::{Error, Kind, Plain, Result, Side};
use crate::limits::StoreLimits;
use crate::net::ca::files;

/// Writes the store as it is now to `to`.
pub(super) fn copy(
    path: &Path,
    to: &Path,
    failures: &Failures,
    limits: &StoreLimits,
) -> Result<()> {
    let act = || format!("{} to {}", failures.act("backing up"), to.display());
    let to = &absolute(to, &act())?;
    let identity = |path: &Path| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    if identity(to).is_some_and(|there| Some(there) == identity(path)) {
        return Err(Error::new(Kind::Usage, Side::Local, act())
            .because("that is the store itself")
            .hint("name another file"));
    }
    let copied = files::replace_with(to, files::PRIVATE, |temporary| {
        let Some(name) = temporary.to_str() else {
            let error = Error::new(Kind::Usage, Side::Local, act());
            return Err(CopyFailed::Known(error.because("its path is not UTF-8")));
        };
        // It only reads this file, but SQLite holds what it writes to be written by the same connection.
        let db = connect(path, limits)?;
        db.execute("VACUUM INTO ?1", [name])?;
        Ok(())
    });
    copied.map_err(|failed| match failed {
        CopyFailed::Known(error) => error,
        CopyFailed::System(cause) => Error::new(Kind::Io, Side::Local, act()).because(Plain(cause)),
        CopyFailed::Sqlite(cause) => sorted(act(), &cause),
    })
}

enum CopyFailed {
    Known(Error),
    System(io::Error),
    Sqlite(rusqlite::Error),
}

impl From<io::Error> for CopyFailed {
    fn from(cause: io::Error) -> CopyFailed {
        CopyFailed::System(cause)
    }
}

impl From<rusqlite::Error> for CopyFailed {
    fn from(cause: rusqlite::Error) -> CopyFailed {
        CopyFailed::Sqlite(cause)
    }
}

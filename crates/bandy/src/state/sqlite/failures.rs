//! What SQLite says, in words: which file, what was being done, why not, what to try.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::schema::Refused;
use crate::error::{Error, Kind, Plain, Result, Side};

/// Makes errors about one file.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    pub(super) path: Arc<Path>,
}

impl Failures {
    /// `writing the store /var/lib/bandy/bandy.db`.
    pub(super) fn act(&self, verb: &str) -> String {
        format!("{verb} the store {}", self.path.display())
    }

    /// What the system would not do.
    pub(super) fn of_system(&self, verb: &str, cause: io::Error) -> Error {
        let hint = match cause.kind() {
            io::ErrorKind::NotFound => "does the folder exist?",
            io::ErrorKind::PermissionDenied => "may this user write to the file and its folder?",
            _ => "is the file on a disk of this machine, with room on it?",
        };
        Error::new(Kind::Io, Side::Local, self.act(verb))
            .because(Plain(cause))
            .hint(hint)
    }

    /// What SQLite would not do.
    pub(super) fn of_sqlite(&self, verb: &str, cause: &rusqlite::Error) -> Error {
        sorted(self.act(verb), cause)
    }

    /// Why the file is not used at all.
    pub(super) fn refused(&self, refused: &Refused) -> Error {
        let (kind, cause, hint) = match refused {
            Refused::Failed(cause) => return self.of_sqlite("opening", cause),
            Refused::Foreign => (
                Kind::Usage,
                "it is another program's database".to_owned(),
                "name a file that is not there yet, or one that Bandy made",
            ),
            Refused::Newer { found, known } => (
                Kind::Usage,
                format!("it has format {found}, and this version knows those up to {known}"),
                "use the newer Bandy that wrote it, or a backup from before the update",
            ),
            Refused::NoWal => (
                Kind::Io,
                "its file system cannot share memory between processes".to_owned(),
                "put it on a disk of this machine, not on a network's",
            ),
        };
        Error::new(kind, Side::Local, self.act("opening"))
            .because(cause)
            .hint(hint)
    }
}

/// The error for an act, sorted by what a caller or an operator can do about it.
pub(super) fn sorted(act: String, cause: &rusqlite::Error) -> Error {
    let (kind, hint) = match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (
            Kind::Io,
            "make room for it; the store works again as soon as there is some",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Kind::TimedOut,
            "another process has been writing to it for too long: which one has it open?",
        ),
        Some(ErrorCode::NotADatabase) => (
            Kind::Usage,
            "name a file that is not there yet, or one that Bandy made",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            Kind::Io,
            "stop what uses it, set the file aside with its -wal and -shm, and put a backup in its place",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            (Kind::Io, "may this user write to the file and its folder?")
        }
        _ => (
            Kind::Io,
            "is the disk in order? The system's log may say more",
        ),
    };
    let error = Error::new(kind, Side::Local, act);
    // The number tells an operator which of the many I/O errors it was.
    let error = match cause.sqlite_error() {
        Some(code) => error.because(format!("{cause} (SQLite's {})", code.extended_code)),
        None => error.because(cause.to_string()),
    };
    error.hint(hint)
}

/// A path that means the same in whatever folder the process is later, and that SQLite takes for nothing but a path.
pub(super) fn absolute(path: &Path, act: &str) -> Result<std::path::PathBuf> {
    let absolute = std::path::absolute(path);
    absolute.map_err(|e| Error::new(Kind::Usage, Side::Local, act).because(Plain(e)))
}

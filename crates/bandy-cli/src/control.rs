//! How `bandy reload`, and a bandy that takes over, talk to the bandy that runs a configuration file.
//!
//! Each has a Unix socket in a folder that only its user can enter, named after the file. A line of JSON asks, a line
//! answers. Sockets that are handed over travel beside a byte each time (unix(7), SCM_RIGHTS).

pub mod asking;
pub mod listening;
pub mod sockets;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use bandy::error::{Error, Kind, Side};
use serde::{Deserialize, Serialize};

/// What can be asked of a bandy that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// To read its configuration again.
    Reload,
    /// To have a new process take its place.
    Upgrade,
    /// For its listening sockets: whoever asks is to take its place.
    Sockets,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// The exit code for whoever asked.
    pub code: u8,
    /// What was done, or why it was not.
    pub said: String,
    /// What to try then.
    pub hint: Option<String>,
}

/// Where the bandy that runs this file listens.
///
/// # Errors
/// That there is no such file, or no folder that is this user's alone.
pub fn place(file: &Path) -> Result<PathBuf, Error> {
    let whole = file.canonicalize().map_err(|e| {
        let act = format!("looking for {}", file.display());
        Error::new(Kind::Usage, Side::Local, act).because(e)
    })?;
    let folder = folder().map_err(|(folder, why)| {
        let act = format!("using the folder {}", folder.display());
        let error = Error::new(Kind::Io, Side::Local, act).because(why);
        error.hint("set XDG_RUNTIME_DIR to a folder of yours that nobody else can enter")
    })?;
    Ok(folder.join(format!("{:016x}.sock", fnv1a(whole.as_os_str().as_bytes()))))
}

/// `$XDG_RUNTIME_DIR/bandy`, or a folder of this user's beside other temporary files.
fn folder() -> Result<PathBuf, (PathBuf, io::Error)> {
    let user = rustix::process::getuid().as_raw();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder).join("bandy"),
        _ => std::env::temp_dir().join(format!("bandy-{user}")),
    };
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    let checked = match made {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        // Somebody else may have made it, to be asked in our place.
        _ => std::fs::symlink_metadata(&folder).and_then(|found| {
            match found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0 {
                true => Ok(()),
                false => Err(io::Error::other(
                    "it is somebody else's, or others can enter it",
                )),
            }
        }),
    };
    checked.map(|()| folder.clone()).map_err(|e| (folder, e))
}

/// A short name for a path: FNV-1a (Fowler, Noll and Vo), the same for every version of this program.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

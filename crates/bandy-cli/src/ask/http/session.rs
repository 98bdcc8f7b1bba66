//! `--session NAME`: cookies in a file of the user's own, from one call to the next.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bandy::error::{Error, Kind, Side};

use super::cookies::Jar;
use crate::report;

/// A session's file, and what was in it.
#[derive(Debug)]
pub struct Session {
    path: Option<PathBuf>,
    before: Jar,
    pub jar: Jar,
}

/// A file that is longer was not written by us.
const FILE_BYTES_MAX: u64 = 4 << 20;

impl Session {
    /// The cookies of one call, forgotten afterwards, or those under this name.
    ///
    /// # Errors
    /// That it is no name, or that its file cannot be read.
    pub fn open(name: Option<&str>) -> Result<Session, Error> {
        let Some(name) = name else {
            return Ok(Session {
                path: None,
                before: Jar::default(),
                jar: Jar::default(),
            });
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if name.is_empty()
            || name.len() > 100
            || name.starts_with('.')
            || !name.chars().all(is_name)
        {
            return Err(report::usage(
                format!("opening the session `{}`", name.escape_debug()),
                "it is no name",
                "a name is letters, digits, `-`, `_`, `@` and `.`",
            ));
        }
        let path = folder(name)?.join(format!("{name}.json"));
        let jar = match read(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| {
                failed(
                    "reading",
                    &path,
                    io::Error::new(io::ErrorKind::InvalidData, e),
                )
                .hint("remove the file to begin anew")
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Jar::default(),
            Err(e) => return Err(failed("reading", &path, e)),
        };
        Ok(Session {
            path: Some(path),
            before: jar,
            jar: Jar::default(),
        }
        .begun())
    }

    fn begun(mut self) -> Session {
        self.jar = self.before.clone();
        self
    }

    /// Writes what changed, readable by nobody else; whoever reads it sees the old or the new.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep(&mut self) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if self.jar == self.before && path.exists() {
            return Ok(());
        }
        write(path, &self.jar).map_err(|e| failed("writing", path, e))?;
        self.before = self.jar.clone();
        Ok(())
    }
}

fn folder(name: &str) -> Result<PathBuf, Error> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    match state {
        Some(state) => Ok(state.join("bandy/sessions")),
        None => Err(report::usage(
            format!("opening the session `{name}`"),
            "there is no folder to keep it in",
            "set XDG_STATE_HOME or HOME",
        )),
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read_to_string(path)
}

fn write(path: &Path, jar: &Jar) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let beside = path.with_extension(format!("json.{}", std::process::id()));
    let written = (|| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        // It may have been there with another mode.
        file.set_permissions(Permissions::from_mode(0o600))?;
        serde_json::to_writer_pretty(&mut file, jar)?;
        file.write_all(b"\n")?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // What could not be written cannot be of use; nor is it worse if it stays.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    let act = format!("{doing} the session {}", path.display());
    Error::new(Kind::Io, Side::Local, act).because(cause)
}

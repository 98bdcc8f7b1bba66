//! Files that are either whole or not there: how the local CA's pair comes to disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The mode of what only its owner may read: private keys.
pub(crate) const PRIVATE: u32 = 0o600;
/// The mode of what everyone may read: certificates.
pub(crate) const PUBLIC: u32 = 0o644;

/// Creates `dir` and its parents, readable by their owner only; one that is there stays as it is.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Creates `path` with these bytes, whole or not at all; `false` when something is there already, which then stays.
///
/// Of several that create one path at once exactly one gets `true`. The bytes are never readable by anyone whom `mode`
/// does not let in, not even while they are being written, and are on disk before the name is.
pub(crate) fn create_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let temporary = write_temporary(path, bytes, mode)?;
    // Unlike a rename, a link does not replace what another process has put there meanwhile.
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => removed.map(|()| false),
        Err(e) => Err(e),
        Ok(()) => {
            removed?;
            sync_parent(path)?;
            Ok(true)
        }
    }
}

/// Puts these bytes at `path`, in place of what may be there: a reader sees the old or the new, never a part.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    rename(&write_temporary(path, bytes, mode)?, path)
}

/// As [`replace`], with what `write` puts into the empty file whose path it is given. That is beside `path`, named
/// `.NAME.PID.N`, and gone again when `write` fails.
pub(crate) fn replace_with<E: From<io::Error>>(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let (temporary, file) = open_temporary(path, mode)?;
    let written = write(&temporary).and_then(|()| Ok(file.sync_all()?));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| Ok(rename(&temporary, path)?))
}

fn rename(temporary: &Path, path: &Path) -> io::Result<()> {
    if let Err(e) = fs::rename(temporary, path) {
        // The rename's failure is what matters; the leftover is harmless.
        let _ = fs::remove_file(temporary);
        return Err(e);
    }
    sync_parent(path)
}

/// The bytes at `path`; `None` when nothing is there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    absent_is_none(fs::read(path))
}

/// The bytes at `path` and the permission bits of the very file that they were read from.
pub(crate) fn read_with_mode(path: &Path) -> io::Result<Option<(Vec<u8>, u32)>> {
    absent_is_none(File::open(path).and_then(|mut file| {
        let mode = file.metadata()?.permissions().mode() & 0o7777;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((bytes, mode))
    }))
}

fn absent_is_none<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn write_temporary(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let (temporary, mut file) = open_temporary(path, mode)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    match written {
        Ok(()) => Ok(temporary),
        Err(e) => {
            let _ = fs::remove_file(&temporary);
            Err(e)
        }
    }
}

fn open_temporary(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_string_lossy();
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(format!(".{name}.{}.{n}", std::process::id()));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary);
        match opened {
            Ok(file) => return Ok((temporary, file)),
            // Left behind by a process that was killed and had our number.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// Makes the name last through a power cut, as `sync_all` did for the bytes.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_create_wins_and_nothing_is_left_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert!(create_new(&path, b"first", PRIVATE).unwrap());
        assert!(!create_new(&path, b"second", PRIVATE).unwrap());
        assert_eq!(
            read_with_mode(&path).unwrap(),
            Some((b"first".to_vec(), 0o600))
        );
        replace(&path, b"third", PUBLIC).unwrap();
        assert_eq!(read(&path).unwrap(), Some(b"third".to_vec()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(read(&dir.path().join("b")).unwrap(), None);
    }
}

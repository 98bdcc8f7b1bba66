//! The root folder, and the one way to anything below it.
//!
//! Every name is opened relative to the root's descriptor, and the system itself holds that it ends below: `openat2`
//! with `RESOLVE_BENEATH` follows links inside the root and refuses any that leave it, also when somebody replaces a
//! folder by a link while it is opened. On a system without it (Linux before 5.6, some sandboxes) names are walked one
//! by one, and no link is followed at all.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The folder that is served.
#[derive(Debug)]
pub(super) struct Root {
    folder: OwnedFd,
    system: System,
}

/// What the system can do for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    /// `openat2`, and it can be told not to wait for a disk.
    Cached,
    Beneath,
    /// Neither.
    Walk,
}

/// Whether opening may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It fails with [`Errno::AGAIN`] instead: on an event loop. A file system of another machine or program may wait
    /// all the same.
    Never,
    /// On a thread that may.
    Disk,
}

/// Something below the root, open, and what it was when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) state: State,
}

/// What something is, and in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) kind: Kind,
    pub(super) size: u64,
    /// When its content last changed: seconds since 1970 and nanoseconds.
    pub(super) modified: (i64, u64),
    /// When anything about it last changed, which nobody can set.
    changed: (i64, u64),
    pub(super) inode: u64,
    device: u64,
    mode: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// A pipe, a device, a socket: never served.
    Other,
}

/// How often to try again when folders are moved about while a link with `..` in it is followed.
const TRIES: usize = 16;

impl Root {
    /// Opens the folder.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &std::path::Path) -> Result<Root, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = fs::open(path, flags, Mode::empty())?;
        let mut root = Root {
            folder,
            system: System::Cached,
        };
        let look = |root: &Root, wait| root.open_below(b"", OFlags::PATH | OFlags::CLOEXEC, wait);
        root.system = match look(&root, Wait::Never) {
            // Just opened, it is in the caches.
            Ok(_) | Err(Errno::AGAIN) => System::Cached,
            Err(_) if look(&root, Wait::Disk).is_ok() => System::Beneath,
            Err(_) => System::Walk,
        };
        Ok(root)
    }

    #[cfg(test)]
    pub(super) fn walking(mut self) -> Root {
        self.system = System::Walk;
        self
    }

    /// Opens these names (with `/` between) for reading.
    pub(super) fn look(&self, names: &[u8], wait: Wait) -> Result<Opened, Errno> {
        // A pipe without a writer would wait without NONBLOCK.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(self.open_below(names, flags, wait)?);
        let state = State::of(&file)?;
        Ok(Opened { file, state })
    }

    /// Opens the folder of these names.
    pub(super) fn folder(&self, names: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.open_below(names, flags, Wait::Disk)
    }

    /// What these names lead to, links inside the root followed.
    pub(super) fn state(&self, names: &[u8]) -> Result<State, Errno> {
        State::of(self.open_below(names, OFlags::PATH | OFlags::CLOEXEC, Wait::Disk)?)
    }

    fn open_below(&self, names: &[u8], flags: OFlags, wait: Wait) -> Result<OwnedFd, Errno> {
        let names = if names.is_empty() { b"." } else { names };
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match (self.system, wait) {
            (System::Cached, Wait::Never) => resolve |= ResolveFlags::CACHED,
            (_, Wait::Never) => return Err(Errno::AGAIN),
            (System::Walk, Wait::Disk) => return self.walk(names, flags),
            (_, Wait::Disk) => {}
        }
        let mut tries = 0;
        loop {
            match fs::openat2(&self.folder, names, flags, Mode::empty(), resolve) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if wait == Wait::Disk && tries < TRIES => tries += 1,
                opened => return opened,
            }
        }
    }

    fn walk(&self, names: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let (parents, last) = match names.iter().rposition(|b| *b == b'/') {
            Some(at) => (names.get(..at), names.get(at.saturating_add(1)..)),
            None => (None, Some(names)),
        };
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = None;
        for name in parents.into_iter().flat_map(|p| p.split(|b| *b == b'/')) {
            let from = folder.as_ref().unwrap_or(&self.folder);
            folder = Some(fs::openat(from, plain(name)?, step, Mode::empty())?);
        }
        let from = folder.as_ref().unwrap_or(&self.folder);
        let last = plain(last.unwrap_or_default())?;
        let opened = fs::openat(from, last, flags | OFlags::NOFOLLOW, Mode::empty())?;
        // PATH with NOFOLLOW opens a link itself.
        match flags.contains(OFlags::PATH) && fs::fstat(&opened)?.st_mode & 0o170_000 == 0o120_000 {
            true => Err(Errno::LOOP),
            false => Ok(opened),
        }
    }
}

/// A path was checked before; the walk does not rely on it.
fn plain(name: &[u8]) -> Result<&[u8], Errno> {
    match name {
        b"" | b".." => Err(Errno::NOENT),
        name => Ok(name),
    }
}

impl State {
    pub(super) fn of(file: impl AsFd) -> Result<State, Errno> {
        Ok(State::from(&fs::fstat(file)?))
    }

    /// What makes it up as one file that is there for others: a new one takes it over from what it replaces.
    pub(super) fn permissions(&self) -> Mode {
        Mode::from_raw_mode(self.mode & 0o777)
    }

    /// The later of the times when something about it changed.
    pub(super) fn last_touched(&self) -> (i64, u64) {
        self.modified.max(self.changed)
    }
}

impl From<&fs::Stat> for State {
    fn from(stat: &fs::Stat) -> State {
        State {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Folder,
                _ => Kind::Other,
            },
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            device: stat.st_dev,
            mode: stat.st_mode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What names lead to: a file's content, or why not.
    fn read(root: &Root, names: &str) -> Result<String, Errno> {
        let opened = root.look(names.as_bytes(), Wait::Disk)?;
        match opened.state.kind {
            Kind::File => std::io::read_to_string(opened.file).map_err(|_| Errno::IO),
            _ => Ok(String::new()),
        }
    }

    #[test]
    fn both_ways_stay_below() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("root/docs")).expect("folders");
        std::fs::write(at("root/docs/a"), "inside").expect("written");
        std::fs::write(at("secret"), "outside").expect("written");
        symlink("docs", at("root/folder")).expect("a link");
        symlink("docs/a", at("root/file")).expect("a link");
        symlink("../secret", at("root/out")).expect("a link");
        symlink("..", at("root/up")).expect("a link");
        let beneath = Root::open(&at("root")).expect("a root");
        let walking = Root::open(&at("root")).expect("a root").walking();
        let (inside, none) = (Ok("inside".to_owned()), Ok(String::new()));
        for (names, by_system, by_walk) in [
            ("docs/a", &inside, true),
            ("", &none, true),
            ("docs", &none, true),
            ("file", &inside, false),
            ("folder", &none, false),
            ("folder/a", &inside, false),
        ] {
            assert_eq!(read(&beneath, names), *by_system, "{names}");
            match by_walk {
                true => assert_eq!(read(&walking, names), *by_system, "{names}"),
                // It follows no links.
                false => assert!(read(&walking, names).is_err(), "{names}"),
            }
            assert_eq!(walking.state(names.as_bytes()).is_ok(), by_walk, "{names}");
        }
        for names in [
            "out",
            "up/secret",
            "../secret",
            "docs/../../secret",
            "up",
            "docs/a/b",
        ] {
            for root in [&beneath, &walking] {
                assert!(read(root, names).is_err(), "{names} {root:?}");
                assert!(root.state(names.as_bytes()).is_err(), "{names} {root:?}");
            }
        }
        assert!(walking.look(b"docs/a", Wait::Never).is_err(), "it may wait");
    }
}

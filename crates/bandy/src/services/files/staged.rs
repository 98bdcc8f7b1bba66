//! A file on its way: written under a name that nobody is served, and put in its place whole.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::Inner;
use super::condition::{Verdict, judge};
use super::page::{now, validators};
use super::path::{Path, RESERVED};
use super::root::{Kind, State};
use super::stop::{Stop, on_a_thread, problem};
use crate::error::{Error, Kind as Sort, Plain, Side};
use crate::http::{Body, HeaderMap, Problem, StatusCode, header};

/// How much is gathered before a thread writes it. Bytes.
const GATHERED: usize = 256 << 10;

/// Where a file is to be.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: Arc<OwnedFd>,
    path: Path,
}

impl Place {
    /// The folder that the path's file is in. Waits for the disk.
    pub(super) fn of(inner: &Inner, path: Path) -> Result<Place, Stop> {
        match inner.root.folder(path.parent()) {
            Ok(folder) => Ok(Place {
                folder: Arc::new(folder),
                path,
            }),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(problem(
                StatusCode::CONFLICT,
                "there is no folder to put it in",
            )),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        self.path.name()
    }

    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// What is there now, if a request with these fields may replace it.
    pub(super) fn check(&self, inner: &Inner, asked: &HeaderMap) -> Result<Option<State>, Stop> {
        let state = match inner.root.state(self.path.names()) {
            Ok(state) if state.kind == Kind::File => Some(state),
            Ok(_) => {
                return Err(problem(
                    StatusCode::CONFLICT,
                    "something that is not a file has this name",
                ));
            }
            // A link that leads nowhere, or out of the root, is replaced and not followed.
            Err(Errno::NOENT | Errno::LOOP | Errno::XDEV) => None,
            Err(e) => return Err(e.into()),
        };
        let there = state.map(|state| validators(&state, now()));
        match judge(asked, false, there.as_ref()) {
            Verdict::Go => Ok(state),
            _ => Err(Problem::new(StatusCode::PRECONDITION_FAILED).into()),
        }
    }
}

/// A file that is being written. Unless it stays, dropping it removes it.
pub(super) struct Staged {
    rubbish: Option<Rubbish>,
    folder: Arc<OwnedFd>,
    name: Vec<u8>,
    file: Arc<File>,
    /// What is written, and where the gathered pieces go.
    written: u64,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
}

/// What came of putting a file in its place.
pub(super) struct Done {
    pub(super) is_new: bool,
    pub(super) state: State,
}

impl Staged {
    /// A new file, gone again unless it is put in its place. Waits for the disk.
    pub(super) fn new(place: &Place) -> Result<Staged, Stop> {
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| {
            Stop::Failed(Error::new(
                Sort::Other,
                Side::Local,
                "making up a file's name",
            ))
        })?;
        let random = format!("{:032x}.part", u128::from_ne_bytes(random));
        let name = [RESERVED, random.as_bytes()].concat();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut staged = Staged::open(place, name, flags)?;
        staged.rubbish = Some(Rubbish {
            folder: staged.folder.clone(),
            name: staged.name.clone(),
        });
        Ok(staged)
    }

    /// A file of this name beside the place, kept when it is dropped. Waits for the disk.
    pub(super) fn kept(place: &Place, name: Vec<u8>) -> Result<Staged, Stop> {
        Staged::open(place, name, OFlags::RDWR | OFlags::CREATE)
    }

    fn open(place: &Place, name: Vec<u8>, flags: OFlags) -> Result<Staged, Stop> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // The umask takes away what it takes away of everybody's files.
        let mode = Mode::from_raw_mode(0o666);
        let file = fs::openat(&place.folder, name.as_slice(), flags, mode)?;
        Ok(Staged {
            rubbish: None,
            folder: place.folder.clone(),
            name,
            file: Arc::new(File::from(file)),
            written: 0,
            gathered: Vec::new(),
            gathered_bytes: 0,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// How long it is so far.
    pub(super) fn len(&self) -> u64 {
        self.written.saturating_add(self.gathered_bytes as u64)
    }

    /// What comes next goes here.
    pub(super) fn go_on_at(&mut self, offset: u64) {
        self.written = offset;
    }

    /// Takes a body to its end, at most until the file is `max` bytes long.
    pub(super) async fn take(&mut self, body: &mut Body, max: u64) -> Result<(), Stop> {
        loop {
            match body.data().await {
                Ok(Some(data)) => self.write(data, max).await?,
                Ok(None) => return self.flush().await,
                Err(e) => {
                    // What came before it broke off counts, where it is kept.
                    self.flush().await?;
                    return Err(e.into());
                }
            }
        }
    }

    pub(super) async fn write(&mut self, data: Bytes, max: u64) -> Result<(), Stop> {
        if self.len().saturating_add(data.len() as u64) > max {
            return Err(too_large(max));
        }
        self.gathered_bytes = self.gathered_bytes.saturating_add(data.len());
        self.gathered.push(data);
        match self.gathered_bytes >= GATHERED {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let (file, mut offset) = (self.file.clone(), self.written);
        let pieces = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        self.written = on_a_thread(move || {
            for piece in pieces {
                file.write_all_at(&piece, offset).map_err(failed)?;
                offset = offset.saturating_add(piece.len() as u64);
            }
            Ok(offset)
        })
        .await?;
        Ok(())
    }

    /// What is written is on the disk. Waits for it.
    pub(super) fn sync(&self) -> Result<(), Stop> {
        self.file.sync_all().map_err(failed)
    }

    /// Puts it in its place, if a request with these fields still may. Waits for the disk; afterwards the file is
    /// there, also when the power fails.
    pub(super) fn put(
        mut self,
        inner: &Inner,
        place: &Place,
        asked: &HeaderMap,
    ) -> Result<Done, Stop> {
        self.sync()?;
        let _alone = inner
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = place.check(inner, asked)?;
        if let Some(old) = &old {
            fs::fchmod(&self.file, old.permissions())?;
        }
        let is_new = old.is_none();
        self.rename(place, is_new && asked.contains_key(header::IF_NONE_MATCH))?;
        self.rubbish.take().into_iter().for_each(Rubbish::keep);
        inner.cache.written();
        let state = State::of(&*self.file)?;
        fs::fsync(&self.folder)?;
        Ok(Done { is_new, state })
    }

    /// Where it must be new, the system holds that against other programs as well, if it can.
    fn rename(&self, place: &Place, must_be_new: bool) -> Result<(), Stop> {
        let (folder, from, to) = (&self.folder, self.name.as_slice(), place.name());
        if must_be_new {
            match fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {
                    return Err(Problem::new(StatusCode::PRECONDITION_FAILED).into());
                }
                Err(Errno::INVAL | Errno::NOSYS) => {}
                renamed => return Ok(renamed?),
            }
        }
        Ok(fs::renameat(folder, from, folder, to)?)
    }
}

/// A file that nobody will want.
struct Rubbish {
    folder: Arc<OwnedFd>,
    name: Vec<u8>,
}

impl Rubbish {
    /// It became somebody's file.
    fn keep(mut self) {
        self.name.clear();
    }
}

impl Drop for Rubbish {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        match fs::unlinkat(&self.folder, self.name.as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => {
                let name = String::from_utf8_lossy(&self.name);
                tracing::warn!(%name, error = %Plain(e.into()), "removing what is left of an upload");
            }
        }
    }
}

/// Removing a large file takes the disk a while, so an event loop leaves it to a thread.
impl Drop for Staged {
    fn drop(&mut self) {
        let rubbish = self.rubbish.take();
        if rubbish.is_some()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn_blocking(move || drop(rubbish)));
        }
    }
}

pub(super) fn too_large(max: u64) -> Stop {
    let detail = format!("files of more than {max} bytes are not taken");
    problem(StatusCode::PAYLOAD_TOO_LARGE, &detail)
}

fn failed(error: std::io::Error) -> Stop {
    Errno::from_io_error(&error).unwrap_or(Errno::IO).into()
}

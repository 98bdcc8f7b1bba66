//! A part of a file as a body.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use crate::error::{Error, Kind, Result, Side};

/// How much is read at once.
const READ: usize = 64 << 10;

/// What is left to send of a file.
pub struct Piece {
    file: Arc<File>,
    offset: u64,
    len: u64,
    /// A read that had to wait for the disk, on a thread that may.
    read: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Piece {
    pub(super) fn new(file: Arc<File>, offset: u64, len: u64) -> Piece {
        Piece {
            file,
            offset,
            len,
            read: None,
        }
    }

    /// Bytes left.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// So much of it is sent.
    pub(crate) fn advance(&mut self, sent: u64) {
        self.offset = self.offset.saturating_add(sent);
        self.len = self.len.saturating_sub(sent);
    }

    /// The next bytes. What the system has in memory is read at once; for the disk a thread of its own waits, and not
    /// the event loop.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.len == 0 {
            return Poll::Ready(None);
        }
        let read = match &mut self.read {
            Some(reading) => {
                let read = ready!(Pin::new(reading).poll(cx));
                self.read = None;
                read.unwrap_or_else(|e| Err(io::Error::other(e)))
            }
            None => {
                let want = usize::try_from(self.len).unwrap_or(READ).min(READ);
                match read_at(&self.file, self.offset, want, ReadWriteFlags::NOWAIT) {
                    Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                        let (file, offset) = (self.file.clone(), self.offset);
                        self.read = Some(tokio::task::spawn_blocking(move || {
                            Ok(read_at(&file, offset, want, ReadWriteFlags::empty())?)
                        }));
                        return self.poll_read(cx);
                    }
                    read => read.map_err(io::Error::from),
                }
            }
        };
        Poll::Ready(Some(match read {
            Ok(bytes) if bytes.is_empty() => Err(failed("it is shorter than it was".into())),
            Ok(bytes) => {
                self.advance(bytes.len() as u64);
                Ok(bytes.into())
            }
            Err(e) => Err(failed(e.into())),
        }))
    }
}

fn read_at(
    file: &File,
    offset: u64,
    want: usize,
    flags: ReadWriteFlags,
) -> std::result::Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; want];
    loop {
        let read = preadv2(file, &mut [io::IoSliceMut::new(&mut bytes)], offset, flags);
        match read {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
            Ok(n) => {
                bytes.truncate(n);
                return Ok(bytes);
            }
        }
    }
}

fn failed(cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::new(Kind::Io, Side::Local, "reading a file").because(cause)
}

//! Bytes from one TCP socket to another without a copy through this process: splice(2), through a pipe.
//!
//! A pipe costs two descriptors and is borrowed from the event loop's few for as long as something is in it, which is
//! the length of a poll unless the writer does not keep up. So a conversation that has nothing to move owns none.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::pump::Failed;

/// What a pipe should hold. Bytes. The system's limit for users without privileges is this or more.
const PIPE_BYTES: usize = 1 << 20;
/// Pipes that an event loop keeps for the next who needs one.
const PIPES_KEPT: usize = 16;
/// Reads that bring less than this are cheaper to copy. Bytes.
const SMALL: usize = 32 << 10;
/// So many of them, one after the other, and copying it is again.
const SMALL_READS: u8 = 8;

thread_local! {
    static PIPES: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// An empty pipe, or one that its [`Splice`] knows the content of.
#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    bytes: usize,
}

impl Pipe {
    fn borrow() -> io::Result<Pipe> {
        if let Some(pipe) = PIPES.with_borrow_mut(Vec::pop) {
            return Ok(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A user with many pipes is refused more room, and goes on with what each pipe has.
        let bytes = fcntl_setpipe_size(&write, PIPE_BYTES).unwrap_or(4096);
        Ok(Pipe { read, write, bytes })
    }

    /// Only for a pipe that is empty: what is in it would be the next one's.
    fn give_back(self) {
        PIPES.with_borrow_mut(|pipes| {
            if pipes.len() < PIPES_KEPT {
                pipes.push(self);
            }
        });
    }
}

/// What a poll came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// So many bytes were taken in, and all of them written.
    Bytes(usize),
    /// The reader has ended, and everything is written.
    Ended,
    /// Little comes: copying is cheaper now. Everything is written.
    Little(usize),
    /// There is no pipe to be had. Nothing was moved.
    NoPipe,
}

/// One direction of a conversation between sockets, while it is bulk.
///
/// Invariant: it holds a pipe only where something is in it.
#[derive(Debug, Default)]
pub(super) struct Splice {
    held: Option<Held>,
    small_reads: u8,
}

#[derive(Debug)]
struct Held {
    pipe: Pipe,
    taken: usize,
    left: usize,
    /// What the reader said after that: a failure is told once only, and a reset must not become an end.
    failed: Option<io::Error>,
}

impl Held {
    fn new(pipe: Pipe, taken: usize) -> Held {
        Held {
            pipe,
            taken,
            left: taken,
            failed: None,
        }
    }

    /// Takes in what else is there already: each write wakes a reader, and that costs more than reading does. What came last
    /// says whether to look at all.
    fn fill(&mut self, from: &TcpStream) {
        let mut last = self.taken;
        while last >= SMALL && self.taken + last <= self.pipe.bytes {
            // Not by `try_io`: where the pipe takes no more, the socket is as ready as before.
            match splice_in(from, &self.pipe) {
                Ok(n @ 1..) => {
                    self.taken += n;
                    last = n;
                }
                // The end is there the next time too.
                Ok(0) => break,
                Err(e) if is_to_be_tried_again(&e) => break,
                Err(e) => {
                    self.failed = Some(e);
                    break;
                }
            }
        }
        self.left = self.taken;
    }
}

impl Splice {
    /// Whether nothing is on its way.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// Moves what is there, at most a pipe's worth. `read` is told of what comes (0 is the end), `written` of what
    /// leaves.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        read: impl FnOnce(usize),
        mut written: impl FnMut(usize),
    ) -> Poll<Result<Moved, Failed>> {
        if self.held.is_none() {
            let Ok(pipe) = Pipe::borrow() else {
                return Poll::Ready(Ok(Moved::NoPipe));
            };
            match poll_in(cx, from, &pipe) {
                Poll::Ready(Ok(taken)) if taken > 0 => {
                    let mut held = Held::new(pipe, taken);
                    held.fill(from);
                    read(held.taken);
                    self.held = Some(held);
                }
                nothing => {
                    pipe.give_back();
                    return match ready!(nothing) {
                        Ok(_) => {
                            read(0);
                            Poll::Ready(Ok(Moved::Ended))
                        }
                        Err(e) => Poll::Ready(Err(Failed::Reading(e))),
                    };
                }
            }
        }
        let Some(held) = &mut self.held else {
            return Poll::Pending;
        };
        while held.left > 0 {
            match ready!(poll_out(cx, to, held)) {
                Ok(0) => {
                    let e = io::ErrorKind::WriteZero.into();
                    return Poll::Ready(Err(Failed::Writing(e)));
                }
                Ok(n) => {
                    held.left = held.left.saturating_sub(n);
                    written(n);
                }
                // The pipe is dropped with what is in it.
                Err(e) => return Poll::Ready(Err(Failed::Writing(e))),
            }
        }
        let (taken, failed) = (held.taken, held.failed.take());
        if let Some(held) = self.held.take() {
            held.pipe.give_back();
        }
        match failed {
            Some(e) => Poll::Ready(Err(Failed::Reading(e))),
            None => Poll::Ready(Ok(self.judge(taken))),
        }
    }

    fn judge(&mut self, taken: usize) -> Moved {
        self.small_reads = match taken < SMALL {
            true => self.small_reads + 1,
            false => 0,
        };
        match self.small_reads < SMALL_READS {
            true => Moved::Bytes(taken),
            false => Moved::Little(taken),
        }
    }
}

/// Takes in what has come; 0 is the end. The pipe is empty, so `WouldBlock` is the socket's.
fn poll_in(cx: &mut Context<'_>, from: &TcpStream, pipe: &Pipe) -> Poll<io::Result<usize>> {
    loop {
        ready!(from.poll_read_ready(cx))?;
        match from.try_io(Interest::READABLE, || splice_in(from, pipe)) {
            Err(e) if is_to_be_tried_again(&e) => {}
            read => return Poll::Ready(read),
        }
    }
}

fn splice_in(from: &TcpStream, pipe: &Pipe) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let (socket, room) = (from.as_fd(), pipe.bytes);
    Ok(splice(socket, None, &pipe.write, None, room, flags)?)
}

/// Writes what is in the pipe. It has that, so `WouldBlock` is the socket's.
fn poll_out(cx: &mut Context<'_>, to: &TcpStream, held: &Held) -> Poll<io::Result<usize>> {
    loop {
        ready!(to.poll_write_ready(cx))?;
        let write = || {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            Ok(splice(
                &held.pipe.read,
                None,
                to.as_fd(),
                None,
                held.left,
                flags,
            )?)
        };
        match to.try_io(Interest::WRITABLE, write) {
            Err(e) if is_to_be_tried_again(&e) => {}
            written => return Poll::Ready(written),
        }
    }
}

fn is_to_be_tried_again(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

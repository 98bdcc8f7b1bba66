//! A conversation between two others: what one end says the other hears, both ways, until both have said everything.
//!
//! Each direction ends by itself (half-close). What fails at one end is made to fail at the other: a reset is passed on as a
//! reset. Bytes go through the event loop's scratch buffer, so that a conversation without any in flight owns no buffer;
//! between TCP sockets, reads that fill large buffers time after time are bulk, and then bytes go from socket to
//! socket inside the system (`splice.rs`) until they become few again.
//!
//! Deadlines are the server's: every byte of either direction counts as life of the connection that came to it.

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn::Conn;
use super::pump::Failed;
use super::scratch;
use super::splice::{Moved, Splice};
use crate::error::Result;

/// A read that brings this much is a large one. Bytes.
const LARGE: usize = 64 << 10;
/// So many of them, one after the other, are bulk.
const LARGE_READS: u8 = 4;
/// What one direction moves before others have their turn. Bytes.
const TURN: usize = 4 << 20;

/// Two connections that talk to each other.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Who came.
    near: Conn,
    /// Where they are brought to.
    far: Conn,
    there: Direction,
    back: Direction,
    /// Why one end takes no more. What it said before is still delivered.
    failed: Option<(End, Failed)>,
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Near,
    Far,
}

impl Relay {
    /// A conversation that begins now. `said` was read from `near` already and not yet written to `far`.
    pub(crate) fn new(near: Conn, far: Conn, said: Vec<u8>) -> Relay {
        let there = Direction {
            spill: said,
            ..Direction::default()
        };
        Relay {
            near,
            far,
            there,
            back: Direction::default(),
            failed: None,
        }
    }

    /// Whether some of the answer has come.
    pub(crate) fn was_answered(&self) -> bool {
        self.far.meter().read() > 0
    }

    /// Goes on with the conversation until it is over.
    ///
    /// # Errors
    /// Which end failed. The other one was made to fail too.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let there = self.there.poll(cx, &mut self.near, &mut self.far);
        if let Some(over) = self.note(End::Near, End::Far, there) {
            return Poll::Ready(over);
        }
        let back = self.back.poll(cx, &mut self.far, &mut self.near);
        if let Some(over) = self.note(End::Far, End::Near, back) {
            return Poll::Ready(over);
        }
        match self.there.is_over && self.back.is_over {
            true => Poll::Ready(self.end()),
            false => Poll::Pending,
        }
    }

    /// What a direction's poll came to; something where the conversation is over by it.
    fn note(&mut self, from: End, to: End, moved: Poll<Result<(), Failed>>) -> Option<Result<()>> {
        match moved {
            Poll::Pending | Poll::Ready(Ok(())) => None,
            // Whoever is gone has nobody to be told anything either.
            Poll::Ready(Err(failed @ Failed::Reading(_))) => {
                self.failed.get_or_insert((from, failed));
                Some(self.end())
            }
            // It may have said something before it went away, an answer to a request that it did not want to the end: that
            // is delivered. Its end cannot be told from the failure, and so is not passed on as an end.
            Poll::Ready(Err(failed @ Failed::Writing(_))) => {
                self.failed.get_or_insert((to, failed));
                let (broken, rest) = match to {
                    End::Far => (&mut self.there, &mut self.back),
                    End::Near => (&mut self.back, &mut self.there),
                };
                broken.is_over = true;
                rest.ends_silently = true;
                None
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        let Some((end, failed)) = self.failed.take() else {
            return Ok(());
        };
        let (broken, other) = match end {
            End::Near => (&self.near, &self.far),
            End::Far => (&self.far, &self.near),
        };
        other.end_with_reset();
        Err(failed.name(broken))
    }
}

/// One direction: its state between polls.
#[derive(Debug, Default)]
struct Direction {
    /// Read, and not yet taken by the writer.
    spill: Vec<u8>,
    /// How much of `spill` the writer took.
    taken: usize,
    splice: Option<Splice>,
    large_reads: u8,
    /// Written since the last flush. A writer that encrypts may hold back what it took.
    unflushed: bool,
    /// The reader has said everything.
    ended: bool,
    /// The writer is not told of the end.
    ends_silently: bool,
    /// Nothing is moved any more.
    is_over: bool,
}

impl Direction {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Conn,
        to: &mut Conn,
    ) -> Poll<Result<(), Failed>> {
        let mut left = TURN;
        while !self.is_over {
            if !self.spill.is_empty() {
                ready!(self.poll_spill(cx, to))?;
            }
            if self.unflushed {
                ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(Failed::Writing)?;
                self.unflushed = false;
            }
            if self.ended {
                if !self.ends_silently {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Failed::Writing)?;
                }
                self.is_over = true;
                break;
            }
            let moved = match self.splice {
                Some(_) => ready!(self.poll_splice(cx, from, to))?,
                None => ready!(scratch::with(|buffer| self.poll_copy(cx, from, to, buffer)))?,
            };
            left = left.saturating_sub(moved);
            if left == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One read, and as many writes as the writer takes without waiting: how much was read.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Conn,
        to: &mut Conn,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Failed>> {
        let mut read = ReadBuf::new(buffer);
        match ready!(Pin::new(&mut *from).poll_read(cx, &mut read)) {
            // Over TLS some clients end without a goodbye. Whether all was said the server behind will know; of a server
            // that does so the client would not.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && from.is_near() => {}
            read => read.map_err(Failed::Reading)?,
        }
        let mut rest = read.filled();
        let moved = rest.len();
        self.ended = moved == 0;
        self.unflushed = moved > 0;
        if moved < LARGE {
            self.large_reads = 0;
        } else {
            self.large_reads += 1;
            if self.large_reads == LARGE_READS && from.tcp().is_some() && to.tcp().is_some() {
                self.splice = Some(Splice::default());
            }
            self.large_reads %= LARGE_READS;
        }
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest) {
                Poll::Ready(written) => {
                    let n = taken(written).map_err(Failed::Writing)?;
                    rest = rest.get(n..).unwrap_or_default();
                }
                Poll::Pending => {
                    self.spill.extend_from_slice(rest);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(moved))
    }

    fn poll_spill(&mut self, cx: &mut Context<'_>, to: &mut Conn) -> Poll<Result<(), Failed>> {
        self.unflushed = true;
        while let Some(rest) = self.spill.get(self.taken..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, rest));
            self.taken += taken(written).map_err(Failed::Writing)?;
        }
        // Freed, not cleared: a connection that was slow once does not keep a buffer for it.
        self.spill = Vec::new();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Conn,
        to: &mut Conn,
    ) -> Poll<Result<usize, Failed>> {
        let (Some(splice), Some(read), Some(write)) = (&mut self.splice, from.tcp(), to.tcp())
        else {
            return Poll::Ready(Ok(0));
        };
        let taken = |n| from.meter().count_read(n);
        let written = |n| to.meter().count_written(n);
        let moved = ready!(splice.poll(cx, read, write, taken, written))?;
        let bytes = match moved {
            Moved::Bytes(n) => n,
            Moved::Little(n) => {
                self.splice = None;
                n
            }
            Moved::NoPipe => {
                self.splice = None;
                return Poll::Ready(Ok(0));
            }
            Moved::Ended => {
                self.ended = true;
                0
            }
        };
        Poll::Ready(Ok(bytes))
    }
}

fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        written => written,
    }
}

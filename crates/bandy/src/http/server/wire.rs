//! The connection under HTTP/1.1: what was read and is not yet taken, what is written and not yet sent.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, ReadBuf};

use crate::error::Result;
use crate::http::body::Piece;
use crate::net::conn::Conn;
use crate::net::{Tick, scratch};

/// A connection and what waits on both sides of it. Between two requests both buffers are empty and own nothing.
pub(super) struct Wire {
    pub(super) conn: Conn,
    pub(super) input: BytesMut,
    output: BytesMut,
}

/// How much is read at once where a head is expected. Of requests that were sent ahead, what follows the first is copied
/// for each of them: the square of this is what a burst of small ones costs.
const HEAD_READ: usize = 16 << 10;
/// How much of a body is read at once.
const BODY_READ: usize = 64 << 10;
/// A piece of a body that is shorter is copied, so that it does not keep all of what was read with it.
const SMALL_PIECE: usize = 4 << 10;
/// How much is read of what a client sends while it is answered; the rest waits with it.
const AHEAD: usize = 16 << 10;

impl Wire {
    pub(super) fn new(conn: Conn) -> Wire {
        Wire {
            conn,
            input: BytesMut::new(),
            output: BytesMut::new(),
        }
    }

    /// What comes next, behind what is in `input`, which it takes along: read in the thread's buffer, and copied once its
    /// length is known. Nothing is the end.
    pub(super) fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        scratch::with(|buffer| {
            let room = buffer.len().min(HEAD_READ);
            let mut read = ReadBuf::new(&mut buffer[..room]);
            let conn = Pin::new(&mut self.conn);
            if let Err(e) = ready!(tokio::io::AsyncRead::poll_read(conn, cx, &mut read)) {
                return Poll::Ready(Err(self.conn.failed("reading from", e)));
            }
            let filled = read.filled();
            if self.input.is_empty() || filled.is_empty() {
                return Poll::Ready(Ok(Bytes::copy_from_slice(filled)));
            }
            self.input.extend_from_slice(filled);
            Poll::Ready(Ok(std::mem::take(&mut self.input).freeze()))
        })
    }

    /// Keeps what was read too much.
    pub(super) fn keep(&mut self, rest: Bytes) {
        if !rest.is_empty() {
            self.input = BytesMut::from(&rest[..]);
        }
    }

    /// Reads more of a body into `input`, straight from the system. 0 is the end.
    pub(super) fn poll_read_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize>> {
        self.input.reserve(BODY_READ);
        let read = pin!(self.conn.read_buf(&mut self.input)).poll(cx);
        if read.is_pending() && self.input.is_empty() {
            // Who sends slowly is waited for without a buffer.
            self.input = BytesMut::new();
        }
        Poll::Ready(ready!(read).map_err(|e| self.conn.failed("reading from", e)))
    }

    /// Takes a piece of a body out of `input`.
    pub(super) fn take_piece(&mut self, len: usize) -> Bytes {
        if len >= SMALL_PIECE {
            return self.input.split_to(len).freeze();
        }
        let piece = Bytes::copy_from_slice(&self.input[..len]);
        self.input.advance(len);
        piece
    }

    /// Looks for a client that leaves while it is answered: fails when it does, and is ready once it has closed its
    /// direction. What it sends meanwhile is kept, up to a bound.
    pub(super) fn poll_peer(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.conn.meter().peer_closed() && self.input.len() < AHEAD {
            let read = scratch::with(|buffer| {
                let len = buffer.len().min(AHEAD);
                let mut read = ReadBuf::new(buffer.get_mut(..len).unwrap_or_default());
                let conn = Pin::new(&mut self.conn);
                ready!(tokio::io::AsyncRead::poll_read(conn, cx, &mut read))?;
                self.input.extend_from_slice(read.filled());
                Poll::Ready(io::Result::Ok(read.filled().len()))
            });
            match ready!(read) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(e) => return Poll::Ready(Err(self.conn.failed("reading from", e))),
            }
        }
        Poll::Pending
    }

    /// Puts bytes behind those that wait to be sent.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// As [`Wire::queue`], for what writes itself.
    pub(super) fn queue_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        scratch::out(|out| {
            write(out);
            self.queue(out);
        });
    }

    /// How much waits to be sent.
    pub(super) fn queued(&self) -> usize {
        self.output.len()
    }

    /// Sends what waits, and has the transport send it too.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(Pin::new(&mut self.conn).poll_write(cx, &self.output));
            let sent = self.sent(sent)?;
            self.output.advance(sent);
        }
        if self.output.capacity() > 0 {
            self.output = BytesMut::new();
        }
        let flushed = ready!(Pin::new(&mut self.conn).poll_flush(cx));
        Poll::Ready(flushed.map_err(|e| self.conn.failed("writing to", e)))
    }

    /// Sends these bytes behind those that wait. What the peer does not take now waits: this never does.
    pub(super) fn send_now(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<()> {
        let mut left = bytes;
        while self.output.is_empty() && !left.is_empty() {
            match Pin::new(&mut self.conn).poll_write(cx, left) {
                Poll::Ready(sent) => left = left.get(self.sent(sent)?..).unwrap_or_default(),
                Poll::Pending => break,
            }
        }
        self.output.extend_from_slice(left);
        Ok(())
    }

    /// Sends what waits and then these bytes, which are not copied.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Bytes,
    ) -> Poll<Result<()>> {
        while !bytes.is_empty() {
            let parts = [IoSlice::new(&self.output), IoSlice::new(bytes)];
            let parts = match self.output.is_empty() {
                true => &parts[1..],
                false => &parts[..],
            };
            let sent = ready!(Pin::new(&mut self.conn).poll_write_vectored(cx, parts));
            let sent = self.sent(sent)?;
            let of_output = sent.min(self.output.len());
            self.output.advance(of_output);
            bytes.advance((sent - of_output).min(bytes.len()));
        }
        self.poll_flush(cx)
    }

    /// Sends what waits and then the rest of a piece of a file, which the system does by itself.
    pub(super) fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        piece: &mut Piece,
    ) -> Poll<Result<()>> {
        ready!(self.poll_flush(cx))?;
        while !piece.is_empty() {
            let sent =
                ready!(
                    self.conn
                        .poll_send_file(cx, piece.fd(), piece.offset(), piece.len())
                );
            match self.sent(sent) {
                Ok(sent) => piece.advance(sent as u64),
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn sent(&self, sent: io::Result<usize>) -> Result<usize> {
        match sent {
            Ok(0) => Err(self
                .conn
                .failed("writing to", io::ErrorKind::WriteZero.into())),
            Ok(n) => Ok(n),
            Err(e) => Err(self.conn.failed("writing to", e)),
        }
    }

    /// Wakes this task at the deadline, or says that it is past.
    pub(super) fn watch(&self, deadline: Option<Tick>) -> Watched {
        match deadline {
            Some(at) if at.is_past() => Watched::Past,
            _ => {
                self.conn.wake_at(deadline);
                Watched::Waiting
            }
        }
    }
}

impl Wire {
    /// As [`Wire::watch`], where the service that is polled beside may have a deadline of its own.
    pub(super) fn watch_too(&self, deadline: Option<Tick>) -> Watched {
        match deadline {
            Some(at) if at.is_past() => Watched::Past,
            Some(at) => {
                self.conn.meter().wake_by(at);
                Watched::Waiting
            }
            None => Watched::Waiting,
        }
    }
}

/// How a deadline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Waiting,
    Past,
}

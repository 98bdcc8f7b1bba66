//! Moving bytes from a reader to a writer through the event loop's scratch buffer.
//!
//! Both directions of a conversation are a [`Pump`] each. One never holds a buffer while it waits for bytes to come;
//! what a writer does not take is kept until it does, and nothing more is read meanwhile, which is how a slow reader
//! slows its writer down and nobody else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn::Conn;
use super::scratch;
use crate::error::Error;

/// The two ends of a pump. They may be the same connection, which is an echo.
pub(crate) trait Ends {
    type From: AsyncRead + Unpin;
    type To: AsyncWrite + Unpin;

    fn from(&mut self) -> Pin<&mut Self::From>;
    fn to(&mut self) -> Pin<&mut Self::To>;
}

/// Reads from `0`, writes to `1`.
impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Ends for (&mut R, &mut W) {
    type From = R;
    type To = W;

    fn from(&mut self) -> Pin<&mut R> {
        Pin::new(self.0)
    }

    fn to(&mut self) -> Pin<&mut W> {
        Pin::new(self.1)
    }
}

/// Writes back to where it reads from.
pub(crate) struct Around<'a, T>(pub(crate) &'a mut T);

impl<T: AsyncRead + AsyncWrite + Unpin> Ends for Around<'_, T> {
    type From = T;
    type To = T;

    fn from(&mut self) -> Pin<&mut T> {
        Pin::new(self.0)
    }

    fn to(&mut self) -> Pin<&mut T> {
        Pin::new(self.0)
    }
}

/// Which end a pump failed at.
#[derive(Debug)]
pub(crate) enum Failed {
    Reading(io::Error),
    Writing(io::Error),
}

impl Failed {
    /// The failure as an error that names the peer. A program's pipe that fails is named so too: it is the peer's.
    pub(crate) fn name(self, conn: &Conn) -> Error {
        match self {
            Failed::Reading(e) => conn.failed("reading from", e),
            Failed::Writing(e) => conn.failed("writing to", e),
        }
    }
}

/// One direction of a conversation: its state between polls.
#[derive(Debug, Default)]
pub(crate) struct Pump {
    /// Read, and not yet taken by the writer.
    spill: Vec<u8>,
    /// How much of `spill` the writer took.
    taken: usize,
    /// Written since the last flush. A writer that encrypts may hold back what it took.
    unflushed: bool,
    ended: bool,
}

impl Pump {
    /// Moves bytes until the reader ends and the writer was told so (its writing half is shut down).
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut impl Ends,
    ) -> Poll<Result<(), Failed>> {
        loop {
            if self.taken < self.spill.len() {
                ready!(self.poll_spill(cx, ends))?;
            }
            if self.unflushed {
                ready!(ends.to().poll_flush(cx)).map_err(Failed::Writing)?;
                self.unflushed = false;
            }
            if self.ended {
                return ends.to().poll_shutdown(cx).map_err(Failed::Writing);
            }
            ready!(scratch::with(|buffer| self.poll_move(cx, ends, buffer)))?;
        }
    }

    /// One read, and as many writes as the writer takes without waiting.
    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut impl Ends,
        buffer: &mut [u8],
    ) -> Poll<Result<(), Failed>> {
        let mut read = ReadBuf::new(buffer);
        ready!(ends.from().poll_read(cx, &mut read)).map_err(Failed::Reading)?;
        let mut rest = read.filled();
        if rest.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        self.unflushed = true;
        while !rest.is_empty() {
            match ends.to().poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(Failed::Writing(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(n)) => rest = rest.get(n..).unwrap_or_default(),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Failed::Writing(e))),
                Poll::Pending => {
                    self.spill.extend_from_slice(rest);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_spill(
        &mut self,
        cx: &mut Context<'_>,
        ends: &mut impl Ends,
    ) -> Poll<Result<(), Failed>> {
        while let Some(rest) = self.spill.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match ready!(ends.to().poll_write(cx, rest)) {
                Ok(0) => {
                    return Poll::Ready(Err(Failed::Writing(io::ErrorKind::WriteZero.into())));
                }
                Ok(n) => self.taken += n,
                Err(e) => return Poll::Ready(Err(Failed::Writing(e))),
            }
        }
        // Freed, not cleared: a connection that was slow once does not keep a buffer for it.
        self.spill = Vec::new();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A megabyte through a pipe of seven bytes: every write is partial, every byte arrives, in order.
    #[tokio::test]
    async fn partial_writes_lose_nothing() {
        let (mut asker, mut answerer) = tokio::io::duplex(7);
        let answering = tokio::spawn(async move {
            let mut pump = Pump::default();
            std::future::poll_fn(|cx| pump.poll(cx, &mut Around(&mut answerer))).await
        });
        let sent: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let (mut read, mut write) = tokio::io::split(&mut asker);
        let (sending, mut got) = (sent.clone(), Vec::new());
        let send = async {
            write.write_all(&sending).await.expect("the pump reads");
            write.shutdown().await.expect("the pump reads");
        };
        let (_, read) = tokio::join!(send, read.read_to_end(&mut got));
        read.expect("the pump answers");
        assert!(got == sent, "{} bytes came back", got.len());
        answering.await.expect("no panic").expect("no failure");
    }
}

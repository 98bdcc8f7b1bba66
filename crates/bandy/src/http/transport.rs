//! What hyper needs of us for HTTP/2, at either end: a connection to read and write, and where to run a stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::{Conn, scratch};

/// A connection as hyper wants it, with what was read of it before.
pub(in crate::http) struct Transport {
    conn: Conn,
    first: Bytes,
}

impl Transport {
    pub(in crate::http) fn new(conn: Conn, first: Bytes) -> Transport {
        Transport { conn, first }
    }
}

impl Read for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let n = self.first.len().min(into.remaining());
            into.put_slice(&self.first.split_to(n));
            return Poll::Ready(Ok(()));
        }
        // By way of the loop's buffer, since hyper's may not be initialised.
        scratch::with(|buffer| {
            let room = into.remaining().min(buffer.len());
            let mut read = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
            ready!(Pin::new(&mut self.conn).poll_read(cx, &mut read))?;
            into.put_slice(read.filled());
            Poll::Ready(Ok(()))
        })
    }
}

impl Write for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}

/// Runs streams beside their connection, on its event loop.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct OnThisLoop;

impl<F> Executor<F> for OnThisLoop
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(stream);
    }
}

//! Streams: each item is a line, and each is answered by so many lines.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Answer, Failure, Line, Talk};
use crate::load::tally::Cause;
use crate::load::work::Said;
use crate::net::{Conn, scratch};

/// A connection that carries a stream.
pub(in crate::load) struct Lines {
    line: Line,
    said: Arc<Said>,
    /// Which item is next.
    at: usize,
    conn: Option<Conn>,
    written: usize,
    is_flushed: bool,
    /// Lines of the answer that are still to come.
    missing: usize,
    bytes: (u64, u64),
}

impl Lines {
    pub(in crate::load) fn new(line: Line, said: Arc<Said>, slot: usize) -> Lines {
        Lines {
            line,
            at: slot,
            said,
            conn: None,
            written: 0,
            is_flushed: false,
            missing: 0,
            bytes: (0, 0),
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failure>> {
        let Some(conn) = &mut self.conn else {
            return Poll::Ready(Err(Failure::new(Cause::Closed, "the connection is gone")));
        };
        let item = self.said.item(self.at);
        loop {
            let rest = item.get(self.written..).unwrap_or_default();
            if !rest.is_empty() {
                match Pin::new(&mut *conn).poll_write(cx, rest) {
                    Poll::Ready(Ok(n)) if n > 0 => {
                        self.written += n;
                        self.bytes.0 += n as u64;
                        continue;
                    }
                    Poll::Ready(Ok(_)) => {
                        return Poll::Ready(Err(Failure::io(std::io::ErrorKind::WriteZero.into())));
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::io(e))),
                    Poll::Pending => {}
                }
            }
            if !self.is_flushed {
                match Pin::new(&mut *conn).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.is_flushed = rest.is_empty(),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::io(e))),
                    Poll::Pending => {}
                }
            }
            if self.missing == 0 && self.is_flushed {
                return Poll::Ready(Ok(Answer::PLAIN));
            }
            let read = scratch::with(|buffer| {
                let mut read = ReadBuf::new(buffer);
                let polled = Pin::new(&mut *conn).poll_read(cx, &mut read);
                let filled = read.filled();
                let lines = memchr::memchr_iter(b'\n', filled).count();
                polled.map_ok(|()| (filled.len(), lines))
            });
            match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::io(e))),
                Poll::Ready(Ok((0, _))) => {
                    return Poll::Ready(Err(Failure::new(
                        Cause::Closed,
                        "the server closed before its answer was whole",
                    )));
                }
                Poll::Ready(Ok((n, lines))) => {
                    self.bytes.1 += n as u64;
                    self.missing = self.missing.saturating_sub(lines);
                }
            }
        }
    }
}

impl Talk for Lines {
    fn is_connected(&self) -> bool {
        self.conn.is_some()
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        self.conn = Some(self.line.connect().await?);
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, Failure> {
        self.written = 0;
        self.is_flushed = false;
        self.missing = self.said.answers;
        let answer = poll_fn(|cx| self.poll_answer(cx)).await;
        self.at = self.at.wrapping_add(1);
        answer
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) {
        let Some(conn) = &mut self.conn else { return };
        loop {
            let read = scratch::with(|buffer| {
                let mut read = ReadBuf::new(buffer);
                let polled = Pin::new(&mut *conn).poll_read(cx, &mut read);
                polled.map_ok(|()| read.filled().len())
            });
            match read {
                Poll::Pending => return,
                // What a server says unasked, a greeting perhaps, is not of the next answer.
                Poll::Ready(Ok(n)) if n > 0 => self.bytes.1 += n as u64,
                Poll::Ready(_) => {
                    self.conn = None;
                    return;
                }
            }
        }
    }

    fn hang_up(&mut self) {
        self.conn = None;
    }

    fn take_bytes(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.bytes)
    }
}

//! A conversation in messages, whatever it is spoken over.
//!
//! On WebSocket and UDP a message is what the transport says. On a stream it is a line; and because people write
//! clients that send `Hello` with no line end and wait, a line that is begun and then followed by silence is a message
//! too ([`Messages::pause`]). An answer ends as what it answers did, so such a client gets exactly the answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::conn::{Conn, Framing, Message};
use super::scratch;
use crate::error::{Error, Kind, Result, Side};
use crate::wire::line::{Ending, Lines, TooLong};

/// A connection as messages. Made by [`Conn::messages`].
#[derive(Debug)]
pub struct Messages {
    conn: Conn,
    lines: Lines,
    pause: Option<Duration>,
    /// Runs while a line is begun and not ended.
    silence: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    text: bool,
    ended: bool,
}

impl Messages {
    /// How long a silence makes a message of an unfinished line, unless told otherwise.
    pub const PAUSE: Duration = Duration::from_millis(200);

    pub(super) fn new(conn: Conn, message_bytes: usize) -> Messages {
        Messages {
            conn,
            lines: Lines::new(message_bytes),
            pause: Some(Messages::PAUSE),
            silence: None,
            ending: Ending::Lf,
            text: true,
            ended: false,
        }
    }

    /// How long a silence makes a message of an unfinished line; `None` waits for its end.
    pub fn pause(mut self, pause: Option<Duration>) -> Messages {
        self.pause = pause;
        self
    }

    /// The connection under it.
    pub fn conn(&self) -> &Conn {
        &self.conn
    }

    /// The connection under it, to write to. What is read from it is lost here.
    pub fn conn_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// The connection under it, once no message is wanted any more.
    pub fn into_conn(self) -> Conn {
        self.conn
    }

    /// The next message, without its line end; `None` when the peer will send no more.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// What the transport reports; a message that is longer than the limit.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Messages::next`], for futures written by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        match self.conn.framing() {
            Framing::Stream => self.poll_line(cx),
            Framing::Message => {
                let Some(Message { data, is_text }) = ready!(self.conn.poll_recv(cx))? else {
                    return Poll::Ready(Ok(None));
                };
                self.text = is_text;
                Poll::Ready(Ok(Some(data)))
            }
        }
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            if let Some(line) = self.lines.take().map_err(|e| self.too_long(e))? {
                return Poll::Ready(Ok(Some(self.message(line.text, line.ending))));
            }
            if self.ended {
                let line = self.lines.take_open();
                return Poll::Ready(Ok(line.map(|line| self.message(line.text, line.ending))));
            }
            match self.poll_fill(cx) {
                Poll::Ready(result) => {
                    result?;
                    self.silence = None;
                }
                Poll::Pending => {
                    ready!(self.poll_silence(cx));
                    self.silence = None;
                    let line = self.lines.take_open();
                    return Poll::Ready(Ok(line.map(|l| self.message(l.text, l.ending))));
                }
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (conn, lines) = (&mut self.conn, &mut self.lines);
        let read = ready!(scratch::with(|buffer| {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(conn).poll_read(cx, &mut read))?;
            lines.feed(read.filled());
            Poll::Ready(std::io::Result::Ok(read.filled().len()))
        }));
        Poll::Ready(match read {
            Ok(n) => {
                self.ended = n == 0;
                Ok(())
            }
            Err(e) => Err(self.conn.failed("reading from", e)),
        })
    }

    /// Ready once a line was begun and nothing followed for the pause.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(pause), true) = (self.pause, self.lines.is_open()) else {
            return Poll::Pending;
        };
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + pause)));
        silence.as_mut().poll(cx)
    }

    fn message(&mut self, text: Bytes, ending: Ending) -> Bytes {
        self.ending = ending;
        text
    }

    fn too_long(&self, cause: TooLong) -> Error {
        Error::new(
            Kind::Overload,
            Side::Downstream,
            format!("reading from {}", self.conn.peer()),
        )
        .because(cause)
        .hint("raise the server's `message` limit, or end lines with a line feed")
    }

    /// Sends a message, ended and marked as the last one that came.
    ///
    /// # Errors
    /// What the transport reports.
    pub async fn send(&mut self, message: impl AsRef<[u8]>) -> Result<()> {
        let message = message.as_ref();
        if self.conn.framing() == Framing::Message {
            // What is marked as text must be UTF-8 (RFC 6455, section 5.6).
            let is_text = self.text && std::str::from_utf8(message).is_ok();
            let data = Bytes::copy_from_slice(message);
            return self.conn.send(Message { data, is_text }).await;
        }
        let ending = self.ending.as_bytes();
        let written = if ending.is_empty() {
            self.conn.write_all(message).await
        } else {
            // One write, and so one segment, for the message and its end.
            self.conn.write_all(&[message, ending].concat()).await
        };
        match written {
            Ok(()) => self.conn.flush().await,
            Err(e) => Err(e),
        }
        .map_err(|e| self.conn.failed("writing to", e))
    }

    /// Says goodbye: see [`Conn::close`].
    pub async fn close(self) {
        self.conn.close().await;
    }
}

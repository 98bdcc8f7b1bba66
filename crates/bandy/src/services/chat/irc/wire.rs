//! Lines in and out of a connection, whatever its framing.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::error::{Error, Kind, Result, Side};
use crate::net::{Conn, Framing, Message};
use crate::wire::irc::{LINE_BYTES, Line, Lines, TAG_BYTES_CLIENT};

/// The longest line of a client, with its tags, line end not counted.
const LINE_MAX: usize = LINE_BYTES - 2 + TAG_BYTES_CLIENT;
/// Bytes that are read in one go.
const READ: usize = 4 << 10;
/// The longest that a client may leave what it is sent untaken.
const SEND: Duration = Duration::from_secs(60);

/// A connection as lines.
#[derive(Debug)]
pub(super) struct Wire {
    conn: Conn,
    lines: Lines,
}

impl Wire {
    pub fn new(conn: Conn) -> Wire {
        Wire {
            conn,
            // A stream says one too many, so that the parser tells whether tags or line are too long.
            lines: Lines::new(LINE_MAX + 1),
        }
    }

    /// The next line, or `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Line>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Line>>> {
        if self.conn.framing() == Framing::Message {
            let message = ready!(self.conn.poll_recv(cx))?;
            return Poll::Ready(Ok(message.map(|message| one_line(message.data))));
        }
        loop {
            if let Some(line) = self.lines.take() {
                return Poll::Ready(Ok(Some(line)));
            }
            // On the stack of a poll only: an idle client has no buffer.
            let mut space = [0; READ];
            let mut read = ReadBuf::new(&mut space);
            if let Err(e) = ready!(Pin::new(&mut self.conn).poll_read(cx, &mut read)) {
                return Poll::Ready(Err(self.conn.failed("reading from", e)));
            }
            if read.filled().is_empty() {
                return Poll::Ready(Ok(None));
            }
            self.lines.feed(read.filled());
        }
    }

    /// Sends lines, each with its CRLF.
    ///
    /// # Errors
    /// The transport's; that the client does not take what it is sent.
    pub async fn send(&mut self, lines: Vec<u8>) -> Result<()> {
        match tokio::time::timeout(SEND, self.write(lines)).await {
            Ok(sent) => sent,
            Err(_) => {
                let act = format!("writing to {}", self.conn.peer());
                let error = Error::new(Kind::TimedOut, Side::Downstream, act);
                Err(error.because(format!("nothing was taken for {SEND:?}")))
            }
        }
    }

    async fn write(&mut self, lines: Vec<u8>) -> Result<()> {
        if self.conn.framing() == Framing::Message {
            let lines = Bytes::from(lines);
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', &lines) {
                let line = lines.slice(start..end);
                start = end + 1;
                let data = line.slice(..line.strip_suffix(b"\r").map_or(line.len(), <[u8]>::len));
                self.conn
                    .send(Message {
                        data,
                        is_text: true,
                    })
                    .await?;
            }
            return Ok(());
        }
        let written = match self.conn.write_all(&lines).await {
            Ok(()) => self.conn.flush().await,
            Err(e) => Err(e),
        };
        written.map_err(|e| self.conn.failed("writing to", e))
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.conn.close().await;
    }
}

/// A message is one line, which some clients end as on a stream.
fn one_line(data: Bytes) -> Line {
    let text = data.strip_suffix(b"\n").unwrap_or(&data);
    let text = text.strip_suffix(b"\r").unwrap_or(text).len();
    match text > LINE_MAX + 1 {
        true => Line::TooLong,
        false => Line::Text(data.slice(..text)),
    }
}

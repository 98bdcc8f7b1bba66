//! Both directions of a connection in one poll, so that neither waits for the other.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::script::Room;
use crate::error::{Error, Kind, Result, is_closed};
use crate::net::{Conn, Framing, Message};

/// A connection, and what is on its way out.
#[derive(Debug)]
pub(super) struct Exchange {
    conn: Conn,
    out: Out,
    room: Room,
    /// The peer said its last.
    ended: bool,
    /// Who goes first: a direction that is always ready does not starve the other.
    read_first: bool,
}

/// Our direction.
#[derive(Debug)]
enum Out {
    /// Everything is on its way.
    Idle,
    /// Some of a stream.
    Bytes(Bytes),
    /// A message: the place that the transport takes it from, and what it says.
    Message(Option<Message>, Bytes),
    /// What the transport holds back.
    Flush,
    /// Our end.
    Finish,
    /// Ended, by us or by a peer that takes no more.
    Closed,
}

/// What one turn brought.
#[derive(Debug)]
pub(super) enum Turn {
    /// The transport took this.
    Wrote(Bytes),
    /// Everything said so far is on its way.
    Flushed,
    /// Our direction is ended.
    Finished,
    /// The peer takes no more: it reset the connection, or is gone. What it said before can still be read.
    Refused { is_reset: bool, cause: Error },
    /// This came.
    Read(Bytes),
    /// The peer will say no more.
    Ended,
}

impl Exchange {
    pub(super) fn new(conn: Conn) -> Exchange {
        Exchange {
            conn,
            out: Out::Idle,
            room: Room::default(),
            ended: false,
            read_first: true,
        }
    }

    pub(super) fn conn(&self) -> &Conn {
        &self.conn
    }

    pub(super) fn into_conn(self) -> Conn {
        self.conn
    }

    /// Whether there is nothing on its way out, and [`Exchange::say`] may be called.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.out, Out::Idle)
    }

    /// Whether nothing more goes out.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.out, Out::Closed)
    }

    /// Puts something on its way.
    pub(super) fn say(&mut self, bytes: Bytes) {
        self.out = match self.conn.framing() {
            Framing::Stream => Out::Bytes(bytes),
            Framing::Message => {
                let is_text = std::str::from_utf8(&bytes).is_ok();
                let data = bytes.clone();
                Out::Message(Some(Message { data, is_text }), bytes)
            }
        };
    }

    /// Puts the end of our direction on its way. Messages have none before the conversation's.
    pub(super) fn finish(&mut self) {
        self.out = match self.conn.framing() {
            Framing::Stream => Out::Finish,
            Framing::Message => Out::Closed,
        };
    }

    /// The next thing that happens. Cancel-safe.
    ///
    /// # Errors
    /// What the transport reports, in the reading direction even that the peer reset the connection.
    pub(super) async fn turn(&mut self, may_read: bool, may_write: bool) -> Result<Turn> {
        std::future::poll_fn(|cx| self.poll_turn(cx, may_read, may_write)).await
    }

    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        may_read: bool,
        may_write: bool,
    ) -> Poll<Result<Turn>> {
        for is_read in [self.read_first, !self.read_first] {
            let turn = match is_read {
                true if may_read && !self.ended => self.poll_read(cx),
                false if may_write => self.poll_write(cx),
                _ => Poll::Pending,
            };
            if turn.is_ready() {
                self.read_first = !is_read;
                return turn;
            }
        }
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn>> {
        if self.conn.framing() == Framing::Message {
            return Poll::Ready(Ok(match ready!(self.conn.poll_recv(cx))? {
                Some(message) => Turn::Read(message.data),
                None => self.end(),
            }));
        }
        let room = self.room.make();
        let read = ready!(pin!(self.conn.read_buf(room)).poll(cx));
        Poll::Ready(match read {
            Ok(0) => Ok(self.end()),
            Ok(_) => Ok(Turn::Read(self.room.0.split().freeze())),
            Err(e) => Err(self.conn.failed("reading from", e)),
        })
    }

    fn end(&mut self) -> Turn {
        self.ended = true;
        Turn::Ended
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn>> {
        let conn = Pin::new(&mut self.conn);
        let written = match &mut self.out {
            Out::Idle | Out::Closed => return Poll::Pending,
            Out::Message(place, said) => {
                let sent = ready!(self.conn.poll_send(cx, place));
                let said = std::mem::take(said);
                self.out = Out::Idle;
                return Poll::Ready(match sent {
                    Ok(()) => Ok(Turn::Wrote(said)),
                    Err(e) if e.kind() == Kind::Closed => Ok(self.refused(true, e)),
                    Err(e) => Err(e),
                });
            }
            Out::Bytes(bytes) if !bytes.is_empty() => match ready!(conn.poll_write(cx, bytes)) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    let wrote = bytes.split_to(n);
                    if bytes.is_empty() {
                        self.out = Out::Flush;
                    }
                    Ok(Turn::Wrote(wrote))
                }
                Err(e) => Err(e),
            },
            Out::Bytes(_) | Out::Flush => ready!(conn.poll_flush(cx)).map(|()| {
                self.out = Out::Idle;
                Turn::Flushed
            }),
            Out::Finish => ready!(conn.poll_shutdown(cx)).map(|()| {
                self.out = Out::Closed;
                Turn::Finished
            }),
        };
        Poll::Ready(match written {
            Ok(turn) => Ok(turn),
            Err(e) => {
                // A write after the peer's proper end is answered by EPIPE, one after a reset by ECONNRESET; and
                // whichever direction hears of the reset first, the other one sees an ordinary end.
                let is_reset = e.kind() == io::ErrorKind::ConnectionReset;
                let is_gone = is_closed(e.kind());
                let error = self.conn.failed("writing to", e);
                match is_gone && error.kind() == Kind::Closed {
                    true => Ok(self.refused(is_reset, error)),
                    false => Err(error),
                }
            }
        })
    }

    fn refused(&mut self, is_reset: bool, cause: Error) -> Turn {
        self.out = Out::Closed;
        Turn::Refused { is_reset, cause }
    }
}

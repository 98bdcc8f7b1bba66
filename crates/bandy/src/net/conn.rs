//! One end of one conversation, whatever it is spoken over.
//!
//! A [`Conn`] is what a service is called with and what a client connects to get. Its [`Framing`] says how to talk on
//! it: a stream is read and written ([`tokio::io::AsyncRead`], [`tokio::io::AsyncWrite`]), messages are received and
//! sent ([`Conn::recv`], [`Conn::send`]); [`Conn::messages`] makes messages of either. TLS and WebSocket are steps from
//! a `Conn` to a `Conn`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::io::Io;
use super::messages::Messages;
use super::meter::Meter;
use super::tick::Tick;
use super::{scratch, tls, ws};
use crate::endpoint::{Carries, Endpoint};
use crate::error::{Error, Result, Side};

/// How a connection carries what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A run of bytes in each direction, without marks.
    Stream,
    /// Whole messages.
    Message,
}

/// Who is at the other end, as the system tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A process on this machine that came over a Unix socket.
    Unix {
        /// The process, where the system says.
        pid: Option<i32>,
        /// The socket file it went to, on the asking end.
        path: Option<PathBuf>,
    },
    /// This process.
    Mem,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Ip(address) => write!(f, "{address}"),
            Peer::Unix {
                path: Some(path), ..
            } => write!(f, "{}", Endpoint::unix(path)),
            Peer::Unix { pid: Some(pid), .. } => write!(f, "pid {pid}"),
            Peer::Unix { .. } => f.write_str("unix"),
            Peer::Mem => f.write_str("mem"),
        }
    }
}

/// A message, and how it was marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it says.
    pub data: Bytes,
    /// Whether WebSocket marks it as text (then it is UTF-8). Elsewhere nothing is marked, and this is `false`.
    pub is_text: bool,
}

impl Message {
    /// A message of bytes.
    pub fn binary(data: impl Into<Bytes>) -> Message {
        Message {
            data: data.into(),
            is_text: false,
        }
    }

    /// A message of text.
    pub fn text(data: impl Into<String>) -> Message {
        Message {
            data: data.into().into(),
            is_text: true,
        }
    }
}

/// One end of one conversation.
///
/// Dropping it closes the transport at once; [`Conn::close`] says goodbye first.
pub struct Conn {
    io: Io,
    meter: Arc<Meter>,
    tls: Option<Box<tls::Info>>,
    message_bytes: usize,
}

impl Conn {
    pub(crate) fn new(io: Io, meter: Arc<Meter>, message_bytes: usize) -> Conn {
        Conn {
            io,
            meter,
            tls: None,
            message_bytes,
        }
    }

    /// Takes the transport out and puts what a step made of it back in: how TLS and WebSocket come about.
    pub(crate) async fn step<F>(self, step: impl FnOnce(Io, Arc<Meter>) -> F) -> Result<Conn>
    where
        F: Future<Output = Result<(Io, Option<tls::Info>)>>,
    {
        let (io, info) = step(self.io, self.meter.clone()).await?;
        let tls = info.map(Box::new).or(self.tls);
        Ok(Conn {
            io,
            meter: self.meter,
            tls,
            message_bytes: self.message_bytes,
        })
    }

    pub(crate) fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Whether to read and write, or to receive and send.
    pub fn framing(&self) -> Framing {
        match &self.io {
            Io::Ws(_) | Io::Udp(_) => Framing::Message,
            Io::Tcp(_) | Io::Unix(_) | Io::Mem(_) | Io::Tls(_) => Framing::Stream,
        }
    }

    /// What the scheme carries: like the framing, but tells datagrams, which may be lost, from messages.
    pub fn carries(&self) -> Carries {
        self.meter.endpoint.scheme().carries()
    }

    /// What was agreed on to be spoken over a WebSocket ([`ws::Subprotocols`]).
    pub fn subprotocol(&self) -> Option<&'static str> {
        match &self.io {
            Io::Ws(socket) => socket.subprotocol,
            _ => None,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        self.meter.peer()
    }

    /// Where the peer went to: our end's address. As the system tells it, or as was told by who passes the conversation on.
    pub fn local(&self) -> Option<SocketAddr> {
        self.meter.told_to().or_else(|| self.io.local())
    }

    /// Whether whoever is in between told who came, and where to.
    pub(crate) fn was_told_of(&self) -> bool {
        self.meter.told_to().is_some()
    }

    /// The socket, where nothing is between it and what is said.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.io {
            Io::Tcp(stream) => Some(stream),
            _ => None,
        }
    }

    /// Whether the peer came to us.
    pub(super) fn is_near(&self) -> bool {
        self.meter.side == Side::Downstream
    }

    pub(super) fn io(&self) -> &Io {
        &self.io
    }

    /// The endpoint that was asked: on the answering end the one listened on, on the asking end the one it went to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.meter.endpoint
    }

    /// What was agreed on in the TLS handshake, if there was one.
    pub fn tls(&self) -> Option<&tls::Info> {
        self.tls.as_deref()
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// When the connection was accepted or made.
    pub fn opened(&self) -> Instant {
        self.meter.opened
    }

    /// Whether the server that accepted it has begun to end: what is in hand may be finished, nothing new is begun. The
    /// conversation's future is polled when that happens, so a service written as a `poll` function hears of it there.
    pub fn is_ending(&self) -> bool {
        self.meter.ending().is_begun()
    }

    /// Asks the server to poll the conversation's future at that time; `None` takes it back. One such wish is kept,
    /// until it is granted. It costs next to nothing: one timer serves all of a connection's deadlines.
    pub fn wake_at(&self, when: Option<Tick>) {
        self.meter.wake_at(when);
    }

    /// The connection as messages, whatever its framing: on a stream a message is a line.
    pub fn messages(self) -> Messages {
        let max = self.message_bytes;
        Messages::new(self, max)
    }

    /// The next message, or `None` when the peer will send no more.
    ///
    /// Cancel-safe: a message is given out whole or stays.
    ///
    /// # Errors
    /// What the transport reports; on a stream, that it has no messages.
    pub async fn recv(&mut self) -> Result<Option<Message>> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Conn::recv`], for futures written by hand.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        let got = match &mut self.io {
            Io::Ws(socket) => ready!(socket.poll_recv(cx, &self.meter)),
            Io::Udp(ends) => ready!(ends.poll_recv(cx)),
            _ => return Poll::Ready(Err(wrong_framing("messages on a stream"))),
        };
        Poll::Ready(match got {
            Ok(Some(message)) => {
                // An empty datagram is a message, not the end.
                self.meter.count_read(message.data.len().max(1));
                Ok(Some(message))
            }
            Ok(None) => {
                self.meter.end_of_peer();
                Ok(None)
            }
            Err(e) => Err(self.failed("reading from", e)),
        })
    }

    /// The code with which the peer ended a WebSocket, once it has (RFC 6455, section 7.4).
    pub fn close_code(&self) -> Option<u16> {
        match &self.io {
            Io::Ws(socket) => socket.peer_close().and_then(|close| close.code),
            _ => None,
        }
    }

    /// Sends a message and waits until it is on its way.
    ///
    /// # Errors
    /// What the transport reports; on a stream, that it has no messages.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        let bytes = message.data.len();
        let sent = match &mut self.io {
            Io::Ws(socket) => socket.send(message).await,
            Io::Udp(ends) => ends.send(message.data).await,
            _ => return Err(wrong_framing("messages on a stream")),
        };
        match sent {
            Ok(()) => {
                self.meter.count_written(bytes);
                Ok(())
            }
            Err(e) => Err(self.failed("writing to", e)),
        }
    }

    /// As [`Conn::send`], for futures written by hand: those that receive while a message waits to be sent.
    ///
    /// Takes the message once the transport has it, and is ready once it is on its way. Until then it is called again
    /// with the same place, empty or not.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<()>> {
        let bytes = message.as_ref().map(|message| message.data.len());
        let sent = match &mut self.io {
            Io::Ws(socket) => socket.poll_send(cx, message),
            Io::Udp(ends) => ends.poll_send(cx, message),
            _ => return Poll::Ready(Err(wrong_framing("messages on a stream"))),
        };
        if let (Some(bytes), None) = (bytes, &message) {
            self.meter.count_written(bytes);
        }
        sent.map_err(|e| self.failed("writing to", e))
    }

    /// Writes whole pieces in as few writes as it takes, taking them out as they go; on a WebSocket each is a frame, made
    /// by [`ws::text_frame`]. Ready once all are on their way; until then it is called again, with more pieces or none.
    ///
    /// # Errors
    /// What the transport reports; on datagrams, that there are none.
    pub fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &mut VecDeque<Bytes>,
    ) -> Poll<Result<()>> {
        let mut written = 0;
        let done = match &mut self.io {
            Io::Ws(socket) => socket.poll_send_frames(cx, pieces, &mut written),
            Io::Udp(_) => {
                return Poll::Ready(Err(wrong_framing("pieces of a stream on datagrams")));
            }
            stream => poll_write_pieces(stream, cx, pieces, &mut written),
        };
        if written > 0 {
            self.meter.count_written(written);
        }
        done.map_err(|e| self.failed("writing to", e))
    }

    /// Ends the conversation with a code and a reason, where WebSocket is spoken, and waits as [`Conn::close`] does.
    pub async fn close_with(mut self, code: u16, reason: &str) {
        if self.framing() == Framing::Stream || self.meter.peer_closed() {
            return self.close().await;
        }
        self.meter.closed_first.store(true, Relaxed);
        let closing = async {
            let told = match &mut self.io {
                Io::Ws(socket) => socket.finish(ws::Close::new(code, reason)).await,
                _ => Ok(()),
            };
            if told.is_ok() {
                self.drain().await;
            }
        };
        // One that does not read is closed without it.
        drop(tokio::time::timeout(LINGER_CODE, closing).await);
    }

    /// Ends our direction of the conversation; the peer's goes on.
    ///
    /// A datagram flow has no direction to end: nothing happens there.
    ///
    /// # Errors
    /// What the transport reports.
    pub async fn finish(&mut self) -> Result<()> {
        if !self.meter.peer_closed() {
            self.meter.closed_first.store(true, Relaxed);
        }
        let done = match &mut self.io {
            Io::Ws(socket) => socket.finish(ws::Close::normal()).await,
            Io::Udp(_) => Ok(()),
            stream => stream.shutdown().await,
        };
        done.map_err(|e| self.failed("closing to", e))
    }

    /// As [`Conn::finish`]; on a WebSocket the close frame says this.
    ///
    /// # Errors
    /// What the transport reports.
    pub async fn finish_with(&mut self, close: ws::Close) -> Result<()> {
        let Io::Ws(socket) = &mut self.io else {
            return self.finish().await;
        };
        let done = socket.finish(close).await;
        done.map_err(|e| self.failed("closing to", e))
    }

    /// What the peer of a WebSocket said when it closed it, once [`Conn::recv`] gave `None`.
    pub fn peer_close(&self) -> Option<&ws::Close> {
        match &self.io {
            Io::Ws(socket) => socket.peer_close(),
            _ => None,
        }
    }

    /// Has the connection end with a reset where it is dropped: for a peer that would take any other end for all that
    /// there was to say.
    pub(crate) fn end_with_reset(&self) {
        self.io.end_with_reset();
    }

    /// Whether [`Conn::poll_send_file`] has the system send a file by itself.
    pub(crate) fn sends_files(&self) -> bool {
        matches!(self.io, Io::Tcp(_) | Io::Unix(_))
    }

    /// Sends some of a file: how much. 0 is its end.
    pub(crate) fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(self.io.poll_send_file(cx, file, offset, len))?;
        self.meter.count_written(sent);
        Poll::Ready(Ok(sent))
    }

    /// Says goodbye, and waits a bounded time for the peer to do so too.
    ///
    /// A TCP socket that is closed while it holds unread bytes is reset, and the reset can overtake the last answer:
    /// what the peer still sends is read and dropped until it closes, [`LINGER`] passes or [`LINGER_BYTES`] came.
    pub async fn close(mut self) {
        // A peer that is gone already cannot be said goodbye to: there is nobody to tell.
        if self.finish().await.is_err() || self.meter.peer_closed() {
            return;
        }
        // Nor is there anything to do about one that does not answer in time.
        drop(tokio::time::timeout(LINGER, self.drain()).await);
    }

    async fn drain(&mut self) {
        let mut left = LINGER_BYTES;
        while left > 0 {
            let read = match self.framing() {
                Framing::Stream => {
                    std::future::poll_fn(|cx| poll_read_scratch(Pin::new(&mut *self), cx))
                        .await
                        .ok()
                }
                Framing::Message if self.carries() == Carries::Datagram => return,
                Framing::Message => self
                    .recv()
                    .await
                    .ok()
                    .flatten()
                    .map(|message| message.data.len().max(1)),
            };
            match read {
                None | Some(0) => return,
                Some(n) => left = left.saturating_sub(n),
            }
        }
    }

    pub(crate) fn failed(&self, doing: &str, cause: io::Error) -> Error {
        let act = format!("{doing} {}", self.peer());
        match self.tls {
            Some(_) => tls::explain(self.meter.side, act, cause),
            None => Error::talking(self.meter.side, act, cause),
        }
    }
}

/// How long [`Conn::close`] waits for the peer to close too.
pub const LINGER: Duration = Duration::from_secs(2);
/// How many bytes [`Conn::close`] reads and drops: enough for a client that sends all of a request before it reads why
/// that was refused, as Python's does over TLS.
pub const LINGER_BYTES: usize = 32 << 20;

/// Reads into the scratch buffer and forgets what came: how many bytes, 0 at the end.
pub(crate) fn poll_read_scratch(
    conn: Pin<&mut Conn>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    scratch::with(|buffer| {
        let mut read = ReadBuf::new(buffer);
        ready!(conn.poll_read(cx, &mut read))?;
        Poll::Ready(Ok(read.filled().len()))
    })
}

fn poll_write_pieces(
    io: &mut Io,
    cx: &mut Context<'_>,
    pieces: &mut VecDeque<Bytes>,
    written: &mut usize,
) -> Poll<io::Result<()>> {
    while !pieces.is_empty() {
        let n = ready!(ws::poll_write_some(Pin::new(&mut *io), cx, pieces))?;
        *written = written.saturating_add(n);
        let rest = ws::take_written(pieces, n);
        if !rest.is_empty() {
            pieces.push_front(rest);
        }
    }
    Pin::new(io).poll_flush(cx)
}

/// How long [`Conn::close_with`] waits for a peer that is slow to take the code, and all that was sent before it.
pub const LINGER_CODE: Duration = Duration::from_secs(10);

fn wrong_framing(what: &str) -> Error {
    Error::new(crate::error::Kind::Usage, Side::Local, what)
        .hint("ask Conn::framing() first, or use Conn::messages(), which takes both")
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("endpoint", &format_args!("{}", self.endpoint()))
            .field("peer", &format_args!("{}", self.peer()))
            .finish_non_exhaustive()
    }
}

/// Reads of a message-framed connection fail: see [`Conn::recv`].
impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.meter.count_read(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

/// Writes to a message-framed connection fail: see [`Conn::send`].
impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.meter.count_written(n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        self.meter.count_written(n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

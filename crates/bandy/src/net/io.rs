//! The transports under a connection, as one type.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::{tls, udp, ws};

/// The transports under a connection. What is rare or large is boxed, so that a plain TCP connection stays small.
pub(crate) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Mem(DuplexStream),
    Tls(Box<tls::Stream<Io>>),
    Ws(Box<ws::Socket<Io>>),
    Udp(Box<udp::Talk>),
}

/// Calls one of `AsyncRead`'s and `AsyncWrite`'s methods on the transport that is there. Messages have none of them.
macro_rules! on_stream {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io {
            Io::Tcp($stream) => $call,
            Io::Unix($stream) => $call,
            Io::Mem($stream) => $call,
            Io::Tls($stream) => $call,
            Io::Ws(_) | Io::Udp(_) => Poll::Ready(Err(no_stream())),
        }
    };
}

fn no_stream() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "it carries messages, which are received and sent, not read and written",
    )
}

/// The most that is asked of one `sendfile`: other connections have their turn in between.
const SEND_FILE: usize = 1 << 20;

impl Io {
    /// Our end's address, where there is a socket of IP under it.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        match self {
            Io::Tcp(stream) => stream.local_addr().ok(),
            Io::Tls(stream) => stream.get_ref().0.local(),
            Io::Ws(socket) => socket.transport().local(),
            Io::Unix(_) | Io::Mem(_) | Io::Udp(_) => None,
        }
    }

    /// See [`Conn::end_with_reset`](super::conn::Conn::end_with_reset). Without its goodbye a TLS stream that is dropped
    /// has no proper end anyway; the others have no resets.
    pub(super) fn end_with_reset(&self) {
        if let Io::Tcp(stream) = self {
            // Where the system does not take it, the peer is told less.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Has the system send some of a file from its own memory (sendfile(2)).
    pub(super) fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        len: u64,
    ) -> Poll<io::Result<usize>> {
        let len = usize::try_from(len).map_or(SEND_FILE, |len| len.min(SEND_FILE));
        let send = |socket: BorrowedFd<'_>| {
            let mut offset = offset;
            Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), len)?)
        };
        loop {
            let sent = match self {
                Io::Tcp(s) => {
                    ready!(s.poll_write_ready(cx))?;
                    s.try_io(Interest::WRITABLE, || send(s.as_fd()))
                }
                Io::Unix(s) => {
                    ready!(s.poll_write_ready(cx))?;
                    s.try_io(Interest::WRITABLE, || send(s.as_fd()))
                }
                _ => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            };
            match sent {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut *self, s => Pin::new(s).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut *self, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Io::Tcp(s) => s.is_write_vectored(),
            Io::Unix(s) => s.is_write_vectored(),
            Io::Mem(s) => s.is_write_vectored(),
            Io::Tls(s) => s.is_write_vectored(),
            Io::Ws(_) | Io::Udp(_) => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, s => Pin::new(s).poll_shutdown(cx))
    }
}

//! A client's socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;

use super::super::conn::Message;
use super::super::scratch;

type Trouble = Pin<Box<dyn Future<Output = io::Error> + Send + Sync>>;

/// A socket of its own for a conversation with one address.
pub(crate) struct Asker {
    socket: Arc<UdpSocket>,
    /// What ICMP says of a datagram that was sent: above all that nobody has the port. Such news makes a socket neither
    /// readable nor writable, so it is waited for by itself.
    trouble: Trouble,
}

impl Asker {
    /// Any answer but this address's is dropped by the system.
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Asker> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let socket = Arc::new(UdpSocket::bind(any).await?);
        socket.connect(address).await?;
        let trouble = trouble(socket.clone());
        Ok(Asker { socket, trouble })
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Message>> {
        let received = scratch::with(|buffer| {
            let mut read = ReadBuf::new(buffer);
            let received = self.socket.poll_recv(cx, &mut read);
            received.map_ok(|()| Message::binary(Bytes::copy_from_slice(read.filled())))
        });
        if received.is_pending()
            && let Poll::Ready(e) = self.trouble.as_mut().poll(cx)
        {
            self.trouble = trouble(self.socket.clone());
            return Poll::Ready(Err(e));
        }
        received
    }

    pub(super) fn poll_send(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<()>> {
        self.socket.poll_send(cx, data).map_ok(drop)
    }

    pub(super) async fn send(&self, data: &[u8]) -> io::Result<()> {
        self.socket.send(data).await.map(drop)
    }
}

fn trouble(socket: Arc<UdpSocket>) -> Trouble {
    Box::pin(async move {
        loop {
            if let Err(e) = socket.ready(Interest::ERROR).await {
                return e;
            }
            let mut found = None;
            // `WouldBlock`, so that the next turn waits for the next trouble.
            let _ = socket.try_io(Interest::ERROR, || -> io::Result<()> {
                found = socket.take_error()?;
                Err(io::ErrorKind::WouldBlock.into())
            });
            if let Some(e) = found {
                return e;
            }
        }
    })
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asker").field(&self.socket).finish()
    }
}

//! TCP: both ends.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// Connections that the system holds for us until we accept them.
pub(super) const BACKLOG: i32 = 4096;

/// A listening socket at `address`.
///
/// The first one is bound alone, so that an address that another program listens on is an error. Then it allows others
/// beside it: `beside` binds those, one for each event loop.
pub(super) fn listen(address: SocketAddr, beside: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` is IPv6 and nothing else, on every machine: IPv4 is listened on by saying so.
        socket.set_only_v6(true)?;
    }
    if beside {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit this: one system call here saves one for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Connects to one address.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

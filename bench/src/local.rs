//! Connections from several of this machine's addresses, for one has some 28,000 ports to lend.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// The next address is used after so many. Far fewer than there are ports: those of closed connections rest for a minute.
const PER_SOURCE: usize = 500;
/// How long one may take to be made, and an answer to come.
pub const WAIT: Duration = Duration::from_secs(10);

/// The `id`th connection, with a bound on what it waits for.
pub fn open(address: SocketAddr, id: usize) -> Result<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 0, 1 + (id / PER_SOURCE) as u8);
    let socket =
        Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).context("making a socket")?;
    socket
        .bind(&SocketAddr::from((source, 0)).into())
        .with_context(|| format!("binding to {source}"))?;
    socket
        .connect_timeout(&address.into(), WAIT)
        .with_context(|| format!("connecting from {source} to {address}"))?;
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(WAIT))
        .and_then(|()| stream.set_nodelay(true))
        .context("setting up a connection")?;
    Ok(stream)
}

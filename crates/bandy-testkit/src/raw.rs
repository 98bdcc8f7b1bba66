//! Plain blocking sockets, for peers that do not behave. Each read and write waits at most [`PATIENCE`].

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bandy::Endpoint;

use crate::PATIENCE;

/// The socket address of an endpoint that has one.
pub fn address(endpoint: &Endpoint) -> SocketAddr {
    endpoint
        .socket_addr()
        .unwrap_or_else(|| panic!("{endpoint} has no socket address"))
}

/// A TCP connection to an endpoint, whatever is spoken there.
pub fn tcp(endpoint: &Endpoint) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address(endpoint), PATIENCE)
        .unwrap_or_else(|e| panic!("connecting to {endpoint}: {e}"));
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_nodelay(true))
        .expect("a socket takes options");
    stream
}

/// A connection to a Unix endpoint.
pub fn unix(endpoint: &Endpoint) -> UnixStream {
    let path = endpoint.path().expect("a Unix endpoint");
    let stream =
        UnixStream::connect(path).unwrap_or_else(|e| panic!("connecting to {endpoint}: {e}"));
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .expect("a socket takes options");
    stream
}

/// A UDP socket of this machine's, on a free port, connected to an endpoint.
pub fn udp(endpoint: &Endpoint) -> UdpSocket {
    let socket = udp_from((Ipv4Addr::LOCALHOST, 0).into());
    socket
        .connect(address(endpoint))
        .unwrap_or_else(|e| panic!("connecting to {endpoint}: {e}"));
    socket
}

/// A UDP socket at `local`.
pub fn udp_from(local: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(local).unwrap_or_else(|e| panic!("binding {local}: {e}"));
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes options");
    socket
}

/// Sends one datagram and gives the next that comes.
pub fn ask_udp(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    socket.send(question).expect("sent");
    hear_udp(socket)
}

/// The next datagram.
pub fn hear_udp(socket: &UdpSocket) -> Vec<u8> {
    let mut answer = vec![0; 1 << 16];
    let n = socket.recv(&mut answer).expect("an answer in time");
    answer.truncate(n);
    answer
}

/// Writes a question and reads an answer of its length: one turn of a conversation with an echo.
pub fn echo(mut stream: impl Read + Write, question: &[u8]) -> Vec<u8> {
    stream.write_all(question).expect("the question is taken");
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).expect("an answer in time");
    answer
}

/// Everything up to the end, which must be a proper one.
pub fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end in time");
    rest
}

/// Waits until the peer has closed, properly or by a reset, and nothing more came.
pub fn closed(mut stream: impl Read) {
    use std::io::ErrorKind as K;
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(e) if matches!(e.kind(), K::ConnectionReset | K::BrokenPipe) => {}
        Err(e) => panic!("waiting for the peer to close: {e}"),
    }
    assert!(rest.is_empty(), "said {:?}", String::from_utf8_lossy(&rest));
}

/// Closes with a reset instead of a goodbye.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket takes options");
}

//! Unix stream sockets: both ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;

use super::conn::Peer;
use super::tcp::BACKLOG;

/// Removes the socket file when the listener is gone.
///
/// The inode is compared first: a file that somebody else put there since stays.
#[derive(Debug)]
pub(super) struct Unlink {
    path: PathBuf,
    id: Option<(u64, u64)>,
}

impl Unlink {
    fn new(path: &Path) -> Option<Unlink> {
        if is_abstract(path) {
            return None;
        }
        Some(Unlink {
            path: path.to_owned(),
            id: inode(path),
        })
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if self.id.is_some() && inode(&self.path) == self.id {
            // The process is leaving the address: there is nobody left to tell if the file cannot be removed.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path)
        .ok()
        .map(|m| (m.dev(), m.ino()))
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(b"@")
}

/// A listening socket at `path`. A socket file that nobody listens on any more (a killed process leaves its own) is
/// replaced; anything else there is an error.
pub(super) fn listen(path: &Path) -> io::Result<(Socket, Option<Unlink>)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = address(path)?;
    match socket.bind(&address) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_stale(path, &address)? => {
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)?;
    Ok((socket, Unlink::new(path)))
}

fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if is_abstract(path) || !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A live listener with a full backlog must not hold us up: it answers EAGAIN, and is alive.
    probe.set_nonblocking(true)?;
    Ok(matches!(probe.connect(address), Err(e) if e.kind() == io::ErrorKind::ConnectionRefused))
}

fn address(path: &Path) -> io::Result<SockAddr> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        // socket2 takes an abstract name as a path that begins with NUL.
        Some(name) => {
            SocketAddr::from_abstract_name(name)?;
            SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(
                &[b"\0", name].concat(),
            )))
        }
        None => SockAddr::unix(path),
    }
}

/// Which process is at the other end.
pub(super) fn peer(stream: &UnixStream) -> Peer {
    Peer::Unix {
        pid: stream
            .peer_cred()
            .ok()
            .and_then(|credentials| credentials.pid()),
        path: None,
    }
}

/// Connects to a socket file or an abstract name.
pub(super) async fn connect(path: &Path) -> io::Result<UnixStream> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => {
            let stream = std::os::unix::net::UnixStream::connect_addr(
                &SocketAddr::from_abstract_name(name)?,
            )?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        }
        None => UnixStream::connect(path).await,
    }
}

//! Unix stream sockets: both ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
    /// Somebody else listens on it from now on.
    is_handed_on: Arc<AtomicBool>,
}

impl Unlink {
    pub(super) fn new(path: &Path, is_handed_on: &Arc<AtomicBool>) -> Option<Unlink> {
        if abstract_name(path).is_some() {
            return None;
        }
        Some(Unlink {
            path: path.to_owned(),
            id: inode(path),
            is_handed_on: is_handed_on.clone(),
        })
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        let is_ours = !self.is_handed_on.load(Relaxed);
        if is_ours && self.id.is_some() && inode(&self.path) == self.id {
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

/// The name in the abstract namespace, where it is one.
pub(super) fn abstract_name(path: &Path) -> Option<&[u8]> {
    path.as_os_str().as_bytes().strip_prefix(b"@")
}

/// A listening socket at `path`. A socket file that nobody listens on any more (a killed process leaves its own) is
/// replaced; anything else there is an error.
pub(super) fn listen(path: &Path) -> io::Result<Socket> {
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
    Ok(socket)
}

fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if abstract_name(path).is_some() || !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A live listener with a full backlog must not hold us up: it answers EAGAIN, and is alive.
    probe.set_nonblocking(true)?;
    Ok(matches!(probe.connect(address), Err(e) if e.kind() == io::ErrorKind::ConnectionRefused))
}

fn address(path: &Path) -> io::Result<SockAddr> {
    match abstract_name(path) {
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
    match abstract_name(path) {
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

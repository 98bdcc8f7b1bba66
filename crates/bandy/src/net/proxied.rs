//! Connections that somebody passes on, and who came to whom in truth: the PROXY protocol on the connections that are
//! accepted, before anything else is said on them, and on those that are made.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::address::Range;
use super::conn::{Conn, Peer};
use super::io::Io;
use super::meter::Told as ToldPeer;
use crate::error::{Error, Kind, Result, Side};
use crate::wire::proxy::{self, Told, Version};

/// Whose word is taken for whom they bring. Their connections must begin with a PROXY header; those of everybody else are
/// what they are, and a header is no more than something they say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxied {
    /// The addresses of those who are believed.
    pub from: Vec<Range>,
}

impl Proxied {
    pub(super) fn believes(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Ip(address) => self.from.iter().any(|range| range.contains(address.ip())),
            // Neither has an address to be trusted for.
            Peer::Unix { .. } | Peer::Mem => false,
        }
    }

    /// Reads the header, and not one byte more. The deadline is the caller's.
    pub(super) async fn receive(&self, conn: &Conn) -> Result<()> {
        let act = || format!("reading the PROXY header of {}", conn.meter().next_peer());
        let failed = |e| Error::talking(Side::Downstream, act(), e);
        let mut header = Vec::new();
        loop {
            let before = header.len();
            let mut ahead = [0; AHEAD];
            let seen = peek(conn.io(), &mut ahead).await.map_err(failed)?;
            header.extend_from_slice(ahead.get(..seen).unwrap_or_default());
            let parsed = proxy::parse(&header).map_err(|e| {
                let error = Error::new(Kind::Protocol, Side::Downstream, act()).because(e);
                error.hint("whom `proxy_protocol` names must send one on every connection")
            })?;
            // Without an end to be seen, all of it is the header's.
            let own = parsed.as_ref().map_or(header.len(), |(_, length)| *length);
            take(conn.io(), own.saturating_sub(before)).map_err(failed)?;
            match parsed {
                Some((told, _)) => {
                    tell(conn, told);
                    return Ok(());
                }
                None if seen == 0 => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                None => {}
            }
        }
    }
}

/// What is looked at at once: more than any header without TLVs. Bytes.
const AHEAD: usize = 256;

fn tell(conn: &Conn, told: Told) {
    let told = match told {
        // They speak for themselves, or do not say.
        Told::Local | Told::Unknown => return,
        Told::Ip { from, to } => ToldPeer {
            from: Peer::Ip(from),
            to: Some(to),
        },
        Told::Unix { from, .. } => {
            let path = String::from_utf8(from).ok().filter(|path| !path.is_empty());
            ToldPeer {
                from: Peer::Unix {
                    pid: None,
                    path: path.map(PathBuf::from),
                },
                to: None,
            }
        }
    };
    conn.meter().tell(told);
}

/// Waits for bytes and looks at them without taking them; none at the end.
async fn peek(io: &Io, buffer: &mut [u8]) -> io::Result<usize> {
    let Io::Tcp(stream) = io else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    stream.peek(buffer).await
}

/// Takes bytes that were seen.
fn take(io: &Io, mut left: usize) -> io::Result<()> {
    let Io::Tcp(stream) = io else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    while left > 0 {
        let mut seen = [0; AHEAD];
        let Some(place) = seen.get_mut(..left.min(AHEAD)) else {
            return Ok(());
        };
        match stream.try_read(place) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => left = left.saturating_sub(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The header that tells a backend of this connection.
pub(crate) fn header(version: Version, of: &Conn) -> Vec<u8> {
    naming(version, of.peer(), of.local())
}

/// The same, of a connection between these two.
pub(crate) fn naming(version: Version, from: &Peer, to: Option<SocketAddr>) -> Vec<u8> {
    written(
        version,
        &match (from, to) {
            (Peer::Ip(from), Some(to)) => Told::Ip { from: *from, to },
            _ => Told::Unknown,
        },
    )
}

/// The header of who speaks for himself: a probe.
pub(crate) fn own(version: Version) -> Vec<u8> {
    written(version, &Told::Local)
}

fn written(version: Version, told: &Told) -> Vec<u8> {
    let mut bytes = Vec::new();
    proxy::write(version, told, &mut bytes);
    bytes
}

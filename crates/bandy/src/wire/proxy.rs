//! The PROXY protocol, both versions and both directions: what a balancer says first on a connection, so that the
//! server behind it knows who came.
//!
//! Source: HAProxy's `doc/proxy-protocol.txt`, revision of 2020/03/05. The parser is strict: whatever is not a header to
//! the letter is [`Wrong`], for what follows a header is believed. Bytes behind the header are not looked at. What a
//! version 2 header says beyond the addresses (its TLVs) must be well-formed and is passed over.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cursor::Cursor;

#[cfg(test)]
mod tests;

/// The longest line of version 1, its end included (section 2.1).
const V1_MAX: usize = 107;
/// The fixed part of version 2 (section 2.2).
const V2_FIXED: usize = 16;
/// The most that may follow it: addresses and TLVs. Bytes. The protocol allows 64 KiB; nobody sends more than this.
const V2_REST_MAX: usize = 4096;
/// The longest header that is read. Bytes.
pub const LENGTH_MAX: usize = V2_FIXED + V2_REST_MAX;

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What a Unix address takes in version 2.
const UNIX_BYTES: usize = 108;

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Version {
    /// Both.
    pub const ALL: [Version; 2] = [Version::V1, Version::V2];

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        }
    }
}

/// What a header tells of the connection that it stands before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The sender speaks for itself, as in a health check (`LOCAL`). Version 1 has no word for it and says `Unknown`.
    Local,
    /// Somebody came, and nothing is said about whom (`UNKNOWN`).
    Unknown,
    /// Over IP.
    Ip {
        /// Who came.
        from: SocketAddr,
        /// Where they went to.
        to: SocketAddr,
    },
    /// Over a Unix socket. Version 1 has no word for it and says `Unknown`.
    Unix {
        /// The path of who came; mostly empty. At most 108 bytes.
        from: Vec<u8>,
        /// The path where they went to. At most 108 bytes.
        to: Vec<u8>,
    },
}

/// Bytes that begin no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong(&'static str);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a PROXY protocol header: {}", self.0)
    }
}

impl std::error::Error for Wrong {}

/// Reads the header that a connection begins with: what it tells, and its length in bytes. `None` where more bytes are
/// needed; all that were given belong to the header then.
///
/// # Errors
/// That it is none, as soon as that is sure.
pub fn parse(bytes: &[u8]) -> Result<Option<(Told, usize)>, Wrong> {
    if begins(bytes, V1_START) {
        return v1(bytes);
    }
    if begins(bytes, V2_START) {
        return v2(bytes);
    }
    Err(Wrong("it begins with other bytes"))
}

/// Whether the bytes begin with `start`, as far as they go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    let both = bytes.len().min(start.len());
    bytes.get(..both) == start.get(..both)
}

fn v1(bytes: &[u8]) -> Result<Option<(Told, usize)>, Wrong> {
    const NO_END: Wrong = Wrong("its line does not end with CRLF");
    let line = bytes.get(..bytes.len().min(V1_MAX)).unwrap_or(bytes);
    let Some(lf) = memchr::memchr(b'\n', line) else {
        // The bytes are more than any line, or there is text behind a carriage return.
        let inner = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() == V1_MAX || inner.contains(&b'\r') {
            return Err(NO_END);
        }
        return Ok(None);
    };
    let ended = line.get(..lf).and_then(|line| line.strip_suffix(b"\r"));
    let text = ended
        .filter(|line| !line.contains(&b'\r'))
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(NO_END)?;
    let rest = text.strip_prefix("PROXY ").unwrap_or_default();
    Ok(Some((v1_told(rest)?, lf + 1)))
}

fn v1_told(rest: &str) -> Result<Told, Wrong> {
    // Whatever an unknown protocol's line says behind the word is to be ignored.
    if rest == "UNKNOWN" || rest.starts_with("UNKNOWN ") {
        return Ok(Told::Unknown);
    }
    let mut words = rest.split(' ');
    let mut word = || words.next().ok_or(Wrong("an address or a port is missing"));
    let family = word()?;
    let (from, to) = (word()?, word()?);
    let (from, to) = match family {
        "TCP4" => (v1_address::<Ipv4Addr>(from)?, v1_address::<Ipv4Addr>(to)?),
        "TCP6" => (v1_address::<Ipv6Addr>(from)?, v1_address::<Ipv6Addr>(to)?),
        _ => return Err(Wrong("it names no protocol that there is")),
    };
    let (from_port, to_port) = (v1_port(word()?)?, v1_port(word()?)?);
    if words.next().is_some() {
        return Err(Wrong("there is more than two addresses and two ports"));
    }
    Ok(Told::Ip {
        from: SocketAddr::new(from, from_port),
        to: SocketAddr::new(to, to_port),
    })
}

fn v1_address<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, Wrong> {
    let address = text.parse::<A>();
    address.map_or(Err(Wrong("an address is malformed")), |a| Ok(a.into()))
}

/// Digits without a leading zero.
fn v1_port(text: &str) -> Result<u16, Wrong> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    let port = text.parse().ok().filter(|_| is_plain && is_short);
    port.ok_or(Wrong("a port is malformed"))
}

fn v2(bytes: &[u8]) -> Result<Option<(Told, usize)>, Wrong> {
    let mut rest = Cursor(bytes.get(V2_START.len()..).unwrap_or_default());
    let Some(command) = rest.byte() else {
        return Ok(None);
    };
    if command >> 4 != 2 {
        return Err(Wrong("its version is neither 1 nor 2"));
    }
    let is_local = match command & 15 {
        0 => true,
        1 => false,
        _ => return Err(Wrong("it has an unknown command")),
    };
    let Some(family) = rest.byte() else {
        return Ok(None);
    };
    let Some(length) = rest.u16() else {
        return Ok(None);
    };
    let length = usize::from(length);
    if length > V2_REST_MAX {
        return Err(Wrong("it is longer than is taken"));
    }
    let Some(body) = rest.take(length) else {
        return Ok(None);
    };
    let told = match is_local {
        // Whatever is said with it is to be ignored.
        true => Told::Local,
        false => v2_told(family, Cursor(body))?,
    };
    Ok(Some((told, V2_FIXED + length)))
}

fn v2_told(family: u8, mut body: Cursor<'_>) -> Result<Told, Wrong> {
    const SHORT: Wrong = Wrong("it is too short for its addresses");
    let told = match family {
        // Nothing is said of what follows it either.
        0x00 => return Ok(Told::Unknown),
        0x11 | 0x12 => {
            let from: [u8; 4] = body.array().ok_or(SHORT)?;
            let to: [u8; 4] = body.array().ok_or(SHORT)?;
            v2_ip(from.into(), to.into(), &mut body).ok_or(SHORT)?
        }
        0x21 | 0x22 => {
            let from: [u8; 16] = body.array().ok_or(SHORT)?;
            let to: [u8; 16] = body.array().ok_or(SHORT)?;
            v2_ip(from.into(), to.into(), &mut body).ok_or(SHORT)?
        }
        0x31 | 0x32 => Told::Unix {
            from: path(body.take(UNIX_BYTES).ok_or(SHORT)?),
            to: path(body.take(UNIX_BYTES).ok_or(SHORT)?),
        },
        _ => return Err(Wrong("it names no protocol that there is")),
    };
    while !body.0.is_empty() {
        const CUT: Wrong = Wrong("what follows its addresses is malformed");
        body.byte().ok_or(CUT)?;
        let length = body.u16().ok_or(CUT)?;
        body.take(length.into()).ok_or(CUT)?;
    }
    Ok(told)
}

fn v2_ip(from: IpAddr, to: IpAddr, body: &mut Cursor<'_>) -> Option<Told> {
    Some(Told::Ip {
        from: SocketAddr::new(from, body.u16()?),
        to: SocketAddr::new(to, body.u16()?),
    })
}

/// Without the NULs that fill it up. An abstract name begins with one, which stays.
fn path(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default().to_vec()
}

/// Appends the header that tells this.
pub fn write(version: Version, told: &Told, out: &mut Vec<u8>) {
    match version {
        Version::V1 => write_v1(told, out),
        Version::V2 => write_v2(told, out),
    }
}

fn write_v1(told: &Told, out: &mut Vec<u8>) {
    let line = match told {
        Told::Ip { from, to } => {
            let (from_ip, to_ip) = of_one_family(from.ip(), to.ip());
            let family = if from_ip.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from, to) = (from.port(), to.port());
            format!("PROXY {family} {from_ip} {to_ip} {from} {to}\r\n")
        }
        Told::Local | Told::Unknown | Told::Unix { .. } => "PROXY UNKNOWN\r\n".to_owned(),
    };
    out.extend_from_slice(line.as_bytes());
}

fn write_v2(told: &Told, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    let (command, family) = match told {
        Told::Local => (0x20, 0x00),
        Told::Unknown => (0x21, 0x00),
        Told::Ip { from, to } => {
            let family = match of_one_family(from.ip(), to.ip()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    body.extend([from.octets(), to.octets()].concat());
                    0x11
                }
                (from, to) => {
                    body.extend([v6(from).octets(), v6(to).octets()].concat());
                    0x21
                }
            };
            body.extend(from.port().to_be_bytes());
            body.extend(to.port().to_be_bytes());
            (0x21, family)
        }
        Told::Unix { from, to } => {
            for path in [from, to] {
                let padded = path.iter().copied().chain(std::iter::repeat(0));
                body.extend(padded.take(UNIX_BYTES));
            }
            (0x21, 0x31)
        }
    };
    out.extend_from_slice(V2_START);
    out.extend([command, family]);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(body);
}

/// A header has one family for both: IPv4 beside IPv6 is written as IPv6 writes it.
fn of_one_family(from: IpAddr, to: IpAddr) -> (IpAddr, IpAddr) {
    match from.is_ipv4() == to.is_ipv4() {
        true => (from, to),
        false => (v6(from).into(), v6(to).into()),
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

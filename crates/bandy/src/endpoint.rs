//! Where one end of a conversation is: a URL, and the value it stands for.
//!
//! [`Endpoint`] parses from and prints to one spelling, `scheme://address`, and printing then parsing gives the same
//! value back. Nothing here resolves, binds or connects: `net` does that with what this file understood.
//!
//! | written | means |
//! |---|---|
//! | `tcp://127.0.0.1:7000` | a TCP port; `udp`, `tls` likewise |
//! | `tcp://:7000` | `tcp://127.0.0.1:7000`: no host is this machine only |
//! | `tcp://[::1]:7000` | IPv6 stands in brackets (RFC 3986, section 3.2.2) |
//! | `unix:///run/app.sock`, `unix://app.sock` | a socket file, absolute or relative |
//! | `unix://@name` | a name in Linux's abstract namespace |
//! | `ws://127.0.0.1:7001/path?query`, `wss://…` | a WebSocket; without a port 80 and 443 |
//! | `http://127.0.0.1:8000/path?query`, `https://…` | HTTP/1.1 and HTTP/2; without a port 80 and 443 |
//! | `irc://127.0.0.1:6667`, `ircs://…` | IRC over TCP, over TLS; without a port 6667 and 6697 |
//! | `mem://name` | inside one process |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

mod wrong;

pub use wrong::EndpointError;
use wrong::Why;

/// What is spoken at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// Bytes over TCP.
    Tcp,
    /// Datagrams over UDP.
    Udp,
    /// Bytes over TLS over TCP.
    Tls,
    /// Bytes over a Unix stream socket.
    Unix,
    /// Messages over WebSocket over TCP (RFC 6455).
    Ws,
    /// Messages over WebSocket over TLS.
    Wss,
    /// Requests and responses over TCP: HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113).
    Http,
    /// Requests and responses over TLS.
    Https,
    /// Lines of IRC over TCP (RFC 1459).
    Irc,
    /// Lines of IRC over TLS (RFC 7194).
    Ircs,
    /// Bytes between two ends in one process.
    Mem,
}

/// What a scheme carries, and so which services can stand on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carries {
    /// An ordered run of bytes, each direction ended on its own.
    Stream,
    /// Messages that may be lost, from peers that never say goodbye.
    Datagram,
    /// Messages, ordered and whole.
    Message,
    /// Requests, each with its response.
    Request,
}

impl fmt::Display for Carries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Carries::Stream => "stream",
            Carries::Datagram => "datagram",
            Carries::Message => "message",
            Carries::Request => "request",
        })
    }
}

impl Scheme {
    /// Every scheme, in the order that help texts list them.
    pub const ALL: [Scheme; 11] = [
        Scheme::Tcp,
        Scheme::Udp,
        Scheme::Tls,
        Scheme::Unix,
        Scheme::Ws,
        Scheme::Wss,
        Scheme::Http,
        Scheme::Https,
        Scheme::Irc,
        Scheme::Ircs,
        Scheme::Mem,
    ];

    /// As written before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Tcp => "tcp",
            Scheme::Udp => "udp",
            Scheme::Tls => "tls",
            Scheme::Unix => "unix",
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Irc => "irc",
            Scheme::Ircs => "ircs",
            Scheme::Mem => "mem",
        }
    }

    /// What the scheme carries.
    pub fn carries(self) -> Carries {
        match self {
            Scheme::Tcp | Scheme::Tls | Scheme::Unix | Scheme::Irc | Scheme::Ircs | Scheme::Mem => {
                Carries::Stream
            }
            Scheme::Udp => Carries::Datagram,
            Scheme::Ws | Scheme::Wss => Carries::Message,
            Scheme::Http | Scheme::Https => Carries::Request,
        }
    }

    /// Whether TLS is spoken under it.
    pub fn is_secure(self) -> bool {
        matches!(
            self,
            Scheme::Tls | Scheme::Wss | Scheme::Https | Scheme::Ircs
        )
    }

    /// Whether a request target (`/path?query`) may follow the address.
    fn has_target(self) -> bool {
        matches!(self.carries(), Carries::Message | Carries::Request)
    }

    /// Whether what is spoken on it is IRC.
    pub fn is_irc(self) -> bool {
        matches!(self, Scheme::Irc | Scheme::Ircs)
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Ws | Scheme::Http => Some(80),
            Scheme::Wss | Scheme::Https => Some(443),
            Scheme::Irc => Some(6667),
            Scheme::Ircs => Some(6697),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host as written: an address, or a name that is still to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A DNS name, in lower case.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// The part of an endpoint that says where, apart from what is spoken there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host and a port. As a listener, port 0 takes a free one.
    Net(Host, u16),
    /// A socket file; one that begins with `@` is a name in the abstract namespace.
    Path(PathBuf),
    /// A name inside this process.
    Name(String),
}

/// Where one end is: a scheme and an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    address: Address,
    /// Path and query of a WebSocket or HTTP endpoint, `/` where none was written; empty for every other scheme.
    target: String,
}

impl Endpoint {
    /// An endpoint at a socket address.
    ///
    /// A scheme that has no port (`unix`, `mem`) cannot stand there: `None`.
    pub fn at(scheme: Scheme, address: SocketAddr) -> Option<Endpoint> {
        if matches!(scheme, Scheme::Unix | Scheme::Mem) {
            return None;
        }
        Some(Endpoint::new(
            scheme,
            Address::Net(Host::Ip(address.ip()), address.port()),
        ))
    }

    /// A Unix socket's endpoint.
    pub fn unix(path: impl Into<PathBuf>) -> Endpoint {
        Endpoint::new(Scheme::Unix, Address::Path(path.into()))
    }

    /// An endpoint inside this process.
    pub fn mem(name: impl Into<String>) -> Endpoint {
        Endpoint::new(Scheme::Mem, Address::Name(name.into()))
    }

    fn new(scheme: Scheme, address: Address) -> Endpoint {
        let target = if scheme.has_target() {
            "/".to_owned()
        } else {
            String::new()
        };
        Endpoint {
            scheme,
            address,
            target,
        }
    }

    /// What is spoken there.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The host, where the scheme has one.
    pub fn host(&self) -> Option<&Host> {
        match &self.address {
            Address::Net(host, _) => Some(host),
            _ => None,
        }
    }

    /// The port, where the scheme has one.
    pub fn port(&self) -> Option<u16> {
        match self.address {
            Address::Net(_, port) => Some(port),
            _ => None,
        }
    }

    /// The socket file, for a Unix endpoint.
    pub fn path(&self) -> Option<&Path> {
        match &self.address {
            Address::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The request target (`/path?query`) of a WebSocket or HTTP endpoint; empty for every other scheme.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The socket address, where nothing is left to resolve.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match &self.address {
            Address::Net(Host::Ip(ip), port) => Some(SocketAddr::new(*ip, *port)),
            _ => None,
        }
    }

    /// The same endpoint at another port, where it has one.
    pub fn with_port(&self, port: u16) -> Endpoint {
        let mut other = self.clone();
        if let Address::Net(_, at) = &mut other.address {
            *at = port;
        }
        other
    }

    /// The same endpoint at another socket address: where a listener really is, once it is bound.
    pub fn with_addr(&self, address: SocketAddr) -> Endpoint {
        Endpoint {
            scheme: self.scheme,
            address: Address::Net(Host::Ip(address.ip()), address.port()),
            target: self.target.clone(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.address {
            Address::Net(host, port) => {
                write!(f, "{host}:{port}")?;
                if self.target != "/" {
                    f.write_str(&self.target)?;
                }
                Ok(())
            }
            Address::Path(path) => write_path(f, path),
            Address::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        parse(text).map_err(|why| EndpointError::new(text, why))
    }
}

/// `sun_path` holds 108 bytes, one of them the closing NUL (unix(7)).
const UNIX_PATH_MAX: usize = 107;
/// The longest DNS name (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 253;

fn parse(text: &str) -> Result<Endpoint, Why> {
    let (scheme, rest) = split_scheme(text)?;
    match scheme {
        Scheme::Unix => Ok(Endpoint::unix(parse_path(rest)?)),
        Scheme::Mem => Ok(Endpoint::mem(parse_name(rest)?)),
        _ => parse_net(scheme, rest),
    }
}

fn split_scheme(text: &str) -> Result<(Scheme, &str), Why> {
    let (name, rest) = match text.split_once("://") {
        Some(parts) => parts,
        // `unix:app.sock` is how several other tools write it.
        None => match text.split_once(':') {
            Some(("unix", rest)) => ("unix", rest),
            _ => return Err(Why::NoScheme),
        },
    };
    if name.is_empty() || name.contains(['/', ':', '[', ']']) {
        return Err(Why::NoScheme);
    }
    let lower = name.to_ascii_lowercase();
    match Scheme::ALL.into_iter().find(|s| s.as_str() == lower) {
        Some(scheme) => Ok((scheme, rest)),
        None => Err(Why::UnknownScheme(name.to_owned())),
    }
}

fn parse_net(scheme: Scheme, rest: &str) -> Result<Endpoint, Why> {
    let (authority, target) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err(Why::Unexpected("a user name"));
    }
    let (host, port) = split_port(scheme, authority)?;
    let port = match port {
        Some(port) => parse_port(port)?,
        None => scheme.default_port().ok_or(Why::NoPort(scheme))?,
    };
    let target = parse_target(scheme, target)?;
    Ok(Endpoint {
        scheme,
        address: Address::Net(parse_host(host)?, port),
        target,
    })
}

/// Splits `host:port`, minding that an IPv6 host has colons of its own.
fn split_port(scheme: Scheme, authority: &str) -> Result<(&str, Option<&str>), Why> {
    if let Some(inner) = authority.strip_prefix('[') {
        let (_, after) = inner
            .split_once(']')
            .ok_or_else(|| Why::BadV6(authority.to_owned()))?;
        let host = &authority[..authority.len() - after.len()];
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(Why::BadV6(authority.to_owned())),
        };
    }
    if authority.matches(':').count() > 1 {
        return Err(bare_v6(scheme, authority));
    }
    match authority.split_once(':') {
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn bare_v6(scheme: Scheme, authority: &str) -> Why {
    // `::1:7000` is an address as a whole too, but who writes it means host and port.
    if let Some((host, port)) = authority.rsplit_once(':')
        && let (Ok(ip), Ok(port)) = (host.parse(), port.parse())
    {
        return Why::BareV6(scheme, ip, Some(port));
    }
    match authority.parse() {
        Ok(ip) => Why::BareV6(scheme, ip, None),
        Err(_) => Why::BadHost(authority.to_owned()),
    }
}

fn parse_port(port: &str) -> Result<u16, Why> {
    let bad = || Why::BadPort(port.to_owned());
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    port.parse().map_err(|_| bad())
}

fn parse_host(host: &str) -> Result<Host, Why> {
    if host.is_empty() {
        return Ok(Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(Host::Ip(IpAddr::V6(ip))),
            Err(_) => Err(Why::BadV6(inner.to_owned())),
        };
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let labels_ok = name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    });
    // `127.1` and `1234` are neither addresses nor names that anything could resolve (RFC 3696, section 2).
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    if name.len() > NAME_MAX || !labels_ok || last_is_number {
        return Err(Why::BadHost(host.to_owned()));
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

fn parse_target(scheme: Scheme, target: &str) -> Result<String, Why> {
    if target.contains('#') {
        return Err(Why::Unexpected("a fragment"));
    }
    if !scheme.has_target() {
        // A lone slash is what other tools print behind an address.
        return if target.is_empty() || target == "/" {
            Ok(String::new())
        } else {
            Err(Why::Unexpected("a path"))
        };
    }
    if let Some(c) = target.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(Why::BadTarget(c));
    }
    Ok(if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    })
}

fn parse_path(rest: &str) -> Result<PathBuf, Why> {
    use std::os::unix::ffi::OsStringExt;
    if rest.contains(['?', '#']) {
        return Err(Why::Unexpected("a query or a fragment"));
    }
    let bytes = unescape(rest)?;
    if bytes.is_empty() || bytes == b"@" {
        return Err(Why::EmptyPath);
    }
    if bytes.contains(&0) {
        return Err(Why::Unexpected("a NUL byte"));
    }
    if bytes.len() > UNIX_PATH_MAX {
        return Err(Why::PathTooLong(bytes.len()));
    }
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn unescape(text: &str) -> Result<Vec<u8>, Why> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'%' {
            out.push(b);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        match (digit(), digit()) {
            // Two hex digits are at most 255.
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err(Why::BadEscape),
        }
    }
    Ok(out)
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    use std::os::unix::ffi::OsStrExt;
    for &b in path.as_os_str().as_bytes() {
        if b.is_ascii_graphic() && !matches!(b, b'%' | b'?' | b'#') {
            write!(f, "{}", char::from(b))?;
        } else {
            write!(f, "%{b:02X}")?;
        }
    }
    Ok(())
}

fn parse_name(rest: &str) -> Result<String, Why> {
    let fits = (1..=NAME_MAX).contains(&rest.len());
    if !fits
        || !rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return Err(Why::BadName(rest.to_owned()));
    }
    Ok(rest.to_owned())
}

#[cfg(test)]
mod tests;

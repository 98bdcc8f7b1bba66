//! From an endpoint to a connection: the asking end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::conn::{Conn, Peer};
use super::io::Io;
use super::meter::Meter;
use super::{mem, tcp, tls, udp, unix, ws};
use crate::endpoint::{Address, Endpoint, Host, Scheme};
use crate::error::{Error, Kind, Plain, Result, Side};

/// How long each part of connecting took; `None` for a part that the endpoint does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Resolving a name.
    pub resolve: Option<Duration>,
    /// Connecting a socket.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// The WebSocket handshake.
    pub upgrade: Option<Duration>,
}

/// How to connect: whom to trust, and what to take from them.
#[derive(Debug, Clone)]
pub struct Dialer {
    tls: Option<tls::Connector>,
    message_bytes: usize,
    /// Where to go instead of resolving a name.
    resolved: Option<Arc<[SocketAddr]>>,
}

impl Dialer {
    /// A dialer for endpoints without TLS.
    pub fn plain() -> Dialer {
        Dialer {
            tls: None,
            message_bytes: DEFAULT_MESSAGE_BYTES,
            resolved: None,
        }
    }

    /// A dialer that may use TLS.
    pub fn with_tls(tls: tls::Connector) -> Dialer {
        Dialer {
            tls: Some(tls),
            ..Dialer::plain()
        }
    }

    /// The application protocols that are offered in TLS handshakes, the best first (RFC 7301).
    pub fn alpn(mut self, protocols: &[&str]) -> Dialer {
        self.tls = self.tls.map(|tls| tls.alpn(protocols));
        self
    }

    /// The longest message that is taken from a peer, in bytes.
    pub fn message_bytes(mut self, max: usize) -> Dialer {
        self.message_bytes = max;
        self
    }

    /// Resolves the endpoint's name now, so that connecting to it does not ask again each time.
    ///
    /// # Errors
    /// That it does not resolve.
    pub async fn resolve(mut self, to: &Endpoint) -> Result<Dialer> {
        if let Address::Net(host, port) = to.address() {
            let addresses = resolve(to, host, *port, &mut Phases::default()).await?;
            self.resolved = Some(addresses.into());
        }
        Ok(self)
    }

    /// Where to connect to instead of what the endpoint's host resolves to. Certificates are still to be good for the
    /// host.
    pub fn at(mut self, address: SocketAddr) -> Dialer {
        self.resolved = Some([address].into());
        self
    }

    /// Connects, and says how long each part took. The deadline is the caller's: `phases` is filled in as far as it
    /// went.
    ///
    /// # Errors
    /// Which part failed, with whom, and what to try.
    pub async fn connect(&self, to: &Endpoint, phases: &mut Phases) -> Result<Conn> {
        self.connect_saying(&[], to, phases).await
    }

    /// As [`Dialer::connect`], with bytes that are said before anything else, the handshakes too: a PROXY header.
    ///
    /// # Errors
    /// As [`Dialer::connect`].
    pub async fn connect_saying(
        &self,
        first: &[u8],
        to: &Endpoint,
        phases: &mut Phases,
    ) -> Result<Conn> {
        let (mut io, peer) = self.transport(to, phases).await?;
        if !first.is_empty() {
            let said = io.write_all(first).await;
            said.map_err(|e| Error::talking(Side::Upstream, format!("writing to {to}"), e))?;
        }
        let endpoint = Arc::new(to.clone());
        let mut conn = Conn::new(io, Meter::asked(peer, endpoint), self.message_bytes);
        if to.scheme().is_secure() {
            let started = Instant::now();
            let connect = async |io, _| {
                let (stream, info) = self.tls_for(to)?.connect(io, host_of(to)?, to).await?;
                Ok((Io::Tls(Box::new(stream.into())), Some(info)))
            };
            conn = conn.step(connect).await?;
            phases.tls = Some(started.elapsed());
        }
        if matches!(to.scheme(), Scheme::Ws | Scheme::Wss) {
            let started = Instant::now();
            let connect = async |io, _| {
                let socket = ws::connect(io, to, self.message_bytes).await?;
                Ok((Io::Ws(Box::new(socket)), None))
            };
            conn = conn.step(connect).await?;
            phases.upgrade = Some(started.elapsed());
        }
        Ok(conn)
    }

    fn tls_for(&self, to: &Endpoint) -> Result<&tls::Connector> {
        self.tls.as_ref().ok_or_else(|| {
            Error::new(Kind::Usage, Side::Local, format!("connecting to {to}"))
                .because("this dialer was made without TLS")
                .hint("make it with Dialer::with_tls")
        })
    }

    async fn transport(&self, to: &Endpoint, phases: &mut Phases) -> Result<(Io, Peer)> {
        let (host, port) = match to.address() {
            Address::Path(path) => {
                let started = Instant::now();
                let stream = unix::connect(path)
                    .await
                    .map_err(|e| not_connected(to, None, e))?;
                phases.connect = Some(started.elapsed());
                return Ok((
                    Io::Unix(stream),
                    Peer::Unix {
                        pid: None,
                        path: Some(path.clone()),
                    },
                ));
            }
            Address::Name(name) => {
                let stream = mem::connect(name)
                    .await
                    .map_err(|e| not_connected(to, None, e))?;
                return Ok((Io::Mem(stream), Peer::Mem));
            }
            Address::Net(host, port) => (host, *port),
        };
        let addresses: Arc<[SocketAddr]> = match &self.resolved {
            Some(addresses) => addresses.clone(),
            None => resolve(to, host, port, phases).await?.into(),
        };
        let started = Instant::now();
        let mut last = None;
        for &address in addresses.iter() {
            let connected = match to.scheme() {
                Scheme::Udp => udp::Talk::connect(address)
                    .await
                    .map(|s| Io::Udp(Box::new(s))),
                _ => tcp::connect(address).await.map(Io::Tcp),
            };
            match connected {
                Ok(io) => {
                    phases.connect = Some(started.elapsed());
                    return Ok((io, Peer::Ip(address)));
                }
                Err(e) => last = Some(not_connected(to, Some(address), e)),
            }
        }
        Err(last.unwrap_or_else(|| not_resolved(to, host, "it has no address".into())))
    }
}

/// What a client takes as one message unless told otherwise: more than a server does, which faces strangers.
const DEFAULT_MESSAGE_BYTES: usize = 64 << 20;

/// Connects without TLS settings of one's own: the system's roots and the local CA are trusted.
///
/// # Errors
/// As [`Dialer::connect`].
pub async fn connect(to: &Endpoint) -> Result<Conn> {
    let dialer = match to.scheme().is_secure() {
        true => Dialer::with_tls(tls::Connector::new(&tls::ClientTls::default())?),
        false => Dialer::plain(),
    };
    dialer.connect(to, &mut Phases::default()).await
}

fn host_of(to: &Endpoint) -> Result<&Host> {
    to.host()
        .ok_or_else(|| Error::new(Kind::Usage, Side::Local, format!("{to} names no host")))
}

async fn resolve(
    to: &Endpoint,
    host: &Host,
    port: u16,
    phases: &mut Phases,
) -> Result<Vec<SocketAddr>> {
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => name,
    };
    let started = Instant::now();
    let found = tokio::net::lookup_host((name.as_str(), port)).await;
    phases.resolve = Some(started.elapsed());
    match found {
        Ok(addresses) => Ok(addresses.collect()),
        Err(e) => Err(not_resolved(to, host, Box::new(Plain(e)))),
    }
}

fn not_resolved(
    to: &Endpoint,
    host: &Host,
    cause: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    Error::new(
        Kind::NotResolved,
        Side::Upstream,
        format!("resolving {host} for {to}"),
    )
    .because(cause)
    .hint("is the name spelled right, and is there a network?")
}

fn not_connected(to: &Endpoint, address: Option<SocketAddr>, cause: io::Error) -> Error {
    use io::ErrorKind as K;
    let act = match (to.socket_addr(), address) {
        (None, Some(address)) => format!("connecting to {to} ({address})"),
        _ => format!("connecting to {to}"),
    };
    let (kind, hint) = match cause.kind() {
        K::ConnectionRefused => (Kind::NotConnected, "is a server listening there?"),
        K::NotFound => (
            Kind::NotConnected,
            "there is no such socket file: is the server running?",
        ),
        K::TimedOut => (
            Kind::TimedOut,
            "nothing answers there: is the address right, and is no firewall between?",
        ),
        K::HostUnreachable | K::NetworkUnreachable => (
            Kind::NotConnected,
            "there is no route: is the address right, and is there a network?",
        ),
        K::PermissionDenied => (Kind::NotConnected, "this user may not connect there"),
        _ => (Kind::NotConnected, "see the system's message"),
    };
    Error::new(kind, Side::Upstream, act)
        .because(Plain(cause))
        .hint(hint)
}

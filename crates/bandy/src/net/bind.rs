//! From an endpoint to bound sockets, and from those to listeners on event loops.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use socket2::Socket;
use tokio::net::{TcpListener, UnixListener};

use super::accept::{Door, Listener, Source};
use super::ending::Ending;
use super::inherited::{HandedOn, Inherited, Spare, Taken};
use super::proxied::Proxied;
use super::udp::FlowLimits;
use super::{mem, tcp, tls, udp, unix, ws};
use crate::endpoint::{Address, Endpoint, Host, Scheme};
use crate::error::{Error, Kind, Plain, Result, Side};
use crate::limits::Limits;

/// What stands behind the bare sockets of a server: shared by all its listeners.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// The certificate shown at `tls` and `wss` endpoints.
    pub tls: Option<tls::Acceptor>,
    /// Who may open a WebSocket.
    pub origins: ws::Origins,
    /// Whose word is taken for whom they bring.
    pub proxied: Proxied,
    /// Bounds on messages and UDP flows.
    pub limits: Limits,
    /// Connections are served one after the other: a UDP flow ends as soon as it has nothing to say.
    pub one_at_a_time: bool,
    /// Where connections look whether the server ends.
    pub ending: Ending,
}

/// A bound socket that is not yet on any event loop.
#[derive(Debug)]
pub struct Bound {
    endpoint: Endpoint,
    socket: Sock,
    /// We may have others beside it: it is not one that a service manager gave us.
    is_own: bool,
    is_handed_on: HandedOn,
    /// Where to say that it is ours, once we listen.
    formerly: Option<HandedOn>,
}

#[derive(Debug)]
enum Sock {
    Tcp(Socket),
    Udp(Socket),
    /// A socket file, or an abstract name.
    Unix(Socket, PathBuf),
    Mem(mem::Listener),
}

/// Binds everything that an endpoint stands for: one socket, or for a name one for each address it has.
///
/// A socket that `inherited` holds for this address is taken instead of binding one.
///
/// Resolves names the blocking way: for start-up.
///
/// # Errors
/// That the name does not resolve, or the address cannot be bound, with what to try.
pub fn bind(endpoint: &Endpoint, inherited: &mut Inherited) -> Result<Vec<Bound>> {
    let failed = |e| cannot_listen(endpoint, e);
    match endpoint.address() {
        Address::Path(path) => {
            let unix = |socket| Sock::Unix(socket, path.clone());
            Ok(vec![match inherited.take_unix(path) {
                Some(taken) => {
                    taken.socket.set_nonblocking(true).map_err(failed)?;
                    Bound {
                        is_own: taken.is_own,
                        formerly: taken.formerly,
                        ..Bound::new(endpoint.clone(), unix(taken.socket))
                    }
                }
                None => Bound::new(endpoint.clone(), unix(unix::listen(path).map_err(failed)?)),
            }])
        }
        Address::Name(name) => {
            let listener = mem::listen(name).map_err(failed)?;
            Ok(vec![Bound::new(endpoint.clone(), Sock::Mem(listener))])
        }
        Address::Net(host, port) => {
            let mut all: Vec<Bound> = Vec::new();
            for address in addresses(endpoint, host, *port)? {
                // With port 0, a name's second address takes the port that its first one got.
                let port = all.first().and_then(|b| b.endpoint.port()).unwrap_or(*port);
                let at = endpoint.with_addr(SocketAddr::new(address.ip(), port));
                match bind_addr(&at, inherited) {
                    Ok(bound) => all.push(bound),
                    // `localhost` has an IPv6 address also where IPv6 is off.
                    Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && !all.is_empty() => {}
                    Err(e) => return Err(cannot_listen(&at, e)),
                }
            }
            Ok(all)
        }
    }
}

fn addresses(endpoint: &Endpoint, host: &Host, port: u16) -> Result<Vec<SocketAddr>> {
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => name,
    };
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(
            Kind::NotResolved,
            Side::Local,
            format!("resolving {name} for {endpoint}"),
        )
        .because(cause)
        .hint("listen on an address instead, such as 127.0.0.1 or 0.0.0.0")
    };
    let mut all: Vec<SocketAddr> = (name.as_str(), port)
        .to_socket_addrs()
        .map_err(|e| failed(Box::new(Plain(e))))?
        .collect();
    // IPv4 first: where IPv6 is off, the failure of the second is then harmless.
    all.sort_by_key(SocketAddr::is_ipv6);
    all.dedup();
    if all.is_empty() {
        Err(failed("it has no address".into()))
    } else {
        Ok(all)
    }
}

fn bind_addr(at: &Endpoint, inherited: &mut Inherited) -> io::Result<Bound> {
    let Some(address) = at.socket_addr() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let socket = match inherited.take_net(at.scheme(), address) {
        Some(taken) => return given(at, address, taken),
        None if at.scheme() == Scheme::Udp => Sock::Udp(udp::listen(address, false)?),
        None => Sock::Tcp(tcp::listen(address, false)?),
    };
    let real = match &socket {
        Sock::Tcp(socket) | Sock::Udp(socket) => socket.local_addr()?.as_socket(),
        Sock::Unix(..) | Sock::Mem(_) => None,
    };
    let endpoint = real.map_or_else(|| at.clone(), |real| at.with_addr(real));
    Ok(Bound::new(endpoint, socket))
}

/// A socket that was handed to us, as we want ours to be.
fn given(at: &Endpoint, address: SocketAddr, taken: Taken) -> io::Result<Bound> {
    let socket = taken.socket;
    let socket = if at.scheme() == Scheme::Udp {
        udp::prepare(&socket, address)?;
        Sock::Udp(socket)
    } else {
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        Sock::Tcp(socket)
    };
    Ok(Bound {
        is_own: taken.is_own,
        formerly: taken.formerly,
        ..Bound::new(at.clone(), socket)
    })
}

/// Binds a TCP or UDP socket.
///
/// The first one at an address is bound alone, so that an address that another program listens on is an error. Then it
/// allows others beside it: `beside` binds those, one for each event loop.
pub(super) fn bind_port(socket: &Socket, address: SocketAddr, beside: bool) -> io::Result<()> {
    if address.is_ipv6() {
        // `[::]` is IPv6 and nothing else, on every machine: IPv4 is listened on by saying so.
        socket.set_only_v6(true)?;
    }
    if beside {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)
}

fn cannot_listen(endpoint: &Endpoint, cause: io::Error) -> Error {
    use io::ErrorKind as K;
    let hint = match cause.kind() {
        K::AddrInUse if matches!(endpoint.scheme(), Scheme::Unix) => {
            "something listens on this socket, or the file is not a socket: remove it or take another path"
        }
        K::AddrInUse => {
            "something listens there already: end it, or take another port (0 takes a free one)"
        }
        K::PermissionDenied if endpoint.port().is_some_and(|p| p < 1024) => {
            "ports below 1024 are privileged: take one above, or grant CAP_NET_BIND_SERVICE"
        }
        K::PermissionDenied => "this user may not create the socket there",
        K::AddrNotAvailable => {
            "the address is not this machine's: 127.0.0.1 is this machine only, 0.0.0.0 every interface"
        }
        K::NotFound => "the folder does not exist: create it first",
        _ => "see the system's message",
    };
    Error::new(Kind::Io, Side::Local, format!("listening on {endpoint}"))
        .because(Plain(cause))
        .hint(hint)
}

impl Bound {
    fn new(endpoint: Endpoint, socket: Sock) -> Bound {
        Bound {
            endpoint,
            socket,
            is_own: true,
            is_handed_on: Arc::default(),
            formerly: None,
        }
    }

    /// The endpoint with its real port.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One more socket at the same address that was handed to us: it must be listened on, as the system deals
    /// connections out to it too.
    ///
    /// # Errors
    /// What the system reports.
    pub fn another(&self, inherited: &mut Inherited) -> Result<Option<Bound>> {
        let Some(address) = self.endpoint.socket_addr() else {
            return Ok(None);
        };
        let taken = inherited.take_net(self.endpoint.scheme(), address);
        let another = taken.map(|taken| given(&self.endpoint, address, taken));
        another
            .transpose()
            .map_err(|e| cannot_listen(&self.endpoint, e))
    }

    /// Another socket at the same address, for another event loop: the system deals connections and flows out among
    /// them (SO_REUSEPORT). `None` where the transport has no such thing, or a service manager gave us the socket.
    ///
    /// # Errors
    /// What the system reports.
    pub fn beside(&self) -> Result<Option<Bound>> {
        let (true, Some(address)) = (self.is_own, self.endpoint.socket_addr()) else {
            return Ok(None);
        };
        let socket = match self.socket {
            Sock::Tcp(_) => tcp::listen(address, true).map(Sock::Tcp),
            Sock::Udp(_) => udp::listen(address, true).map(Sock::Udp),
            Sock::Unix(..) | Sock::Mem(_) => return Ok(None),
        };
        let socket = socket.map_err(|e| cannot_listen(&self.endpoint, e))?;
        Ok(Some(Bound::new(self.endpoint.clone(), socket)))
    }

    /// Puts the socket on this thread's event loop.
    ///
    /// # Errors
    /// That the endpoint needs TLS and `doors` has none, or what the system reports.
    pub fn listen(self, doors: &Doors) -> Result<Listener> {
        let door = doors.door(Arc::new(self.endpoint.clone()))?;
        let failed = |e| cannot_listen(&self.endpoint, e);
        let spare = match &self.socket {
            Sock::Tcp(socket) | Sock::Udp(socket) | Sock::Unix(socket, _) => {
                Some(Spare::of(socket, &self.is_handed_on).map_err(failed)?)
            }
            Sock::Mem(_) => None,
        };
        let source = match self.socket {
            Sock::Tcp(socket) => Source::Tcp(TcpListener::from_std(socket.into()).map_err(failed)?),
            Sock::Unix(socket, path) => {
                let listener = UnixListener::from_std(socket.into()).map_err(failed)?;
                let is_own = self.is_own.then_some(path);
                let unlink = is_own.and_then(|path| unix::Unlink::new(&path, &self.is_handed_on));
                Source::Unix(listener, unlink)
            }
            Sock::Mem(listener) => Source::Mem(listener),
            Sock::Udp(socket) => {
                let limits = FlowLimits {
                    flows: doors.limits.flows,
                    idle: doors.limits.flow_idle,
                    queue: doors.limits.flow_queue,
                    message_bytes: doors.limits.message_bytes,
                    one_at_a_time: doors.one_at_a_time,
                };
                Source::Udp(udp::Listener::start(socket, limits).map_err(failed)?)
            }
        };
        if let Some(formerly) = self.formerly {
            formerly.store(true, Relaxed);
        }
        Ok(Listener::new(source, door, spare))
    }
}

impl Doors {
    /// The door of one endpoint.
    ///
    /// # Errors
    /// That it needs a certificate, and there is none.
    pub(super) fn door(&self, endpoint: Arc<Endpoint>) -> Result<Door> {
        let scheme = endpoint.scheme();
        let is_tcp = endpoint.port().is_some() && scheme != Scheme::Udp;
        let tls = match (scheme.is_secure(), &self.tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.clone().alpn(protocols(scheme))),
            (true, None) => {
                let act = format!("listening on {endpoint}");
                let error = Error::new(Kind::Usage, Side::Local, act);
                return Err(error.because("it needs a certificate, and the server has none"));
            }
        };
        Ok(Door {
            endpoint,
            tls,
            ws: matches!(scheme, Scheme::Ws | Scheme::Wss).then(|| self.origins.clone()),
            proxied: match is_tcp {
                true => self.proxied.clone(),
                false => Proxied::default(),
            },
            message_bytes: self.limits.message_bytes,
            ending: self.ending.clone(),
        })
    }
}

/// What can be agreed on with ALPN (RFC 7301), best first.
fn protocols(scheme: Scheme) -> &'static [&'static str] {
    match scheme {
        // Who offers HTTP/1.0 alone (curl --http1.0) is answered, and not turned away by TLS.
        Scheme::Https => &["h2", "http/1.1", "http/1.0"],
        Scheme::Wss => &["http/1.1"],
        _ => &[],
    }
}

//! From an endpoint to bound sockets, and from those to listeners on event loops.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use socket2::Socket;
use tokio::net::{TcpListener, UnixListener};

use super::accept::{Door, Listener, Source};
use super::ending::Ending;
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
    /// What may be spoken over a WebSocket, by the names that clients ask for.
    pub subprotocols: ws::Subprotocols,
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
    was_inherited: bool,
}

#[derive(Debug)]
enum Sock {
    Tcp(Socket),
    Udp(Socket),
    Unix(Socket, Option<unix::Unlink>),
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
    let bound = |endpoint, socket, was_inherited| Bound {
        endpoint,
        socket,
        was_inherited,
    };
    match endpoint.address() {
        Address::Path(path) => {
            if let Some(socket) = inherited.take_unix(path) {
                socket.set_nonblocking(true).map_err(failed)?;
                return Ok(vec![bound(
                    endpoint.clone(),
                    Sock::Unix(socket, None),
                    true,
                )]);
            }
            let (socket, unlink) = unix::listen(path).map_err(failed)?;
            let socket = Sock::Unix(socket, unlink);
            Ok(vec![bound(endpoint.clone(), socket, false)])
        }
        Address::Name(name) => {
            let listener = mem::listen(name).map_err(failed)?;
            Ok(vec![bound(endpoint.clone(), Sock::Mem(listener), false)])
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
    let (socket, was_inherited) = match (at.scheme(), inherited.take_net(at.scheme(), address)) {
        (Scheme::Udp, Some(socket)) => {
            udp::prepare(&socket, address)?;
            (Sock::Udp(socket), true)
        }
        (Scheme::Udp, None) => (Sock::Udp(udp::listen(address, false)?), false),
        (_, Some(socket)) => {
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            (Sock::Tcp(socket), true)
        }
        (_, None) => (Sock::Tcp(tcp::listen(address, false)?), false),
    };
    let real = match &socket {
        Sock::Tcp(socket) | Sock::Udp(socket) => socket.local_addr()?.as_socket(),
        Sock::Unix(..) | Sock::Mem(_) => None,
    };
    let endpoint = real.map_or_else(|| at.clone(), |real| at.with_addr(real));
    Ok(Bound {
        endpoint,
        socket,
        was_inherited,
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
    /// The endpoint with its real port.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Another socket at the same address, for another event loop: the system deals connections and flows out among
    /// them (SO_REUSEPORT). `None` where the transport has no such thing, or the socket was handed to us.
    ///
    /// # Errors
    /// What the system reports.
    pub fn beside(&self) -> Result<Option<Bound>> {
        let (false, Some(address)) = (self.was_inherited, self.endpoint.socket_addr()) else {
            return Ok(None);
        };
        let socket = match self.socket {
            Sock::Tcp(_) => tcp::listen(address, true).map(Sock::Tcp),
            Sock::Udp(_) => udp::listen(address, true).map(Sock::Udp),
            Sock::Unix(..) | Sock::Mem(_) => return Ok(None),
        };
        let socket = socket.map_err(|e| cannot_listen(&self.endpoint, e))?;
        Ok(Some(Bound {
            endpoint: self.endpoint.clone(),
            socket,
            was_inherited: false,
        }))
    }

    /// Puts the socket on this thread's event loop.
    ///
    /// # Errors
    /// That the endpoint needs TLS and `doors` has none, or what the system reports.
    pub fn listen(self, doors: &Doors) -> Result<Listener> {
        let scheme = self.endpoint.scheme();
        if scheme.is_secure() && doors.tls.is_none() {
            return Err(Error::new(
                Kind::Usage,
                Side::Local,
                format!("listening on {}", self.endpoint),
            )
            .because("it needs a certificate, and the server has none"));
        }
        let failed = |e| cannot_listen(&self.endpoint, e);
        let source = match self.socket {
            Sock::Tcp(socket) => Source::Tcp(TcpListener::from_std(socket.into()).map_err(failed)?),
            Sock::Unix(socket, unlink) => Source::Unix(
                UnixListener::from_std(socket.into()).map_err(failed)?,
                unlink,
            ),
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
        let door = Door {
            endpoint: Arc::new(self.endpoint),
            tls: doors
                .tls
                .as_ref()
                .filter(|_| scheme.is_secure())
                .map(|tls| tls.clone().alpn(protocols(scheme))),
            ws: matches!(scheme, Scheme::Ws | Scheme::Wss).then(|| doors.origins.clone()),
            subprotocols: doors.subprotocols,
            message_bytes: doors.limits.message_bytes,
            ending: doors.ending.clone(),
        };
        Ok(Listener::new(source, Arc::new(door)))
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

/// Listening sockets that whoever started this process opened for it: systemd's socket activation (sd_listen_fds(3)).
#[derive(Debug, Default)]
pub struct Inherited(Vec<Socket>);

impl Inherited {
    /// None.
    pub fn none() -> Inherited {
        Inherited::default()
    }

    /// Those that `LISTEN_FDS` announces to this process. Takes them out of the environment; call once.
    pub fn from_env() -> Inherited {
        let mut fds = listenfd::ListenFd::from_env();
        // A descriptor that is none of the three stays where it is; one that is, is taken by the first that fits.
        let take = |fds: &mut listenfd::ListenFd, i| {
            let tcp = fds.take_tcp_listener(i).ok().flatten().map(Socket::from);
            let unix = || fds.take_unix_listener(i).ok().flatten().map(Socket::from);
            tcp.or_else(unix)
                .or_else(|| fds.take_udp_socket(i).ok().flatten().map(Socket::from))
        };
        Inherited((0..fds.len()).filter_map(|i| take(&mut fds, i)).collect())
    }

    /// Those that no endpoint asked for: their addresses, or the paths of Unix sockets.
    pub fn left(&self) -> Vec<String> {
        let address = |socket: &Socket| {
            let at = socket.local_addr().ok()?;
            let path = || Some(at.as_pathname()?.display().to_string());
            at.as_socket().map(|at| at.to_string()).or_else(path)
        };
        let unnamed = || "without an address".to_owned();
        self.0
            .iter()
            .map(|s| address(s).unwrap_or_else(unnamed))
            .collect()
    }

    fn take_net(&mut self, scheme: Scheme, address: SocketAddr) -> Option<Socket> {
        let wanted = if scheme == Scheme::Udp {
            socket2::Type::DGRAM
        } else {
            socket2::Type::STREAM
        };
        self.take(|socket| {
            socket.r#type().is_ok_and(|kind| kind == wanted)
                && socket
                    .local_addr()
                    .is_ok_and(|at| at.as_socket() == Some(address))
        })
    }

    fn take_unix(&mut self, path: &std::path::Path) -> Option<Socket> {
        self.take(|socket| {
            socket
                .local_addr()
                .is_ok_and(|at| at.as_pathname() == Some(path))
        })
    }

    fn take(&mut self, wanted: impl Fn(&Socket) -> bool) -> Option<Socket> {
        let at = self.0.iter().position(wanted)?;
        Some(self.0.swap_remove(at))
    }
}

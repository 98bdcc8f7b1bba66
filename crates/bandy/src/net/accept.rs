//! The answering end's two stages before a connection: a [`Listener`], and an [`Incoming`] that was accepted and not
//! yet established.
//!
//! Accepting never performs a handshake: TLS and WebSocket happen in [`Incoming::establish`], in the connection's own
//! task, so that a client that connects and says nothing delays nobody. An incoming can be established on
//! another event loop than the one that accepted it.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::Instant;

use super::bind::Doors;
use super::conn::{Conn, Peer};
use super::ending::Ending;
use super::inherited::Spare;
use super::io::Io;
use super::meter::Meter;
use super::proxied::Proxied;
use super::{mem, tls, udp, unix, ws};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result, Side};

/// What happens to every connection of one listener after it is accepted.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) tls: Option<tls::Acceptor>,
    pub(super) ws: Option<ws::Origins>,
    pub(super) proxied: Proxied,
    pub(super) message_bytes: usize,
    pub(super) ending: Ending,
}

/// A listener on this thread's event loop.
#[derive(Debug)]
pub struct Listener {
    source: Source,
    endpoint: Arc<Endpoint>,
    entrance: Entrance,
    spare: Option<Arc<Spare>>,
    backoff: Backoff,
}

/// A listener's door, which can be changed while it listens: for connections that are accepted from then on.
#[derive(Debug, Clone)]
pub struct Entrance(Arc<RwLock<Arc<Door>>>);

impl Entrance {
    fn new(door: Door) -> Entrance {
        Entrance(Arc::new(RwLock::new(Arc::new(door))))
    }

    fn door(&self) -> Arc<Door> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another door in. What bounds UDP flows stays as it was.
    ///
    /// # Errors
    /// That the endpoint needs TLS and `doors` has none.
    pub fn change(&self, doors: &Doors) -> Result<()> {
        let door = Arc::new(doors.door(self.door().endpoint.clone())?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = door;
        Ok(())
    }
}

#[derive(Debug)]
pub(super) enum Source {
    Tcp(TcpListener),
    /// With the guard that removes the socket file.
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "its drop is its use")] Option<unix::Unlink>,
    ),
    Mem(mem::Listener),
    Udp(udp::Listener),
}

impl Listener {
    pub(super) fn new(source: Source, door: Door, spare: Option<Spare>) -> Listener {
        Listener {
            source,
            endpoint: door.endpoint.clone(),
            entrance: Entrance::new(door),
            spare: spare.map(Arc::new),
            backoff: Backoff::default(),
        }
    }

    /// The endpoint it listens on, with its real port.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Through which its door can be changed.
    pub fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    /// A handle on its socket, while it listens. A `mem` listener has none.
    pub fn spare(&self) -> Option<Weak<Spare>> {
        self.spare.as_ref().map(Arc::downgrade)
    }

    /// The next connection.
    ///
    /// Cancel-safe. Never performs a handshake. What no caller could act on is dealt with here: a connection that was
    /// reset while it waited is passed over, and where the system is out of files or memory this backs off until a
    /// peer leaves.
    pub async fn accept(&mut self) -> Incoming {
        loop {
            self.backoff.wait().await;
            match self.try_accept().await {
                Ok((raw, peer)) => {
                    self.backoff.reset(&self.endpoint);
                    return Incoming::new(raw, peer, self.entrance.door());
                }
                Err(e) => self.backoff.failed(&self.endpoint, e),
            }
        }
    }

    /// Closes the socket. A UDP listener first answers what its flows were asked, so this waits for them to end.
    pub async fn close(self) {
        if let Source::Udp(listener) = self.source {
            listener.close().await;
        }
    }

    async fn try_accept(&mut self) -> io::Result<(Raw, Peer)> {
        match &mut self.source {
            Source::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Raw::Tcp(stream), Peer::Ip(peer)))
            }
            Source::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let peer = unix::peer(&stream);
                Ok((Raw::Unix(stream), peer))
            }
            Source::Mem(listener) => Ok((Raw::Mem(listener.accept().await), Peer::Mem)),
            Source::Udp(listener) => {
                let flow = listener.accept().await;
                let peer = Peer::Ip(flow.key.peer);
                Ok((Raw::Flow(flow), peer))
            }
        }
    }
}

/// How the accept loop behaves when accepting fails: it slows down, says so once, and recovers.
#[derive(Debug, Default)]
struct Backoff {
    delay: Duration,
    until: Option<Instant>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(5);
    const MOST: Duration = Duration::from_secs(1);

    async fn wait(&mut self) {
        if let Some(until) = self.until {
            // Kept until it has passed: a cancelled wait goes on where it was.
            tokio::time::sleep_until(until).await;
            self.until = None;
        }
    }

    fn failed(&mut self, endpoint: &Endpoint, cause: io::Error) {
        if is_one_connections(&cause) {
            return;
        }
        // EMFILE clears when a peer leaves; retrying at once would spin.
        if self.delay.is_zero() {
            tracing::warn!(%endpoint, error = %cause, "cannot accept; new connections wait");
        }
        self.delay = (self.delay * 2).clamp(Backoff::FIRST, Backoff::MOST);
        self.until = Some(Instant::now() + self.delay);
    }

    fn reset(&mut self, endpoint: &Endpoint) {
        if !self.delay.is_zero() {
            tracing::info!(%endpoint, "accepting again");
            self.delay = Duration::ZERO;
        }
    }
}

/// Errors of the one connection that was to be accepted (accept(2)): the next one may be fine.
fn is_one_connections(cause: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        cause.kind(),
        K::ConnectionAborted
            | K::ConnectionReset
            | K::Interrupted
            | K::PermissionDenied
            | K::NetworkDown
            | K::HostUnreachable
            | K::NetworkUnreachable
    )
}

/// A connection's transport: on the event loop that accepted it, or between two.
#[derive(Debug)]
enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
    LooseTcp(std::net::TcpStream),
    LooseUnix(std::os::unix::net::UnixStream),
    Mem(DuplexStream),
    Flow(udp::Flow),
}

/// A connection that was accepted and not yet established.
///
/// Dropping it closes it.
pub struct Incoming {
    raw: Raw,
    meter: Arc<Meter>,
    door: Arc<Door>,
}

impl Incoming {
    fn new(raw: Raw, peer: Peer, door: Arc<Door>) -> Incoming {
        let meter = Meter::accepted(peer, &door.endpoint, &door.ending);
        Incoming { raw, meter, door }
    }

    /// Who connected.
    pub fn peer(&self) -> &Peer {
        self.meter.peer()
    }

    /// Where they connected to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.door.endpoint
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// The same connection as if it had come now: what it waited for us counts neither as idleness nor as life.
    pub(crate) fn counted_from_now(mut self) -> Incoming {
        let peer = self.meter.peer().clone();
        self.meter = Meter::accepted(peer, &self.door.endpoint, &self.door.ending);
        self
    }

    /// Whether [`Incoming::establish`] has to wait for the peer.
    pub(crate) fn has_handshake(&self) -> bool {
        let door = &self.door;
        door.tls.is_some() || door.ws.is_some() || door.proxied.believes(self.peer())
    }

    /// Takes the connection off this thread's event loop, to be established on another.
    ///
    /// # Errors
    /// What the system reports; the connection is closed then.
    pub fn loosen(mut self) -> Result<Incoming> {
        let loose = match self.raw {
            Raw::Tcp(stream) => stream.into_std().map(Raw::LooseTcp),
            Raw::Unix(stream) => stream.into_std().map(Raw::LooseUnix),
            other => Ok(other),
        };
        let act = || format!("handing {} to another event loop", self.meter.peer());
        self.raw = loose.map_err(|e| Error::talking(Side::Local, act(), e))?;
        Ok(self)
    }

    /// Puts the connection on this thread's event loop and performs the endpoint's handshakes. The deadline is the
    /// caller's.
    ///
    /// # Errors
    /// A handshake that failed, and on whose side.
    pub async fn establish(self) -> Result<Conn> {
        let door = self.door.clone();
        let conn = self.establish_plain()?;
        if door.proxied.believes(conn.peer()) {
            door.proxied.receive(&conn).await?;
        }
        if door.tls.is_none() && door.ws.is_none() {
            return Ok(conn);
        }
        door.handshakes(conn).await
    }

    /// As [`Incoming::establish`] without the handshakes: nothing has to be waited for.
    pub(crate) fn establish_plain(self) -> Result<Conn> {
        let io = match self.raw {
            Raw::Tcp(stream) => Ok(Io::Tcp(stream)),
            Raw::Unix(stream) => Ok(Io::Unix(stream)),
            Raw::LooseTcp(stream) => TcpStream::from_std(stream).map(Io::Tcp),
            Raw::LooseUnix(stream) => UnixStream::from_std(stream).map(Io::Unix),
            Raw::Mem(stream) => Ok(Io::Mem(stream)),
            Raw::Flow(flow) => Ok(Io::Udp(Box::new(udp::Talk::Flow(flow)))),
        };
        let act = || format!("registering {}", self.meter.peer());
        let io = io.map_err(|e| Error::talking(Side::Local, act(), e))?;
        Ok(Conn::new(io, self.meter, self.door.message_bytes))
    }
}

impl Door {
    async fn handshakes(&self, mut conn: Conn) -> Result<Conn> {
        if let Some(acceptor) = &self.tls {
            let accept = async |io, meter: Arc<Meter>| {
                let (stream, info) = acceptor.accept(io, meter.peer()).await?;
                Ok((Io::Tls(Box::new(stream.into())), Some(info)))
            };
            conn = conn.step(accept).await?;
        }
        if let Some(origins) = &self.ws {
            let accept = async |io, meter: Arc<Meter>| {
                let socket = ws::accept(io, &meter, origins, self.message_bytes).await?;
                Ok((Io::Ws(Box::new(socket)), None))
            };
            conn = conn.step(accept).await?;
        }
        Ok(conn)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("endpoint", &format_args!("{}", self.endpoint()))
            .field("peer", &format_args!("{}", self.peer()))
            .finish_non_exhaustive()
    }
}

//! Sockets that were bound before: by whoever started this process, or by what listened on them until now.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use socket2::Socket;

use crate::endpoint::Scheme;
use crate::error::{Error, Kind, Result, Side};

/// Bound sockets that endpoints take instead of binding their own.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Given>,
    /// Another bandy bound them, or this one did: what we do with sockets of our own may be done with them.
    is_own: bool,
}

/// A socket that was handed to us, and where to say that somebody else listens on it now.
#[derive(Debug)]
struct Given(Socket, Option<HandedOn>);

/// Whether somebody else listens on a socket from now on.
pub(super) type HandedOn = Arc<AtomicBool>;

/// A socket that was taken for an endpoint.
pub(super) struct Taken {
    pub(super) socket: Socket,
    pub(super) is_own: bool,
    pub(super) formerly: Option<HandedOn>,
}

impl Inherited {
    /// None.
    pub fn none() -> Inherited {
        Inherited::default()
    }

    /// Those that `LISTEN_FDS` announces to this process: systemd's socket activation (sd_listen_fds(3)). Takes them out
    /// of the environment; call once.
    pub fn from_env() -> Inherited {
        let mut fds = listenfd::ListenFd::from_env();
        // A descriptor that is none of the three stays where it is; one that is, is taken by the first that fits.
        let take = |fds: &mut listenfd::ListenFd, i| {
            let tcp = fds.take_tcp_listener(i).ok().flatten().map(Socket::from);
            let unix = || fds.take_unix_listener(i).ok().flatten().map(Socket::from);
            tcp.or_else(unix)
                .or_else(|| fds.take_udp_socket(i).ok().flatten().map(Socket::from))
        };
        Inherited {
            sockets: (0..fds.len())
                .filter_map(|i| Some(Given(take(&mut fds, i)?, None)))
                .collect(),
            is_own: false,
        }
    }

    /// Those of a bandy that hands them over.
    pub fn from_bandy(sockets: impl IntoIterator<Item = OwnedFd>) -> Inherited {
        Inherited {
            sockets: sockets
                .into_iter()
                .map(|socket| Given(socket.into(), None))
                .collect(),
            is_own: true,
        }
    }

    /// The sockets behind these, which go on listening.
    ///
    /// # Errors
    /// That this process may open no more files.
    pub(crate) fn from_spares(spares: impl IntoIterator<Item = Arc<Spare>>) -> Result<Inherited> {
        let failed = |e| Error::new(Kind::Io, Side::Local, "keeping a socket open").because(e);
        let again = |spare: Arc<Spare>| {
            let socket = spare.socket.try_clone().map_err(failed)?;
            Ok(Given(socket, Some(spare.is_handed_on.clone())))
        };
        Ok(Inherited {
            sockets: spares.into_iter().map(again).collect::<Result<_>>()?,
            is_own: true,
        })
    }

    /// Those that no endpoint asked for: their addresses, or the paths of Unix sockets.
    pub fn left(&self) -> Vec<String> {
        let address = |socket: &Socket| {
            let at = socket.local_addr().ok()?;
            let path = || Some(at.as_pathname()?.display().to_string());
            at.as_socket().map(|at| at.to_string()).or_else(path)
        };
        let unnamed = || "without an address".to_owned();
        self.sockets
            .iter()
            .map(|Given(s, _)| address(s).unwrap_or_else(unnamed))
            .collect()
    }

    pub(super) fn take_net(&mut self, scheme: Scheme, address: SocketAddr) -> Option<Taken> {
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

    pub(super) fn take_unix(&mut self, path: &Path) -> Option<Taken> {
        let name = super::unix::abstract_name(path);
        self.take(|socket| {
            socket.local_addr().is_ok_and(|at| match name {
                Some(name) => at.as_abstract_namespace() == Some(name),
                None => at.as_pathname() == Some(path),
            })
        })
    }

    fn take(&mut self, wanted: impl Fn(&Socket) -> bool) -> Option<Taken> {
        let at = self.sockets.iter().position(|given| wanted(&given.0))?;
        let Given(socket, formerly) = self.sockets.swap_remove(at);
        Some(Taken {
            socket,
            is_own: self.is_own,
            formerly,
        })
    }
}

/// Another handle on a listening socket, through which somebody else can go on listening. It lives as long as the listener.
#[derive(Debug)]
pub struct Spare {
    pub(super) socket: Socket,
    pub(super) is_handed_on: HandedOn,
}

impl Spare {
    pub(super) fn of(socket: &Socket, is_handed_on: &HandedOn) -> io::Result<Spare> {
        Ok(Spare {
            socket: socket.try_clone()?,
            is_handed_on: is_handed_on.clone(),
        })
    }

    /// Somebody else listens on it from now on: a socket file stays when its listener here closes.
    pub fn hand_on(&self) {
        self.is_handed_on.store(true, Relaxed);
    }
}

impl AsFd for Spare {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

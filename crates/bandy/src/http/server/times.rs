//! What a server tells of its own times (Server-Timing, W3C), where a client on this machine asks for it.
//!
//! A request with the field `Bandy-Timing` is answered with `Server-Timing: accept;dur=.., queue;dur=.., handler;dur=..,
//! write;dur=..` in milliseconds, so that whoever measures can set both views of a request beside each other. Times say
//! something of what is inside, so nobody from elsewhere is told them. A connection that never asks costs a look for the
//! field, and no clock is read. Over HTTP/2 there are only `accept` and `handler`.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::http::{HeaderName, HeaderValue, Request, Response};
use crate::net::{Conn, Peer};
use crate::wire::http1::Fields;

/// What asks for it.
pub(super) static WANTS: HeaderName = HeaderName::from_static("bandy-timing");
const TELLS: HeaderName = HeaderName::from_static("server-timing");

/// The times of a connection's requests, from the first on that asked for them.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// When the head of the request at hand began to come.
    read: Option<Instant>,
    /// When its answer began to be written.
    writing: Option<Instant>,
    /// How long the answer before took to be written.
    wrote: Option<Duration>,
    /// From accepting the connection to its first request; told once.
    accept: Option<Duration>,
}

/// What goes along with a request until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    accept: Option<Duration>,
    queue: Option<Duration>,
    write: Option<Duration>,
    called: Instant,
}

impl Times {
    /// Of a connection whose first request asks, or a later one.
    pub(super) fn begin(conn: &Conn, is_first: bool) -> Times {
        Times {
            accept: is_first.then(|| conn.opened().elapsed()),
            ..Times::default()
        }
    }

    /// The first bytes of a request have come.
    pub(super) fn reads(&mut self) {
        self.read = Some(Instant::now());
    }

    /// The service is called with this request.
    pub(super) fn calls(&mut self, request: &mut Request) {
        let called = Instant::now();
        request.extensions_mut().insert(Asked {
            accept: self.accept.take(),
            queue: self.read.take().map(|read| called - read),
            write: self.wrote.take(),
            called,
        });
    }

    /// Its answer begins to be written.
    pub(super) fn writes(&mut self) {
        self.writing = Some(Instant::now());
    }

    /// It is written.
    pub(super) fn wrote(&mut self) {
        self.wrote = self.writing.take().map(|writing| writing.elapsed());
    }
}

/// Whether these fields ask for it.
pub(super) fn is_wanted(fields: Fields<'_>) -> bool {
    let wants = WANTS.as_str().as_bytes();
    fields
        .lines()
        .any(|(name, _)| name.eq_ignore_ascii_case(wants))
}

/// Whether this request asks, and may. It is asked of this server: behind one that passes requests on, everybody would
/// seem to be on this machine, so the field goes no further.
pub(super) fn wants(request: &mut Request, conn: &Conn) -> bool {
    request.headers_mut().remove(&WANTS).is_some() && is_near(conn.peer())
}

/// Whether it is somebody on this machine.
fn is_near(peer: &Peer) -> bool {
    match peer {
        Peer::Ip(address) => address.ip().to_canonical().is_loopback(),
        Peer::Unix { .. } | Peer::Mem => true,
    }
}

/// The times of a connection's streams (HTTP/2). When their frames came and went is not seen, so there is neither queue
/// nor write.
#[derive(Debug)]
pub(super) struct Streams {
    is_told: bool,
    opened: Instant,
    has_told: AtomicBool,
}

impl Streams {
    pub(super) fn of(conn: &Conn) -> Streams {
        Streams {
            is_told: is_near(conn.peer()),
            opened: conn.opened(),
            has_told: AtomicBool::new(false),
        }
    }

    /// A request has come: notes when, if it asks, and may.
    pub(super) fn calls(&self, request: &mut Request) {
        if request.headers_mut().remove(&WANTS).is_none() || !self.is_told {
            return;
        }
        let called = Instant::now();
        let is_first = !self.has_told.swap(true, Relaxed);
        request.extensions_mut().insert(Asked {
            accept: is_first.then(|| called.saturating_duration_since(self.opened)),
            queue: None,
            write: None,
            called,
        });
    }
}

impl Asked {
    /// What goes along with this request, if it asked.
    pub(super) fn take(request: &mut Request) -> Option<Box<Asked>> {
        request.extensions_mut().remove::<Asked>().map(Box::new)
    }

    /// Tells it with the answer.
    pub(super) fn tell(&self, response: &mut Response) {
        let parts = [
            ("accept", self.accept),
            ("queue", self.queue),
            ("handler", Some(self.called.elapsed())),
            // Its own is not over before its head is gone.
            ("write", self.write),
        ];
        let mut text = String::new();
        for (name, took) in parts {
            let Some(took) = took else { continue };
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{name};dur={:.3}", took.as_secs_f64() * 1e3);
        }
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().append(TELLS, value);
        }
    }
}

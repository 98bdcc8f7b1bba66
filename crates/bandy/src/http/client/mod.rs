//! The asking end: requests over a connection that stands, and their answers.
//!
//! A [`Connection`] is made of a [`Conn`]: it speaks HTTP/2 where that was agreed on in the TLS handshake (ALPN) or is
//! wanted ([`Version::Http2`]), else HTTP/1.1, whose bytes `wire::http1` reads and writes. An answer is given as soon as
//! its head is there, even before all of the request's body is sent; reading the answer's body sends on what is left of
//! the request's. Nothing is read ahead of whoever reads the body, and nothing is fetched from the request's body that
//! the server does not take: so a slow end slows the other.
//!
//! A [`Watch`] in a request's extensions is told what happens when, and [`Watch::within`] bounds the silence. Left out:
//! redirects, cookies, retries, pools. The next floors have them.

mod h1;
mod h2;
mod head;
mod watch;

use std::fmt;

use bytes::Bytes;

use super::{Request, Response};
use crate::error::{Error, Kind, Result, Side};
use crate::net::{Conn, Peer, tls};
use crate::wire::http1::Bounds;

pub use watch::{Seen, Watch};

/// A version of HTTP that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.1 (RFC 9112).
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
}

impl Version {
    /// What to offer in a TLS handshake (RFC 7301) to come by this version, or by the better of both.
    pub fn alpn(wish: Option<Version>) -> &'static [&'static str] {
        match wish {
            None => &["h2", "http/1.1"],
            Some(Version::Http1) => &["http/1.1"],
            Some(Version::Http2) => &["h2"],
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Http1 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        })
    }
}

/// The head of an answer as it came: an extension of answers over HTTP/1.1, for those who show it.
#[derive(Debug, Clone)]
pub struct RawHead(pub Bytes);

/// A connection to a server, for one request after the other.
#[derive(Debug)]
pub struct Connection {
    inner: Inner,
    peer: Peer,
    tls: Option<tls::Info>,
    meter: watch::Meter,
}

#[derive(Debug)]
enum Inner {
    H1(h1::Connection),
    H2(h2::Connection),
}

impl Connection {
    /// Begins HTTP on a connection: in the version that is wanted, else in the one that was agreed on.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when the server agreed on another version than is wanted; what the transport reports.
    pub async fn open(conn: Conn, wish: Option<Version>) -> Result<Connection> {
        let agreed = conn.tls().map(|tls| tls.alpn.as_deref());
        let version = match (wish, agreed) {
            (Some(Version::Http2), Some(agreed)) if agreed != Some("h2") => {
                return Err(no_http2(&conn));
            }
            (Some(version), _) => version,
            (None, Some(Some("h2"))) => Version::Http2,
            (None, _) => Version::Http1,
        };
        let (peer, tls) = (conn.peer().clone(), conn.tls().cloned());
        let meter = watch::Meter::of(&conn);
        let inner = match version {
            Version::Http1 => Inner::H1(h1::Connection::new(conn, Bounds::default())),
            Version::Http2 => Inner::H2(h2::Connection::open(conn).await?),
        };
        Ok(Connection {
            inner,
            peer,
            tls,
            meter,
        })
    }

    /// What is spoken on it.
    pub fn version(&self) -> Version {
        match self.inner {
            Inner::H1(_) => Version::Http1,
            Inner::H2(_) => Version::Http2,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What was agreed on in the TLS handshake, if there was one.
    pub fn tls(&self) -> Option<&tls::Info> {
        self.tls.as_ref()
    }

    /// Bytes that went to the server so far, framing included, TLS not.
    pub fn sent_bytes(&self) -> u64 {
        self.meter.sent()
    }

    /// Bytes that came, likewise.
    pub fn received_bytes(&self) -> u64 {
        self.meter.received()
    }

    /// A request's head as it goes over HTTP/1.1, to the byte; over HTTP/2, where it goes packed, what it says.
    pub fn written(&self, request: &Request) -> Vec<u8> {
        head::written(request, self.version())
    }

    /// Sends a request and gives the answer once its head is there.
    ///
    /// The request's target is the path and query of its URI; over HTTP/2 the URI is absolute. Fields are sent as they are,
    /// in their order; how long the body is they may say, and is added where they do not. With `Expect: 100-continue`
    /// the body waits until the server wants it, for a second at most.
    ///
    /// # Errors
    /// [`Kind::Protocol`] for what is no proper answer, [`Kind::Closed`] for one that does not come or breaks off,
    /// [`Kind::Usage`] for a request that says of its body what does not hold, or while an answer before this is not
    /// read to its end.
    pub async fn send(&mut self, mut request: Request) -> Result<Response> {
        let watch = match request.extensions().get::<Watch>() {
            Some(watch) => watch.clone(),
            None => Watch::default(),
        };
        watch.begin(self.meter.clone());
        request.extensions_mut().insert(watch.clone());
        match &mut self.inner {
            Inner::H1(connection) => connection.send(request, watch).await,
            Inner::H2(connection) => connection.send(request, watch).await,
        }
    }

    /// Whether another request can be sent on it.
    pub fn is_free(&self) -> bool {
        match &self.inner {
            Inner::H1(connection) => connection.is_free(),
            Inner::H2(connection) => connection.is_free(),
        }
    }

    /// Says goodbye, if there is anything to say it on.
    pub async fn close(self) {
        match self.inner {
            Inner::H1(connection) => connection.close().await,
            Inner::H2(connection) => connection.close().await,
        }
    }
}

fn no_http2(conn: &Conn) -> Error {
    Error::new(
        Kind::Protocol,
        Side::Upstream,
        format!("speaking HTTP/2 with {}", conn.endpoint()),
    )
    .because("the server did not agree to it in the TLS handshake")
    .hint("ask without wanting HTTP/2")
}

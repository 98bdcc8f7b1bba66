//! One try: a connection to a leased backend, and an exchange on it.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use ::http::Version;

use super::{Turn, head};
use crate::error::{Error, Kind, Result, Side};
use crate::http::Downstream;
use crate::http::client;
use crate::http::upstream::{self, Alarm, Ask, Exchange, Failed, Heard, Keep, Outgoing, Times, h2};
use crate::net::{Conn, Peer, Phases, Tick, proxied};
use crate::pool::options::Deadlines;
use crate::pool::{Backend, Lease, Outcome};
use crate::wire::http1::Asked;

/// Connections to one backend that are kept on one event loop while nobody needs them.
const KEPT: usize = 512;
/// The longest silence inside an answer's body.
const SILENCE: Duration = Duration::from_secs(60);

/// A try that was not made yet.
pub(super) struct Attempt<'a> {
    turn: &'a Turn<'a>,
    lease: Lease,
    times: Times,
}

/// What came of a try.
pub(super) struct Tried {
    pub(super) heard: Heard,
    pub(super) lease: Lease,
    /// How long connecting took; `None` on a connection that stood already.
    pub(super) connected: Option<Duration>,
    /// From the request to the head of its answer, connecting included.
    pub(super) latency: Duration,
}

pub(super) type Failure = (Failed, Outgoing);

/// What a request goes over.
enum Way {
    Http1(Conn),
    Http2(h2::Line),
}

impl<'a> Attempt<'a> {
    pub(super) fn new(turn: &'a Turn<'a>, lease: Lease) -> Attempt<'a> {
        Attempt {
            turn,
            lease,
            times: times(&turn.options.deadlines, turn.began),
        }
    }

    pub(super) fn backend(&self) -> &Arc<Backend> {
        self.lease.backend()
    }

    /// Makes the try. How a failure came about is reported to the backend's health.
    pub(super) async fn run(self, mut body: Outgoing) -> std::result::Result<Tried, Failure> {
        let started = Instant::now();
        if let Some(way) = self.standing() {
            match self.ask(way, body).await {
                Ok(heard) => return Ok(self.tried(heard, None, started)),
                Err((failed, back)) => {
                    body = back;
                    if !self.goes_on(&failed, &mut body) {
                        return Err((failed, body));
                    }
                }
            }
        }
        self.anew(body, started).await
    }

    /// Goes on from a connection that stood, on which it failed.
    pub(super) async fn go_on(
        self,
        (failed, mut body): Failure,
        started: Instant,
    ) -> std::result::Result<Tried, Failure> {
        if !self.goes_on(&failed, &mut body) {
            return Err((failed, body));
        }
        self.anew(body, started).await
    }

    /// After a failure on a connection that stood: whether a new one is to be tried, to which the body goes from its start.
    fn goes_on(&self, failed: &Failed, body: &mut Outgoing) -> bool {
        // It was closed while nobody used it: that says nothing of the backend.
        let is_stale = !failed.heard && failed.error.kind() == Kind::Closed;
        let may_repeat = self.turn.may_repeat || !failed.sent;
        let goes_on = is_stale
            && failed.error.side() == Side::Upstream
            && may_repeat
            && body.rewind()
            && self.turn.pool.budget().withdraw();
        if !goes_on {
            self.report(&failed.error);
        }
        goes_on
    }

    /// Over a new connection.
    async fn anew(self, body: Outgoing, started: Instant) -> std::result::Result<Tried, Failure> {
        // Boxed, as all that is seldom: a request has a future of its own, and is the smaller for it.
        let way = match Box::pin(self.connect()).await {
            Ok(way) => way,
            Err(error) => {
                self.lease.report(Outcome::NotConnected);
                let failed = Failed {
                    error,
                    sent: false,
                    heard: false,
                };
                return Err((failed, body));
            }
        };
        let connected = started.elapsed();
        match Box::pin(self.ask(way, body)).await {
            Ok(heard) => Ok(self.tried(heard, Some(connected), started)),
            Err((failed, body)) => {
                self.report(&failed.error);
                Err((failed, body))
            }
        }
    }

    fn tried(self, heard: Heard, connected: Option<Duration>, started: Instant) -> Tried {
        Tried {
            heard,
            lease: self.lease,
            connected,
            latency: started.elapsed(),
        }
    }

    fn report(&self, error: &Error) {
        if error.side() == Side::Upstream {
            self.lease.report(match error.kind() {
                Kind::TimedOut => Outcome::TimedOut,
                _ => Outcome::Broken,
            });
        }
    }

    /// A connection that stands, if there is one.
    fn standing(&self) -> Option<Way> {
        let backend = self.backend();
        if self.turn.options.proxy_protocol.is_some() {
            return None;
        }
        let http = backend.http();
        if may_be_http2(backend, http)
            && let Some(line) = h2::take(backend.id())
        {
            return Some(Way::Http2(line));
        }
        match http {
            Some(client::Version::Http2) => None,
            // Whoever reads from it says whom that wakes.
            _ => upstream::take(backend.id(), Waker::noop()).map(Way::Http1),
        }
    }

    async fn connect(&self) -> Result<Way> {
        let backend = self.backend();
        let keep = self.keep();
        let mut phases = Phases::default();
        let connecting = async {
            if backend.http() == Some(client::Version::Http2) {
                let line = h2::take_or_open(keep, backend.connect(&mut phases)).await?;
                return Ok(Way::Http2(line));
            }
            let header = self.header();
            let conn = backend.connect_saying(&header, &mut phases).await?;
            match conn.tls().and_then(|tls| tls.alpn.as_deref()) {
                Some("h2") => Ok(Way::Http2(h2::open(conn, keep).await?)),
                _ => Ok(Way::Http1(conn)),
            }
        };
        let left = self.times.head_by.map(Tick::remaining);
        match tokio::time::timeout(left.unwrap_or(FOREVER), connecting).await {
            Ok(connected) => connected,
            Err(_) => {
                let act = format!("connecting to {}", backend.endpoint());
                let error = Error::new(Kind::TimedOut, Side::Upstream, act);
                Err(error.because("the request's time is over"))
            }
        }
    }

    /// What a connection begins with: who came, where the backend is to be told.
    fn header(&self) -> Vec<u8> {
        let Some(version) = self.turn.options.proxy_protocol else {
            return Vec::new();
        };
        let downstream = self.turn.downstream.as_ref();
        let peer = downstream.map_or(&Peer::Mem, Downstream::peer);
        proxied::naming(version, peer, downstream.and_then(Downstream::local))
    }

    fn keep(&self) -> Keep {
        let kept = keep(self.backend(), &self.turn.options.deadlines);
        match self.turn.options.proxy_protocol {
            // One that speaks for its client is nobody else's.
            Some(_) => Keep { at_most: 0, ..kept },
            None => kept,
        }
    }

    async fn ask(&self, way: Way, body: Outgoing) -> std::result::Result<Heard, Failure> {
        let turn = self.turn;
        match way {
            Way::Http1(conn) => {
                let ask = Ask {
                    asked: Asked::by(turn.parts.method.as_str()),
                    expects_continue: head::expects_continue(&turn.parts) && !body.is_whole(),
                };
                let length = body.length();
                // The task of a conversation over HTTP/1.1 polls the service itself.
                let is_same_task = turn.parts.version < Version::HTTP_2;
                let alarm = Alarm::new(turn.downstream.as_ref(), is_same_task);
                let exchange = Exchange::new(conn, self.keep(), ask, body, alarm, self.times);
                let heard = exchange
                    .run(|out| head::write(out, &head::asking(turn), length, ask.expects_continue))
                    .await?;
                asked_for(heard, turn.upgrades).map_err(nothing)
            }
            Way::Http2(_) if turn.upgrades => Err((
                Failed {
                    error: Error::new(Kind::Usage, Side::Local, "switching the protocol")
                        .because("the backend speaks HTTP/2")
                        .hint("write `http = \"1.1\"` in its pool"),
                    sent: true,
                    heard: false,
                },
                body,
            )),
            Way::Http2(line) => {
                let is_secure = self.backend().endpoint().scheme().is_secure();
                let request = match head::absolute(turn, is_secure) {
                    Ok(request) => request,
                    Err(error) => return Err(nothing(error)),
                };
                let asked = line.ask(request, body, Alarm::new(None, false), self.times);
                Box::pin(asked).await
            }
        }
    }
}

/// How long a try may take that is made now, of a request that began then.
pub(super) fn times(deadlines: &Deadlines, began: Tick) -> Times {
    let per_try = deadlines.per_try.map(Tick::after);
    let total = deadlines.total.map(|total| began.plus(total));
    let head_by = match (per_try, total) {
        (Some(one), Some(all)) => Some(one.min(all)),
        (one, all) => one.or(all),
    };
    Times {
        head_by,
        silence: Some(SILENCE),
    }
}

/// Where the connection goes when nothing is left on it.
pub(super) fn keep(backend: &Backend, deadlines: &Deadlines) -> Keep {
    Keep {
        backend: backend.id(),
        idle: deadlines.keep,
        at_most: KEPT,
    }
}

/// A connection that stands to a backend that is asked in HTTP/1.1 and nothing else. What comes on it wakes `waker`.
pub(super) fn standing_http1(
    backend: &Backend,
    http: Option<client::Version>,
    waker: &Waker,
) -> Option<Conn> {
    let is_plain = !may_be_http2(backend, http);
    is_plain.then(|| upstream::take(backend.id(), waker))?
}

/// What was heard, if it is what was asked for.
pub(super) fn asked_for(heard: Heard, upgrades: bool) -> Result<Heard> {
    match heard {
        Heard::Switch(..) if !upgrades => Err(unasked()),
        heard => Ok(heard),
    }
}

/// What cannot be tried again.
pub(super) fn nothing(error: Error) -> Failure {
    let failed = Failed {
        error,
        sent: true,
        heard: true,
    };
    (failed, Outgoing::spent())
}

fn unasked() -> Error {
    Error::new(Kind::Protocol, Side::Upstream, "reading an answer")
        .because("the backend switched to a protocol that nobody asked for")
}

fn may_be_http2(backend: &Backend, http: Option<client::Version>) -> bool {
    match http {
        Some(version) => version == client::Version::Http2,
        None => backend.endpoint().scheme().is_secure(),
    }
}

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

//! The asking end: says what there is to say, listens at the same time, and knows when a conversation is over.
//!
//! An [`Ask`] says whom and by which [`Rules`]; a [`Script`] is what is said; what happens is told to a [`Sink`] as it
//! happens, and summed up in an [`Outcome`]. Nothing here prints. Both directions run at once, and each holds a bounded
//! number of bytes: a source that is faster than the peer waits, and so does a peer that is faster than the sink.
//!
//! | the endpoint carries | what is said | the conversation ends |
//! |---|---|---|
//! | a stream | items with a line end each, or the source's bytes as they are | when the peer closes |
//! | messages | one for each item or line of the source | after as many answers as were sent, at least one |
//! | datagrams | one for each item or line of the source | after one answer, once all is said |
//!
//! [`Rules::answers`] ends any of them after so many answers. An answer of a stream is a line, or a begun line that is
//! followed by the peer's end or by 200 ms of silence.
//!
//! A peer may close before it took everything that was to be said: when its end is proper (FIN, TLS's `close_notify`,
//! WebSocket's close) then its answer is whole, and [`Outcome::unsaid`] tells. A reset cuts the answer, and is a failure
//! even after bytes came, unless all the answers that were wanted are there.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::endpoint::{Carries, Endpoint};
use crate::error::{Error, Kind, Result, Side};
use crate::net::{Conn, Dialer, Peer, Phases, tls};

mod answers;
pub mod chat;
mod exchange;
mod script;
mod talk;
mod times;

pub use script::Script;
pub use times::{Span, Times};

/// How long a silence ends a line that was begun, where answers are counted. As for a server's messages.
pub const SILENCE: Duration = crate::net::Messages::PAUSE;

/// How long outstanding answers are waited for when someone at a terminal has ended the input.
pub const QUIET: Duration = Duration::from_secs(1);

/// When a conversation is over, and what counts as a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Our direction stays open after the last word. On messages and datagrams, which have no such thing: the
    /// conversation goes on until the peer ends it.
    pub half_open: bool,
    /// End after so many answers; a peer that closes earlier did not meet the expectation. 0 waits for none.
    pub answers: Option<usize>,
    /// The longest that connecting, handshakes included, and then each wait for the peer may take. Waiting for the
    /// source or the sink is not timed.
    pub timeout: Option<Duration>,
    /// Streams only: each item is followed by a line feed.
    pub newline: bool,
    /// Someone is typing: an empty answer is no failure, and after the end of input messages and datagrams are waited
    /// for no longer than [`QUIET`].
    pub interactive: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            half_open: false,
            answers: None,
            timeout: Some(Duration::from_secs(30)),
            newline: true,
            interactive: false,
        }
    }
}

/// Something that happened in a conversation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The connection stands, handshakes and all.
    Connected(&'a Conn),
    /// Bytes of a stream, or a message, that the transport took.
    Sent(&'a Bytes),
    /// Bytes of a stream as they came, or a message.
    Received(&'a Bytes),
    /// The line that was begun is an answer as it is: silence followed it. Only where [`Rules::answers`] counts.
    Silence,
}

/// Who is told what happens.
pub trait Sink {
    /// Takes an event, without waiting: there is room, for [`Sink::ready`] said so.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when nobody listens any more: the conversation ends without a failure.
    fn event(&mut self, event: Event<'_>) -> io::Result<()>;

    /// Waits until there is room for one more event. Cancel-safe. Until it is ready nothing is read from the peer.
    fn ready(&mut self) -> impl Future<Output = io::Result<()>> {
        std::future::ready(Ok(()))
    }

    /// Whether [`Event::Sent`] is of interest. Then nothing is sent either until the sink is ready.
    fn watches_sent(&self) -> bool {
        false
    }
}

/// How a conversation ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The peer closed, with its answer given.
    PeerClosed,
    /// As many answers came as were to come.
    Answers,
    /// All is said, and no more answers are waited for.
    Said,
    /// The caller's `stop`.
    Interrupted,
    /// Nobody listens to the sink any more.
    Unheard,
    /// The peer closed without a word.
    Empty(Error),
    /// The peer closed before all the wanted answers came.
    Short(Error),
    /// Anything else that failed.
    Failed(Error),
}

impl Ended {
    /// What went wrong, if something did.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Ended::Empty(e) | Ended::Short(e) | Ended::Failed(e) => Some(e),
            _ => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::PeerClosed => "peer closed",
            Ended::Answers => "answers",
            Ended::Said => "said",
            Ended::Interrupted => "interrupted",
            Ended::Unheard => "unheard",
            Ended::Empty(_) => "empty",
            Ended::Short(_) => "too few answers",
            Ended::Failed(e) if e.kind() == Kind::TimedOut => "timed out",
            Ended::Failed(_) => "failed",
        })
    }
}

/// A conversation, summed up. Complete as far as it went, however it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Who answered; `None` when no connection came about.
    pub peer: Option<Peer>,
    /// What was agreed on in the TLS handshake, if there was one.
    pub tls: Option<tls::Info>,
    /// Bytes said, without what TLS and WebSocket add.
    pub sent_bytes: u64,
    /// Bytes that came, likewise.
    pub received_bytes: u64,
    /// Answers that came whole: lines on a stream, else messages.
    pub answers: usize,
    /// Whether the conversation ended before all was said.
    pub unsaid: bool,
    /// When each part began and how long it took.
    pub times: Times,
    /// How it ended.
    pub ended: Ended,
}

/// One question to one endpoint.
#[derive(Debug, Clone)]
pub struct Ask {
    endpoint: Endpoint,
    dialer: Dialer,
    rules: Rules,
}

impl Ask {
    /// Asks `endpoint` by these rules. The dialer says whom to trust.
    pub fn new(endpoint: Endpoint, dialer: Dialer, rules: Rules) -> Ask {
        Ask {
            endpoint,
            dialer,
            rules,
        }
    }

    /// Connects, converses and closes. `stop` ends it early, for Ctrl-C and the like.
    pub async fn run(
        &self,
        script: Script,
        sink: &mut impl Sink,
        stop: impl Future<Output = ()>,
    ) -> Outcome {
        let mut stop = std::pin::pin!(stop);
        let began = Instant::now();
        let mut phases = Phases::default();
        let connected = tokio::select! {
            connected = self.connect(&mut phases) => connected.map_err(Ended::Failed),
            () = &mut stop => Err(Ended::Interrupted),
        };
        match connected {
            Ok(conn) => {
                let mut outcome = Outcome::before(Ended::Interrupted);
                outcome.peer = Some(conn.peer().clone());
                outcome.tls = conn.tls().cloned();
                outcome.times = Times::connected(began, phases);
                talk::converse(conn, script, &self.rules, sink, stop, &mut outcome).await;
                outcome
            }
            Err(ended) => {
                let mut outcome = Outcome::before(ended);
                outcome.times = Times::connected(began, phases);
                outcome
            }
        }
    }

    /// Connects within the rules' timeout.
    async fn connect(&self, phases: &mut Phases) -> Result<Conn> {
        let connecting = self.dialer.connect(&self.endpoint, phases);
        let Some(timeout) = self.rules.timeout else {
            return connecting.await;
        };
        match tokio::time::timeout(timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(too_slow(&self.endpoint, phases, timeout)),
        }
    }
}

impl Outcome {
    fn before(ended: Ended) -> Outcome {
        Outcome {
            peer: None,
            tls: None,
            sent_bytes: 0,
            received_bytes: 0,
            answers: 0,
            unsaid: true,
            times: Times::default(),
            ended,
        }
    }
}

/// The error for a part of connecting that took too long: the first that `phases` does not know.
pub fn too_slow(endpoint: &Endpoint, phases: &Phases, timeout: Duration) -> Error {
    let (act, hint) = if phases.connect.is_none() {
        (
            format!("connecting to {endpoint}"),
            "is the address right, and is no firewall between?",
        )
    } else if endpoint.scheme().is_secure() && phases.tls.is_none() {
        (
            format!("TLS handshake with {endpoint}"),
            "does the other end speak TLS? It may be waiting for plain text",
        )
    } else if endpoint.scheme().carries() == Carries::Request {
        (
            format!("beginning HTTP with {endpoint}"),
            "is the server busy or stuck?",
        )
    } else {
        (
            format!("WebSocket handshake with {endpoint}"),
            "does the other end speak WebSocket?",
        )
    };
    Error::new(Kind::TimedOut, Side::Upstream, act)
        .because(format!("nothing came in {timeout:?}"))
        .hint(hint)
}

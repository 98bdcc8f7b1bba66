//! Every bound, its name and its default.
//!
//! A server is configured with a [`Limits`]; the floors above and below read their bounds from it, so that a bound can
//! be found here whatever it limits.

use std::time::Duration;

/// What happens to a new connection when [`Limits::connections`] are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overload {
    /// It waits until one ends: accepted where it is the next of its listener, else in the system's backlog.
    #[default]
    Wait,
    /// It is accepted and closed, with a line in the log.
    Refuse,
}

impl Overload {
    /// Both, for messages and help.
    pub const ALL: [Overload; 2] = [Overload::Wait, Overload::Refuse];

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Overload::Wait => "wait",
            Overload::Refuse => "refuse",
        }
    }
}

/// The bounds of one server. A deadline of `None` never passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, over all the server's listeners; UDP flows have [`Limits::flows`].
    pub connections: usize,
    /// What becomes of those beyond.
    pub overload: Overload,
    /// From accept to the end of the TLS and WebSocket handshakes.
    pub handshake: Duration,
    /// The longest that a connection may go without a byte in either direction. A reader that stops reading is idle
    /// too, once the buffers between are full.
    pub idle: Option<Duration>,
    /// From accept to close, busy or not.
    pub lifetime: Option<Duration>,
    /// How long conversations may go on after a shutdown began.
    pub drain: Duration,
    /// The longest message: a line of a stream, a WebSocket message. Bytes.
    pub message_bytes: usize,
    /// UDP flows remembered at once, for each listener and event loop.
    pub flows: usize,
    /// How long a UDP flow is remembered after its last datagram.
    pub flow_idle: Duration,
    /// Datagrams that wait for one flow's service; more are dropped and counted.
    pub flow_queue: usize,
    /// What requests and their connections may be and take.
    pub http: HttpLimits,
}

/// The bounds of HTTP. A deadline of `None` never passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// From a request's first byte to the end of its head, and from accept to the first of them. Absolute: a byte now
    /// and then does not move it.
    pub head: Duration,
    /// How long a connection is kept between two requests.
    pub keep_alive: Option<Duration>,
    /// The longest head: request line and fields. Bytes. More is answered with 431.
    pub head_bytes: usize,
    /// The longest request target. Bytes. More is answered with 414.
    pub target_bytes: usize,
    /// The most fields. More are answered with 431.
    pub fields: usize,
    /// The longest request body. Bytes. More is answered with 413.
    pub body_bytes: u64,
    /// The least that a body must bring while it is waited for, in bytes a second, after [`HttpLimits::body_grace`].
    pub body_rate: u64,
    /// How long a body may take whatever its length.
    pub body_grace: Duration,
    /// The longest that a client may leave what it is sent untaken.
    pub send: Duration,
    /// Requests of one connection, after which it is closed in an orderly way; 0 is no bound.
    pub requests: u64,
    /// HTTP/2 streams open at once on a connection.
    pub streams: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            head: Duration::from_secs(10),
            keep_alive: Some(Duration::from_secs(75)),
            head_bytes: 32 << 10,
            target_bytes: 8 << 10,
            fields: 100,
            body_bytes: 16 << 20,
            body_rate: 500,
            body_grace: Duration::from_secs(10),
            send: Duration::from_secs(60),
            requests: 0,
            streams: 128,
        }
    }
}

impl Limits {
    /// The default of [`Limits::connections`] where every connection costs a thread.
    pub const CONNECTIONS_THREADS: usize = 1_000;
    /// The default of [`Limits::idle`] where people talk, and listen more than they talk.
    pub const IDLE_CHAT: Duration = Duration::from_secs(3600);
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 20_000,
            overload: Overload::Wait,
            handshake: Duration::from_secs(10),
            idle: Some(Duration::from_secs(300)),
            lifetime: None,
            drain: Duration::from_secs(10),
            message_bytes: 1 << 20,
            flows: 10_000,
            flow_idle: Duration::from_secs(30),
            flow_queue: 256,
            http: HttpLimits::default(),
        }
    }
}

/// The bounds of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLimits {
    /// The longest key of a record and name of a log. Bytes.
    pub key_bytes: usize,
    /// The longest value of a record or an entry. Bytes.
    pub value_bytes: usize,
    /// The longest batch, names and values and a little for each write. Bytes.
    pub batch_bytes: usize,
    /// After how many bytes an answer of several records or entries ends early. One that is longer comes alone.
    pub answer_bytes: usize,
    /// Batches that wait to be written; who has more to write waits. They have [`StoreLimits::batch_bytes`] together,
    /// or one of them has.
    pub queue: usize,
    /// Reads that wait for one of the connections that read; more wait before that.
    pub reads: usize,
    /// How long to wait for another process that is writing.
    pub busy: Duration,
    /// The largest that the store's file may become; rounded up to a page. Bytes.
    pub file_bytes: Option<u64>,
}

impl Default for StoreLimits {
    fn default() -> Self {
        StoreLimits {
            key_bytes: 1 << 10,
            value_bytes: 16 << 20,
            batch_bytes: 64 << 20,
            answer_bytes: 16 << 20,
            queue: 1_024,
            reads: 1_024,
            busy: Duration::from_secs(5),
            file_bytes: None,
        }
    }
}

//! What a pool was told: the value that a configuration's `[pool.NAME]` and the command line both become.

use std::net::SocketAddr;
use std::time::Duration;

use super::budget::Budget;
use super::health;
use super::strategy::Choice;
use crate::endpoint::{Carries, Endpoint, Host, Scheme};
use crate::http::client::Version;
use crate::net::tls::ClientTls;
use crate::wire::proxy;

/// A pool, every default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// How a backend is picked.
    pub strategy: Choice,
    /// The backends, in the order that they were written.
    pub members: Vec<Member>,
    /// Whom to believe where backends are asked over TLS, and as whom to appear.
    pub tls: ClientTls,
    /// How it is found out which of them are well.
    pub health: health::Options,
    /// How often is tried again.
    pub retry: Retry,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Who waits while all backends are at their `max`.
    pub queue: Waiting,
    /// A client stays with its backend, by a cookie.
    pub sticky: Option<Sticky>,
    /// When an idempotent request that was not answered is sent to another backend too.
    pub hedge: Option<Duration>,
    /// How long a backend that came back takes to its full weight.
    pub slow_start: Option<Duration>,
    /// The name server that is asked for backends' names; `None` is the system's.
    pub resolver: Option<SocketAddr>,
    /// Which version of HTTP backends are asked in; `None` is what they offer in the TLS handshake, else HTTP/1.1.
    pub http: Option<Version>,
    /// Connections to backends begin with whom they bring (the PROXY protocol). Each request then has one of its own,
    /// which is not kept: it speaks for nobody else.
    pub proxy_protocol: Option<proxy::Version>,
}

/// A backend as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where it is. A host that is a name stands for a backend at each of its addresses.
    pub endpoint: Endpoint,
    /// Whether the host is the name of a service, for which the DNS has hosts and ports (SRV; RFC 2782). The port means
    /// nothing then.
    pub is_srv: bool,
    /// Of what a name stands for: the address. Nobody writes it.
    pub address: Option<SocketAddr>,
    /// What reports, logs and sticky cookies call it.
    pub name: String,
    /// Its share of the work, beside the others' weights.
    pub weight: u32,
    /// The most connections or requests that it has at once.
    pub max: Option<usize>,
}

/// How often is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The most retries of one request or connection; 0 is none.
    pub times: u32,
    /// The share of all requests that may be retries. Percent.
    pub budget: u32,
}

/// How long things may take. `None` never passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection to a backend, handshakes included.
    pub connect: Duration,
    /// For one try, until the head of the answer.
    pub per_try: Option<Duration>,
    /// For all tries together, until the head of the answer.
    pub total: Option<Duration>,
    /// How long a connection to a backend is kept while nobody needs it.
    pub keep: Duration,
}

/// Who waits while all backends are at their `max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// How many may wait; 0 is nobody.
    pub length: usize,
    /// How long each does.
    pub wait: Duration,
}

/// A client stays with its backend, by a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// The cookie's name.
    pub cookie: String,
}

impl Member {
    /// A backend at this endpoint with every default.
    pub fn new(endpoint: Endpoint) -> Member {
        Member {
            name: endpoint.to_string(),
            endpoint,
            is_srv: false,
            address: None,
            weight: 1,
            max: None,
        }
    }
}

impl Member {
    /// The name that is to be looked up, if there is one. `localhost` is this machine, and there is nothing to look up.
    pub fn host_to_resolve(&self) -> Option<&str> {
        match self.endpoint.host()? {
            Host::Name(name) if self.is_srv || !is_this_machine(name) => Some(name),
            _ => None,
        }
    }
}

fn is_this_machine(name: &str) -> bool {
    // RFC 6761, section 6.3.
    name == "localhost" || name.ends_with(".localhost")
}

impl Options {
    /// The most weight.
    pub const WEIGHT_MAX: u32 = 1_000;

    /// A pool of these backends with every default.
    pub fn new(name: impl Into<String>, members: impl IntoIterator<Item = Endpoint>) -> Options {
        Options {
            name: name.into(),
            strategy: Choice::default(),
            members: members.into_iter().map(Member::new).collect(),
            tls: ClientTls::default(),
            health: health::Options::default(),
            retry: Retry::default(),
            deadlines: Deadlines::default(),
            queue: Waiting::default(),
            sticky: None,
            hedge: None,
            slow_start: None,
            resolver: None,
            http: None,
            proxy_protocol: None,
        }
    }

    /// The version of HTTP that backends are asked in. A PROXY header speaks for all of a connection, and over HTTP/2
    /// requests of many share one: whoever is told who came is asked in HTTP/1.1.
    pub fn http_asked(&self) -> Option<Version> {
        match self.proxy_protocol {
            Some(_) => Some(Version::Http1),
            None => self.http,
        }
    }

    /// Whether all its backends can be asked by what answers on something that carries this.
    pub fn can_answer(&self, carries: Carries) -> bool {
        self.members
            .iter()
            .all(|member| can_answer(member.endpoint.scheme(), carries))
    }
}

/// Whether a backend of this scheme can be asked for what comes in on something that carries this.
///
/// A Unix socket and a name inside the process say nothing of what is spoken there: it is what comes in.
pub fn can_answer(backend: Scheme, carries: Carries) -> bool {
    match backend {
        Scheme::Unix | Scheme::Mem => matches!(carries, Carries::Stream | Carries::Request),
        // A WebSocket behind HTTP is a request like any other, until it is upgraded: its backend is `http`.
        _ => backend.carries() == carries,
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            times: 2,
            budget: Budget::PERCENT,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Duration::from_secs(5),
            per_try: None,
            total: Some(Duration::from_secs(60)),
            keep: Duration::from_secs(60),
        }
    }
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting {
            length: 1_000,
            wait: Duration::from_secs(5),
        }
    }
}

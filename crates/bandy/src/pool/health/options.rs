//! What health is judged by.

use std::time::Duration;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// What each backend is asked by itself; `None` asks nothing.
    pub probe: Option<Probe>,
    /// How many probes decide.
    pub rules: Rules,
    /// What traffic may say.
    pub passive: Passive,
    /// When nearly nobody is well.
    pub panic: Panic,
}

/// What a backend is asked by itself, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What.
    pub check: Check,
    /// From one to the next, give or take a tenth, so that many balancers do not ask at once.
    pub every: Duration,
    /// How long it may take, from connecting to the answer.
    pub timeout: Duration,
    /// Another port to ask at than the one that is served.
    pub port: Option<u16>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// That it accepts a connection; where its scheme has TLS or WebSocket, with these handshakes.
    Connect,
    /// `GET` this path.
    Http {
        /// Path and query.
        path: String,
        /// What must come.
        expect: Expect,
        /// The `Host` field, where it is not the backend's own.
        host: Option<String>,
    },
    /// The gRPC health protocol (`grpc.health.v1.Health/Check`), for this service; empty is the whole server.
    Grpc {
        /// The service's name.
        service: String,
    },
    /// Says this, and hears that: over a stream, over WebSocket or over UDP.
    Exchange {
        /// What is said.
        send: String,
        /// What must be in what is heard; empty is anything.
        expect: String,
    },
}

/// What must come over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The lowest and the highest status.
    pub status: (u16, u16),
    /// What must be in the body's first 64 KiB; empty is anything.
    pub body: String,
}

/// How many probes decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that take a backend down.
    pub fall: u32,
    /// Successes in a row that bring it back.
    pub rise: u32,
}

/// What traffic may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passive {
    /// Failures in a row that eject; 0 is never.
    pub failures: u32,
    /// The share of failures that ejects. Percent; 0 is never.
    pub share: u32,
    /// Within how long that share is looked for.
    pub window: Duration,
    /// How many must have ended in it.
    pub requests: u64,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest.
    pub pause_max: Duration,
}

/// When nearly nobody is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// Of those that can be connected to, the share below which it is so. Percent; 0 is never.
    pub below: u32,
    /// What then.
    pub policy: Policy,
}

/// What is done when nearly nobody is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// All of them are asked, well or not, as long as they can be connected to.
    #[default]
    All,
    /// Nobody is: it fails at once.
    Fail,
}

impl Policy {
    /// Both, for messages and help.
    pub const ALL: [Policy; 2] = [Policy::All, Policy::Fail];

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::All => "all",
            Policy::Fail => "fail",
        }
    }
}

impl Probe {
    /// This check with every default.
    pub fn new(check: Check) -> Probe {
        Probe {
            check,
            every: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
            port: None,
        }
    }
}

impl Default for Expect {
    fn default() -> Expect {
        Expect {
            status: (200, 399),
            body: String::new(),
        }
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { fall: 3, rise: 2 }
    }
}

impl Default for Passive {
    fn default() -> Passive {
        Passive {
            failures: 3,
            share: 50,
            window: Duration::from_secs(10),
            requests: 20,
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(30),
        }
    }
}

impl Default for Panic {
    fn default() -> Panic {
        Panic {
            below: 50,
            policy: Policy::All,
        }
    }
}

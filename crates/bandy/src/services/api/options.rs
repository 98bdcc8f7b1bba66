//! What the application server can be told: every bound of its own, with its default.

use std::time::Duration;

/// How an [`Api`](super::Api) is. The defaults are safe with nothing set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether the endpoints that clients are tested with are there: `/echo`, `/status` and their like.
    pub testing: bool,
    /// The longest body that is read as one: a document, a form. Bytes.
    pub body_bytes: usize,
    /// How deep a document may be nested.
    pub depth: usize,
    /// The changes of a collection that are kept for those who come back for them.
    pub changes: u64,
    /// How long another process's change of a collection's rules may go unnoticed. Changes made here are noticed at once.
    pub stale: Duration,
    /// How often a stream of events that has nothing to say shows that it is alive.
    pub heartbeat: Duration,
    /// The longest that a client may ask an answer to take (`/delay`, `/drip`, `/sse`).
    pub longest: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            testing: true,
            body_bytes: 256 << 10,
            depth: 32,
            changes: 10_000,
            stale: Duration::from_secs(2),
            heartbeat: Duration::from_secs(15),
            longest: Duration::from_secs(10),
        }
    }
}

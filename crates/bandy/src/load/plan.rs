//! What a run is: values that do not depend on each other.

use std::time::Duration;

use super::chat::Room;
use super::pace::Pace;
use super::script::Script;
use super::work::Said;
use crate::endpoint::Endpoint;
use crate::net::Dialer;

/// A run, before it is started: pace, stop and work can each be any.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whom to ask.
    pub to: Endpoint,
    /// How to get there.
    pub dialer: Dialer,
    /// What is asked.
    pub work: Work,
    /// When.
    pub pace: Pace,
    /// Until when.
    pub stop: Stop,
    /// Connections, over all event loops; at most [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// After so many requests a connection is closed, and another made. `None` keeps it.
    pub per_connection: Option<u64>,
    /// How long a request may take, connecting included.
    pub timeout: Duration,
    /// Event loops, each with a thread of its own: one for each core if this is `None`, and never more than connections.
    pub loops: Option<usize>,
}

/// Connections that a run may have.
pub const CONNECTIONS_MAX: usize = 100_000;

/// What is asked.
#[derive(Debug, Clone)]
pub enum Work {
    /// Requests over HTTP/1.1, one at a time on a connection.
    Http1(Script),
    /// Requests over HTTP/2, so many at a time on a connection.
    Http2 {
        /// The requests.
        script: Script,
        /// How many at a time.
        streams: usize,
    },
    /// Lines of a stream.
    Lines(Said),
    /// Messages or datagrams.
    Messages(Said),
    /// People in a room, of whom each connection is one. It needs [`Pace::Open`].
    Chat(Room),
}

impl Work {
    /// How many requests may be on their way on one connection.
    pub fn streams(&self) -> usize {
        match self {
            Work::Http2 { streams, .. } => (*streams).max(1),
            _ => 1,
        }
    }
}

/// When a run ends; when several are given, at the first. With none of them it is stopped from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stop {
    /// After this long.
    pub after: Option<Duration>,
    /// After so many requests, once each has ended.
    pub requests: Option<u64>,
}

impl Plan {
    /// How long a slice of the run's time is: some hundred of them make a run, and none is shorter than a tenth of a
    /// second.
    pub fn slice(&self) -> Duration {
        let whole = self.stop.after.unwrap_or(SLICES_OF);
        (whole / 100).clamp(Duration::from_millis(100), Duration::from_secs(60))
    }
}

/// A run without a set end has slices as one this long.
const SLICES_OF: Duration = Duration::from_secs(100);

//! What a chat can be told.

use std::time::Duration;

use super::model::{RoomName, Rules};

/// What a chat can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The bounds of the model: guests, who may make rooms, how many, how fast.
    pub rules: Rules,
    /// Where everybody begins. `None` is `lobby`.
    pub room: Option<RoomName>,
    /// Entries of a room that are kept; older ones are forgotten.
    pub history: u64,
    /// Events that may wait for one session; who leaves more is cut, and may come back and resume.
    pub outbox: usize,
    /// A session that says nothing is asked this often whether it is there, where the protocol can.
    pub ping: Duration,
    /// What is said to whoever comes, in a line or more.
    pub welcome: String,
}

/// Where everybody begins, unless told otherwise.
pub const LOBBY: &str = "lobby";

impl Options {
    /// Where everybody begins.
    pub fn room(&self) -> Option<RoomName> {
        self.room.clone().or_else(|| RoomName::parse(LOBBY).ok())
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rules: Rules::default(),
            room: None,
            history: 100_000,
            outbox: 2_048,
            ping: Duration::from_secs(60),
            welcome: String::new(),
        }
    }
}

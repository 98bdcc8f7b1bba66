//! The messages of chat over WebSocket, as types. `schema.json` beside this file describes the same for everybody else.
//!
//! A client sends a [`Request`] with a number of its own and gets one [`Answer`] with that number; in between and at any
//! time come [`Happening`]s. Times are milliseconds since 1970, a place in a room's log is its `epoch` and `seq`.

pub use super::answer::{
    Answer, Came, FromServer, Good, Member, Room, RoomLine, RuleLine, Somebody, TopicLine,
    UnreadLine, Wrong,
};
pub use super::happening::{Happening, Is, Live, Logged};
pub use super::request::{Ask, At, Request, To};

/// The version of these messages. What is added to them later changes it not; what would break a client does.
pub const VERSION: u32 = 1;

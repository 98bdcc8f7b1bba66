//! What clients send.

use serde::{Deserialize, Serialize};

use crate::services::chat::model::{Manner, Place, Role, Setting};

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Given back with the answer.
    #[serde(rename = "ref")]
    pub reference: u64,
    /// What it asks for.
    #[serde(flatten)]
    pub ask: Ask,
}

/// Where something is said or read: a room, or the conversation with somebody. One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct To {
    /// The room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// Or the nick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<String>,
}

impl To {
    /// A room.
    pub fn room(name: impl Into<String>) -> To {
        To {
            room: Some(name.into()),
            nick: None,
        }
    }

    /// Somebody.
    pub fn nick(nick: impl Into<String>) -> To {
        To {
            room: None,
            nick: Some(nick.into()),
        }
    }
}

/// A place in a room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// Which log.
    pub epoch: u64,
    /// The entry.
    pub seq: u64,
}

impl From<Place> for At {
    fn from(place: Place) -> At {
        At {
            epoch: place.epoch,
            seq: place.seq,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ask {
    /// Come in: as a guest with a nick, with name and password, or with a session's token.
    Enter {
        /// What a guest wants to be called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nick: Option<String>,
        /// The account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// Its password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        /// The token of a session that was begun at `/login`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// What the server gave a guest, to be the same one again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<String>,
    },
    /// Go into a room and follow it.
    Join {
        /// The room.
        room: String,
        /// Its password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        /// Resume: the last entry that is known. The answer has what was missed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<At>,
        /// Without `after`: so many of the last entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recent: Option<usize>,
    },
    /// Leave a room.
    Part {
        /// The room.
        room: String,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Say something.
    Say {
        /// Where.
        #[serde(flatten)]
        to: To,
        /// What.
        text: String,
        /// How.
        #[serde(default)]
        manner: Manner,
        /// Sent again under the same nonce, it is not said again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nonce: Option<String>,
        /// The entry that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<u64>,
    },
    /// Say it otherwise.
    Edit {
        /// Where.
        #[serde(flatten)]
        to: To,
        /// The entry.
        seq: u64,
        /// The new text.
        text: String,
    },
    /// Take it back.
    Delete {
        /// Where.
        #[serde(flatten)]
        to: To,
        /// The entry.
        seq: u64,
    },
    /// Say what a room is about.
    Topic {
        /// The room.
        room: String,
        /// One line; empty for nothing.
        text: String,
    },
    /// Put somebody out.
    Kick {
        /// The room.
        room: String,
        /// Who.
        nick: String,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Keep somebody out.
    Ban {
        /// The room.
        room: String,
        /// Who, by nick or account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nick: Option<String>,
        /// Or whoever comes from there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<std::net::IpAddr>,
        /// For how long; for good where it is not there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// Let them in again.
    Unban {
        /// The room.
        room: String,
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nick: Option<String>,
        /// Or from where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<std::net::IpAddr>,
    },
    /// Keep somebody silent.
    Mute {
        /// The room.
        room: String,
        /// Who.
        nick: String,
        /// For how long; for good where it is not there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u64>,
    },
    /// Let them speak again.
    Unmute {
        /// The room.
        room: String,
        /// Who.
        nick: String,
    },
    /// Invite somebody.
    Invite {
        /// The room.
        room: String,
        /// Who.
        nick: String,
    },
    /// Give somebody a role, or take it away.
    Role {
        /// The room.
        room: String,
        /// Who.
        nick: String,
        /// Which.
        role: Option<Role>,
    },
    /// Set something of a room.
    Set {
        /// The room.
        room: String,
        /// What.
        setting: Setting,
    },
    /// Be called otherwise.
    Nick {
        /// So.
        nick: String,
    },
    /// Be away, or back.
    Away {
        /// What is said about it; nothing is back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// One is writing, or not any more.
    Typing {
        /// Where.
        #[serde(flatten)]
        to: To,
        /// Whether.
        active: bool,
    },
    /// What there is to know of a room, and who is in it.
    Look {
        /// The room.
        room: String,
    },
    /// What there is to know of somebody.
    Whois {
        /// Who.
        nick: String,
    },
    /// Which rooms there are.
    Rooms,
    /// What was said. The latest of it, or one of the others.
    History {
        /// Where.
        #[serde(flatten)]
        of: To,
        /// Up to this entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// From behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        /// On both sides of this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        around: Option<u64>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<usize>,
    },
    /// What was said with all of these words in it, the newest first.
    Search {
        /// Where.
        #[serde(flatten)]
        of: To,
        /// The words.
        words: String,
        /// Only before this entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<usize>,
    },
    /// One has read up to and with this.
    Read {
        /// Where.
        #[serde(flatten)]
        of: To,
        /// The entry.
        seq: u64,
    },
    /// How far one has read.
    Unread,
    /// Is somebody there?
    Ping,
}

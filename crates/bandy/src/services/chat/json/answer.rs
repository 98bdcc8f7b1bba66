//! What servers answer.

use serde::{Deserialize, Serialize};

use super::happening::{Happening, Logged};
use super::request::At;
use crate::services::chat::model::{Author, MemberLine, Millis, Refused, Role, Rule};

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FromServer {
    /// The answer to a request.
    Answer(Answer),
    /// Something happened.
    Happening(Box<Happening>),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request's number; `null` for what was none.
    pub re: Option<u64>,
    /// What came of it.
    #[serde(flatten)]
    pub came: Came,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// It is done.
    Ok(Box<Good>),
    /// It is not.
    Error(Wrong),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// To be tried again after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

impl From<&Refused> for Wrong {
    fn from(refused: &Refused) -> Wrong {
        Wrong {
            code: refused.code().to_owned(),
            message: refused.to_string(),
            wait: None,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Good {
    /// Nothing more than that it is done.
    Done,
    /// One is in.
    Entered {
        /// Who one is.
        you: Somebody,
        /// Rooms that one is in with other sessions.
        rooms: Vec<String>,
        /// What a guest comes back with, to be the same one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<String>,
    },
    /// It is in the log, and durable.
    Logged {
        /// The room, or the conversation of two.
        room: String,
        /// Where.
        #[serde(flatten)]
        at: At,
    },
    /// One is in the room, and follows it.
    Joined {
        /// The room; its `from` is the last entry before what comes live.
        room: Box<Room>,
        /// What was missed, or the last of what was said.
        history: Vec<Logged>,
        /// What was missed is not there any more, or not all of it.
        lost: bool,
        /// There is more between the last of `history` and `from`: ask for it with `history`, `after`.
        more: bool,
    },
    /// What there is to know of a room.
    Room {
        /// The room.
        room: Box<Room>,
    },
    /// What there is to know of somebody.
    Person {
        /// Who.
        who: Somebody,
        /// What they say about being away.
        away: Option<String>,
        /// Since when they are here.
        since: Millis,
        /// When they said something last.
        active: Millis,
        /// Where they are.
        rooms: Vec<String>,
    },
    /// The rooms.
    Rooms {
        /// Each.
        rooms: Vec<RoomLine>,
    },
    /// A part of what was said.
    History {
        /// The room, or the conversation of two.
        room: String,
        /// Which log.
        epoch: u64,
        /// In order; of a search the newest first.
        entries: Vec<Logged>,
        /// The oldest entry that there is.
        oldest: u64,
        /// The last one.
        last: u64,
        /// The entry that was to be gone on from is not there any more.
        lost: bool,
        /// There is more.
        more: bool,
    },
    /// How far one has read.
    Unread {
        /// In each room.
        rooms: Vec<UnreadLine>,
    },
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Somebody {
    /// What they are called.
    pub nick: String,
    /// Who they are, whatever they are called.
    pub id: String,
    /// Whether they did not log in.
    pub guest: bool,
}

impl From<&Author> for Somebody {
    fn from(author: &Author) -> Somebody {
        Somebody {
            nick: author.nick.clone(),
            id: author.person.as_str().to_owned(),
            guest: author.person.is_guest(),
        }
    }
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its name.
    pub name: String,
    /// The last entry that was told.
    pub from: At,
    /// What it is about.
    pub topic: Option<TopicLine>,
    /// Who is in it. Whoever joins a room in which comings and goings are not told hears only of themselves and of those
    /// with a role.
    pub members: Vec<Member>,
    /// How many are in it.
    #[serde(default)]
    pub count: usize,
    /// One's own role.
    pub role: Option<Role>,
    /// Whether one is in it.
    pub member: bool,
    /// Only who was invited comes in.
    pub invite_only: bool,
    /// It has a password.
    pub password: bool,
    /// Only who has a role speaks.
    pub moderated: bool,
    /// Only moderators set the topic.
    pub topic_locked: bool,
    /// It is not in the list.
    pub hidden: bool,
    /// How many may be in it.
    pub limit: Option<u32>,
    /// When it was made.
    pub created: Millis,
    /// Who may not come in; for moderators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bans: Vec<RuleLine>,
    /// Who may not speak; for moderators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutes: Vec<RuleLine>,
}

/// What a room is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicLine {
    /// One line.
    pub text: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    #[serde(flatten)]
    pub who: Somebody,
    /// Their role.
    pub role: Option<Role>,
    /// Whether they are away.
    pub away: bool,
}

impl From<&MemberLine> for Member {
    fn from(line: &MemberLine) -> Member {
        Member {
            who: (&line.who).into(),
            role: line.role,
            away: line.is_away,
        }
    }
}

/// A ban or a mute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    /// Whom it is about.
    pub who: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Until when.
    pub until: Option<Millis>,
    /// Why.
    pub reason: String,
}

impl From<&Rule> for RuleLine {
    fn from(rule: &Rule) -> RuleLine {
        RuleLine {
            who: rule.mask.to_string(),
            by: rule.by.clone(),
            at: rule.at,
            until: rule.until,
            reason: rule.reason.clone(),
        }
    }
}

/// A room in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomLine {
    /// Its name.
    pub name: String,
    /// How many are in it.
    pub members: usize,
    /// What it is about.
    pub topic: String,
    /// It asks for an invitation or a password.
    pub closed: bool,
}

/// How far one has read in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadLine {
    /// The room, or the conversation of two.
    pub room: String,
    /// Which log.
    pub epoch: u64,
    /// In a conversation of two: what the other one is called, if they are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<String>,
    /// Up to and with.
    pub read: u64,
    /// The last entry.
    pub last: u64,
}

//! What servers tell.

use serde::{Deserialize, Serialize};

use super::answer::Somebody;
use super::request::At;
use crate::services::chat::model::{Entry, Event, Manner, Millis, Role, RoomName, Setting, What};

/// An entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// The room, or the conversation of two.
    pub room: String,
    /// Where.
    #[serde(flatten)]
    pub at: At,
    /// When.
    pub time: Millis,
    /// Whose doing it is.
    pub from: Somebody,
    /// What its client called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub what: Is,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Is {
    /// The room was made.
    Created,
    /// Something was said.
    Message {
        /// What.
        text: String,
        /// How.
        manner: Manner,
        /// To whom, in a conversation of two.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Somebody>,
        /// The entry that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<u64>,
        /// It was changed since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
    },
    /// `target` says this now.
    Edited {
        /// The entry.
        target: u64,
        /// Its new text.
        text: String,
    },
    /// `target` was taken back. Where `target` is this entry's own `seq`, it stands for what was said there.
    Deleted {
        /// The entry.
        target: u64,
    },
    /// What the room is about.
    Topic {
        /// One line.
        text: String,
    },
    /// Somebody was put out.
    Kicked {
        /// Who.
        who: Somebody,
        /// Why.
        reason: String,
    },
    /// Somebody may not come in.
    Banned {
        /// Who: an account, a guest's id or an address.
        mask: String,
        /// Until when.
        until: Option<Millis>,
        /// Why.
        reason: String,
    },
    /// They may again.
    Unbanned {
        /// Who.
        mask: String,
    },
    /// Somebody may not speak.
    Muted {
        /// Who.
        mask: String,
        /// Until when.
        until: Option<Millis>,
    },
    /// They may again.
    Unmuted {
        /// Who.
        mask: String,
    },
    /// Somebody was invited.
    Invited {
        /// Who.
        who: Somebody,
    },
    /// Somebody has another role.
    Role {
        /// Who.
        who: Somebody,
        /// It.
        role: Option<Role>,
    },
    /// Something was set: a password is only whether there is one.
    Set {
        /// What.
        setting: serde_json::Value,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Happening {
    /// In a room's log.
    Logged(Logged),
    /// Around it.
    Live(Live),
}

/// Something that happened, and is in no log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Live {
    /// The first message of a server.
    Hello {
        /// [`VERSION`](super::wire::VERSION).
        version: u32,
        /// Who one is already, by the cookie or the token of the handshake; else `enter` comes first.
        you: Option<Somebody>,
        /// Whether guests may come in.
        guests: bool,
        /// Where everybody begins.
        room: Option<String>,
        /// What is said to whoever comes.
        welcome: String,
        /// The longest text. Bytes.
        text_max: usize,
    },
    /// Somebody came into a room.
    Joined {
        /// The room.
        room: String,
        /// Who.
        who: Somebody,
        /// Their role.
        role: Option<Role>,
    },
    /// Somebody left it.
    Parted {
        /// The room.
        room: String,
        /// Who.
        who: Somebody,
        /// Why.
        reason: String,
    },
    /// Somebody is gone.
    Quit {
        /// Who.
        who: Somebody,
        /// Where they were.
        rooms: Vec<String>,
        /// Why.
        reason: String,
    },
    /// Somebody is called otherwise.
    Renamed {
        /// Who, with the nick from before.
        who: Somebody,
        /// The new one.
        nick: String,
    },
    /// Somebody is away, or back.
    Away {
        /// Who.
        who: Somebody,
        /// What they say.
        text: Option<String>,
    },
    /// Somebody is writing.
    Typing {
        /// Where.
        room: String,
        /// Who.
        who: Somebody,
        /// Whether.
        active: bool,
    },
    /// One was invited.
    Invitation {
        /// The room.
        room: String,
        /// By whom.
        by: Somebody,
    },
    /// Another session of one's own joined or left a room.
    Membership {
        /// The room.
        room: String,
        /// Whether one is in it.
        member: bool,
    },
    /// One has read up to here, in another session.
    Read {
        /// Where.
        room: String,
        /// The entry.
        seq: u64,
    },
    /// What is up to and with this entry was not told, and is lost.
    Lost {
        /// The room.
        room: String,
        /// The last one that is missing.
        through: u64,
    },
}

impl Logged {
    /// An entry as it is sent.
    pub fn new(room: &RoomName, epoch: u64, seq: u64, entry: &Entry) -> Logged {
        Logged {
            room: room.as_str().to_owned(),
            at: At { epoch, seq },
            time: entry.time,
            from: (&entry.by).into(),
            nonce: entry.nonce.clone(),
            what: Is::from(&entry.what),
        }
    }
}

impl From<&What> for Is {
    fn from(what: &What) -> Is {
        match what.clone() {
            What::Created => Is::Created,
            What::Said {
                text,
                manner,
                reply,
                to,
                edited,
            } => Is::Message {
                text,
                manner,
                to: to.as_ref().map(Into::into),
                reply,
                edited,
            },
            What::Edited { target, text } => Is::Edited { target, text },
            What::Deleted { target } => Is::Deleted { target },
            What::Topic { text } => Is::Topic { text },
            What::Kicked { who, reason } => Is::Kicked {
                who: (&who).into(),
                reason,
            },
            What::Banned {
                mask,
                until,
                reason,
            } => Is::Banned {
                mask: mask.to_string(),
                until,
                reason,
            },
            What::Unbanned { mask } => Is::Unbanned {
                mask: mask.to_string(),
            },
            What::Muted { mask, until } => Is::Muted {
                mask: mask.to_string(),
                until,
            },
            What::Unmuted { mask } => Is::Unmuted {
                mask: mask.to_string(),
            },
            What::Invited { who } => Is::Invited { who: (&who).into() },
            What::Role { who, role } => Is::Role {
                who: (&who).into(),
                role,
            },
            What::Set(setting) => Is::Set {
                setting: public(&setting),
            },
        }
    }
}

/// A setting without the password's hash.
fn public(setting: &Setting) -> serde_json::Value {
    match setting {
        Setting::Password(password) => serde_json::json!({"password": password.is_some()}),
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

impl From<&Event> for Happening {
    fn from(event: &Event) -> Happening {
        let name = |room: &RoomName| room.as_str().to_owned();
        Happening::Live(match event.clone() {
            Event::Logged { id, entry } => {
                return Happening::Logged(Logged::new(&id.room, id.epoch, id.seq, &entry));
            }
            Event::Joined { room, who, role } => Live::Joined {
                room: name(&room),
                who: (&who).into(),
                role,
            },
            Event::Parted { room, who, reason } => Live::Parted {
                room: name(&room),
                who: (&who).into(),
                reason,
            },
            Event::Quit { who, rooms, reason } => Live::Quit {
                who: (&who).into(),
                rooms: rooms.iter().map(name).collect(),
                reason,
            },
            Event::Renamed { who, nick } => Live::Renamed {
                who: (&who).into(),
                nick,
            },
            Event::Away { who, text } => Live::Away {
                who: (&who).into(),
                text,
            },
            Event::Typing { room, who, active } => Live::Typing {
                room: name(&room),
                who: (&who).into(),
                active,
            },
            Event::Invited { room, by } => Live::Invitation {
                room: name(&room),
                by: (&by).into(),
            },
            Event::Membership { room, is_member } => Live::Membership {
                room: name(&room),
                member: is_member,
            },
            Event::Read { room, seq } => Live::Read {
                room: name(&room),
                seq,
            },
            Event::Lost { room, through } => Live::Lost {
                room: name(&room),
                through,
            },
        })
    }
}

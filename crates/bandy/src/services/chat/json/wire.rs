//! The messages of chat over WebSocket, as types. `schema.json` beside this file describes the same for everybody else.
//!
//! A client sends a [`Request`] with a number of its own and gets one [`Answer`] with that number; in between and at any
//! time come [`Happening`]s. Times are milliseconds since 1970, a place in a room's log is its `epoch` and `seq`.

use serde::{Deserialize, Serialize};

use crate::services::chat::model;
use crate::services::chat::model::{
    Author, Entry, Event, Manner, MemberLine, Millis, Place, Refused, Role, Rule, Setting, What,
};

/// The version of these messages. What is added to them later changes it not; what would break a client does.
pub const VERSION: u32 = 1;

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
    /// Who is in it.
    pub members: Vec<Member>,
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
    /// Up to and with.
    pub read: u64,
    /// The last entry.
    pub last: u64,
}

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
        /// [`VERSION`].
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
    pub fn new(room: &model::RoomName, epoch: u64, seq: u64, entry: &Entry) -> Logged {
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
        let name = |room: &model::RoomName| room.as_str().to_owned();
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

//! What a session may ask for, and what comes of it.

use std::fmt;
use std::time::Duration;

use super::event::{Author, Entry, Id, Manner, Millis, Place, Setting};
use super::name::RoomName;
use super::room::{Mask, Role, Rule, Topic};

/// To whom something is said, or whose history is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everybody in a room.
    Room(RoomName),
    /// Somebody, by nick.
    Nick(String),
}

/// What a session asks for. Texts come as they were sent: they are made clean here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Be called otherwise. Who is logged in is called as their account.
    Nick(String),
    /// Be away, with a word about it, or back.
    Away(Option<String>),
    /// Go into a room, which is made if it is not there, and follow it with this session.
    Join {
        /// The room.
        room: RoomName,
        /// Its password, if it has one.
        password: Option<String>,
    },
    /// Leave a room, with all of one's sessions.
    Part {
        /// The room.
        room: RoomName,
        /// Why.
        reason: String,
    },
    /// Say something.
    Say {
        /// To whom.
        to: Target,
        /// What.
        text: String,
        /// How.
        manner: Manner,
        /// What the client calls it: sent again, it is not said again. For a guest who comes back that holds only for one
        /// of 16 bytes or more. At most [`NONCE_MAX`](super::NONCE_MAX) bytes.
        nonce: Option<String>,
        /// The entry of the same room that it answers.
        reply: Option<u64>,
    },
    /// Change what was said. Its author may, and moderators may not.
    Edit {
        /// Where it was said.
        at: Target,
        /// The entry.
        seq: u64,
        /// The new text.
        text: String,
    },
    /// Take back what was said. Its author may, and moderators.
    Delete {
        /// Where it was said.
        at: Target,
        /// The entry.
        seq: u64,
    },
    /// Say what a room is about.
    Topic {
        /// The room.
        room: RoomName,
        /// One line; empty for nothing.
        text: String,
    },
    /// Put somebody out of a room.
    Kick {
        /// The room.
        room: RoomName,
        /// Who.
        nick: String,
        /// Why.
        reason: String,
    },
    /// Keep somebody out, and put out whoever it is about.
    Ban {
        /// The room.
        room: RoomName,
        /// Who.
        who: Whom,
        /// For how long; `None` for good.
        length: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// Let them in again.
    Unban {
        /// The room.
        room: RoomName,
        /// Who.
        who: Whom,
    },
    /// Keep somebody from speaking.
    Mute {
        /// The room.
        room: RoomName,
        /// Who.
        who: Whom,
        /// For how long; `None` for good.
        length: Option<Duration>,
    },
    /// Let them speak again.
    Unmute {
        /// The room.
        room: RoomName,
        /// Who.
        who: Whom,
    },
    /// Invite somebody.
    Invite {
        /// The room.
        room: RoomName,
        /// Who.
        nick: String,
    },
    /// Give somebody a role, or take it away.
    Role {
        /// The room.
        room: RoomName,
        /// Who: a nick, or an account that is not here now.
        nick: String,
        /// Which.
        role: Option<Role>,
    },
    /// Set something of a room.
    Set {
        /// The room.
        room: RoomName,
        /// What. A password is given as it is, and hashed here.
        setting: Setting,
    },
    /// Say that one is writing, or not any more.
    Typing {
        /// Where.
        to: Target,
        /// Whether.
        active: bool,
    },
    /// What there is to know of a room, and who is in it.
    Look(RoomName),
    /// What there is to know of somebody.
    Whois(String),
    /// The rooms that one may know of.
    Rooms,
    /// What was said, in the order in which it was.
    History {
        /// Where.
        of: Target,
        /// Which part.
        range: Range,
        /// How many entries at most.
        limit: usize,
    },
    /// What was said with all of these words in it, the newest first.
    Search {
        /// Where.
        of: Target,
        /// The words.
        words: String,
        /// Only before this entry.
        before: Option<u64>,
        /// How many at most.
        limit: usize,
    },
    /// Note that one has read up to and with an entry. Kept for accounts.
    Read {
        /// Where.
        of: Target,
        /// The entry.
        seq: u64,
    },
    /// How far one has read, and how much there is that one has not; with all conversations of two that one is in.
    Unread,
}

/// Which part of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The end of it.
    Latest,
    /// The last of it that is newer than an entry (IRC's `LATEST #room msgid`).
    LatestAfter(u64),
    /// Up to an entry, which is not in it.
    Before(u64),
    /// From behind an entry.
    After(u64),
    /// On both sides of an entry, which is in it.
    Around(u64),
    /// Between two entries, neither of which is in it. From the first, in the direction of the second.
    Between(u64, u64),
    /// Up to a time.
    BeforeTime(Millis),
    /// From a time on.
    AfterTime(Millis),
}

/// Whom a ban or mute is for, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Somebody: who is called so now, or the account of that name.
    Nick(String),
    /// This very mask.
    Mask(Mask),
}

/// What came of a command that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done,
    /// It is in the log, and durable. For what was sent before under the same nonce, where it stood then.
    Logged(Id),
    /// One is in the room, and this session follows it from behind `from`.
    Joined(Box<RoomView>),
    /// What there is to know of a room.
    Room(Box<RoomView>),
    /// What there is to know of somebody.
    Person(Box<PersonView>),
    /// The rooms.
    Rooms(Vec<RoomLine>),
    /// A part of a history.
    History(Box<History>),
    /// How far one has read.
    Unread(Vec<Unread>),
}

/// A part of a room's history, or of a conversation's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The room, or the conversation of two.
    pub room: RoomName,
    /// Which of its logs.
    pub epoch: u64,
    /// The entries with their places, in order; of a search the newest first.
    pub entries: Vec<(u64, Entry)>,
    /// The oldest entry that is still there.
    pub oldest: u64,
    /// The last one.
    pub last: u64,
    /// The entry that was to be gone on from is gone, or was of another log: what is between is lost.
    pub is_lost: bool,
    /// There is more in the direction that was asked for.
    pub has_more: bool,
}

/// A room as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// Its name.
    pub name: RoomName,
    /// The last entry that was told live: what this session hears next is behind it.
    pub from: Place,
    /// Whether this session followed it already; then nothing is missing.
    pub was_followed: bool,
    /// What it is about.
    pub topic: Option<Topic>,
    /// Who is in it, by nick. Whoever joins a room in which comings and goings are not told hears only of themselves and
    /// of those with a role; all are told to whoever looks.
    pub members: Vec<MemberLine>,
    /// How many are in it.
    pub count: usize,
    /// One's own role.
    pub role: Option<Role>,
    /// Whether one is in it.
    pub is_member: bool,
    /// See [`Setting`].
    pub invite_only: bool,
    /// Whether it has a password.
    pub has_password: bool,
    /// See [`Setting`].
    pub moderated: bool,
    /// See [`Setting`].
    pub topic_locked: bool,
    /// See [`Setting`].
    pub hidden: bool,
    /// See [`Setting`].
    pub limit: Option<u32>,
    /// When it was made.
    pub created: Millis,
    /// Who may not come in; for moderators.
    pub bans: Vec<Rule>,
    /// Who may not speak; for moderators.
    pub mutes: Vec<Rule>,
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberLine {
    /// Who.
    pub who: Author,
    /// Their role in it.
    pub role: Option<Role>,
    /// Whether they are away.
    pub is_away: bool,
}

/// Somebody, as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Who.
    pub who: Author,
    /// What they said about being away.
    pub away: Option<String>,
    /// Since when they are here.
    pub since: Millis,
    /// When they said something last.
    pub active: Millis,
    /// The rooms that they are in and whoever asks may know of, with their roles.
    pub rooms: Vec<(RoomName, Option<Role>)>,
    /// Where they come from; for themselves, and for admins.
    pub address: Option<std::net::IpAddr>,
    /// Whether an operator gave them power everywhere.
    pub is_admin: bool,
}

/// A room in the list of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomLine {
    /// Its name.
    pub name: RoomName,
    /// How many people are in it here.
    pub members: usize,
    /// What it is about.
    pub topic: String,
    /// Whether it asks for an invitation or a password.
    pub is_closed: bool,
}

/// How far somebody has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The room, or the conversation of two.
    pub room: RoomName,
    /// Which of its logs.
    pub epoch: u64,
    /// In a conversation of two: what the other one is called, if they are here.
    pub nick: Option<String>,
    /// Up to and with.
    pub read: u64,
    /// The last entry.
    pub last: u64,
}

/// Why something was not done: a sentence for whoever asked, and a word for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Somebody has this nick.
    NickTaken(String),
    /// The nick is an account's, or reserved.
    NickReserved(String),
    /// The nick breaks a rule: which.
    NickWrong(String),
    /// Whoever is logged in is called as their account.
    NickFixed,
    /// Guests are not let in.
    NoGuests,
    /// Nobody is called so.
    NoSuchNick(String),
    /// There is no such room.
    NoSuchRoom(RoomName),
    /// The room's name breaks a rule: which.
    RoomWrong(String),
    /// There is no such entry, or it is none that was said.
    NoSuchEntry(u64),
    /// One is not in the room.
    NotMember(RoomName),
    /// They are not in the room.
    NotThere(String, RoomName),
    /// One is banned from the room.
    Banned(RoomName, String),
    /// One was muted there.
    Muted(RoomName),
    /// Only who was invited comes in.
    InviteOnly(RoomName),
    /// The password is wrong, or missing.
    WrongPassword(RoomName),
    /// As many are in it as may be.
    RoomFull(RoomName),
    /// Only who has a role speaks there.
    Moderated(RoomName),
    /// Only moderators may, or the room's owner.
    NotAllowed(RoomName, Role),
    /// It was said by somebody else.
    NotYours(u64),
    /// Only who is logged in may.
    LoginNeeded,
    /// There is nothing in it.
    Empty,
    /// The nonce is too long, or something else is.
    TooLong(&'static str, usize),
    /// One is in as many rooms as one may be; or there are as many as there may be, or rules of a room.
    TooMany(&'static str, usize),
    /// Too much came at once.
    TooFast(Duration),
    /// The session is over.
    Over,
}

impl Refused {
    /// The word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refused::NickTaken(_) => "nick_taken",
            Refused::NickReserved(_) => "nick_reserved",
            Refused::NickWrong(_) => "nick_wrong",
            Refused::NickFixed => "nick_fixed",
            Refused::NoGuests => "no_guests",
            Refused::NoSuchNick(_) => "no_such_nick",
            Refused::NoSuchRoom(_) => "no_such_room",
            Refused::RoomWrong(_) => "room_wrong",
            Refused::NoSuchEntry(_) => "no_such_entry",
            Refused::NotMember(_) => "not_member",
            Refused::NotThere(..) => "not_there",
            Refused::Banned(..) => "banned",
            Refused::Muted(_) => "muted",
            Refused::InviteOnly(_) => "invite_only",
            Refused::WrongPassword(_) => "wrong_password",
            Refused::RoomFull(_) => "room_full",
            Refused::Moderated(_) => "moderated",
            Refused::NotAllowed(..) => "not_allowed",
            Refused::NotYours(_) => "not_yours",
            Refused::LoginNeeded => "login_needed",
            Refused::Empty => "empty",
            Refused::TooLong(..) => "too_long",
            Refused::TooMany(..) => "too_many",
            Refused::TooFast(_) => "too_fast",
            Refused::Over => "over",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NickTaken(nick) => write!(f, "somebody is called {nick} already"),
            Refused::NickReserved(nick) => write!(f, "{nick} is reserved; log in if it is yours"),
            Refused::NickWrong(why) | Refused::RoomWrong(why) => f.write_str(why),
            Refused::NickFixed => f.write_str("you are logged in, and called as your account"),
            Refused::NoGuests => f.write_str("there are no guests here: log in"),
            Refused::NoSuchNick(nick) => write!(f, "nobody here is called {nick}"),
            Refused::NoSuchRoom(room) => write!(f, "there is no room {room}"),
            Refused::NoSuchEntry(seq) => write!(f, "nothing was said at {seq}"),
            Refused::NotMember(room) => write!(f, "you are not in {room}"),
            Refused::NotThere(nick, room) => write!(f, "{nick} is not in {room}"),
            Refused::Banned(room, why) if why.is_empty() => write!(f, "you are banned from {room}"),
            Refused::Banned(room, why) => write!(f, "you are banned from {room}: {why}"),
            Refused::Muted(room) => write!(f, "you are muted in {room}"),
            Refused::InviteOnly(room) => write!(f, "only who was invited comes into {room}"),
            Refused::WrongPassword(room) => write!(f, "{room} has a password, and that is not it"),
            Refused::RoomFull(room) => write!(f, "{room} is full"),
            Refused::Moderated(room) => {
                write!(f, "{room} is moderated: only who has a voice speaks")
            }
            Refused::NotAllowed(room, role) => write!(f, "only a {role} of {room} may do that"),
            Refused::NotYours(_) => f.write_str("somebody else said that"),
            Refused::LoginNeeded => f.write_str("only who is logged in may do that"),
            Refused::Empty => f.write_str("there is nothing in it"),
            Refused::TooLong(what, max) => write!(f, "{what} has at most {max} bytes"),
            Refused::TooMany(what, max) => write!(f, "there may be {max} {what} at most"),
            Refused::TooFast(wait) => write!(f, "too fast; wait {} s", wait.as_secs().max(1)),
            Refused::Over => f.write_str("this session is over"),
        }
    }
}

impl std::error::Error for Refused {}

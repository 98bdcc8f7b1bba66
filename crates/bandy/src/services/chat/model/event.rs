//! What happened: in a room's log, for good; and around it, for those who are there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::{Person, RoomName};
use super::room::{Mask, Role};

/// A time of day, in milliseconds since 1970-01-01 UTC.
pub type Millis = u64;

/// Where something stands in a room's log. `epoch` tells the log from another one that the room had, or will have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Id {
    /// The room.
    pub room: RoomName,
    /// Which of its logs.
    pub epoch: u64,
    /// The place in it: 1, 2, 3, … with no gap.
    pub seq: u64,
}

/// `epoch-seq`, as IRC's `msgid` has it: the room is known from where it is said.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            Place {
                epoch: self.epoch,
                seq: self.seq
            }
        )
    }
}

/// A place in a log that is known already; `17f3a-42` as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Which log.
    pub epoch: u64,
    /// The last entry that is known; 0 is the beginning.
    pub seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch, self.seq)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let (epoch, seq) = text.split_once('-').ok_or(())?;
        let is_plain =
            |part: &str, is: fn(&u8) -> bool| !part.is_empty() && part.bytes().all(|b| is(&b));
        if !is_plain(epoch, u8::is_ascii_hexdigit) || !is_plain(seq, u8::is_ascii_digit) {
            return Err(());
        }
        Ok(Place {
            epoch: u64::from_str_radix(epoch, 16).map_err(drop)?,
            seq: seq.parse().map_err(drop)?,
        })
    }
}

/// Who did something, as they were called then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// What they were called.
    pub nick: String,
    /// Who they are.
    pub person: Person,
}

impl Author {
    /// The account, if somebody proved that it is theirs.
    pub fn account(&self) -> Option<&str> {
        (!self.person.is_guest()).then(|| self.person.as_str())
    }
}

/// How something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manner {
    /// As usual.
    #[default]
    Message,
    /// `/me waves`.
    Action,
    /// By a program, as a rule; programs do not answer it (IRC's NOTICE).
    Notice,
}

/// An entry of a room's log, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was accepted.
    #[serde(rename = "t")]
    pub time: Millis,
    /// Whose doing it is.
    #[serde(rename = "by")]
    pub by: Author,
    /// What the client called it, so that sending it again appends nothing.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What it is.
    #[serde(rename = "is")]
    pub what: What,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// The room was made.
    Created,
    /// Something was said.
    Said {
        /// Clean text; it may have line feeds.
        text: String,
        /// How.
        #[serde(default)]
        manner: Manner,
        /// The entry that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<u64>,
        /// In a conversation of two: to whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Author>,
        /// In what is read back: it was changed since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
    },
    /// What was said at `target` says this now.
    Edited {
        /// The entry.
        target: u64,
        /// Its new text.
        text: String,
    },
    /// What was said at `target` is taken back. In what is read back, also what stands at the target itself: its text
    /// is not given out any more.
    Deleted {
        /// The entry.
        target: u64,
    },
    /// What the room is about; empty for nothing.
    Topic {
        /// One line.
        text: String,
    },
    /// Somebody was put out of the room. They may come again.
    Kicked {
        /// Who.
        who: Author,
        /// Why.
        reason: String,
    },
    /// Somebody may not come in any more, until then or for good.
    Banned {
        /// Who.
        mask: Mask,
        /// Until when.
        until: Option<Millis>,
        /// Why.
        reason: String,
    },
    /// They may again.
    Unbanned {
        /// Who.
        mask: Mask,
    },
    /// Somebody may not say anything, until then or for good.
    Muted {
        /// Who.
        mask: Mask,
        /// Until when.
        until: Option<Millis>,
    },
    /// They may again.
    Unmuted {
        /// Who.
        mask: Mask,
    },
    /// Somebody was invited, and may come in though the room asks for an invitation or a password.
    Invited {
        /// Who.
        who: Author,
    },
    /// Somebody has another role.
    Role {
        /// Who.
        who: Author,
        /// It; `None` took it away.
        role: Option<Role>,
    },
    /// Something of the room was set.
    Set(Setting),
}

/// What can be set of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Setting {
    /// Only who was invited comes in.
    InviteOnly(bool),
    /// Only who knows the password: its hash.
    Password(Option<String>),
    /// Only who has a role may speak.
    Moderated(bool),
    /// Only moderators change the topic.
    TopicLocked(bool),
    /// Not in the list of rooms.
    Hidden(bool),
    /// How many may be in it at once.
    Limit(Option<u32>),
}

/// Something that happened, as sessions are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// In a room's log, and so with a place in it.
    Logged {
        /// Where.
        id: Id,
        /// What.
        entry: Entry,
    },
    /// Somebody came into a room.
    Joined {
        /// The room.
        room: RoomName,
        /// Who.
        who: Author,
        /// Their role there.
        role: Option<Role>,
    },
    /// Somebody left a room, by themselves.
    Parted {
        /// The room.
        room: RoomName,
        /// Who.
        who: Author,
        /// What they said.
        reason: String,
    },
    /// Somebody went, and left every room that they were in. Told once to whoever shares some with them.
    Quit {
        /// Who.
        who: Author,
        /// The rooms.
        rooms: Vec<RoomName>,
        /// What they said, or what happened.
        reason: String,
    },
    /// Somebody is called otherwise now. Told once to whoever shares a room with them, and to themselves.
    Renamed {
        /// Who, with the nick from before.
        who: Author,
        /// The new one.
        nick: String,
    },
    /// Somebody is away, or back (`None`).
    Away {
        /// Who.
        who: Author,
        /// What they said about it.
        text: Option<String>,
    },
    /// Somebody is writing, or stopped.
    Typing {
        /// The room; in a conversation of two its name.
        room: RoomName,
        /// Who.
        who: Author,
        /// Whether they are.
        active: bool,
    },
    /// You were invited into a room.
    Invited {
        /// The room.
        room: RoomName,
        /// By whom.
        by: Author,
    },
    /// Another session of yours joined or left this room; you are in it, or are not, with this one too. It is followed
    /// here once this session joins as well.
    Membership {
        /// The room.
        room: RoomName,
        /// Whether you are in it.
        is_member: bool,
    },
    /// You read a room up to here, in another session.
    Read {
        /// The room.
        room: RoomName,
        /// Up to and with.
        seq: u64,
    },
    /// Following a room failed and went on behind a gap: entries up to and with `through` were not told here.
    Lost {
        /// The room.
        room: RoomName,
        /// The last entry that is missing.
        through: u64,
    },
}

impl Event {
    /// The room that it is about, where that is one.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Event::Logged { id, .. } => Some(&id.room),
            Event::Joined { room, .. }
            | Event::Parted { room, .. }
            | Event::Typing { room, .. }
            | Event::Invited { room, .. }
            | Event::Membership { room, .. }
            | Event::Read { room, .. }
            | Event::Lost { room, .. } => Some(room),
            Event::Quit { .. } | Event::Renamed { .. } | Event::Away { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        let place = Place {
            epoch: 0x17f3a,
            seq: 42,
        };
        assert_eq!(place.to_string(), "17f3a-42");
        assert_eq!("17f3a-42".parse(), Ok(place));
        for wrong in [
            "",
            "-",
            "1-",
            "-1",
            "+1-1",
            "1-+1",
            "x-1",
            "1-1-1",
            "11111111111111111-1",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}

//! What was heard, as lines to show. Nothing in them moves a cursor: whatever others sent is made visible first.

use bandy::services::chat::json::wire::{Happening, Is, Live, Logged, Somebody};
use bandy::services::chat::model::Manner;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ask::visible;

/// A line of a room, or of a conversation of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place in the room's log; none where it is in no log.
    pub seq: Option<u64>,
    /// Milliseconds since 1970.
    pub time: u64,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Somebody said this.
    Said {
        nick: String,
        text: String,
        manner: Manner,
        edited: bool,
    },
    /// Something happened.
    Note(String),
    /// One is told something: an answer, or what went wrong.
    Told(String),
}

/// What an entry of a log changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A line more.
    Line(Line),
    /// The line there says this now.
    Edit(u64, String),
    /// The line there was taken back.
    Delete(u64),
}

/// An entry, as it is shown.
pub fn of_entry(entry: &Logged) -> Change {
    let by = &nick(&entry.from);
    let line = |what| {
        Change::Line(Line {
            seq: Some(entry.at.seq),
            time: entry.time,
            what,
        })
    };
    let note = |text: String| line(What::Note(text));
    match &entry.what {
        Is::Message {
            text,
            manner,
            edited,
            ..
        } => line(What::Said {
            nick: by.clone(),
            text: clean(text),
            manner: *manner,
            edited: *edited,
        }),
        Is::Edited { target, text } => Change::Edit(*target, clean(text)),
        Is::Deleted { target } if *target == entry.at.seq => note(format!("{by}: (taken back)")),
        Is::Deleted { target } => Change::Delete(*target),
        Is::Created => note(format!("{by} made the room")),
        Is::Topic { text } if text.is_empty() => note(format!("{by} took the topic away")),
        Is::Topic { text } => note(format!("{by} set the topic: {}", clean(text))),
        Is::Kicked { who, reason } => note(because(&format!("{by} put {} out", nick(who)), reason)),
        Is::Banned { mask, reason, .. } => {
            note(because(&format!("{by} banned {}", clean(mask)), reason))
        }
        Is::Unbanned { mask } => note(format!("{by} lets {} in again", clean(mask))),
        Is::Muted { mask, .. } => note(format!("{by} muted {}", clean(mask))),
        Is::Unmuted { mask } => note(format!("{by} lets {} speak again", clean(mask))),
        Is::Invited { who } => note(format!("{by} invited {}", nick(who))),
        Is::Role { who, role } => note(match role {
            Some(role) => format!("{by} made {} {role}", nick(who)),
            None => format!("{by} took the role of {} away", nick(who)),
        }),
        Is::Set { setting } => note(format!("{by} set {}", clean(&setting.to_string()))),
        _ => note(format!(
            "{by} did something that this version does not know"
        )),
    }
}

/// Something that is in no log, as it is shown, if it is.
pub fn of_live(live: &Live) -> Option<String> {
    Some(match live {
        Live::Joined { who, .. } => format!("{} came in", nick(who)),
        Live::Parted { who, reason, .. } => because(&format!("{} left", nick(who)), reason),
        Live::Quit { who, reason, .. } => because(&format!("{} is gone", nick(who)), reason),
        Live::Renamed { who, nick: new } => format!("{} is now called {}", nick(who), clean(new)),
        Live::Away { who, text: None } => format!("{} is back", nick(who)),
        Live::Away {
            who,
            text: Some(text),
        } => format!("{} is away: {}", nick(who), clean(text)),
        Live::Invitation { room, by } => {
            let room = clean(room);
            format!("{} invites you to {room}: /join {room}", nick(by))
        }
        _ => return None,
    })
}

/// The room that something happened in; none where it is about several or none.
pub fn room_of(happening: &Happening) -> Option<&str> {
    match happening {
        Happening::Logged(entry) => Some(&entry.room),
        Happening::Live(
            Live::Joined { room, .. }
            | Live::Parted { room, .. }
            | Live::Typing { room, .. }
            | Live::Invitation { room, .. }
            | Live::Membership { room, .. }
            | Live::Read { room, .. }
            | Live::Lost { room, .. },
        ) => Some(room),
        Happening::Live(_) => None,
    }
}

/// A nick, fit for a terminal.
pub fn nick(who: &Somebody) -> String {
    clean(&who.nick)
}

/// A text of others, fit for a terminal; its lines stay lines.
pub fn clean(text: &str) -> String {
    visible::show(text.as_bytes()).replace('\t', "    ")
}

fn because(what: &str, reason: &str) -> String {
    match reason.is_empty() {
        true => what.to_owned(),
        false => format!("{what}: {}", clean(reason)),
    }
}

/// Whether a text speaks to somebody: has their nick as a word.
pub fn mentions(text: &str, nick: &str) -> bool {
    let is_nick = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut words = text.split(move |c| !is_nick(c));
    !nick.is_empty()
        && words.any(|word| {
            let word = word.trim_matches(['.', '-', '_']);
            word.eq_ignore_ascii_case(nick)
        })
}

/// The time of day here, as `15:04`.
pub fn clock(time: u64) -> String {
    let at = i64::try_from(time)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| {
        at.to_zoned(TimeZone::system())
            .strftime("%H:%M")
            .to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(
            clean("\x1b[2J\x07\u{9b}\u{202e}\ta"),
            "^[[2J^G\\u{9b}\\u{202e}    a"
        );
    }

    #[test]
    fn who_is_spoken_to() {
        for text in ["Ada!", "hello @ada.", "is it (ada)?"] {
            assert!(mentions(text, "ada"), "{text}");
        }
        for text in ["adaptive", "ada-2", ""] {
            assert!(!mentions(text, "ada"), "{text}");
        }
        assert!(!mentions("", ""));
    }
}

//! Events and answers as people read them.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::printable::printable;
use crate::services::chat::model::{
    Author, Entry, Event, History, Manner, Millis, PersonView, RoomLine, RoomView, Setting, What,
};

/// A line, ended. Whatever is in it, it is one line on a terminal, or several that all begin with what this one's begin
/// with.
pub(super) fn line(text: &str) -> Bytes {
    let mut out = String::with_capacity(text.len() + 1);
    for (n, part) in text.split('\n').enumerate() {
        if n > 0 {
            out.push_str("    | ");
        }
        match part.contains(|c: char| c.is_control() && c != '\t') {
            true => out.push_str(&printable(part)),
            false => out.push_str(part),
        }
        out.push('\n');
    }
    out.into()
}

/// An event, the same for everybody who hears it; `None` for one that lines have no words for.
pub(super) fn event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Logged { id, entry } => entry_line(&format!("[{}] ", id.room), entry)?,
        Event::Joined { room, who, .. } => format!("[{room}] * {} came in", who.nick),
        Event::Parted { room, who, reason } => {
            format!("[{room}] * {} left{}", who.nick, because(reason))
        }
        Event::Quit { who, reason, .. } => format!("* {} is gone{}", who.nick, because(reason)),
        Event::Renamed { who, nick } => format!("* {} is now called {nick}", who.nick),
        Event::Away {
            who,
            text: Some(text),
        } => format!("* {} is away: {text}", who.nick),
        Event::Away { who, text: None } => format!("* {} is back", who.nick),
        Event::Invited { room, by } => format!("* {} invites you: /join {room}", by.nick),
        Event::Lost { room, .. } => format!("[{room}] * some of what was said is lost"),
        _ => return None,
    })
}

fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(" ({reason})"),
    }
}

/// A direct message, for one of the two.
pub(super) fn direct(entry: &Entry, me: &Author) -> Option<String> {
    let What::Said { to: Some(to), .. } = &entry.what else {
        return entry_line("[direct] ", entry);
    };
    match entry.by.person == me.person {
        true => entry_line(&format!("[to {}] ", to.nick), entry),
        false => entry_line("[to you] ", entry),
    }
}

fn entry_line(prefix: &str, entry: &Entry) -> Option<String> {
    let by = &entry.by.nick;
    Some(match &entry.what {
        What::Said {
            text,
            manner,
            edited,
            ..
        } => {
            let mark = if *edited { " (edited)" } else { "" };
            match manner {
                Manner::Message => format!("{prefix}<{by}> {text}{mark}"),
                Manner::Action => format!("{prefix}* {by} {text}{mark}"),
                Manner::Notice => format!("{prefix}-{by}- {text}{mark}"),
            }
        }
        What::Edited { target, text } => format!("{prefix}* {by} says #{target} otherwise: {text}"),
        What::Deleted { target } => format!("{prefix}* {by} takes back #{target}"),
        What::Topic { text } if text.is_empty() => format!("{prefix}* {by} takes the topic away"),
        What::Topic { text } => format!("{prefix}* {by} sets the topic: {text}"),
        What::Kicked { who, reason } => {
            format!("{prefix}* {by} puts {} out{}", who.nick, because(reason))
        }
        What::Banned {
            mask,
            until,
            reason,
        } => {
            let until = until.map_or(String::new(), |until| format!(" until {}", moment(until)));
            format!("{prefix}* {by} bans {mask}{until}{}", because(reason))
        }
        What::Unbanned { mask } => format!("{prefix}* {by} lets {mask} in again"),
        What::Muted { mask, until } => {
            let until = until.map_or(String::new(), |until| format!(" until {}", moment(until)));
            format!("{prefix}* {by} mutes {mask}{until}")
        }
        What::Unmuted { mask } => format!("{prefix}* {by} lets {mask} speak again"),
        What::Invited { who } => format!("{prefix}* {by} invites {}", who.nick),
        What::Role {
            who,
            role: Some(role),
        } => format!("{prefix}* {by} makes {} {role}", who.nick),
        What::Role { who, role: None } => format!("{prefix}* {by} takes {}'s role", who.nick),
        What::Set(setting) => format!("{prefix}* {by} {}", set(setting)),
        What::Created => return None,
    })
}

fn set(setting: &Setting) -> String {
    let on = |is: bool| if is { "on" } else { "off" };
    match setting {
        Setting::InviteOnly(is) => format!("sets invite {}", on(*is)),
        Setting::Password(password) => format!("sets password {}", on(password.is_some())),
        Setting::Moderated(is) => format!("sets moderated {}", on(*is)),
        Setting::TopicLocked(is) => format!("sets topiclock {}", on(*is)),
        Setting::Hidden(is) => format!("sets hidden {}", on(*is)),
        Setting::Limit(Some(limit)) => format!("sets limit {limit}"),
        Setting::Limit(None) => "sets limit off".to_owned(),
    }
}

/// Who is in a room, and what it is about.
pub(super) fn room(view: &RoomView) -> String {
    let name = |member: &crate::services::chat::model::MemberLine| {
        let sign = member.role.map_or("", |role| match role.as_str() {
            "owner" => "~",
            "moderator" => "@",
            _ => "+",
        });
        let away = if member.is_away { " (away)" } else { "" };
        format!("{sign}{}{away}", member.who.nick)
    };
    const SHOWN: usize = 100;
    let mut names: Vec<String> = view.members.iter().take(SHOWN).map(name).collect();
    if view.count > names.len() {
        names.push("…".to_owned());
    }
    let mut text = format!("[{}] {} here: {}", view.name, view.count, names.join(", "));
    if let Some(topic) = &view.topic {
        let _ = write!(
            text,
            "\n[{}] topic: {} (by {})",
            view.name, topic.text, topic.by
        );
    }
    text
}

/// What was said, with numbers and times.
pub(super) fn history(history: &History) -> Vec<String> {
    let mut lines = Vec::new();
    if history.is_lost {
        lines.push("* older than what is kept is lost".to_owned());
    }
    for (seq, entry) in &history.entries {
        let prefix = format!("#{seq} {} ", clock(entry.time));
        lines.extend(entry_line(&prefix, entry));
    }
    if lines.is_empty() {
        lines.push("* nothing was said".to_owned());
    }
    lines
}

pub(super) fn rooms(rooms: &[RoomLine]) -> Vec<String> {
    let line = |room: &RoomLine| {
        let closed = if room.is_closed { " (closed)" } else { "" };
        let topic = if room.topic.is_empty() { "" } else { ": " };
        format!(
            "  {} ({} here){closed}{topic}{}",
            room.name, room.members, room.topic
        )
    };
    rooms.iter().map(line).collect()
}

pub(super) fn person(view: &PersonView) -> String {
    let account = match view.who.account() {
        Some(account) => format!("logged in as {account}"),
        None => "a guest".to_owned(),
    };
    let rooms: Vec<&str> = view.rooms.iter().map(|(room, _)| room.as_str()).collect();
    let away = view
        .away
        .as_ref()
        .map_or(String::new(), |text| format!("; away: {text}"));
    format!(
        "* {} is {account}, here since {}, in {}{away}",
        view.who.nick,
        moment(view.since),
        match rooms.as_slice() {
            [] => "no room".to_owned(),
            rooms => rooms.join(", "),
        },
    )
}

/// `12:05`, in UTC.
fn clock(time: Millis) -> String {
    let minutes = time / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// `2026-11-21 12:05 UTC`.
fn moment(time: Millis) -> String {
    let time = i64::try_from(time / 1000).unwrap_or_default();
    let day = time::OffsetDateTime::from_unix_timestamp(time).map(time::OffsetDateTime::date);
    let day = day.map_or(String::new(), |day| format!("{day} "));
    let minutes = time / 60;
    format!("{day}{:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_another_ones_line() {
        let text = line("[lobby] <eve> hi\n[lobby] <ada> I owe eve money\x1b[2J");
        assert_eq!(
            text,
            "[lobby] <eve> hi\n    | [lobby] <ada> I owe eve money\\u{1b}[2J\n"
        );
    }
}

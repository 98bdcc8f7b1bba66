//! What somebody typed: a command behind a slash, or something to say.

use std::time::Duration;

use crate::services::chat::model::{Role, Setting};

/// A line, understood. Rooms and nicks are as they were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed<'l> {
    Nothing,
    Say(&'l str),
    Me(&'l str),
    Msg {
        nick: &'l str,
        text: &'l str,
    },
    Nick(&'l str),
    Login {
        user: &'l str,
        password: &'l str,
    },
    Join {
        room: &'l str,
        password: Option<&'l str>,
    },
    Part {
        room: Option<&'l str>,
        reason: &'l str,
    },
    Who(Option<&'l str>),
    Whois(&'l str),
    Rooms,
    History(usize),
    Search(&'l str),
    Topic(&'l str),
    Away(&'l str),
    Edit {
        seq: u64,
        text: &'l str,
    },
    Delete(u64),
    Kick {
        nick: &'l str,
        reason: &'l str,
    },
    Ban {
        nick: &'l str,
        length: Option<Duration>,
        reason: &'l str,
    },
    Unban(&'l str),
    Mute {
        nick: &'l str,
        length: Option<Duration>,
    },
    Unmute(&'l str),
    Invite(&'l str),
    Role {
        nick: &'l str,
        role: Option<Role>,
    },
    Set(Setting),
    Quit(&'l str),
    Help,
    /// The word is none; or something is missing: what to type.
    Unknown(&'l str),
    Usage(&'static str),
}

/// What there is, in the order in which help lists it.
pub(super) const HELP: &str = "\
/nick NAME             be called otherwise
/login NAME PASSWORD   be who you are
/join ROOM [PASSWORD]  go into a room, or turn to one that you are in
/part [ROOM]           leave it
/msg NICK TEXT         tell one person
/me TEXT               do something
/who [ROOM]            who is here       /whois NICK   who is that
/rooms                 which rooms there are
/history [N]           what was said, with numbers
/search WORDS          who said that
/edit N TEXT           say it otherwise  /delete N     take it back
/topic [TEXT]          what it is about
/away [TEXT]           be away; without a text, be back
/kick NICK [REASON]    put somebody out
/ban NICK [10m] [REASON]  /unban NICK    keep somebody out
/mute NICK [10m]       /unmute NICK      keep somebody silent
/invite NICK           /op NICK  /deop NICK  /voice NICK  /devoice NICK  /owner NICK
/set WHAT on|off       invite, moderated, topiclock, hidden; password TEXT|off; limit N|off
/quit [REASON]         go
A line that begins with // says the rest, with one slash.
";

pub(super) fn parse(line: &str) -> Typed<'_> {
    let Some(command) = line.strip_prefix('/') else {
        return match line.trim().is_empty() {
            true => Typed::Nothing,
            false => Typed::Say(line),
        };
    };
    if command.starts_with('/') {
        return Typed::Say(command);
    }
    let (word, rest) = split(command);
    match word.to_ascii_lowercase().as_str() {
        "nick" => one(rest, "/nick NAME", Typed::Nick),
        "login" => match split(rest) {
            ("", _) | (_, "") => Typed::Usage("/login NAME PASSWORD"),
            (user, password) => Typed::Login { user, password },
        },
        "join" | "j" => match split(rest) {
            ("", _) => Typed::Usage("/join ROOM [PASSWORD]"),
            (room, password) => Typed::Join { room, password: some(password) },
        },
        "part" | "leave" => {
            let (room, reason) = split(rest);
            Typed::Part { room: some(room), reason }
        }
        "msg" | "tell" | "query" => match split(rest) {
            ("", _) | (_, "") => Typed::Usage("/msg NICK TEXT"),
            (nick, text) => Typed::Msg { nick, text },
        },
        "me" => match rest {
            "" => Typed::Usage("/me TEXT"),
            text => Typed::Me(text),
        },
        "who" | "names" => Typed::Who(some(rest)),
        "whois" => one(rest, "/whois NICK", Typed::Whois),
        "rooms" | "list" => Typed::Rooms,
        "history" => match rest {
            "" => Typed::History(20),
            n => n.parse().map_or(Typed::Usage("/history [N]"), Typed::History),
        },
        "search" => match rest {
            "" => Typed::Usage("/search WORDS"),
            words => Typed::Search(words),
        },
        "topic" => Typed::Topic(rest),
        "away" => Typed::Away(rest),
        "back" => Typed::Away(""),
        "edit" => match (number(rest), split(rest).1) {
            (None, _) | (_, "") => Typed::Usage("/edit N TEXT"),
            (Some(seq), text) => Typed::Edit { seq, text },
        },
        "delete" => number(rest).map_or(Typed::Usage("/delete N"), Typed::Delete),
        "kick" => match split(rest) {
            ("", _) => Typed::Usage("/kick NICK [REASON]"),
            (nick, reason) => Typed::Kick { nick, reason },
        },
        "ban" => match timed(rest) {
            ("", ..) => Typed::Usage("/ban NICK [10m] [REASON]"),
            (nick, length, reason) => Typed::Ban { nick, length, reason },
        },
        "unban" => one(rest, "/unban NICK", Typed::Unban),
        "mute" => match timed(rest) {
            ("", ..) => Typed::Usage("/mute NICK [10m]"),
            (nick, length, _) => Typed::Mute { nick, length },
        },
        "unmute" => one(rest, "/unmute NICK", Typed::Unmute),
        "invite" => one(rest, "/invite NICK", Typed::Invite),
        "op" => role(rest, "/op NICK", Some(Role::Moderator)),
        "owner" => role(rest, "/owner NICK", Some(Role::Owner)),
        "voice" => role(rest, "/voice NICK", Some(Role::Voice)),
        "deop" => role(rest, "/deop NICK", None),
        "devoice" => role(rest, "/devoice NICK", None),
        "set" => set(rest).map_or(
            Typed::Usage("/set invite|moderated|topiclock|hidden on|off, /set password TEXT|off, /set limit N|off"),
            Typed::Set,
        ),
        "quit" | "exit" | "bye" => Typed::Quit(rest),
        "help" | "h" | "?" => Typed::Help,
        _ => Typed::Unknown(word),
    }
}

/// The first word, and what is behind it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn one<'l>(rest: &'l str, usage: &'static str, make: fn(&'l str) -> Typed<'l>) -> Typed<'l> {
    match split(rest).0 {
        "" => Typed::Usage(usage),
        word => make(word),
    }
}

fn role<'l>(rest: &'l str, usage: &'static str, role: Option<Role>) -> Typed<'l> {
    match split(rest).0 {
        "" => Typed::Usage(usage),
        nick => Typed::Role { nick, role },
    }
}

/// `42` or `#42`.
fn number(text: &str) -> Option<u64> {
    let word = split(text).0;
    word.strip_prefix('#').unwrap_or(word).parse().ok()
}

/// `NICK [TIME] [REASON]`.
fn timed(text: &str) -> (&str, Option<Duration>, &str) {
    let (nick, rest) = split(text);
    let (word, behind) = split(rest);
    match length(word) {
        Some(length) => (nick, Some(length), behind),
        None => (nick, None, rest),
    }
}

/// `90s`, `10m`, `2h`, `7d`.
fn length(word: &str) -> Option<Duration> {
    let unit = word.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    let count: u64 = word.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

fn set(rest: &str) -> Option<Setting> {
    let (what, value) = split(rest);
    let on = match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    Some(match what {
        "invite" => Setting::InviteOnly(on?),
        "moderated" => Setting::Moderated(on?),
        "topiclock" => Setting::TopicLocked(on?),
        "hidden" => Setting::Hidden(on?),
        "password" => match value {
            "" => return None,
            "off" => Setting::Password(None),
            password => Setting::Password(Some(password.to_owned())),
        },
        "limit" => match value {
            "off" => Setting::Limit(None),
            n => Setting::Limit(Some(n.parse().ok()?)),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_understood() {
        let minutes = Some(Duration::from_secs(600));
        for (line, typed) in [
            ("", Typed::Nothing),
            ("hi /nick x", Typed::Say("hi /nick x")),
            ("//usr/bin", Typed::Say("/usr/bin")),
            ("/NICK ada", Typed::Nick("ada")),
            ("/nick", Typed::Usage("/nick NAME")),
            (
                "/join #dev  secret",
                Typed::Join {
                    room: "#dev",
                    password: Some("secret"),
                },
            ),
            (
                "/msg bob  hello  there",
                Typed::Msg {
                    nick: "bob",
                    text: "hello  there",
                },
            ),
            (
                "/ban bob 10m be kind",
                Typed::Ban {
                    nick: "bob",
                    length: minutes,
                    reason: "be kind",
                },
            ),
            (
                "/ban bob be kind",
                Typed::Ban {
                    nick: "bob",
                    length: None,
                    reason: "be kind",
                },
            ),
            ("/delete #7", Typed::Delete(7)),
            (
                "/edit 7 new",
                Typed::Edit {
                    seq: 7,
                    text: "new",
                },
            ),
            ("/set password off", Typed::Set(Setting::Password(None))),
            ("/frobnicate", Typed::Unknown("frobnicate")),
        ] {
            assert_eq!(parse(line), typed, "{line}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(line in "/?[a-z]{0,7} ?.{0,40}") {
            let _ = parse(&line);
        }
    }
}

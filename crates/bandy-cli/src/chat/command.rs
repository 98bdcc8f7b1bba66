//! What was typed, as what is to be done.

use bandy::services::chat::json::wire::{Ask, To};
use bandy::services::chat::model::{Manner, Role};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// To be asked of the server.
    Ask(Ask),
    /// Go to a room or a conversation, and say something there if there is something.
    Open(String, String),
    /// Leave a room or a conversation.
    Leave(String),
    /// The next or the previous part of what there is to read.
    Help,
    Quit,
    /// It cannot be done: why.
    Wrong(String),
}

/// Each command: its name, what comes behind it, what it does.
pub const COMMANDS: [(&str, &str, &str); 23] = [
    ("join", "ROOM [PASSWORD]", "go into a room, or make it"),
    ("part", "", "leave this room"),
    ("msg", "NICK [TEXT]", "talk to somebody alone"),
    ("me", "TEXT", "say what you do"),
    ("nick", "NAME", "be called otherwise"),
    ("away", "[TEXT]", "be away"),
    ("back", "", "be back"),
    ("rooms", "", "which rooms there are"),
    ("who", "", "who is here"),
    ("whois", "NICK", "who that is"),
    ("topic", "TEXT", "say what this room is about"),
    ("search", "WORDS", "find what was said here"),
    ("edit", "TEXT", "say what you said last otherwise"),
    ("delete", "", "take back what you said last"),
    ("invite", "NICK", "invite somebody here"),
    ("kick", "NICK [REASON]", "put somebody out"),
    ("ban", "NICK [REASON]", "keep somebody out"),
    ("unban", "NICK", "let them in again"),
    ("mute", "NICK [MINUTES]", "keep somebody silent"),
    ("unmute", "NICK", "let them speak again"),
    (
        "role",
        "NICK owner|moderator|voice|none",
        "give a role, or take it",
    ),
    ("help", "", "this"),
    ("quit", "", "leave the chat"),
];

/// Where one is: the room, or `@nick`; and the last entry there that is one's own.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    pub room: &'a str,
    pub own: Option<u64>,
}

/// A room or `@nick`, as requests name it.
pub fn to(room: &str) -> To {
    match room.strip_prefix('@') {
        Some(nick) => To::nick(nick),
        None => To::room(room),
    }
}

/// What a line means.
pub fn parse(line: &str, here: Here<'_>) -> Action {
    let Some(command) = line.strip_prefix('/').filter(|rest| !rest.starts_with('/')) else {
        // `//` begins a message with a stroke.
        let text = line.strip_prefix('/').unwrap_or(line);
        return say(here.room, text, Manner::Message);
    };
    let (name, rest) = cut(command);
    let (first, more) = cut(rest);
    let room = here.room.to_owned();
    let need = |what: &str| Action::Wrong(format!("/{name} needs {what}"));
    let nick = || first.trim_start_matches('@').to_owned();
    match name.to_ascii_lowercase().as_str() {
        "join" | "j" if first.is_empty() => need("a room"),
        "join" | "j" => Action::Ask(Ask::Join {
            room: first.trim_start_matches('#').to_ascii_lowercase(),
            password: (!more.is_empty()).then(|| more.to_owned()),
            after: None,
            recent: Some(50),
        }),
        "part" | "leave" if first.is_empty() => Action::Leave(room),
        "part" | "leave" => Action::Leave(first.trim_start_matches('#').to_ascii_lowercase()),
        "msg" | "query" if first.is_empty() => need("a nick"),
        "msg" | "query" => Action::Open(format!("@{}", nick()), more.to_owned()),
        "me" => say(here.room, rest, Manner::Action),
        "nick" if first.is_empty() => need("a name"),
        "nick" => Action::Ask(Ask::Nick { nick: nick() }),
        "away" => Action::Ask(Ask::Away {
            text: Some(match rest.is_empty() {
                true => "away".to_owned(),
                false => rest.to_owned(),
            }),
        }),
        "back" => Action::Ask(Ask::Away { text: None }),
        "rooms" | "list" => Action::Ask(Ask::Rooms),
        "help" | "?" => Action::Help,
        "quit" | "exit" => Action::Quit,
        "whois" if first.is_empty() => need("a nick"),
        "whois" => Action::Ask(Ask::Whois { nick: nick() }),
        "search" if rest.is_empty() => need("words"),
        "search" => Action::Ask(Ask::Search {
            of: to(here.room),
            words: rest.to_owned(),
            before: None,
            limit: Some(20),
        }),
        "edit" | "delete" => match here.own {
            None => Action::Wrong("you said nothing here that is on the screen".to_owned()),
            Some(seq) if name.eq_ignore_ascii_case("edit") => Action::Ask(Ask::Edit {
                to: to(here.room),
                seq,
                text: rest.to_owned(),
            }),
            Some(seq) => Action::Ask(Ask::Delete {
                to: to(here.room),
                seq,
            }),
        },
        "who" | "names" | "topic" | "invite" | "kick" | "ban" | "unban" | "mute" | "unmute"
        | "role"
            if room.starts_with('@') =>
        {
            Action::Wrong(format!("/{name} is for rooms"))
        }
        "who" | "names" => Action::Ask(Ask::Look { room }),
        "topic" => Action::Ask(Ask::Topic {
            room,
            text: rest.to_owned(),
        }),
        "invite" | "kick" | "ban" | "unban" | "mute" | "unmute" | "role" if first.is_empty() => {
            need("a nick")
        }
        "invite" => Action::Ask(Ask::Invite { room, nick: nick() }),
        "kick" => Action::Ask(Ask::Kick {
            room,
            nick: nick(),
            reason: more.to_owned(),
        }),
        "ban" => Action::Ask(Ask::Ban {
            room,
            nick: Some(nick()),
            address: None,
            seconds: None,
            reason: more.to_owned(),
        }),
        "unban" => Action::Ask(Ask::Unban {
            room,
            nick: Some(nick()),
            address: None,
        }),
        "mute" => match more.parse::<u64>() {
            Err(_) if !more.is_empty() => Action::Wrong("minutes are a number".to_owned()),
            minutes => Action::Ask(Ask::Mute {
                room,
                nick: nick(),
                seconds: minutes.ok().map(|minutes| minutes.saturating_mul(60)),
            }),
        },
        "unmute" => Action::Ask(Ask::Unmute { room, nick: nick() }),
        "role" => match (more, Role::parse(more)) {
            ("none", _) => Action::Ask(Ask::Role {
                room,
                nick: nick(),
                role: None,
            }),
            (_, Some(role)) => Action::Ask(Ask::Role {
                room,
                nick: nick(),
                role: Some(role),
            }),
            _ => Action::Wrong("a role is owner, moderator, voice or none".to_owned()),
        },
        _ => Action::Wrong(format!(
            "there is no command /{}; /help has them all, and // begins a message with a stroke",
            name.escape_debug()
        )),
    }
}

fn say(room: &str, text: &str, manner: Manner) -> Action {
    Action::Ask(Ask::Say {
        to: to(room),
        text: text.to_owned(),
        manner,
        nonce: None,
        reply: None,
    })
}

/// The first word, and what is behind it.
fn cut(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Here<'_> = Here {
        room: "lobby",
        own: Some(7),
    };

    #[test]
    fn every_command_of_the_list_is_one() {
        for (name, takes, _) in COMMANDS {
            let line = format!("/{name} a {}", if name == "role" { "voice" } else { "1" });
            let action = parse(&line, HERE);
            assert!(!matches!(action, Action::Wrong(_)), "{line}: {action:?}");
            let is_needed = !takes.is_empty() && !takes.starts_with('[');
            let is_wrong = matches!(parse(&format!("/{name}"), HERE), Action::Wrong(_));
            let may_be_empty = ["me", "topic", "edit"].contains(&name);
            assert_eq!(is_wrong, is_needed && !may_be_empty, "{name}");
        }
    }

    #[test]
    fn a_stroke_is_said_after_another() {
        assert_eq!(parse("//etc", HERE), say("lobby", "/etc", Manner::Message));
        assert_eq!(parse("a /b", HERE), say("lobby", "a /b", Manner::Message));
        assert!(matches!(parse("/nothing", HERE), Action::Wrong(_)));
    }
}

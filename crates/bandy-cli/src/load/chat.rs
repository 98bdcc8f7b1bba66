//! `bandy load chat`: what was typed, as a plan, and how what came of it is told.

use std::time::Duration;

use bandy::error::Error;
use bandy::load::chat::{RATE_MAX, Room, SIZE_MIN};
use bandy::load::report::{Chat, Faulty};
use bandy::load::{Arrivals, Pace, Plan, Rate, Stop, Work};

use super::LoadArgs;
use super::show::count;
use super::typed::{CONNECTIONS, DURATION, dialer, seed, size_of};
use crate::report;

/// Messages a second unless told otherwise.
const RATE: f64 = 10.0;
/// The length of a message unless told otherwise. Bytes.
const SIZE: usize = 128;

/// Whether a chat is asked for: `chat` stands where the URL does, and the URL behind it.
pub fn typed(mut args: LoadArgs) -> (LoadArgs, bool) {
    let is_chat = args.url.as_deref() == Some("chat");
    if is_chat {
        args.url = match args.items.is_empty() {
            true => None,
            false => Some(args.items.remove(0).to_string_lossy().into_owned()),
        };
    }
    (args, is_chat)
}

/// The run that was asked for.
///
/// # Errors
/// What is wrong with the arguments, and what makes no sense with a chat.
pub fn plan(args: &LoadArgs) -> Result<Plan, Error> {
    let Some(url) = &args.url else {
        return Err(report::usage(
            "measuring a chat",
            "no URL is given",
            "write: bandy load chat ws://HOST:PORT/ws --members 100 --rate 10",
        ));
    };
    let to = crate::chat::endpoint(url)?;
    if let Some(item) = args.items.first() {
        return Err(report::usage(
            format!("measuring {to}"),
            format!("`{}`: what members say is made up", item.display()),
            "leave it out; --size says how long it is",
        ));
    }
    let given = [
        (
            "--connections",
            args.connections.is_some(),
            "members are connections: --members",
        ),
        (
            "--sweep",
            !args.sweep.is_empty(),
            "run it once for each rate",
        ),
        (
            "--per-connection",
            args.per_connection.is_some(),
            "members stay",
        ),
        (
            "--requests",
            args.requests.is_some(),
            "what members say is made up",
        ),
        ("--http", args.http.is_some(), "a chat is WebSocket"),
        ("--streams", args.streams.is_some(), "a chat is WebSocket"),
        ("--form", args.form, "a chat is WebSocket"),
        ("--auth", args.auth.is_some(), "members are guests"),
        ("--bearer", args.bearer.is_some(), "members are guests"),
        ("--server-times", args.server_times, "chats tell none"),
        (
            "--answers",
            args.answers.is_some(),
            "everybody hears everything",
        ),
    ];
    if let Some((option, _, why)) = given.iter().find(|(_, is_given, _)| *is_given) {
        return Err(report::usage(
            format!("measuring the chat at {to}"),
            format!("{option} makes no sense with a chat: {why}"),
            "leave it out",
        ));
    }
    if to.port() == Some(0) {
        return Err(report::usage(
            format!("measuring {to}"),
            "port 0 is nobody's",
            "the server's ready line has the real port",
        ));
    }
    let after = match (args.duration, args.number) {
        (None, None) => Some(DURATION),
        (duration, _) => duration,
    };
    Ok(Plan {
        dialer: dialer(args, &to)?,
        work: Work::Chat(Room {
            name: room(args, &to.to_string())?,
            size: size(args, &to.to_string())?,
        }),
        pace: pace(args, after)?,
        to,
        stop: Stop {
            after,
            requests: args.number,
        },
        connections: args.members.unwrap_or(CONNECTIONS),
        per_connection: None,
        timeout: args.timeout,
        loops: args.loops,
    })
}

fn pace(args: &LoadArgs, after: Option<Duration>) -> Result<Pace, Error> {
    let rate = match &args.rate {
        None => Rate::constant(RATE),
        Some(rate) if !rate.is_constant() && after.is_none() => {
            return Err(report::usage(
                "planning the run",
                "a rate that changes needs to know how long it has",
                "say so with -d",
            ));
        }
        Some(rate) => rate.over(after),
    };
    if rate.most() > RATE_MAX {
        return Err(report::usage(
            "planning the run",
            format!(
                "a chat is told {RATE_MAX:.0} messages a second at most: each is heard by everybody"
            ),
            "choose a lower --rate",
        ));
    }
    Ok(Pace::Open {
        rate,
        arrivals: match args.poisson {
            true => Arrivals::Poisson(args.seed.unwrap_or_else(seed)),
            false => Arrivals::Constant,
        },
    })
}

fn room(args: &LoadArgs, to: &str) -> Result<String, Error> {
    let name = match &args.room {
        // What an earlier run said there would be told to those who come.
        None => return Ok(format!("load-{:08x}", seed() & 0xffff_ffff)),
        Some(name) => name,
    };
    match bandy::services::chat::model::RoomName::parse(name) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(why) => Err(report::usage(
            format!("measuring the chat at {to}"),
            format!("`{}` is no name of a room: {why}", name.escape_debug()),
            "letters, digits and - make one",
        )),
    }
}

fn size(args: &LoadArgs, to: &str) -> Result<usize, Error> {
    match size_of(args.size.as_deref())? {
        None => Ok(SIZE),
        Some(size) if size < SIZE_MIN => Err(report::usage(
            format!("measuring the chat at {to}"),
            format!("a message says when it was due, which takes {SIZE_MIN} bytes"),
            "choose a longer --size",
        )),
        Some(size) => Ok(size),
    }
}

/// In a sentence: whether everybody heard everything.
pub fn verdict(chat: &Chat) -> (bool, String) {
    let members = count(chat.members as f64);
    if chat.messages.done == 0 {
        return (false, "No message came into the room's log.".to_owned());
    }
    if chat.faulty_members == 0 {
        let what = format!("All {members} members heard every message, once and in order.");
        return (true, what);
    }
    let absent = chat.members - chat.joined;
    let parts = [
        (chat.missed, "missed"),
        (chat.duplicates, "heard again"),
        (chat.misordered, "out of order"),
        (absent as u64, "members who did not come in"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number as f64)))
        .collect();
    let mut text = format!(
        "{} of {members} members did not hear everything once and in order",
        count(chat.faulty_members as f64)
    );
    if !parts.is_empty() {
        text += &format!(": {}", parts.join(", "));
    }
    (false, text + ".")
}

/// What became of the messages, in a line.
pub fn messages(chat: &Chat) -> String {
    let m = &chat.messages;
    let n = |number: u64| count(number as f64);
    format!(
        "  {:<12}{} due = {} in the log + {} refused or lost + {} not answered + {} in flight at the end + {} never sent\n",
        "messages",
        n(m.scheduled),
        n(m.done),
        n(m.failed),
        n(m.timed_out),
        n(m.in_flight),
        n(m.never_sent)
    )
}

/// The members who did not hear everything once and in order, the worst first.
pub fn faulty(chat: &Chat) -> String {
    const SHOWN: usize = 5;
    let mut out = String::new();
    for (i, one) in chat.faulty.iter().take(SHOWN).enumerate() {
        let name = if i == 0 { "members" } else { "" };
        out += &format!("  {name:<12}{}\n", fault(one));
    }
    let others = chat.faulty_members.saturating_sub(SHOWN);
    if others > 0 {
        let told = match chat.faulty.len() > SHOWN {
            true => "; --json has more of them",
            false => "",
        };
        out += &format!("  {:<12}and {} more{told}\n", "", count(others as f64));
    }
    out
}

/// What is wrong with what a member heard.
pub fn fault(one: &Faulty) -> String {
    let who = match one.nick.as_str() {
        "" => format!("member {}", one.member),
        nick => format!("{} (member {})", visible(nick), one.member),
    };
    let parts = [
        (one.missed, "missed"),
        (one.duplicates, "heard again"),
        (one.misordered, "out of order"),
    ];
    let mut parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number as f64)))
        .collect();
    parts.extend(one.gone.as_deref().map(visible));
    format!("{who}: {}", parts.join(", "))
}

/// What a server says, safe to print.
fn visible(text: &str) -> String {
    crate::ask::visible::show(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(faulty_members: usize, missed: u64, joined: usize) -> Chat {
        let none = bandy::load::report::Requests {
            scheduled: 5,
            done: 5,
            failed: 0,
            timed_out: 0,
            in_flight: 0,
            never_sent: 0,
        };
        Chat {
            room: "load".to_owned(),
            members: 1000,
            joined,
            messages: none,
            answered_ms: None,
            missed,
            duplicates: 0,
            misordered: 0,
            faulty_members,
            faulty: Vec::new(),
        }
    }

    #[test]
    fn the_verdict_in_a_sentence() {
        assert_eq!(
            verdict(&chat(0, 0, 1000)),
            (
                true,
                "All 1,000 members heard every message, once and in order.".to_owned()
            )
        );
        let (is_good, text) = verdict(&chat(3, 12, 998));
        assert!(!is_good);
        assert_eq!(
            text,
            "3 of 1,000 members did not hear everything once and in order: 12 missed, 2 members who did not come in."
        );
    }
}

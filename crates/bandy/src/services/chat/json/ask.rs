//! Requests as commands, and answers back.

use std::time::Duration;

use super::view;
use super::wire::{Ask, Came, Good, To, Wrong};
use crate::services::chat::model::{Answer, Command, Mask, Range, Refused, RoomName, Target, Whom};
use crate::services::chat::session::Session;
use crate::services::chat::talk::Task;

/// The most entries that come with the answer to `join`.
const JOINED: usize = 500;
/// How many entries come, where it is not said.
const LIMIT: usize = 100;

/// What is to be done about a request.
pub(super) fn task(ask: Ask, session: &Session) -> Result<Task<Came>, Wrong> {
    let command = match ask {
        Ask::Join {
            room,
            password,
            after,
            recent,
        } => {
            let room = name(&room)?;
            return Ok(join(session, room, password, after, recent));
        }
        other => command(other)?,
    };
    let answer = session.command(command);
    Ok(Box::pin(async move {
        Ok(match answer.await? {
            Ok(answer) => Came::Ok(Box::new(view::good(&answer))),
            Err(refused) => Came::Error((&refused).into()),
        })
    }))
}

fn join(
    session: &Session,
    room: RoomName,
    password: Option<String>,
    after: Option<super::wire::At>,
    recent: Option<usize>,
) -> Task<Came> {
    let joining = session.command(Command::Join {
        room: room.clone(),
        password,
    });
    let look_back = session.command_later();
    Box::pin(async move {
        let view = match joining.await? {
            Ok(Answer::Joined(view)) => view,
            Ok(_) => return Ok(Came::Ok(Box::new(Good::Done))),
            Err(refused) => return Ok(Came::Error((&refused).into())),
        };
        let of = Target::Room(room.clone());
        let through = view.from.seq.saturating_add(1);
        // What comes live is behind `from`; what is asked for is up to it.
        let range = match after {
            Some(at) if at.epoch == view.from.epoch => Range::Between(at.seq, through),
            _ => Range::Before(through),
        };
        let limit = match after {
            Some(_) => JOINED,
            None => recent.unwrap_or(0).min(JOINED),
        };
        let mut history = Vec::new();
        let (mut lost, mut more) = (after.is_some_and(|at| at.epoch != view.from.epoch), false);
        // A session that followed the room already has missed nothing.
        if limit > 0 && !(view.was_followed && after.is_some()) {
            let command = Command::History { of, range, limit };
            if let Ok(Answer::History(found)) = look_back.command(command).await? {
                lost |= found.is_lost;
                more = found.has_more && after.is_some();
                history = view::entries(&found);
            }
        }
        let room = Box::new(view::room(&view));
        Ok(Came::Ok(Box::new(Good::Joined {
            room,
            history,
            lost,
            more,
        })))
    })
}

fn command(ask: Ask) -> Result<Command, Wrong> {
    let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
    Ok(match ask {
        Ask::Part { room, reason } => Command::Part {
            room: name(&room)?,
            reason,
        },
        Ask::Say {
            to,
            text,
            manner,
            nonce,
            reply,
        } => Command::Say {
            to: target(to)?,
            text,
            manner,
            nonce,
            reply,
        },
        Ask::Edit { to, seq, text } => Command::Edit {
            at: target(to)?,
            seq,
            text,
        },
        Ask::Delete { to, seq } => Command::Delete {
            at: target(to)?,
            seq,
        },
        Ask::Topic { room, text } => Command::Topic {
            room: name(&room)?,
            text,
        },
        Ask::Kick { room, nick, reason } => Command::Kick {
            room: name(&room)?,
            nick,
            reason,
        },
        Ask::Ban {
            room,
            nick,
            address,
            seconds: length,
            reason,
        } => Command::Ban {
            room: name(&room)?,
            who: whom(nick, address)?,
            length: seconds(length),
            reason,
        },
        Ask::Unban {
            room,
            nick,
            address,
        } => Command::Unban {
            room: name(&room)?,
            who: whom(nick, address)?,
        },
        Ask::Mute {
            room,
            nick,
            seconds: length,
        } => Command::Mute {
            room: name(&room)?,
            who: Whom::Nick(nick),
            length: seconds(length),
        },
        Ask::Unmute { room, nick } => Command::Unmute {
            room: name(&room)?,
            who: Whom::Nick(nick),
        },
        Ask::Invite { room, nick } => Command::Invite {
            room: name(&room)?,
            nick,
        },
        Ask::Role { room, nick, role } => Command::Role {
            room: name(&room)?,
            nick,
            role,
        },
        Ask::Set { room, setting } => Command::Set {
            room: name(&room)?,
            setting,
        },
        Ask::Nick { nick } => Command::Nick(nick),
        Ask::Away { text } => Command::Away(text),
        Ask::Typing { to, active } => Command::Typing {
            to: target(to)?,
            active,
        },
        Ask::Look { room } => Command::Look(name(&room)?),
        Ask::Whois { nick } => Command::Whois(nick),
        Ask::Rooms => Command::Rooms,
        Ask::History {
            of,
            before,
            after,
            around,
            limit,
        } => {
            let range = match (before, after, around) {
                (None, None, None) => Range::Latest,
                (Some(seq), None, None) => Range::Before(seq),
                (None, Some(seq), None) => Range::After(seq),
                (None, None, Some(seq)) => Range::Around(seq),
                (Some(before), Some(after), None) => Range::Between(after, before),
                _ => return Err(wrong("`around` stands alone")),
            };
            Command::History {
                of: source(of)?,
                range,
                limit: limit.unwrap_or(LIMIT),
            }
        }
        Ask::Search {
            of,
            words,
            before,
            limit,
        } => Command::Search {
            of: source(of)?,
            words,
            before,
            limit: limit.unwrap_or(LIMIT),
        },
        Ask::Read { of, seq } => Command::Read {
            of: source(of)?,
            seq,
        },
        Ask::Unread => Command::Unread,
        Ask::Enter { .. } | Ask::Join { .. } | Ask::Ping => return Err(wrong("not now")),
    })
}

fn name(room: &str) -> Result<RoomName, Wrong> {
    RoomName::parse(room).map_err(|fault| (&Refused::RoomWrong(fault.to_string())).into())
}

fn target(to: To) -> Result<Target, Wrong> {
    match (to.room, to.nick) {
        (Some(room), None) => Ok(Target::Room(name(&room)?)),
        (None, Some(nick)) => Ok(Target::Nick(nick)),
        _ => Err(wrong("it is for a `room` or a `nick`: one of the two")),
    }
}

/// What is read: also a conversation of two by the name of its log, whatever the other one is called now.
fn source(of: To) -> Result<Target, Wrong> {
    match (&of.room, &of.nick) {
        (Some(room), None) if room.starts_with('@') => RoomName::parse_log(room)
            .map(Target::Room)
            .ok_or_else(|| wrong("there is no such conversation")),
        _ => target(of),
    }
}

fn whom(nick: Option<String>, address: Option<std::net::IpAddr>) -> Result<Whom, Wrong> {
    match (nick, address) {
        (Some(nick), None) => Ok(Whom::Nick(nick)),
        (None, Some(address)) => Ok(Whom::Mask(Mask::Address(address))),
        _ => Err(wrong(
            "it is about a `nick` or an `address`: one of the two",
        )),
    }
}

fn wrong(message: &str) -> Wrong {
    Wrong {
        code: "no_request".to_owned(),
        message: message.to_owned(),
        wait: None,
    }
}

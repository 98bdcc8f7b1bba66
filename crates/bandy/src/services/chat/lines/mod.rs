//! Chat in lines, for `nc` and telnet: a line is something to say, or a command behind a slash.
//!
//! Everybody begins in the room that the chat begins with. What others say comes as `[room] <nick> text`; one's own lines
//! do not come back, since the terminal shows them already. Control characters are made visible, and a message of
//! several lines cannot look like somebody else's: its second line begins with `    | `.

mod parse;
mod show;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::parse::{Typed, parse};
use super::hub::Hub;
use super::model::{
    Answer, Arrival, Command, Event, Manner, Range, Refused, RoomName, Target, What, Whom,
};
use super::outbox::{Cut, Form, Told};
use super::session::Session;
use super::talk::{self, Next, Out, Speech, Task};
use crate::accounts::{Admission, Credentials};
use crate::endpoint::Scheme;
use crate::error::Result;
use crate::net::{Conn, Peer};

/// Lines of history that are shown to whoever comes into a room.
const SHOWN: usize = 10;

/// Talks with somebody until they go.
///
/// # Errors
/// What the transport reports; the store's.
pub(super) async fn talk(conn: Conn, hub: Hub) -> Result<()> {
    let address = match conn.peer() {
        Peer::Ip(address) => Some(address.ip()),
        _ => None,
    };
    let is_local = address.is_none_or(|ip| ip.is_loopback());
    let lines = Lines {
        may_login: is_local || conn.tls().is_some() || conn.endpoint().scheme() != Scheme::Tcp,
        ping: hub.options().ping,
        hub,
        address,
        session: None,
        room: None,
        stem: String::new(),
        count: 0,
    };
    let ping = lines.ping;
    talk::talk(conn, lines, ping).await
}

struct Lines {
    hub: Hub,
    address: Option<IpAddr>,
    /// Whether nobody on the way reads a password along.
    may_login: bool,
    ping: Duration,
    session: Option<Session>,
    /// Where what is typed goes.
    room: Option<RoomName>,
    /// With which the nonces of what this session said begin: so it knows its own.
    stem: String,
    count: u64,
}

/// What a task came to.
enum Done {
    Opened(std::result::Result<Session, Refused>),
    Wrong,
    TooMany(Duration),
    /// For a room: what was said there lately, too.
    Joined(Box<Answer>, Option<Box<Answer>>),
    Answered(Answer),
    Refused(Refused),
}

impl Speech for Lines {
    type Done = Done;

    fn begin(&mut self, out: &mut Out) -> Next<Done> {
        for line in self.hub.options().welcome.lines() {
            out.push_back(show::line(line));
        }
        if !self.hub.options().rules.guests {
            out.push_back(show::line("Welcome. Type /login NAME PASSWORD to come in."));
            return Next::Read;
        }
        self.open(Arrival {
            address: self.address,
            ..Arrival::default()
        })
    }

    fn heard(&mut self, message: Bytes, out: &mut Out) -> Next<Done> {
        let text = String::from_utf8_lossy(&message);
        match self.session {
            None => self.before(parse(&text), out),
            Some(_) => self.typed(parse(&text), out),
        }
    }

    fn done(&mut self, done: Done, out: &mut Out) -> Next<Done> {
        let mut say = |line: &str| out.push_back(show::line(line));
        match done {
            Done::Opened(Ok(session)) => {
                let nick = session.who().nick;
                say(&format!(
                    "Welcome. You are {nick}. Type to talk, /help to see what else there is, /quit to go."
                ));
                self.stem = session.nonce_stem();
                self.session = Some(session);
                return match self.hub.options().room() {
                    Some(room) => self.join(room, None),
                    None => Next::Read,
                };
            }
            Done::Opened(Err(refused)) | Done::Refused(refused) => say(&format!("! {refused}")),
            Done::Wrong => say("! name or password is wrong"),
            Done::TooMany(wait) => say(&format!(
                "! too many attempts failed; wait {} s",
                wait.as_secs() + 1
            )),
            Done::Joined(answer, history) => self.joined(&answer, history.as_deref(), out),
            Done::Answered(answer) => self.answered(&answer, out),
        }
        Next::Read
    }

    fn told(&mut self, told: &Arc<Told>, out: &mut Out) {
        let Some(session) = &self.session else { return };
        if let Event::Logged { id, entry } = &told.event {
            let nonce = entry
                .nonce
                .as_deref()
                .and_then(|nonce| nonce.strip_prefix(&self.stem));
            let is_own = nonce.is_some_and(|rest| rest.starts_with('.'));
            if is_own {
                return;
            }
            if id.room.is_direct() {
                out.extend(show::direct(entry, &session.who()).map(|line| show::line(&line)));
                return;
            }
        }
        let text = told.encoded(Form::Lines, |event| {
            show::event(event).map_or(Bytes::new(), |text| show::line(&text))
        });
        if !text.is_empty() {
            out.push_back(text);
        }
        self.follow_membership(&told.event, out);
    }

    fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    fn cut(&mut self, why: Cut, out: &mut Out) -> (u16, String) {
        let text = match why {
            Cut::Slow => "* you read too slowly, and are disconnected: come back when you can",
            Cut::Failed => {
                "! something failed here, and what you asked for may not be done: come back"
            }
            _ => "* the chat is over; come back later",
        };
        out.push_back(show::line(text));
        (why.code(), text.to_owned())
    }

    fn end(&mut self) {
        self.session = None;
    }
}

impl Lines {
    fn open(&self, arrival: Arrival) -> Next<Done> {
        let hub = self.hub.clone();
        Next::Do(Box::pin(async move {
            Ok(Done::Opened(hub.open(arrival).await?))
        }))
    }

    /// Before somebody is in: they log in, or go.
    fn before(&mut self, typed: Typed<'_>, out: &mut Out) -> Next<Done> {
        match typed {
            Typed::Login { user, password } => return self.login(user, password, out),
            Typed::Quit(_) => return Next::End(1000, String::new()),
            Typed::Nothing => {}
            _ => out.push_back(show::line("! type /login NAME PASSWORD to come in")),
        }
        Next::Read
    }

    fn login(&self, user: &str, password: &str, out: &mut Out) -> Next<Done> {
        if !self.may_login {
            let text = "! others could read your password on the way: come over TLS";
            out.push_back(show::line(text));
            return Next::Read;
        }
        let (hub, address) = (self.hub.clone(), self.address);
        let credentials = Credentials::new(user, password);
        Next::Do(Box::pin(async move {
            let user = match hub.accounts().check(credentials, address).await? {
                Admission::Granted(user) => user,
                Admission::Wrong => return Ok(Done::Wrong),
                Admission::TooMany { retry_after } => return Ok(Done::TooMany(retry_after)),
            };
            Ok(Done::Opened(hub.open(Arrival::of(&user, address)).await?))
        }))
    }

    fn typed(&mut self, typed: Typed<'_>, out: &mut Out) -> Next<Done> {
        let whom = |nick: &str| Whom::Nick(nick.to_owned());
        let here = self.room.clone();
        let command = match typed {
            Typed::Nothing => return Next::Read,
            Typed::Say(text) => return self.say(text, Manner::Message, out),
            Typed::Me(text) => return self.say(text, Manner::Action, out),
            Typed::Msg { nick, text } => {
                self.saying(Target::Nick(nick.to_owned()), text, Manner::Message)
            }
            Typed::Login { user, password } => return self.login(user, password, out),
            Typed::Nick(nick) => Command::Nick(nick.to_owned()),
            Typed::Away(text) => Command::Away((!text.is_empty()).then(|| text.to_owned())),
            Typed::Whois(nick) => Command::Whois(nick.to_owned()),
            Typed::Rooms => Command::Rooms,
            Typed::Join { room, password } => match RoomName::parse(room) {
                Ok(room) => return self.join(room, password.map(str::to_owned)),
                Err(fault) => return said(out, &format!("! {fault}")),
            },
            Typed::Part {
                room: Some(room),
                reason,
            } => match RoomName::parse(room) {
                Ok(room) => Command::Part {
                    room,
                    reason: reason.to_owned(),
                },
                Err(fault) => return said(out, &format!("! {fault}")),
            },
            Typed::Who(Some(room)) => match RoomName::parse(room) {
                Ok(room) => Command::Look(room),
                Err(fault) => return said(out, &format!("! {fault}")),
            },
            Typed::Quit(reason) => {
                if let Some(session) = &mut self.session {
                    session.farewell(reason);
                }
                out.push_back(show::line("Goodbye."));
                return Next::End(1000, String::new());
            }
            Typed::Help => {
                out.push_back(Bytes::from_static(parse::HELP.as_bytes()));
                return Next::Read;
            }
            Typed::Unknown(word) => {
                return said(out, &format!("! there is no /{word}; type /help"));
            }
            Typed::Usage(usage) => return said(out, &format!("! type {usage}")),
            in_room => {
                let Some(room) = here else {
                    return said(out, "! you are in no room: /join one");
                };
                let of = Target::Room(room.clone());
                match in_room {
                    Typed::Part { reason, .. } => Command::Part {
                        room,
                        reason: reason.to_owned(),
                    },
                    Typed::Who(_) => Command::Look(room),
                    Typed::History(limit) => Command::History {
                        of,
                        range: Range::Latest,
                        limit,
                    },
                    Typed::Search(words) => Command::Search {
                        of,
                        words: words.to_owned(),
                        before: None,
                        limit: 20,
                    },
                    Typed::Topic("") => Command::Look(room),
                    Typed::Topic(text) => Command::Topic {
                        room,
                        text: text.to_owned(),
                    },
                    Typed::Edit { seq, text } => Command::Edit {
                        at: of,
                        seq,
                        text: text.to_owned(),
                    },
                    Typed::Delete(seq) => Command::Delete { at: of, seq },
                    Typed::Kick { nick, reason } => Command::Kick {
                        room,
                        nick: nick.to_owned(),
                        reason: reason.to_owned(),
                    },
                    Typed::Ban {
                        nick,
                        length,
                        reason,
                    } => Command::Ban {
                        room,
                        who: whom(nick),
                        length,
                        reason: reason.to_owned(),
                    },
                    Typed::Unban(nick) => Command::Unban {
                        room,
                        who: whom(nick),
                    },
                    Typed::Mute { nick, length } => Command::Mute {
                        room,
                        who: whom(nick),
                        length,
                    },
                    Typed::Unmute(nick) => Command::Unmute {
                        room,
                        who: whom(nick),
                    },
                    Typed::Invite(nick) => Command::Invite {
                        room,
                        nick: nick.to_owned(),
                    },
                    Typed::Role { nick, role } => Command::Role {
                        room,
                        nick: nick.to_owned(),
                        role,
                    },
                    Typed::Set(setting) => Command::Set { room, setting },
                    _ => return Next::Read,
                }
            }
        };
        self.ask(command)
    }

    fn say(&mut self, text: &str, manner: Manner, out: &mut Out) -> Next<Done> {
        match self.room.clone() {
            Some(room) => {
                let command = self.saying(Target::Room(room), text, manner);
                self.ask(command)
            }
            None => said(out, "! you are in no room: /join one"),
        }
    }

    fn saying(&mut self, to: Target, text: &str, manner: Manner) -> Command {
        self.count += 1;
        let nonce = Some(format!("{}.{}", self.stem, self.count));
        Command::Say {
            to,
            text: text.to_owned(),
            manner,
            nonce,
            reply: None,
        }
    }

    fn ask(&self, command: Command) -> Next<Done> {
        let Some(session) = &self.session else {
            return Next::Read;
        };
        let answer = session.command(command);
        let task: Task<Done> = Box::pin(async move {
            Ok(match answer.await? {
                Ok(answer) => Done::Answered(answer),
                Err(refused) => Done::Refused(refused),
            })
        });
        Next::Do(task)
    }

    fn join(&self, room: RoomName, password: Option<String>) -> Next<Done> {
        let Some(session) = &self.session else {
            return Next::Read;
        };
        let of = Target::Room(room.clone());
        let joining = session.command(Command::Join { room, password });
        let later = session.command_later();
        Next::Do(Box::pin(async move {
            let joined = match joining.await? {
                Ok(joined) => joined,
                Err(refused) => return Ok(Done::Refused(refused)),
            };
            let is_new = matches!(&joined, Answer::Joined(view) if !view.was_followed);
            let history = match is_new {
                true => {
                    let command = Command::History {
                        of,
                        range: Range::Latest,
                        limit: SHOWN,
                    };
                    later.command(command).await?.ok().map(Box::new)
                }
                false => None,
            };
            Ok(Done::Joined(Box::new(joined), history))
        }))
    }

    fn joined(&mut self, answer: &Answer, history: Option<&Answer>, out: &mut Out) {
        let Answer::Joined(view) = answer else { return };
        self.room = Some(view.name.clone());
        out.push_back(show::line(&show::room(view)));
        if let Some(Answer::History(history)) = history
            && !history.entries.is_empty()
        {
            for line in show::history(history) {
                out.push_back(show::line(&line));
            }
        }
    }

    fn answered(&mut self, answer: &Answer, out: &mut Out) {
        let mut say = |line: &str| out.push_back(show::line(line));
        match answer {
            Answer::Room(view) => say(&show::room(view)),
            Answer::Person(view) => say(&show::person(view)),
            Answer::Rooms(rooms) => show::rooms(rooms).iter().for_each(|line| say(line)),
            Answer::History(history) => show::history(history).iter().for_each(|line| say(line)),
            _ => {}
        }
        // Who left the room that they spoke in speaks in another one.
        if let Some(session) = &self.session
            && let Some(room) = &self.room
        {
            let rooms = session.rooms_now();
            if !rooms.contains(room) {
                self.room = rooms.into_iter().next();
                say(&match &self.room {
                    Some(room) => format!("* you speak in {room} now"),
                    None => "* you are in no room now".to_owned(),
                });
            }
        }
    }

    /// Put out of a room, or parted by another session of the same account.
    fn follow_membership(&mut self, event: &Event, out: &mut Out) {
        let is_left = match event {
            Event::Logged { entry, .. } => matches!(entry.what, What::Kicked { .. }),
            Event::Membership { is_member, .. } => !is_member,
            _ => false,
        };
        if is_left && self.room.is_some() {
            self.answered(&Answer::Done, out);
        }
    }
}

fn said(out: &mut Out, text: &str) -> Next<Done> {
    out.push_back(show::line(text));
    Next::Read
}

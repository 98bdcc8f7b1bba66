//! In a pipe: lines in are said, and what is heard comes out in lines. What is not what somebody said goes to stderr.

use std::io::{self, BufRead, Write};

use bandy::client::chat::{Chat, Heard};
use bandy::error::{Error, Kind, Side};
use bandy::services::chat::json::wire::{Ask, Good, Happening, Wrong};
use bandy::services::chat::model::Manner;
use tokio::sync::mpsc;

use super::command::{self, Action, Here};
use super::lines::{self, Change, What};
use crate::exit::Code;
use crate::report;

/// Lines that are read ahead of what is said.
const LINES: usize = 16;

/// Talks until the input ends, or the chat does.
///
/// # Errors
/// What stdin or stdout refuse; why the chat is over.
pub async fn run(
    chat: Chat,
    mut heard: mpsc::Receiver<Heard>,
    mut room: String,
    listen: bool,
) -> Result<Code, Error> {
    let mut typed = input();
    let mut printer = Printer::default();
    let mut is_open = true;
    loop {
        let line = tokio::select! {
            // What was heard is printed before more is said.
            biased;
            came = heard.recv() => match came {
                Some(came) => {
                    if !printer.hear(came)? {
                        return Ok(Code::Done);
                    }
                    continue;
                }
                None => return Ok(Code::Done),
            },
            line = typed.recv(), if is_open && printer.is_in => line,
        };
        let Some(line) = line else {
            is_open = false;
            if listen {
                continue;
            }
            return Ok(Code::Done);
        };
        let line = line.map_err(|e| Error::talking(Side::Local, "reading stdin", e))?;
        if line.trim().is_empty() {
            continue;
        }
        let here = Here {
            room: &room,
            own: printer.own.get(&room).copied(),
        };
        let ask = match command::parse(&line, here) {
            Action::Quit => return Ok(Code::Done),
            Action::Ask(ask) => ask,
            Action::Open(to, text) => {
                room = to;
                if text.is_empty() {
                    continue;
                }
                Ask::Say {
                    to: command::to(&room),
                    text,
                    manner: Manner::Message,
                    nonce: None,
                    reply: None,
                }
            }
            Action::Leave(room) => Ask::Part {
                room,
                reason: String::new(),
            },
            Action::Help => {
                for (name, takes, what) in command::COMMANDS {
                    report::say(format_args!("/{name} {takes}  {what}"));
                }
                continue;
            }
            Action::Wrong(why) => {
                report::say(format_args!("bandy: {why}"));
                continue;
            }
        };
        let asked = chat.ask(ask.clone());
        tokio::pin!(asked);
        // Others are heard while one waits for the answer: the conversation goes on only as it is read.
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut asked => break answer,
                came = heard.recv() => match came {
                    Some(came) => {
                        if !printer.hear(came)? {
                            return Ok(Code::Done);
                        }
                    }
                    None => return Ok(Code::Done),
                },
            }
        };
        match answer {
            Ok(Good::Joined { .. }) => {
                if let Ask::Join { room: joined, .. } = ask {
                    room = joined;
                }
            }
            Ok(good) => printer.answered(&good)?,
            Err(wrong) => refused(&wrong),
        }
    }
}

fn refused(wrong: &Wrong) {
    report::say(format_args!("bandy: {}", lines::clean(&wrong.message)));
}

/// Lines of stdin, without their ends.
fn input() -> mpsc::Receiver<io::Result<String>> {
    let (to, typed) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let is_over = line.is_err();
            if to.blocking_send(line).is_err() || is_over {
                return;
            }
        }
    });
    typed
}

#[derive(Default)]
struct Printer {
    /// One has come in once.
    is_in: bool,
    you: Option<String>,
    /// The last that one said, by room.
    own: std::collections::HashMap<String, u64>,
}

impl Printer {
    /// Prints what was heard. `false` where nobody reads any more.
    fn hear(&mut self, heard: Heard) -> Result<bool, Error> {
        match heard {
            Heard::Connected(you) => {
                self.you = Some(you.id.clone());
                report::say(format_args!("you are {}", lines::nick(&you)));
            }
            // What is typed is said where one is: so one is there first.
            Heard::Joined(_) => self.is_in = true,
            Heard::NotJoined(room, wrong) => {
                let (room, why) = (lines::clean(&room), lines::clean(&wrong.message));
                return Err(
                    Error::new(Kind::Other, Side::Upstream, format!("joining {room}")).because(why),
                );
            }
            Heard::Happening(happening) => return self.happened(&happening),
            Heard::Lost(room) => {
                report::say(format_args!(
                    "{}: some of what was said is lost",
                    lines::clean(&room)
                ));
            }
            Heard::Broken(why, wait) => report::say(format_args!(
                "bandy: {}; trying again in {:.1} s",
                lines::clean(&why),
                wait.as_secs_f64()
            )),
            Heard::Over(why) => {
                let why = lines::clean(&why);
                return Err(
                    Error::new(Kind::Other, Side::Upstream, "talking to the chat").because(why),
                );
            }
            _ => {}
        }
        Ok(true)
    }

    fn happened(&mut self, happening: &Happening) -> Result<bool, Error> {
        let Happening::Logged(entry) = happening else {
            return Ok(true);
        };
        let room = &lines::clean(&entry.room);
        if self.you.as_deref() == Some(&entry.from.id) {
            self.own.insert(entry.room.clone(), entry.at.seq);
        }
        match lines::of_entry(entry) {
            Change::Line(line) => match line.what {
                What::Said {
                    nick, text, manner, ..
                } => {
                    let who = match manner {
                        Manner::Action => format!("* {nick} "),
                        _ => format!("{nick}: "),
                    };
                    // Each line says whose it is: a text of several cannot look like what somebody else said.
                    let lines = text
                        .split('\n')
                        .map(|line| format!("[{room}] {who}{line}\n"));
                    print(&lines.collect::<String>())
                }
                What::Note(text) | What::Told(text) => print(&format!("[{room}] -- {text}\n")),
            },
            Change::Edit(_, text) => print(&format!(
                "[{room}] {} meant: {text}\n",
                lines::nick(&entry.from)
            )),
            Change::Delete(_) => print(&format!(
                "[{room}] -- {} took something back\n",
                lines::nick(&entry.from)
            )),
        }
    }

    fn answered(&mut self, good: &Good) -> Result<(), Error> {
        for line in answer_lines(good) {
            print(&format!("{line}\n"))?;
        }
        Ok(())
    }
}

/// An answer in lines, for those that have something to show.
pub fn answer_lines(good: &Good) -> Vec<String> {
    let clean = lines::clean;
    match good {
        Good::Rooms { rooms } => rooms
            .iter()
            .map(|room| {
                format!(
                    "#{}  {} here  {}",
                    clean(&room.name),
                    room.members,
                    clean(&room.topic)
                )
            })
            .collect(),
        Good::Room { room } => room
            .members
            .iter()
            .map(|member| {
                let role = member
                    .role
                    .map_or_else(String::new, |role| format!("  {role}"));
                let away = if member.away { "  away" } else { "" };
                format!("{}{role}{away}", lines::nick(&member.who))
            })
            .collect(),
        Good::Person {
            who, away, rooms, ..
        } => {
            let guest = if who.guest { "a guest" } else { "logged in" };
            let away = away
                .as_ref()
                .map_or_else(String::new, |away| format!(", away: {}", clean(away)));
            vec![format!(
                "{}: {guest}{away}, in {}",
                lines::nick(who),
                clean(&rooms.join(", "))
            )]
        }
        Good::History { entries, .. } => entries
            .iter()
            .filter_map(|entry| match lines::of_entry(entry) {
                Change::Line(line) => match line.what {
                    What::Said { nick, text, .. } => Some(format!(
                        "{} {nick}: {}",
                        lines::clock(line.time),
                        text.replace('\n', " ⏎ ")
                    )),
                    _ => None,
                },
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether somebody still reads it.
fn print(text: &str) -> Result<bool, Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::talking(Side::Local, "writing to stdout", e)),
    }
}

//! The rooms of a screen: their lines, who is there, what is unread. No terminal in here.

use std::collections::{BTreeMap, VecDeque};

use bandy::client::chat::Heard;
use bandy::services::chat::json::wire::{Happening, Is, Live, Logged, Somebody};

use super::lines::{self, Change, Line, What};

/// Lines that are kept of a room; older ones are asked for again.
const LINES_MAX: usize = 5_000;

/// A room, or a conversation of two, whose name is `@nick`.
#[derive(Debug, Default)]
pub struct Room {
    pub lines: VecDeque<Line>,
    pub topic: String,
    /// Nicks by the id of who has them.
    pub members: BTreeMap<String, String>,
    pub unread: usize,
    /// Of those, the ones that speak to one.
    pub mentions: usize,
    /// There may be more before the first line.
    pub has_older: bool,
    /// The log of a conversation, once something was said.
    log: Option<String>,
    /// Lines that one is scrolled up.
    pub up: usize,
    /// The last that one said.
    pub own: Option<u64>,
    /// The last that the server was told one has read.
    pub read: u64,
}

impl Room {
    /// The oldest entry that there is a line of.
    pub fn oldest(&self) -> Option<u64> {
        self.lines.iter().filter_map(|line| line.seq).min()
    }

    /// Puts a line where it belongs: in the order of the log, and once.
    fn put(&mut self, line: Line) -> bool {
        let Some(seq) = line.seq else {
            self.lines.push_back(line);
            self.trim();
            return true;
        };
        let behind = self
            .lines
            .iter()
            .rposition(|other| other.seq.is_some_and(|other| other <= seq));
        match behind {
            Some(at) if self.lines.get(at).and_then(|line| line.seq) == Some(seq) => return false,
            // What is in no log stays where it was heard.
            Some(at)
                if at + 1 < self.lines.len()
                    && self
                        .lines
                        .iter()
                        .skip(at + 1)
                        .any(|line| line.seq.is_some()) =>
            {
                self.lines.insert(at + 1, line);
            }
            None if self.lines.iter().any(|line| line.seq.is_some()) => self.lines.push_front(line),
            _ => self.lines.push_back(line),
        }
        self.trim();
        true
    }

    fn trim(&mut self) {
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
            self.has_older = true;
        }
    }

    fn said(&mut self, seq: u64) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.seq == Some(seq))
    }

    /// Takes an entry in. Whether it is a line that was not there.
    fn take(&mut self, entry: &Logged) -> bool {
        match lines::of_entry(entry) {
            Change::Line(line) => return self.put(line),
            Change::Edit(seq, new) => {
                if let Some(Line {
                    what: What::Said { text, edited, .. },
                    ..
                }) = self.said(seq)
                {
                    (*text, *edited) = (new, true);
                }
            }
            Change::Delete(seq) => {
                if let Some(line) = self.said(seq)
                    && let What::Said { nick, .. } = &line.what
                {
                    line.what = What::Note(format!("{nick}: (taken back)"));
                }
            }
        }
        false
    }
}

/// All rooms of a screen, and which is shown.
#[derive(Debug, Default)]
pub struct Rooms {
    pub all: BTreeMap<String, Room>,
    pub shown: String,
    pub you: Option<Somebody>,
    /// How it stands with the connection.
    pub state: String,
    pub is_in: bool,
    /// Who is writing in the room that is shown.
    pub typing: BTreeMap<String, String>,
}

impl Rooms {
    /// The room that is shown.
    pub fn here(&mut self) -> &mut Room {
        self.all.entry(self.shown.clone()).or_default()
    }

    /// Shows a room.
    pub fn show(&mut self, name: &str) {
        name.clone_into(&mut self.shown);
        self.typing.clear();
        let room = self.here();
        (room.unread, room.mentions) = (0, 0);
    }

    /// The next room, or the one before.
    pub fn step(&mut self, by: isize) {
        let names: Vec<_> = self.all.keys().cloned().collect();
        let at = names
            .iter()
            .position(|name| *name == self.shown)
            .unwrap_or(0);
        let next = at
            .checked_add_signed(by)
            .unwrap_or(names.len().saturating_sub(1));
        if let Some(name) = names.get(next % names.len().max(1)) {
            self.show(name);
        }
    }

    /// Forgets a room, and shows another.
    pub fn forget(&mut self, name: &str) {
        self.all.remove(name);
        if self.shown == name
            && let Some(next) = self.all.keys().next().cloned()
        {
            self.show(&next);
        }
    }

    /// Tells one something, where one is.
    pub fn tell(&mut self, text: impl Into<String>) {
        let line = Line {
            seq: None,
            time: now(),
            what: What::Told(text.into()),
        };
        let room = self.here();
        room.up = 0;
        room.put(line);
    }

    /// Takes in what was heard.
    pub fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Connected(you) => {
                self.you = Some(you);
                self.is_in = true;
                self.state = String::new();
            }
            Heard::Joined(told) => {
                let room = self.all.entry(told.name.clone()).or_default();
                room.topic = told
                    .topic
                    .as_ref()
                    .map_or_else(String::new, |topic| lines::clean(&topic.text));
                let members = told.members.iter();
                room.members = members
                    .map(|member| (member.who.id.clone(), lines::nick(&member.who)))
                    .collect();
                room.has_older = true;
                if self.shown.is_empty() {
                    self.show(&told.name);
                }
            }
            Heard::NotJoined(room, wrong) => {
                self.tell(format!(
                    "{}: {}",
                    lines::clean(&room),
                    lines::clean(&wrong.message)
                ));
            }
            Heard::Lost(room) => {
                let line = Line {
                    seq: None,
                    time: now(),
                    what: What::Told("some of what was said here is not kept any more".to_owned()),
                };
                self.all.entry(room).or_default().put(line);
            }
            Heard::Broken(why, wait) => {
                self.is_in = false;
                self.state = format!(
                    "no connection, trying again in {:.0} s: {}",
                    wait.as_secs_f64().ceil(),
                    lines::clean(&why)
                );
            }
            Heard::Happening(Happening::Logged(entry)) => self.logged(&entry),
            Heard::Happening(happening) => self.happened(&happening),
            _ => {}
        }
    }

    /// A part of a history that was asked for. Whether there was a line more.
    pub fn read_back(&mut self, name: &str, entries: &[Logged], has_older: bool) -> bool {
        let room = self.all.entry(name.to_owned()).or_default();
        room.has_older = has_older && !entries.is_empty();
        // From the newest, so that each goes before the first.
        let before = room.lines.len();
        for entry in entries.iter().rev() {
            if let Change::Line(_) = lines::of_entry(entry) {
                room.take(entry);
            }
        }
        room.lines.len() > before
    }

    fn is_you(&self, who: &Somebody) -> bool {
        self.you.as_ref().is_some_and(|you| you.id == who.id)
    }

    fn logged(&mut self, entry: &Logged) {
        let is_own = self.is_you(&entry.from);
        let nick = self
            .you
            .as_ref()
            .map_or("", |you| you.nick.as_str())
            .to_owned();
        let Some(name) = self.name_of(entry) else {
            return;
        };
        let is_shown = name == self.shown;
        let is_put_out = matches!(&entry.what, Is::Kicked { who, .. } if self.is_you(who));
        let room = self.all.entry(name.clone()).or_default();
        if let Is::Topic { text } = &entry.what {
            room.topic = lines::clean(text);
        }
        if let Is::Kicked { who, .. } = &entry.what {
            room.members.remove(&who.id);
        }
        let is_new = room.take(entry);
        let Is::Message { text, .. } = &entry.what else {
            if is_put_out {
                self.forget(&name);
                if let Change::Line(Line {
                    what: What::Note(text),
                    ..
                }) = lines::of_entry(entry)
                {
                    self.tell(format!("{}: {text}", lines::clean(&name)));
                }
            }
            return;
        };
        if is_own {
            room.own = Some(entry.at.seq);
        } else if is_new && !is_shown {
            room.unread += 1;
            room.mentions += usize::from(name.starts_with('@') || lines::mentions(text, &nick));
        }
        if is_shown {
            self.typing.remove(&entry.from.id);
        }
    }

    /// The room of an entry: of a conversation the one with the other.
    fn name_of(&self, entry: &Logged) -> Option<String> {
        if !entry.room.starts_with('@') {
            return Some(entry.room.clone());
        }
        let known = self
            .all
            .iter()
            .find(|(_, room)| room.log.as_deref() == Some(&entry.room));
        if let Some((name, _)) = known {
            return Some(name.clone());
        }
        let to = match &entry.what {
            Is::Message { to, .. } => to.as_ref(),
            _ => None,
        };
        let other = match self.is_you(&entry.from) {
            true => to?,
            false => &entry.from,
        };
        Some(format!("@{}", other.nick))
    }

    fn happened(&mut self, happening: &Happening) {
        let Happening::Live(live) = happening else {
            return;
        };
        let of = lines::room_of(happening).map(str::to_owned);
        let mut rooms: Vec<String> = of.iter().cloned().collect();
        match live {
            Live::Joined { room, who, .. } => {
                if let Some(room) = self.all.get_mut(room) {
                    room.members.insert(who.id.clone(), lines::nick(who));
                }
            }
            Live::Parted { room, who, .. } => {
                if self.is_you(who) {
                    return self.forget(&room.clone());
                }
                if let Some(room) = self.all.get_mut(room) {
                    room.members.remove(&who.id);
                }
            }
            Live::Quit { who, .. } => rooms = self.with(&who.id, |members| members.remove(&who.id)),
            Live::Renamed { who, nick } => {
                if let Some(you) = self.you.as_mut().filter(|you| you.id == who.id) {
                    you.nick.clone_from(nick);
                }
                rooms = self.with(&who.id, |members| {
                    members.insert(who.id.clone(), lines::clean(nick))
                });
            }
            Live::Away { who, .. } => rooms = self.with(&who.id, |_| None),
            Live::Membership {
                room,
                member: false,
            } => return self.forget(&room.clone()),
            Live::Typing { room, who, active } if *room == self.shown && !self.is_you(who) => {
                match active {
                    true => self.typing.insert(who.id.clone(), lines::nick(who)),
                    false => self.typing.remove(&who.id),
                };
            }
            Live::Invitation { .. } => {
                if let Some(text) = lines::of_live(live) {
                    self.tell(text);
                }
                return;
            }
            _ => {}
        }
        let Some(text) = lines::of_live(live) else {
            return;
        };
        for name in rooms {
            if let Some(room) = self.all.get_mut(&name) {
                room.put(Line {
                    seq: None,
                    time: now(),
                    what: What::Note(text.clone()),
                });
            }
        }
    }

    /// The rooms that somebody is in, after something was done about it.
    fn with(
        &mut self,
        id: &str,
        act: impl Fn(&mut BTreeMap<String, String>) -> Option<String>,
    ) -> Vec<String> {
        let mut names = Vec::new();
        for (name, room) in &mut self.all {
            if room.members.contains_key(id) {
                act(&mut room.members);
                names.push(name.clone());
            }
        }
        names
    }
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64) -> Line {
        Line {
            seq: Some(seq),
            time: 0,
            what: What::Note(String::new()),
        }
    }

    #[test]
    fn lines_stand_in_the_order_of_the_log_and_once() {
        let mut room = Room::default();
        for seq in [5, 7, 6, 3, 4, 5, 8] {
            room.put(line(seq));
        }
        let order: Vec<_> = room.lines.iter().filter_map(|line| line.seq).collect();
        assert_eq!(order, [3, 4, 5, 6, 7, 8]);
        assert_eq!(room.oldest(), Some(3));
    }

    #[test]
    fn a_room_forgets_its_oldest_lines() {
        let mut room = Room::default();
        for seq in 1..=6_000 {
            room.put(line(seq));
        }
        assert_eq!((room.lines.len(), room.oldest()), (LINES_MAX, Some(1_001)));
        assert!(room.has_older);
    }
}

//! What happened, as lines for one client.

use std::borrow::Cow;

use time::OffsetDateTime;

use super::client::Client;
use super::out::{Marks, Tagged, put_line, write_tags};
use super::source::{mask, source};
use crate::services::chat::model::{
    Author, Entry, Event, Id, Manner, Millis, Place, Role, RoomName, Setting, What,
};
use crate::services::chat::{Form, Told};
use crate::wire::irc::capability::{Capabilities, Capability};
use crate::wire::irc::mode::{self, Change};
use crate::wire::irc::{Body, Compose, LINE_BYTES, Unsayable, text};

/// What stands around source, target and text of a message: the command, spaces, colons, the frame of an ACTION, CRLF.
const FRAME_BYTES: usize = 32;

impl Client {
    /// Tells the client what happened.
    pub(super) fn tell(&mut self, told: &Told) {
        match &told.event {
            Event::Logged { id, entry } => self.tell_logged(told, id, entry),
            // What one did oneself was answered.
            Event::Joined { who, .. } if self.is_me(who) => {}
            Event::Joined { room, who, role } => self.tell_joined(room, who, *role),
            Event::Parted { room, who, reason } => {
                if self.is_me(who) {
                    self.left(room);
                }
                self.tell_part(room, who, reason);
            }
            Event::Quit { who, reason, .. } => {
                self.line(who, "QUIT", |line| line.text(reason).end_cut());
            }
            Event::Renamed { who, nick } => {
                if self.is_me(who) {
                    self.out.nick.clone_from(nick);
                    self.me.nick.clone_from(nick);
                }
                self.line(who, "NICK", |line| line.param(nick).end());
            }
            Event::Away { who, text } => self.tell_away(who, text.as_deref()),
            Event::Typing { room, who, active } => self.tell_typing(room, who, *active),
            Event::Invited { room, by } => {
                let nick = self.me.nick.clone();
                let channel = format!("#{room}");
                self.line(by, "INVITE", |line| line.param(&nick).param(&channel).end());
            }
            Event::Membership {
                room,
                is_member: true,
            } => self.to_join.push(room.clone()),
            Event::Membership { room, .. } => {
                if self.left(room) {
                    let me = self.me.clone();
                    self.tell_part(room, &me, "");
                }
            }
            Event::Lost { room, through } => {
                let channel = format!("#{room}");
                let text =
                    format!("What was said up to {through} was not told here; CHATHISTORY has it.");
                self.out
                    .say("NOTICE", |line| line.param(&channel).text(&text).end_cut());
            }
            // How far other clients of the same account have read: there is no word for it here.
            Event::Read { .. } => {}
        }
    }

    fn tell_logged(&mut self, told: &Told, id: &Id, entry: &Entry) {
        if self.is_own_echo(id, entry) {
            let is_said = matches!(entry.what, What::Said { .. });
            let is_to_oneself =
                is_said && id.room.people().is_some_and(|(one, other)| one == other);
            if self.out.has(Capability::EchoMessage) {
                self.tell_entry(id, entry, None, false);
            }
            if is_to_oneself {
                // Once as the echo, and once as what came.
                let answer = self.out.aside();
                self.tell_entry(id, entry, None, false);
                self.out.go_on(answer);
            }
            return;
        }
        match &entry.what {
            // What is said in a room is the same for all whose clients want the same tags.
            What::Said { .. } if !id.room.is_direct() && !self.out.is_answering() => {
                let caps = self.out.caps;
                let lines = told.encoded(form(caps), |_| said_in_room(id, entry, caps).into());
                self.out.ready(&lines);
            }
            _ => {
                self.tell_entry(id, entry, None, false);
            }
        }
    }

    pub(super) fn is_me(&self, who: &Author) -> bool {
        who.person == self.me.person
    }

    /// This client is not in the room any more. Whether it was.
    fn left(&mut self, room: &RoomName) -> bool {
        self.roles.remove(room);
        self.rooms.remove(room)
    }

    /// A line that somebody says or does now.
    fn line(
        &mut self,
        who: &Author,
        command: &str,
        write: impl FnOnce(Body<'_>) -> Result<(), Unsayable>,
    ) {
        let marks = Marks {
            time: Some(OffsetDateTime::now_utc()),
            account: who.account(),
            ..Marks::default()
        };
        self.out.line(&marks, Some(&source(who)), command, write);
    }

    pub(super) fn tell_joined(&mut self, room: &RoomName, who: &Author, role: Option<Role>) {
        let channel = format!("#{room}");
        if self.out.has(Capability::ExtendedJoin) {
            let account = who.account().unwrap_or("*").to_owned();
            let nick = who.nick.clone();
            self.line(who, "JOIN", |line| {
                line.param(&channel).param(&account).text(&nick).end()
            });
        } else {
            self.line(who, "JOIN", |line| line.param(&channel).end());
        }
        if let Some(role) = role {
            let known = self.roles.entry(room.clone()).or_default();
            known.insert(who.person.clone(), role);
            let letter = letter(role);
            let nick = who.nick.clone();
            let mode = format!("+{letter}");
            self.out
                .say("MODE", |line| line.params([&*channel, &mode, &nick]).end());
        }
    }

    fn tell_part(&mut self, room: &RoomName, who: &Author, reason: &str) {
        let channel = format!("#{room}");
        self.line(who, "PART", |line| match reason.is_empty() {
            true => line.param(&channel).end(),
            false => line.param(&channel).text(reason).end_cut(),
        });
    }

    fn tell_away(&mut self, who: &Author, text: Option<&str>) {
        if self.is_me(who) || !self.out.has(Capability::AwayNotify) {
            return;
        }
        self.line(who, "AWAY", |line| match text {
            Some(text) => line.text(text).end_cut(),
            None => line.end(),
        });
    }

    fn tell_typing(&mut self, room: &RoomName, who: &Author, active: bool) {
        if self.is_me(who) || !self.out.has(Capability::MessageTags) {
            return;
        }
        let target = self.target(room, who, None);
        let state = if active { "active" } else { "done" };
        let client = [("+typing".to_owned(), state.to_owned())];
        let marks = Marks {
            account: who.account(),
            client: &client,
            ..Marks::default()
        };
        self.out.line(&marks, Some(&source(who)), "TAGMSG", |line| {
            line.param(&target).end()
        });
    }

    /// An entry of a log, live or out of history (`batch`). In history `all` says that it may be something else than a
    /// message. Whether there was anything to say.
    pub(super) fn tell_entry(
        &mut self,
        id: &Id,
        entry: &Entry,
        batch: Option<&str>,
        all: bool,
    ) -> bool {
        let is_live = batch.is_none();
        let client = reply(id, entry);
        let marks = marks(id, entry, &client, batch);
        match &entry.what {
            What::Said { .. } | What::Edited { .. }
                if is_live || matches!(entry.what, What::Said { .. }) =>
            {
                let to = match &entry.what {
                    What::Said { to, .. } => to.as_ref(),
                    _ => None,
                };
                let target = self.target(&id.room, &entry.by, to);
                let mut lines = Vec::new();
                said(&mut lines, self.out.caps, &marks, &target, entry);
                self.out.lines(lines);
                true
            }
            what if is_live || all => self.tell_change(&marks, &id.room, entry, what, is_live),
            _ => false,
        }
    }

    /// What changed in a room. Whether there is a word for it.
    fn tell_change(
        &mut self,
        marks: &Marks<'_>,
        room: &RoomName,
        entry: &Entry,
        what: &What,
        is_live: bool,
    ) -> bool {
        let by = source(&entry.by);
        let channel = format!("#{room}");
        let changed = |client: &mut Client, letters: &str, param: Option<&str>| {
            client.out.line(marks, Some(&by), "MODE", |line| {
                line.param(&channel).param(letters).params(param).end()
            });
            true
        };
        match what {
            What::Topic { text } => {
                self.out.line(marks, Some(&by), "TOPIC", |line| {
                    line.param(&channel).text(text).end_cut()
                });
            }
            What::Kicked { who, reason } => {
                let reason = if reason.is_empty() {
                    &entry.by.nick
                } else {
                    reason
                };
                self.out.line(marks, Some(&by), "KICK", |line| {
                    line.param(&channel).param(&who.nick).text(reason).end_cut()
                });
                if is_live && self.is_me(who) {
                    self.left(room);
                }
            }
            What::Banned { mask: masked, .. } => return changed(self, "+b", Some(&mask(masked))),
            What::Unbanned { mask: masked } => return changed(self, "-b", Some(&mask(masked))),
            What::Muted { mask: masked, .. } => return changed(self, "+q", Some(&mask(masked))),
            What::Unmuted { mask: masked } => return changed(self, "-q", Some(&mask(masked))),
            What::Role { who, role } if is_live => {
                return self.tell_role(marks, room, &entry.by, who, *role);
            }
            What::Set(setting) => {
                let (letters, param) = setting_letters(setting);
                return changed(self, &letters, param.as_deref());
            }
            What::Deleted { target } if is_live && self.out.has(Capability::MessageRedaction) => {
                let shown = self.target(room, &entry.by, None);
                let gone = redacted(marks, *target);
                self.out.line(marks, Some(&by), "REDACT", |line| {
                    line.param(&shown).param(&gone).end()
                });
            }
            // Who is invited is told by an event of their own; in history what is gone is not there.
            _ => return false,
        }
        true
    }

    /// A role takes another one's place: the letters that come and go. Owners and moderators have the same.
    fn tell_role(
        &mut self,
        marks: &Marks<'_>,
        room: &RoomName,
        by: &Author,
        who: &Author,
        role: Option<Role>,
    ) -> bool {
        let known = self.roles.entry(room.clone()).or_default();
        let before = match role {
            Some(role) => known.insert(who.person.clone(), role),
            None => known.remove(&who.person),
        };
        let (gone, come) = (before.map(letter), role.map(letter));
        if gone == come {
            return false;
        }
        let change = |set, letter| Change {
            set,
            letter,
            param: Some(who.nick.as_str()),
        };
        let changes = gone.map(|letter| change(false, letter)).into_iter();
        let (letters, nicks) =
            mode::written(changes.chain(come.map(|letter| change(true, letter))));
        let channel = format!("#{room}");
        self.out.line(marks, Some(&source(by)), "MODE", |line| {
            line.param(&channel).param(&letters).params(nicks).end()
        });
        true
    }

    /// How this client calls a room, or the other one in a conversation in which `by` said something to `to`.
    pub(super) fn target(&mut self, room: &RoomName, by: &Author, to: Option<&Author>) -> String {
        let Some((one, other)) = room.people() else {
            return format!("#{room}");
        };
        if !self.is_me(by) {
            self.remember_nick(by.person.clone(), &by.nick);
            return self.me.nick.clone();
        }
        let other = if one == self.me.person { other } else { one };
        match (self.nicks.get(&other), to) {
            (Some(nick), _) => nick.clone(),
            (None, Some(to)) => to.nick.clone(),
            (None, None) => other.as_str().to_owned(),
        }
    }
}

/// The form of what is said in a room: the tags are what differs.
fn form(caps: Capabilities) -> Form {
    let tags = [
        Capability::ServerTime,
        Capability::MessageTags,
        Capability::AccountTag,
    ];
    let bits = (0..)
        .zip(tags)
        .map(|(bit, one)| u32::from(caps.has(one)) << bit);
    Form::Other(FORM | bits.sum::<u32>())
}

/// Where the numbers of IRC's forms begin: "irc" and a byte for each of them.
const FORM: u32 = 0x6972_6300;

fn said_in_room(id: &Id, entry: &Entry, caps: Capabilities) -> Vec<u8> {
    let client = reply(id, entry);
    let mut lines = Vec::new();
    let target = format!("#{}", id.room);
    said(
        &mut lines,
        caps,
        &marks(id, entry, &client, None),
        &target,
        entry,
    );
    let mut out = Vec::new();
    for (tags, body) in lines {
        put_line(&mut out, &tags, &body);
    }
    out
}

/// What was said, as lines with their tags.
fn said(
    lines: &mut Vec<Tagged>,
    caps: Capabilities,
    marks: &Marks<'_>,
    target: &str,
    entry: &Entry,
) {
    let (text, manner) = match &entry.what {
        What::Said { text, manner, .. } => (Cow::Borrowed(text.as_str()), *manner),
        What::Edited { text, .. } => (Cow::Owned(format!("(edited) {text}")), Manner::Message),
        _ => return,
    };
    let command = match manner {
        Manner::Notice => "NOTICE",
        Manner::Message | Manner::Action => "PRIVMSG",
    };
    let by = source(&entry.by);
    let frame = by.len() + target.len() + FRAME_BYTES;
    let bytes = LINE_BYTES.saturating_sub(frame);
    // The rest of a long message is no message of its own.
    let rest = Marks {
        msgid: None,
        client: &[],
        ..marks.clone()
    };
    for (at, piece) in text::pieces(&text, bytes).enumerate() {
        let piece = match manner {
            Manner::Action => Cow::Owned(text::action(piece)),
            _ => Cow::Borrowed(piece),
        };
        let (mut tags, mut body) = (Vec::new(), Vec::new());
        write_tags(&mut tags, caps, if at == 0 { marks } else { &rest });
        let line = Compose::new(&mut body).command(Some(&by), command);
        match line.param(target).text(&piece).end_cut() {
            Ok(()) => lines.push((tags, body)),
            Err(why) => tracing::warn!(command, %why, "a line that cannot be said"),
        }
    }
}

fn marks<'a>(
    id: &Id,
    entry: &'a Entry,
    client: &'a [(String, String)],
    batch: Option<&'a str>,
) -> Marks<'a> {
    Marks {
        time: time(entry.time),
        msgid: Some(Cow::Owned(msgid(id))),
        account: entry.by.account(),
        client,
        batch,
    }
}

/// The entry that this one answers, or changes.
fn reply(id: &Id, entry: &Entry) -> Vec<(String, String)> {
    let seq = match &entry.what {
        What::Said {
            reply: Some(seq), ..
        }
        | What::Edited { target: seq, .. } => *seq,
        _ => return Vec::new(),
    };
    let Id { room, epoch, .. } = id.clone();
    vec![("+draft/reply".to_owned(), msgid(&Id { room, epoch, seq }))]
}

/// Under which name a message is found again: its place, and the room, since places of two rooms may be the same.
pub(super) fn msgid(id: &Id) -> String {
    format!("{id}@{}", id.room)
}

/// The name of a message that was taken back, by what the entry is called that says so: it is of the same log.
fn redacted(marks: &Marks<'_>, target: u64) -> String {
    let own = marks.msgid.as_deref().unwrap_or_default();
    let (place, room) = own.split_once('@').unwrap_or_default();
    let (epoch, _) = place.split_once('-').unwrap_or_default();
    format!("{epoch}-{target}@{room}")
}

/// The place that a message's name means in this room; `None` for another room's.
pub(super) fn place(msgid: &str, room: &RoomName) -> Option<Place> {
    let (place, named) = msgid.split_once('@')?;
    place.parse().ok().filter(|_| named == room.as_str())
}

/// The letter of a role. Owners are operators here, who may do more.
pub(super) fn letter(role: Role) -> char {
    match role {
        Role::Voice => 'v',
        Role::Moderator | Role::Owner => 'o',
    }
}

fn setting_letters(setting: &Setting) -> (String, Option<String>) {
    let flag = |letter: char, is: bool| (format!("{}{letter}", if is { '+' } else { '-' }), None);
    match setting {
        Setting::InviteOnly(is) => flag('i', *is),
        Setting::Moderated(is) => flag('m', *is),
        Setting::TopicLocked(is) => flag('t', *is),
        Setting::Hidden(is) => flag('s', *is),
        // Only its hash is known.
        Setting::Password(Some(_)) => ("+k".to_owned(), Some("*".to_owned())),
        Setting::Password(None) => ("-k".to_owned(), Some("*".to_owned())),
        Setting::Limit(Some(limit)) => ("+l".to_owned(), Some(limit.to_string())),
        Setting::Limit(None) => ("-l".to_owned(), None),
    }
}

pub(super) fn time(millis: Millis) -> Option<OffsetDateTime> {
    let nanos = i128::from(millis).checked_mul(1_000_000)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()
}

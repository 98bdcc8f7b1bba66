//! Saying something, changing it, taking it back.

use super::command::{Answer, Refused, Target};
use super::event::{Author, Entry, Event, Id, Manner, Millis, What};
use super::name::RoomName;
use super::nonces;
use super::room::Role;
use super::text;
use super::world::{Append, Audience, Known, Room, SessionId, Step, User, World};

/// The longest nonce. Bytes.
pub const NONCE_MAX: usize = 64;

/// A room is stored beside its log after this many entries at the latest, so that opening it folds no more.
const STORE_EVERY: u64 = 1_000;

impl World {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn say(
        &mut self,
        now: Millis,
        session: SessionId,
        to: &Target,
        text: &str,
        manner: Manner,
        nonce: Option<String>,
        reply: Option<u64>,
        known: &Known,
    ) -> Result<Step, Refused> {
        let (name, who) = self.may_speak(now, session, to, known)?;
        let text = self.spoken(text)?;
        if let Some(nonce) = &nonce {
            if nonce.len() > NONCE_MAX {
                return Err(Refused::TooLong("a nonce", NONCE_MAX));
            }
            let room = self.open_room(&name)?;
            if let Some(seq) = room.nonces.find(&who.person, nonce) {
                let epoch = room.state.epoch;
                return Ok(Step::Done(Answer::Logged(Id {
                    room: name,
                    epoch,
                    seq,
                })));
            }
            let key = nonces::key(&who.person, nonce);
            if room.pending.contains(&key) {
                return Ok(Step::Wait(name));
            }
            if let Some(room) = self.rooms.get_mut(&name) {
                room.pending.insert(key);
            }
        }
        if let Ok(user) = self.user_of_mut(session) {
            user.active = now;
        }
        let reply = reply.filter(|seq| *seq > 0);
        let what = What::Said {
            text,
            manner,
            reply,
            to: self.addressee(to, &name, &who),
            edited: false,
        };
        let entry = Entry {
            time: now,
            by: who,
            nonce,
            what,
        };
        let room = self.open_room(&name)?;
        let is_due = room.state.seq.saturating_sub(room.stored) >= STORE_EVERY;
        let snapshot = (is_due && !name.is_direct()).then(|| Box::new(room.state.clone()));
        if snapshot.is_some()
            && let Some(room) = self.rooms.get_mut(&name)
        {
            room.stored = room.state.seq;
        }
        Ok(Step::Append(Append {
            room: name,
            entries: vec![entry],
            snapshot,
            changes: None,
        }))
    }

    /// An append came to nothing: what it was sent under may be sent again.
    pub fn failed(&mut self, append: &Append) {
        let Some(room) = self.rooms.get_mut(&append.room) else {
            return;
        };
        for entry in &append.entries {
            if let Some(nonce) = &entry.nonce {
                room.pending.remove(&nonces::key(&entry.by.person, nonce));
            }
        }
    }

    pub(super) fn edit(
        &mut self,
        now: Millis,
        session: SessionId,
        at: &Target,
        seq: u64,
        new: &str,
        known: &Known,
    ) -> Result<Step, Refused> {
        let (name, who) = self.may_speak(now, session, at, known)?;
        let new = self.spoken(new)?;
        let said = said(seq, known)?;
        if said.by.person != who.person {
            return Err(Refused::NotYours(seq));
        }
        let mut changed = said.clone();
        if let What::Said { text, edited, .. } = &mut changed.what {
            text.clone_from(&new);
            *edited = true;
        }
        let what = What::Edited {
            target: seq,
            text: new,
        };
        Ok(Step::Append(Append {
            room: name,
            entries: vec![Entry {
                time: now,
                by: who,
                nonce: None,
                what,
            }],
            snapshot: None,
            changes: Some((seq, changed)),
        }))
    }

    pub(super) fn delete(
        &mut self,
        now: Millis,
        session: SessionId,
        at: &Target,
        seq: u64,
        known: &Known,
    ) -> Result<Step, Refused> {
        let name = self.may_read(session, at, known)?;
        let user = self.user_of(session)?;
        let room = self.open_room(&name)?;
        let said = said(seq, known)?;
        let is_moderator = !name.is_direct() && self.role(user, room) >= Some(Role::Moderator);
        if said.by.person != user.who.person && !is_moderator {
            return Err(Refused::NotYours(seq));
        }
        let mut gone = said.clone();
        gone.what = What::Deleted { target: seq };
        let what = What::Deleted { target: seq };
        let entry = Entry {
            time: now,
            by: user.who.clone(),
            nonce: None,
            what,
        };
        Ok(Step::Append(Append {
            room: name,
            entries: vec![entry],
            snapshot: None,
            changes: Some((seq, gone)),
        }))
    }

    pub(super) fn typing(
        &mut self,
        session: SessionId,
        to: &Target,
        active: bool,
    ) -> Result<(), Refused> {
        let name = self.may_read(session, to, &Known::default())?;
        let who = self.user_of(session)?.who.clone();
        let event = Event::Typing {
            room: name.clone(),
            who: who.clone(),
            active,
        };
        let to = match name.people() {
            None if !self.is_presence_told(&name) => return Ok(()),
            None => Audience::Room(name),
            Some((a, b)) => {
                let other = if a == who.person { b } else { a };
                Audience::Sessions(self.sessions_of(&other))
            }
        };
        self.tell(to, event);
        Ok(())
    }

    /// The other one of two.
    fn addressee(&self, to: &Target, name: &RoomName, who: &Author) -> Option<Author> {
        let Target::Nick(nick) = to else { return None };
        let (a, b) = name.people()?;
        let person = if a == who.person { b } else { a };
        let nick = self.nick_of(&person).unwrap_or(nick).to_owned();
        Some(Author { nick, person })
    }

    /// Where something is said, and who says it, if they may.
    fn may_speak(
        &self,
        now: Millis,
        session: SessionId,
        to: &Target,
        known: &Known,
    ) -> Result<(RoomName, Author), Refused> {
        // Something is said to somebody, and not into a log.
        if let Target::Room(name) = to
            && name.is_direct()
        {
            return Err(Refused::NoSuchRoom(name.clone()));
        }
        let name = self.may_read(session, to, known)?;
        let user = self.user_of(session)?;
        if !name.is_direct() {
            self.check_voice(now, user, &name, self.open_room(&name)?)?;
        }
        Ok((name, user.who.clone()))
    }

    fn check_voice(
        &self,
        now: Millis,
        user: &User,
        name: &RoomName,
        room: &Room,
    ) -> Result<(), Refused> {
        let role = self.role(user, room);
        if role >= Some(Role::Moderator) {
            return Ok(());
        }
        let Author { nick, person } = &user.who;
        if room.state.mute(nick, person, user.address, now).is_some() {
            return Err(Refused::Muted(name.clone()));
        }
        match room.state.moderated && role.is_none() {
            true => Err(Refused::Moderated(name.clone())),
            false => Ok(()),
        }
    }

    fn spoken(&self, text: &str) -> Result<String, Refused> {
        let max = self.rules.text_bytes;
        if text.len() > max {
            return Err(Refused::TooLong("a message", max));
        }
        // A control becomes a character of three bytes.
        let text = text::clean(text, max.saturating_mul(3));
        match text.trim().is_empty() {
            true => Err(Refused::Empty),
            false => Ok(text),
        }
    }
}

/// The entry that a command is about, if it was said.
fn said(seq: u64, known: &Known) -> Result<&Entry, Refused> {
    match &known.entry {
        Some(entry) if matches!(entry.what, What::Said { .. }) => Ok(entry),
        _ => Err(Refused::NoSuchEntry(seq)),
    }
}

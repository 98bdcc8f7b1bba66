//! What moderators do.

use std::time::Duration;

use super::command::{Command, Refused, Whom};
use super::event::{Author, Entry, Millis, Setting, What};
use super::name::{Person, RoomName, fold};
use super::room::{Mask, RULES_MAX, Role, RoomState, hash_password};
use super::text;
use super::world::{Append, Known, Room, SessionId, User, World};

/// The longest ban or mute that is not for good: a hundred years.
const LONGEST: Millis = 100 * 365 * 24 * 3600 * 1000;
/// The longest password of a room. Bytes.
const PASSWORD_MAX: usize = 128;

impl World {
    /// Commands that change a room: what they append.
    pub(super) fn moderate(
        &mut self,
        now: Millis,
        session: SessionId,
        command: Command,
        known: &Known,
    ) -> Result<Append, Refused> {
        let user = self.user_of(session)?;
        let (name, whats) = match command {
            Command::Topic { room, text } => {
                let text = text::line(&text, self.rules.line_bytes);
                (room.clone(), self.topic(user, &room, text)?)
            }
            Command::Kick { room, nick, reason } => {
                let reason = text::line(&reason, self.rules.line_bytes);
                (room.clone(), self.kick(user, &room, &nick, reason)?)
            }
            Command::Ban {
                room,
                who,
                length,
                reason,
            } => {
                let reason = text::line(&reason, self.rules.line_bytes);
                let until = length.map(|length| end(now, length));
                (
                    room.clone(),
                    self.ban(user, &room, &who, until, &reason, known)?,
                )
            }
            Command::Unban { room, who } => {
                let room_now = self.governed(user, &room, Role::Moderator)?;
                let mask = self.mask_of(&room_now.state.bans, &who, known)?;
                (room, vec![What::Unbanned { mask }])
            }
            Command::Mute { room, who, length } => {
                let room_now = self.governed(user, &room, Role::Moderator)?;
                bounded("mutes of one room", room_now.state.mutes.len())?;
                let mask = self.mask(&who, known)?;
                self.check_above(user, &room, room_now, &mask)?;
                let until = length.map(|length| end(now, length));
                (room, vec![What::Muted { mask, until }])
            }
            Command::Unmute { room, who } => {
                let room_now = self.governed(user, &room, Role::Moderator)?;
                let mask = self.mask_of(&room_now.state.mutes, &who, known)?;
                (room, vec![What::Unmuted { mask }])
            }
            Command::Invite { room, nick } => {
                (room.clone(), self.invite(user, &room, &nick, known)?)
            }
            Command::Role { room, nick, role } => (
                room.clone(),
                self.give_role(user, &room, &nick, role, known)?,
            ),
            Command::Set { room, setting } => (room.clone(), self.set(user, &room, setting)?),
            _ => return Err(Refused::Empty),
        };
        let by = user.who.clone();
        let entry = |what| Entry {
            time: now,
            by: by.clone(),
            nonce: None,
            what,
        };
        let entries: Vec<Entry> = whats.into_iter().map(entry).collect();
        let state = &self.open_room(&name)?.state;
        let snapshot = Some(Box::new(with(state, &entries)));
        Ok(Append {
            room: name,
            entries,
            snapshot,
            changes: None,
        })
    }

    /// The room, if they may do what needs this role there.
    fn governed(&self, user: &User, name: &RoomName, needed: Role) -> Result<&Room, Refused> {
        let room = self.open_room(name)?;
        if name.is_direct() || !self.is_listed(name) {
            return Err(Refused::NoSuchRoom(name.clone()));
        }
        if !room.members.contains(&user.who.person) && !user.is_admin {
            return Err(Refused::NotMember(name.clone()));
        }
        match self.role(user, room) >= Some(needed) {
            true => Ok(room),
            false => Err(Refused::NotAllowed(name.clone(), needed)),
        }
    }

    fn topic(&self, user: &User, name: &RoomName, text: String) -> Result<Vec<What>, Refused> {
        let room = self.open_room(name)?;
        if room.state.topic_locked {
            self.governed(user, name, Role::Moderator)?;
        } else if !room.members.contains(&user.who.person) {
            return Err(Refused::NotMember(name.clone()));
        }
        Ok(vec![What::Topic { text }])
    }

    fn kick(
        &self,
        user: &User,
        name: &RoomName,
        nick: &str,
        reason: String,
    ) -> Result<Vec<What>, Refused> {
        let room = self.governed(user, name, Role::Moderator)?;
        let who = self.member(room, name, nick)?;
        self.check_above(user, name, room, &Mask::Person(who.person.clone()))?;
        Ok(vec![What::Kicked { who, reason }])
    }

    fn ban(
        &self,
        user: &User,
        name: &RoomName,
        who: &Whom,
        until: Option<Millis>,
        reason: &str,
        known: &Known,
    ) -> Result<Vec<What>, Refused> {
        let room = self.governed(user, name, Role::Moderator)?;
        bounded("bans of one room", room.state.bans.len())?;
        let mask = self.mask(who, known)?;
        self.check_above(user, name, room, &mask)?;
        let mut whats = vec![What::Banned {
            mask: mask.clone(),
            until,
            reason: reason.to_owned(),
        }];
        // Whoever it is about is put out, but no moderator: no ban keeps one out either.
        for person in &room.members {
            let Some(other) = self.users.get(person) else {
                continue;
            };
            let is_meant = mask.is(&other.who.nick, person, other.address);
            if is_meant && self.role(other, room) < Some(Role::Moderator) {
                let (who, reason) = (other.who.clone(), reason.to_owned());
                whats.push(What::Kicked { who, reason });
            }
        }
        Ok(whats)
    }

    fn invite(
        &self,
        user: &User,
        name: &RoomName,
        nick: &str,
        known: &Known,
    ) -> Result<Vec<What>, Refused> {
        let room = self.open_room(name)?;
        if !room.members.contains(&user.who.person) {
            return Err(Refused::NotMember(name.clone()));
        }
        if room.state.invite_only || room.state.password.is_some() {
            self.governed(user, name, Role::Moderator)?;
        }
        bounded("invitations of one room", room.state.invited.len())?;
        let person = self.person(nick, known)?;
        Ok(vec![What::Invited {
            who: self.author(person, nick),
        }])
    }

    fn give_role(
        &self,
        user: &User,
        name: &RoomName,
        nick: &str,
        role: Option<Role>,
        known: &Known,
    ) -> Result<Vec<What>, Refused> {
        let room = self.open_room(name)?;
        let person = self.person(nick, known)?;
        let is_own = person == user.who.person;
        let before = room.state.role(&person);
        // A voice is a moderator's to give; everybody may lay down what they have.
        let lays_down = is_own && role < before;
        let needed = match before.max(role) {
            Some(Role::Moderator | Role::Owner) => Role::Owner,
            _ => Role::Moderator,
        };
        match lays_down {
            true => self.governed(user, name, Role::Voice)?,
            false => self.governed(user, name, needed)?,
        };
        bounded("roles of one room", room.state.roles.len())?;
        let who = self.author(person, nick);
        Ok(vec![What::Role { who, role }])
    }

    fn set(&self, user: &User, name: &RoomName, setting: Setting) -> Result<Vec<What>, Refused> {
        let room = self.governed(user, name, Role::Moderator)?;
        let setting = match setting {
            Setting::Password(Some(password)) if password.len() > PASSWORD_MAX => {
                return Err(Refused::TooLong("a room's password", PASSWORD_MAX));
            }
            Setting::Password(Some(password)) if password.is_empty() => Setting::Password(None),
            Setting::Password(Some(password)) => {
                Setting::Password(Some(hash_password(name, room.state.epoch, &password)))
            }
            other => other,
        };
        Ok(vec![What::Set(setting)])
    }

    /// Whom it would be about, by what was asked for.
    fn mask(&self, who: &Whom, known: &Known) -> Result<Mask, Refused> {
        Ok(match who {
            Whom::Mask(mask) => mask.clone(),
            Whom::Nick(nick) => Mask::Person(self.person(nick, known)?),
        })
    }

    /// The mask of a rule that there is; of a guest who left, by the nick.
    fn mask_of(
        &self,
        rules: &[super::room::Rule],
        who: &Whom,
        known: &Known,
    ) -> Result<Mask, Refused> {
        let meant = match who {
            Whom::Mask(mask) => mask.clone(),
            Whom::Nick(nick) => match self.person(nick, known) {
                Ok(person) => Mask::Person(person),
                Err(_) => Mask::Person(Person::account(nick)),
            },
        };
        if rules.iter().any(|rule| rule.mask == meant) {
            return Ok(meant);
        }
        if let Whom::Nick(nick) = who {
            let by_nick = Mask::Nick(fold(nick));
            if rules.iter().any(|rule| rule.mask == by_nick) {
                return Ok(by_nick);
            }
            // As it is listed: an address is no nick that somebody could have.
            let by_address = nick.parse().ok().map(Mask::Address);
            if let Some(by_address) = by_address
                && rules.iter().any(|rule| rule.mask == by_address)
            {
                return Ok(by_address);
            }
        }
        Err(Refused::NoSuchNick(text::line(&meant.to_string(), 64)))
    }

    /// Nobody does this to whoever may as much as they do.
    fn check_above(
        &self,
        user: &User,
        name: &RoomName,
        room: &Room,
        mask: &Mask,
    ) -> Result<(), Refused> {
        let Mask::Person(person) = mask else {
            return Ok(());
        };
        let own = self.role(user, room);
        let is_admin = self.users.get(person).is_some_and(|other| other.is_admin);
        let theirs = if is_admin {
            Some(Role::Owner)
        } else {
            room.state.role(person)
        };
        let is_above = own > theirs || (user.is_admin && !is_admin) || *person == user.who.person;
        match is_above {
            true => Ok(()),
            false => Err(Refused::NotAllowed(name.clone(), Role::Owner)),
        }
    }

    /// Somebody who is in the room.
    fn member(&self, room: &Room, name: &RoomName, nick: &str) -> Result<Author, Refused> {
        let person = self.person(nick, &Known::default())?;
        let user = self
            .users
            .get(&person)
            .filter(|_| room.members.contains(&person));
        match user {
            Some(user) => Ok(user.who.clone()),
            None => Err(Refused::NotThere(text::line(nick, 64), name.clone())),
        }
    }

    fn author(&self, person: Person, nick: &str) -> Author {
        let nick = self.nick_of(&person).unwrap_or(nick).to_owned();
        Author { nick, person }
    }
}

/// The room as these entries make it; it still says that they are to be folded in, which does no harm.
fn with(state: &RoomState, entries: &[Entry]) -> RoomState {
    let mut folded = state.clone();
    for entry in entries {
        folded.fold(state.seq.saturating_add(1), entry);
    }
    folded.seq = state.seq;
    folded
}

fn end(now: Millis, length: Duration) -> Millis {
    let length = Millis::try_from(length.as_millis()).unwrap_or(LONGEST);
    now.saturating_add(length.min(LONGEST))
}

fn bounded(what: &'static str, count: usize) -> Result<(), Refused> {
    match count >= RULES_MAX {
        true => Err(Refused::TooMany(what, RULES_MAX)),
        false => Ok(()),
    }
}

//! The world as somebody sees it.

use super::command::{Command, MemberLine, PersonView, Refused, RoomLine, RoomView};
use super::event::{Event, Place};
use super::name::{Person, RoomName, fold};
use super::room::{Role, Rule};
use super::text;
use super::world::{Audience, Known, Listed, Room, SessionId, User, World};

impl World {
    pub(super) fn whois(&self, session: SessionId, nick: &str) -> Result<PersonView, Refused> {
        let me = self.user_of(session)?;
        let user = self.users.get(&self.person(nick, &Known::default())?);
        let user = user.ok_or_else(|| Refused::NoSuchNick(text::line(nick, 64)))?;
        let is_self = user.who.person == me.who.person;
        let may_know = |name: &&RoomName| {
            let is_hidden = self.rooms.get(*name).is_some_and(|room| room.state.hidden);
            is_self || me.is_admin || !is_hidden || me.rooms.contains(*name)
        };
        let role = |name: &RoomName| {
            self.rooms
                .get(name)
                .and_then(|room| room.state.role(&user.who.person))
        };
        Ok(PersonView {
            who: user.who.clone(),
            away: user.away.clone(),
            since: user.since,
            active: user.active,
            rooms: user
                .rooms
                .iter()
                .filter(may_know)
                .map(|name| (name.clone(), role(name)))
                .collect(),
            address: user.address.filter(|_| is_self || me.is_admin),
            is_admin: user.is_admin,
        })
    }

    pub(super) fn room_lines(&self, session: SessionId) -> Result<Vec<RoomLine>, Refused> {
        let me = self.user_of(session)?;
        let may_know = |(name, listed): &(&RoomName, &Listed)| {
            !listed.is_hidden || me.is_admin || me.rooms.contains(*name)
        };
        let lines = self
            .listed
            .iter()
            .filter(may_know)
            .map(|(name, listed)| RoomLine {
                name: name.clone(),
                members: self.rooms.get(name).map_or(0, |room| room.members.len()),
                topic: listed.topic.clone(),
                is_closed: listed.is_closed,
            });
        Ok(lines.collect())
    }

    pub(super) fn look(&self, session: SessionId, name: &RoomName) -> Result<RoomView, Refused> {
        let user = self.user_of(session)?;
        let room = self.open_room(name)?;
        let is_member = room.members.contains(&user.who.person);
        if (room.state.hidden && !is_member && !user.is_admin) || !self.is_listed(name) {
            return Err(Refused::NoSuchRoom(name.clone()));
        }
        let members = self.member_lines(room, |_| true);
        Ok(self.view(user, session, name, room, members))
    }

    /// A room as somebody sees it who comes in. All who are in a room of thousands are told to nobody who only comes: so
    /// that its cost does not grow with each of them.
    pub(super) fn view_of_joined(
        &self,
        user: &User,
        session: SessionId,
        name: &RoomName,
        room: &Room,
    ) -> RoomView {
        let members = match self.is_presence_told(name) {
            true => self.member_lines(room, |_| true),
            false => {
                let is_known = |person: &Person| {
                    *person == user.who.person || room.state.role(person).is_some()
                };
                self.member_lines(room, is_known)
            }
        };
        self.view(user, session, name, room, members)
    }

    fn view(
        &self,
        user: &User,
        session: SessionId,
        name: &RoomName,
        room: &Room,
        members: Vec<MemberLine>,
    ) -> RoomView {
        let state = &room.state;
        let role = self.role(user, room);
        let is_member = room.members.contains(&user.who.person);
        let is_moderator = role >= Some(Role::Moderator);
        let rules = |rules: &[Rule]| match is_moderator {
            true => rules.to_vec(),
            false => Vec::new(),
        };
        RoomView {
            name: name.clone(),
            from: Place {
                epoch: state.epoch,
                seq: state.seq,
            },
            was_followed: room.followers.contains(&session),
            topic: state.topic.clone(),
            members,
            count: room.members.len(),
            role,
            is_member,
            invite_only: state.invite_only,
            has_password: state.password.is_some(),
            moderated: state.moderated,
            topic_locked: state.topic_locked,
            hidden: state.hidden,
            limit: state.limit,
            created: state.created,
            bans: rules(&state.bans),
            mutes: rules(&state.mutes),
        }
    }
}

impl World {
    /// The room that must be open for a command.
    pub fn room_of(
        &self,
        session: SessionId,
        command: &Command,
        known: &Known,
    ) -> Option<RoomName> {
        match command {
            Command::Join { room, .. }
            | Command::Part { room, .. }
            | Command::Topic { room, .. }
            | Command::Kick { room, .. }
            | Command::Ban { room, .. }
            | Command::Unban { room, .. }
            | Command::Mute { room, .. }
            | Command::Unmute { room, .. }
            | Command::Invite { room, .. }
            | Command::Role { room, .. }
            | Command::Set { room, .. }
            | Command::Look(room) => Some(room.clone()).filter(|room| !room.is_direct()),
            Command::Say { to: at, .. } | Command::Edit { at, .. } | Command::Delete { at, .. } => {
                self.may_read(session, at, known).ok()
            }
            _ => None,
        }
    }

    /// Whether nobody here is called so.
    pub fn is_free(&self, nick: &str) -> bool {
        !self.nicks.contains_key(&fold(nick))
    }

    /// The rooms that whoever has this session is in.
    pub fn rooms_of(&self, session: SessionId) -> Vec<RoomName> {
        self.user_of(session)
            .map(|user| user.rooms.iter().cloned().collect())
            .unwrap_or_default()
    }
}

impl World {
    /// Tells the other sessions of the same person.
    pub fn tell_own(&mut self, session: SessionId, event: Event) {
        let Ok(user) = self.user_of(session) else {
            return;
        };
        let others: Vec<_> = user
            .sessions
            .iter()
            .copied()
            .filter(|other| *other != session)
            .collect();
        if !others.is_empty() {
            self.tell(Audience::Sessions(others), event);
        }
    }
}

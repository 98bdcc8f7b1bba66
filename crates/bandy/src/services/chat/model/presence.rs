//! Being here: nicks, being away, coming into rooms and leaving them.

use super::command::{Answer, MemberLine, Refused};
use super::event::{Author, Entry, Event, Millis, What};
use super::name::{Person, RoomName, fold};
use super::room::{Role, RoomState, hash_password};
use super::text;
use super::world::{Append, Audience, Create, Known, Room, SessionId, Set, Step, User, World};
use crate::accounts::name as rule;

impl World {
    /// The first free nick that begins like this one: itself, or with a number behind it.
    pub fn free_nick(&self, wish: &str) -> String {
        let is_good = rule::check(wish).is_ok() && !rule::is_reserved(wish);
        if is_good && !self.nicks.contains_key(&fold(wish)) {
            return wish.to_owned();
        }
        let stem = match rule::check(wish) {
            // There is room for a number.
            Ok(()) => wish
                .get(..wish.len().min(24))
                .unwrap_or("guest")
                .trim_end_matches(['.', '-', '_']),
            Err(_) => "guest",
        };
        let mut number = self.users.len().max(1);
        loop {
            let nick = format!("{stem}-{number}");
            if !self.nicks.contains_key(&fold(&nick)) {
                return nick;
            }
            number += 1;
        }
    }

    pub(super) fn check_nick(&self, nick: &str) -> Result<(), Refused> {
        rule::check(nick).map_err(|fault| Refused::NickWrong(fault.to_string()))?;
        if rule::is_reserved(nick) {
            return Err(Refused::NickReserved(nick.to_owned()));
        }
        match self.nicks.contains_key(&fold(nick)) {
            true => Err(Refused::NickTaken(nick.to_owned())),
            false => Ok(()),
        }
    }

    pub(super) fn nick(
        &mut self,
        session: SessionId,
        nick: String,
        known: &Known,
    ) -> Result<(), Refused> {
        let who = self.user_of(session)?.who.clone();
        if who.nick == nick {
            return Ok(());
        }
        if !who.person.is_guest() {
            return Err(Refused::NickFixed);
        }
        if known.is_account {
            return Err(Refused::NickReserved(nick));
        }
        // The same in other letters is one's own.
        if fold(&who.nick) != fold(&nick) {
            self.check_nick(&nick)?;
        }
        self.rename(&who.person, nick);
        Ok(())
    }

    /// Calls somebody otherwise, and tells them and whoever shares a room with them.
    pub(super) fn rename(&mut self, person: &Person, nick: String) {
        let Some(user) = self.users.get_mut(person) else {
            return;
        };
        let who = user.who.clone();
        user.who.nick.clone_from(&nick);
        self.nicks.remove(&fold(&who.nick));
        self.nicks.insert(fold(&nick), person.clone());
        let to = self.around(person);
        self.tell(Audience::Sessions(to), Event::Renamed { who, nick });
    }

    pub(super) fn away(&mut self, session: SessionId, text: Option<String>) -> Result<(), Refused> {
        let max = self.rules.line_bytes;
        let user = self.user_of_mut(session)?;
        let text = text
            .map(|text| text::line(&text, max))
            .filter(|text| !text.is_empty());
        if user.away == text {
            return Ok(());
        }
        user.away.clone_from(&text);
        let who = user.who.clone();
        let to = self.around(&who.person);
        self.tell(Audience::Sessions(to), Event::Away { who, text });
        Ok(())
    }

    pub(super) fn join(
        &mut self,
        now: Millis,
        session: SessionId,
        name: &RoomName,
        password: Option<&str>,
    ) -> Result<Step, Refused> {
        if name.is_direct() {
            return Err(Refused::NoSuchRoom(name.clone()));
        }
        let user = self.user_of(session)?;
        let room = self.open_room(name)?;
        if !room.members.contains(&user.who.person) {
            if room.state.seq == 0 {
                return self.make(now, user, name, room);
            }
            self.check_may_join(now, user, name, room, password)?;
            self.enter(session, name)?;
        }
        let user = self.user_of(session)?;
        let room = self.open_room(name)?;
        let view = self.view_of_joined(user, session, name, room);
        self.follow(session, name);
        Ok(Step::Done(Answer::Joined(Box::new(view))))
    }

    /// A room that nobody has made: whoever comes first does.
    fn make(
        &self,
        now: Millis,
        user: &User,
        name: &RoomName,
        room: &Room,
    ) -> Result<Step, Refused> {
        let may = match self.rules.create {
            Create::Everyone => true,
            Create::Users => !user.who.person.is_guest(),
            Create::Admins => user.is_admin,
        };
        if !may && !user.is_admin {
            return Err(Refused::NoSuchRoom(name.clone()));
        }
        if self.listed.len() >= self.rules.rooms {
            return Err(Refused::TooMany("rooms", self.rules.rooms));
        }
        self.check_room_for_one_more(user)?;
        let entry = Entry {
            time: now,
            by: user.who.clone(),
            nonce: None,
            what: What::Created,
        };
        let mut snapshot = room.state.clone();
        snapshot.fold(1, &entry);
        snapshot.seq = 0;
        Ok(Step::First(Append {
            room: name.clone(),
            entries: vec![entry],
            snapshot: Some(Box::new(snapshot)),
            changes: None,
        }))
    }

    /// Makes the room where everybody begins. It is the server's own: nobody but admins has power in it.
    pub fn first_room(name: RoomName, epoch: u64, now: Millis) -> Append {
        let by = Author {
            nick: "server".to_owned(),
            person: Person::guest(0, 0),
        };
        let entry = Entry {
            time: now,
            by,
            nonce: None,
            what: What::Created,
        };
        let mut state = RoomState::new(epoch);
        state.fold(1, &entry);
        state.seq = 0;
        Append {
            room: name,
            entries: vec![entry],
            snapshot: Some(Box::new(state)),
            changes: None,
        }
    }

    fn check_room_for_one_more(&self, user: &User) -> Result<(), Refused> {
        match user.rooms.len() >= self.rules.joined {
            true => Err(Refused::TooMany("rooms for one person", self.rules.joined)),
            false => Ok(()),
        }
    }

    fn check_may_join(
        &self,
        now: Millis,
        user: &User,
        name: &RoomName,
        room: &Room,
        password: Option<&str>,
    ) -> Result<(), Refused> {
        self.check_room_for_one_more(user)?;
        let RoomState {
            invite_only,
            limit,
            invited,
            ..
        } = &room.state;
        // Whoever has a role in it, or was invited, needs no password.
        let is_known = self.role(user, room).is_some() || invited.contains(&user.who.person);
        let limit = limit
            .map_or(self.rules.members, |limit| limit as usize)
            .min(self.rules.members);
        if let Some(ban) = room
            .state
            .ban(&user.who.nick, &user.who.person, user.address, now)
            && self.role(user, room) < Some(Role::Moderator)
        {
            return Err(Refused::Banned(name.clone(), ban.reason.clone()));
        }
        if *invite_only && !is_known {
            return Err(Refused::InviteOnly(name.clone()));
        }
        if let Some(hash) = &room.state.password
            && !is_known
        {
            let shown = password.map(|password| hash_password(name, room.state.epoch, password));
            if shown.as_ref() != Some(hash) {
                return Err(Refused::WrongPassword(name.clone()));
            }
        }
        if room.members.len() >= limit {
            return Err(Refused::RoomFull(name.clone()));
        }
        Ok(())
    }

    fn enter(&mut self, session: SessionId, name: &RoomName) -> Result<(), Refused> {
        let user = self.user_of_mut(session)?;
        user.rooms.insert(name.clone());
        let (who, others) = (user.who.clone(), user.sessions.clone());
        let others: Vec<_> = others
            .into_iter()
            .filter(|other| *other != session)
            .collect();
        let presence = self.rules.presence;
        let Some(room) = self.rooms.get_mut(name) else {
            return Err(Refused::NoSuchRoom(name.clone()));
        };
        room.members.insert(who.person.clone());
        let role = room.state.role(&who.person);
        let is_told = room.members.len() <= presence;
        if is_told {
            // Whoever comes is not following yet, and is told by the answer.
            let to = self.followers(name).to_vec();
            let room = name.clone();
            self.tell(Audience::Sessions(to), Event::Joined { room, who, role });
        }
        if !others.is_empty() {
            let room = name.clone();
            self.tell(
                Audience::Sessions(others),
                Event::Membership {
                    room,
                    is_member: true,
                },
            );
        }
        Ok(())
    }

    fn follow(&mut self, session: SessionId, name: &RoomName) {
        let (Some(room), Some(own)) = (self.rooms.get_mut(name), self.sessions.get_mut(&session))
        else {
            return;
        };
        if own.follows.insert(name.clone()) {
            room.followers.push(session);
        }
    }

    pub(super) fn part(
        &mut self,
        session: SessionId,
        name: &RoomName,
        reason: &str,
    ) -> Result<(), Refused> {
        let user = self.user_of(session)?;
        if !user.rooms.contains(name) {
            return Err(Refused::NotMember(name.clone()));
        }
        let (who, sessions) = (user.who.clone(), user.sessions.clone());
        let reason = text::line(reason, self.rules.line_bytes);
        if self.is_presence_told(name) {
            // Whoever goes follows it no more when this is told, and is to hear it.
            let to = self.followers(name).to_vec();
            let room = name.clone();
            let who = who.clone();
            self.tell(Audience::Sessions(to), Event::Parted { room, who, reason });
        }
        // Those of one's own that do not follow the room.
        let followers = self.followers(name);
        let others: Vec<_> = sessions
            .into_iter()
            .filter(|s| !followers.contains(s))
            .collect();
        if !others.is_empty() {
            let room = name.clone();
            self.tell(
                Audience::Sessions(others),
                Event::Membership {
                    room,
                    is_member: false,
                },
            );
        }
        self.leave(&who.person, name);
        Ok(())
    }

    /// Whether comings and goings are told in a room, or it is too large for that.
    pub(super) fn is_presence_told(&self, name: &RoomName) -> bool {
        let members = self.rooms.get(name).map_or(0, |room| room.members.len());
        members <= self.rules.presence
    }

    /// Takes somebody out of a room, with all of their sessions.
    pub(super) fn leave(&mut self, person: &Person, name: &RoomName) {
        let Some(user) = self.users.get_mut(person) else {
            return;
        };
        user.rooms.remove(name);
        let sessions = user.sessions.clone();
        for session in &sessions {
            if let Some(session) = self.sessions.get_mut(session) {
                session.follows.remove(name);
            }
        }
        if let Some(room) = self.rooms.get_mut(name) {
            room.members.remove(person);
            room.followers
                .retain(|follower| !sessions.contains(follower));
        }
    }

    /// Somebody goes.
    pub(super) fn quit(&mut self, person: &Person, reason: &str) {
        let reason = text::line(reason, self.rules.line_bytes);
        let Some(user) = self.users.get(person) else {
            return;
        };
        let who = user.who.clone();
        let rooms: Vec<RoomName> = user.rooms.iter().cloned().collect();
        let told: Vec<RoomName> = rooms
            .iter()
            .filter(|room| self.is_presence_told(room))
            .cloned()
            .collect();
        for room in &rooms {
            self.leave(person, room);
        }
        self.users.remove(person);
        self.nicks.remove(&fold(&who.nick));
        // In a conversation of two the other one may be waiting.
        let mut to = self.following(&told);
        to.sort_unstable();
        if !to.is_empty() {
            self.tell(Audience::Sessions(to), Event::Quit { who, rooms, reason });
        }
    }

    /// The sessions of somebody, and all that follow a room that they are in: each once.
    fn around(&self, person: &Person) -> Vec<SessionId> {
        let Some(user) = self.users.get(person) else {
            return Vec::new();
        };
        let told: Vec<RoomName> = user
            .rooms
            .iter()
            .filter(|room| self.is_presence_told(room))
            .cloned()
            .collect();
        let mut to: Set<SessionId> = self.following(&told).into_iter().collect();
        to.extend(&user.sessions);
        let mut to: Vec<_> = to.into_iter().collect();
        to.sort_unstable();
        to
    }

    /// All that follow one of these rooms, each once.
    fn following(&self, rooms: &[RoomName]) -> Vec<SessionId> {
        match rooms {
            [] => Vec::new(),
            [one] => self.followers(one).to_vec(),
            several => {
                let all = several
                    .iter()
                    .flat_map(|room| self.followers(room).iter().copied());
                all.collect::<Set<_>>().into_iter().collect()
            }
        }
    }

    /// Those in a room of whom this holds, by nick.
    pub(super) fn member_lines(
        &self,
        room: &Room,
        holds: impl Fn(&Person) -> bool,
    ) -> Vec<MemberLine> {
        let line = |person: &Person| {
            let user = self.users.get(person)?;
            Some(MemberLine {
                who: user.who.clone(),
                role: room.state.role(person),
                is_away: user.away.is_some(),
            })
        };
        let members = room.members.iter().filter(|person| holds(person));
        let mut lines: Vec<MemberLine> = members.filter_map(line).collect();
        lines.sort_by_cached_key(|a| fold(&a.who.nick));
        lines
    }

    /// Everybody who is here.
    pub fn everybody(&self) -> Vec<Author> {
        let mut all: Vec<Author> = self.users.values().map(|user| user.who.clone()).collect();
        all.sort_by_cached_key(|a| fold(&a.nick));
        all
    }
}

//! The world: who is here, which rooms are open, who follows what.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::command::{Answer, Command, Refused, Target};
use super::event::{Author, Entry, Event, Millis, Place, What};
use super::name::{Person, RoomName, fold};
use super::nonces::{self, Nonces};
use super::rate::{Pace, Rate};
use super::room::{Role, RoomState};

pub(super) type Map<K, V> = HashMap<K, V, RandomState>;
pub(super) type Set<K> = HashSet<K, RandomState>;

/// Who may make rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Create {
    /// Everybody.
    #[default]
    Everyone,
    /// Whoever is logged in.
    Users,
    /// Admins.
    Admins,
}

impl Create {
    /// All, as they are written.
    pub const ALL: [(&'static str, Create); 3] = [
        ("everyone", Create::Everyone),
        ("users", Create::Users),
        ("admins", Create::Admins),
    ];

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Create::Everyone => "everyone",
            Create::Users => "users",
            Create::Admins => "admins",
        }
    }
}

/// The bounds of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Whether somebody may come without logging in.
    pub guests: bool,
    /// Who may make rooms.
    pub create: Create,
    /// Rooms that there may be, conversations of two not counted.
    pub rooms: usize,
    /// Rooms that one person may be in at once.
    pub joined: usize,
    /// The most members of a room, here.
    pub members: usize,
    /// In a room with more members than this, comings and goings are told to nobody.
    pub presence: usize,
    /// Sessions that one person may have.
    pub sessions: usize,
    /// The longest text. Bytes.
    pub text_bytes: usize,
    /// The longest topic, reason or word about being away. Bytes.
    pub line_bytes: usize,
    /// How fast one may be; `None` is without a bound.
    pub rate: Option<Rate>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            guests: true,
            create: Create::default(),
            rooms: 1_000,
            joined: 100,
            members: 20_000,
            presence: 1_000,
            sessions: 20,
            text_bytes: 4_096,
            line_bytes: 400,
            rate: Some(Rate::default()),
        }
    }
}

/// One connection's part in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Somebody who comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrival {
    /// What they want to be called. Of no matter for an account, nor for a guest who is here yet.
    pub nick: String,
    /// The account, if they proved that it is theirs.
    pub account: Option<String>,
    /// The guest that they were before, if they proved it.
    pub guest: Option<Person>,
    /// Whether an operator gave the account power everywhere (its role `admin` or `moderator`).
    pub is_admin: bool,
    /// Where from.
    pub address: Option<IpAddr>,
}

impl Arrival {
    /// Somebody who proved that an account is theirs.
    pub fn of(user: &crate::accounts::User, address: Option<IpAddr>) -> Arrival {
        Arrival {
            nick: user.name.clone(),
            account: Some(user.name.clone()),
            guest: None,
            is_admin: user.has("admin") || user.has("moderator"),
            address,
        }
    }
}

/// Somebody who came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The session.
    pub session: SessionId,
    /// Who they are.
    pub who: Author,
    /// Rooms that they are in already with other sessions. This one follows them once it joins them.
    pub rooms: Vec<RoomName>,
}

/// To whom something is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Whoever follows the room: [`World::followers`].
    Room(RoomName),
    /// These.
    Sessions(Vec<SessionId>),
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// To whom.
    pub to: Audience,
    /// What.
    pub event: Event,
}

/// Something to be put into a room's log, all of it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Whose log.
    pub room: RoomName,
    /// The entries. Their nonce is noted as being on its way until [`World::logged`] or [`World::failed`].
    pub entries: Vec<Entry>,
    /// The room as it will be, to be stored beside the log; `None` where it would be the same but for what was said.
    pub snapshot: Option<Box<RoomState>>,
    /// The entry that is changed by it: what is read back there is to be this from now on.
    pub changes: Option<(u64, Entry)>,
}

impl Append {
    /// Whether it changes what may be done in the room, and does not only add to what was said.
    pub fn is_change(&self) -> bool {
        let is_said = |entry: &Entry| {
            matches!(
                entry.what,
                What::Said { .. } | What::Edited { .. } | What::Deleted { .. }
            )
        };
        !self.entries.iter().all(is_said)
    }
}

/// What is to be done about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing more: this is the answer.
    Done(Answer),
    /// Append it; once it is durable, and holds if it is a change, its last entry's place is the answer.
    Append(Append),
    /// Append it, wait until the world has it, then ask for the same again.
    First(Append),
    /// It is being appended already: wait until the world has more, then ask for the same again.
    Wait(RoomName),
}

/// What the world cannot know, and whoever runs it looked up for a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The entry that the command is about.
    pub entry: Option<Entry>,
    /// Whether the nick that it names is an account's.
    pub is_account: bool,
}

/// Somebody who is here.
#[derive(Debug)]
pub(super) struct User {
    pub(super) who: Author,
    pub(super) is_admin: bool,
    pub(super) address: Option<IpAddr>,
    pub(super) away: Option<String>,
    pub(super) since: Millis,
    pub(super) active: Millis,
    pub(super) pace: Pace,
    pub(super) sessions: Vec<SessionId>,
    pub(super) rooms: BTreeSet<RoomName>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) person: Person,
    /// The rooms that it follows.
    pub(super) follows: BTreeSet<RoomName>,
}

/// A room that is open here.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) state: RoomState,
    pub(super) nonces: Nonces,
    /// Sent and not logged yet.
    pub(super) pending: Set<nonces::Key>,
    pub(super) members: BTreeSet<Person>,
    pub(super) followers: Vec<SessionId>,
    /// The last entry with which the room was stored.
    pub(super) stored: u64,
}

/// A room that there is, open or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    pub(super) topic: String,
    pub(super) is_hidden: bool,
    pub(super) is_closed: bool,
}

/// Everything that one process knows of chat. See the module.
#[derive(Debug)]
pub struct World {
    pub(super) rules: Rules,
    /// Of guests' names.
    epoch: u64,
    count: u64,
    pub(super) users: Map<Person, User>,
    pub(super) nicks: Map<String, Person>,
    pub(super) sessions: Map<SessionId, Session>,
    pub(super) rooms: Map<RoomName, Room>,
    pub(super) listed: BTreeMap<RoomName, Listed>,
    pub(super) out: Vec<Effect>,
}

impl World {
    /// An empty world. No two that a store has seen may have the same `epoch`: guests are told apart by it.
    pub fn new(rules: Rules, epoch: u64) -> World {
        World {
            rules,
            epoch,
            count: 0,
            users: Map::default(),
            nicks: Map::default(),
            sessions: Map::default(),
            rooms: Map::default(),
            listed: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    /// What is to be told, since this was last asked; in this order.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.out)
    }

    /// Its bounds.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Lets somebody in. The nick of a guest must be free; of one that is to be found see [`World::free_nick`].
    ///
    /// # Errors
    /// Why not.
    pub fn open(&mut self, now: Millis, arrival: Arrival) -> Result<Opened, Refused> {
        self.count += 1;
        let session = SessionId(self.count);
        let person = match &arrival.account {
            Some(account) => Person::account(account),
            None => {
                if !self.rules.guests {
                    return Err(Refused::NoGuests);
                }
                let again = arrival.guest.filter(Person::is_guest);
                let is_here = again
                    .as_ref()
                    .is_some_and(|guest| self.users.contains_key(guest));
                if !is_here {
                    self.check_nick(&arrival.nick)?;
                }
                again.unwrap_or_else(|| Person::guest(self.epoch, self.count))
            }
        };
        if let Some(user) = self.users.get_mut(&person) {
            if user.sessions.len() >= self.rules.sessions {
                return Err(Refused::TooMany(
                    "sessions of one account",
                    self.rules.sessions,
                ));
            }
            user.sessions.push(session);
            user.is_admin = arrival.is_admin;
        } else {
            let nick = arrival.account.unwrap_or(arrival.nick);
            // Whoever had the name of an account when it was made is called otherwise now.
            if let Some(squatter) = self.nicks.get(&fold(&nick)).cloned() {
                let free = self.free_nick(&nick);
                self.rename(&squatter, free);
            }
            let who = Author {
                nick: nick.clone(),
                person: person.clone(),
            };
            self.nicks.insert(fold(&nick), person.clone());
            let user = User {
                who,
                is_admin: arrival.is_admin,
                address: arrival.address,
                away: None,
                since: now,
                active: now,
                pace: Pace::default(),
                sessions: vec![session],
                rooms: BTreeSet::new(),
            };
            self.users.insert(person.clone(), user);
        }
        let follows = BTreeSet::new();
        self.sessions.insert(
            session,
            Session {
                person: person.clone(),
                follows,
            },
        );
        let user = self.users.get(&person).ok_or(Refused::Over)?;
        Ok(Opened {
            session,
            who: user.who.clone(),
            rooms: user.rooms.iter().cloned().collect(),
        })
    }

    /// Ends a session. With the last one somebody leaves, and says `reason`.
    pub fn close(&mut self, session: SessionId, reason: &str) {
        let Some(Session { person, follows }) = self.sessions.remove(&session) else {
            return;
        };
        for room in follows {
            if let Some(room) = self.rooms.get_mut(&room) {
                room.followers.retain(|follower| *follower != session);
            }
        }
        let Some(user) = self.users.get_mut(&person) else {
            return;
        };
        user.sessions.retain(|other| *other != session);
        if user.sessions.is_empty() {
            self.quit(&person, reason);
        }
    }

    /// How long a command has to wait before it is done: the bound of [`Rules::rate`].
    pub fn pace(&mut self, now: Millis, session: SessionId, command: &Command) -> Millis {
        let Some(rate) = self.rules.rate else {
            return 0;
        };
        let cost = match command {
            Command::Search { .. } => 4,
            Command::Look(_) | Command::Read { .. } | Command::Typing { .. } => return 0,
            _ => 1,
        };
        match self.user_of(session) {
            Ok(user) if user.is_admin => 0,
            Ok(_) => match self.user_of_mut(session) {
                Ok(user) => user.pace.take(now, cost, &rate),
                Err(_) => 0,
            },
            Err(_) => 0,
        }
    }

    /// Does what a session asks for, as far as it can be done here. The room that it is about must be open
    /// ([`World::load`]); [`Command::History`], [`Command::Search`], [`Command::Read`] and [`Command::Unread`] are for
    /// whoever has the store, after [`World::may_read`].
    ///
    /// # Errors
    /// Why it is not done.
    pub fn apply(
        &mut self,
        now: Millis,
        session: SessionId,
        command: Command,
        known: &Known,
    ) -> Result<Step, Refused> {
        let done = |()| Step::Done(Answer::Done);
        match command {
            Command::Nick(nick) => self.nick(session, nick, known).map(done),
            Command::Away(text) => self.away(session, text).map(done),
            Command::Join { room, password } => self.join(now, session, &room, password.as_deref()),
            Command::Part { room, reason } => self.part(session, &room, &reason).map(done),
            Command::Say {
                to,
                text,
                manner,
                nonce,
                reply,
            } => self.say(now, session, &to, &text, manner, nonce, reply, known),
            Command::Edit { at, seq, text } => self.edit(now, session, &at, seq, &text, known),
            Command::Delete { at, seq } => self.delete(now, session, &at, seq, known),
            Command::Typing { to, active } => self.typing(session, &to, active).map(done),
            Command::Look(room) => self
                .look(session, &room)
                .map(|v| Step::Done(Answer::Room(Box::new(v)))),
            Command::Whois(nick) => self
                .whois(session, &nick)
                .map(|v| Step::Done(Answer::Person(Box::new(v)))),
            Command::Rooms => Ok(Step::Done(Answer::Rooms(self.room_lines(session)?))),
            Command::History { .. }
            | Command::Search { .. }
            | Command::Read { .. }
            | Command::Unread => Ok(done(())),
            other => self.moderate(now, session, other, known).map(Step::Append),
        }
    }

    /// Takes in a room as it was stored and folded from its log. It stays while somebody is in it.
    pub fn load(&mut self, name: RoomName, state: RoomState, nonces: Nonces) {
        // One that was made while it was not open here.
        if state.seq > 0 {
            self.list(name.clone(), &state);
        }
        let stored = state.seq;
        self.rooms.entry(name).or_insert_with(|| Room {
            state,
            nonces,
            stored,
            ..Room::default()
        });
    }

    /// Whether a room is open.
    pub fn is_loaded(&self, room: &RoomName) -> bool {
        self.rooms.contains_key(room)
    }

    /// Lets a room go that nobody is in, and nothing is on its way to. `false` where that is not so.
    pub fn unload(&mut self, name: &RoomName) -> bool {
        let Some(room) = self.rooms.get(name) else {
            return false;
        };
        let here = |person: &Person| self.users.contains_key(person);
        let is_used = match name.people() {
            Some((a, b)) => here(&a) || here(&b),
            None => !room.members.is_empty() || !room.followers.is_empty(),
        };
        if is_used || !room.pending.is_empty() {
            return false;
        }
        self.rooms.remove(name).is_some()
    }

    /// Notes a room that there is.
    pub fn list(&mut self, name: RoomName, state: &RoomState) {
        if name.is_direct() {
            return;
        }
        let listed = Listed {
            topic: state
                .topic
                .as_ref()
                .map(|topic| topic.text.clone())
                .unwrap_or_default(),
            is_hidden: state.hidden,
            is_closed: state.invite_only || state.password.is_some(),
        };
        self.listed.insert(name, listed);
    }

    /// Whether there is such a room, open or not.
    pub fn is_listed(&self, name: &RoomName) -> bool {
        self.listed.contains_key(name)
    }

    /// The sessions that follow a room now.
    pub fn followers(&self, name: &RoomName) -> &[SessionId] {
        self.rooms.get(name).map_or(&[], |room| &room.followers)
    }

    /// The last entry of the room that was told here.
    pub fn place(&self, name: &RoomName) -> Option<Place> {
        let room = self.rooms.get(name)?;
        Some(Place {
            epoch: room.state.epoch,
            seq: room.state.seq,
        })
    }

    /// The room that is meant: a room that one is in, or the conversation with somebody, by their nick or by its own name.
    ///
    /// # Errors
    /// That one is not in it; that nobody is called so.
    pub fn may_read(
        &self,
        session: SessionId,
        target: &Target,
        known: &Known,
    ) -> Result<RoomName, Refused> {
        match target {
            Target::Room(name) if name.is_direct() => {
                let me = &self.user_of(session)?.who.person;
                match name.people() {
                    Some((one, other)) if one == *me || other == *me => Ok(name.clone()),
                    _ => Err(Refused::NoSuchRoom(name.clone())),
                }
            }
            Target::Room(name) => {
                let user = self.user_of(session)?;
                match user.rooms.contains(name) {
                    true => Ok(name.clone()),
                    false => Err(Refused::NotMember(name.clone())),
                }
            }
            Target::Nick(nick) => {
                let me = &self.user_of(session)?.who.person;
                Ok(RoomName::direct(me, &self.person(nick, known)?))
            }
        }
    }

    /// Who a session is.
    pub fn who(&self, session: SessionId) -> Option<Author> {
        self.user_of(session).ok().map(|user| user.who.clone())
    }

    /// The nick of somebody who is here.
    pub fn nick_of(&self, person: &Person) -> Option<&str> {
        self.users.get(person).map(|user| user.who.nick.as_str())
    }

    pub(super) fn user_of(&self, session: SessionId) -> Result<&User, Refused> {
        let session = self.sessions.get(&session).ok_or(Refused::Over)?;
        self.users.get(&session.person).ok_or(Refused::Over)
    }

    pub(super) fn user_of_mut(&mut self, session: SessionId) -> Result<&mut User, Refused> {
        let session = self.sessions.get(&session).ok_or(Refused::Over)?;
        self.users.get_mut(&session.person).ok_or(Refused::Over)
    }

    /// Who is called so: somebody who is here, or an account that is not.
    pub(super) fn person(&self, nick: &str, known: &Known) -> Result<Person, Refused> {
        match self.nicks.get(&fold(nick)) {
            Some(person) => Ok(person.clone()),
            None if known.is_account => Ok(Person::account(nick)),
            None => Err(Refused::NoSuchNick(super::text::line(nick, 64))),
        }
    }

    pub(super) fn open_room(&self, name: &RoomName) -> Result<&Room, Refused> {
        self.rooms
            .get(name)
            .ok_or_else(|| Refused::NoSuchRoom(name.clone()))
    }

    /// The role in a room, with the power that an operator gave.
    pub(super) fn role(&self, user: &User, room: &Room) -> Option<Role> {
        match user.is_admin {
            true => Some(Role::Owner),
            false => room.state.role(&user.who.person),
        }
    }

    pub(super) fn tell(&mut self, to: Audience, event: Event) {
        self.out.push(Effect { to, event });
    }

    /// All sessions of somebody.
    pub(super) fn sessions_of(&self, person: &Person) -> Vec<SessionId> {
        self.users
            .get(person)
            .map(|user| user.sessions.clone())
            .unwrap_or_default()
    }
}

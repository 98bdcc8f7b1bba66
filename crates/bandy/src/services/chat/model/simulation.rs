//! Many people, many commands, from a seed: after each the world is consistent, and whoever listens can tell from what
//! they heard who is where.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A world with the logs that it stands on, as a hub and a store would have them.
struct Play {
    world: World,
    logs: BTreeMap<RoomName, Vec<Entry>>,
    sessions: Vec<SessionId>,
    /// What each session heard of each room, in order.
    heard: BTreeMap<(SessionId, RoomName), Vec<u64>>,
    now: Millis,
}

impl Play {
    fn new() -> Play {
        let rules = Rules {
            rooms: 4,
            joined: 3,
            ..Rules::default()
        };
        Play {
            world: World::new(rules, 1),
            logs: BTreeMap::new(),
            sessions: Vec::new(),
            heard: BTreeMap::new(),
            now: 1_000_000,
        }
    }

    fn open(&mut self, account: Option<&str>) {
        let nick = self.world.free_nick("guest");
        let arrival = Arrival {
            nick,
            account: account.map(str::to_owned),
            ..Arrival::default()
        };
        if let Ok(opened) = self.world.open(self.now, arrival) {
            self.sessions.push(opened.session);
        }
        self.hear();
    }

    /// Does a command to its end, as a hub does.
    fn ask(&mut self, session: SessionId, command: &Command) -> Result<Answer, Refused> {
        for _ in 0..3 {
            let known = Known {
                entry: self.entry_of(session, command),
                is_account: false,
            };
            if let Some(room) = self.world.room_of(session, command, &known)
                && !self.world.is_loaded(&room)
            {
                let (mut state, mut nonces) = (RoomState::new(7), Nonces::default());
                for (seq, entry) in (1..).zip(self.logs.get(&room).into_iter().flatten()) {
                    state.fold(seq, entry);
                    if let Some(nonce) = &entry.nonce {
                        nonces.note(&entry.by.person, nonce, seq);
                    }
                }
                self.world.load(room, state, nonces);
            }
            let step = self.world.apply(self.now, session, command.clone(), &known);
            self.hear();
            match step? {
                Step::Done(answer) => return Ok(answer),
                Step::Append(append) => return Ok(self.append(append)),
                Step::First(append) => drop(self.append(append)),
                Step::Wait(_) => unreachable!("one thing is done at a time here"),
            }
        }
        unreachable!("a room that was made is there")
    }

    fn entry_of(&self, session: SessionId, command: &Command) -> Option<Entry> {
        let (Command::Edit { at, seq, .. } | Command::Delete { at, seq }) = command else {
            return None;
        };
        let room = self.world.may_read(session, at, &Known::default()).ok()?;
        let at = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.logs.get(&room)?.get(at).cloned()
    }

    fn append(&mut self, append: Append) -> Answer {
        let log = self.logs.entry(append.room.clone()).or_default();
        let mut seq = 0;
        for entry in append.entries {
            log.push(entry.clone());
            seq = log.len() as u64;
            self.world.logged(&append.room, seq, entry);
            for effect in self.world.effects() {
                note(&self.world, &mut self.heard, &effect);
            }
        }
        Answer::Logged(Id {
            room: append.room,
            epoch: 7,
            seq,
        })
    }

    fn hear(&mut self) {
        for effect in self.world.effects() {
            note(&self.world, &mut self.heard, &effect);
        }
    }

    /// What holds at any time.
    fn check(&self) {
        let mut nicks = BTreeSet::new();
        for (person, user) in &self.world.users {
            assert!(
                nicks.insert(name::fold(&user.who.nick)),
                "one nick, one person"
            );
            assert_eq!(
                self.world.nicks.get(&name::fold(&user.who.nick)),
                Some(person)
            );
            assert!(!user.sessions.is_empty(), "whoever is here has a session");
            assert!(user.rooms.len() <= self.world.rules.joined);
            for room in &user.rooms {
                assert!(
                    self.world.rooms[room].members.contains(person),
                    "both know of it"
                );
            }
        }
        assert_eq!(self.world.nicks.len(), self.world.users.len());
        assert!(self.world.listed.len() <= self.world.rules.rooms);
        for (name, room) in &self.world.rooms {
            for member in &room.members {
                assert!(
                    self.world.users[member].rooms.contains(name),
                    "both know of it"
                );
            }
            let followers: BTreeSet<_> = room.followers.iter().collect();
            assert_eq!(followers.len(), room.followers.len(), "each follows once");
            for follower in followers {
                let session = &self.world.sessions[follower];
                assert!(session.follows.contains(name));
                assert!(
                    room.members.contains(&session.person),
                    "only members follow"
                );
            }
            // What is known of a room is what its log folds to.
            let mut folded = RoomState::new(7);
            for (seq, entry) in (1..).zip(self.logs.get(name).into_iter().flatten()) {
                folded.fold(seq, entry);
            }
            assert_eq!(folded, room.state);
        }
        for ((_, room), seqs) in &self.heard {
            assert!(
                seqs.windows(2).all(|pair| pair[0] < pair[1]),
                "in order, each once: {room}"
            );
        }
    }
}

fn note(world: &World, heard: &mut BTreeMap<(SessionId, RoomName), Vec<u64>>, effect: &Effect) {
    let Event::Logged { id, .. } = &effect.event else {
        return;
    };
    let to = match &effect.to {
        Audience::Room(room) => world.followers(room).to_vec(),
        Audience::Sessions(sessions) => sessions.clone(),
    };
    for session in to {
        heard
            .entry((session, id.room.clone()))
            .or_default()
            .push(id.seq);
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let room = || {
        prop::sample::select(vec!["a", "b", "c", "d", "e"])
            .prop_map(|r| RoomName::parse(r).expect("a name"))
    };
    let nick = || {
        prop::sample::select(vec![
            "ada", "bob", "guest-1", "guest-2", "x", "guest", "a\r\nb",
        ])
        .prop_map(str::to_owned)
    };
    let target = prop_oneof![room().prop_map(Target::Room), nick().prop_map(Target::Nick)].boxed();
    let text = prop_oneof![Just("hi".to_owned()), any::<String>()].boxed();
    let nonce = prop::option::of(
        prop::sample::select(vec!["n1", "n2", "a-nonce-of-some-length"]).prop_map(str::to_owned),
    );
    let role = prop::option::of(prop::sample::select(vec![
        Role::Voice,
        Role::Moderator,
        Role::Owner,
    ]));
    prop_oneof![
        5 => (room(), prop::option::of(Just("pw".to_owned()))).prop_map(|(room, password)| Command::Join { room, password }),
        2 => (room(), text.clone()).prop_map(|(room, reason)| Command::Part { room, reason }),
        5 => (target.clone(), text.clone(), nonce).prop_map(|(to, text, nonce)| Command::Say { to, text, manner: Manner::Message, nonce, reply: None }),
        2 => (target.clone(), 1u64..5, text.clone()).prop_map(|(at, seq, text)| Command::Edit { at, seq, text }),
        2 => (target.clone(), 1u64..5).prop_map(|(at, seq)| Command::Delete { at, seq }),
        2 => nick().prop_map(Command::Nick),
        1 => prop::option::of(text.clone()).prop_map(Command::Away),
        1 => (room(), text.clone()).prop_map(|(room, text)| Command::Topic { room, text }),
        2 => (room(), nick(), text.clone()).prop_map(|(room, nick, reason)| Command::Kick { room, nick, reason }),
        2 => (room(), nick(), text).prop_map(|(room, nick, reason)| Command::Ban { room, who: Whom::Nick(nick), length: None, reason }),
        1 => (room(), nick()).prop_map(|(room, nick)| Command::Unban { room, who: Whom::Nick(nick) }),
        1 => (room(), nick()).prop_map(|(room, nick)| Command::Mute { room, who: Whom::Nick(nick), length: None }),
        1 => (room(), nick()).prop_map(|(room, nick)| Command::Invite { room, nick }),
        1 => (room(), nick(), role).prop_map(|(room, nick, role)| Command::Role { room, nick, role }),
        1 => (room(), any::<bool>()).prop_map(|(room, is)| Command::Set { room, setting: Setting::Moderated(is) }),
        1 => (room(), any::<bool>()).prop_map(|(room, is)| Command::Set { room, setting: Setting::InviteOnly(is) }),
        1 => (target, any::<bool>()).prop_map(|(to, active)| Command::Typing { to, active }),
        1 => room().prop_map(Command::Look),
        1 => nick().prop_map(Command::Whois),
        1 => Just(Command::Rooms),
    ]
}

#[derive(Debug, Clone)]
enum Move {
    Open(Option<&'static str>),
    Close(usize),
    Ask(usize, Command),
    Unload(usize),
    Wait(Millis),
}

fn any_move() -> impl Strategy<Value = Move> {
    let account = prop::option::of(prop::sample::select(vec!["ada", "bob"]));
    prop_oneof![
        3 => account.prop_map(Move::Open),
        1 => (0usize..8).prop_map(Move::Close),
        20 => (0usize..8, any_command()).prop_map(|(who, command)| Move::Ask(who, command)),
        1 => (0usize..5).prop_map(Move::Unload),
        1 => (0u64..100_000).prop_map(Move::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_done_the_world_is_consistent(moves in prop::collection::vec(any_move(), 1..120)) {
        let mut play = Play::new();
        play.open(None);
        for one in moves {
            match one {
                Move::Open(account) => play.open(account),
                Move::Close(n) if n < play.sessions.len() => {
                    let session = play.sessions.remove(n);
                    play.world.close(session, "bye");
                    play.hear();
                }
                Move::Ask(n, command) => {
                    if let Some(session) = play.sessions.get(n).copied() {
                        let _ = play.ask(session, &command);
                    }
                }
                Move::Unload(n) => {
                    let rooms: Vec<_> = play.world.rooms.keys().cloned().collect();
                    if let Some(room) = rooms.get(n) {
                        play.world.unload(room);
                    }
                }
                Move::Wait(millis) => play.now += millis,
                Move::Close(_) => {}
            }
            play.check();
        }
        // Nothing in any log would move a cursor.
        for entry in play.logs.values().flatten() {
            if let What::Said { text, .. } | What::Edited { text, .. } = &entry.what {
                prop_assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
            }
            if let What::Topic { text } | What::Kicked { reason: text, .. } = &entry.what {
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

fn say(text: &str, nonce: Option<&str>) -> Command {
    Command::Say {
        to: Target::Room(room("a")),
        text: text.to_owned(),
        manner: Manner::Message,
        nonce: nonce.map(str::to_owned),
        reply: None,
    }
}

fn join(name: &str) -> Command {
    Command::Join {
        room: room(name),
        password: None,
    }
}

#[test]
fn the_same_nonce_is_appended_once() {
    let mut play = Play::new();
    play.open(Some("ada"));
    let ada = play.sessions[0];
    play.ask(ada, &join("a")).expect("may join");
    let first = play.ask(ada, &say("hi", Some("n1")));
    assert_eq!(play.ask(ada, &say("hi", Some("n1"))), first);
    assert_eq!(
        play.logs[&room("a")].len(),
        2,
        "the room's beginning, and one message"
    );
}

#[test]
fn a_moderator_keeps_somebody_out_and_silent_and_nobody_else_does() {
    let mut play = Play::new();
    play.open(Some("ada"));
    play.open(None);
    let (ada, eve) = (play.sessions[0], play.sessions[1]);
    let nick = play.world.who(eve).expect("is here").nick;
    play.ask(ada, &join("a")).expect("may join");
    play.ask(eve, &join("a")).expect("may join");
    let kick = |nick: &str| Command::Kick {
        room: room("a"),
        nick: nick.to_owned(),
        reason: String::new(),
    };
    let refused = play.ask(eve, &kick("ada")).expect_err("she may not");
    assert_eq!(refused.code(), "not_allowed");
    let whom = || Whom::Nick(nick.clone());
    play.ask(
        ada,
        &Command::Mute {
            room: room("a"),
            who: whom(),
            length: None,
        },
    )
    .expect("may");
    assert_eq!(
        play.ask(eve, &say("hi", None)).expect_err("muted").code(),
        "muted"
    );
    play.ask(
        ada,
        &Command::Unmute {
            room: room("a"),
            who: whom(),
        },
    )
    .expect("may");
    play.ask(eve, &say("hi", None)).expect("may speak again");
    let length = Some(std::time::Duration::from_secs(60));
    play.ask(
        ada,
        &Command::Ban {
            room: room("a"),
            who: whom(),
            length,
            reason: "rude".to_owned(),
        },
    )
    .expect("may");
    assert_eq!(
        play.ask(eve, &say("hi", None))
            .expect_err("was put out")
            .code(),
        "not_member"
    );
    assert_eq!(
        play.ask(eve, &join("a")).expect_err("is banned").code(),
        "banned"
    );
    play.now += 61_000;
    play.ask(eve, &join("a")).expect("the ban is over");
}

#[test]
fn only_its_author_changes_what_was_said_and_moderators_take_it_back() {
    let mut play = Play::new();
    play.open(Some("ada"));
    play.open(Some("bob"));
    let (ada, bob) = (play.sessions[0], play.sessions[1]);
    play.ask(ada, &join("a")).expect("may join");
    play.ask(bob, &join("a")).expect("may join");
    play.ask(ada, &say("by ada", None)).expect("may");
    play.ask(bob, &say("by bob", None)).expect("may");
    let at = || Target::Room(room("a"));
    let edit = |seq| Command::Edit {
        at: at(),
        seq,
        text: "new".to_owned(),
    };
    assert_eq!(
        play.ask(ada, &edit(3)).expect_err("not hers").code(),
        "not_yours"
    );
    assert_eq!(
        play.ask(bob, &Command::Delete { at: at(), seq: 2 })
            .expect_err("not his")
            .code(),
        "not_yours"
    );
    play.ask(bob, &edit(3)).expect("his");
    play.ask(ada, &Command::Delete { at: at(), seq: 3 })
        .expect("she owns the room");
    assert_eq!(
        play.ask(ada, &edit(1))
            .expect_err("nothing was said there")
            .code(),
        "no_such_entry"
    );
}

//! A chat under load: on the real one, and on servers that lose, swap and repeat what they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bandy::accounts::{Accounts, Options as AccountOptions};
use bandy::endpoint::Scheme;
use bandy::load::chat::{Chat, Room};
use bandy::load::tally::Cause;
use bandy::load::{Expect, Outcome, Plan, Work};
use bandy::net::Message;
use bandy::server::Running;
use bandy::services::chat::Options;
use bandy::services::{Needs, Spec, build};
use bandy::{Conn, Server, service_fn, state};
use bandy_testkit::Stage;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{of, open, plan, run};

fn at(running: &Running, scheme: Scheme) -> bandy::Endpoint {
    let mut endpoints = running.endpoints().iter();
    let found = endpoints.find(|endpoint| endpoint.scheme() == scheme);
    found.expect("it listens there").clone()
}

/// So many members, who say so much altogether, in a hurry.
fn chat(stage: &Stage, to: &bandy::Endpoint, members: usize, messages: u64) -> Plan {
    Plan {
        work: Work::Chat(Room {
            name: "load".to_owned(),
            size: 128,
        }),
        pace: open(500.0),
        stop: of(messages),
        dialer: stage.dialer(),
        ..plan(to, members)
    }
}

fn told(outcome: &Outcome) -> &Chat {
    let chat = outcome.chat.as_ref().expect("a chat");
    assert!(chat.messages.reconcile(), "{:?}", chat.messages);
    chat
}

#[test]
fn everybody_hears_everything() {
    let stage = Stage::new();
    let mut options = Options::default();
    // Nobody waits for the pace of people.
    options.rules.rate = None;
    let store = state::open("memory:").expect("a store");
    let accounts = Accounts::open(store.clone(), AccountOptions::default());
    let needs = Needs {
        store: Some(store),
        accounts: Some(accounts.expect("accounts")),
        ..Needs::default()
    };
    let service = build(&Spec::Chat(options).into(), &needs).expect("a service");
    let server = Server::new(service.service()).named("chat", "chat");
    let running = stage.start(server, &[Scheme::Ws, Scheme::Wss]);
    for scheme in [Scheme::Ws, Scheme::Wss] {
        let outcome = run(chat(&stage, &at(&running, scheme), 9, 60));
        let requests = outcome.requests();
        assert_eq!(
            (requests.scheduled, requests.done),
            (9 * 60, 9 * 60),
            "{:?}",
            outcome.tally
        );
        let chat = told(&outcome);
        assert_eq!((chat.joined, chat.messages.done), (9, 60));
        assert_eq!(chat.answered.len(), 60);
        assert_eq!(
            (
                chat.missed,
                chat.duplicates,
                chat.misordered,
                &chat.faulty[..]
            ),
            (0, 0, 0, &[][..])
        );
        let handshakes = if scheme.is_secure() { 9 } else { 0 };
        assert_eq!(outcome.tally.handshakes, handshakes);
        let expect: Expect = "misordered<1".parse().expect("a threshold");
        assert!(expect.check(&outcome).is_met);
    }
}

/// What a server of this test does to a member's deliveries: what comes of one, and of what was held before.
type Fault = fn(member: usize, seq: u64, told: Value, held: &mut Vec<Value>) -> Vec<Value>;

/// Everybody who is in the room.
type Members = Arc<Mutex<Hall>>;

#[derive(Default)]
struct Hall {
    /// The last entry of the log.
    last: u64,
    /// How many have come in.
    came: usize,
    members: Vec<UnboundedSender<(u64, Value)>>,
}

/// A server that speaks the chat's JSON, has one room and does this to what its members hear.
fn faulty(stage: &Stage, fault: Fault) -> Running {
    let members: Members = Members::default();
    let server = Server::new(service_fn(move |conn: Conn| {
        let members = members.clone();
        async move {
            attend(conn, members, fault).await;
            Ok(())
        }
    }));
    stage.start(server, &[Scheme::Ws])
}

async fn attend(mut conn: Conn, members: Members, fault: Fault) {
    let (tell, mut told) = unbounded_channel();
    let (mut me, mut held) = (0, Vec::new());
    loop {
        let out = tokio::select! {
            heard = conn.recv() => {
                let Ok(Some(message)) = heard else { return };
                let ask: Value = serde_json::from_slice(&message.data).expect("JSON");
                let mut room = members.lock().expect("whole");
                let good = match ask["do"].as_str() {
                    Some("enter") => {
                        room.came += 1;
                        me = room.came;
                        json!({"type": "entered", "you": {"nick": format!("m{}", room.came), "id": "g", "guest": true}, "rooms": []})
                    }
                    Some("join") => {
                        room.members.push(tell.clone());
                        json!({"type": "joined", "history": [], "lost": false, "more": false, "room": {
                            "name": "load", "from": {"epoch": 1, "seq": room.last}, "topic": null, "members": [], "role": null, "member": true,
                            "invite_only": false, "password": false, "moderated": false, "topic_locked": false, "hidden": false,
                            "limit": null, "created": 0,
                        }})
                    }
                    _ => {
                        room.last += 1;
                        let seq = room.last;
                        let entry = json!({"room": "load", "epoch": 1, "seq": seq, "time": 0, "event": "message", "text": ask["text"], "manner": "message"});
                        for member in &room.members {
                            let _ = member.send((seq, entry.clone()));
                        }
                        json!({"type": "logged", "room": "load", "epoch": 1, "seq": seq})
                    }
                };
                vec![json!({"re": ask["ref"], "ok": good})]
            }
            Some((seq, entry)) = told.recv() => fault(me, seq, entry, &mut held),
        };
        for one in out {
            if conn.send(Message::text(one.to_string())).await.is_err() {
                return;
            }
        }
    }
}

#[test]
fn who_missed_something_is_known() {
    let stage = Stage::new();
    let running = faulty(&stage, |member, seq, told, _| {
        // The third member misses every tenth message, also the last one.
        match member == 3 && seq % 10 == 0 {
            true => vec![],
            false => vec![told],
        }
    });
    let outcome = run(Plan {
        timeout: Duration::from_millis(700),
        ..chat(&stage, &at(&running, Scheme::Ws), 5, 50)
    });
    let (requests, chat) = (outcome.requests(), told(&outcome));
    assert_eq!(
        (requests.scheduled, requests.done, requests.timed_out),
        (250, 245, 5),
        "{:?}",
        outcome.tally
    );
    assert_eq!(outcome.tally.of(Cause::Timeout), 5);
    assert_eq!((chat.missed, chat.duplicates, chat.misordered), (5, 0, 0));
    assert_eq!(chat.faulty.len(), 1);
    assert_eq!(
        (chat.faulty[0].nick.as_str(), chat.faulty[0].missed),
        ("m3", 5)
    );
    // What was waited for in vain is in no rate.
    assert!(
        outcome.elapsed < Duration::from_millis(600),
        "{:?}",
        outcome.elapsed
    );
}

#[test]
fn who_heard_something_twice_or_out_of_order_is_known() {
    let stage = Stage::new();
    let running = faulty(&stage, |member, seq, told, held| match member {
        // One hears each fifth before the fourth, one each tenth again.
        2 if seq % 5 == 4 => {
            held.push(told);
            vec![]
        }
        2 => [vec![told], std::mem::take(held)].concat(),
        4 if seq % 10 == 0 => vec![told.clone(), told],
        _ => vec![told],
    });
    let outcome = run(chat(&stage, &at(&running, Scheme::Ws), 4, 50));
    let chat = told(&outcome);
    assert_eq!(outcome.requests().done, 200, "{:?}", outcome.tally);
    assert_eq!((chat.missed, chat.duplicates, chat.misordered), (0, 5, 10));
    let names: Vec<&str> = chat.faulty.iter().map(|one| one.nick.as_str()).collect();
    assert_eq!(names, ["m2", "m4"]);
    let expect: Expect = "misordered<1".parse().expect("a threshold");
    assert!(!expect.check(&outcome).is_met);
}

#[test]
fn another_order_for_one_of_them_is_one_too_many() {
    let stage = Stage::new();
    // Each is told gapless numbers, but one has two messages the other way round.
    let running = faulty(&stage, |member, seq, mut told, held| {
        if member != 1 || !(5..7).contains(&seq) {
            return vec![told];
        }
        match held.pop() {
            None => {
                held.push(told);
                vec![]
            }
            Some(mut first) => {
                told["seq"] = json!(5);
                first["seq"] = json!(6);
                vec![told, first]
            }
        }
    });
    let outcome = run(chat(&stage, &at(&running, Scheme::Ws), 3, 20));
    let chat = told(&outcome);
    assert_eq!(outcome.requests().done, 60, "{:?}", outcome.tally);
    assert!(chat.misordered >= 2 && chat.missed == 0, "{chat:?}");
}

#[test]
fn a_slow_one_is_slow_from_when_it_was_due() {
    let stage = Stage::new();
    // Nobody hears anything before the twentieth is there.
    let running = faulty(&stage, |_, seq, told, held| {
        held.push(told);
        match seq >= 20 {
            true => std::mem::take(held),
            false => vec![],
        }
    });
    let outcome = run(Plan {
        pace: open(50.0),
        ..chat(&stage, &at(&running, Scheme::Ws), 3, 20)
    });
    assert_eq!(outcome.requests().done, 60, "{:?}", outcome.tally);
    // The first was due 380 ms before the last, the middle one 190 ms.
    let at = |quantile| Duration::from_nanos(outcome.latency.value_at_quantile(quantile));
    assert!(at(1.0) >= Duration::from_millis(375), "{:?}", at(1.0));
    assert!(at(0.5) >= Duration::from_millis(170), "{:?}", at(0.5));
    let own = outcome
        .open
        .as_ref()
        .expect("an open model")
        .own_lag
        .value_at_quantile(0.5);
    assert!(own < 100_000_000, "the generator's own lag is {own} ns");
}

/// A member who is thrown out has not missed anything in silence.
#[test]
fn who_is_thrown_out_is_told_with_the_reason() {
    let stage = Stage::new();
    let running = faulty(&stage, |member, seq, told, _| {
        match member == 2 && seq > 10 {
            // What is no JSON of the chat's ends the conversation.
            true => vec![json!("no more of you")],
            false => vec![told],
        }
    });
    let outcome = run(chat(&stage, &at(&running, Scheme::Ws), 4, 40));
    let (requests, chat) = (outcome.requests(), told(&outcome));
    assert!(requests.failed >= 30, "{:?}", outcome.tally);
    assert_eq!(chat.missed, 0, "{chat:?}");
    assert_eq!(chat.faulty_members, 1);
    let gone = chat.faulty[0].gone.as_deref();
    assert!(
        gone.is_some_and(|why| why.contains("no chat of bandy's")),
        "{gone:?}"
    );
}

//! A slow reader among a thousand: they hear everything, in order; the slow one is cut, is told to resume, and misses nothing.
//!
//! The thousand are sessions of the hub, each with a task of its own; the slow one comes over a WebSocket, so that what is
//! full is a socket.

use std::sync::Arc;

use bandy::accounts::{Accounts, Options as AccountOptions};
use bandy::endpoint::Scheme;
use bandy::server::Server;
use bandy::services::chat::model::{
    Answer, Arrival, Event, Manner, Range, RoomName, RoomView, Target, What,
};
use bandy::services::chat::{Command, Hub, Hubs, Session};
use bandy::services::{Needs, Spec, build};
use bandy::state;
use bandy_testkit::{Stage, within};
use serde_json::{Value, json};

use super::{Program, quick};

const MEMBERS: usize = 1_000;
/// Events that may wait for one session.
const OUTBOX: usize = 50;
/// More than all buffers on the way to the slow one hold.
const MESSAGES: u64 = 2_000;
const TEXT: usize = 32 << 10;

#[tokio::test]
async fn a_slow_reader_among_a_thousand_is_cut_and_resumes_without_a_gap() {
    let mut options = quick();
    options.outbox = OUTBOX;
    options.rules.text_bytes = TEXT + 100;
    // A thousand comings are not what this is about.
    options.rules.presence = 10;
    let store = state::open("memory:").expect("a store");
    let accounts = Accounts::open(store.clone(), AccountOptions::default()).expect("accounts");
    let chats = Hubs::default();
    let hub = chats.hub(&options, &store, &accounts).expect("a hub");
    let needs = Needs {
        store: Some(store),
        accounts: Some(accounts),
        chats,
        ..Needs::default()
    };
    let service = build(&Spec::Chat(options).into(), &needs).expect("a service");
    let stage = Stage::new();
    let running = stage.start(Server::new(service.service()), &[Scheme::Ws]);

    let mut slow = Program {
        conn: stage.connect(&running.endpoints()[0]).await,
        count: 0,
        events: Vec::new(),
    };
    slow.next().await;
    slow.ok(json!({"do": "enter", "nick": "slow"})).await;
    slow.ok(json!({"do": "join", "room": "lobby"})).await;
    let mut listening = Vec::new();
    for n in 0..MEMBERS {
        let (session, view) = join(&hub, &format!("m{n}")).await;
        listening.push(tokio::spawn(listen(session, view.from.seq)));
    }

    // The slow one reads nothing from here on.
    let (bob, view) = join(&hub, "bob").await;
    let begin = view.from.seq;
    let listening_bob = tokio::spawn(listen(bob, begin));
    let (speaker, _) = join(&hub, "speaker").await;
    let speaker = Arc::new(speaker);
    let drain = tokio::spawn(drain(speaker.clone()));
    let mut said = 0;
    while is_here(&speaker, "slow").await {
        assert!(said < MESSAGES, "the slow one is never cut");
        for _ in 0..20 {
            said += 1;
            say(&speaker, &format!("{said} {}", "x".repeat(TEXT))).await;
        }
    }
    for _ in 0..20 {
        said += 1;
        say(&speaker, &format!("{said} after the cut")).await;
    }
    say(&speaker, "the end").await;

    let heard = within("the thousand", async {
        let mut heard = Vec::new();
        for member in listening {
            heard.push(member.await.expect("hears all of it"));
        }
        heard
    });
    assert!(heard.await.iter().all(|count| *count == said));
    assert_eq!(listening_bob.await.expect("hears all of it"), said);
    drain.abort();

    // It reads what was on its way, and then why it ended.
    let (mut conn, mut last) = (slow.conn.into_conn(), begin);
    while let Ok(Some(message)) = conn.recv().await {
        let event: Value = serde_json::from_slice(&message.data).expect("JSON");
        if event["event"] == "message" {
            assert_eq!(event["seq"], last + 1);
            last += 1;
        }
    }
    assert_eq!(
        conn.close_code(),
        Some(4001),
        "told to come back and resume"
    );
    assert!(last < begin + said, "it has missed something");
    // What had been told to the room and not to it is exactly what it asks for when it is back.
    let (back, view) = join(&hub, "slow").await;
    while last < view.from.seq {
        let command = Command::History {
            of: Target::Room(lobby()),
            range: Range::Between(last, view.from.seq + 1),
            limit: 1_000,
        };
        let Ok(Answer::History(missed)) = back.command(command).await.expect("a store") else {
            panic!("no history");
        };
        assert!(!missed.is_lost && !missed.entries.is_empty());
        for (seq, entry) in &missed.entries {
            assert_eq!(*seq, last + 1);
            last += 1;
            if let Some(number) = number(&entry.what) {
                assert_eq!(number, seq - begin);
            }
        }
    }
}

fn lobby() -> RoomName {
    RoomName::parse("lobby").expect("a name")
}

async fn join(hub: &Hub, nick: &str) -> (Session, Box<RoomView>) {
    let arrival = Arrival {
        nick: nick.to_owned(),
        ..Arrival::default()
    };
    let session = hub.open(arrival).await.expect("a store").expect("a nick");
    let join = Command::Join {
        room: lobby(),
        password: None,
    };
    match session.command(join).await.expect("a store") {
        Ok(Answer::Joined(view)) => (session, view),
        other => panic!("{other:?}"),
    }
}

/// Hears what is said behind an entry, each place once and in order, until the end: how much it was.
async fn listen(session: Session, mut seq: u64) -> u64 {
    let mut count = 0;
    loop {
        let told = session.next().await.expect("it is not cut");
        let Event::Logged { id, entry } = &told.event else {
            continue;
        };
        seq += 1;
        assert_eq!(id.seq, seq);
        match number(&entry.what) {
            Some(number) => {
                count += 1;
                assert_eq!(number, count);
            }
            None => return count,
        }
    }
}

/// Who speaks need not hear it.
async fn drain(session: Arc<Session>) {
    while session.next().await.is_ok() {}
}

/// The number that a text begins with.
fn number(what: &What) -> Option<u64> {
    let What::Said { text, .. } = what else {
        return None;
    };
    text.split(' ').next()?.parse().ok()
}

async fn say(session: &Session, text: &str) {
    let say = Command::Say {
        to: Target::Room(lobby()),
        text: text.to_owned(),
        manner: Manner::Message,
        nonce: None,
        reply: None,
    };
    session.command(say).await.expect("a store").expect("said");
}

async fn is_here(session: &Session, nick: &str) -> bool {
    let whois = Command::Whois(nick.to_owned());
    session.command(whois).await.expect("a store").is_ok()
}

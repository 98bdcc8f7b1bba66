//! Guests who come back are the same ones, and their conversations of two go on where they were.

use bandy::client::chat::{Chat as ChatClient, Heard};
use bandy::endpoint::Scheme;
use bandy::net::Dialer;
use bandy::services::chat::json::wire::{Is, To};
use bandy_testkit::within;
use serde_json::{Value, json};

use super::coming_back::{cutting, options, said};
use super::{Chat, Program, quick};

/// Comes in with what the server gave a guest before.
async fn again(chat: &Chat, token: &Value, nick: &str) -> (Program, Value) {
    let mut program = chat.program().await;
    let entered = program
        .ok(json!({"do": "enter", "nick": nick, "guest": token}))
        .await;
    (program, entered)
}

#[tokio::test]
async fn a_guest_who_comes_back_is_the_same_one() {
    let chat = Chat::start(quick());
    let mut ada = chat.program().await;
    let entered = ada.ok(json!({"do": "enter", "nick": "ada"})).await;
    ada.ok(json!({"do": "join", "room": "dev"})).await;
    let mut bob = chat.guest("bob").await;
    let said = json!({"do": "say", "nick": "bob", "text": "hi", "nonce": "n"});
    let first = ada.ok(said.clone()).await;

    // Beside the connection that is not noticed to be broken yet, under the same name.
    let (mut beside, same) = again(&chat, &entered["guest"], "ada").await;
    assert_eq!(same["you"], entered["you"]);
    assert_eq!(same["rooms"], json!(["dev"]));
    assert_eq!(beside.ok(said).await, first, "sent again, said once");
    drop((ada, beside));
    bob.ok(json!({"do": "join", "room": "dev"})).await;

    // After it, and after somebody else has taken the name.
    let mut eve = chat.guest("eve").await;
    within("the name to be free", async {
        while eve.ask(json!({"do": "nick", "nick": "ada"})).await["ok"].is_null() {}
    })
    .await;
    let (mut back, same) = again(&chat, &entered["guest"], "ada").await;
    assert_eq!(same["you"]["id"], entered["you"]["id"]);
    assert_ne!(same["you"]["nick"], "ada");
    let joined = back.ok(json!({"do": "join", "room": "dev"})).await;
    assert_eq!(joined["room"]["role"], "owner", "the room is theirs still");
    let unread = back.ok(json!({"do": "unread"})).await;
    let line = &unread["rooms"][0];
    assert_eq!((&line["nick"], &line["last"]), (&json!("bob"), &json!(1)));
    let history = json!({"do": "history", "room": line["room"], "after": 0});
    let history = back.ok(history).await;
    assert_eq!(history["entries"][0]["text"], "hi");
}

#[tokio::test]
async fn nobody_is_a_guest_by_a_token_that_is_not_theirs_and_nobody_reads_along() {
    let chat = Chat::start(quick());
    let mut ada = chat.program().await;
    let entered = ada.ok(json!({"do": "enter", "nick": "ada"})).await;
    let mut bob = chat.guest("bob").await;
    bob.ok(json!({"do": "say", "nick": "ada", "text": "between us"}))
        .await;
    let log = bob.hears("message").await["room"].clone();
    let token = entered["guest"].as_str().expect("a token");
    let last = if token.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &token[..token.len() - 1]);
    for wrong in [forged.as_str(), "", "~1.1.00", "ada", "\r\n"] {
        let (mut eve, entered_as) = again(&chat, &json!(wrong), "ada").await;
        assert_ne!(entered_as["you"]["id"], entered["you"]["id"], "{wrong:?}");
        for ask in [
            json!({"do": "history", "room": log}),
            json!({"do": "search", "room": log, "words": "us"}),
            json!({"do": "read", "room": log, "seq": 1}),
            json!({"do": "say", "room": log, "text": "me too"}),
            json!({"do": "join", "room": log}),
            json!({"do": "look", "room": log}),
        ] {
            let code = eve.refused(ask.clone()).await;
            assert!(
                ["no_such_room", "room_wrong"].contains(&&*code),
                "{ask}: {code}"
            );
        }
    }
    // Nor of conversations that there are not, however many are named.
    for other in ["@ada+bob", "@~1.1+~1.2", "@", "@+", "@a\r\nb+c"] {
        ada.refused(json!({"do": "history", "room": other})).await;
    }
}

#[tokio::test]
async fn what_a_guest_says_to_somebody_over_a_line_that_breaks_is_said_once() {
    const COUNT: usize = 60;
    let chat = Chat::start(quick());
    let mut bob = chat.guest("bob").await;
    for seed in [3, 11] {
        let to = cutting(chat.at(Scheme::Ws), seed).await;
        let nick = format!("ada{seed}");
        let (client, mut heard) = ChatClient::begin(Dialer::plain(), options(to).guest(nick));
        let mut cuts = 0;
        let talking = async {
            for n in 0..COUNT {
                let said = client.say_to(To::nick("bob"), &n.to_string()).await;
                said.expect("said at last");
            }
        };
        let listening = async {
            let mut own = 0;
            while own < COUNT {
                let entry = said(&mut heard, &mut cuts).await;
                own += usize::from(entry.room.starts_with('@'));
            }
        };
        within("all of it", async { tokio::join!(talking, listening) }).await;
        assert!(cuts > 0, "it was cut");
        let mut from = None;
        for n in 0..COUNT {
            let message = bob.hears("message").await;
            assert_eq!(message["text"], n.to_string());
            let id = message["from"]["id"].clone();
            assert_eq!(from.get_or_insert_with(|| id.clone()), &id, "one person");
        }
    }
}

#[tokio::test]
async fn what_is_said_to_somebody_who_is_cut_again_and_again_is_heard_once_and_in_order() {
    const COUNT: u64 = 200;
    let chat = Chat::start(quick());
    chat.register("ada", "correct horse").await;
    for (seed, is_guest) in [(5, true), (9, false)] {
        let to = cutting(chat.at(Scheme::Ws), seed).await;
        let mut options = options(to);
        let nick = if is_guest { "gast" } else { "ada" };
        options = match is_guest {
            true => options.guest(nick),
            false => options.who(bandy::client::chat::Who::User(
                nick.to_owned(),
                bandy::accounts::Secret::new("correct horse"),
            )),
        };
        let (client, mut heard) = ChatClient::begin(Dialer::plain(), options);
        let mut bob = chat.guest(&format!("bob{seed}")).await;
        // Not before they are in for the first time.
        client.say("lobby", "here").await.expect("said");
        let mut cuts = 0;
        let talking = async {
            for n in 0..COUNT {
                // A guest who is away for a moment cannot be spoken to.
                loop {
                    let text = n.to_string();
                    let say = json!({"do": "say", "nick": nick, "text": text});
                    let answer = bob.ask(say).await;
                    if answer["ok"].is_object() {
                        break;
                    }
                    assert_eq!(answer["error"]["code"], "no_such_nick");
                }
                bob.events.clear();
            }
        };
        let listening = async {
            let mut next = 0;
            while next < COUNT {
                let entry = said(&mut heard, &mut cuts).await;
                if !entry.room.starts_with('@') {
                    continue;
                }
                next += 1;
                assert_eq!(entry.at.seq, next, "no gap, nothing twice");
                let Is::Message { text, .. } = entry.what else {
                    panic!("{entry:?}");
                };
                assert_eq!(text, (next - 1).to_string());
            }
        };
        within("all of it", async { tokio::join!(talking, listening) }).await;
        assert!(cuts > 3, "it was cut {cuts} times");
        // What was heard before is not heard again by who comes anew.
        let (_late, mut late) = ChatClient::begin(Dialer::plain(), {
            let mut late = super::coming_back::options(chat.at(Scheme::Ws));
            late.who = bandy::client::chat::Who::User(
                "ada".to_owned(),
                bandy::accounts::Secret::new("correct horse"),
            );
            late
        });
        bob.ok(json!({"do": "say", "room": "lobby", "text": "end"}))
            .await;
        loop {
            match within("the end", late.recv()).await.expect("it goes on") {
                Heard::Happening(bandy::services::chat::json::wire::Happening::Logged(entry)) => {
                    assert!(!entry.room.starts_with('@'), "{entry:?}");
                    if matches!(entry.what, Is::Message { ref text, .. } if text == "end") {
                        break;
                    }
                }
                Heard::Over(why) => panic!("{why}"),
                _ => {}
            }
        }
    }
}

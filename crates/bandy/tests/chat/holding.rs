//! What a moderator is told to be done holds: nothing that comes after the acknowledgement is taken as if it did not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::store::Fickle;
use super::{Chat, Program, quick};

/// Long enough for somebody to say something before a room's tail has read what was changed.
const READING: Duration = Duration::from_millis(20);

/// Ada, whose room it is, and bob, on a store that gives back late what was written to it.
async fn two() -> (Chat, Program, Program) {
    let chat = Chat::on(quick(), Arc::new(Fickle::slow(READING)));
    let (mut ada, mut bob) = (chat.guest("ada").await, chat.guest("bob").await);
    ada.ok(json!({"do": "join", "room": "dev"})).await;
    bob.ok(json!({"do": "join", "room": "dev"})).await;
    (chat, ada, bob)
}

fn hello() -> Value {
    json!({"do": "say", "room": "dev", "text": "hello"})
}

#[tokio::test]
async fn whoever_is_muted_is_silent_from_the_acknowledgement_on() {
    let (_chat, mut ada, mut bob) = two().await;
    for _ in 0..3 {
        ada.ok(json!({"do": "mute", "room": "dev", "nick": "bob"}))
            .await;
        assert_eq!(bob.refused(hello()).await, "muted");
        ada.ok(json!({"do": "unmute", "room": "dev", "nick": "bob"}))
            .await;
        bob.ok(hello()).await;
    }
}

#[tokio::test]
async fn whoever_is_put_out_is_out() {
    let (_chat, mut ada, mut bob) = two().await;
    ada.ok(json!({"do": "kick", "room": "dev", "nick": "bob"}))
        .await;
    assert_eq!(bob.refused(hello()).await, "not_member");
    bob.ok(json!({"do": "join", "room": "dev"})).await;
    ada.ok(json!({"do": "ban", "room": "dev", "nick": "bob"}))
        .await;
    assert_eq!(bob.refused(hello()).await, "not_member");
    let join = json!({"do": "join", "room": "dev"});
    assert_eq!(bob.refused(join.clone()).await, "banned");
    ada.ok(json!({"do": "unban", "room": "dev", "nick": "bob"}))
        .await;
    bob.ok(join).await;
}

#[tokio::test]
async fn what_is_set_and_given_holds() {
    let (chat, mut ada, mut bob) = two().await;
    let role = |role: Value| json!({"do": "role", "room": "dev", "nick": "bob", "role": role});
    let topic = json!({"do": "topic", "room": "dev", "text": "about"});
    ada.ok(role("moderator".into())).await;
    bob.ok(topic.clone()).await;
    let look = ada.ok(json!({"do": "look", "room": "dev"})).await;
    assert_eq!(look["room"]["topic"]["text"], "about");
    ada.ok(role(Value::Null)).await;
    assert_eq!(bob.refused(topic).await, "not_allowed");
    ada.ok(json!({"do": "set", "room": "dev", "setting": {"moderated": true}}))
        .await;
    assert_eq!(bob.refused(hello()).await, "moderated");
    let mut eve = chat.guest("eve").await;
    let join = json!({"do": "join", "room": "dev"});
    ada.ok(json!({"do": "set", "room": "dev", "setting": {"password": "sesame"}}))
        .await;
    assert_eq!(eve.refused(join.clone()).await, "wrong_password");
    ada.ok(json!({"do": "invite", "room": "dev", "nick": "eve"}))
        .await;
    eve.ok(join).await;
}

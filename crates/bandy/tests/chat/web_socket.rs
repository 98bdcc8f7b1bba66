//! JSON over WebSocket: what is said is what the schema says.

use std::sync::LazyLock;

use bandy::services::chat::json::SCHEMA;
use serde_json::{Value, json};

use super::{Chat, quick};

static SCHEMA_OF_ALL: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
});

/// Fails where a message is not what the schema says.
#[track_caller]
pub fn check(message: &Value) {
    let wrong: Vec<String> = SCHEMA_OF_ALL
        .iter_errors(message)
        .map(|e| e.to_string())
        .collect();
    assert!(wrong.is_empty(), "{message}\n{wrong:#?}");
}

#[test]
fn the_schema_tells_right_from_wrong() {
    for wrong in [
        json!({}),
        json!({"ref": 1}),
        json!({"ref": 1, "do": "frobnicate"}),
        json!({"ref": 1, "do": "say", "text": "to nobody"}),
        json!({"re": 1, "ok": {"type": "done"}, "error": {"code": "a", "message": "b"}}),
        json!({"event": "message", "text": "from nowhere"}),
    ] {
        assert!(!SCHEMA_OF_ALL.is_valid(&wrong), "{wrong}");
    }
}

#[tokio::test]
async fn everything_that_can_be_asked_is_answered_as_described() {
    let chat = Chat::start(quick());
    chat.register("ada", "correct horse").await;
    let mut ada = chat.program().await;
    assert_eq!(ada.refused(json!({"do": "rooms"})).await, "enter_first");
    let wrong = json!({"do": "enter", "user": "ada", "password": "no"});
    assert_eq!(ada.refused(wrong).await, "wrong_login");
    ada.ok(json!({"do": "enter", "user": "ada", "password": "correct horse"}))
        .await;
    let mut bob = chat.guest("bob").await;

    let joined = ada.ok(json!({"do": "join", "room": "dev"})).await;
    assert_eq!(joined["room"]["role"], "owner");
    bob.ok(json!({"do": "join", "room": "dev"})).await;
    ada.hears("joined").await;
    let said = ada
        .ok(json!({"do": "say", "room": "dev", "text": "hi", "nonce": "n"}))
        .await;
    let again = ada
        .ok(json!({"do": "say", "room": "dev", "text": "hi", "nonce": "n"}))
        .await;
    assert_eq!(said, again, "sent twice, appended once");
    let seq = said["seq"].as_u64().expect("a number");
    bob.hears("message").await;
    ada.ok(json!({"do": "edit", "room": "dev", "seq": seq, "text": "hello"}))
        .await;
    bob.hears("edited").await;
    let history = bob
        .ok(json!({"do": "history", "room": "dev", "limit": 10}))
        .await;
    let first = &history["entries"][1];
    assert_eq!(
        (&first["text"], &first["edited"]),
        (&json!("hello"), &json!(true))
    );
    let found = bob
        .ok(json!({"do": "search", "room": "dev", "words": "HELL"}))
        .await;
    assert_eq!(found["entries"][0]["seq"], seq);
    ada.ok(json!({"do": "delete", "room": "dev", "seq": seq}))
        .await;
    bob.hears("deleted").await;
    let history = bob.ok(json!({"do": "history", "room": "dev"})).await;
    assert!(
        !history["entries"][1].to_string().contains("hello"),
        "what is taken back is told to nobody"
    );

    ada.ok(json!({"do": "typing", "room": "dev", "active": true}))
        .await;
    bob.hears("typing").await;
    ada.ok(json!({"do": "topic", "room": "dev", "text": "about"}))
        .await;
    bob.hears("topic").await;
    ada.ok(json!({"do": "set", "room": "dev", "setting": {"password": "sesame"}}))
        .await;
    let set = bob.hears("set").await;
    assert_eq!(
        set["setting"],
        json!({"password": true}),
        "nobody is told the password"
    );
    ada.ok(json!({"do": "role", "room": "dev", "nick": "bob", "role": "voice"}))
        .await;
    bob.hears("role").await;
    ada.ok(json!({"do": "role", "room": "dev", "nick": "bob", "role": null}))
        .await;
    ada.ok(json!({"do": "mute", "room": "dev", "nick": "bob", "seconds": 60}))
        .await;
    bob.hears("muted").await;
    assert_eq!(
        bob.refused(json!({"do": "say", "room": "dev", "text": "x"}))
            .await,
        "muted"
    );
    ada.ok(json!({"do": "unmute", "room": "dev", "nick": "bob"}))
        .await;
    bob.hears("unmuted").await;
    ada.ok(json!({"do": "kick", "room": "dev", "nick": "bob", "reason": "why"}))
        .await;
    bob.hears("kicked").await;
    assert_eq!(
        bob.refused(json!({"do": "say", "room": "dev", "text": "x"}))
            .await,
        "not_member"
    );
    assert_eq!(
        bob.refused(json!({"do": "join", "room": "dev"})).await,
        "wrong_password"
    );
    ada.ok(json!({"do": "invite", "room": "dev", "nick": "bob"}))
        .await;
    bob.hears("invitation").await;
    bob.ok(json!({"do": "join", "room": "dev"})).await;
    ada.ok(json!({"do": "ban", "room": "dev", "address": "192.0.2.1", "seconds": 60}))
        .await;
    let look = ada.ok(json!({"do": "look", "room": "dev"})).await;
    assert_eq!(look["room"]["bans"][0]["who"], "192.0.2.1");
    ada.ok(json!({"do": "unban", "room": "dev", "address": "192.0.2.1"}))
        .await;
    bob.ok(json!({"do": "nick", "nick": "robert"})).await;
    ada.hears("renamed").await;
    bob.ok(json!({"do": "away", "text": "lunch"})).await;
    ada.hears("away").await;
    let person = ada.ok(json!({"do": "whois", "nick": "robert"})).await;
    assert_eq!(person["away"], "lunch");
    let rooms = ada.ok(json!({"do": "rooms"})).await;
    assert_eq!(rooms["rooms"].as_array().map(Vec::len), Some(2));
    ada.ok(json!({"do": "read", "room": "dev", "seq": seq}))
        .await;
    let unread = ada.ok(json!({"do": "unread"})).await;
    assert_eq!(unread["rooms"][0]["read"], seq);
    ada.ok(json!({"do": "ping"})).await;
    bob.ok(json!({"do": "part", "room": "dev", "reason": "bye"}))
        .await;
    ada.hears("parted").await;
}

#[tokio::test]
async fn two_sessions_of_one_account_are_one_person() {
    let chat = Chat::start(quick());
    chat.register("ada", "correct horse").await;
    let enter = || json!({"do": "enter", "user": "ada", "password": "correct horse"});
    let (mut one, mut other) = (chat.program().await, chat.program().await);
    one.ok(enter()).await;
    one.ok(json!({"do": "join", "room": "dev"})).await;
    let entered = other.ok(enter()).await;
    assert_eq!(entered["rooms"], json!(["dev"]));
    one.ok(json!({"do": "join", "room": "lobby"})).await;
    assert_eq!(other.hears("membership").await["room"], "lobby");
    other.ok(json!({"do": "part", "room": "dev"})).await;
    one.hears("parted").await;
    assert_eq!(
        one.refused(json!({"do": "say", "room": "dev", "text": "x"}))
            .await,
        "not_member"
    );
}

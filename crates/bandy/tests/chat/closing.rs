//! Every code that a WebSocket is closed with: what for, and whether to come back (`services/chat/json`). 4001 is in
//! `slow.rs`.

use std::sync::Arc;
use std::time::Duration;

use bandy::net::{Conn, Message};
use bandy_testkit::within;
use serde_json::{Value, json};

use super::store::Fickle;
use super::{Chat, Program, quick};

/// Reads to the end: the code that it ends with.
async fn code(program: Program) -> Option<u16> {
    let mut conn = program.conn.into_conn();
    within("the end", async {
        while let Ok(Some(_)) = conn.recv().await {}
    })
    .await;
    conn.close_code()
}

/// Sends as many of these as are taken.
async fn send(conn: &mut Conn, count: u32, message: &str) {
    for _ in 0..count {
        if conn.send(Message::text(message.to_owned())).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn when_the_server_ends_everybody_is_told_to_come_back() {
    let chat = Chat::start(quick());
    let bob = chat.guest("bob").await;
    let running = chat.running;
    let drained = tokio::spawn(async move {
        running.drain().await;
    });
    assert_eq!(code(bob).await, Some(4000));
    drained.await.expect("it drains");
}

#[tokio::test]
async fn when_something_fails_here_whoever_asked_is_told_to_come_back() {
    let store = Arc::new(Fickle::new());
    let chat = Chat::on(quick(), store.clone());
    let (mut bob, mut ada) = (chat.guest("bob").await, chat.guest("ada").await);
    let mut reader = chat.person().await;
    store.fail();
    bob.conn
        .say(r#"{"ref": 9, "do": "say", "room": "lobby", "text": "lost"}"#)
        .await;
    assert_eq!(code(bob).await, Some(4002));
    // And nobody else notices but by their going.
    assert_eq!(ada.hears("quit").await["who"]["nick"], "bob");
    ada.ok(json!({"do": "ping"})).await;
    reader.types("lost").await;
    reader.hears("something failed").await;
}

#[tokio::test]
async fn whoever_gives_no_sign_of_life_is_told_to_come_back() {
    let mut options = quick();
    options.ping = Duration::from_millis(50);
    let chat = Chat::start(options);
    // Their program stands still: it answers no ping.
    let silent = chat.guest("silent").await;
    // This one says nothing either, but answers.
    let mut bob = chat.guest("bob").await;
    assert_eq!(bob.hears("quit").await["who"]["nick"], "silent");
    assert_eq!(code(silent).await, Some(4003));
    let look = bob.ok(json!({"do": "look", "room": "lobby"})).await;
    assert_eq!(look["room"]["members"][0]["nick"], "bob");
}

#[tokio::test]
async fn what_are_no_requests_ends_it_with_a_code_not_to_come_back() {
    let chat = Chat::start(quick());
    let mut program = chat.program().await;
    program.conn.say("what?").await;
    let answer = program.next().await;
    assert_eq!(
        (&answer["re"], &answer["error"]["code"]),
        (&Value::Null, &json!("no_request"))
    );
    let mut conn = program.conn.into_conn();
    send(&mut conn, 20, "{}").await;
    while let Ok(Some(_)) = conn.recv().await {}
    assert_eq!(conn.close_code(), Some(4500));
}

#[tokio::test]
async fn whoever_does_not_get_in_is_told_not_to_come_back() {
    let chat = Chat::start(quick());
    for attempt in [
        r#"{"ref": 1, "do": "enter", "user": "ada", "password": "wrong"}"#,
        r#"{"ref": 1, "do": "enter", "token": "none"}"#,
        r#"{"ref": 1, "do": "rooms"}"#,
    ] {
        let mut conn = chat.program().await.conn.into_conn();
        send(&mut conn, 20, attempt).await;
        while let Ok(Some(_)) = conn.recv().await {}
        assert_eq!(conn.close_code(), Some(4501), "{attempt}");
    }
}

//! A reader who does not read is cut, with a code that says to come back, and the others notice nothing.

use serde_json::json;

use super::{Chat, quick};

#[tokio::test]
async fn a_slow_reader_among_many_is_cut_and_slows_nobody() {
    const MEMBERS: usize = 50;
    const COUNT: usize = 400;
    let mut options = quick();
    options.outbox = 200;
    let chat = Chat::start(options);
    let slow = chat.guest("slow").await;
    let mut others = Vec::new();
    for n in 0..MEMBERS {
        others.push(chat.guest(&format!("m{n}")).await);
    }
    // Reads nothing from here on, while more than all buffers hold is said.
    let text = "x".repeat(4_000);
    let mut listening = Vec::new();
    for mut member in others {
        listening.push(tokio::spawn(async move {
            for _ in 0..COUNT * 5 {
                member.hears("message").await;
                member.events.clear();
            }
        }));
    }
    let mut bob = chat.guest("bob").await;
    for _ in 0..COUNT * 5 {
        bob.ok(json!({"do": "say", "room": "lobby", "text": text}))
            .await;
        bob.events.clear();
    }
    for member in listening {
        member.await.expect("hears all of it");
    }
    let look = bob.ok(json!({"do": "look", "room": "lobby"})).await;
    let names: Vec<&str> = look["room"]["members"]
        .as_array()
        .expect("members")
        .iter()
        .filter_map(|member| member["nick"].as_str())
        .collect();
    assert!(!names.contains(&"slow"), "it was cut");
    // It reads what was on its way, and then why it ended.
    let mut conn = slow.conn.into_conn();
    while let Ok(Some(_)) = conn.recv().await {}
    assert_eq!(
        conn.close_code(),
        Some(4001),
        "told to come back and resume"
    );
}

//! A reader who does not read is cut, with a code that says to come back, and the others notice nothing.

use serde_json::json;

use super::{Chat, Program, quick};

#[tokio::test]
async fn a_slow_reader_among_many_is_cut_and_slows_nobody() {
    const MEMBERS: usize = 10;
    const COUNT: usize = 400;
    let mut options = quick();
    options.outbox = 50;
    options.rules.text_bytes = 64 << 10;
    let chat = Chat::start(options);
    let slow = chat.guest("slow").await;
    let mut others = Vec::new();
    for n in 0..MEMBERS {
        others.push(chat.guest(&format!("m{n}")).await);
    }
    // Reads nothing from here on, while more than all buffers hold is said.
    let text = "x".repeat(48 << 10);
    let mut listening = Vec::new();
    for mut member in others {
        listening.push(tokio::spawn(async move {
            for _ in 0..COUNT {
                member.hears("message").await;
                member.events.clear();
            }
        }));
    }
    let mut bob = chat.guest("bob").await;
    let mut slow = Some(slow);
    let mut reading = None;
    for n in 0..COUNT {
        bob.ok(json!({"do": "say", "room": "lobby", "text": text}))
            .await;
        bob.events.clear();
        if n % 20 == 0 && slow.is_some() && is_cut(&mut bob).await {
            // It reads what was on its way, and then why it ended.
            reading = slow.take().map(|slow| {
                tokio::spawn(async move {
                    let mut conn = slow.conn.into_conn();
                    while let Ok(Some(_)) = conn.recv().await {}
                    conn.close_code()
                })
            });
        }
    }
    for member in listening {
        member.await.expect("hears all of it");
    }
    let code = reading.expect("it was cut").await.expect("read to its end");
    assert_eq!(code, Some(4001), "told to come back and resume");
}

/// Whether the slow one is in the room no more.
async fn is_cut(bob: &mut Program) -> bool {
    let look = bob.ok(json!({"do": "look", "room": "lobby"})).await;
    let members = look["room"]["members"].as_array().expect("members");
    !members.iter().any(|member| member["nick"] == "slow")
}

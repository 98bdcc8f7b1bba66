//! Whatever somebody writes into whichever field: nobody's terminal obeys it, and nobody says it in another's name.

use serde_json::{Value, json};

use super::{Chat, quick};

const BAD: [&str; 7] = [
    "a\r\n[lobby] <ada> b",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{0}\u{1}ACTION x\u{1}",
    "\u{9b}31m",
    "\u{202e}evil",
    "<script>alert(1)</script>",
    "x\n/kick ada\n",
];

/// No line that a terminal shows has a control character; and each says whose it is.
fn check(line: &str) {
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(!line.starts_with("[lobby] <ada>"), "{line:?}");
}

#[tokio::test]
async fn nothing_from_a_program_moves_somebodys_cursor() {
    let chat = Chat::start(quick());
    let mut reader = chat.person().await;
    for bad in BAD {
        let mut eve = chat.guest(bad).await;
        let asks: Vec<Value> = vec![
            json!({"do": "say", "room": "lobby", "text": bad}),
            json!({"do": "say", "room": "lobby", "text": bad, "manner": "action", "nonce": bad}),
            json!({"do": "say", "nick": "guest-1", "text": bad}),
            json!({"do": "nick", "nick": bad}),
            json!({"do": "away", "text": bad}),
            json!({"do": "join", "room": bad}),
            json!({"do": "join", "room": "evil", "password": bad}),
            json!({"do": "topic", "room": "evil", "text": bad}),
            json!({"do": "invite", "room": "evil", "nick": bad}),
            json!({"do": "kick", "room": "lobby", "nick": bad, "reason": bad}),
            json!({"do": "ban", "room": "evil", "nick": bad, "reason": bad}),
            json!({"do": "part", "room": "lobby", "reason": bad}),
        ];
        for ask in asks {
            // Done or refused; what is heard of it is checked below.
            let answer = eve.ask(ask).await;
            if let Some(message) = answer["error"]["message"].as_str() {
                assert!(!message.chars().any(|c| c.is_control()), "{message:?}");
            }
        }
    }
    let mut end = chat.guest("end").await;
    end.ok(json!({"do": "say", "room": "lobby", "text": "that was all"}))
        .await;
    loop {
        let line = reader.hears("").await;
        check(&line);
        if line.contains("that was all") {
            break;
        }
    }
    reader.types("/rooms").await;
    check(&reader.hears("evil").await);
}

#[tokio::test]
async fn nothing_from_a_terminal_moves_somebodys_cursor() {
    let chat = Chat::start(quick());
    let mut reader = chat.person().await;
    let mut eve = chat.person().await;
    for bad in BAD {
        for command in [
            "",
            "/me ",
            "/nick ",
            "/away ",
            "/msg guest-1 ",
            "/topic ",
            "/join ",
            "/kick ",
        ] {
            eve.types(format!("{command}{}", bad.replace('\n', " ")))
                .await;
        }
    }
    eve.types(b"\xff\xfd\x01\xff not UTF-8 \x80").await;
    eve.types("/join lobby").await;
    eve.types("that was all").await;
    loop {
        let line = reader.hears("").await;
        check(&line);
        if line.contains("that was all") {
            break;
        }
    }
}

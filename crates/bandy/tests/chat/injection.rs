//! Whatever somebody writes into whichever field: nobody's terminal obeys it, and nobody says it in another's name.

use bandy::endpoint::Scheme;
use bandy::server::Model;
use bandy::state;
use serde_json::{Value, json};

use super::{Chat, Person, Program, quick};

const BAD: [&str; 7] = [
    "a\r\n[lobby] <ada> b",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{0}\u{1}ACTION x\u{1}",
    "\u{9b}31m",
    "\u{202e}evil",
    "<script>alert(1)</script>",
    "x\n/kick ada\n",
];

/// Who hears it all: at a terminal, with an IRC client, with a program.
struct Readers {
    person: Person,
    client: Person,
    program: Program,
}

impl Readers {
    async fn come(chat: &Chat) -> Readers {
        let person = chat.person().await;
        let mut client = Person {
            conn: chat.stage.connect(&chat.at(Scheme::Irc)).await,
            held: String::new(),
        };
        client
            .types("NICK client\r\nUSER a 0 * :b\r\nJOIN #lobby,#evil\r")
            .await;
        client.hears(" 366 ").await;
        let mut program = chat.guest("program").await;
        program.ok(json!({"do": "join", "room": "evil"})).await;
        let mut readers = Readers {
            person,
            client,
            program,
        };
        readers.person.types("/join evil").await;
        readers.person.hears("[evil]").await;
        readers
    }

    /// Looks at all that they heard.
    async fn check(mut self, chat: &Chat) {
        let mut end = chat.guest("end").await;
        end.ok(json!({"do": "say", "room": "lobby", "text": "that was all"}))
            .await;
        loop {
            let line = self.person.hears("").await;
            check(&line);
            if line.contains("that was all") {
                break;
            }
        }
        self.person.types("/rooms").await;
        check(&self.person.hears("evil").await);
        loop {
            let line = self.client.hears("").await;
            let line = line.strip_suffix('\r').expect("lines end with CRLF");
            // An ACTION has its frame.
            let plain = line.replacen('\u{1}', "", 2);
            assert!(!plain.chars().any(char::is_control), "{line:?}");
            let source = line.strip_prefix(':').expect("all is said by somebody");
            let source = source.split(' ').next().unwrap_or_default();
            let is_guest = source.contains("!guest@guest/") && !source.starts_with("ada!");
            assert!(is_guest || source == "irc.bandy", "{line:?}");
            if line.contains("that was all") {
                break;
            }
        }
        loop {
            let event = match self.program.events.is_empty() {
                true => self.program.next().await,
                false => self.program.events.remove(0),
            };
            check_texts(&event, "");
            if event["text"] == "that was all" {
                break;
            }
        }
    }
}

/// No text that a program is told has a control character, but what was said may have several lines.
fn check_texts(value: &Value, key: &str) {
    match value {
        Value::String(text) => {
            // Only whoever made up a nonce looks at it.
            let may = |c| key == "nonce" || key == "text" && matches!(c, '\n' | '\t');
            assert!(
                !text.chars().any(|c| c.is_control() && !may(c)),
                "{key}: {text:?}"
            );
        }
        Value::Array(values) => values.iter().for_each(|value| check_texts(value, key)),
        Value::Object(values) => values
            .iter()
            .for_each(|(key, value)| check_texts(value, key)),
        _ => {}
    }
}

/// No line that a terminal shows has a control character; and each says whose it is.
fn check(line: &str) {
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(!line.starts_with("[lobby] <ada>"), "{line:?}");
}

fn start() -> Chat {
    let schemes = [Scheme::Tcp, Scheme::Ws, Scheme::Http, Scheme::Irc];
    let store = state::open("memory:").expect("a store");
    Chat::reached(quick(), store, Model::default(), &schemes)
}

/// Every field of every request that has a text in it, with this in it; as the owner of the room `evil`.
fn requests(bad: &str, seq: u64) -> Vec<Value> {
    vec![
        json!({"do": "say", "room": "lobby", "text": bad}),
        json!({"do": "say", "room": "lobby", "text": bad, "manner": "action", "nonce": bad}),
        json!({"do": "say", "room": "lobby", "text": bad, "manner": "notice", "reply": 1}),
        json!({"do": "say", "room": "lobby", "text": "x", "manner": bad}),
        json!({"do": "say", "nick": "guest-1", "text": bad}),
        json!({"do": "say", "nick": "client", "text": bad}),
        json!({"do": "say", "nick": bad, "text": bad}),
        json!({"do": "say", "room": bad, "text": bad}),
        json!({"do": "edit", "room": "evil", "seq": seq, "text": bad}),
        json!({"do": "delete", "room": bad, "seq": seq}),
        json!({"do": "nick", "nick": bad}),
        json!({"do": "away", "text": bad}),
        json!({"do": "typing", "nick": bad, "active": true}),
        json!({"do": "typing", "room": bad, "active": true}),
        json!({"do": "join", "room": bad}),
        json!({"do": "join", "room": "evil", "password": bad}),
        json!({"do": "set", "room": "evil", "setting": {"password": bad}}),
        json!({"do": "set", "room": "evil", "setting": {"password": null}}),
        json!({"do": "set", "room": bad, "setting": {"hidden": false}}),
        json!({"do": "topic", "room": "evil", "text": bad}),
        json!({"do": "topic", "room": bad, "text": bad}),
        json!({"do": "invite", "room": "evil", "nick": bad}),
        json!({"do": "invite", "room": bad, "nick": "client"}),
        json!({"do": "role", "room": "evil", "nick": bad, "role": "voice"}),
        json!({"do": "role", "room": "evil", "nick": "client", "role": bad}),
        json!({"do": "mute", "room": "evil", "nick": bad}),
        json!({"do": "unmute", "room": "evil", "nick": bad}),
        json!({"do": "kick", "room": "lobby", "nick": bad, "reason": bad}),
        json!({"do": "kick", "room": "evil", "nick": "victim", "reason": bad}),
        json!({"do": "ban", "room": "evil", "nick": bad, "reason": bad}),
        json!({"do": "ban", "room": "evil", "address": bad, "reason": bad}),
        json!({"do": "ban", "room": "evil", "address": "192.0.2.1", "reason": bad}),
        json!({"do": "unban", "room": "evil", "address": "192.0.2.1"}),
        json!({"do": "unban", "room": "evil", "nick": bad}),
        json!({"do": "look", "room": bad}),
        json!({"do": "whois", "nick": bad}),
        json!({"do": "history", "room": bad}),
        json!({"do": "history", "nick": bad}),
        json!({"do": "search", "room": "evil", "words": bad}),
        json!({"do": "search", "nick": bad, "words": bad}),
        json!({"do": "read", "nick": bad, "seq": 1}),
        json!({"do": bad}),
        json!({"do": "part", "room": bad, "reason": bad}),
        json!({"do": "part", "room": "lobby", "reason": bad}),
    ]
}

/// A request that may be none: what comes back, whatever it is, has no control character.
async fn tries(program: &mut Program, mut request: Value) {
    program.count += 1;
    request["ref"] = program.count.into();
    program.conn.say(request.to_string()).await;
    loop {
        let value = program.next().await;
        check_texts(&value, "");
        if value.get("re").is_some() {
            return;
        }
    }
}

#[tokio::test]
async fn nothing_from_a_program_moves_somebodys_cursor() {
    let chat = start();
    let mut owner = chat.guest("owner").await;
    owner.ok(json!({"do": "join", "room": "evil"})).await;
    let readers = Readers::come(&chat).await;
    for bad in BAD {
        for enter in [
            json!({"do": "enter", "user": bad, "password": bad}),
            json!({"do": "enter", "token": bad}),
            json!({"do": "enter", "guest": bad, "nick": bad}),
        ] {
            tries(&mut chat.program().await, enter).await;
        }
        // Somebody who may do all of it.
        let mut eve = chat.program().await;
        let entered = eve.ok(json!({"do": "enter", "nick": bad})).await;
        let nick = &entered["you"]["nick"];
        eve.ok(json!({"do": "join", "room": "lobby"})).await;
        eve.ok(json!({"do": "join", "room": "evil"})).await;
        owner
            .ok(json!({"do": "role", "room": "evil", "nick": nick, "role": "moderator"}))
            .await;
        let mut victim = chat.guest("victim").await;
        victim.ok(json!({"do": "join", "room": "evil"})).await;
        let said = eve
            .ok(json!({"do": "say", "room": "evil", "text": "harmless"}))
            .await;
        let seq = said["seq"].as_u64().expect("a number");
        for request in requests(bad, seq) {
            tries(&mut eve, request).await;
        }
    }
    readers.check(&chat).await;
}

#[tokio::test]
async fn nothing_from_a_terminal_moves_somebodys_cursor() {
    let chat = start();
    let mut eve = chat.person().await;
    eve.types("/join evil").await;
    eve.hears("[evil]").await;
    let readers = Readers::come(&chat).await;
    for bad in BAD {
        for command in [
            "",
            "/",
            "/me ",
            "/nick ",
            "/away ",
            "/msg guest-1 ",
            "/msg ",
            "/topic ",
            "/join ",
            "/join evil ",
            "/part ",
            "/part evil ",
            "/kick ",
            "/kick program ",
            "/ban ",
            "/ban nobody 1h ",
            "/unban ",
            "/mute ",
            "/unmute ",
            "/invite ",
            "/voice ",
            "/role ",
            "/role client ",
            "/set password ",
            "/set ",
            "/search ",
            "/history ",
            "/whois ",
            "/who ",
            "/edit 1 ",
            "/delete ",
            "/login ",
            "/login ada ",
        ] {
            eve.types(format!("{command}{}", bad.replace('\n', " ")))
                .await;
            eve.types("/join evil").await;
        }
    }
    eve.types(b"\xff\xfd\x01\xff not UTF-8 \x80").await;
    eve.types("/join lobby").await;
    eve.types("/frobnicate").await;
    // What comes back to whoever tries it has none either.
    loop {
        let line = eve.hears("").await;
        check(&line);
        if line.contains("/frobnicate") {
            break;
        }
    }
    readers.check(&chat).await;
}

//! One room, over everything that a chat can be reached by, under each model that a chat can have.

use bandy::endpoint::{Endpoint, Scheme};
use bandy::server::Model;
use bandy::state;
use serde_json::json;

use super::{Chat, Person, Program, quick};

const ALL: [Scheme; 10] = [
    Scheme::Tcp,
    Scheme::Tls,
    Scheme::Unix,
    Scheme::Mem,
    Scheme::Ws,
    Scheme::Wss,
    Scheme::Http,
    Scheme::Https,
    Scheme::Irc,
    Scheme::Ircs,
];

impl Chat {
    /// The WebSocket beside the page.
    fn beside_page(&self, page: Scheme, socket: &str) -> Endpoint {
        let port = self.at(page).port().expect("a port");
        format!("{socket}://127.0.0.1:{port}/ws")
            .parse()
            .expect("an endpoint")
    }

    /// Somebody with an IRC client, who is in the lobby.
    async fn by_irc(&self, nick: &str, at: &Endpoint) -> Person {
        let mut person = Person {
            conn: self.stage.connect(at).await,
            held: String::new(),
        };
        person
            .types(format!(
                "NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nJOIN #lobby\r"
            ))
            .await;
        person.hears(" 366 ").await;
        person
    }
}

async fn everybody_talks_to_everybody(model: Model) {
    let store = state::open("memory:").expect("a store");
    let chat = Chat::reached(quick(), store, model, &ALL);
    let mut people = Vec::new();
    for scheme in [Scheme::Tcp, Scheme::Tls, Scheme::Unix, Scheme::Mem] {
        people.push(chat.person_at(&chat.at(scheme)).await);
    }
    let mut programs: Vec<Program> = Vec::new();
    for (nick, at) in [
        ("ws", chat.at(Scheme::Ws)),
        ("wss", chat.at(Scheme::Wss)),
        ("page", chat.beside_page(Scheme::Http, "ws")),
        ("safe-page", chat.beside_page(Scheme::Https, "wss")),
    ] {
        programs.push(chat.guest_at(nick, &at).await);
    }
    let mut clients = Vec::new();
    for (nick, scheme) in [("irc", Scheme::Irc), ("ircs", Scheme::Ircs)] {
        clients.push(chat.by_irc(nick, &chat.at(scheme)).await);
    }

    let mut said = Vec::new();
    for (n, person) in people.iter_mut().enumerate() {
        let text = format!("line {n}");
        person.types(&text).await;
        said.push(text);
    }
    for (n, program) in programs.iter_mut().enumerate() {
        let text = format!("message {n}");
        program
            .ok(json!({"do": "say", "room": "lobby", "text": text}))
            .await;
        said.push(text);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        let text = format!("privmsg {n}");
        client.types(format!("PRIVMSG #lobby :{text}\r")).await;
        said.push(text);
    }
    // Each hears all but what they said themselves, which stands where they said it; a program hears that, too.
    let (lines, messages) = (people.len(), programs.len());
    for (own, person) in people.iter_mut().enumerate() {
        hears_all(person, &said, own).await;
    }
    for (own, client) in clients.iter_mut().enumerate() {
        hears_all(client, &said, lines + messages + own).await;
    }
    for program in &mut programs {
        let mut heard = Vec::new();
        for _ in &said {
            let message = program.hears("message").await;
            heard.push(message["text"].as_str().expect("a text").to_owned());
        }
        heard.sort();
        let mut expected = said.clone();
        expected.sort();
        assert_eq!(heard, expected);
    }
}

/// In whatever order: several say something at once.
async fn hears_all(person: &mut Person, said: &[String], own: usize) {
    let mut left: Vec<&String> = said.iter().collect();
    left.remove(own);
    while !left.is_empty() {
        let line = person.hears("").await;
        left.retain(|text| !line.trim_end().ends_with(text.as_str()));
    }
}

#[tokio::test]
async fn over_everything_on_event_loops() {
    everybody_talks_to_everybody(Model::Async).await;
}

#[tokio::test]
async fn over_everything_on_a_thread_for_each() {
    everybody_talks_to_everybody(Model::Threads).await;
}

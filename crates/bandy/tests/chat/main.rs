//! Chat, as conversations with it: in lines, over WebSocket, with the client that comes back, and all in one room.

mod carriers;
mod closing;
mod coming_back;
mod guests;
mod holding;
mod injection;
mod lines;
mod page;
mod slow;
mod store;
mod thousand;
mod web_socket;

use std::sync::Arc;

use bandy::accounts::{Accounts, Cost, Credentials, Options as AccountOptions};
use bandy::endpoint::{Endpoint, Scheme};
use bandy::server::{Model, Running, Server};
use bandy::services::chat::Options;
use bandy::services::{Needs, Spec, build};
use bandy::state::{self, Store};
use bandy_testkit::{Client, Stage, within};
use serde_json::{Value, json};

/// A chat that runs, and what it stands on.
struct Chat {
    stage: Stage,
    running: Running,
    accounts: Accounts,
}

/// What a chat is told where nobody waits for the pace of people.
fn quick() -> Options {
    let mut options = Options::default();
    options.rules.rate = None;
    options
}

impl Chat {
    fn start(options: Options) -> Chat {
        Chat::on(options, state::open("memory:").expect("a store"))
    }

    fn on(options: Options, store: Arc<dyn Store>) -> Chat {
        let schemes = [Scheme::Tcp, Scheme::Ws, Scheme::Http];
        Chat::reached(options, store, Model::default(), &schemes)
    }

    /// One that is reached so, and whose connections are run so.
    fn reached(options: Options, store: Arc<dyn Store>, model: Model, schemes: &[Scheme]) -> Chat {
        let stage = Stage::new();
        // A hash that costs nothing: this is no test of passwords.
        let cost = Cost {
            memory_kib: 8,
            passes: 1,
            ..Cost::default()
        };
        let account_options = AccountOptions {
            cost,
            ..AccountOptions::default()
        };
        let accounts = Accounts::open(store.clone(), account_options).expect("accounts");
        let needs = Needs {
            store: Some(store),
            accounts: Some(accounts.clone()),
            ..Needs::default()
        };
        let service = build(&Spec::Chat(options).into(), &needs).expect("a service");
        let server = Server::new(service.service()).named("chat", "chat");
        let running = stage.start(server.model(model), schemes);
        Chat {
            stage,
            running,
            accounts,
        }
    }

    fn at(&self, scheme: Scheme) -> Endpoint {
        let found = self
            .running
            .endpoints()
            .iter()
            .find(|e| e.scheme() == scheme);
        found.expect("it listens there").clone()
    }

    async fn register(&self, user: &str, password: &str) {
        let made = self
            .accounts
            .register(Credentials::new(user, password), None)
            .await;
        made.expect("a store").expect("a name that is free");
    }

    /// Somebody at a terminal, who is in.
    async fn person(&self) -> Person {
        self.person_at(&self.at(Scheme::Tcp)).await
    }

    async fn person_at(&self, at: &Endpoint) -> Person {
        let mut person = Person {
            conn: self.stage.connect(at).await,
            held: String::new(),
        };
        person.hears("here:").await;
        person
    }

    /// A program that has not entered yet.
    async fn program(&self) -> Program {
        self.program_at(&self.at(Scheme::Ws)).await
    }

    async fn program_at(&self, at: &Endpoint) -> Program {
        let mut program = Program {
            conn: self.stage.connect(at).await,
            count: 0,
            events: Vec::new(),
        };
        let hello = program.next().await;
        assert_eq!(hello["event"], "hello");
        program
    }

    /// A program that has entered as a guest, and is in the lobby.
    async fn guest(&self, nick: &str) -> Program {
        self.guest_at(nick, &self.at(Scheme::Ws)).await
    }

    async fn guest_at(&self, nick: &str, at: &Endpoint) -> Program {
        let mut program = self.program_at(at).await;
        program.ok(json!({"do": "enter", "nick": nick})).await;
        program.ok(json!({"do": "join", "room": "lobby"})).await;
        program
    }
}

/// Somebody at a terminal.
struct Person {
    conn: Client,
    held: String,
}

impl Person {
    async fn types(&mut self, line: impl AsRef<[u8]>) {
        self.conn.say([line.as_ref(), b"\n"].concat()).await;
    }

    /// The next line with this in it.
    async fn hears(&mut self, what: &str) -> String {
        loop {
            while let Some((line, rest)) = self.held.split_once('\n') {
                let line = line.to_owned();
                self.held = rest.to_owned();
                if line.contains(what) {
                    return line;
                }
            }
            let some = self.conn.hear_some().await;
            let some =
                some.unwrap_or_else(|| panic!("it ended before {what:?}; left: {:?}", self.held));
            self.held
                .push_str(std::str::from_utf8(&some).expect("lines are UTF-8"));
        }
    }
}

/// A program on the WebSocket. Everything that it hears is what the schema says.
struct Program {
    conn: Client,
    count: u64,
    /// What happened and was not asked for yet.
    events: Vec<Value>,
}

impl Program {
    async fn next(&mut self) -> Value {
        let message = self.conn.hear_some().await.expect("it goes on");
        let value: Value = serde_json::from_slice(&message).expect("JSON");
        web_socket::check(&value);
        value
    }

    async fn ask(&mut self, mut request: Value) -> Value {
        self.count += 1;
        request["ref"] = self.count.into();
        web_socket::check(&request);
        self.conn.say(request.to_string()).await;
        loop {
            let value = self.next().await;
            if value.get("re").is_none() {
                self.events.push(value);
                continue;
            }
            assert_eq!(value["re"], self.count, "answers come in order");
            return value;
        }
    }

    async fn ok(&mut self, request: Value) -> Value {
        let mut answer = self.ask(request.clone()).await;
        assert!(answer.get("ok").is_some(), "{request}: {answer}");
        answer["ok"].take()
    }

    async fn refused(&mut self, request: Value) -> String {
        let answer = self.ask(request.clone()).await;
        let code = answer["error"]["code"].as_str();
        code.unwrap_or_else(|| panic!("{request}: {answer}"))
            .to_owned()
    }

    /// The next thing of this kind that happens.
    async fn hears(&mut self, event: &str) -> Value {
        if let Some(at) = self.events.iter().position(|value| value["event"] == event) {
            return self.events.remove(at);
        }
        within(format!("the event {event}"), async {
            loop {
                let value = self.next().await;
                if value["event"] == event {
                    return value;
                }
                self.events.push(value);
            }
        })
        .await
    }
}

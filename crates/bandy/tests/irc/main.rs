//! IRC, as conversations in raw lines: what a client says, and what it and others hear then.

mod history;
mod injection;
mod registration;
mod rooms;
mod tags;
mod talk;

use std::time::Duration;

use bandy::Server;
use bandy::accounts::{Accounts, Cost, Credentials, Options as AccountOptions};
use bandy::endpoint::Scheme;
use bandy::server::Running;
use bandy::services::chat::irc::Irc;
use bandy::services::chat::model::Rules;
use bandy::services::chat::{Hub, Options};
use bandy::state;
use talk::Person;

/// A server, and who comes to it.
struct Stage {
    stage: bandy_testkit::Stage,
    accounts: Accounts,
    server: Running,
}

impl Stage {
    fn new() -> Stage {
        Stage::with_rules(Rules::default(), Scheme::Irc)
    }

    fn without_guests() -> Stage {
        let rules = Rules {
            guests: false,
            ..Rules::default()
        };
        Stage::with_rules(rules, Scheme::Irc)
    }

    fn with_rules(rules: Rules, scheme: Scheme) -> Stage {
        // No test is about how fast somebody may be.
        let rules = Rules {
            rate: None,
            ..rules
        };
        let mut options = Options::default();
        options.rules = rules;
        Stage::serve(options, scheme)
    }

    fn serve(options: Options, scheme: Scheme) -> Stage {
        let stage = bandy_testkit::Stage::new();
        let store = state::open("memory:").expect("a store");
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
        let hub = Hub::start(options, store, accounts.clone()).expect("a chat");
        let server = Server::new(Irc::new(hub)).named("chat", "chat");
        let server = stage.start(server, &[scheme]);
        Stage {
            stage,
            accounts,
            server,
        }
    }

    /// An account.
    async fn user(&self, name: &str, password: &str) {
        let added = self
            .accounts
            .add(Credentials::new(name, password), Vec::new())
            .await;
        added.expect("a store").expect("a user");
    }

    /// A connection on which nothing was said.
    async fn connect(&self) -> Person {
        Person::new(self.stage.connect(self.server.endpoint()).await)
    }

    /// A guest.
    async fn person(&self, nick: &str) -> Person {
        let mut person = self.connect().await;
        person.registers(nick).await;
        person
    }

    /// A guest with capabilities.
    async fn with(&self, nick: &str, capabilities: &str) -> Person {
        let mut person = self.connect().await;
        person.wants(capabilities).await;
        person.registers(nick).await;
        person
    }

    /// An account's user, whose password is `correct horse`, with capabilities.
    async fn login(&self, nick: &str, capabilities: &str) -> Person {
        let mut person = self.connect().await;
        person.wants(capabilities).await;
        person.say("PASS :correct horse").await;
        person.registers(nick).await;
        person
    }

    /// Ada, who made the room, and bob.
    async fn two(&self, channel: &str) -> (Person, Person) {
        let (mut ada, mut bob) = (self.person("ada").await, self.person("bob").await);
        ada.joins(channel).await;
        bob.joins(channel).await;
        ada.rest().await;
        (ada, bob)
    }
}

#[tokio::test]
async fn who_is_silent_is_asked_and_then_sent_away() {
    let mut options = Options::default();
    options.ping = Duration::from_millis(300);
    let stage = Stage::serve(options, Scheme::Irc);
    let mut ada = stage.connect().await;
    ada.say("NICK ada").await;
    ada.say("USER ada 0 * :Ada").await;
    ada.until("376 *").await;
    ada.hears("PING *").await;
    ada.say("PONG :irc.bandy").await;
    ada.hears("PING *").await;
    ada.is_sent_away("*Ping timeout*").await;
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let stage = Stage::with_rules(Rules::default(), Scheme::Ircs);
    let mut ada = stage.person("ada").await;
    ada.joins("#lobby").await;
    ada.asks("PRIVMSG ada :to myself", ":ada!*@* PRIVMSG ada :to myself")
        .await;
}

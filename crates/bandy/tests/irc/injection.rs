//! Attempts to say more than one may, in every place where something can be put.

use bandy::services::chat::Command;
use bandy::services::chat::model::{Arrival, Manner, RoomName, Target};

use crate::Stage;

/// What would be another line, another part of one, or something that a terminal obeys.
const ATTEMPTS: [&str; 9] = [
    "a\rQUIT",
    "a\0b",
    "\u{1b}[2J",
    "\u{9b}31m",
    "a\u{7}b",
    "\u{1}DCC SEND x\u{1}",
    "a\\r\\nQUIT",
    ":a b",
    "\u{202e}abc",
];

#[tokio::test]
async fn nothing_that_ada_says_makes_bob_hear_another_command_or_a_control() {
    let stage = Stage::new();
    let (mut ada, mut bob) = stage.two("#club").await;
    ada.wants("message-tags batch labeled-response draft/chathistory draft/message-redaction")
        .await;
    bob.wants("message-tags server-time account-tag extended-join away-notify")
        .await;
    bob.rest().await;
    for attempt in ATTEMPTS {
        for line in [
            format!("PRIVMSG #club :{attempt}"),
            format!("NOTICE #club :{attempt}"),
            format!("PRIVMSG bob :{attempt}"),
            format!("TOPIC #club :{attempt}"),
            format!("AWAY :{attempt}"),
            format!("NICK :{attempt}"),
            format!("JOIN :#{attempt}"),
            format!("PART #club :{attempt}"),
            "JOIN #club".to_owned(),
            format!("KICK #club bob :{attempt}"),
            format!("MODE #club +k :{attempt}"),
            "MODE #club -k x".to_owned(),
            format!("MODE #club +b :{attempt}"),
            format!("INVITE bob :#{attempt}"),
            format!("@+x={attempt} TAGMSG bob"),
            format!("@+x{attempt}=y PRIVMSG #club :tagged"),
            format!(":{attempt} PRIVMSG #club :sourced"),
            format!("USER {attempt} {attempt} * :{attempt}"),
            format!("WHOIS :{attempt}"),
            format!("WHO :{attempt}"),
            format!("WHOWAS :{attempt}"),
            format!("NAMES :{attempt}"),
            format!("LIST :{attempt}"),
            format!("ISON :{attempt}"),
            format!("USERHOST :{attempt}"),
            format!("HELP :{attempt}"),
            format!("PING :{attempt}"),
            format!("PONG :{attempt}"),
            format!("PASS :{attempt}"),
            format!("CAP LS :{attempt}"),
            format!("CAP REQ :{attempt}"),
            format!("CAP {attempt}"),
            format!("AUTHENTICATE :{attempt}"),
            format!("CHATHISTORY LATEST #club :{attempt}"),
            format!("CHATHISTORY :{attempt} #club * 1"),
            format!("CHATHISTORY BEFORE :{attempt}"),
            format!("REDACT #club :{attempt}"),
            format!("REDACT :{attempt}"),
            format!("{attempt} #club"),
            format!("MODE :{attempt}"),
            format!("MODE #club :{attempt}"),
            format!("MODE #club +o :{attempt}"),
            format!("MODE #club +v :{attempt}"),
            format!("MODE #club +q :{attempt}"),
            format!("MODE #club -q :{attempt}"),
            format!("MODE #club +l :{attempt}"),
            format!("KICK #club :{attempt}"),
            format!("KICK :{attempt} bob"),
            format!("INVITE :{attempt} #club"),
            format!("TOPIC :{attempt} x"),
            format!("PRIVMSG :{attempt} x"),
            format!("NOTICE bob :{attempt}"),
            format!("@label={attempt} PING x"),
            format!("@+typing={attempt} TAGMSG #club"),
            format!("@+draft/reply={attempt} PRIVMSG #club :answer"),
            format!("@{attempt} PRIVMSG #club :tagged"),
        ] {
            ada.send(format!("{line}\r\n")).await;
        }
        // What comes back to ada has no line in it either: `next` looks.
        ada.rest().await;
        for heard in bob.rest().await {
            let message = heard.message();
            let known = [
                "PRIVMSG", "NOTICE", "TOPIC", "AWAY", "NICK", "JOIN", "PART", "KICK", "MODE",
                "INVITE", "TAGMSG",
            ];
            assert!(known.contains(&message.command), "{}", heard.line());
            let source = message.source.unwrap_or_default();
            // Who comes back as the room's owner is given the role by the server.
            let is_role = heard.line() == ":irc.bandy MODE #club +o ada";
            assert!(source.starts_with("ada!") || is_role, "{}", heard.line());
            let is_control = |c: char| c.is_control() && c != '\u{1}';
            assert!(!heard.line().contains(is_control), "{:?}", heard.line());
        }
        bob.ask("JOIN #club").await;
        ada.rest().await;
    }
}

/// What people of other protocols say, who can put a line end into it.
#[tokio::test]
async fn nothing_said_in_another_protocol_is_a_line_of_its_own() {
    let stage = Stage::new();
    let mut bob = stage
        .with("bob", "message-tags server-time extended-join")
        .await;
    bob.joins("#club").await;
    let arrival = Arrival {
        nick: "eve".to_owned(),
        ..Arrival::default()
    };
    let eve = stage
        .hub
        .open_as(arrival)
        .await
        .expect("a store")
        .expect("let in");
    let room = RoomName::parse("club").expect("a name");
    let ask = async |command| eve.command(command).await.expect("a store");
    let join = Command::Join {
        room: room.clone(),
        password: None,
    };
    ask(join).await.expect("let in");
    bob.hears(":eve!*@* JOIN #club * :eve").await;
    for (manner, command) in [
        (Manner::Message, "PRIVMSG"),
        (Manner::Action, "PRIVMSG"),
        (Manner::Notice, "NOTICE"),
    ] {
        let text = "one\r\nQUIT :two\n:bob!x@y PRIVMSG #club :three\rfour\u{1b}[2J\0\u{1}VERSION\u{1}\u{9b}";
        let to = Target::Room(room.clone());
        let (nonce, reply) = (None, None);
        let text = text.to_owned();
        let say = Command::Say {
            to,
            text,
            manner,
            nonce,
            reply,
        };
        ask(say).await.expect("said");
        for part in ["one", "QUIT :two", ":bob!x@y PRIVMSG #club :three"] {
            let heard = bob.hear().await;
            let message = heard.message();
            assert!(
                message
                    .source
                    .is_some_and(|source| source.starts_with("eve!")),
                "{}",
                heard.line()
            );
            assert_eq!(message.command, command);
            let said = message.params()[1];
            let said = match manner {
                Manner::Action => said.trim_matches('\u{1}').trim_start_matches("ACTION "),
                _ => said,
            };
            assert!(said.starts_with(part), "{said:?}");
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }
    let text = "a\r\nQUIT".to_owned();
    assert!(ask(Command::Away(Some(text))).await.is_ok());
    drop(eve);
    bob.hears(":eve!*@* QUIT :connection closed").await;
    bob.hears_nothing().await;
}

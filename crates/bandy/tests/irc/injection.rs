//! Attempts to say more than one may, in every place where something can be put.

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
    ada.wants("message-tags").await;
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

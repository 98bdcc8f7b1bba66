//! What IRCv3 adds: tags, labels, echoes, and who is told of what.

use crate::Stage;

#[tokio::test]
async fn a_message_is_the_same_one_for_all() {
    let stage = Stage::new();
    let mut ada = stage
        .with("ada", "message-tags server-time echo-message")
        .await;
    let mut bob = stage.with("bob", "message-tags server-time").await;
    let mut old = stage.person("old").await;
    for person in [&mut ada, &mut bob, &mut old] {
        person.joins("#lobby").await;
    }
    ada.rest().await;
    bob.rest().await;
    ada.say("@fizz=buzz PRIVMSG #lobby :hi").await;
    let echo = ada.hears(":ada!*@* PRIVMSG #lobby :hi").await;
    let heard = bob.hears(":ada!*@* PRIVMSG #lobby :hi").await;
    let plain = old.hears(":ada!*@* PRIVMSG #lobby :hi").await;
    assert_eq!(echo.tag("msgid"), heard.tag("msgid"));
    assert_eq!(echo.tag("time"), heard.tag("time"));
    assert_eq!(heard.tags(), ["msgid", "time"]);
    assert!(plain.tags().is_empty());

    let id = heard.tag("msgid");
    bob.say(&format!(
        "@+draft/reply={id};+x=y PRIVMSG #lobby :hi yourself"
    ))
    .await;
    let answer = ada.hears(":bob!*@* PRIVMSG #lobby :hi yourself").await;
    assert_eq!(answer.tags(), ["+draft/reply", "msgid", "time"]);
    assert_eq!(answer.tag("+draft/reply"), id);
}

#[tokio::test]
async fn a_long_text_is_several_lines_and_one_message() {
    let stage = Stage::new();
    let mut ada = stage.with("ada", "message-tags echo-message").await;
    let mut bob = stage.with("bob", "message-tags").await;
    ada.joins("#lobby").await;
    bob.joins("#lobby").await;
    ada.rest().await;
    let words = "\u{20ac}uro ".repeat(69);
    ada.say(&format!("PRIVMSG #lobby :{words}")).await;
    let first = bob.hears(":ada!*@* PRIVMSG #lobby :*").await;
    let second = bob.hears(":ada!*@* PRIVMSG #lobby :*").await;
    assert_eq!(first.tags(), ["msgid"]);
    assert!(second.tags().is_empty());
    let both = format!(
        "{}{}",
        first.message().params()[1],
        second.message().params()[1]
    );
    assert_eq!(both.trim_end(), words.trim_end());
    bob.hears_nothing().await;
}

#[tokio::test]
async fn a_tagmsg_reaches_those_who_know_tags() {
    let stage = Stage::new();
    let mut ada = stage.with("ada", "message-tags echo-message").await;
    let mut bob = stage.with("bob", "message-tags").await;
    let mut old = stage.person("old").await;
    for person in [&mut ada, &mut bob, &mut old] {
        person.joins("#lobby").await;
    }
    ada.rest().await;
    bob.rest().await;
    ada.say("@+typing=active;cat=dog;+steel=wootz TAGMSG #lobby")
        .await;
    let echo = ada.hears(":ada!*@* TAGMSG #lobby").await;
    let heard = bob.hears(":ada!*@* TAGMSG #lobby").await;
    for line in [echo, heard] {
        assert_eq!(line.tags(), ["+typing"]);
        assert_eq!(line.tag("+typing"), "active");
    }
    // What other protocols have no word for is not passed on: CLIENTTAGDENY says so.
    ada.say("@+steel=wootz TAGMSG #lobby").await;
    ada.hears_nothing().await;
    ada.say("@+typing=active TAGMSG bob").await;
    ada.hears("TAGMSG bob").await;
    bob.hears(":ada!*@* TAGMSG bob").await;
    old.hears_nothing().await;
    old.asks("TAGMSG bob", "421 old TAGMSG :*").await;

    let most = format!("@+typing=done;+a={} TAGMSG bob", "x".repeat(4096 - 18));
    ada.say(&most).await;
    ada.hears("TAGMSG bob").await;
    bob.hears("TAGMSG bob").await;
    ada.asks(&most.replace("+a", "+ab"), "417 ada :*").await;
    bob.hears_nothing().await;
}

#[tokio::test]
async fn a_label_comes_back_once() {
    let stage = Stage::new();
    let mut ada = stage
        .with("ada", "labeled-response batch echo-message")
        .await;
    let mut bob = stage.with("bob", "labeled-response batch").await;
    let one = ada.asks("@label=1 PING x", "PONG * *x").await;
    assert_eq!(one.tags(), ["label"]);
    assert_eq!(one.tag("label"), "1");
    let none = ada.asks("@label=2 PONG x", "ACK").await;
    assert_eq!(none.tag("label"), "2");

    let begin = ada
        .asks("@label=3 JOIN #lobby", "BATCH +* labeled-response")
        .await;
    assert_eq!(begin.tag("label"), "3");
    let reference = begin.message().params()[0]
        .trim_start_matches('+')
        .to_owned();
    loop {
        let line = ada.hear().await;
        if line.message().is("BATCH") {
            line.is(&format!("BATCH -{reference}"));
            break;
        }
        assert_eq!(line.tag("batch"), reference);
        assert_eq!(line.tags(), ["batch"]);
    }
    bob.joins("#lobby").await;
    ada.rest().await;

    ada.say("@label=4 PRIVMSG #lobby :hi").await;
    let echo = ada.hears(":ada!*@* PRIVMSG #lobby :hi").await;
    assert_eq!(echo.tag("label"), "4");
    assert!(bob.hears("PRIVMSG #lobby :hi").await.tags().is_empty());
    ada.say("@label=5 PRIVMSG bob :you").await;
    assert_eq!(ada.hears("PRIVMSG bob :you").await.tag("label"), "5");
    assert!(bob.hears("PRIVMSG bob :you").await.tags().is_empty());

    // To oneself it comes twice, and once with the label.
    ada.say("@label=6 PRIVMSG ada :me").await;
    let twice = [
        ada.hears("PRIVMSG ada :me").await,
        ada.hears("PRIVMSG ada :me").await,
    ];
    let labels = twice
        .iter()
        .filter(|heard| heard.tags() == ["label"])
        .count();
    assert_eq!(labels, 1);
    ada.asks("@label=7 FOO", "421 ada FOO :*").await;
    ada.hears_nothing().await;
}

#[tokio::test]
async fn who_is_logged_in_is_seen() {
    let stage = Stage::new();
    stage.user("ada", "correct horse").await;
    let mut bob = stage
        .with("bob", "extended-join account-tag away-notify multi-prefix")
        .await;
    bob.joins("#lobby").await;
    let mut ada = stage.connect().await;
    ada.say("PASS :correct horse").await;
    ada.registers("ada").await;
    ada.joins("#lobby").await;
    bob.hears(":ada!*@* JOIN #lobby ada :ada").await;
    ada.say("PRIVMSG #lobby :hi").await;
    assert_eq!(bob.hears("PRIVMSG #lobby :hi").await.tag("account"), "ada");
    ada.ask("AWAY :tea").await;
    bob.hears(":ada!*@* AWAY :tea").await;
    ada.ask("AWAY").await;
    bob.hears(":ada!*@* AWAY").await;

    let mut guest = stage.person("guest1").await;
    guest.joins("#lobby").await;
    bob.hears(
        ":guest1!*@* JOIN #lobby \\* :guest1"
            .replace('\\', "")
            .as_str(),
    )
    .await;
    guest.say("PRIVMSG #lobby :hi").await;
    assert!(bob.hears("PRIVMSG #lobby :hi").await.tags().is_empty());
}

#[tokio::test]
async fn what_was_said_is_taken_back() {
    let stage = Stage::new();
    let capabilities = "message-tags draft/message-redaction";
    let echo = format!("{capabilities} echo-message");
    let (mut ada, mut bob) = (
        stage.with("ada", &echo).await,
        stage.with("bob", capabilities).await,
    );
    let mut old = stage.with("old", "message-tags").await;
    for person in [&mut ada, &mut bob, &mut old] {
        person.joins("#club").await;
    }
    ada.rest().await;
    bob.rest().await;
    bob.say("PRIVMSG #club :hasty").await;
    let id = ada.hears("PRIVMSG #club :hasty").await.tag("msgid");
    old.hears("PRIVMSG #club :hasty").await;
    // By who said it: who has echoes hears of it too, who does not know the word hears nothing.
    bob.say(&format!("REDACT #club {id} :sorry")).await;
    ada.hears(&format!(":bob!*@* REDACT #club {id}")).await;
    bob.asks(
        &format!("REDACT #club {id}"),
        &format!("FAIL REDACT UNKNOWN_MSGID #club {id} :*"),
    )
    .await;
    old.asks(&format!("REDACT #club {id}"), "421 old REDACT :*")
        .await;
    // By who moderates the room.
    bob.say("PRIVMSG #club :rude").await;
    let id = ada.hears("PRIVMSG #club :rude").await.tag("msgid");
    old.hears("PRIVMSG #club :rude").await;
    ada.asks(
        &format!("REDACT #club {id}"),
        &format!(":ada!*@* REDACT #club {id}"),
    )
    .await;
    bob.hears(&format!(":ada!*@* REDACT #club {id}")).await;
    // By nobody else.
    ada.asks("PRIVMSG #club :mine", "PRIVMSG #club :mine").await;
    let id = bob.hears("PRIVMSG #club :mine").await.tag("msgid");
    old.hears("PRIVMSG #club :mine").await;
    bob.asks(
        &format!("REDACT #club {id}"),
        &format!("FAIL REDACT REDACT_FORBIDDEN #club {id} :*"),
    )
    .await;
    for (line, answer) in [
        (
            format!("REDACT #nowhere {id}"),
            "UNKNOWN_MSGID #nowhere *".to_owned(),
        ),
        (
            "REDACT #club 1-1@#club".to_owned(),
            "UNKNOWN_MSGID #club *".to_owned(),
        ),
        (
            "REDACT #club nonsense".to_owned(),
            "UNKNOWN_MSGID #club nonsense *".to_owned(),
        ),
        (format!("REDACT #%% {id}"), "INVALID_TARGET *".to_owned()),
        (
            format!("REDACT nobody {}", id.replace("@club", "@@a+b")),
            "INVALID_TARGET nobody *".to_owned(),
        ),
    ] {
        bob.asks(&line, &format!("FAIL REDACT {answer}")).await;
    }
    bob.asks("REDACT #club", "461 bob REDACT :*").await;
    bob.asks("REDACT", "461 bob REDACT :*").await;
    // Between two.
    bob.say("PRIVMSG ada :psst").await;
    let id = ada.hears("PRIVMSG ada :psst").await.tag("msgid");
    bob.say(&format!("REDACT ada {id}")).await;
    ada.hears(&format!(":bob!*@* REDACT ada {id}")).await;
    old.hears_nothing().await;
    // And in history it is not there any more.
    ada.wants("batch draft/chathistory").await;
    let history = ada.ask("CHATHISTORY LATEST #club * 50").await;
    assert!(history.iter().any(|heard| heard.line().contains(":mine")));
    assert!(!history.iter().any(|heard| heard.line().contains(":rude")));
}

/// Who somebody is does not change while they are connected: who logs in comes anew, and is told of so.
#[tokio::test]
async fn there_is_no_account_that_changes_unheard() {
    let stage = Stage::new();
    stage.user("ada", "correct horse").await;
    let mut bob = stage.with("bob", "account-notify extended-join sasl").await;
    bob.joins("#lobby").await;
    let mut ada = stage.login("ada", "sasl").await;
    ada.joins("#lobby").await;
    bob.hears(":ada!*@* JOIN #lobby ada :ada").await;
    ada.asks("AUTHENTICATE PLAIN", "907 ada :*").await;
    bob.asks("AUTHENTICATE PLAIN", "907 bob :*").await;
    ada.hears_nothing().await;
}

//! CHATHISTORY.

use crate::Stage;
use crate::talk::{Heard, Person};

const CAPABILITIES: &str =
    "message-tags server-time echo-message batch labeled-response draft/chathistory";

/// The messages of a batch of history, without the batch.
async fn asked(person: &mut Person, question: &str) -> Vec<Heard> {
    let mut lines = person.ask(&format!("CHATHISTORY {question}")).await;
    assert!(
        lines.len() >= 2,
        "{question}: {:?}",
        lines.first().map(Heard::line)
    );
    let begin = lines.remove(0).is("BATCH +* chathistory *");
    let reference = begin.message().params()[0]
        .trim_start_matches('+')
        .to_owned();
    let end = lines.pop().expect("an end");
    end.is(&format!("BATCH -{reference}"));
    assert!(lines.iter().all(|line| line.tag("batch") == reference));
    lines
}

fn texts(lines: &[Heard]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.message().params()[1].to_owned())
        .collect()
}

#[tokio::test]
async fn history_is_asked_for_in_every_way() {
    let stage = Stage::new();
    let mut ada = stage.with("ada", CAPABILITIES).await;
    ada.joins("#club").await;
    let mut said = Vec::new();
    for n in 0..10 {
        ada.say(&format!("PRIVMSG #club :{n}")).await;
        said.push(ada.hears(&format!("PRIVMSG #club :{n}")).await);
        // So that no two messages have the same time.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let id = |n: usize| format!("msgid={}", said[n].tag("msgid"));
    let time = |n: usize| format!("timestamp={}", said[n].tag("time"));
    let numbers = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>();

    let all = asked(&mut ada, "LATEST #club * 50").await;
    assert_eq!(texts(&all), numbers(0..10));
    for (now, then) in all.iter().zip(&said) {
        assert_eq!(now.tag("msgid"), then.tag("msgid"));
        assert_eq!(now.tag("time"), then.tag("time"));
        assert_eq!(now.line(), then.line());
    }
    for (question, expected) in [
        ("LATEST #club * 5".to_owned(), 5..10),
        (format!("LATEST #club {} 50", id(4)), 5..10),
        (format!("LATEST #club {} 50", time(4)), 5..10),
        (format!("LATEST #club {} 2", id(4)), 8..10),
        (format!("BEFORE #club {} 50", id(6)), 0..6),
        (format!("BEFORE #club {} 50", time(6)), 0..6),
        (format!("BEFORE #club {} 2", time(6)), 4..6),
        (format!("AFTER #club {} 50", id(3)), 4..10),
        (format!("AFTER #club {} 50", time(3)), 4..10),
        (format!("AFTER #club {} 3", id(3)), 4..7),
        (format!("BETWEEN #club {} {} 50", id(0), id(9)), 1..9),
        (format!("BETWEEN #club {} {} 50", id(9), id(0)), 1..9),
        (format!("BETWEEN #club {} {} 3", id(0), id(9)), 1..4),
        (format!("BETWEEN #club {} {} 3", id(9), id(0)), 6..9),
        (format!("BETWEEN #club {} {} 3", time(0), time(9)), 1..4),
        (format!("BETWEEN #club {} {} 3", time(9), time(0)), 6..9),
        (format!("AROUND #club {} 1", id(7)), 7..8),
        (format!("AROUND #club {} 3", id(7)), 6..9),
        (format!("AROUND #club {} 3", time(7)), 6..9),
    ] {
        let found = asked(&mut ada, &question).await;
        assert_eq!(texts(&found), numbers(expected), "{question}");
    }
}

#[tokio::test]
async fn what_is_no_history() {
    let stage = Stage::new();
    let mut ada = stage
        .with("ada", &format!("{CAPABILITIES} standard-replies"))
        .await;
    let mut bob = stage.person("bob").await;
    bob.joins("#club").await;
    ada.asks(
        "CHATHISTORY LATEST #nowhere * 5",
        "FAIL CHATHISTORY INVALID_TARGET LATEST #nowhere :*",
    )
    .await;
    // Nor is it told that a room is there, to who is not in it.
    ada.asks(
        "CHATHISTORY LATEST #club * 5",
        "FAIL CHATHISTORY INVALID_TARGET LATEST #club :*",
    )
    .await;
    ada.asks(
        "CHATHISTORY FOO #club * 5",
        "FAIL CHATHISTORY UNKNOWN_COMMAND FOO :*",
    )
    .await;
    ada.asks(
        "CHATHISTORY LATEST #club",
        "FAIL CHATHISTORY NEED_MORE_PARAMS LATEST :*",
    )
    .await;
    ada.asks(
        "CHATHISTORY LATEST #club * x",
        "FAIL CHATHISTORY INVALID_PARAMS LATEST *",
    )
    .await;
}

#[tokio::test]
async fn direct_messages_have_a_history() {
    let stage = Stage::new();
    stage.user("ada", "correct horse").await;
    stage.user("bob", "correct horse").await;
    let mut ada = stage.login("ada", CAPABILITIES).await;
    let mut bob = stage.login("bob", CAPABILITIES).await;
    ada.say("PRIVMSG bob :one").await;
    ada.hears("PRIVMSG bob :one").await;
    bob.hears("PRIVMSG bob :one").await;
    bob.say("PRIVMSG ada :two").await;
    bob.hears("PRIVMSG ada :two").await;
    ada.hears("PRIVMSG ada :two").await;
    assert_eq!(
        texts(&asked(&mut ada, "LATEST bob * 10").await),
        ["one", "two"]
    );
    assert_eq!(
        texts(&asked(&mut bob, "LATEST ADA * 10").await),
        ["one", "two"]
    );
    let found = bob
        .ask("CHATHISTORY TARGETS timestamp=2000-01-01T00:00:00.000Z timestamp=2100-01-01T00:00:00.000Z 10")
        .await;
    assert!(
        found
            .iter()
            .any(|line| line.line().contains("CHATHISTORY TARGETS ada "))
    );
}

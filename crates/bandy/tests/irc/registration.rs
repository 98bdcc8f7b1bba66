//! From the first line to the welcome, and the end.

use crate::{Person, Stage};

#[tokio::test]
async fn a_client_is_welcomed_as_every_other_server_does_it() {
    let stage = Stage::new();
    let mut ada = stage.connect().await;
    ada.say("NICK ada").await;
    ada.say("USER ada 0 * :Ada Lovelace").await;
    ada.hears("001 ada :Welcome *").await;
    ada.hears("002 ada :*").await;
    ada.hears("003 ada :*").await;
    ada.hears("004 ada *").await;
    let supported = "005 ada * :are supported by this server";
    let first = ada.hears(supported).await;
    let second = ada.hears(supported).await;
    let tokens = format!("{} {}", first.line(), second.line());
    for token in [
        "CASEMAPPING=ascii",
        "CHANTYPES=#",
        "PREFIX=(ov)@+",
        "UTF8ONLY",
    ] {
        assert!(tokens.contains(token), "{token}: {tokens}");
    }
    ada.until("251 ada :*").await;
    ada.until("375 ada :*").await;
    ada.until("372 ada :*").await;
    ada.until("376 ada :*").await;
    ada.hears_nothing().await;

    ada.asks("LUSERS", "251 ada :*").await;
    ada.until("255 ada :*").await;
    ada.rest().await;
    ada.say("QUIT :bye").await;
    ada.is_sent_away("*bye*").await;
}

#[tokio::test]
async fn a_nick_has_one_owner() {
    let stage = Stage::new();
    let mut ada = stage.person("ada").await;
    let mut other = stage.connect().await;
    other.asks("NICK ADA", "433 * ADA :*").await;
    other.say("USER x 0 * :x").await;
    for bad in ["*", "a b", "#lobby", "irc!x", "a@b", &"x".repeat(60)] {
        other.asks(&format!("NICK :{bad}"), "432 *").await;
    }
    other.asks("NICK", "431 *").await;
    other.asks("NICK :", "431 *").await;
    other.say("NICK bob").await;
    other.until("001 bob *").await;
    other.until("376 *").await;
    other.asks("NICK ada", "433 bob ada :*").await;
    ada.hears_nothing().await;

    // Another case is the same nick, and still one's own.
    ada.asks("NICK Ada", ":ada!*@* NICK *Ada").await;
    ada.say("NICK Ada").await;
    ada.hears_nothing().await;
    ada.asks("NICK eve", ":Ada!*@* NICK *eve").await;
    other.asks("NICK ada", ":bob!*@* NICK *ada").await;
}

#[tokio::test]
async fn who_is_not_welcomed_yet_says_little() {
    let stage = Stage::new();
    let mut client = stage.connect().await;
    for command in ["JOIN #lobby", "PRIVMSG ada :hi", "WHO *", "FOO"] {
        client.asks(command, "451 *").await;
    }
    client
        .asks("PING :still there", "PONG * :still there")
        .await;
    client.asks("USER ada 0 *", "461 * USER :*").await;
    client.asks("USER ada 0 * :", "461 * USER :*").await;
    client.say("QUIT").await;
    client.is_sent_away("*").await;
}

#[tokio::test]
async fn what_is_no_command() {
    let stage = Stage::new();
    let mut ada = stage.person("ada").await;
    ada.asks("FOO bar", "421 ada FOO :*").await;
    ada.asks("USER x 0 * :x", "462 ada :*").await;
    ada.asks("PASS x", "462 ada :*").await;
    ada.asks("JOIN", "461 ada JOIN :*").await;
    ada.asks("PING", "461 ada PING :*").await;
    ada.asks(
        &format!("PRIVMSG #lobby :{}", "x".repeat(600)),
        "417 ada :*",
    )
    .await;
    ada.send("\r\n\n  \r\nPING :bare line feeds\n").await;
    ada.hears("PONG * :bare line feeds").await;
    ada.send(b"PRIVMSG #lobby :\xff\xfe\r\n").await;
    ada.hears("FAIL PRIVMSG INVALID_UTF8 :*").await;
    ada.send("PRIVMSG #lobby :a\0b\r\n").await;
    ada.hears_nothing().await;
    ada.send("x".repeat(100_000)).await;
    ada.send("\r\n").await;
    ada.until("417 ada :*").await;
    ada.hears_nothing().await;
}

#[tokio::test]
async fn capabilities_are_asked_for_before_and_after_the_welcome() {
    let stage = Stage::new();
    let mut ada = stage.connect().await;
    ada.say("CAP LS 302").await;
    let offered = ada.hears("CAP * LS *").await;
    for capability in [
        "sasl=PLAIN",
        "server-time",
        "echo-message",
        "draft/chathistory",
    ] {
        assert!(offered.line().contains(capability), "{}", offered.line());
    }
    ada.say("NICK ada").await;
    ada.say("USER ada 0 * :Ada").await;
    ada.asks(
        "CAP REQ :server-time nonsense",
        "CAP * NAK :server-time nonsense",
    )
    .await;
    ada.asks("CAP REQ :server-time batch", "CAP * ACK :server-time batch")
        .await;
    ada.asks("CAP FOO", "410 * FOO :*").await;
    ada.say("CAP END").await;
    ada.hears("001 ada *").await;
    ada.until("376 *").await;
    ada.asks("CAP REQ :-batch", "CAP ada ACK *-batch").await;
    let has = ada.asks("CAP LIST", "CAP ada LIST :*").await;
    assert!(has.line().contains("server-time") && !has.line().contains("batch"));
}

#[tokio::test]
async fn a_user_logs_in_with_sasl() {
    let stage = Stage::new();
    stage.user("jilles", "sesame is good").await;
    let mut client = stage.connect().await;
    client.say("CAP LS 302").await;
    client.wants("sasl").await;
    client.asks("AUTHENTICATE FOO", "908 * PLAIN :*").await;
    client.hears("904 * :*").await;
    client.asks("AUTHENTICATE PLAIN", "AUTHENTICATE +").await;
    client.asks("AUTHENTICATE *", "906 * :*").await;
    client.asks("AUTHENTICATE PLAIN", "AUTHENTICATE +").await;
    client.authenticates("jilles", "wrong").await;
    client.hears("904 * :*").await;
    client.asks("AUTHENTICATE PLAIN", "AUTHENTICATE +").await;
    client.authenticates("jilles", "sesame is good").await;
    client.hears("900 * * jilles :*").await;
    client.hears("903 * :*").await;
    client.asks("AUTHENTICATE PLAIN", "907 * :*").await;
    client.registers("jilles").await;
    let whois = client.ask("WHOIS jilles").await;
    assert!(whois.iter().any(|line| line.line().contains(" 330 ")));
}

#[tokio::test]
async fn pass_is_a_login_too() {
    let stage = Stage::new();
    stage.user("ada", "correct horse").await;
    let mut ada = stage.connect().await;
    ada.say("PASS :correct horse").await;
    ada.registers("ada").await;

    // With another nick, the user's name stands before the password.
    let mut other = stage.connect().await;
    other.say("PASS :ada:correct horse").await;
    other.say("NICK lovelace").await;
    other.say("USER x 0 * :x").await;
    other.until("001 ada :*").await;
    other.until("376 *").await;

    // Both are one person: they share rooms, and hear each other.
    ada.joins("#lobby").await;
    other.until(":ada!*@* JOIN *#lobby").await;
    other.rest().await;
    other.say("PRIVMSG #lobby :from the other one").await;
    ada.hears(":ada!ada@user/ada PRIVMSG #lobby :from the other one")
        .await;
    other.hears_nothing().await;
    ada.asks("NICK lovelace", "902 ada lovelace :*").await;

    let mut wrong = stage.connect().await;
    wrong.say("PASS :wrong").await;
    wrong.say("NICK eve").await;
    wrong.say("USER ada 0 * :x").await;
    wrong.until("464 * :*").await;
    wrong.is_sent_away("*").await;
}

#[tokio::test]
async fn a_users_name_is_nobody_elses_nick() {
    let stage = Stage::new();
    stage.user("ada", "correct horse").await;
    let mut guest = stage.connect().await;
    guest.say("NICK ada").await;
    guest.say("USER x 0 * :x").await;
    guest.until("433 * ada :*").await;
    guest.say("NICK eve").await;
    guest.until("001 eve *").await;
}

#[tokio::test]
async fn without_guests_one_logs_in() {
    let stage = Stage::without_guests();
    stage.user("ada", "correct horse").await;
    let mut guest = stage.connect().await;
    guest.say("NICK eve").await;
    guest.say("USER x 0 * :x").await;
    guest.is_sent_away("*").await;
    let mut ada = stage.connect().await;
    ada.say("PASS :correct horse").await;
    ada.registers("ada").await;
}

impl Person {
    async fn authenticates(&mut self, user: &str, password: &str) {
        for piece in bandy::wire::irc::sasl::plain_pieces("", user, password) {
            self.say(&format!("AUTHENTICATE {piece}")).await;
        }
    }
}

//! Rooms: who is in them, what is said there, and who may do what.

use crate::Stage;

#[tokio::test]
async fn two_people_talk() {
    let stage = Stage::new();
    let mut ada = stage.person("ada").await;
    ada.asks("JOIN #lobby", ":ada!*@* JOIN *#lobby").await;
    ada.until("353 ada = #lobby :*ada").await;
    ada.hears("366 ada #lobby :*").await;
    ada.rest().await;
    let mut bob = stage.person("bob").await;
    bob.joins("#Lobby").await;
    ada.hears(":bob!*@* JOIN *#lobby").await;

    ada.say("PRIVMSG #lobby :hello, bob").await;
    bob.hears(":ada!*@* PRIVMSG #lobby :hello, bob").await;
    ada.hears_nothing().await;
    bob.say("NOTICE #LOBBY :noted").await;
    ada.hears(":bob!*@* NOTICE #lobby :noted").await;
    bob.say("PRIVMSG ada :between us").await;
    ada.hears(":bob!*@* PRIVMSG ada :between us").await;
    ada.say("PRIVMSG bob,#lobby :both").await;
    bob.hears(":ada!*@* PRIVMSG bob :both").await;
    bob.hears(":ada!*@* PRIVMSG #lobby :both").await;
    bob.say("PRIVMSG #lobby :\u{1}ACTION waves\u{1}").await;
    ada.hears(":bob!*@* PRIVMSG #lobby :\u{1}ACTION waves\u{1}")
        .await;

    bob.asks("PART #lobby :enough", ":bob!*@* PART #lobby*")
        .await;
    ada.hears(":bob!*@* PART #lobby*").await;
    bob.asks("PART #lobby", "442 bob #lobby :*").await;
    bob.asks("PRIVMSG nobody :x", "401 bob nobody :*").await;
    bob.asks("PRIVMSG #nowhere :x", "404 bob #nowhere :*").await;
    bob.asks("PRIVMSG", "411 bob :*").await;
    bob.asks("PRIVMSG ada", "412 bob :*").await;
    bob.say("NOTICE nobody :x").await;
    bob.hears_nothing().await;
}

#[tokio::test]
async fn a_nick_that_changes_is_seen_by_those_who_share_a_room() {
    let stage = Stage::new();
    let (mut ada, mut bob) = stage.two("#lobby").await;
    let mut eve = stage.person("eve").await;
    bob.asks("NICK robert", ":bob!*@* NICK *robert").await;
    ada.hears(":bob!*@* NICK *robert").await;
    eve.hears_nothing().await;
    ada.say("PRIVMSG robert :hi").await;
    bob.hears(":ada!*@* PRIVMSG robert :hi").await;
    bob.say("QUIT :gone").await;
    ada.hears(":robert!*@* QUIT *").await;
}

#[tokio::test]
async fn who_makes_a_room_owns_it() {
    let stage = Stage::new();
    let (mut ada, mut bob) = stage.two("#club").await;
    let names = ada.asks("NAMES #club", "353 ada = #club :*").await;
    assert!(
        names.line().contains("@ada") && names.line().contains(" bob")
            || names.line().contains(":bob")
    );
    ada.rest().await;

    bob.asks("MODE #club +i", "482 bob #club :*").await;
    bob.asks("KICK #club ada", "482 bob #club :*").await;
    ada.asks("MODE #club +o bob", ":ada!*@* MODE #club +o bob")
        .await;
    bob.hears("MODE #club +o bob").await;
    bob.asks("MODE #club +it", ":bob!*@* MODE #club +i*").await;
    ada.until("MODE #club +i*").await;
    bob.rest().await;
    ada.rest().await;
    let modes = ada.asks("MODE #club", "324 ada #club +*").await;
    assert!(modes.line().contains('i'), "{}", modes.line());
    ada.rest().await;
    ada.asks("MODE #club +o nobody", "401 ada nobody :*").await;
    ada.asks("MODE #club +z", "472 ada z :*").await;
    ada.asks("MODE #nowhere", "403 ada #nowhere :*").await;
    ada.asks("MODE #club -o bob", "MODE #club -o*").await;
    bob.hears("MODE #club -o*").await;
}

#[tokio::test]
async fn doors_that_are_closed() {
    let stage = Stage::new();
    let mut ada = stage.person("ada").await;
    let mut bob = stage.person("bob").await;
    ada.joins("#club").await;
    ada.asks("MODE #club +i", "MODE #club +i").await;
    bob.asks("JOIN #club", "473 bob #club :*").await;
    ada.asks("INVITE bob #club", "341 ada bob #club").await;
    bob.hears(":ada!*@* INVITE bob *#club").await;
    bob.joins("#club").await;
    ada.hears(":bob!*@* JOIN *#club").await;

    ada.asks("KICK #club bob :out", ":ada!*@* KICK #club bob :out")
        .await;
    bob.hears(":ada!*@* KICK #club bob :out").await;
    ada.asks("MODE #club -i+k sesame", "MODE #club *").await;
    ada.rest().await;
    bob.asks("JOIN #club", "475 bob #club :*").await;
    bob.asks("JOIN #club wrong", "475 bob #club :*").await;
    bob.joins("#club sesame").await;
    ada.hears(":bob!*@* JOIN *#club").await;

    ada.asks("MODE #club +q bob", "MODE #club +q *!*@guest/*")
        .await;
    bob.hears("MODE #club +q *").await;
    bob.asks("PRIVMSG #club :x", "404 bob #club :*").await;
    ada.asks("MODE #club q", "728 ada #club q *@guest/* ada *")
        .await;
    ada.hears("729 ada #club q :*").await;
    ada.asks("MODE #club -q bob", "MODE #club -q *").await;

    // Who is banned is put out.
    ada.asks("MODE #club +b bob", "MODE #club +b *").await;
    ada.hears("KICK #club bob *").await;
    bob.until("MODE #club +b *").await;
    bob.hears(":ada!*@* KICK #club bob *").await;
    ada.asks("MODE #club b", "367 ada #club *@guest/* ada *")
        .await;
    ada.hears("368 ada #club :*").await;
    ada.asks("MODE #club +b a*!*@*", "696 ada #club b a*!*@* :*")
        .await;
    bob.asks("JOIN #club sesame", "474 bob #club :*").await;
    ada.say("MODE #club -bk bob sesame").await;
    ada.until("MODE #club *").await;
    ada.rest().await;
    bob.joins("#club").await;
}

#[tokio::test]
async fn several_are_put_out_at_once() {
    let stage = Stage::new();
    let (mut ada, mut bob) = stage.two("#club").await;
    let mut eve = stage.person("eve").await;
    eve.joins("#club").await;
    bob.rest().await;
    ada.rest().await;
    ada.asks("KICK #club bob,eve", ":ada!*@* KICK #club bob :ada")
        .await;
    ada.hears(":ada!*@* KICK #club eve :ada").await;
    for person in [&mut bob, &mut eve] {
        person.joins("#club").await;
    }
    ada.rest().await;
    ada.asks("KICK #club,#club bob,eve :out", "KICK #club bob :out")
        .await;
    ada.hears("KICK #club eve :out").await;
    ada.asks("KICK #club bob", "441 ada bob #club :*").await;
    ada.asks("KICK #club nobody", "401 ada nobody :*").await;
    ada.asks("KICK #nowhere bob", "403 ada #nowhere :*").await;
}

#[tokio::test]
async fn a_topic_is_shown_to_all_and_kept() {
    let stage = Stage::new();
    let (mut ada, mut bob) = stage.two("#club").await;
    ada.asks("TOPIC #club", "331 ada #club :*").await;
    ada.asks(
        "TOPIC #club :all about \u{2}engines\u{2}",
        ":ada!*@* TOPIC #club :all about engines",
    )
    .await;
    bob.hears(":ada!*@* TOPIC #club :all about engines").await;
    bob.asks("TOPIC #club", "332 bob #club :all about engines")
        .await;
    bob.hears("333 bob #club ada* *").await;
    let mut eve = stage.person("eve").await;
    eve.say("JOIN #club").await;
    eve.until("332 eve #club :all about engines").await;
    eve.rest().await;
    eve.asks("TOPIC #nowhere", "403 eve #nowhere :*").await;
}

#[tokio::test]
async fn who_is_there() {
    let stage = Stage::new();
    let (mut ada, mut bob) = stage.two("#club").await;
    ada.asks("WHO #club", "352 ada #club * ada H@ :0 ada").await;
    ada.until("315 ada #club :*").await;
    bob.asks("AWAY :lunch", "306 bob :*").await;
    ada.asks("PRIVMSG bob :there?", "301 ada bob :lunch").await;
    bob.until("PRIVMSG bob :there?").await;
    ada.asks(
        "WHOIS bob",
        "311 ada bob * * \\* :*".replace('\\', "").as_str(),
    )
    .await;
    let rest: Vec<String> = ada
        .rest()
        .await
        .iter()
        .map(|h| h.line().to_owned())
        .collect();
    let has = |what: &str| rest.iter().any(|line| line.contains(what));
    assert!(
        has(" 301 ada bob :lunch") && has("#club") && has(" 318 "),
        "{rest:?}"
    );
    ada.asks("USERHOST bob ada", "302 ada :bob=-*@* ada=+*@*")
        .await;
    bob.asks("AWAY", "305 bob :*").await;
    ada.asks("ISON bob eve ada", "303 ada :bob ada").await;
    ada.asks("WHOIS nobody", "401 ada nobody :*").await;
    ada.until("318 ada nobody :*").await;
    ada.say("LIST").await;
    ada.until("322 ada #club 2 :*").await;
    ada.until("323 ada :*").await;
    bob.say("QUIT").await;
    ada.until(":bob!*@* QUIT*").await;
    ada.asks("WHOWAS bob", "314 ada bob *").await;
    ada.until("369 ada bob :*").await;
}

#[tokio::test]
async fn what_a_server_says_of_itself() {
    let stage = Stage::new();
    let mut ada = stage.person("ada").await;
    ada.asks("VERSION", "351 ada bandy-* * :*").await;
    ada.rest().await;
    ada.asks("TIME", "391 ada * :*").await;
    ada.asks("INFO", "371 ada :*").await;
    ada.until("374 ada :*").await;
    ada.asks("MOTD", "375 ada :*").await;
    ada.until("376 ada :*").await;
    ada.asks("MODE ada", "221 ada +*").await;
    ada.asks("MODE bob", "502 ada :*").await;
}

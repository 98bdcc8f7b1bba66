//! Lines, and programs beside them in the same room.

use serde_json::json;

use super::{Chat, quick};

#[tokio::test]
async fn people_at_terminals_and_programs_talk_in_one_room() {
    let chat = Chat::start(quick());
    let mut ada = chat.person().await;
    ada.types("/nick ada").await;
    ada.hears("guest-1 is now called ada").await;
    let mut bot = chat.guest("bot").await;
    ada.hears("[lobby] * bot came in").await;

    ada.types("Hello, bot").await;
    let message = bot.hears("message").await;
    assert_eq!(
        (&message["text"], &message["from"]["nick"]),
        (&json!("Hello, bot"), &json!("ada"))
    );
    bot.ok(json!({"do": "say", "room": "lobby", "text": "Hello, ada"}))
        .await;
    assert_eq!(ada.hears("Hello, ada").await, "[lobby] <bot> Hello, ada");
    bot.ok(json!({"do": "say", "nick": "ada", "text": "psst"}))
        .await;
    assert_eq!(ada.hears("psst").await, "[to you] <bot> psst");
    ada.types("/msg bot yes?").await;
    let message = bot.hears("message").await;
    assert_eq!(
        message["text"], "psst",
        "one's own message comes back in its place"
    );
    assert_eq!(bot.hears("message").await["to"]["nick"], "bot");

    ada.types("/quit good night").await;
    ada.hears("Goodbye.").await;
    assert_eq!(bot.hears("quit").await["reason"], "good night");
}

#[tokio::test]
async fn every_command_answers() {
    let chat = Chat::start(quick());
    chat.register("ada", "correct horse").await;
    let mut ada = chat.person().await;
    let mut bob = chat.person().await;
    bob.types("/nick bob").await;
    bob.hears("now called bob").await;
    ada.types("/help").await;
    ada.hears("/join ROOM").await;
    ada.types("/frobnicate").await;
    ada.hears("! there is no /frobnicate").await;
    ada.types("/login ada wrong horse").await;
    ada.hears("! name or password is wrong").await;
    ada.types("/login ada correct horse").await;
    ada.hears("You are ada").await;
    ada.types("/join #Dev").await;
    ada.hears("[dev] 1 here: ~ada").await;
    ada.types("/topic all about it").await;
    ada.hears("[dev] * ada sets the topic: all about it").await;
    bob.types("/join dev").await;
    bob.hears("[dev] topic: all about it (by ada)").await;
    bob.types("one two three").await;
    ada.hears("[dev] <bob> one two three").await;
    bob.types("/me waves").await;
    ada.hears("[dev] * bob waves").await;
    bob.types("/kick ada").await;
    bob.hears("! only a moderator of dev may do that").await;
    ada.types("/history").await;
    let line = ada.hears("one two three").await;
    assert!(line.starts_with("#3 "), "{line}");
    ada.types("/search THREE one").await;
    ada.hears("<bob> one two three").await;
    bob.types("/edit 3 four").await;
    ada.hears("* bob says #3 otherwise: four").await;
    ada.types("/delete 3").await;
    bob.hears("* ada takes back #3").await;
    bob.types("/away lunch").await;
    ada.hears("* bob is away: lunch").await;
    ada.types("/whois bob").await;
    ada.hears("* bob is a guest").await;
    ada.types("/mute bob 10m").await;
    bob.hears("* ada mutes").await;
    bob.types("hello?").await;
    bob.hears("! you are muted in dev").await;
    ada.types("/unmute bob").await;
    bob.hears("speak again").await;
    ada.types("/set moderated on").await;
    bob.hears("sets moderated on").await;
    ada.types("/voice bob").await;
    bob.hears("makes bob voice").await;
    bob.types("may I").await;
    ada.hears("[dev] <bob> may I").await;
    ada.types("/ban bob 1h being bob").await;
    bob.hears("puts bob out (being bob)").await;
    bob.hears("* you speak in lobby now").await;
    bob.types("/join dev").await;
    bob.hears("! you are banned from dev: being bob").await;
    ada.types("/rooms").await;
    ada.hears("dev (1 here): all about it").await;
    ada.types("/part").await;
    ada.hears("* you speak in lobby now").await;
}

#[tokio::test]
async fn where_there_are_no_guests_one_logs_in_first() {
    let mut options = quick();
    options.rules.guests = false;
    let chat = Chat::start(options);
    chat.register("ada", "correct horse").await;
    let mut ada = super::Person {
        conn: chat
            .stage
            .connect(&chat.at(bandy::endpoint::Scheme::Tcp))
            .await,
        held: String::new(),
    };
    ada.hears("/login").await;
    ada.types("hello").await;
    ada.hears("! type /login").await;
    ada.types("/login ada correct horse").await;
    ada.hears("[lobby] 1 here: ada").await;
}

//! A client whose connection is cut again and again hears everything once and in order.

use std::time::Duration;

use bandy::client::chat::{Chat as ChatClient, Heard, Options};
use bandy::endpoint::{Endpoint, Scheme};
use bandy::net::Dialer;
use bandy::services::chat::json::wire::{Happening, Is, Logged};
use bandy_testkit::within;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::{Chat, quick};

/// Passes connections on to `to`, and cuts each after so many bytes of answers, a number from the seed.
pub async fn cutting(to: Endpoint, mut seed: u64) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let address = to.socket_addr().expect("an address");
    let mut count = 0;
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // Longer each time: what was missed meanwhile comes in one message, which must pass at last.
            count += 1;
            let most = 2_000 + (seed >> 33) % 12_000 + count * 1_000;
            tokio::spawn(async move {
                let Ok(mut far) = TcpStream::connect(address).await else {
                    return;
                };
                let (mut near_in, mut near_out) = near.split();
                let (far_in, mut far_out) = far.split();
                let mut far_in = tokio::io::AsyncReadExt::take(far_in, most);
                tokio::select! {
                    _ = tokio::io::copy(&mut near_in, &mut far_out) => {}
                    _ = tokio::io::copy(&mut far_in, &mut near_out) => {}
                }
            });
        }
    });
    format!("ws://127.0.0.1:{port}")
        .parse()
        .expect("an endpoint")
}

pub fn options(to: Endpoint) -> Options {
    let mut options = Options::new(to).guest("ada").room("lobby");
    options.pause = Duration::from_millis(1);
    options.pause_max = Duration::from_millis(5);
    options
}

/// The next thing that was said.
pub async fn said(heard: &mut tokio::sync::mpsc::Receiver<Heard>, cuts: &mut u32) -> Logged {
    loop {
        match heard.recv().await.expect("it goes on") {
            Heard::Happening(Happening::Logged(entry)) => return entry,
            Heard::Lost(room) => panic!("lost some of {room}"),
            Heard::Over(why) => panic!("over: {why}"),
            Heard::Broken(..) => *cuts += 1,
            _ => {}
        }
    }
}

#[tokio::test]
async fn whoever_is_cut_again_and_again_hears_everything_once_and_in_order() {
    const COUNT: u64 = 300;
    let chat = Chat::start(quick());
    let to = cutting(chat.at(Scheme::Ws), 42).await;
    let (client, mut heard) = ChatClient::begin(Dialer::plain(), options(to));
    let mut cuts = 0;
    let mut bob = chat.guest("bob").await;
    let talking = async {
        for n in 0..COUNT {
            bob.ok(json!({"do": "say", "room": "lobby", "text": n.to_string()}))
                .await;
        }
    };
    let listening = async {
        let (mut last, mut next) = (None, 0);
        while next < COUNT {
            let entry = said(&mut heard, &mut cuts).await;
            if let Some(last) = last {
                assert_eq!(entry.at.seq, last + 1, "no gap, nothing twice");
            }
            last = Some(entry.at.seq);
            if let Is::Message { text, .. } = entry.what {
                assert_eq!(text, next.to_string());
                next += 1;
            }
        }
    };
    within("all of it", async { tokio::join!(talking, listening) }).await;
    assert!(cuts > 3, "it was cut {cuts} times");
    drop(client);
}

#[tokio::test]
async fn what_is_said_over_a_line_that_breaks_is_said_once() {
    const COUNT: usize = 60;
    let chat = Chat::start(quick());
    let to = cutting(chat.at(Scheme::Ws), 7).await;
    let (client, mut heard) = ChatClient::begin(Dialer::plain(), options(to));
    let mut cuts = 0;
    let talking = async {
        for n in 0..COUNT {
            client
                .say("lobby", &n.to_string())
                .await
                .expect("said at last");
        }
    };
    let listening = async {
        let mut texts = Vec::new();
        while texts.len() < COUNT {
            let entry = said(&mut heard, &mut cuts).await;
            if let Is::Message { text, .. } = entry.what {
                texts.push(text);
            }
        }
        texts
    };
    let (_, texts) = within("all of it", async { tokio::join!(talking, listening) }).await;
    let expected: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    assert_eq!(texts, expected);
    assert!(cuts > 0, "it was cut");
}

#[tokio::test]
async fn what_was_trimmed_is_said_to_be_lost() {
    let mut few = quick();
    few.history = 10;
    let chat = Chat::start(few);
    let mut bob = chat.guest("bob").await;
    let first = bob
        .ok(json!({"do": "say", "room": "lobby", "text": "first"}))
        .await;
    for n in 0..1_100 {
        bob.ok(json!({"do": "say", "room": "lobby", "text": n.to_string()}))
            .await;
    }
    let mut late = chat.program().await;
    late.ok(json!({"do": "enter"})).await;
    let after = json!({"epoch": first["epoch"], "seq": first["seq"]});
    let joined = late
        .ok(json!({"do": "join", "room": "lobby", "after": after}))
        .await;
    assert_eq!(joined["lost"], true);
    let other = json!({"epoch": 1, "seq": first["seq"]});
    let mut other_log = chat.program().await;
    other_log.ok(json!({"do": "enter"})).await;
    let joined = other_log
        .ok(json!({"do": "join", "room": "lobby", "after": other}))
        .await;
    assert_eq!(
        joined["lost"], true,
        "a place in another log is none in this"
    );
}

#[tokio::test]
async fn whoever_was_put_out_does_not_go_in_again_by_themselves() {
    let chat = Chat::start(quick());
    let mut bob = chat.guest("bob").await;
    bob.ok(json!({"do": "join", "room": "dev"})).await;
    let to = cutting(chat.at(Scheme::Ws), 1).await;
    let (client, mut heard) = ChatClient::begin(Dialer::plain(), options(to).room("dev"));
    let mut cuts = 0;
    bob.hears("joined").await;
    bob.ok(json!({"do": "kick", "room": "dev", "nick": "ada"}))
        .await;
    within("being put out", async {
        while !matches!(said(&mut heard, &mut cuts).await.what, Is::Kicked { .. }) {}
    })
    .await;
    // It is cut, and comes back, as often as that takes.
    let before = cuts;
    let long = "x".repeat(1_000);
    within("another connection", async {
        while cuts == before {
            client.say("lobby", &long).await.expect("said");
            said(&mut heard, &mut cuts).await;
        }
    })
    .await;
    client.say("lobby", "I am back").await.expect("said");
    let look = bob.ok(json!({"do": "look", "room": "dev"})).await;
    assert_eq!(look["room"]["members"].as_array().map(Vec::len), Some(1));
}

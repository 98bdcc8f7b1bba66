//! Changes as they happen: exactly what was missed, or that it is lost.

use std::sync::Arc;
use std::time::Duration;

use bandy::Service;
use bandy::http::Body;
use bandy::services::api::Options;
use serde_json::json;

use crate::{Ask, Stage, ask, get, post, together};

/// A client that follows.
struct Follower {
    body: Body,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    id: u64,
    name: String,
    data: serde_json::Value,
}

impl Follower {
    async fn new(stage: &Stage, asked: Ask) -> Follower {
        let response = stage.api.call(asked.0).await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Follower {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next event, past comments.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                if let (Some(id), Some(name), Some(data)) =
                    (field("id: "), field("event: "), field("data: "))
                {
                    let data = serde_json::from_str(&data).expect("JSON");
                    return Some(Event {
                        id: id.parse().expect("a number"),
                        name,
                        data,
                    });
                }
            }
            let waited = tokio::time::timeout(Duration::from_secs(20), self.body.data()).await;
            let data = waited.expect("in time").expect("a body")?;
            self.text.push_str(str::from_utf8(&data).expect("text"));
        }
    }
}

#[tokio::test]
async fn every_change_is_told_in_order() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    stage
        .ask(
            ask("PUT", "/records/things/before")
                .by(&ada)
                .json(json!({})),
        )
        .await
        .expect(201);
    let mut follower = Follower::new(&stage, get("/records/things/changes")).await;
    stage
        .ask(
            ask("PUT", "/records/things/tea")
                .by(&ada)
                .json(json!({"n": 1, "text": "a\nb"})),
        )
        .await
        .expect(201);
    stage
        .ask(
            ask("PATCH", "/records/things/tea")
                .by(&ada)
                .json(json!({"n": 2})),
        )
        .await
        .expect(200);
    stage
        .ask(ask("PUT", "/records/others/x").by(&ada).json(json!({})))
        .await
        .expect(201);
    stage
        .ask(ask("DELETE", "/records/things/tea").by(&ada))
        .await
        .expect(204);
    let created = follower.next().await.expect("an event");
    assert_eq!(
        (created.id, created.name.as_str(), &created.data["text"]),
        (2, "created", &json!("a\nb"))
    );
    let updated = follower.next().await.expect("an event");
    assert_eq!(
        (updated.id, updated.name.as_str(), &updated.data["n"]),
        (3, "updated", &json!(2))
    );
    let deleted = follower.next().await.expect("an event");
    assert_eq!((deleted.id, deleted.name.as_str()), (4, "deleted"));
    assert_eq!(deleted.data, json!({"_id": "tea", "_owner": "ada"}));
}

#[tokio::test]
async fn who_comes_back_gets_exactly_what_was_missed() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 60;

    let stage = Arc::new(Stage::new());
    let ada = stage.user("ada", &[]).await;
    let writers = together(WRITERS, |writer| {
        let (stage, ada) = (stage.clone(), ada.clone());
        async move {
            for n in 0..EACH {
                let sent = json!({"writer": writer, "n": n});
                stage
                    .ask(post("/records/things").by(&ada).json(sent))
                    .await
                    .expect(201);
            }
        }
    });
    // A client that loses its connection after every few events.
    let (mut last, mut seen) = (0, Vec::new());
    while seen.len() < (WRITERS * EACH) as usize {
        let asked = get("/records/things/changes").field("last-event-id", last.to_string());
        let mut follower = Follower::new(&stage, asked).await;
        for _ in 0..7 {
            if seen.len() == (WRITERS * EACH) as usize {
                break;
            }
            let event = follower.next().await.expect("an event");
            assert_eq!(event.id, last + 1, "no gap, nothing twice");
            last = event.id;
            seen.push((event.data["writer"].as_u64(), event.data["n"].as_u64()));
        }
    }
    for writer in writers {
        writer.join().expect("no panic");
    }
    // Each writer's changes are there, in its order.
    for writer in 0..WRITERS {
        let of_it: Vec<_> = seen
            .iter()
            .filter(|(w, _)| *w == Some(writer))
            .map(|(_, n)| n.expect("n"))
            .collect();
        assert_eq!(of_it, (0..EACH).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_list_says_where_to_follow_from() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    stage
        .ask(post("/records/things").by(&ada).json(json!({})))
        .await
        .expect(201);
    let list = stage.get("/records/things").await.expect(200);
    stage
        .ask(
            post("/records/things")
                .by(&ada)
                .json(json!({"second": true})),
        )
        .await
        .expect(201);
    let target = format!(
        "/records/things/changes?after={}&limit=1",
        list.json["changes"]
    );
    let mut follower = Follower::new(&stage, get(&target)).await;
    assert_eq!(
        follower.next().await.expect("an event").data["second"],
        true
    );
    assert_eq!(follower.next().await, None, "the limit ends it");
    for target in [
        "/records/things/changes?after=x",
        "/records/things/changes?after=-1",
    ] {
        stage.get(target).await.expect(422);
    }
    stage
        .ask(get("/records/things/changes").field("last-event-id", "x"))
        .await
        .expect(422);
}

#[tokio::test]
async fn lost_history_is_told() {
    let stage = Stage::with(Options {
        changes: 10,
        ..Options::default()
    });
    let ada = stage.user("ada", &[]).await;
    // Old entries are dropped once in 128.
    for n in 1..=130 {
        stage
            .ask(post("/records/things").by(&ada).json(json!({"n": n})))
            .await
            .expect(201);
    }
    let mut follower = Follower::new(
        &stage,
        get("/records/things/changes").field("last-event-id", "5"),
    )
    .await;
    let lost = follower.next().await.expect("an event");
    assert_eq!(
        (lost.name.as_str(), lost.id, &lost.data),
        ("lost", 118, &json!({"oldest": 119}))
    );
    for n in 119..=130 {
        let event = follower.next().await.expect("an event");
        assert_eq!((event.id, event.data["n"].as_u64()), (n, Some(n)));
    }
}

#[tokio::test]
async fn silence_shows_that_it_is_alive_and_who_was_logged_out_follows_no_more() {
    let stage = Stage::with(Options {
        heartbeat: Duration::from_millis(50),
        ..Options::default()
    });
    let root = stage.user("grace", &["admin"]).await;
    let ada = stage.user("ada", &[]).await;
    let rules = json!({"access": {"read": ["login"]}});
    stage
        .ask(ask("PUT", "/collections/things").by(&root).json(rules))
        .await
        .expect(200);
    let mut follower = Follower::new(&stage, get("/records/things/changes").by(&ada)).await;
    for expected in [": following\n\n", ": \n\n", ": \n\n"] {
        let data = follower.body.data().await.expect("a body").expect("more");
        assert_eq!(data, expected);
    }
    stage.ask(post("/logout").by(&ada)).await.expect(204);
    assert_eq!(follower.next().await, None);
}

#[tokio::test]
async fn the_end_of_the_store_ends_it() {
    let stage = Stage::new();
    let mut follower = Follower::new(&stage, get("/records/things/changes")).await;
    stage.store.close().await.expect("an orderly end");
    assert_eq!(follower.next().await, None);
}

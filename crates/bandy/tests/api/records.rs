//! Records: made, shown, changed, listed; and what happens when two do so at once.

use std::sync::Arc;

use bandy::services::api::Options;
use serde_json::{Value, json};

use crate::{Stage, ask, get, post, together};

#[tokio::test]
async fn the_life_of_a_record() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    let sent = json!({"name": "tea", "price": 3.5, "_owner": "eve", "_id": "x"});
    let made = stage
        .ask(post("/records/things").by(&ada).json(sent))
        .await
        .expect(201);
    let place = made.field("location").to_owned();
    assert_eq!(made.json["_owner"], "ada");
    assert_eq!(
        place,
        format!(
            "/records/things/{}",
            made.json["_id"].as_str().expect("an id")
        )
    );
    assert_eq!(
        made.field("etag"),
        format!("\"{}\"", made.json["_revision"])
    );

    let got = stage.get(&place).await.expect(200);
    assert_eq!(
        (&got.json, got.field("etag")),
        (&made.json, made.field("etag"))
    );
    let known = get(&place).field("if-none-match", made.field("etag"));
    let unchanged = stage.ask(known).await.expect(304);
    assert_eq!(
        (unchanged.bytes, unchanged.field("etag")),
        (0, made.field("etag"))
    );

    let patched = ask("PATCH", &place)
        .by(&ada)
        .json(json!({"price": 4, "name": null, "_owner": "eve"}));
    let patched = stage.ask(patched).await.expect(200);
    assert_eq!(
        (
            &patched.json["price"],
            patched.json.get("name"),
            &patched.json["_owner"]
        ),
        (&json!(4), None, &json!("ada"))
    );
    assert_eq!(patched.json["_created"], made.json["_created"]);
    let late = ask("PUT", &place)
        .by(&ada)
        .json(json!({}))
        .field("if-match", made.field("etag"));
    stage.ask(late).await.expect(412);
    // What was got can be changed and put back.
    let mut back = patched.json.clone();
    back["price"] = json!(5);
    let put = ask("PUT", &place)
        .by(&ada)
        .json(back)
        .field("if-match", patched.field("etag"));
    let put = stage.ask(put).await.expect(200);
    assert_eq!(put.json["price"], 5);
    assert_ne!(put.field("etag"), patched.field("etag"));

    stage
        .ask(ask("DELETE", &place).by(&ada).field("if-match", "\"1\""))
        .await
        .expect(412);
    stage.ask(ask("DELETE", &place).by(&ada)).await.expect(204);
    stage.get(&place).await.expect(404);
    stage.ask(ask("DELETE", &place).by(&ada)).await.expect(404);
    stage
        .ask(ask("PATCH", &place).by(&ada).json(json!({})))
        .await
        .expect(404);
}

#[tokio::test]
async fn put_makes_or_replaces() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    let put = || {
        ask("PUT", "/records/things/tea")
            .by(&ada)
            .json(json!({"n": 1}))
    };
    stage.ask(put().field("if-match", "*")).await.expect(412);
    let made = stage
        .ask(put().field("if-none-match", "*"))
        .await
        .expect(201);
    assert_eq!(made.field("location"), "/records/things/tea");
    stage
        .ask(put().field("if-none-match", "*"))
        .await
        .expect(412);
    stage.ask(put()).await.expect(200);
    stage
        .ask(put().field("if-match", "nonsense"))
        .await
        .expect(400);
    for target in [
        "/records/things/_x",
        "/records/th%20ngs/x",
        "/records/things/%ff",
        "/records/things/a.b",
    ] {
        let answer = stage
            .ask(ask("PUT", target).by(&ada).json(json!({})))
            .await
            .expect(422);
        assert_eq!(answer.wrong().len(), 1, "{target}");
    }
}

#[tokio::test]
async fn what_no_document_can_be() {
    let stage = Stage::with(Options {
        body_bytes: 1000,
        depth: 4,
        ..Options::default()
    });
    let ada = stage.user("ada", &[]).await;
    let make = |body: &str| {
        post("/records/things")
            .by(&ada)
            .body("application/json", body.to_owned())
    };
    stage.ask(make("[1]")).await.expect(422);
    stage.ask(make("{\"a\":[[[1]]]}")).await.expect(201);
    stage.ask(make("{\"a\":[[[[1]]]]}")).await.expect(400);
    stage.ask(make("{\"a\":1,\"a\":2}")).await.expect(400);
    let text = "x".repeat(980);
    let made = stage
        .ask(make(&format!("{{\"a\":\"{text}\"}}")))
        .await
        .expect(201);
    stage
        .ask(make(&format!("{{\"a\":\"{text}xxxxxxxxxxxxxxxxxxxxx\"}}")))
        .await
        .expect(413);
    // Nor can it become so piece by piece.
    let place = made.field("location");
    let patch = |n: u32| {
        ask("PATCH", place)
            .by(&ada)
            .json(json!({n.to_string(): "x".repeat(900)}))
    };
    let mut answer = stage.ask(patch(0)).await;
    for n in 1..5 {
        if answer.status == 200 {
            answer = stage.ask(patch(n)).await;
        }
    }
    answer.expect(413);
}

#[tokio::test]
async fn of_many_who_change_one_revision_one_wins() {
    let stage = Arc::new(Stage::new());
    let ada = Arc::new(stage.user("ada", &[]).await);
    let mut tag = {
        let put = ask("PUT", "/records/things/n")
            .by(&ada)
            .json(json!({"n": 0}));
        stage.ask(put).await.expect(201).field("etag").to_owned()
    };
    for round in 0..20 {
        let tries = together(8, |n| {
            let (stage, ada, tag) = (stage.clone(), ada.clone(), tag.clone());
            async move {
                let put = ask("PUT", "/records/things/n")
                    .by(&ada)
                    .json(json!({"n": n, "round": round}));
                stage.ask(put.field("if-match", tag)).await
            }
        });
        let mut winner = None;
        for tried in tries {
            let answer = tried.join().expect("no panic");
            match answer.status.as_u16() {
                200 => assert!(winner.replace(answer).is_none(), "two won"),
                _ => drop(answer.expect(412)),
            }
        }
        let winner = winner.expect("one wins");
        assert_eq!(stage.get("/records/things/n").await.json, winner.json);
        tag = winner.field("etag").to_owned();
    }
}

#[tokio::test]
async fn patches_at_once_are_all_there() {
    let stage = Arc::new(Stage::new());
    let ada = stage.user("ada", &[]).await;
    stage
        .ask(ask("PUT", "/records/things/n").by(&ada).json(json!({})))
        .await
        .expect(201);
    let tries = together(6, |n| {
        let (stage, ada) = (stage.clone(), ada.clone());
        async move {
            let field = format!("f{n}");
            let patch = ask("PATCH", "/records/things/n")
                .by(&ada)
                .json(json!({field: n}));
            stage.ask(patch).await.expect(200);
        }
    });
    for tried in tries {
        tried.join().expect("no panic");
    }
    let got = stage.get("/records/things/n").await.json;
    for n in 0..6 {
        assert_eq!(got[format!("f{n}")], n, "{got}");
    }
}

/// All pages of a list, and the names in them.
async fn pages(stage: &Stage, target: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut target = Some(target.to_owned());
    while let Some(at) = target {
        let page = stage.get(&at).await.expect(200);
        let records = page.json["records"].as_array().expect("records");
        pages.push(
            records
                .iter()
                .map(|r| r["name"].as_str().expect("a name").to_owned())
                .collect(),
        );
        let link = page.field("link");
        target = link
            .strip_prefix('<')
            .and_then(|link| link.split_once(">; rel=\"next\""))
            .map(|(next, _)| next.to_owned());
        assert_eq!(page.json["next"].is_string(), target.is_some());
        assert!(pages.len() < 100, "it comes to an end");
    }
    pages
}

#[tokio::test]
async fn lists_are_paged_filtered_and_sorted() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    for (name, price, tags) in [
        ("tea", json!(3), json!(["hot"])),
        ("coffee", json!(4.5), json!(["hot", "strong"])),
        ("water", json!(0), json!([])),
        ("juice", json!(4), json!(["cold"])),
        ("gift", Value::Null, json!(["cold"])),
        ("milk", json!(3), json!(["cold"])),
    ] {
        let sent =
            json!({"name": name, "price": price, "tags": tags, "size": {"width": name.len()}});
        stage
            .ask(
                ask("PUT", &format!("/records/drinks/{name}"))
                    .by(&ada)
                    .json(sent),
            )
            .await
            .expect(201);
    }
    // One whose name begins like it does not get mixed up.
    stage
        .ask(
            ask("PUT", "/records/drinks2/other")
                .by(&ada)
                .json(json!({"name": "other"})),
        )
        .await
        .expect(201);

    let by_id = ["coffee", "gift", "juice", "milk", "tea", "water"];
    assert_eq!(pages(&stage, "/records/drinks").await, [by_id]);
    assert_eq!(
        pages(&stage, "/records/drinks?limit=2").await.concat(),
        by_id
    );
    assert_eq!(pages(&stage, "/records/drinks?limit=2").await.len(), 3);
    for (query, names) in [
        ("price%3E=4", &["coffee", "juice"][..]),
        ("price%3E3", &["coffee", "juice"]),
        ("price=3&tags=hot", &["tea"]),
        ("tags!=hot", &["gift", "juice", "milk", "water"]),
        ("size.width=5", &["juice", "water"]),
        ("name~=EE", &["coffee"]),
        ("_owner=ada&name=tea", &["tea"]),
        ("_owner=eve", &[]),
        (
            "sort=price,name",
            &["gift", "water", "milk", "tea", "juice", "coffee"],
        ),
        (
            "sort=-price,-name",
            &["coffee", "juice", "tea", "milk", "water", "gift"],
        ),
        ("sort=-_id&price%3E3", &["juice", "coffee"]),
    ] {
        let target = format!("/records/drinks?{query}");
        assert_eq!(pages(&stage, &target).await.concat(), names, "{query}");
        assert_eq!(
            pages(&stage, &format!("{target}&limit=1")).await.concat(),
            names,
            "{query}, one by one"
        );
    }
    for (query, wrong) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("sort=a,b,c,d", "sort"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = stage
            .get(&format!("/records/drinks?{query}"))
            .await
            .expect(422);
        assert_eq!(answer.wrong(), [wrong]);
    }
    stage
        .get("/records/drinks?sort=price&after=nonsense")
        .await
        .expect(404);
    assert_eq!(
        pages(&stage, "/records/empty").await,
        [Vec::<String>::new()]
    );
    let answer = stage.get("/collections").await.expect(200);
    assert_eq!(answer.json["collections"], json!(["drinks", "drinks2"]));
}

#[tokio::test]
async fn a_record_that_moves_is_on_no_page_twice() {
    let stage = Stage::new();
    let ada = stage.user("ada", &[]).await;
    let put = |name: &str, n: u32| {
        ask("PUT", &format!("/records/things/{name}"))
            .by(&ada)
            .json(json!({"name": name, "n": n}))
    };
    for (name, n) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        stage.ask(put(name, n)).await;
    }
    let first = stage
        .get("/records/things?sort=n&limit=2")
        .await
        .expect(200);
    let next = first.json["next"].as_str().expect("another page");
    // The last of the page goes, and one behind it: the next page is where it was.
    stage
        .ask(ask("DELETE", "/records/things/b").by(&ada))
        .await
        .expect(204);
    stage.ask(put("e", 5)).await.expect(201);
    let second = stage
        .get(&format!("/records/things?sort=n&after={next}"))
        .await
        .expect(200);
    let names: Vec<_> = second.json["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|r| r["name"].clone())
        .collect();
    assert_eq!(names, ["c", "d", "e"]);
}

#[tokio::test]
async fn documents_are_of_their_collections_schema() {
    let stage = Stage::new();
    let (root, ada) = (
        stage.user("grace", &["admin"]).await,
        stage.user("ada", &[]).await,
    );
    let rules = json!({"schema": {
        "type": "object", "required": ["name"], "additionalProperties": false,
        "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "price": {"type": "number", "minimum": 0}},
    }});
    stage
        .ask(
            ask("PUT", "/collections/things")
                .by(&ada)
                .json(rules.clone()),
        )
        .await
        .expect(403);
    let set = stage
        .ask(
            ask("PUT", "/collections/things")
                .by(&root)
                .json(rules.clone()),
        )
        .await
        .expect(200);
    let shown = stage.get("/collections/things").await.expect(200);
    assert_eq!(
        (&shown.json, &shown.json["schema"]),
        (&set.json, &rules["schema"])
    );

    let make = |value| post("/records/things").by(&ada).json(value);
    let answer = stage
        .ask(make(json!({"name": "Tea", "price": -1})))
        .await
        .expect(422);
    assert_eq!(answer.wrong(), ["/name", "/price"]);
    let made = stage
        .ask(make(json!({"name": "tea", "price": 1, "_note": "mine"})))
        .await
        .expect(201);
    let patch = |value| ask("PATCH", made.field("location")).by(&ada).json(value);
    assert_eq!(
        stage
            .ask(patch(json!({"name": null})))
            .await
            .expect(422)
            .wrong(),
        [""]
    );
    stage.ask(patch(json!({"price": 2}))).await.expect(200);

    for schema in [
        json!({"type": "nonsense"}),
        json!({"$ref": "http://127.0.0.1:1/x"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"pattern": "("}),
    ] {
        let answer = stage
            .ask(
                ask("PUT", "/collections/things")
                    .by(&root)
                    .json(json!({"schema": schema})),
            )
            .await
            .expect(422);
        assert_eq!(answer.wrong(), ["/schema"], "{schema}");
    }
    let late = ask("DELETE", "/collections/things")
        .by(&root)
        .field("if-match", "\"1\"");
    stage.ask(late).await.expect(412);
    stage
        .ask(ask("DELETE", "/collections/things").by(&root))
        .await
        .expect(204);
    stage.ask(make(json!({"anything": true}))).await.expect(201);
}

#[tokio::test]
async fn a_collection_may_want_revisions_named() {
    let stage = Stage::new();
    let (root, ada) = (
        stage.user("grace", &["admin"]).await,
        stage.user("ada", &[]).await,
    );
    stage
        .ask(
            ask("PUT", "/collections/things")
                .by(&root)
                .json(json!({"require_if_match": true})),
        )
        .await
        .expect(200);
    let put = || ask("PUT", "/records/things/tea").by(&ada).json(json!({}));
    let made = stage.ask(put()).await.expect(201);
    stage.ask(put()).await.expect(428);
    stage
        .ask(ask("PATCH", "/records/things/tea").by(&ada).json(json!({})))
        .await
        .expect(428);
    stage
        .ask(ask("DELETE", "/records/things/tea").by(&ada))
        .await
        .expect(428);
    stage
        .ask(put().field("if-match", made.field("etag")))
        .await
        .expect(200);
}

/// Recursion without an end in a schema is found before a document is checked with it, or ends.
#[tokio::test]
async fn a_schema_of_itself_is_survived() {
    let stage = Stage::new();
    let root = stage.user("grace", &["admin"]).await;
    let itself = json!({"schema": {"$ref": "#"}});
    let set = stage
        .ask(ask("PUT", "/collections/things").by(&root).json(itself))
        .await;
    if set.status == 200 {
        stage
            .ask(post("/records/things").by(&root).json(json!({})))
            .await;
    }
}

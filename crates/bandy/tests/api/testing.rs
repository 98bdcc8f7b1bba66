//! Endpoints to test clients with.

use std::time::{Duration, Instant};

use bandy::services::api::Options;
use serde_json::json;

use crate::{Answer, Stage, ask, get, post};

#[tokio::test]
async fn echo_says_what_came() {
    let stage = Stage::new();
    let asked = ask("PUT", "/echo/some/where?a=1&b=x+y&a=%2B")
        .field("x-one", "1")
        .field("x-one", "2")
        .json(json!({"n": [1]}));
    let seen = stage.ask(asked).await.expect(200).json;
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["target"], "/echo/some/where?a=1&b=x+y&a=%2B");
    assert_eq!(seen["query"], json!([["a", "1"], ["b", "x y"], ["a", "+"]]));
    assert_eq!(
        seen["headers"],
        json!([
            ["x-one", "1"],
            ["x-one", "2"],
            ["content-type", "application/json"]
        ])
    );
    assert_eq!(seen["body"], json!({"bytes": 9, "text": "{\"n\":[1]}"}));
    assert_eq!(seen["json"], json!({"n": [1]}));
    let form = post("/echo").body("application/x-www-form-urlencoded", "a=1&b");
    assert_eq!(
        stage.ask(form).await.expect(200).json["form"],
        json!([["a", "1"], ["b", ""]])
    );
    let bytes = post("/echo").body("application/octet-stream", vec![0xff, 0]);
    assert_eq!(
        stage.ask(bytes).await.expect(200).json["body"],
        json!({"bytes": 2, "base64": "/wA="})
    );
}

#[tokio::test]
async fn statuses_and_what_belongs_to_them() {
    let stage = Stage::new();
    for (code, field) in [
        (200, ""),
        (204, ""),
        (301, "location"),
        (304, ""),
        (401, "www-authenticate"),
        (418, ""),
        (503, "retry-after"),
        (599, ""),
    ] {
        let answer = stage.get(&format!("/status/{code}")).await;
        assert_eq!(answer.status, code);
        assert!(
            field.is_empty() || !answer.field(field).is_empty(),
            "{code}"
        );
        assert_eq!(answer.bytes == 0, [204, 304].contains(&code), "{code}");
    }
    for code in ["100", "199", "600", "x", "-1", "2000"] {
        stage.get(&format!("/status/{code}")).await.expect(422);
    }
}

#[tokio::test]
async fn bytes_lines_and_redirects() {
    let stage = Stage::new();
    let [one, same, other] = [
        "/bytes/100000?seed=1",
        "/bytes/100000?seed=1",
        "/bytes/100000?seed=2",
    ]
    .map(|t| stage.get(t));
    let (one, same, other) = (one.await, same.await, other.await);
    assert_eq!((one.bytes, &one.text), (100_000, &same.text));
    assert_ne!(one.text, other.text);
    assert_eq!(stage.get("/bytes/0").await.expect(200).bytes, 0);
    stage.get("/bytes/999999999999").await.expect(422);
    assert_eq!(
        stage.get("/stream/2").await.expect(200).text,
        "{\"line\":1}\n{\"line\":2}\n"
    );
    assert_eq!(
        stage.get("/redirect/3").await.expect(302).field("location"),
        "/redirect/2"
    );
    assert_eq!(stage.get("/redirect/0").await.expect(200).text, "arrived");
}

#[tokio::test]
async fn what_takes_its_time_is_bounded() {
    let stage = Stage::new();
    let started = Instant::now();
    assert_eq!(
        stage.get("/delay/0.05").await.expect(200).json["delay"],
        0.05
    );
    assert!(started.elapsed() >= Duration::from_millis(50));
    stage.get("/delay/11").await.expect(422);
    let started = Instant::now();
    let drip = stage.get("/drip?bytes=7&duration=0.06").await.expect(200);
    assert_eq!(
        (drip.text.as_str(), drip.field("content-length")),
        ("*******", "7")
    );
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert_eq!(
        stage
            .get("/drip?bytes=1000&duration=0.1")
            .await
            .expect(200)
            .bytes,
        1000
    );
    assert_eq!(stage.get("/drip?bytes=0").await.expect(200).bytes, 0);
    let events = stage.get("/sse?count=2&interval=0.01").await.expect(200);
    assert_eq!(
        events.text,
        "id: 1\nevent: tick\ndata: {\"n\":1}\n\nid: 2\nevent: tick\ndata: {\"n\":2}\n\n"
    );
    let events = stage
        .ask(get("/sse?count=1").field("last-event-id", "41"))
        .await
        .expect(200);
    assert!(events.text.starts_with("id: 42\n"));
}

#[tokio::test]
async fn cookies_are_the_testers_own() {
    let stage = Stage::new();
    let set = stage.get("/cookies/set?taste=sweet&n=1").await.expect(302);
    let set: Vec<_> = set
        .fields
        .get_all("set-cookie")
        .iter()
        .map(|c| c.to_str().expect("text"))
        .collect();
    assert_eq!(
        set,
        [
            "taste=sweet; Path=/cookies; SameSite=Lax",
            "n=1; Path=/cookies; SameSite=Lax"
        ]
    );
    let sent = get("/cookies").field("cookie", "taste=sweet; bandy_session=secret; n=1");
    assert_eq!(
        stage.ask(sent).await.expect(200).json,
        json!({"cookies": {"taste": "sweet", "n": "1"}})
    );
    for query in [
        "bandy_session=x",
        "__Host-bandy_session=x",
        "a=x;y",
        "a%0d%0ab=x",
        "a=%0d%0ax",
        "a=b%3B+Path=/",
    ] {
        stage
            .get(&format!("/cookies/set?{query}"))
            .await
            .expect(422);
    }
}

#[tokio::test]
async fn passwords_and_tokens_are_asked_for() {
    let stage = Stage::new();
    let answer = stage.get("/basic-auth/ada/secret").await.expect(401);
    assert!(answer.field("www-authenticate").starts_with("Basic "));
    let right = get("/basic-auth/ada/secret").field("authorization", "Basic YWRhOnNlY3JldA==");
    assert_eq!(stage.ask(right).await.expect(200).json["user"], "ada");
    let wrong = get("/basic-auth/ada/other").field("authorization", "Basic YWRhOnNlY3JldA==");
    stage.ask(wrong).await.expect(401);
    stage.get("/bearer").await.expect(401);
    assert_eq!(
        stage
            .ask(get("/bearer").field("authorization", "bearer abc"))
            .await
            .expect(200)
            .json["token"],
        "abc"
    );
}

#[tokio::test]
async fn a_websocket_is_accepted_as_the_rfc_has_it() {
    let stage = Stage::new();
    let handshake = |key: &str| {
        let asked = get("/ws")
            .field("connection", "keep-alive, Upgrade")
            .field("upgrade", "websocket");
        asked
            .field("sec-websocket-version", "13")
            .field("sec-websocket-key", key)
    };
    let accepted: Answer = stage
        .ask(handshake("dGhlIHNhbXBsZSBub25jZQ=="))
        .await
        .expect(101);
    assert_eq!(
        accepted.field("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(accepted.field("upgrade"), "websocket");
    stage.ask(handshake("short")).await.expect(400);
    stage
        .ask(handshake("dGhlIHNhbXBsZSBub25jZQ==").field("sec-fetch-site", "cross-site"))
        .await
        .expect(403);
    assert_eq!(
        stage
            .get("/ws")
            .await
            .expect(426)
            .field("sec-websocket-version"),
        "13"
    );
}

#[tokio::test]
async fn they_can_be_left_out() {
    let stage = Stage::with(Options {
        testing: false,
        ..Options::default()
    });
    stage.get("/echo").await.expect(404);
    stage.get("/add?a=1&b=2").await.expect(200);
    assert!(
        stage.get("/openapi.json").await.json["paths"]
            .get("/echo")
            .is_none()
    );
}

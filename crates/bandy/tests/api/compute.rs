//! `/add`, `/process`, and what holds for every endpoint.

use serde_json::json;

use crate::{Stage, ask, get, post};

#[tokio::test]
async fn add() {
    let stage = Stage::new();
    for (query, sum) in [
        ("a=5&b=3", "8"),
        ("b=3&a=5", "8"),
        ("a=0.1&b=0.2", "0.3"),
        ("a=-1e3&b=%2B1", "-999"),
        (
            "a=9223372036854775807&b=9223372036854775807",
            "18446744073709551614",
        ),
        ("a=1&b=2&c=x", "3"),
    ] {
        let answer = stage.get(&format!("/add?{query}")).await.expect(200);
        assert_eq!(
            (answer.text.as_str(), answer.field("content-type")),
            (sum, "text/plain; charset=utf-8")
        );
    }
    let answer = stage
        .ask(get("/add?a=5&b=3").field("accept", "application/json"))
        .await
        .expect(200);
    assert_eq!(answer.text, r#"{"result":8}"#);
    for (query, wrong) in [
        ("", &["a", "b"][..]),
        ("a=5", &["b"]),
        ("a=x&b=y", &["a", "b"]),
        ("a=5&b=", &["b"]),
        ("a=5&b=3&a=6", &["a"]),
        ("a=5&b=1e99", &["b"]),
        ("a=%ff&b=3", &["a"]),
    ] {
        let answer = stage.get(&format!("/add?{query}")).await.expect(422);
        assert_eq!(answer.wrong(), wrong, "{query}");
    }
}

#[tokio::test]
async fn process() {
    let stage = Stage::new();
    for (input, result) in [
        ("[1,2,3]", "6"),
        ("[]", "0"),
        ("[0.1,0.2]", "0.3"),
        ("[18446744073709551616,1]", "18446744073709551617"),
        ("[1e3,-1]", "999"),
    ] {
        let body = format!("{{\"input\":{input}}}");
        let answer = stage
            .ask(post("/process").body("application/json; charset=utf-8", body))
            .await;
        assert_eq!(answer.expect(200).text, format!("{{\"result\":{result}}}"));
    }
    for (body, wrong) in [
        (
            json!({"input": [1, "2", null]}),
            &["/input/1", "/input/2"][..],
        ),
        (json!({"input": 1}), &["/input"]),
        (json!({}), &[""]),
        (json!({"input": [], "more": 1}), &[""]),
        (json!([1]), &[""]),
    ] {
        let answer = stage.post("/process", body.clone()).await.expect(422);
        assert_eq!(answer.wrong(), wrong, "{body}");
    }
    for body in [
        "",
        "{",
        "{\"input\":[1],\"input\":[2]}",
        "{\"input\":[1]} x",
        "\u{feff}{}",
    ] {
        stage
            .ask(post("/process").body("application/json", body))
            .await
            .expect(400);
    }
    let answer = stage
        .ask(post("/process").body("text/plain", "{}"))
        .await
        .expect(415);
    assert_eq!(answer.field("accept"), "application/json");
    stage.ask(post("/process")).await.expect(415);
    let long = format!("{{\"input\":[{}1]}}", "1,".repeat(1 << 18));
    stage
        .ask(post("/process").body("application/json", long))
        .await
        .expect(413);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_so() {
    let stage = Stage::new();
    for path in [
        "/nothing",
        "/add/",
        "/add/x",
        "//",
        "/records",
        "/records//",
        "/users/",
        "/echo2",
    ] {
        stage.get(path).await.expect(404);
    }
    let answer = stage.ask(post("/add")).await.expect(405);
    assert_eq!(answer.field("allow"), "GET, HEAD, OPTIONS");
    let answer = stage.ask(ask("BREW", "/records/a/b")).await.expect(405);
    assert_eq!(
        answer.field("allow"),
        "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"
    );
    let answer = stage.ask(ask("OPTIONS", "/process")).await.expect(204);
    assert_eq!(answer.field("allow"), "POST, OPTIONS");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let stage = Stage::new();
    for target in [
        "/add?a=5&b=3",
        "/",
        "/openapi.json",
        "/bytes/100",
        "/echo",
        "/records/x",
        "/healthz",
    ] {
        let whole = stage.get(target).await.expect(200);
        let head = stage.ask(ask("HEAD", target)).await.expect(200);
        assert_eq!(head.text, "");
        assert_eq!(
            head.field("content-type"),
            whole.field("content-type"),
            "{target}"
        );
        let is_same = head.field("content-length").parse() == Ok(whole.bytes);
        // An echo of HEAD is one byte longer.
        assert!(is_same || target == "/echo", "{target}");
    }
    assert_eq!(stage.ask(ask("HEAD", "/nothing")).await.status, 404);
}

//! What is beside the WebSocket on HTTP: the page, the schema, the accounts, and who is known by a cookie.

use bandy::endpoint::Scheme;
use bandy::services::chat::json::SCHEMA;
use bandy_testkit::within;
use serde_json::json;

use super::{Chat, Program, quick};

impl Chat {
    /// One request in bytes: the whole answer.
    async fn http(&self, request: &str) -> String {
        let mut client = self.stage.connect(&self.at(Scheme::Http)).await;
        client.say(request).await;
        let rest = client.rest().await;
        String::from_utf8(rest.to_vec()).expect("UTF-8")
    }

    async fn get(&self, path: &str) -> String {
        self.http(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

#[tokio::test]
async fn page_schema_and_accounts_are_beside_it() {
    let chat = Chat::start(quick());
    let page = chat.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(
        page.contains("content-security-policy: default-src 'none'"),
        "{page}"
    );
    assert!(chat.get("/schema.json").await.ends_with(SCHEMA));
    assert!(chat.get("/profile").await.starts_with("HTTP/1.1 401 "));
    assert!(chat.get("/nothing").await.starts_with("HTTP/1.1 404 "));
    assert!(chat.get("/ws").await.starts_with("HTTP/1.1 426 "));
    assert!(
        chat.get("/records").await.starts_with("HTTP/1.1 404 "),
        "records are the application server's"
    );
}

#[tokio::test]
async fn whoever_logged_in_at_the_page_is_known_on_the_web_socket() {
    let chat = Chat::start(quick());
    chat.register("ada", "correct horse").await;
    let body = r#"{"user":"ada","password":"correct horse"}"#;
    let answer = chat
        .http(&format!(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    let cookie = answer
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .expect("a cookie");
    let cookie = cookie.split(';').next().unwrap_or_default();
    let upgrade = |origin: &str| {
        format!(
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n\r\n"
        )
    };
    let refused = chat.http(&upgrade("https://evil.example")).await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");

    let mut client = chat.stage.connect(&chat.at(Scheme::Http)).await;
    client.say(upgrade("http://localhost")).await;
    let mut heard = Vec::new();
    within("hello", async {
        while !String::from_utf8_lossy(&heard).contains("\"nick\":\"ada\"") {
            heard.extend_from_slice(&client.hear_some().await.expect("it goes on"));
        }
    })
    .await;

    // And by the session's token, in a message.
    let token = answer
        .split("\"token\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let mut program: Program = chat.program().await;
    let entered = program.ok(json!({"do": "enter", "token": token})).await;
    assert_eq!(entered["you"]["nick"], "ada");
}

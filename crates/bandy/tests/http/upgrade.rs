//! Other protocols on the same connection.

use bandy::http::Switch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Goes over to a protocol that says everything back, loudly.
async fn loud(_: Request) -> Result<Response> {
    let mut response = Switch::to(|mut conn: bandy::Conn| async move {
        let mut said = [0; 5];
        conn.read_exact(&mut said).await?;
        conn.write_all(&said.to_ascii_uppercase()).await?;
        conn.close().await;
        Ok(())
    });
    let name = http::HeaderValue::from_static("loud");
    response.headers_mut().insert(http::header::UPGRADE, name);
    Ok(response)
}

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: loud\r\n\r\n";

#[test]
fn after_101_the_connection_is_another_protocols() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(loud), HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say(ASK);
    let head = client.head().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("connection: upgrade\r\n") && head.contains("upgrade: loud\r\n"),
        "{head}"
    );
    assert!(!head.contains("content-length"), "{head}");
    client.say("hello");
    assert_eq!(raw::rest(&mut client.0), b"HELLO");
}

#[test]
fn what_was_sent_before_101_is_never_tunnelled() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(loud), HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say(format!("{ASK}hello"));
    let answer = client.hear();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (400, Some("close"))
    );
    client.closed();
}

//! What happens between a request's head and its response's end: others read the body, services fail, protocols switch.

use bandy::error::{Error, Kind, Side};
use bandy::http::{Body, HeaderValue, Switch, header};
use bytes::Bytes;

use super::*;

fn serve_all<S: Service<Request, Out = Response>>(stage: &Stage, service: S) -> Running {
    serve(stage, service, HttpLimits::default())
}

#[test]
fn a_body_may_be_read_in_another_task() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        let reading = tokio::spawn(request.into_body().collect(1 << 20));
        let body = reading.await.expect("no panic")?;
        Ok(http::typed(StatusCode::OK, "text/plain", body))
    });
    let server = serve_all(&stage, service);
    let mut client = Raw::to(&server);
    for _ in 0..2 {
        client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.say("5\r\nfirst\r\n");
        client.say("6\r\nsecond\r\n0\r\n\r\n");
        assert_eq!(client.hear().body, "firstsecond");
    }
}

#[test]
fn a_body_may_be_read_after_the_response() {
    let stage = Stage::new();
    let (heard, hear) = std::sync::mpsc::channel();
    let service = service_fn(move |request: Request| {
        let heard = heard.clone();
        async move {
            tokio::spawn(async move {
                let body = request.into_body().collect(1 << 20).await;
                heard.send(body.expect("a body")).expect("the test hears");
            });
            Ok(http::empty(StatusCode::ACCEPTED))
        }
    });
    let server = serve_all(&stage, service);
    let mut client = Raw::to(&server);
    for body in ["one", "two"] {
        client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
        assert_eq!(client.hear().status, 202);
        client.say(body);
        let came = hear.recv_timeout(bandy_testkit::PATIENCE).expect("a body");
        assert_eq!(came, body);
    }
}

#[test]
fn leave_to_go_on_is_never_given_inside_a_response() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| Ok(Response::new(request.into_body())));
    let server = serve_all(&stage, service);
    for length in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let mut client = Raw::to(&server);
        client.say(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{length}\r\n\r\n"
        ));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n", "{length}");
        match length {
            "Content-Length: 5" => client.say("hello"),
            _ => client.say("5\r\nhello\r\n0\r\n\r\n"),
        };
        assert_eq!(client.hear().body, "hello", "{length}");
    }
}

#[test]
fn a_panic_is_one_requests_failure() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        assert_eq!(request.uri().path(), "/", "nothing else is expected");
        Ok(http::text(StatusCode::OK, "fine"))
    });
    let server = serve_all(&stage, service);
    let mut client = Raw::to(&server);
    client.say("POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    let answer = client.hear();
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("expected"), "{}", answer.body);
    // The connection has nothing to do with it.
    client.say("helloGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.hear().body, "fine");
}

/// Half of a body, and then a failure.
async fn half(_: Request) -> Result<Response> {
    let (sender, body) = Body::channel(2);
    let sent = sender.send(Ok(Bytes::from_static(b"half"))).await;
    sent.expect("room");
    let broken = Error::new(Kind::Other, Side::Local, "making a body");
    sender.send(Err(broken)).await.expect("room");
    Ok(Response::new(body))
}

#[test]
fn half_a_body_is_not_taken_for_a_whole_one() {
    let stage = Stage::new();
    let server = serve_all(&stage, service_fn(half));
    // Where only the connection's end is the body's, it is a reset.
    let mut old = Raw::to(&server);
    old.say("GET / HTTP/1.0\r\n\r\n");
    let mut all = Vec::new();
    let read = old.0.read_to_end(&mut all);
    assert!(read.is_err(), "{}", String::from_utf8_lossy(&all));
}

#[test]
fn an_answer_that_is_not_the_last_is_not_sent() {
    let stage = Stage::new();
    for status in [100, 101, 103] {
        let status = StatusCode::from_u16(status).expect("a status");
        let service = service_fn(move |_: Request| async move { Ok(http::empty(status)) });
        let server = serve_all(&stage, service);
        let mut client = Raw::to(&server);
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.hear().status, 500, "{status}");
    }
}

#[test]
fn nobody_is_made_to_believe_in_a_tunnel() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut client = Raw::to(&server);
    client.say("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    client.say("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.hear();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (501, Some("close"))
    );
    client.closed();
}

#[test]
fn a_body_is_not_what_the_other_protocol_hears() {
    let stage = Stage::new();
    let service = service_fn(async |_: Request| {
        let mut response = Switch::to(async |_: bandy::Conn| Ok(()));
        let name = HeaderValue::from_static("loud");
        response.headers_mut().insert(header::UPGRADE, name);
        Ok(response)
    });
    let server = serve_all(&stage, service);
    let upgrade = "Host: a\r\nConnection: upgrade\r\nUpgrade: loud\r\n";
    for (request, status) in [
        (
            format!("POST / HTTP/1.1\r\n{upgrade}Content-Length: 5\r\n\r\nhello"),
            101,
        ),
        (
            format!("POST / HTTP/1.1\r\n{upgrade}Content-Length: 5\r\n\r\nhell"),
            400,
        ),
        (
            format!("POST / HTTP/1.1\r\n{upgrade}Content-Length: 5\r\n\r\nhello!"),
            400,
        ),
        (
            format!("POST / HTTP/1.1\r\n{upgrade}Transfer-Encoding: chunked\r\n\r\n"),
            400,
        ),
        (format!("GET / HTTP/1.0\r\n{upgrade}\r\n"), 400),
    ] {
        let mut client = Raw::to(&server);
        client.say(&request);
        assert_eq!(client.hear().status, status, "{request:?}");
    }
}

#[test]
fn who_has_said_all_still_hears_all() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let ended = client.0.get_ref().shutdown(std::net::Shutdown::Write);
    ended.expect("a direction to end");
    assert_eq!(client.hear().body, "POST / a\nhello");
    assert_eq!(client.hear().body, "GET /2 a\n");
    client.closed();
}

#[test]
fn a_client_that_resets_harms_nobody() {
    let stage = Stage::new();
    let (asked, wait) = std::sync::mpsc::channel();
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let service = {
        let go = go.clone();
        service_fn(move |request: Request| {
            let (asked, go) = (asked.clone(), go.clone());
            async move {
                if request.uri().path() == "/slow" {
                    asked.send(()).expect("the test hears");
                    go.notified().await;
                }
                Ok(http::text(StatusCode::OK, "x".repeat(1 << 20)))
            }
        })
    };
    let server = serve_all(&stage, service);
    let mut gone = Raw::to(&server);
    gone.say("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    wait.recv_timeout(bandy_testkit::PATIENCE).expect("asked");
    raw::reset(gone.0.into_inner());
    go.notify_one();
    let mut other = Raw::to(&server);
    other.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(other.hear().body.len(), 1 << 20);
}

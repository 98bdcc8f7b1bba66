//! The lift: requests in, responses out, whatever the chunking, the model and the end of the server.

use std::sync::Arc;

use bandy::error::{Error, Kind, Side};
use bandy::http::{Body, Downstream};
use bandy_testkit::{noise, within};
use bytes::Bytes;
use tokio::sync::Notify;

use super::*;

#[test]
fn requests_follow_each_other_on_a_connection() {
    let stage = Stage::new();
    for model in Model::ALL {
        let server = serve_as(&stage, service_fn(mirror), HttpLimits::default(), model);
        let mut client = Raw::to(&server);
        for n in 0..5 {
            client.say(format!(
                "POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
            ));
            assert_eq!(client.hear().body, format!("POST /{n} a\nhi"));
        }
    }
}

/// Says whether it was asked for its times.
async fn is_asked_for_times(request: Request) -> Result<Response> {
    let is_asked = request.headers().contains_key("bandy-timing");
    Ok(Response::new(is_asked.to_string().into()))
}

#[test]
fn a_server_tells_its_own_times_and_has_nobody_else_asked() {
    let stage = Stage::new();
    let server = serve(
        &stage,
        service_fn(is_asked_for_times),
        HttpLimits::default(),
    );
    let mut client = Raw::to(&server);
    for asks in ["", "Bandy-Timing: 1\r\n"] {
        client.say(format!("GET / HTTP/1.1\r\nHost: a\r\n{asks}\r\n"));
        let heard = client.hear();
        let told = heard.field("server-timing").is_some();
        assert_eq!((told, heard.body.as_str()), (!asks.is_empty(), "false"));
    }
}

#[test]
fn requests_may_be_sent_ahead() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut client = Raw::to(&server);
    let all: String = (0..50)
        .map(|n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"))
        .collect();
    client.say(all);
    for n in 0..50 {
        assert_eq!(client.hear().body, format!("POST /{n} a\nabc"));
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut client = Raw::to(&server);
    for byte in
        b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    {
        client.say([*byte]);
    }
    assert_eq!(client.hear().body, "POST /slow a\nabc");
}

/// Answers as it reads.
async fn echo(request: Request) -> Result<Response> {
    Ok(Response::new(request.into_body()))
}

#[test]
fn a_body_is_answered_while_it_still_comes() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(echo), HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    assert!(client.head().contains("transfer-encoding: chunked"));
    let mut chunk = [0; 10];
    client.0.read_exact(&mut chunk).expect("the first chunk");
    assert_eq!(&chunk, b"5\r\nfirst\r\n");
    client.say("6\r\nsecond\r\n0\r\n\r\n");
    assert_eq!(client.chunks(), "second");
}

#[test]
fn trailers_pass_and_what_has_no_place_there_does_not() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(echo), HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n");
    client.say("5\r\nhello\r\n0\r\nX-Sum: 5\r\nAuthorization: x\r\nContent-Length: 7\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.head();
    let mut came = [0; b"5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n".len()];
    client.0.read_exact(&mut came).expect("all of it");
    assert_eq!(&came, b"5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n");
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.hear().body, "");
}

#[test]
fn large_bodies_pass_whole_both_ways_at_once() {
    let stage = Stage::new();
    let limits = HttpLimits {
        body_bytes: u64::MAX,
        ..HttpLimits::default()
    };
    for model in Model::ALL {
        let server = serve_as(&stage, service_fn(echo), limits.clone(), model);
        let data = noise(7, 6 << 20);
        let mut client = Raw::to(&server);
        let mut writer = client.0.get_ref().try_clone().expect("cloned");
        let sent = data.clone();
        let writing = std::thread::spawn(move || {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                sent.len()
            );
            writer.write_all(head.as_bytes()).expect("sent");
            writer.write_all(&sent).expect("sent");
        });
        let head = client.head();
        assert!(
            head.contains(&format!("content-length: {}", data.len())),
            "{head}"
        );
        let mut came = vec![0; data.len()];
        client.0.read_exact(&mut came).expect("all of it");
        assert!(came == data);
        writing.join().expect("written");
    }
}

#[test]
fn a_file_is_sent_whole() {
    let stage = Stage::new();
    let data = noise(8, 3 << 20);
    let path = stage.file("large", &data);
    let file = Arc::new(std::fs::File::open(path).expect("opened"));
    let service = service_fn(move |request: Request| {
        let file = file.clone();
        async move {
            let (offset, len) = match request.uri().path() {
                "/part" => (1000, 100_000),
                _ => (0, 3 << 20),
            };
            Ok(Response::new(Body::file(file, offset, len)))
        }
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut client = Raw::to(&server);
    for (path, expected) in [
        ("/", &data[..]),
        ("/part", &data[1000..101_000]),
        ("/", &data[..]),
    ] {
        client.say(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.head();
        let mut came = vec![0; expected.len()];
        client.0.read_exact(&mut came).expect("all of it");
        assert!(came == expected, "{path}");
    }
}

#[test]
fn what_goes_on_inside_is_not_told() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        let kind = match request.uri().path() {
            "/large" => Kind::TooLarge,
            _ => Kind::Other,
        };
        Err(Error::new(kind, Side::Local, "reading the secret"))
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut client = Raw::to(&server);
    for (path, status) in [("/", 500), ("/large", 413), ("/", 500)] {
        client.say(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let came = client.hear();
        assert_eq!(came.status, status);
        assert_eq!(came.field("content-type"), Some("application/problem+json"));
        assert!(!came.body.contains("secret"), "{}", came.body);
    }
}

#[test]
fn a_body_that_breaks_off_breaks_the_response_off() {
    let stage = Stage::new();
    let service = service_fn(async |_: Request| {
        let (sender, body) = Body::channel(2);
        let broken = Error::new(Kind::Other, Side::Local, "making a body");
        sender
            .send(Ok(Bytes::from_static(b"half")))
            .await
            .expect("room");
        sender.send(Err(broken)).await.expect("room");
        Ok(Response::new(body))
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    let mut rest = Vec::new();
    let _ = client.0.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[test]
fn a_service_knows_whom_it_answers() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        let from = Downstream::of(&request).expect("it came over a connection");
        let said = format!("{} {} {}", from.peer(), from.endpoint(), from.is_secure());
        Ok(http::text(StatusCode::OK, said))
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let here = client.0.get_ref().local_addr().expect("bound");
    let expected = format!("{here} {} false", server.endpoint());
    assert_eq!(client.hear().body, expected);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_end_up_and_a_busy_one_is_answered() {
    let stage = Stage::new();
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let service = {
        let (asked, go) = (asked.clone(), go.clone());
        service_fn(move |request: Request| {
            let (asked, go) = (asked.clone(), go.clone());
            async move {
                if request.uri().path() == "/slow" {
                    asked.notify_one();
                    go.notified().await;
                }
                Ok(http::text(StatusCode::OK, "done"))
            }
        })
    };
    let server = serve(&stage, service, HttpLimits::default());
    let mut idle = Raw::to(&server);
    idle.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.hear().status, 200);
    let mut busy = Raw::to(&server);
    busy.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    within("the request", asked.notified()).await;
    let draining = tokio::spawn(async move { server.drain().await });
    tokio::task::spawn_blocking(move || idle.closed())
        .await
        .expect("closed");
    go.notify_one();
    let answer = tokio::task::spawn_blocking(move || {
        let answer = busy.hear();
        busy.closed();
        answer
    });
    let answer = answer.await.expect("an answer");
    assert_eq!(
        (answer.body.as_str(), answer.field("connection")),
        ("done", Some("close"))
    );
    assert_eq!(within("the end", draining).await.expect("no panic"), 0);
}

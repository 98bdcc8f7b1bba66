//! Deadlines: who is slow, in whatever way, is left in time.

use std::time::{Duration, Instant};

use super::*;

const SOON: Duration = Duration::from_millis(150);

fn quick() -> HttpLimits {
    HttpLimits {
        head: SOON,
        keep_alive: Some(SOON),
        body_grace: SOON,
        body_rate: 1_000_000,
        send: SOON,
        ..HttpLimits::default()
    }
}

/// Long enough for what is bound to happen soon.
fn in_time(since: Instant) {
    let took = since.elapsed();
    assert!(took >= SOON - Duration::from_millis(10), "after {took:?}");
    assert!(took < Duration::from_secs(5), "after {took:?}");
}

#[test]
fn a_silent_client_is_left() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(mirror), quick());
    let since = Instant::now();
    Raw::to(&server).closed();
    in_time(since);
}

#[test]
fn a_heads_deadline_is_absolute() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(mirror), quick());
    let mut client = Raw::to(&server);
    let since = Instant::now();
    client.say("GET / HTTP/1.1\r\n");
    // A field now and then moves nothing.
    let mut line = String::new();
    client
        .0
        .get_mut()
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("set");
    while client.0.read_line(&mut line).is_err() {
        assert!(since.elapsed() < Duration::from_secs(5), "still open");
        // It may have been closed meanwhile.
        let _ = client.0.get_mut().write_all(b"X: y\r\n");
    }
    in_time(since);
    assert!(line.starts_with("HTTP/1.1 408 "), "{line:?}");
}

#[test]
fn a_connection_is_kept_for_a_while() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(mirror), quick());
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.hear().status, 200);
    let since = Instant::now();
    client.closed();
    in_time(since);
}

#[test]
fn a_body_keeps_a_rate() {
    let stage = Stage::new();
    let server = serve(&stage, service_fn(mirror), quick());
    for head in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client = Raw::to(&server);
        client.say(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n5\r\nhello\r\n"
        ));
        let since = Instant::now();
        let answer = client.hear();
        assert_eq!(
            (answer.status, answer.field("connection")),
            (408, Some("close")),
            "{head}"
        );
        in_time(since);
    }
}

#[test]
fn a_reader_that_stops_is_left() {
    let stage = Stage::new();
    let endless = service_fn(async |request: Request| {
        let (sender, body) = http::Body::channel(1);
        tokio::spawn(async move {
            let piece = bytes::Bytes::from(vec![b'x'; 64 << 10]);
            while sender.send(Ok(piece.clone())).await.is_ok() {}
        });
        drop(request);
        Ok(Response::new(body))
    });
    let server = serve(&stage, endless, quick());
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(Raw::status(&client.head()), 200);
    // Nothing is taken; once the socket's buffers are full the server waits, and then ends it.
    bandy_testkit::eventually("the server to give up", || {
        match client.0.get_ref().take_error() {
            Ok(Some(_)) => Ok(()),
            _ if is_gone(client.0.get_ref()) => Ok(()),
            _ => Err("still open".to_owned()),
        }
    });
}

/// Whether the peer has closed or reset, with bytes of it still unread.
fn is_gone(stream: &TcpStream) -> bool {
    let local = stream.local_addr().expect("bound").port();
    let peer = stream.peer_addr().map(|a| a.port()).unwrap_or_default();
    // tcp(7)'s state of the server's end, as the system lists it: gone, or past ESTABLISHED (01).
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    !table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let port = |word: Option<&str>| {
            let (_, port) = word?.split_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        let (from, to) = (port(words.next()), port(words.next()));
        from == Some(peer) && to == Some(local) && words.next() == Some("01")
    })
}

#[test]
fn requests_of_a_connection_are_counted() {
    let stage = Stage::new();
    let limits = HttpLimits {
        requests: 2,
        ..HttpLimits::default()
    };
    let server = serve(&stage, service_fn(mirror), limits);
    let mut client = Raw::to(&server);
    for connection in [None, Some("close")] {
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.hear().field("connection"), connection);
    }
    client.closed();
}

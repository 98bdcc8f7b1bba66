//! Whatever is spoken: sessions over HTTP, streams, messages, datagrams.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bandy::Model;
use bandy::endpoint::Scheme;
use bandy::load::{Plan, Said, Script, Work};
use bandy::services::Spec;
use bandy_testkit::Stage;
use bytes::Bytes;

use super::{of, plan, run, server};

#[test]
fn values_go_from_answer_to_request() {
    let given = Arc::new(AtomicU64::new(0));
    let to = server(move |_, mut stream| {
        let mut mine = None;
        loop {
            let mut seen = Vec::new();
            let mut byte = [0; 512];
            while !seen.ends_with(b"\r\n\r\n") {
                match stream.read(&mut byte) {
                    Ok(0) | Err(_) => return,
                    Ok(n) => seen.extend_from_slice(&byte[..n]),
                }
            }
            let text = String::from_utf8_lossy(&seen);
            let (status, body) = if text.starts_with("GET /login") {
                let token = given.fetch_add(1, Relaxed);
                mine = Some(token);
                (200, format!("{{\"tokens\": [\"t{token}\"]}}"))
            } else {
                let wanted = mine
                    .map(|token| format!("Bearer t{token}"))
                    .unwrap_or_default();
                let is_right = text.contains(&wanted) && !wanted.is_empty();
                (if is_right { 404 } else { 200 }, String::new())
            };
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    let text = "# @capture token = json tokens.0\nGET /login\n\n### 404 says that the token was right\n# @expect 404\nGET /me\nAuthorization: Bearer {{token}}\n";
    let script =
        Script::parse(text, &to, &bandy::http::HeaderMap::new()).unwrap_or_else(|e| panic!("{e}"));
    let outcome = run(Plan {
        work: Work::Http1(script),
        stop: of(60),
        ..plan(&to, 3)
    });
    assert_eq!(outcome.requests().done, 60, "{:?}", outcome.tally);
    // Two of the three connections may end between the two requests of a session.
    assert!(
        matches!(outcome.tally.status[4], 29 | 30),
        "{:?}",
        outcome.tally
    );
}

#[test]
fn streams_messages_and_datagrams() {
    let stage = Stage::new();
    for scheme in [
        Scheme::Tcp,
        Scheme::Unix,
        Scheme::Tls,
        Scheme::Udp,
        Scheme::Ws,
        Scheme::Wss,
    ] {
        let server = stage.serve(&Spec::Echo, &[scheme], Model::Async);
        let items = vec![Bytes::from_static(b"hello"), Bytes::from_static(b"you")];
        let work = match scheme {
            Scheme::Tcp | Scheme::Tls | Scheme::Unix => Work::Lines(Said::lines(items, 1)),
            _ => Work::Messages(Said::messages(items, 1)),
        };
        let to = server.endpoint().clone();
        let outcome = run(Plan {
            work,
            stop: of(300),
            dialer: stage.dialer(),
            ..plan(&to, 3)
        });
        let requests = outcome.requests();
        // A datagram may be lost, and is then told.
        assert_eq!(
            requests.done + requests.timed_out,
            300,
            "{scheme}: {:?}",
            outcome.tally
        );
        assert!(requests.done >= 290, "{scheme}: {:?}", outcome.tally);
        if scheme.is_secure() {
            assert_eq!(outcome.tally.handshakes, 3);
        }
    }
}

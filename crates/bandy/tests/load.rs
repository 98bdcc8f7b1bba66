//! Load on servers that behave and on servers that do not: whatever they do, each request is accounted for, and what
//! their users would have felt is in the numbers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use bandy::Endpoint;
use bandy::error::Kind;
use bandy::load::tally::Cause;
use bandy::load::{
    Arrivals, HttpRequest, Outcome, Pace, Plan, Rate, Report, Run, Said, Script, Stop, Work,
};
use bandy::net::Dialer;
use bandy_testkit::PATIENCE;
use bytes::Bytes;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that does this with each connection, on a thread of its own; the number is the connection's, from 0.
fn server(each: impl Fn(u64, TcpStream) + Send + Sync + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let each = Arc::new(each);
    thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
            let each = each.clone();
            thread::spawn(move || {
                stream.set_nodelay(true).expect("an option");
                stream.set_read_timeout(Some(PATIENCE)).expect("an option");
                each(number, stream);
            });
        }
    });
    format!("http://{address}").parse().expect("an endpoint")
}

/// Reads a request without a body; whether there was one.
fn hear(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0; 512];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) | Err(_) => return false,
            Ok(n) => seen.extend_from_slice(&byte[..n]),
        }
    }
    true
}

fn plan(to: &Endpoint, connections: usize) -> Plan {
    Plan {
        work: Work::Http1(Script::one(HttpRequest::get(to), to)),
        to: to.clone(),
        dialer: Dialer::plain(),
        pace: Pace::Closed,
        stop: Stop::default(),
        connections,
        per_connection: None,
        timeout: PATIENCE,
        loops: Some(2),
    }
}

fn open(rate: f64) -> Pace {
    Pace::Open {
        rate: Rate::constant(rate),
        arrivals: Arrivals::Constant,
    }
}

fn run(plan: Plan) -> Outcome {
    let outcome = Run::start(plan)
        .and_then(Run::finish)
        .unwrap_or_else(|e| panic!("{e}"));
    let requests = outcome.requests();
    assert!(requests.reconcile(), "{requests:?}");
    assert_eq!(
        outcome.tally.causes.iter().sum::<u64>(),
        requests.failed + requests.timed_out
    );
    assert_eq!(
        outcome.latency.len(),
        requests.done,
        "errors are not in the latency"
    );
    let in_slices: u64 = outcome.slices.iter().map(|slice| slice.done).sum();
    assert_eq!(in_slices, requests.done);
    // What is told is what was counted.
    let report = Report::of(&outcome);
    let text = serde_json::to_string(&report).expect("JSON");
    let schema = serde_json::from_str(bandy::load::report::SCHEMA).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let value = serde_json::from_str(&text).expect("JSON");
    let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0], "{text}");
    assert_eq!(
        serde_json::from_str::<Report>(&text).expect("read again"),
        report
    );
    outcome
}

fn of(requests: u64) -> Stop {
    Stop {
        after: None,
        requests: Some(requests),
    }
}

fn after(millis: u64) -> Stop {
    Stop {
        after: Some(Duration::from_millis(millis)),
        requests: None,
    }
}

#[test]
fn a_number_of_requests_is_that_number() {
    let heard = Arc::new(AtomicU64::new(0));
    let count = heard.clone();
    let to = server(move |_, mut stream| {
        while hear(&mut stream) {
            count.fetch_add(1, Relaxed);
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    for pace in [Pace::Closed, open(5_000.0)] {
        heard.store(0, Relaxed);
        let outcome = run(Plan {
            stop: of(1_001),
            pace,
            ..plan(&to, 7)
        });
        assert_eq!(outcome.requests().done, 1_001);
        assert_eq!(outcome.requests().scheduled, 1_001);
        assert_eq!(
            heard.load(Relaxed),
            1_001,
            "no more are sent than are counted"
        );
        assert_eq!(outcome.tally.status[2], 1_001);
        assert_eq!(outcome.tally.received_bytes, 1_001 * ANSWER.len() as u64);
        assert_eq!(
            (outcome.tally.connected, outcome.tally.not_connected),
            (7, 0)
        );
    }
}

/// The self-check: a server that stalls for a second once. Whoever comes in that second waits for the rest of it.
#[test]
fn a_stall_is_felt_as_users_would() {
    let began = Arc::new(std::sync::OnceLock::new());
    let stall = move || {
        let began: &std::time::Instant = began.get_or_init(std::time::Instant::now);
        let at = began.elapsed();
        let (from, to) = (Duration::from_millis(500), Duration::from_millis(1_500));
        if (from..to).contains(&at) {
            thread::sleep(to - at);
        }
    };
    let stall = Arc::new(stall);
    let to = server(move |_, mut stream| {
        while hear(&mut stream) {
            stall();
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    // Of 2.5 s, 1 s is stalled: 4 of 10 requests are due in it, and wait half a second on average.
    let outcome = run(Plan {
        stop: after(2_500),
        pace: open(400.0),
        ..plan(&to, 4)
    });
    let requests = outcome.requests();
    assert_eq!(requests.scheduled, 1_000);
    let at = |q| Duration::from_nanos(outcome.latency.value_at_quantile(q));
    let headline = at(0.9);
    assert!(
        headline >= Duration::from_millis(550),
        "p90 is {headline:?}: 3 in 10 waited at least 250 ms, 1 in 10 750 ms"
    );
    assert!(at(1.0) >= Duration::from_millis(900), "{:?}", at(1.0));
    // What a closed model would have said: four requests were slow, one for each connection.
    let service = &outcome.open.as_ref().expect("an open model").service;
    let slow = service.count_between(100_000_000, u64::MAX);
    assert!(slow <= 40, "{slow} were slow by their own time");
    // That they were sent late was the server's doing, and the run says so by not being invalid for it.
    let own = outcome
        .open
        .as_ref()
        .expect("an open model")
        .own_lag
        .value_at_quantile(0.5);
    assert!(own < 100_000_000, "the generator's own lag is {own} ns");
}

#[test]
fn servers_that_hang_are_timed_out() {
    let to = server(|number, mut stream| {
        while hear(&mut stream) {
            // Every other connection never gets an answer.
            let answer = if number % 2 == 0 {
                ANSWER
            } else {
                b"HTTP/1.1 200 OK\r\nContent-"
            };
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    });
    let outcome = run(Plan {
        stop: after(900),
        timeout: Duration::from_millis(200),
        ..plan(&to, 4)
    });
    let requests = outcome.requests();
    assert!(requests.done > 0 && requests.timed_out >= 2, "{requests:?}");
    assert_eq!(requests.failed, 0);
    assert_eq!(outcome.tally.of(Cause::Timeout), requests.timed_out);
    let longest = Duration::from_nanos(outcome.failures.min());
    assert!(longest >= Duration::from_millis(199), "{longest:?}");
}

#[test]
fn what_is_in_flight_at_the_end_is_told() {
    let to = server(|_, mut stream| while hear(&mut stream) {});
    let outcome = run(Plan {
        stop: after(300),
        pace: open(100.0),
        ..plan(&to, 3)
    });
    let requests = outcome.requests();
    assert_eq!((requests.done, requests.in_flight), (0, 3));
    assert_eq!(requests.scheduled, 30);
    assert_eq!(requests.never_sent, 27);
    assert!(
        outcome
            .notes()
            .iter()
            .any(|note| note.contains("due and not sent")),
        "{:?}",
        outcome.notes()
    );
}

#[test]
fn servers_that_reset_close_early_or_talk_garbage() {
    /// What it does with a request, and what that is counted as.
    type Case = (&'static str, fn(&mut TcpStream), Cause);
    let cases: [Case; 6] = [
        (
            "reset",
            |stream| {
                let socket = socket2::SockRef::from(&*stream);
                socket.set_linger(Some(Duration::ZERO)).expect("an option");
            },
            Cause::Reset,
        ),
        ("close", |_| {}, Cause::Closed),
        (
            "half a head",
            |stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\nCont")),
            Cause::Closed,
        ),
        (
            "half a body",
            |stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha")),
            Cause::Closed,
        ),
        (
            "garbage",
            |stream| drop(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")),
            Cause::Protocol,
        ),
        (
            "two lengths",
            |stream| {
                drop(stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                ))
            },
            Cause::Protocol,
        ),
    ];
    for (name, does, cause) in cases {
        let to = server(move |_, mut stream| {
            if hear(&mut stream) {
                does(&mut stream);
            }
        });
        let outcome = run(Plan {
            stop: of(40),
            ..plan(&to, 4)
        });
        let requests = outcome.requests();
        assert_eq!(
            (requests.failed, requests.done),
            (40, 0),
            "{name}: {:?}",
            outcome.tally
        );
        assert_eq!(outcome.tally.of(cause), 40, "{name}: {:?}", outcome.tally);
        assert!(outcome.tally.examples[cause as usize].is_some(), "{name}");
        assert!(
            outcome.tally.connected >= 40,
            "each on a connection of its own"
        );
    }
}

#[test]
fn connections_that_end_after_an_answer_are_made_anew() {
    let to = server(|_, mut stream| {
        if hear(&mut stream) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
        }
    });
    let outcome = run(Plan {
        stop: of(50),
        ..plan(&to, 5)
    });
    assert_eq!(outcome.requests().done, 50);
    assert!(outcome.tally.connected >= 50);
}

#[test]
fn a_connection_may_be_for_so_many_requests() {
    let to = server(|_, mut stream| while hear(&mut stream) && stream.write_all(ANSWER).is_ok() {});
    let outcome = run(Plan {
        stop: of(60),
        per_connection: Some(3),
        ..plan(&to, 4)
    });
    assert_eq!(outcome.requests().done, 60);
    // Each event loop's two connections share its 30 requests, and may end one short of three.
    let connected = outcome.tally.connected;
    assert!((20..=22).contains(&connected), "{connected}");
}

#[test]
fn a_server_that_goes_away_is_failures_and_no_busy_loop() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let to: Endpoint = format!("http://{address}").parse().expect("an endpoint");
    thread::spawn(move || {
        let mut served = Vec::new();
        for _ in 0..2 {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            served.push(thread::spawn(move || {
                for _ in 0..10 {
                    if !hear(&mut stream) || stream.write_all(ANSWER).is_err() {
                        return;
                    }
                }
            }));
        }
        drop(listener);
        served.into_iter().for_each(|thread| drop(thread.join()));
    });
    let outcome = run(Plan {
        stop: after(700),
        ..plan(&to, 2)
    });
    let requests = outcome.requests();
    assert_eq!(requests.done, 20);
    assert!(outcome.tally.of(Cause::Connect) >= 2, "{:?}", outcome.tally);
    assert!(
        requests.failed < 100,
        "each failure is followed by a pause: {requests:?}"
    );
}

#[test]
fn errors_have_a_status_and_are_not_successes() {
    let to = server(|_, mut stream| {
        for number in 0.. {
            let answer: &[u8] = match number % 4 {
                0 => b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                1 => b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n",
                2 => b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
                _ => ANSWER,
            };
            if !hear(&mut stream) || stream.write_all(answer).is_err() {
                return;
            }
        }
    });
    let outcome = run(Plan {
        stop: of(400),
        loops: Some(1),
        ..plan(&to, 1)
    });
    assert_eq!(outcome.tally.status, [0, 0, 200, 0, 100, 100]);
    assert_eq!(
        (outcome.requests().done, outcome.requests().failed),
        (200, 200)
    );
    assert_eq!(
        outcome.tally.connected, 1,
        "an error is an answer like any other"
    );
    assert_eq!(
        outcome.tally.examples[Cause::Status5xx as usize].as_deref(),
        Some("HTTP status 503")
    );
}

#[test]
fn answers_that_come_in_drops() {
    let to = server(|_, mut stream| {
        while hear(&mut stream) {
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n";
            if answer.chunks(7).any(|part| stream.write_all(part).is_err()) {
                return;
            }
        }
    });
    let outcome = run(Plan {
        stop: of(200),
        ..plan(&to, 3)
    });
    assert_eq!(outcome.requests().done, 200);
}

#[test]
fn nobody_there_is_an_error_and_no_result() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to: Endpoint = format!("http://{}", listener.local_addr().expect("an address"))
        .parse()
        .expect("an endpoint");
    drop(listener);
    let error = Run::start(Plan {
        stop: of(1),
        ..plan(&to, 2)
    })
    .and_then(Run::finish)
    .expect_err("nobody listens");
    assert_eq!(error.kind(), Kind::NotConnected, "{error}");
}

#[test]
fn a_run_can_be_stopped() {
    let to = server(|_, mut stream| while hear(&mut stream) && stream.write_all(ANSWER).is_ok() {});
    let mut run = Run::start(plan(&to, 2)).unwrap_or_else(|e| panic!("{e}"));
    let stopper = run.stopper();
    let mut done = 0;
    while done == 0 {
        if let Ok(Some(told)) = run.next(PATIENCE) {
            done = told.requests.done;
        }
    }
    stopper.stop();
    let outcome = run.finish().unwrap_or_else(|e| panic!("{e}"));
    assert!(outcome.requests().done >= done && outcome.requests().reconcile());
}

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
    use bandy::Model;
    use bandy::endpoint::Scheme;
    use bandy::services::Spec;
    use bandy_testkit::Stage;
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

#[test]
fn http2_has_many_at_a_time() {
    use bandy::Model;
    use bandy::endpoint::Scheme;
    use bandy::services::Spec;
    use bandy_testkit::Stage;
    let stage = Stage::new();
    for scheme in [Scheme::Http, Scheme::Https] {
        let server = stage.serve(&Spec::Echo, &[scheme], Model::Async);
        let to = server.endpoint().clone();
        let script = Script::one(
            HttpRequest {
                method: bandy::http::Method::POST,
                body: Bytes::from_static(b"hello"),
                ..HttpRequest::get(&to)
            },
            &to,
        );
        let outcome = run(Plan {
            work: Work::Http2 { script, streams: 4 },
            stop: of(400),
            dialer: stage.dialer().alpn(&["h2"]),
            ..plan(&to, 2)
        });
        assert_eq!(
            outcome.requests().done,
            400,
            "{scheme}: {:?}",
            outcome.tally
        );
        assert_eq!(outcome.tally.status[2], 400);
        assert_eq!(
            outcome.tally.connected, 2,
            "streams share their connections"
        );
        assert!(outcome.tally.sent_bytes > 400 * 5);
    }
}

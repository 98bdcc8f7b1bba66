//! Servers that hang, reset, close, talk garbage or go away.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bandy::Endpoint;
use bandy::error::Kind;
use bandy::load::tally::Cause;
use bandy::load::{Pace, Plan, Run, Said, Work};

use super::{ANSWER, after, hear, of, open, plan, run, server};

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

/// A server that lets nobody in: whoever waits at the door is counted, and timed out.
#[test]
fn who_never_gets_in_is_timed_out() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // It takes connections, and never shakes hands.
    let to: Endpoint = format!("tls://{address}").parse().expect("an endpoint");
    let stage = bandy_testkit::Stage::new();
    for pace in [Pace::Closed, open(20.0)] {
        let outcome = run(Plan {
            work: Work::Lines(Said::lines(vec!["hello".into()], 1)),
            dialer: stage.dialer(),
            pace,
            stop: after(500),
            timeout: Duration::from_millis(200),
            ..plan(&to, 2)
        });
        let requests = outcome.requests();
        assert_eq!(requests.done + requests.failed, 0, "{requests:?}");
        assert!(requests.timed_out >= 2, "{requests:?}");
        assert_eq!(
            outcome.tally.of(Cause::Timeout),
            requests.timed_out,
            "{:?}",
            outcome.tally
        );
    }
    drop(listener);
}

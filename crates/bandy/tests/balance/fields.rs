//! What is said to backends and to clients beside what they say to each other.

use super::*;

/// The head that a backend gets when this is asked: the same over a new connection and over one that stands, where the
/// request is passed on as it came.
fn passed(rules: Rules, ask: &str) -> String {
    let (stage, far) = (Stage::new(), Far::new());
    let (server, _) = balancer(&stage, pool([&far]), rules);
    let mut client = Raw::to(&server);
    client.say(ask);
    let mut backend = far.accept();
    let head = backend.serve("");
    client.hear();
    client.say(ask);
    let again = backend.serve("");
    client.hear();
    let mut lines: Vec<_> = head.lines().zip(again.lines()).collect();
    // Each has its own.
    lines.retain(|(line, _)| !line.starts_with("x-request-id: "));
    assert!(
        lines.iter().all(|(one, other)| one == other),
        "{head}{again}"
    );
    head
}

fn trusting() -> Rules {
    Rules {
        trust: vec!["127.0.0.0/8".parse().expect("a range")],
        ..Rules::default()
    }
}

#[test]
fn what_is_for_one_hop_goes_no_further() {
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-mine, Host\r\nx-mine: 1\r\nKeep-Alive: 5\r\n\
        TE: gzip, trailers\r\nProxy-Connection: x\r\nx-other: 2\r\n\r\n";
    let head = passed(Rules::default(), ask);
    assert_eq!(field(&head, "host"), Some("a"));
    assert_eq!(field(&head, "te"), Some("trailers"));
    assert_eq!(field(&head, "connection"), Some("te"));
    assert_eq!(field(&head, "x-other"), Some("2"));
    for gone in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(field(&head, gone), None, "{head}");
    }
}

#[test]
fn nor_does_what_is_for_one_hop_of_an_answer() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    // Over a new connection, and over one that stands.
    for _ in 0..2 {
        backend.head();
        backend.say("HTTP/1.1 200 OK\r\nConnection: x-mine\r\nx-mine: 1\r\nKeep-Alive: timeout=5\r\nx-other: 2\r\nContent-Length: 0\r\n\r\n");
        let head = client.head();
        assert_eq!(field(&head, "x-other"), Some("2"));
        for gone in ["x-mine", "keep-alive", "connection"] {
            assert_eq!(field(&head, gone), None, "{head}");
        }
        client.say(GET);
    }
}

const CLAIMS: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: b.test\r\nForwarded: for=192.0.2.1\r\nX-Request-Id: mine\r\ntraceparent: 00-ab-cd-01\r\n\r\n";

#[test]
fn what_a_stranger_claims_of_others_is_replaced() {
    let head = passed(Rules::default(), CLAIMS);
    assert_eq!(field(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(field(&head, "x-forwarded-proto"), Some("http"));
    assert_eq!(field(&head, "x-forwarded-host"), Some("a.test"));
    assert_eq!(field(&head, "forwarded"), None);
    assert_eq!(field(&head, "traceparent"), Some("00-ab-cd-01"));
    let id = field(&head, "x-request-id").expect("an id");
    assert!(id.len() == 32 && id != "mine", "{id}");
    assert_eq!(head.matches("x-forwarded-for").count(), 1, "{head}");
}

#[test]
fn what_a_trusted_hop_says_is_passed_on_and_added_to() {
    let head = passed(trusting(), CLAIMS);
    assert_eq!(
        field(&head, "x-forwarded-for"),
        Some("192.0.2.1, 127.0.0.1")
    );
    assert_eq!(field(&head, "x-forwarded-proto"), Some("https"));
    assert_eq!(field(&head, "x-forwarded-host"), Some("b.test"));
    assert_eq!(field(&head, "forwarded"), Some("for=192.0.2.1"));
    assert_eq!(field(&head, "x-request-id"), Some("mine"));
}

#[test]
fn forwarded_and_the_host_are_said_where_that_is_wanted() {
    let rules = Rules {
        forwarded: true,
        host: Some("inside.test".to_owned()),
        request_id: false,
        ..trusting()
    };
    let head = passed(rules, CLAIMS);
    let forwarded = "for=192.0.2.1, for=127.0.0.1;proto=http;host=\"a.test\"";
    assert_eq!(field(&head, "forwarded"), Some(forwarded));
    assert_eq!(field(&head, "host"), Some("inside.test"));
    assert_eq!(
        head.to_ascii_lowercase().matches("\r\nhost:").count(),
        1,
        "{head}"
    );
    assert_eq!(field(&head, "x-request-id"), Some("mine"));
}

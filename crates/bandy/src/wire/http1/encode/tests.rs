use http::{HeaderName, HeaderValue, Version};

use super::*;
use crate::wire::http1::{Asked, Bounds, parse_request, parse_response};

const DATE_VALUE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    map
}

/// The lines behind the first, and the body's length as it is to be written, and whether the connection goes on.
fn response(
    asked: Asked,
    version: Version,
    status: u16,
    length: Length,
    keep_alive: bool,
    fields: &[(&'static str, &'static str)],
) -> (Vec<String>, Length, bool) {
    let status = StatusCode::from_u16(status).expect("a status");
    let framing = Framing::new(asked, version, status, length, keep_alive);
    let mut out = b"before".to_vec();
    write_response_head(&mut out, status, &map(fields), &framing, None);
    let out = String::from_utf8(out).expect("ASCII");
    let head = out.strip_prefix("before").expect("what was there stays");
    let parsed = parse_response(head.as_bytes(), &Bounds::default(), asked);
    let (parsed, end) = parsed.expect("valid").expect("whole");
    assert_eq!((parsed.status, end), (status, head.len()));
    assert_eq!(
        parsed.length, framing.body,
        "what is said is what is done: {head:?}"
    );
    let lines = head.strip_suffix("\r\n\r\n").expect("an end").split("\r\n");
    (
        lines.skip(1).map(str::to_owned).collect(),
        framing.body,
        framing.keep_alive,
    )
}

const OLD: Version = Version::HTTP_10;
const NEW: Version = Version::HTTP_11;

#[test]
fn a_whole_response() {
    let status = StatusCode::NOT_FOUND;
    let framing = Framing::new(Asked::Other, NEW, status, Length::Known(12), true);
    let mut out = Vec::new();
    let fields = map(&[("server", "x"), ("set-cookie", "a"), ("set-cookie", "b")]);
    write_response_head(&mut out, status, &fields, &framing, Some(DATE_VALUE));
    let expected = "HTTP/1.1 404 Not Found\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: x\r\nset-cookie: a\r\n\
                    set-cookie: b\r\ncontent-length: 12\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn one_date_and_none_before_the_answer() {
    let dates = |status: StatusCode, fields: &[(&'static str, &'static str)]| {
        let framing = Framing::new(Asked::Other, NEW, status, Length::None, true);
        let mut out = Vec::new();
        write_response_head(&mut out, status, &map(fields), &framing, Some(DATE_VALUE));
        String::from_utf8_lossy(&out).matches("date: ").count()
    };
    assert_eq!(dates(StatusCode::OK, &[]), 1);
    assert_eq!(dates(StatusCode::OK, &[("date", "mine")]), 1);
    assert_eq!(dates(StatusCode::EARLY_HINTS, &[]), 0);
}

#[test]
fn what_frames_a_response_is_written_once_and_by_us() {
    let fields = [
        ("content-length", "99"),
        ("content-length", "98"),
        ("transfer-encoding", "gzip"),
        ("connection", "x-one, close"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "h2c"),
        ("te", "trailers"),
        ("x-one", "1"),
        ("x-two", "2"),
    ];
    let lines =
        |length, keep_alive| response(Asked::Other, NEW, 200, length, keep_alive, &fields).0;
    assert_eq!(
        lines(Length::Known(5), true),
        ["x-two: 2", "content-length: 5"]
    );
    assert_eq!(lines(Length::None, true), ["x-two: 2", "content-length: 0"]);
    assert_eq!(
        lines(Length::Chunked, true),
        ["x-two: 2", "transfer-encoding: chunked"]
    );
    assert_eq!(
        lines(Length::UntilClose, true),
        ["x-two: 2", "connection: close"]
    );
    assert_eq!(
        lines(Length::Known(u64::MAX), false),
        [
            "x-two: 2",
            "content-length: 18446744073709551615",
            "connection: close"
        ]
    );
}

#[test]
fn old_clients_get_no_chunks_and_are_told_that_a_connection_stays() {
    let old = |length, keep_alive| response(Asked::Other, OLD, 200, length, keep_alive, &[]);
    let lines = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        old(Length::Chunked, true),
        (lines(&["connection: close"]), Length::UntilClose, false)
    );
    assert_eq!(
        old(Length::Known(1), true),
        (
            lines(&["content-length: 1", "connection: keep-alive"]),
            Length::Known(1),
            true
        )
    );
    assert_eq!(
        old(Length::Known(1), false),
        (
            lines(&["content-length: 1", "connection: close"]),
            Length::Known(1),
            false
        )
    );
}

#[test]
fn heads_without_a_body() {
    let fields = [("content-length", "7"), ("x", "y")];
    for length in [
        Length::None,
        Length::Known(0),
        Length::Known(5),
        Length::Chunked,
        Length::UntilClose,
    ] {
        for status in [100, 103, 204, 304] {
            let (lines, body, keep_alive) =
                response(Asked::Other, NEW, status, length, true, &fields);
            assert_eq!(lines, ["x: y"], "{status} {length:?}");
            assert_eq!((body, keep_alive), (Length::None, true));
        }
        let (lines, body, _) = response(Asked::Connect, NEW, 200, length, false, &fields);
        assert_eq!(
            (lines, body),
            (vec!["x: y".to_owned()], Length::None),
            "a tunnel says nothing"
        );
    }
    // HEAD: what GET would say, as far as it is known.
    for (length, said) in [
        (Length::None, "content-length: 7"),
        (Length::Known(0), "content-length: 7"),
        (Length::Known(5), "content-length: 5"),
        (Length::Chunked, "transfer-encoding: chunked"),
    ] {
        let (lines, body, keep_alive) = response(Asked::Head, NEW, 200, length, true, &fields);
        assert_eq!(lines, ["x: y", said], "{length:?}");
        assert_eq!((body, keep_alive), (Length::None, true));
    }
    for fields in [
        &[("content-length", "x")][..],
        &[("content-length", "1"), ("content-length", "1")],
        &[],
    ] {
        let (lines, ..) = response(Asked::Head, NEW, 200, Length::Known(0), true, fields);
        assert_eq!(lines, [""; 0], "{fields:?}");
    }
    let (lines, _, keep_alive) = response(Asked::Head, OLD, 200, Length::Chunked, true, &[]);
    assert_eq!(
        (lines, keep_alive),
        (vec!["connection: keep-alive".to_owned()], true)
    );
    let (lines, ..) = response(Asked::Head, NEW, 204, Length::None, true, &fields);
    assert_eq!(lines, ["x: y"]);
}

#[test]
fn a_switch_of_protocols() {
    let fields = [("upgrade", "websocket"), ("connection", "Upgrade")];
    let lines = |status, keep_alive| {
        response(Asked::Other, NEW, status, Length::None, keep_alive, &fields).0
    };
    assert_eq!(
        lines(101, false),
        ["upgrade: websocket", "connection: upgrade"]
    );
    assert_eq!(
        lines(426, false),
        [
            "upgrade: websocket",
            "content-length: 0",
            "connection: close, upgrade"
        ]
    );
    assert_eq!(lines(200, true), ["content-length: 0"]);
}

#[test]
fn continue_is_a_whole_head() {
    let parsed = parse_response(CONTINUE, &Bounds::default(), Asked::Other);
    let (head, end) = parsed.expect("valid").expect("whole");
    assert_eq!((head.status, end), (StatusCode::CONTINUE, CONTINUE.len()));
}

/// A request's head, which our own parser takes.
fn request(
    method: &str,
    fields: &[(&'static str, &'static str)],
    length: Length,
    connection: Connection,
) -> String {
    let mut out = Vec::new();
    write_request_head(&mut out, method, "/a?b", &map(fields), length, connection);
    let parsed = parse_request(&out, &Bounds::default());
    let (head, end) = parsed.expect("valid").expect("whole");
    assert_eq!((head.method, head.target, end), (method, "/a?b", out.len()));
    assert_eq!(head.keep_alive, connection != Connection::Close);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn requests() {
    let host = ("host", "a.test");
    assert_eq!(
        request(
            "GET",
            &[("accept", "*/*"), host],
            Length::None,
            Connection::KeepAlive
        ),
        "GET /a?b HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\n\r\n"
    );
    let fields = [
        host,
        ("te", "gzip, trailers"),
        ("content-length", "9"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("connection", "x, host"),
        ("x", "y"),
    ];
    assert_eq!(
        request("PUT", &fields, Length::Known(5), Connection::Close),
        "PUT /a?b HTTP/1.1\r\nhost: a.test\r\nte: trailers\r\ncontent-length: 5\r\nconnection: close, te\r\n\r\n"
    );
    assert_eq!(
        request(
            "GET",
            &fields[4..]
                .iter()
                .copied()
                .chain([host])
                .collect::<Vec<_>>(),
            Length::None,
            Connection::Upgrade
        ),
        "GET /a?b HTTP/1.1\r\nhost: a.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    );
    for (method, length, said) in [
        ("POST", Length::None, "content-length: 0\r\n"),
        ("DELETE", Length::None, ""),
        ("GET", Length::Known(0), "content-length: 0\r\n"),
        ("POST", Length::Chunked, "transfer-encoding: chunked\r\n"),
        ("POST", Length::UntilClose, "transfer-encoding: chunked\r\n"),
    ] {
        let expected = format!("{method} /a?b HTTP/1.1\r\nhost: a.test\r\n{said}\r\n");
        assert_eq!(
            request(method, &[host], length, Connection::KeepAlive),
            expected
        );
    }
    // Nothing to upgrade to: nothing is said.
    let offer = request("GET", &[host], Length::None, Connection::Upgrade);
    assert!(!offer.contains("upgrade"));
}

#[test]
fn chunks() {
    for (len, line) in [
        (1, "1\r\n"),
        (10, "a\r\n"),
        (16, "10\r\n"),
        (255, "ff\r\n"),
        (256, "100\r\n"),
        (65_536, "10000\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ] {
        let mut out = Vec::new();
        write_chunk_head(&mut out, len);
        assert_eq!(String::from_utf8_lossy(&out), line);
    }
    let mut out = Vec::new();
    write_last_chunk(&mut out, None);
    assert_eq!(out, b"0\r\n\r\n");
    let trailers = map(&[("x", "y"), ("content-length", "5"), ("authorization", "z")]);
    out.clear();
    write_last_chunk(&mut out, Some(&trailers));
    assert_eq!(out, b"0\r\nx: y\r\n\r\n");
}

//! HTTP/1.1: what one side writes the other reads; how the stream was cut changes nothing; nobody's bytes do harm.

use bandy::wire::http1::{
    Asked, BodyDecoder, Bounds, CHUNK_TAIL, Connection, Form, Framing, Length, Reject, RequestHead,
    ResponseHead, Scan, Step, parse_request, parse_response, strip_hop_by_hop, write_chunk_head,
    write_last_chunk, write_request_head, write_response_head,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use proptest::prelude::*;

use crate::{cut, cuts};

/// Small enough that what is made up here reaches them.
const BOUNDS: Bounds = Bounds {
    head_bytes: 300,
    target_bytes: 60,
    fields: 8,
};

fn value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![0x21..=0x7e_u8, 0x80..=0xff_u8];
    let inner = prop_oneof![0x20..=0x7e_u8, Just(b'\t'), 0x80..=0xff_u8];
    let value = (byte.clone(), prop::collection::vec(inner, 0..10), byte);
    let value = value.prop_map(|(first, inner, last)| [&[first][..], &inner, &[last]].concat());
    prop_oneof![1 => Just(Vec::new()), 9 => value]
        .prop_map(|value| HeaderValue::from_bytes(&value).expect("no control characters"))
}

/// Fields that mean nothing to the codec, and in between some that do.
fn fields() -> impl Strategy<Value = HeaderMap> {
    let of_ours = prop::sample::select(vec![
        ("connection", "close"),
        ("connection", "x-0, upgrade"),
        ("content-length", "7"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "gzip"),
        ("upgrade", "websocket"),
    ]);
    let of_ours = of_ours.prop_map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    let name = "x-[a-z0-9!#$%&'*+.^_`|~-]{0,8}"
        .prop_map(|name| HeaderName::from_bytes(name.as_bytes()).expect("a token"));
    let field = prop_oneof![1 => of_ours, 5 => (name, value())];
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(name, value);
        }
        map
    })
}

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![
        Just(Length::None),
        any::<u64>().prop_map(Length::Known),
        (0..10_u64).prop_map(Length::Known),
        Just(Length::Chunked),
        Just(Length::UntilClose),
    ]
}

/// The fields without those that belong to the connection or frame the message, with all values of a name together.
fn sorted(mut map: HeaderMap) -> Vec<(String, Vec<u8>)> {
    strip_hop_by_hop(&mut map);
    for name in ["content-length", "te"] {
        map.remove(name);
    }
    let fields = map
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let mut fields: Vec<_> = fields.collect();
    // Stable: several values of one name keep their order.
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// What a request's head says, owned.
#[derive(Debug, PartialEq)]
struct Request {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    length: Length,
    flags: [bool; 3],
    host: Option<String>,
    end: usize,
}

impl Request {
    fn of(head: &RequestHead<'_>, end: usize) -> Request {
        let fields = head
            .fields()
            .map(|(name, value)| (name.to_owned(), value.to_vec()));
        Request {
            method: head.method.to_owned(),
            target: head.target.to_owned(),
            fields: fields.collect(),
            length: head.length,
            flags: [head.keep_alive, head.expects_continue, head.upgrades],
            host: head.host().map(str::to_owned),
            end,
        }
    }
}

/// The verdict on the head of a request that comes in these chunks, by one who keeps what came and looks when it is
/// worth it.
fn request_in(chunks: &[&[u8]]) -> Result<Option<Request>, Reject> {
    in_chunks(chunks, |bytes| {
        let parsed = parse_request(bytes, &BOUNDS)?;
        Ok(parsed.map(|(head, end)| Request::of(&head, end)))
    })
}

/// Status, fields, length, flags and where the head ends.
type Response = (u16, Vec<(String, Vec<u8>)>, Length, [bool; 2], usize);

fn response_of((head, end): (ResponseHead<'_>, usize)) -> Response {
    let fields = head
        .fields()
        .map(|(name, value)| (name.to_owned(), value.to_vec()));
    let flags = [head.keep_alive, head.upgrades];
    (
        head.status.as_u16(),
        fields.collect(),
        head.length,
        flags,
        end,
    )
}

fn response_in(chunks: &[&[u8]], asked: Asked) -> Result<Option<Response>, Reject> {
    in_chunks(chunks, |bytes| {
        Ok(parse_response(bytes, &BOUNDS, asked)?.map(response_of))
    })
}

fn in_chunks<T>(
    chunks: &[&[u8]],
    parse: impl Fn(&[u8]) -> Result<Option<T>, Reject>,
) -> Result<Option<T>, Reject> {
    let mut scan = Scan::new(&BOUNDS);
    let mut held = Vec::new();
    for chunk in chunks {
        held.extend_from_slice(chunk);
        if scan.is_worth_parsing(&held)
            && let Some(head) = parse(&held)?
        {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// The lines of a head that was written, the first one first. A map puts the values of one name together.
fn lines(head: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = head.split(|&byte| byte == b'\n').collect();
    if let Some(fields) = lines.get_mut(1..) {
        fields.sort_unstable();
    }
    lines
}

/// Bytes that are nearly a head: lines that are right, lines that are not, and now and then anything.
fn nearly(first: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let right = vec![
        "Host: a.test",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Connection: close, x",
        "Connection: upgrade",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "TE: gzip, trailers",
        "DATE: now",
        "X: y",
    ];
    let wrong = vec![
        "host: b:80",
        "Content-Length: 5, 5",
        "Transfer-Encoding: gzip, chunked",
        "Expect: x",
        "X : y",
        " folded",
        "X",
        ": y",
        "",
    ];
    let end = prop_oneof![60 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
    let line = |lines: Vec<&'static str>| {
        prop::sample::select(lines).prop_map(|line| line.as_bytes().to_vec())
    };
    let line = prop_oneof![
        60 => line(right),
        5 => line(wrong),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let line = (line, end.clone()).prop_map(|(line, end)| [&line, end.as_bytes()].concat());
    let first = (prop::sample::select(first), end)
        .prop_map(|(line, end)| [line, end].concat().into_bytes());
    let lines = prop::collection::vec(line, 0..5);
    let lines = (any::<bool>(), lines).prop_map(|(has_host, lines)| {
        let host: &[u8] = if has_host { b"Host: c.test\r\n" } else { b"" };
        [host, &lines.concat()].concat()
    });
    (first, lines).prop_map(|(first, lines)| [first, lines, b"\r\n\r\nrest".to_vec()].concat())
}

const REQUEST_LINES: &[&str] = &[
    "GET / HTTP/1.1",
    "POST /a?b HTTP/1.1",
    "GET /a HTTP/1.0",
    "GET http://c.test/d HTTP/1.1",
    "CONNECT e.test:443 HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET * HTTP/1.1",
    "GET / HTTP/2.0",
    "GET  / HTTP/1.1",
    "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1",
    "\r\nGET / HTTP/1.1",
    "",
];

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.0 404",
    "HTTP/1.1 204 ",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 99 x",
    "HTTP/2.0 200 OK",
    "",
];

fn asked() -> impl Strategy<Value = Asked> {
    prop::sample::select(vec![Asked::Head, Asked::Connect, Asked::Other])
}

proptest! {
    #[test]
    fn a_request_that_was_written_is_read_as_it_was_meant(
        method in "[A-Z]{1,12}",
        target in "/[!-~&&[^#<>`\"?]]{0,20}(\\?[!-~&&[^#<>\"]]{0,10})?",
        fields in fields(),
        length in length(),
        connection in prop::sample::select(vec![Connection::KeepAlive, Connection::Close, Connection::Upgrade]),
    ) {
        prop_assume!(method != "CONNECT");
        let mut fields = fields;
        fields.insert("host", HeaderValue::from_static("a.test:80"));
        let mut out = Vec::new();
        write_request_head(&mut out, &method, &target, &fields, length, connection);

        let (head, end) = parse_request(&out, &Bounds::default()).expect("valid").expect("whole");
        prop_assert_eq!((head.method, head.target, head.form(), end), (&method[..], &target[..], Form::Origin, out.len()));
        prop_assert_eq!(head.host(), Some("a.test:80"));
        prop_assert_eq!(head.keep_alive, connection != Connection::Close);
        prop_assert_eq!(head.upgrades, connection == Connection::Upgrade && fields.contains_key("upgrade"));
        let expected = match length {
            Length::None if matches!(&method[..], "POST" | "PUT" | "PATCH") => Length::Known(0),
            Length::UntilClose => Length::Chunked,
            length => length,
        };
        prop_assert_eq!(head.length, expected);
        let parts = head.to_parts(&Bytes::copy_from_slice(&out)).expect("parts");
        prop_assert_eq!(parts.uri.to_string(), target);
        prop_assert_eq!(sorted(parts.headers), sorted(fields));
    }

    #[test]
    fn a_response_that_was_written_is_read_as_it_was_meant(
        status in 100..1000_u16,
        fields in fields(),
        length in length(),
        asked in asked(),
        is_old in any::<bool>(),
        keep_alive in any::<bool>(),
    ) {
        let status = StatusCode::from_u16(status).expect("in range");
        prop_assume!(status != StatusCode::SWITCHING_PROTOCOLS);
        let version = if is_old { Version::HTTP_10 } else { Version::HTTP_11 };
        let framing = Framing::new(asked, version, status, length, keep_alive);
        let mut out = Vec::new();
        write_response_head(&mut out, status, &fields, &framing, None);

        let (head, end) = parse_response(&out, &Bounds::default(), asked).expect("valid").expect("whole");
        prop_assert_eq!((head.status, end), (status, out.len()));
        prop_assert_eq!(head.length, framing.body);
        let is_last_head = !status.is_informational() && !head.upgrades;
        prop_assert!(!is_last_head || head.keep_alive == framing.keep_alive);
        prop_assert!(!(is_old && framing.body == Length::Chunked));
        let parts = head.to_parts(&Bytes::copy_from_slice(&out)).expect("parts");
        prop_assert!(parts.headers.get_all("connection").iter().count() <= 1);
        prop_assert!(parts.headers.get_all("content-length").iter().count() <= 1);
        let mut fields = fields;
        let keeps_upgrade = status == StatusCode::UPGRADE_REQUIRED && fields.contains_key("upgrade");
        prop_assert_eq!(parts.headers.contains_key("upgrade"), keeps_upgrade);
        fields.remove("te");
        prop_assert_eq!(sorted(parts.headers), sorted(fields));
    }

    #[test]
    fn how_a_request_was_cut_changes_nothing(bytes in nearly(REQUEST_LINES), cuts in cuts()) {
        let whole = parse_request(&bytes, &BOUNDS).map(|head| head.map(|(head, end)| Request::of(&head, end)));
        prop_assert_eq!(&request_in(&cut(&bytes, &cuts)), &whole);
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&request_in(&bytewise), &whole);
    }

    #[test]
    fn how_a_response_was_cut_changes_nothing(bytes in nearly(STATUS_LINES), asked in asked(), cuts in cuts()) {
        let whole = parse_response(&bytes, &BOUNDS, asked).map(|head| head.map(response_of));
        prop_assert_eq!(&response_in(&cut(&bytes, &cuts), asked), &whole);
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&response_in(&bytewise, asked), &whole);
    }

    /// What is passed on is the same, whether a map was made of it or not.
    #[test]
    fn a_request_is_written_from_its_bytes_as_from_a_map(bytes in nearly(REQUEST_LINES), upgrades in any::<bool>()) {
        let Ok(Some((head, end))) = parse_request(&bytes, &BOUNDS) else {
            return Ok(());
        };
        let Ok(parts) = head.to_parts(&Bytes::copy_from_slice(&bytes[..end])) else {
            return Ok(());
        };
        let connection = if upgrades { Connection::Upgrade } else { Connection::KeepAlive };
        let (mut from_bytes, mut from_map) = (Vec::new(), Vec::new());
        write_request_head(&mut from_bytes, head.method, "/", &head, head.length, connection);
        write_request_head(&mut from_map, head.method, "/", &parts.headers, head.length, connection);
        prop_assert_eq!(lines(&from_bytes), lines(&from_map));
    }

    #[test]
    fn so_is_a_response(bytes in nearly(STATUS_LINES), asked in asked(), keep_alive in any::<bool>()) {
        let Ok(Some((head, end))) = parse_response(&bytes, &BOUNDS, asked) else {
            return Ok(());
        };
        let parts = head.to_parts(&Bytes::copy_from_slice(&bytes[..end]));
        let parts = parts.expect("what passes has a place");
        let framing = Framing::new(asked, head.version, head.status, head.length, keep_alive);
        let (mut from_bytes, mut from_map) = (Vec::new(), Vec::new());
        let date = Some(&b"Sun, 06 Nov 1994 08:49:37 GMT"[..]);
        write_response_head(&mut from_bytes, head.status, &head, &framing, date);
        write_response_head(&mut from_map, head.status, &parts.headers, &framing, date);
        prop_assert_eq!(lines(&from_bytes), lines(&from_map));
    }

    /// What passes the gate has one host, one length, and a place in the types of `http`.
    #[test]
    fn what_passes_the_gate_has_one_meaning(bytes in nearly(REQUEST_LINES)) {
        let Ok(Some((head, end))) = parse_request(&bytes, &BOUNDS) else {
            return Ok(());
        };
        let count = |name: &str| head.fields().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count();
        let is_new = head.version == Version::HTTP_11;
        prop_assert!(count("host") == 1 || (count("host") == 0 && !is_new));
        prop_assert!(count("content-length") + count("transfer-encoding") <= 1);
        prop_assert!(head.length != Length::UntilClose);
        prop_assert!(end <= BOUNDS.head_bytes && head.fields().count() <= BOUNDS.fields);
        let text = String::from_utf8_lossy(&bytes[..end]);
        prop_assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']));
        let parts = head.to_parts(&Bytes::copy_from_slice(&bytes[..end]));
        prop_assert!(parts.is_ok_and(|parts| parts.uri == head.target || head.target.ends_with(".test")));
    }
}

/// A chunked body as it is on the wire, with what it says.
#[derive(Debug, Clone)]
struct Chunked {
    wire: Vec<u8>,
    body: Vec<u8>,
    trailers: HeaderMap,
}

fn chunked() -> impl Strategy<Value = Chunked> {
    let chunk = prop::collection::vec(any::<u8>(), 1..40);
    let fields = prop::collection::vec(("x-[a-z]{0,3}", value()), 0..4);
    (prop::collection::vec(chunk, 0..6), fields).prop_map(|(chunks, fields)| {
        let mut wire = Vec::new();
        for chunk in &chunks {
            write_chunk_head(&mut wire, chunk.len());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(CHUNK_TAIL);
        }
        let mut trailers = HeaderMap::new();
        for (name, value) in fields {
            trailers.append(
                HeaderName::from_bytes(name.as_bytes()).expect("a token"),
                value,
            );
        }
        write_last_chunk(&mut wire, Some(&trailers));
        Chunked {
            wire,
            body: chunks.concat(),
            trailers,
        }
    })
}

/// A body out of chunks: what it says, its trailers, and how many bytes it took or why it failed.
type Body = (Vec<u8>, Option<HeaderMap>, Result<usize, Reject>);

fn body_in(length: Length, chunks: &[&[u8]]) -> Body {
    let mut decoder = BodyDecoder::new(length, &BOUNDS);
    let (mut body, mut taken) = (Vec::new(), 0);
    for chunk in chunks {
        let mut rest = *chunk;
        loop {
            match decoder.decode(rest) {
                Ok(Step::Data { skip, len }) => {
                    body.extend_from_slice(&rest[skip..skip + len]);
                    taken += skip + len;
                    rest = &rest[skip + len..];
                }
                Ok(Step::More { consumed }) => {
                    assert_eq!(consumed, rest.len());
                    taken += consumed;
                    break;
                }
                Ok(Step::End { consumed, trailers }) => {
                    return (body, trailers, Ok(taken + consumed));
                }
                Err(reject) => return (body, None, Err(reject)),
            }
        }
    }
    let end = decoder.end_of_stream().map(|()| taken);
    (body, None, end)
}

/// Nearly chunks: sizes, lines and data that do not always fit.
fn nearly_chunked() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec![
        "5\r\nhello\r\n",
        "1;a=b\r\nx\r\n",
        "0\r\n",
        "\r\n",
        "X: y\r\n",
        "Host: a\r\n",
        "X : y\r\n",
        " z\r\n",
        "fffffffffffffffff",
        "5\nhello\n",
        "3\r\nhello\r\n",
        "0005\r\nhello\r\n",
        "a",
        "\r",
        "\n",
        ";",
        "0\r\n\r\n",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..8)
        .prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn chunks_that_were_written_are_read_and_not_a_byte_more(
        chunked in chunked(),
        cuts in cuts(),
        rest in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let stream = [&chunked.wire[..], &rest].concat();
        let expected = (
            chunked.body,
            (!chunked.trailers.is_empty()).then_some(chunked.trailers),
            Ok(chunked.wire.len()),
        );
        prop_assert_eq!(&body_in(Length::Chunked, &cut(&stream, &cuts)), &expected);
        prop_assert_eq!(&body_in(Length::Chunked, &[&stream]), &expected);
    }

    #[test]
    fn how_a_body_was_cut_changes_nothing(
        bytes in prop_oneof![nearly_chunked(), prop::collection::vec(any::<u8>(), 0..60)],
        length in length(),
        cuts in cuts(),
    ) {
        let whole = body_in(length, &[&bytes]);
        prop_assert_eq!(&body_in(length, &cut(&bytes, &cuts)), &whole);
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&body_in(length, &bytewise), &whole);
    }
}

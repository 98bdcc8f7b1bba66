use proptest::prelude::*;

use super::super::frame::{write_go_away, write_settings};
use super::*;

/// What a test heard: the key, and the event in words.
type Heard = Vec<(usize, String)>;

fn receive(client: &mut Client, bytes: &[u8]) -> Result<Heard, Wrong> {
    let mut heard = Vec::new();
    client.receive(bytes, &mut |key, event| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        heard.push((
            key,
            match event {
                Event::Field(name, value) => format!("{}: {}", text(name), text(value)),
                Event::Head(status) => format!("head {status}"),
                Event::Data(data) => format!("data {}", text(data)),
                Event::End => "end".to_owned(),
                Event::Lost(why) => format!("{why:?}"),
            },
        ));
    })?;
    Ok(heard)
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_head(&mut out, body.len(), kind, flags, stream);
    out.extend_from_slice(body);
    out
}

/// A connection on which the server has said hello with these settings, and this many GETs are asked.
fn asked(settings: &[(u16, u32)], requests: usize) -> Client {
    let mut client = Client::default();
    let mut hello = Vec::new();
    write_settings(&mut hello, settings);
    assert_eq!(receive(&mut client, &hello), Ok(Vec::new()));
    for key in 0..requests {
        assert!(ask(&mut client, key, b"").is_some());
    }
    client
}

fn ask(client: &mut Client, key: usize, body: &'static [u8]) -> Option<u32> {
    let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    client.ask(Asked {
        key,
        known: Some(0),
        fields: &[
            pair(":method", "GET"),
            pair(":scheme", "http"),
            pair(":path", "/add?a=5&b=3"),
            pair(":authority", "localhost"),
        ],
        body: &Bytes::from_static(body),
        is_head: false,
    })
}

/// Frames that wait to be sent: kind, flags, stream, length. The preface is left out.
fn out(client: &mut Client) -> Vec<(u8, u8, u32, usize)> {
    let mut bytes = client.out();
    bytes = bytes
        .strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap_or(bytes);
    let mut frames = Vec::new();
    while let Some(head) = Head::parse(bytes) {
        frames.push((head.kind, head.flags, head.stream, head.length));
        bytes = &bytes[frame::HEAD + head.length..];
    }
    let all = client.out().len();
    client.sent(all);
    frames
}

const OK: &[u8] = &[0x88];

#[test]
fn answers_in_any_order_and_in_any_pieces() {
    let mut client = asked(&[], 3);
    let heads: Vec<usize> = out(&mut client)
        .iter()
        .filter(|f| f.0 == kind::HEADERS)
        .map(|f| f.3)
        .collect();
    assert!(heads[0] > 20, "the first names what it has: {heads:?}");
    assert_eq!(heads[1..], [4, 4], "and the others are indices");
    let mut bytes = frame(kind::HEADERS, flag::END_HEADERS, 5, OK);
    bytes.extend(frame(kind::DATA, flag::PADDED, 5, b"\x02hixx"));
    bytes.extend(frame(
        kind::HEADERS,
        flag::END_HEADERS | flag::END_STREAM,
        1,
        &[0x89],
    ));
    bytes.extend(frame(kind::DATA, flag::END_STREAM, 5, b""));
    bytes.extend(frame(kind::HEADERS, 0, 3, &[0x8d]));
    bytes.extend(frame(
        kind::CONTINUATION,
        flag::END_HEADERS,
        3,
        b"\x00\x01a\x01b",
    ));
    bytes.extend(frame(kind::DATA, 0, 3, b"not there"));
    // Trailers.
    bytes.extend(frame(
        kind::HEADERS,
        flag::END_HEADERS | flag::END_STREAM,
        3,
        b"\x00\x01t\x01u",
    ));
    for piece in [1, 7, bytes.len()] {
        let mut client = asked(&[], 3);
        let mut heard = Vec::new();
        for part in bytes.chunks(piece) {
            heard.extend(receive(&mut client, part).expect("HTTP/2"));
        }
        let heard: Vec<(usize, &str)> = heard.iter().map(|(k, t)| (*k, t.as_str())).collect();
        assert_eq!(
            heard,
            [
                (2, "head 200"),
                (2, "data hi"),
                (0, "head 204"),
                (0, "end"),
                (2, "end"),
                (1, "a: b"),
                (1, "head 404"),
                (1, "data not there"),
                (1, "end"),
            ]
        );
        assert_eq!(client.open(), 0);
    }
}

#[test]
fn what_makes_an_answer_none() {
    let long = b"\x88\x5c\x019";
    for (frames, why) in [
        (
            frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 7]),
            "Reset(Code(7))",
        ),
        (frame(kind::DATA, 0, 1, b"x"), "before its head"),
        (
            frame(kind::HEADERS, flag::END_HEADERS, 1, b"\x00\x01a\x01b"),
            "no status",
        ),
        (
            [
                frame(kind::HEADERS, flag::END_HEADERS, 1, long),
                frame(kind::DATA, flag::END_STREAM, 1, b"short"),
            ]
            .concat(),
            "shorter than it says",
        ),
        (
            [
                frame(kind::HEADERS, flag::END_HEADERS, 1, long),
                frame(kind::DATA, 0, 1, b"much too long"),
            ]
            .concat(),
            "longer than it says",
        ),
        (frame(kind::HEADERS, 5, 1, long), "shorter than it says"),
        (
            {
                let mut goodbye = Vec::new();
                write_go_away(&mut goodbye, Code::NO_ERROR);
                goodbye
            },
            "Unseen",
        ),
    ] {
        let mut client = asked(&[], 1);
        let heard = receive(&mut client, &frames).expect("HTTP/2");
        let last = heard.last().expect("an event");
        assert!(last.1.contains(why), "{why}: {heard:?}");
        assert_eq!(client.open(), 0);
    }
}

#[test]
fn what_ends_the_connection() {
    let mut http1 = Client::default();
    let told = receive(&mut http1, b"HTTP/1.1 400 Bad Request\r\n\r\n").expect_err("no HTTP/2");
    assert!(told.why.contains("does not speak HTTP/2"));
    for frames in [
        frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2]),
        frame(kind::DATA, 0, 3, b"of nothing"),
        frame(kind::HEADERS, flag::END_HEADERS, 2, OK),
        frame(kind::HEADERS, flag::END_HEADERS, 1, &[0xff, 0xff]),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, OK),
        frame(kind::SETTINGS, 0, 0, &[0; 5]),
        frame(kind::SETTINGS, 0, 1, &[]),
        frame(kind::SETTINGS, 0, 0, &[0, 4, 0xff, 0, 0, 0]),
        frame(kind::PING, 0, 0, b"short"),
        frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
        frame(kind::WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]),
        frame(kind::DATA, flag::PADDED, 1, &[9, 1]),
        [
            frame(kind::HEADERS, 0, 1, OK),
            frame(kind::PING, 0, 0, &[0; 8]),
        ]
        .concat(),
        vec![0xff; 9],
    ] {
        assert!(receive(&mut asked(&[], 1), &frames).is_err(), "{frames:x?}");
    }
    // A head that never ends is not gathered for ever.
    let mut client = asked(&[], 1);
    let mut endless = receive(&mut client, &frame(kind::HEADERS, 0, 1, OK)).map(|_| ());
    for _ in 0..6 {
        let more = frame(kind::CONTINUATION, 0, 1, &[0x88; frame::LENGTH]);
        endless = endless.and(receive(&mut client, &more).map(|_| ()));
    }
    assert_eq!(endless.expect_err("too long").code, Code::CALM);
    // Nor are answers to pings that nobody takes.
    let mut client = asked(&[], 0);
    let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(10_000);
    let told = (0..200).find_map(|_| receive(&mut client, &pings).err());
    assert_eq!(told.expect("too many").code, Code::CALM);
}

#[test]
fn bodies_wait_for_their_windows() {
    let mut client = asked(&[(setting::INITIAL_WINDOW_SIZE, 10)], 0);
    let stream = ask(&mut client, 0, b"0123456789abcdef").expect("room");
    let sent = out(&mut client);
    assert_eq!(sent.last(), Some(&(kind::DATA, 0, stream, 10)));
    receive(
        &mut client,
        &frame(kind::WINDOW_UPDATE, 0, stream, &[0, 0, 0, 2]),
    )
    .expect("HTTP/2");
    assert_eq!(out(&mut client), [(kind::DATA, 0, stream, 2)]);
    let mut more = Vec::new();
    write_settings(&mut more, &[(setting::INITIAL_WINDOW_SIZE, 100)]);
    receive(&mut client, &more).expect("HTTP/2");
    assert_eq!(
        out(&mut client),
        [
            (kind::SETTINGS, flag::ACK, 0, 0),
            (kind::DATA, flag::END_STREAM, stream, 4)
        ]
    );
}

#[test]
fn no_more_at_a_time_than_the_server_takes() {
    let mut client = asked(&[(setting::MAX_CONCURRENT_STREAMS, 2)], 2);
    assert_eq!(
        (client.room(), ask(&mut client, 2, b"")),
        (Room::Later, None)
    );
    receive(&mut client, &frame(kind::HEADERS, 5, 1, OK)).expect("HTTP/2");
    assert_eq!(ask(&mut client, 2, b""), Some(5));
    client.cancel(3);
    assert_eq!(client.room(), Room::Now);
    client.end();
    assert_eq!(client.room(), Room::Never);
}

#[test]
fn long_answers_open_their_windows_again() {
    let mut client = asked(&[], 1);
    out(&mut client);
    receive(&mut client, &frame(kind::HEADERS, flag::END_HEADERS, 1, OK)).expect("HTTP/2");
    let part = frame(kind::DATA, 0, 1, &[b'x'; frame::LENGTH]);
    let mut told = (0, 0);
    for _ in 0..(WINDOW as usize / frame::LENGTH) {
        receive(&mut client, &part).expect("HTTP/2");
        for (kind, _, stream, _) in out(&mut client) {
            assert_eq!(kind, kind::WINDOW_UPDATE);
            match stream {
                0 => told.0 += 1,
                _ => told.1 += 1,
            }
        }
    }
    assert_eq!(told, (2, 32));
}

proptest! {
    #[test]
    fn never_panics(
        frames in prop::collection::vec(
            (0_u8..11, any::<u8>(), 0_u32..8, prop::collection::vec(any::<u8>(), 0..40)), 0..20,
        ),
    ) {
        let mut client = asked(&[], 3);
        for (kind, flags, stream, body) in frames {
            if receive(&mut client, &frame(kind, flags, stream, &body)).is_err() {
                break;
            }
        }
        prop_assert!(client.open() <= 3);
    }
}

use super::*;

/// What a decoder makes of a stream that comes in chunks.
#[derive(Debug, Default, PartialEq)]
struct Read {
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Bytes that were taken, if the body came to its end.
    consumed: Option<usize>,
    failed: Option<Reject>,
}

fn read<'a>(length: Length, bounds: &Bounds, chunks: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut decoder = BodyDecoder::new(length, bounds);
    let (mut out, mut taken) = (Read::default(), 0);
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            let consumed = match decoder.decode(rest) {
                Ok(Step::Data { skip, len }) => {
                    assert!(len > 0 && out.consumed.is_none());
                    out.body.extend_from_slice(&rest[skip..skip + len]);
                    skip + len
                }
                Ok(Step::More { consumed }) => {
                    assert_eq!(consumed, rest.len(), "all that is there is taken");
                    assert!(!decoder.is_done());
                    taken += consumed;
                    break;
                }
                Ok(Step::End { consumed, trailers }) => {
                    assert!(decoder.is_done() && decoder.remaining() == Some(0));
                    out.consumed = Some(taken + consumed);
                    out.trailers = trailers;
                    return out;
                }
                Err(reject) => {
                    assert_eq!(decoder.decode(rest), Err(reject), "it stays refused");
                    assert_eq!(decoder.end_of_stream(), Err(reject));
                    out.failed = Some(reject);
                    return out;
                }
            };
            taken += consumed;
            rest = &rest[consumed..];
        }
    }
    match decoder.end_of_stream() {
        Ok(()) => out.consumed = Some(taken),
        Err(reject) => out.failed = Some(reject),
    }
    out
}

/// In one piece and byte by byte.
fn chunked_within(text: &str, bounds: &Bounds) -> Read {
    let whole = read(Length::Chunked, bounds, [text.as_bytes()]);
    let bytewise = read(Length::Chunked, bounds, text.as_bytes().chunks(1));
    assert_eq!(whole, bytewise, "{text:?}");
    whole
}

fn chunked(text: &str) -> Read {
    chunked_within(text, &Bounds::default())
}

#[track_caller]
fn refused(cases: &[(&str, Reject)]) {
    for (text, reject) in cases {
        assert_eq!(chunked(text).failed, Some(*reject), "{text:?}");
    }
}

#[test]
fn a_known_length() {
    let read =
        |length, text: &str| read(Length::Known(length), &Bounds::default(), [text.as_bytes()]);
    let all = read(5, "hellomore");
    assert_eq!((&all.body[..], all.consumed), (&b"hello"[..], Some(5)));
    assert_eq!(read(0, "more").consumed, Some(0));
    let half = read(5, "hel");
    assert_eq!(
        (&half.body[..], half.failed),
        (&b"hel"[..], Some(Reject::Truncated))
    );
    assert_eq!(read(u64::MAX, "hel").failed, Some(Reject::Truncated));
}

#[test]
fn what_remains() {
    let mut body = BodyDecoder::new(Length::Known(5), &Bounds::default());
    assert_eq!((body.remaining(), body.is_done()), (Some(5), false));
    assert_eq!(body.decode(b""), Ok(Step::More { consumed: 0 }));
    assert_eq!(body.decode(b"hel"), Ok(Step::Data { skip: 0, len: 3 }));
    assert_eq!((body.remaining(), body.is_done()), (Some(2), false));
    assert_eq!(body.decode(b"lo!"), Ok(Step::Data { skip: 0, len: 2 }));
    assert_eq!((body.remaining(), body.is_done()), (Some(0), true));
    let end = Step::End {
        consumed: 0,
        trailers: None,
    };
    assert_eq!(body.decode(b"!"), Ok(end));
    assert_eq!(
        BodyDecoder::new(Length::Chunked, &Bounds::default()).remaining(),
        None
    );
}

#[test]
fn no_body_and_one_until_the_close() {
    let mut body = BodyDecoder::new(Length::None, &Bounds::default());
    assert!(body.is_done());
    assert_eq!(body.end_of_stream(), Ok(()));
    let mut body = BodyDecoder::new(Length::UntilClose, &Bounds::default());
    assert_eq!(
        body.decode(b"0\r\n\r\n"),
        Ok(Step::Data { skip: 0, len: 5 })
    );
    assert_eq!((body.remaining(), body.is_done()), (None, false));
    assert_eq!(body.end_of_stream(), Ok(()));
    assert!(body.is_done());
}

#[test]
fn chunks() {
    let read = chunked("5\r\nhello\r\n00001\r\n,\r\n9\r\n 0\r\nworld\r\n0\r\n\r\nGET /");
    assert_eq!(String::from_utf8_lossy(&read.body), "hello, 0\r\nworld");
    assert_eq!((read.consumed, read.trailers), (Some(39), None));
    assert_eq!(chunked("0\r\n\r\n").consumed, Some(5));
    assert_eq!(chunked("0000000000000000\r\n\r\n").consumed, Some(20));
    assert_eq!(
        chunked("5;a=b;c=\"d;e\"\r\nhello\r\n0;end\r\n\r\n").body,
        b"hello"
    );
}

#[test]
fn sizes_are_hexadecimal_and_nothing_else() {
    for size in [
        "",
        " 5",
        "5 ",
        "+5",
        "-5",
        "0x5",
        "5h",
        "5\t",
        "\"5\"",
        "5,",
        "00000000000000005",
        "10000000000000000",
        "５",
    ] {
        refused(&[(&format!("{size}\r\nhello\r\n0\r\n\r\n"), Reject::ChunkSize)]);
    }
    // The largest size there is: nothing overflows.
    let mut body = BodyDecoder::new(Length::Chunked, &Bounds::default());
    assert_eq!(
        body.decode(b"ffffffffffffffff\r\nabc"),
        Ok(Step::Data { skip: 18, len: 3 })
    );
}

#[test]
fn chunks_and_their_lines_end_with_crlf() {
    refused(&[
        ("5\nhello\r\n0\r\n\r\n", Reject::LineEnd),
        ("5\r\rhello\r\n0\r\n\r\n", Reject::LineEnd),
        ("5\r\nhello\n0\r\n\r\n", Reject::ChunkEnd),
        ("5\r\nhello0\r\n\r\n", Reject::ChunkEnd),
        ("5\r\nhello\r0\r\n\r\n", Reject::ChunkEnd),
        ("5\r\nhello!\r\n0\r\n\r\n", Reject::ChunkEnd),
        ("4\r\nhello\r\n0\r\n\r\n", Reject::ChunkEnd),
        ("5;a\nb\r\nhello\r\n0\r\n\r\n", Reject::LineEnd),
        ("5;a\rb\r\nhello\r\n0\r\n\r\n", Reject::LineEnd),
        ("0\n\n", Reject::LineEnd),
        ("0\r\n\n", Reject::LineEnd),
        ("0\r\n\r\r\n", Reject::LineEnd),
    ]);
}

#[test]
fn a_body_that_stops_is_truncated() {
    let text = "5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for end in 0..text.len() {
        assert_eq!(
            chunked(&text[..end]).failed,
            Some(Reject::Truncated),
            "{end}"
        );
    }
    assert_eq!(chunked(text).failed, None);
}

#[test]
fn extensions_are_bounded() {
    let line = |length: usize| format!("1;{}\r\nx\r\n", "e".repeat(length - 1));
    assert_eq!(chunked(&format!("{}0\r\n\r\n", line(256))).failed, None);
    refused(&[
        (&line(257), Reject::ChunkExtension),
        ("1;\0\r\n", Reject::ChunkExtension),
        ("1;a\tb\r\n", Reject::ChunkExtension),
        ("1;\u{7f}\r\n", Reject::ChunkExtension),
    ]);
    let full = line(256).repeat(64);
    assert_eq!(chunked(&format!("{full}0\r\n\r\n")).failed, None);
    refused(&[(&format!("{full}0;\r\n\r\n"), Reject::ChunkExtension)]);
}

#[test]
fn trailers() {
    let read = chunked(
        "1\r\nx\r\n0\r\nGrpc-Status: 0\r\nX:  a \r\nx: b\r\nHost: c\r\nContent-Length: 7\r\n\r\nrest",
    );
    let trailers = read.trailers.expect("some");
    assert_eq!(trailers.len(), 3);
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers.get_all("x").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(read.consumed, Some(69));
    assert_eq!(
        chunked("0\r\nHost: a\r\n\r\n").trailers,
        None,
        "nothing is left of them"
    );
    refused(&[
        ("0\r\nX : y\r\n\r\n", Reject::FieldName),
        ("0\r\nX\r\n\r\n", Reject::FieldName),
        ("0\r\nX: y\r\n z\r\n\r\n", Reject::Folded),
        ("0\r\n X: y\r\n\r\n", Reject::Folded),
        ("0\r\nX: \0\r\n\r\n", Reject::FieldValue),
        ("0\r\nX: y\n\r\n", Reject::LineEnd),
        ("0\r\nHost: \0\r\n\r\n", Reject::FieldValue),
    ]);
}

#[test]
fn trailers_are_bounded() {
    let section = "X: y\r\nX: z\r\n\r\n";
    let text = format!("0\r\n{section}");
    let within = |head_bytes, fields| {
        let bounds = Bounds {
            head_bytes,
            fields,
            ..Bounds::default()
        };
        chunked_within(&text, &bounds).failed
    };
    assert_eq!(within(section.len(), 2), None);
    assert_eq!(within(section.len() - 1, 2), Some(Reject::HeadTooLarge));
    assert_eq!(within(section.len(), 1), Some(Reject::TooManyFields));
    assert_eq!(within(0, 0), Some(Reject::HeadTooLarge));
    let endless = format!("0\r\nX: {}", "y".repeat(200));
    let bounds = Bounds {
        head_bytes: 100,
        ..Bounds::default()
    };
    assert_eq!(
        chunked_within(&endless, &bounds).failed,
        Some(Reject::HeadTooLarge)
    );
}

#[test]
fn only_trailers_are_held_and_only_until_they_are_over() {
    let mut body = BodyDecoder::new(Length::Chunked, &Bounds::default());
    assert_eq!(body.decode(b"1\r\nx"), Ok(Step::Data { skip: 3, len: 1 }));
    assert_eq!(
        body.decode(b"\r\n0\r\nX: y"),
        Ok(Step::More { consumed: 9 })
    );
    assert!(body.trailers.is_some());
    assert!(matches!(
        body.decode(b"\r\n\r\nmore"),
        Ok(Step::End { consumed: 4, .. })
    ));
    assert!(body.trailers.is_none());
}

use super::*;

fn parse_all(text: &str, asked: Asked) -> Result<Option<(ResponseHead<'_>, usize)>, Reject> {
    let bounds = Bounds::default();
    let whole = parse_response(text.as_bytes(), &bounds, asked);
    let mut ends = 0..=text.len();
    let first =
        ends.find_map(|end| parse_response(&text.as_bytes()[..end], &bounds, asked).transpose());
    let verdict = |head: &Result<Option<_>, Reject>| head.as_ref().err().copied();
    assert_eq!(
        first.and_then(Result::err),
        verdict(&whole),
        "byte by byte: {text:?}"
    );
    whole
}

#[track_caller]
fn head<'b>(text: &'b str, asked: Asked) -> ResponseHead<'b> {
    match parse_all(text, asked) {
        Ok(Some((head, length))) => {
            assert_eq!(length, text.len());
            head
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[track_caller]
fn refused(cases: &[(&str, Reject)]) {
    for (text, reject) in cases {
        assert_eq!(
            parse_all(text, Asked::Other).err(),
            Some(*reject),
            "{text:?}"
        );
    }
}

#[test]
fn a_whole_response() {
    let text = "HTTP/1.1 404 Not  Here\r\nServer: x\r\nset-cookie: a\r\nSet-Cookie: b\r\nContent-Length: 9\r\n\r\n";
    let head = head(text, Asked::Other);
    assert_eq!(
        (head.status, head.version),
        (StatusCode::NOT_FOUND, Version::HTTP_11)
    );
    assert_eq!(head.reason, b"Not  Here");
    assert_eq!(
        (head.length, head.keep_alive, head.upgrades),
        (Length::Known(9), true, false)
    );
    assert_eq!(head.fields().next(), Some(("Server", &b"x"[..])));
    let parts = head
        .to_parts(&Bytes::copy_from_slice(text.as_bytes()))
        .expect("parts");
    assert_eq!(parts.status, 404);
    let cookies: Vec<_> = parts.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a", "b"]);
}

#[test]
fn the_first_line() {
    for (line, reason) in [
        ("HTTP/1.1 200 OK", "OK"),
        ("HTTP/1.0 200 ", ""),
        ("HTTP/1.1 200", ""),
        ("HTTP/1.1 999 \té\u{ff}", "é\u{ff}"),
    ] {
        let text = format!("{line}\r\n\r\n");
        assert_eq!(
            head(&text, Asked::Other).reason,
            reason.as_bytes(),
            "{line}"
        );
    }
    for (line, reject) in [
        ("", Reject::StatusLine),
        ("HTTP/1.1", Reject::StatusLine),
        ("HTTP/1.1  200 OK", Reject::StatusLine),
        ("HTTP/1.1\t200 OK", Reject::StatusLine),
        ("HTTP/1.1 20 OK", Reject::StatusLine),
        ("HTTP/1.1 2000 OK", Reject::StatusLine),
        ("HTTP/1.1 099 OK", Reject::StatusLine),
        ("HTTP/1.1 +20 OK", Reject::StatusLine),
        ("HTTP/1.1 200\tOK", Reject::StatusLine),
        ("HTTP/1.1 200OK", Reject::StatusLine),
        ("HTTP/1.1 200 O\0K", Reject::StatusLine),
        (" HTTP/1.1 200 OK", Reject::StatusLine),
        ("ICY 200 OK", Reject::StatusLine),
        ("\r\nHTTP/1.1 200 OK", Reject::StatusLine),
        ("HTTP/2.0 200 OK", Reject::Version),
        ("HTTP/1.1 200 OK\n", Reject::LineEnd),
        ("HTTP/1.1 200 O\rK", Reject::LineEnd),
    ] {
        refused(&[(&format!("{line}\r\n\r\n"), reject)]);
    }
}

#[test]
fn framing_is_as_strict_as_for_requests() {
    let with = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    refused(&[
        (
            &with("Content-Length: 1\r\nContent-Length: 1\r\n"),
            Reject::LengthRepeated,
        ),
        (
            &with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            Reject::LengthAndEncoding,
        ),
        (&with("Content-Length: +1\r\n"), Reject::LengthInvalid),
        (
            &with("Transfer-Encoding: gzip, chunked\r\n"),
            Reject::Encoding,
        ),
        (&with("Transfer-Encoding: gzip\r\n"), Reject::Encoding),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Reject::EncodingTooNew,
        ),
        (&with("X: y\r\n z\r\n"), Reject::Folded),
        (&with("X : y\r\n"), Reject::FieldName),
        (&with("X: y\n"), Reject::LineEnd),
        (&with("X: \u{1b}\r\n"), Reject::FieldValue),
        (&with(&"X: y\r\n".repeat(129)), Reject::TooManyFields),
    ]);
    // Also where there is no body to be framed.
    let both = with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n");
    assert_eq!(
        parse_all(&both, Asked::Head).err(),
        Some(Reject::LengthAndEncoding)
    );
}

#[test]
fn where_a_body_ends() {
    let length = |status: u16, lines: &str, asked| {
        let text = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
        let head = head(&text, asked);
        (head.length, head.keep_alive)
    };
    const FIVE: &str = "Content-Length: 5\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    assert_eq!(length(200, FIVE, Asked::Other), (Length::Known(5), true));
    assert_eq!(length(200, CHUNKED, Asked::Other), (Length::Chunked, true));
    assert_eq!(length(200, "", Asked::Other), (Length::UntilClose, false));
    assert_eq!(
        length(
            200,
            "Connection: close\r\nContent-Length: 0\r\n",
            Asked::Other
        ),
        (Length::Known(0), false)
    );
    for lines in [FIVE, CHUNKED, ""] {
        for status in [100, 102, 103, 204, 304] {
            assert_eq!(
                length(status, lines, Asked::Other),
                (Length::None, true),
                "{status} {lines}"
            );
        }
        for status in [200, 206, 404, 500] {
            assert_eq!(
                length(status, lines, Asked::Head),
                (Length::None, true),
                "{status} {lines}"
            );
        }
        assert_eq!(length(200, lines, Asked::Connect), (Length::None, true));
    }
    assert_eq!(length(407, FIVE, Asked::Connect), (Length::Known(5), true));
    assert_eq!(length(407, "", Asked::Connect), (Length::UntilClose, false));
}

#[test]
fn old_servers_close() {
    let keeps = |lines: &str| {
        let text = format!("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n{lines}\r\n");
        head(&text, Asked::Other).keep_alive
    };
    assert!(!keeps(""));
    assert!(keeps("Connection: keep-alive\r\n"));
    assert!(!keeps("Connection: keep-alive, close\r\n"));
}

#[test]
fn after_which_heads_it_is_no_longer_http() {
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switched = head(switch, Asked::Other);
    assert!(switched.upgrades && switched.status.is_informational());
    assert_eq!(switched.length, Length::None);
    assert!(head("HTTP/1.1 200 OK\r\n\r\n", Asked::Connect).upgrades);
    assert!(!head("HTTP/1.1 502 x\r\n\r\n", Asked::Connect).upgrades);
    let offer = "HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert!(!head(offer, Asked::Other).upgrades, "an offer is no switch");
    refused(&[
        ("HTTP/1.1 101 x\r\n\r\n", Reject::SwitchToNothing),
        (
            "HTTP/1.1 101 x\r\nUpgrade: a\r\n\r\n",
            Reject::SwitchToNothing,
        ),
        (
            "HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
            Reject::SwitchToNothing,
        ),
    ]);
}

#[test]
fn what_goes_to_the_next_hop() {
    let text =
        "HTTP/1.1 200 OK\r\nConnection: x-one\r\nX-One: 1\r\nKeep-Alive: 5\r\nX-Two: 2\r\n\r\n";
    let names: Vec<_> = head(text, Asked::Other)
        .end_to_end()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["X-Two"]);
}

#[test]
fn a_head_has_a_bound() {
    let text = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n";
    let within = |head_bytes, bytes: &[u8]| {
        let bounds = Bounds {
            head_bytes,
            ..Bounds::default()
        };
        parse_response(bytes, &bounds, Asked::Other).map(|head| head.is_some())
    };
    assert_eq!(within(text.len(), text), Ok(true));
    assert_eq!(within(text.len() - 1, text), Err(Reject::HeadTooLarge));
    assert_eq!(within(text.len() - 1, &text[..20]), Ok(false));
}

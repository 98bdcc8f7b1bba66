use super::*;

fn parse_all(bytes: &[u8]) -> Result<Option<(RequestHead<'_>, usize)>, Reject> {
    parse_request(bytes, &Bounds::default())
}

/// The head of a request that is right.
fn head(text: &str) -> RequestHead<'_> {
    match parse_all(text.as_bytes()) {
        Ok(Some((head, length))) => {
            assert_eq!(length, text.len(), "{text:?}");
            head
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

/// A request with these lines behind the first, each with its end.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\n{lines}\r\n")
}

/// The same with a Host.
fn with(lines: &str) -> String {
    get(&format!("Host: a.test\r\n{lines}"))
}

/// The verdict on a whole head, which must be the same when it came byte by byte.
fn verdict(bytes: &[u8]) -> Option<Reject> {
    verdict_within(bytes, &Bounds::default())
}

fn verdict_within(bytes: &[u8], bounds: &Bounds) -> Option<Reject> {
    let whole = match parse_request(bytes, bounds) {
        Ok(head) => {
            assert!(
                head.is_some(),
                "not whole: {:?}",
                bytes.escape_ascii().to_string()
            );
            None
        }
        Err(reject) => Some(reject),
    };
    let first = (0..=bytes.len()).find_map(|end| parse_request(&bytes[..end], bounds).transpose());
    let bytewise = first.and_then(Result::err);
    assert_eq!(bytewise, whole, "{:?}", bytes.escape_ascii().to_string());
    whole
}

#[track_caller]
fn refused(cases: &[(&str, Reject)]) {
    for (text, reject) in cases {
        assert_eq!(verdict(text.as_bytes()), Some(*reject), "{text:?}");
    }
}

#[test]
fn a_whole_request() {
    let bytes =
        b"\r\nPOST /a?b HTTP/1.1\r\nHost:  one.test:80 \r\nContent-Length: 5\r\nX:\t\r\n\r\nhello";
    let (head, length) = parse_all(bytes).expect("valid").expect("whole");
    assert_eq!((head.method, head.target), ("POST", "/a?b"));
    assert_eq!(
        (head.version, head.form()),
        (Version::HTTP_11, Form::Origin)
    );
    assert_eq!(head.host(), Some("one.test:80"));
    assert_eq!(head.length, Length::Known(5));
    assert_eq!(&bytes[length..], b"hello");
    let fields: Vec<_> = head.fields().collect();
    let expected: [(&str, &[u8]); 3] = [
        ("Host", b"one.test:80"),
        ("Content-Length", b"5"),
        ("X", b""),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn parts_are_slices_of_the_head() {
    let text = "GET /a?b=c HTTP/1.0\r\nX-One: first\r\nx-one: second\r\nAccept: \t*/* \r\n\r\n";
    let head = head(text);
    let owned = Bytes::copy_from_slice(text.as_bytes());
    let parts = head.to_parts(&owned).expect("parts");
    assert_eq!(
        (parts.method, parts.version),
        (Method::GET, Version::HTTP_10)
    );
    assert_eq!((parts.uri.path(), parts.uri.query()), ("/a", Some("b=c")));
    let ones: Vec<_> = parts.headers.get_all("x-one").iter().collect();
    assert_eq!(ones, ["first", "second"]);
    let accept = &parts.headers["accept"];
    assert_eq!(accept, "*/*");
    let place = owned.as_ptr() as usize + text.find("*/*").expect("there");
    assert_eq!(accept.as_bytes().as_ptr() as usize, place, "not copied");
}

#[test]
fn bytes_that_are_not_the_head_make_no_parts_but_do_no_harm() {
    let text = with("X: y\r\n");
    for wrong in ["", "short", &"long".repeat(100)] {
        let _ = head(&text).to_parts(&Bytes::copy_from_slice(wrong.as_bytes()));
    }
}

#[test]
fn the_first_line() {
    let right = [
        "GET / HTTP/1.1",
        "get / HTTP/1.1",
        "M!#$%&'*+-.^_`|~9 / HTTP/1.1",
        "GET /%zz/../a;b=c?d=\\|^`{}' HTTP/1.1",
        "GET /\"a\" HTTP/1.1",
        "GET //a//b HTTP/1.1",
    ];
    for line in right {
        assert_eq!(
            verdict(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()),
            None,
            "{line}"
        );
    }
    let wrong = [
        ("", Reject::RequestLine),
        (" GET / HTTP/1.1", Reject::RequestLine),
        ("GET", Reject::RequestLine),
        ("GET ", Reject::RequestLine),
        ("GET /", Reject::RequestLine),
        ("GET / ", Reject::RequestLine),
        ("GET  / HTTP/1.1", Reject::RequestLine),
        ("GET /  HTTP/1.1", Reject::RequestLine),
        ("GET\t/ HTTP/1.1", Reject::RequestLine),
        ("GET / HTTP/1.1 ", Reject::RequestLine),
        ("GET / http/1.1", Reject::RequestLine),
        ("GET / HTTP/1.10", Reject::RequestLine),
        ("GET / HTTP/11", Reject::RequestLine),
        ("GET / HTTP/1,1", Reject::RequestLine),
        ("GET / HTTPS/1.1", Reject::RequestLine),
        ("GET / SIP/2.0", Reject::RequestLine),
        ("G(T / HTTP/1.1", Reject::RequestLine),
        ("GÉT / HTTP/1.1", Reject::RequestLine),
        ("GET / HTTP/1.2", Reject::Version),
        ("GET / HTTP/2.0", Reject::Version),
        ("PRI * HTTP/2.0", Reject::Version),
        ("GET / HTTP/0.9", Reject::Version),
        ("GET /#fragment HTTP/1.1", Reject::Target),
        ("GET /é HTTP/1.1", Reject::Target),
        ("GET /\t HTTP/1.1", Reject::Target),
        ("GET /\u{7f} HTTP/1.1", Reject::Target),
        ("GET /\0 HTTP/1.1", Reject::Target),
        ("GET /<a> HTTP/1.1", Reject::Target),
        ("GET /` HTTP/1.1", Reject::Target),
        ("GET /?\" HTTP/1.1", Reject::Target),
        ("GET /a b HTTP/1.1", Reject::RequestLine),
    ];
    for (line, reject) in wrong {
        refused(&[(&format!("{line}\r\nHost: a\r\n\r\n"), reject)]);
    }
    let long = "M".repeat(METHOD_BYTES);
    assert_eq!(
        head(&format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n")).method,
        long
    );
    refused(&[(
        &format!("{long}M / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Reject::MethodTooLong,
    )]);
}

#[test]
fn one_empty_line_before_is_skipped_and_no_more() {
    let text = with("");
    assert_eq!(head(&format!("\r\n{text}")).host(), Some("a.test"));
    refused(&[
        (&format!("\r\n\r\n{text}"), Reject::RequestLine),
        (&format!("\n{text}"), Reject::LineEnd),
        (&format!("\r{text}"), Reject::LineEnd),
        (&format!("\r\n\n{text}"), Reject::RequestLine),
    ]);
}

#[test]
fn lines_end_with_crlf() {
    refused(&[
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Reject::LineEnd),
        ("GET / HTTP/1.1\rHost: a\r\n\r\n", Reject::LineEnd),
        ("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", Reject::LineEnd),
        ("GET /\nHost: a\r\n\r\n", Reject::LineEnd),
        (&get("Host: a\nX: y\r\n"), Reject::LineEnd),
        (&get("Host: a\rX: y\r\n"), Reject::LineEnd),
        (&get("Host: a\r\r\n"), Reject::LineEnd),
        (&get("Host: a\r\nX: y\n"), Reject::LineEnd),
        (&get("Host: a\r\nX\n"), Reject::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Reject::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", Reject::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Reject::LineEnd),
    ]);
}

#[test]
fn names_and_values() {
    refused(&[
        (&with("X : y\r\n"), Reject::FieldName),
        (&with("X\t: y\r\n"), Reject::FieldName),
        (&with("X y: z\r\n"), Reject::FieldName),
        (&with(": y\r\n"), Reject::FieldName),
        (&with("X\r\n"), Reject::FieldName),
        (&with("X\0: y\r\n"), Reject::FieldName),
        (&with("(X): y\r\n"), Reject::FieldName),
        (&with("é: y\r\n"), Reject::FieldName),
        (&with(" X: y\r\n"), Reject::Folded),
        (&with("X: y\r\n z\r\n"), Reject::Folded),
        (&with("X: y\r\n\tz\r\n"), Reject::Folded),
        (&with("X: y\r\n \r\n"), Reject::Folded),
        (&get(" Host: a\r\n"), Reject::Folded),
        (&with("X: a\0b\r\n"), Reject::FieldValue),
        (&with("X: a\u{1}b\r\n"), Reject::FieldValue),
        (&with("X: a\u{b}b\r\n"), Reject::FieldValue),
        (&with("X: a\u{1b}[2J\r\n"), Reject::FieldValue),
        (&with("X: a\u{7f}\r\n"), Reject::FieldValue),
    ]);
    // In a value everything that is no control character, and the tab.
    let text = with("X:a\tb: é\u{80}~ \r\n");
    assert_eq!(
        head(&text).fields().last(),
        Some(("X", "a\tb: é\u{80}~".as_bytes()))
    );
    // Where in the eight bytes that are looked at together the bad one stands does not matter.
    for at in 0..40 {
        for bad in ['\0', '\u{1f}', '\u{7f}'] {
            let (before, after) = ("~".repeat(at), "\t\u{ff}".repeat(40 - at));
            refused(&[(
                &with(&format!("X: {before}{bad}{after}\r\n")),
                Reject::FieldValue,
            )]);
        }
    }
}

#[test]
fn a_host_there_is_exactly_one() {
    refused(&[
        (&get(""), Reject::HostMissing),
        (&get("X: y\r\n"), Reject::HostMissing),
        (&with("Host: a.test\r\n"), Reject::HostRepeated),
        (&with("hOST: b.test\r\n"), Reject::HostRepeated),
        (
            "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
            Reject::HostRepeated,
        ),
        ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Reject::HostInvalid),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Reject::HostMissing),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
            Reject::HostInvalid,
        ),
        ("CONNECT a:1 HTTP/1.1\r\n\r\n", Reject::HostMissing),
    ]);
    for host in ["", "a b", "a/b@c", "u@a", "a:x"] {
        refused(&[(&get(&format!("Host: {host}\r\n")), Reject::HostInvalid)]);
    }
    assert_eq!(head("GET / HTTP/1.0\r\n\r\n").host(), None);
}

#[test]
fn the_target_has_a_form_that_fits_the_method() {
    let form =
        |line: &str| match parse_all(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()) {
            Ok(Some((head, _))) => {
                let said = match head.form() {
                    Form::Origin => "origin".to_owned(),
                    Form::Absolute {
                        authority,
                        path_and_query,
                    } => format!("{authority} {path_and_query}"),
                    Form::Authority => "authority".to_owned(),
                    Form::Asterisk => "asterisk".to_owned(),
                };
                Ok((said, head.host().map(str::to_owned)))
            }
            Ok(None) => panic!("{line} is not whole"),
            Err(reject) => Err(reject),
        };
    let right = [
        ("GET /", "origin", "h"),
        ("GET /*", "origin", "h"),
        ("OPTIONS *", "asterisk", "h"),
        ("OPTIONS /", "origin", "h"),
        ("CONNECT a.test:443", "authority", "a.test:443"),
        ("CONNECT [::1]:443", "authority", "[::1]:443"),
        ("GET http://a.test/b?c", "a.test /b?c", "a.test"),
        ("GET HTTPS://a.test:8443/", "a.test:8443 /", "a.test:8443"),
        ("GET http://[::1]", "[::1] /", "[::1]"),
        ("OPTIONS http://a.test", "a.test /", "a.test"),
    ];
    for (line, said, host) in right {
        assert_eq!(
            form(line),
            Ok((said.to_owned(), Some(host.to_owned()))),
            "{line}"
        );
    }
    let wrong = [
        ("GET *", Reject::TargetForm),
        ("OPTIONS **", Reject::Target),
        ("options *", Reject::TargetForm),
        ("GET a.test:80", Reject::Target),
        ("GET a.test", Reject::Target),
        ("GET ?a", Reject::Target),
        ("CONNECT /", Reject::TargetForm),
        ("CONNECT *", Reject::TargetForm),
        ("CONNECT a.test", Reject::TargetForm),
        ("CONNECT a.test:", Reject::TargetForm),
        ("CONNECT a.test:65536", Reject::TargetForm),
        ("CONNECT a.test:443/", Reject::TargetForm),
        ("CONNECT http://a.test:443", Reject::TargetForm),
        ("GET ftp://a.test/", Reject::Target),
        ("GET http:/a", Reject::Target),
        ("GET http:///a", Reject::Target),
        ("GET http://", Reject::Target),
        ("GET http://u@a.test/", Reject::Target),
        ("GET http://u:p@a.test/", Reject::Target),
        ("GET http://a.test:x/", Reject::Target),
        ("GET http://a%2etest/", Reject::Target),
        ("GET http://a.test?b", Reject::Target),
        ("GET http://a.test#b", Reject::Target),
        ("GET http://a\\b/", Reject::Target),
    ];
    for (line, reject) in wrong {
        assert_eq!(form(line), Err(reject), "{line}");
    }
}

#[test]
fn the_host_of_the_target_wins() {
    let text = "GET http://a.test:81/b HTTP/1.1\r\nAccept: c\r\nHost: evil.test\r\n\r\n";
    let parts = head(text)
        .to_parts(&Bytes::copy_from_slice(text.as_bytes()))
        .expect("parts");
    assert_eq!(parts.headers["host"], "a.test:81");
    assert_eq!(parts.headers.get_all("host").iter().count(), 1);
    assert_eq!(parts.uri, "http://a.test:81/b");
}

#[test]
fn content_length_is_one_number() {
    for (value, length) in [
        ("0", 0),
        ("5", 5),
        ("007", 7),
        ("18446744073709551615", u64::MAX),
    ] {
        let text = with(&format!("Content-Length: {value}\r\n"));
        assert_eq!(head(&text).length, Length::Known(length));
    }
    for value in [
        "",
        "+5",
        "-5",
        "-0",
        "5, 5",
        "5,5",
        "5,",
        "5 5",
        "0x5",
        "5.0",
        "5e3",
        "5;",
        "five",
        "\"5\"",
        "٥",
        "18446744073709551616",
        "99999999999999999999999",
        "000000000000000000005",
    ] {
        refused(&[(
            &with(&format!("Content-Length: {value}\r\n")),
            Reject::LengthInvalid,
        )]);
    }
    refused(&[
        (
            &with("Content-Length: 5\r\nContent-Length: 5\r\n"),
            Reject::LengthRepeated,
        ),
        (
            &with("Content-Length: 5\r\ncontent-length: 6\r\n"),
            Reject::LengthRepeated,
        ),
        (
            &with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            Reject::LengthAndEncoding,
        ),
        (
            &with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
            Reject::LengthAndEncoding,
        ),
    ]);
    assert_eq!(head(&with("")).length, Length::None);
}

#[test]
fn transfer_encoding_is_chunked_alone() {
    for value in ["chunked", "CHUNKED", "Chunked", " chunked\t"] {
        let text = with(&format!("Transfer-Encoding: {value}\r\n"));
        assert_eq!(head(&text).length, Length::Chunked);
    }
    for value in [
        "",
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;a=b",
        "\"chunked\"",
        "xchunked",
        "chunked x",
        "chu nked",
        "chunke\u{17f}",
    ] {
        refused(&[(
            &with(&format!("Transfer-Encoding: {value}\r\n")),
            Reject::Encoding,
        )]);
    }
    let twice = "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n";
    refused(&[
        (&with(twice), Reject::Encoding),
        (
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Reject::EncodingTooNew,
        ),
    ]);
}

#[test]
fn expectations() {
    let asks =
        |line: &str| head(&with(&format!("{line}\r\nContent-Length: 5\r\n"))).expects_continue;
    assert!(asks("Expect: 100-continue"));
    assert!(asks("expect: 100-CONTINUE"));
    assert!(!asks("X-Expect: 100-continue"));
    for value in [
        "",
        "200-ok",
        "100-continue, 100-continue",
        "100",
        "100-continue;a",
    ] {
        refused(&[(&with(&format!("Expect: {value}\r\n")), Reject::Expectation)]);
    }
    let nothing_to_send = with("Expect: 100-continue\r\nContent-Length: 0\r\n");
    assert!(!head(&nothing_to_send).expects_continue);
    for value in ["100-continue", "whatever"] {
        let old = format!("POST / HTTP/1.0\r\nExpect: {value}\r\nContent-Length: 1\r\n\r\n");
        assert!(!head(&old).expects_continue, "HTTP/1.0 does not know it");
    }
}

#[test]
fn what_becomes_of_the_connection() {
    let keeps = |version: &str, lines: &str| {
        head(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n")).keep_alive
    };
    assert!(keeps("1.1", ""));
    assert!(!keeps("1.1", "Connection: close\r\n"));
    assert!(!keeps("1.1", "Connection: keep-alive,\t, CLOSE\r\n"));
    assert!(!keeps(
        "1.1",
        "Connection: keep-alive\r\nX: y\r\nconnection: x, close\r\n"
    ));
    assert!(keeps(
        "1.1",
        "Connection: closed, not close\r\nProxy-Connection: close\r\n"
    ));
    assert!(!keeps("1.0", ""));
    assert!(keeps("1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps("1.0", "Connection: keep-alive, close\r\n"));

    let upgrades = |version: &str, lines: &str| {
        head(&format!("GET / HTTP/{version}\r\nHost: a\r\n{lines}\r\n")).upgrades
    };
    assert!(upgrades(
        "1.1",
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    ));
    assert!(!upgrades(
        "1.0",
        "Connection: upgrade\r\nUpgrade: websocket\r\n"
    ));
    assert!(!upgrades("1.1", "Connection: upgrade\r\n"));
    assert!(!upgrades("1.1", "Connection: upgrade\r\nUpgrade: , \r\n"));
    assert!(!upgrades("1.1", "Upgrade: websocket\r\n"));
}

#[test]
fn what_goes_to_the_next_hop() {
    let text = with(
        "Connection: close, X-One, Host, content-length\r\nConnection: x-two\r\nX-ONE: 1\r\nX-Two: 2\r\nX-Three: 3\r\n\
         Keep-Alive: timeout=5\r\nTE: gzip, Trailers\r\nUpgrade: h2c\r\nContent-Length: 0\r\n",
    );
    let head = head(&text);
    let names: Vec<_> = head.end_to_end().map(|(name, _)| name).collect();
    assert_eq!(names, ["Host", "X-Three", "Content-Length"]);
    assert!(head.wants_trailers());
    let half = |length: usize| format!("Connection: {}\r\n", "x".repeat(length));
    assert!(parse_all(with(&format!("{}{}", half(512), half(512))).as_bytes()).is_ok());
    let more = with(&format!("{}{}", half(512), half(513)));
    refused(&[(&more, Reject::ConnectionTooLarge)]);
}

#[test]
fn bounds() {
    let text = with("X: y\r\n");
    let bounds = |head_bytes, target_bytes, fields| Bounds {
        head_bytes,
        target_bytes,
        fields,
    };
    assert_eq!(
        verdict_within(text.as_bytes(), &bounds(text.len(), 1, 2)),
        None
    );
    for (bounds, reject) in [
        (bounds(text.len() - 1, 1, 2), Reject::HeadTooLarge),
        (bounds(3, 1, 2), Reject::HeadTooLarge),
        (bounds(0, 0, 0), Reject::HeadTooLarge),
        (bounds(text.len(), 0, 2), Reject::TargetTooLong),
        (bounds(text.len(), 1, 1), Reject::TooManyFields),
    ] {
        assert_eq!(
            verdict_within(text.as_bytes(), &bounds),
            Some(reject),
            "{bounds:?}"
        );
    }
    // A target that never ends is told as what it is, also where the whole head would be too large.
    let endless = format!("GET /{}", "a".repeat(100));
    assert_eq!(
        verdict_within(endless.as_bytes(), &bounds(90, 80, 9)),
        Some(Reject::TargetTooLong)
    );
    let many = with(&"X: y\r\n".repeat(127));
    assert_eq!(
        head(&many).fields().count(),
        128,
        "as many as allowed, and without allocating"
    );
    refused(&[(&with(&"X: y\r\n".repeat(128)), Reject::TooManyFields)]);
}

#[test]
fn each_refusal_has_its_status() {
    for (reject, status) in [
        (Reject::HostMissing, 400),
        (Reject::LengthAndEncoding, 400),
        (Reject::TargetTooLong, 414),
        (Reject::Expectation, 417),
        (Reject::HeadTooLarge, 431),
        (Reject::TooManyFields, 431),
        (Reject::MethodTooLong, 501),
        (Reject::Version, 505),
    ] {
        assert_eq!(reject.status(), status);
    }
}

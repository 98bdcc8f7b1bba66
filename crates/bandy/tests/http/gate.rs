//! The gate: a test for each row of what a request must be, which writes the very bytes.

use super::*;

/// Sends these bytes on a connection of their own: the first answer's status, and whether the connection went on.
fn ask(server: &Running, bytes: &[u8]) -> (u16, bool) {
    let mut client = Raw::to(server);
    client.say(bytes);
    let first = client.hear();
    if first.field("connection") == Some("close") {
        client.closed();
        return (first.status, false);
    }
    client.say("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    let next = client.hear();
    assert_eq!(next.body, "GET /next a\n", "after {first:?}");
    (first.status, true)
}

/// Every one of these is answered so and closed, and the service hears nothing of it.
fn refused(status: u16, cases: &[&str]) {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        panic!("the service got {request:?}");
        #[allow(unreachable_code)]
        Ok(http::empty(StatusCode::OK))
    });
    let server = serve(&stage, service, HttpLimits::default());
    for case in cases {
        assert_eq!(ask(&server, case.as_bytes()), (status, false), "{case:?}");
    }
}

fn taken(cases: &[&str]) {
    let stage = Stage::new();
    let server = mirrors(&stage);
    for case in cases {
        assert_eq!(ask(&server, case.as_bytes()), (200, true), "{case:?}");
    }
}

#[test]
fn a_length_can_be_read_in_one_way_only() {
    refused(
        400,
        &[
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    );
    taken(&[
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\n",
    ]);
}

#[test]
fn lines_end_with_crlf() {
    refused(
        400,
        &[
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            "GET / HTTP/1.1\rHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: z\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    taken(&["\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"]);
}

#[test]
fn the_first_line_is_one() {
    refused(
        400,
        &[
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\u{b}\r\nHost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    refused(
        505,
        &[
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        ],
    );
}

#[test]
fn a_request_is_for_one_host() {
    refused(
        400,
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    taken(&[
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nhOST:a.example:8080  \r\n\r\n",
    ]);
}

#[test]
fn an_absolute_targets_authority_counts() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut client = Raw::to(&server);
    client.say("GET http://one.example:80/p?q HTTP/1.1\r\nHost: two.example\r\n\r\n");
    assert_eq!(
        client.hear().body,
        "GET http://one.example:80/p?q one.example:80\n"
    );
    client.say("GET / HTTP/1.0\r\n\r\n");
    let last = client.hear();
    assert_eq!(
        (last.body.as_str(), last.field("connection")),
        ("GET / -\n", Some("close"))
    );
    client.closed();
}

#[test]
fn what_is_too_long_is_told_apart() {
    let long = "a".repeat(9 << 10);
    refused(414, &[&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")]);
    let many = "X: y\r\n".repeat(101);
    let large = format!("X: {}\r\n", "y".repeat(33 << 10));
    refused(
        431,
        &[
            &format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            &format!("GET / HTTP/1.1\r\nHost: a\r\n{large}\r\n"),
        ],
    );
    refused(
        413,
        &["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n"],
    );
}

#[test]
fn a_body_in_chunks_is_bounded_too() {
    let stage = Stage::new();
    let limits = HttpLimits {
        body_bytes: 10,
        ..HttpLimits::default()
    };
    let server = serve(&stage, service_fn(mirror), limits);
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n");
    let refused = client.hear();
    assert_eq!(
        (refused.status, refused.field("connection")),
        (413, Some("close"))
    );
}

#[test]
fn chunks_are_exact() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\x01=b\r\nhello\r\n0\r\n\r\n",
        "5;a=b\nc\r\nhello\r\n0\r\n\r\n",
        "0\r\nX y: z\r\n\r\n",
        "0\r\nX: y\n\r\n",
    ] {
        let mut client = Raw::to(&server);
        client.say(format!("{head}{body}"));
        let refused = client.hear();
        assert_eq!(
            (refused.status, refused.field("connection")),
            (400, Some("close")),
            "{body:?}"
        );
        client.closed();
    }
}

#[test]
fn a_client_that_waits_for_leave_gets_it_once() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut client = Raw::to(&server);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n";
    client.say(head);
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("hello");
    assert_eq!(client.hear().body, "POST / a\nhello");
    // It did not wait: nothing is to be said.
    client.say(format!("{head}hello"));
    assert_eq!(client.hear().body, "POST / a\nhello");

    refused(
        417,
        &["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 200-ok\r\n\r\nhello"],
    );
}

#[test]
fn a_final_answer_before_leave_means_that_the_body_is_not_sent() {
    let stage = Stage::new();
    let no = service_fn(async |_: Request| Ok(http::empty(StatusCode::FORBIDDEN)));
    let server = serve(&stage, no, HttpLimits::default());
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let answer = client.hear();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (403, Some("close"))
    );
    client.closed();
}

#[test]
fn an_early_answer_keeps_the_connection_only_if_the_rest_is_little() {
    let stage = Stage::new();
    let no = service_fn(async |_: Request| Ok(http::empty(StatusCode::FORBIDDEN)));
    let server = serve(&stage, no, HttpLimits::default());
    let mut client = Raw::to(&server);
    for len in [1000, 200 << 10] {
        client.say(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n"
        ));
        let answer = client.hear();
        assert_eq!((answer.status, answer.field("connection")), (403, None));
        client.say("x".repeat(len));
    }
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n");
    let answer = client.hear();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (403, Some("close"))
    );
}

#[test]
fn without_a_body_whatever_the_length_says() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        let status = request.uri().path().trim_start_matches('/').parse();
        let mut response = http::text(StatusCode::OK, "hello");
        *response.status_mut() = status.unwrap_or(StatusCode::OK);
        Ok(response)
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut client = Raw::to(&server);
    for (method, path, length) in [
        ("HEAD", "/200", Some("5")),
        ("GET", "/204", None),
        ("GET", "/304", None),
        ("GET", "/200", Some("5")),
    ] {
        client.say(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let came = client.hear_of(method);
        assert_eq!(came.field("content-length"), length, "{came:?}");
        assert_eq!(came.field("transfer-encoding"), None);
    }
}

#[test]
fn what_a_service_says_of_the_connection_is_not_passed_on() {
    let stage = Stage::new();
    let service = service_fn(async |_: Request| {
        let mut response = http::text(StatusCode::OK, "hello");
        for (name, value) in [
            ("connection", "x-mine, keep-alive"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "gzip"),
            ("content-length", "99"),
            ("upgrade", "h2c"),
        ] {
            let value = http::HeaderValue::from_static(value);
            response.headers_mut().append(name, value);
        }
        Ok(response)
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut client = Raw::to(&server);
    for _ in 0..2 {
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let came = client.hear();
        assert_eq!(came.body, "hello");
        for gone in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
            assert_eq!(came.field(gone), None, "{came:?}");
        }
    }
}

#[test]
fn what_is_not_a_request_is_told_at_once() {
    // A TLS client's first bytes, and one who talks of something else: neither has to wait for a deadline.
    refused(400, &["\x16\x03\x01\x02\0\x01", "hello there\r\n"]);
}

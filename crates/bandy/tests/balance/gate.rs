//! The gate before the balancer: what is refused, no backend hears of.

use super::*;

#[test]
fn what_is_refused_no_backend_sees_a_byte_of() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let long = "a".repeat(64 << 10);
    for (ask, expected) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n x: folded\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n".to_owned(), 417),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nx: {long}\r\n\r\n"), 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), 413),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned(), 501),
    ] {
        let mut client = Raw::to(&server);
        // It may be refused before all of it is written.
        let _ = client.0.get_mut().write_all(ask.as_bytes());
        let head = client.head();
        assert_eq!(status(&head), expected, "{:?}", &ask[..ask.len().min(100)]);
    }
    far.unasked();
}

#[test]
fn an_absolute_target_says_what_the_host_is() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say("GET http://right.test/x?y HTTP/1.1\r\nHost: wrong.test\r\n\r\n");
    let head = far.accept().serve("");
    assert!(
        head.starts_with("GET /x?y HTTP/1.1\r\nhost: right.test\r\n"),
        "{head}"
    );
    assert!(!head.contains("wrong"), "{head}");
}

#[test]
fn what_was_pipelined_is_answered_in_its_order() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let server = before(&stage, pool(&fars));
    let mut client = Raw::to(&server);
    client.say(format!("{}{GET}{}", post("1"), post("3")));
    let mut first = fars[0].accept();
    assert_eq!(first.hear().1, "1");
    fars[1].unasked();
    fars[1]
        .0
        .set_nonblocking(false)
        .expect("a socket takes options");
    first.say(ok("one"));
    fars[1].accept().serve("two");
    assert_eq!(first.hear().1, "3");
    first.say(ok("three"));
    let heard = [client.hear().1, client.hear().1, client.hear().1];
    assert_eq!(heard, ["one", "two", "three"]);
}

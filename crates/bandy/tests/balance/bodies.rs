//! Bodies both ways: where they end, how fast they go, what comes before and behind them.

use bandy_testkit::noise;

use super::*;

#[test]
fn what_has_no_body_has_none_and_the_next_answer_is_read() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut backend = far.accept();
    backend.head();
    backend.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(field(&client.head(), "content-length"), Some("1000"));
    for (status_line, expected) in [("204 No Content", 204), ("304 Not Modified", 304)] {
        client.say(GET);
        backend.head();
        backend.say(format!("HTTP/1.1 {status_line}\r\n\r\n"));
        assert_eq!(status(&client.head()), expected);
    }
    client.say(GET);
    backend.serve("then");
    assert_eq!(client.hear().1, "then");
}

#[test]
fn chunks_are_passed_on_as_they_come_with_their_trailers() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    let mut backend = far.accept();
    backend.head();
    backend.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    let head = client.head();
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(client.exactly(8), b"3\r\none\r\n");
    backend.say("5\r\nthree\r\n0\r\nx-sum: 8\r\nContent-Length: 3\r\nAuthorization: x\r\n\r\n");
    assert_eq!(client.exactly(10), b"5\r\nthree\r\n");
    assert_eq!(client.head(), "0\r\nx-sum: 8\r\n\r\n");
    // The connection is clean, and used again.
    client.say(GET);
    backend.serve("next");
    assert_eq!(client.hear().1, "next");
}

#[test]
fn a_requests_chunks_and_trailers_are_passed_on_too() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    let mut backend = far.accept();
    let head = backend.head();
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(backend.exactly(8), b"3\r\none\r\n");
    client.say("0\r\nx-sum: 3\r\nHost: b\r\n\r\n");
    assert_eq!(backend.head(), "0\r\nx-sum: 3\r\n\r\n");
    backend.say(ok("done"));
    assert_eq!(client.hear().1, "done");
}

#[test]
fn an_answer_until_the_connections_end_is_one() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    backend.head();
    backend.say("HTTP/1.0 200 OK\r\n\r\nall there is");
    drop(backend);
    let head = client.head();
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(client.exactly(22), b"c\r\nall there is\r\n0\r\n\r\n");
}

#[test]
fn a_client_that_waits_for_leave_gets_the_backends() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let ask = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut client = Raw::to(&server);
    client.say(ask);
    let mut backend = far.accept();
    let head = backend.head();
    assert_eq!(field(&head, "expect"), Some("100-continue"));
    backend.say("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("hello");
    assert_eq!(backend.exactly(5), b"hello");
    backend.say(ok("done"));
    assert_eq!(client.hear().1, "done");
    // A final answer before that means that the body is not sent.
    client.say(ask);
    backend.head();
    backend.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let head = client.head();
    assert_eq!(
        (status(&head), field(&head, "connection")),
        (403, Some("close"))
    );
    client.closed();
    backend.closed();
}

#[test]
fn an_answer_before_the_request_is_whole_is_delivered_at_once() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let mut backend = far.accept();
    backend.head();
    backend.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
    assert_eq!(client.hear().1, "no!");
    // The backend is not sent the rest, nor asked anything else there.
    client.say("rest--");
    client.say(GET);
    far.accept().serve("next");
    assert_eq!(client.hear().1, "next");
}

#[test]
fn large_bodies_arrive_whole_both_ways() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let up = noise(1, 3_000_000);
    let down = noise(2, 5_000_000);
    let (sent, answered) = (up.clone(), down.clone());
    let serving = std::thread::spawn(move || {
        let mut backend = far.accept();
        for _ in 0..2 {
            let head = backend.head();
            let len =
                field(&head, "content-length").map_or(0, |len| len.parse().expect("a length"));
            assert!(
                backend.exactly(len) == sent[..len],
                "the request is another"
            );
            backend.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                answered.len()
            ));
            backend.say(&answered);
        }
    });
    let mut client = Raw::to(&server);
    for ask in [up.len(), 0] {
        client.say(format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {ask}\r\n\r\n"
        ));
        client.say(&up[..ask]);
        let head = client.head();
        assert_eq!(status(&head), 200);
        assert!(client.exactly(down.len()) == down, "the answer is another");
    }
    serving.join().expect("served");
}

#[test]
fn a_slow_reader_slows_its_backend_and_memory_stays() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let backend = far.accept();
    let mut writer = backend.0.into_inner();
    writer
        .set_write_timeout(Some(std::time::Duration::from_millis(300)))
        .expect("an option");
    let len: u64 = 1 << 30;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n");
    writer.write_all(head.as_bytes()).expect("taken");
    let piece = vec![b'x'; 1 << 20];
    let mut written = 0;
    // Nobody reads: what the two sockets and one buffer hold is all that is taken.
    while written < len {
        match writer.write(&piece) {
            Ok(n) => written += n as u64,
            Err(_) => break,
        }
    }
    assert!(
        written < 64 << 20,
        "{written} bytes were taken for a client that reads nothing"
    );
    drop(client);
    // Its going away is the end of the exchange, too.
    writer.set_write_timeout(Some(PATIENCE)).expect("an option");
    while writer.write(&piece).is_ok() {}
}

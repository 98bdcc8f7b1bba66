//! Other protocols through the balancer.

use super::*;

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn after_101_bytes_go_both_ways_until_both_ends_are_done() {
    let (stage, far) = (Stage::new(), Far::new());
    let (server, pool) = balancer(&stage, pool([&far]), Rules::default());
    let mut client = Raw::to(&server);
    client.say(ASK);
    let mut backend = far.accept();
    let head = backend.head();
    assert_eq!(field(&head, "connection"), Some("upgrade"));
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    // What comes right behind the 101 is the other protocol's.
    backend.say(format!("{SWITCH}hello"));
    let head = client.head();
    assert_eq!(status(&head), 101);
    assert_eq!(
        field(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(client.exactly(5), b"hello");
    client.say("up");
    assert_eq!(backend.exactly(2), b"up");
    assert_eq!(pool.members()[0].active(), 1);
    client
        .0
        .get_mut()
        .shutdown(std::net::Shutdown::Write)
        .expect("open");
    backend.closed_reading();
    backend.say("down");
    drop(backend);
    assert_eq!(raw::rest(&mut client.0), b"down");
    bandy_testkit::eventually("the place to come back", || {
        match pool.members()[0].active() {
            0 => Ok(()),
            n => Err(n),
        }
    });
}

impl Raw {
    /// The other end says no more; ours is open.
    fn closed_reading(&mut self) {
        let mut byte = [0];
        assert_eq!(self.0.read(&mut byte).expect("an end in time"), 0);
    }
}

#[test]
fn what_was_sent_before_101_is_never_tunnelled() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(format!("{ASK}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"));
    let mut backend = far.accept();
    backend.head();
    backend.say(SWITCH);
    assert_eq!(status(&client.head()), 400);
    // Not a byte of it came.
    backend.closed();
}

#[test]
fn a_backend_that_does_not_switch_answers_as_always() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(format!("{ASK}{GET}"));
    let mut backend = far.accept();
    backend.head();
    backend.say("HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n");
    let head = client.head();
    assert_eq!((status(&head), field(&head, "upgrade")), (426, Some("h2c")));
    let head = backend.serve("http");
    assert!(head.starts_with("GET /a%2Fb?c "), "{head}");
    assert_eq!(client.hear().1, "http");
}

#[test]
fn a_reset_of_one_end_is_the_others_too() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(ASK);
    let mut backend = far.accept();
    backend.head();
    backend.say(SWITCH);
    client.head();
    raw::reset(client.0.into_inner());
    let error = backend.0.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

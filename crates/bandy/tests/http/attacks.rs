//! Clients that mean harm, over HTTP/1.1: each is left or refused in time, others are answered meanwhile, and the
//! server's memory stays where it was. What it may grow is the kernel's unit, pages that the allocator keeps, and the
//! connections themselves.

use std::thread;
use std::time::{Duration, Instant};

use super::target::Target;
use super::*;

const FOLLOWS: &str = "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Says so little. It may have been left already.
fn drips(client: &mut Raw, bytes: &[u8]) {
    let _ = client.0.get_mut().write_all(bytes);
}

/// Waits until the client is left: it is told why, unless it spoke again after the end.
fn left(client: &mut Raw) {
    let mut answer = Vec::new();
    let ended = client.0.read_to_end(&mut answer);
    let is_late = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.as_ref().is_err_and(is_late), "still there");
    let said = String::from_utf8_lossy(&answer);
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 408 "),
        "{said}"
    );
}

#[test]
fn slow_heads_by_the_thousand() {
    let target = Target::quick();
    let since = Instant::now();
    let mut clients: Vec<Raw> = (0..1000).map(|_| target.client()).collect();
    for client in &mut clients {
        drips(client, b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
    }
    while since.elapsed() < Duration::from_millis(1500) {
        for client in &mut clients {
            drips(client, b"y");
        }
        target.answers();
    }
    target.grew_at_most(16);
    clients.iter_mut().for_each(left);
    let took = since.elapsed();
    assert!(took < Duration::from_secs(10), "after {took:?}");
    target.is_left_alone();
}

#[test]
fn slow_bodies() {
    let target = Target::quick();
    let mut clients: Vec<Raw> = (0..300).map(|_| target.client()).collect();
    for client in &mut clients {
        let head = b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n";
        drips(client, head);
        // As much as is read at once: an excuse to keep a buffer.
        drips(client, &[b'x'; 64 << 10]);
    }
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) {
        for client in &mut clients {
            drips(client, b"x");
        }
        target.answers();
    }
    clients.iter_mut().for_each(left);
    target.is_left_alone();
    target.grew_at_most(12);
}

#[test]
fn readers_that_take_nothing() {
    let target = Target::quick();
    let mut clients: Vec<Raw> = (0..100).map(|_| target.client()).collect();
    for client in &mut clients {
        client.say("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    target.answers();
    // They are still connected, and are left all the same.
    target.is_left_alone();
    target.grew_at_most(4);
}

#[test]
fn ten_thousand_requests_ahead_and_no_answer_read() {
    let target = Target::usual();
    let mut client = target.client();
    let mut writer = client.0.get_ref().try_clone().expect("cloned");
    let writing = thread::spawn(move || {
        let all = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
        writer.write_all(all.as_bytes())
    });
    for _ in 0..50 {
        target.answers();
    }
    target.grew_at_most(4);
    for n in 0..10_000 {
        assert_eq!(client.hear().body.len(), 4 << 10, "answer {n}");
    }
    writing.join().expect("no panic").expect("written");
    target.grew_at_most(4);
}

#[test]
fn a_hundred_thousand_chunks_of_a_byte() {
    let target = Target::usual();
    let mut client = target.client();
    client.say(FOLLOWS);
    client.say("1\r\nx\r\n".repeat(100_000)).say("0\r\n\r\n");
    assert_eq!(client.hear().body, "100000");
    target.grew_at_most(4);
}

#[test]
fn framing_without_end() {
    let target = Target::usual();
    let many = "1;a=b\r\nx\r\n".repeat(5_000);
    let long = "a".repeat(1 << 20);
    let trailers = format!("0\r\n{}", "X: y\r\n".repeat(100_000));
    for framing in [
        format!("1;{long}"),
        many,
        format!("{}1\r\n", "0".repeat(1 << 20)),
        trailers,
        format!("0\r\nX: {long}"),
    ] {
        let mut client = target.client();
        client.say(FOLLOWS);
        // The server stops taking it before its end.
        let _ = client.0.get_mut().write_all(framing.as_bytes());
        let answer = client.hear();
        assert_eq!(
            (answer.status, answer.field("connection")),
            (400, Some("close")),
            "{}",
            &framing[..20]
        );
    }
    target.grew_at_most(4);
}

#[test]
fn heads_without_end() {
    let target = Target::usual();
    let long = "a".repeat(1 << 20);
    for (head, status) in [
        (format!("GET /{long}"), 414),
        (long.clone(), 501),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431),
        (
            format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(100_000)),
            431,
        ),
    ] {
        let mut client = target.client();
        let _ = client.0.get_mut().write_all(head.as_bytes());
        assert_eq!(client.hear().status, status);
    }
    target.grew_at_most(4);
}

#[test]
fn connections_that_come_and_go() {
    let target = Target::usual();
    for n in 0..3_000 {
        let mut client = target.client();
        match n % 4 {
            0 => {}
            1 => drop(client.say("GET / HT")),
            2 => raw::reset(client.0.into_inner()),
            _ => {
                client.say("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
                assert_eq!(Raw::status(&client.head()), 200);
            }
        }
    }
    target.answers();
    target.is_left_alone();
    target.grew_at_most(8);
}

#[test]
fn idle_connections_own_nothing_of_what_they_sent() {
    let target = Target::usual();
    let mut clients: Vec<Raw> = (0..500).map(|_| target.client()).collect();
    for client in &mut clients {
        client.say("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        client.say([b'x'; 100_000]);
        assert_eq!(client.hear().body, "100000");
    }
    // A buffer for each would be 32 MiB.
    target.grew_at_most(6);
    drop(clients);
}

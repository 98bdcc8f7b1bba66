//! Clients that mean harm, over HTTP/2, with frames written by hand.

use std::thread;
use std::time::{Duration, Instant};

use super::frames::*;
use super::target::Target;

/// RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u32 = 11;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MIB: usize = 1 << 20;

#[test]
fn streams_that_are_reset_as_soon_as_they_are_opened() {
    // CVE-2023-44487.
    let target = Target::usual();
    let mut client = Frames::to(target.endpoint(), &[]);
    let mut flood = Vec::new();
    for n in 0..2_000 {
        flood.extend(get(2 * n + 1, "/never"));
        flood.extend(frame(RST_STREAM, 0, 2 * n + 1, &8u32.to_be_bytes()));
    }
    client.pour(&flood);
    assert!(matches!(client.end(), None | Some(ENHANCE_YOUR_CALM)));
    target.answers();
    target.is_left_alone();
    target.grew_at_most(4);
}

#[test]
fn streams_that_the_server_is_made_to_reset() {
    // CVE-2025-8671: a window's increment of 0 is the stream's error.
    let target = Target::usual();
    let mut client = Frames::to(target.endpoint(), &[]);
    let mut flood = Vec::new();
    for n in 0..5_000 {
        flood.extend(post(2 * n + 1, "/never"));
        flood.extend(frame(WINDOW_UPDATE, 0, 2 * n + 1, &0u32.to_be_bytes()));
    }
    let mut writer = client.0.try_clone().expect("cloned");
    let writing = thread::spawn(move || {
        // The server stops taking it.
        let _ = std::io::Write::write_all(&mut writer, &flood);
    });
    assert_ne!(client.end(), Some(0), "an orderly end");
    writing.join().expect("no panic");
    target.is_left_alone();
    target.grew_at_most(8);
}

#[test]
fn a_head_that_goes_on_and_on() {
    let target = Target::usual();
    for piece in [vec![], block(&[("x", &"y".repeat(100))]).repeat(100)] {
        let mut client = Frames::to(target.endpoint(), &[]);
        client.say(&frame(HEADERS, 0, 1, &block(&asking("GET", "/"))));
        let flood = frame(CONTINUATION, 0, 1, &piece).repeat(100);
        let mut poured = 0;
        while poured < 64 * MIB && client.pour(&flood) {
            poured += flood.len();
        }
        assert!(poured < 64 * MIB, "all of it was taken");
        let _ = client.end();
        target.answers();
    }
    target.is_left_alone();
    target.grew_at_most(8);
}

#[test]
fn a_head_of_few_bytes_that_is_large() {
    let target = Target::usual();
    let mut client = Frames::to(target.endpoint(), &[]);
    // A field of 3,000 bytes goes into the table (RFC 7541, section 6.2.1), and then comes by its index, 62.
    let mut bomb = block(&asking("GET", "/"));
    bomb.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xb9, 0x16]);
    bomb.extend_from_slice(&[b'y'; 3000]);
    bomb.extend_from_slice(&[0xbe; 10_000]);
    for stream in [1, 3, 5] {
        client.say(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb));
        let answer = client.until(&[HEADERS, RST_STREAM, GOAWAY]);
        match answer {
            Some(answer) if answer.kind == HEADERS => assert_eq!(answer.status(), 431),
            Some(answer) if answer.kind == RST_STREAM => {}
            _ => break,
        }
    }
    target.answers();
    target.grew_at_most(4);
}

#[test]
fn a_window_that_is_never_opened() {
    let target = Target::quick();
    let mut client = Frames::to(target.endpoint(), &[(INITIAL_WINDOW_SIZE, 0)]);
    for n in 0..100 {
        client.say(&get(2 * n + 1, "/endless"));
    }
    hundred_answers(&mut client);
    target.answers();
    target.is_left_alone();
    target.grew_at_most(4);
}

/// The heads of a hundred responses.
fn hundred_answers(client: &mut Frames) {
    for _ in 0..100 {
        let answer = client.until(&[HEADERS, RST_STREAM, GOAWAY]);
        assert_eq!(answer.expect("an answer").status(), 200);
    }
}

#[test]
fn a_window_that_is_opened_a_little() {
    // Something is taken of each response, and then nothing more.
    let target = Target::quick();
    let mut client = Frames::to(target.endpoint(), &[(INITIAL_WINDOW_SIZE, 1)]);
    for n in 0..100 {
        client.say(&get(2 * n + 1, "/endless"));
    }
    hundred_answers(&mut client);
    target.is_left_alone();
    target.grew_at_most(4);
}

/// Writes this for as long as it is taken, up to 16 MiB, and reads nothing.
fn floods(target: &Target, frame: &[u8]) {
    let mut client = Frames::to(target.endpoint(), &[]);
    let timeout = Some(Duration::from_secs(1));
    client.0.set_write_timeout(timeout).expect("set");
    let some = frame.repeat(1 << 10);
    let mut poured = 0;
    while poured < 16 * MIB && client.pour(&some) {
        poured += some.len();
    }
    target.answers();
    target.grew_at_most(8);
}

#[test]
fn pings_whose_answers_nobody_reads() {
    floods(&Target::usual(), &frame(PING, 0, 0, &[0; 8]));
}

#[test]
fn settings_whose_answers_nobody_reads() {
    floods(
        &Target::usual(),
        &frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
    );
}

#[test]
fn frames_that_say_nothing() {
    // Of a kind that nobody knows, and priorities, which nobody keeps.
    let target = Target::usual();
    floods(&target, &frame(0xfe, 0, 0, &[0; 1000]));
    floods(&target, &frame(2, 0, 1, &[0, 0, 0, 3, 0]));
}

#[test]
fn empty_data_without_end() {
    let target = Target::quick();
    let mut client = Frames::to(target.endpoint(), &[]);
    client.say(&post(1, "/count"));
    let empty = frame(DATA, 0, 1, &[]).repeat(1000);
    let since = Instant::now();
    while client.pour(&empty) {
        assert!(since.elapsed() < Duration::from_secs(20), "still taken");
        if since.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    target.answers();
    target.grew_at_most(8);
}

#[test]
fn bodies_that_nobody_reads() {
    let target = Target::usual();
    let mut client = Frames::to(target.endpoint(), &[]);
    let timeout = Some(Duration::from_secs(1));
    client.0.set_write_timeout(timeout).expect("set");
    for n in 0..100 {
        client.say(&post(2 * n + 1, "/never"));
    }
    // As much as the connection's window has: more would end it.
    for n in 0..100 {
        let data = frame(DATA, 0, 2 * n + 1, &[b'x'; 10_000]);
        client.pour(&data);
    }
    target.answers();
    target.grew_at_most(8);
}

#[test]
fn a_body_that_drips() {
    let target = Target::quick();
    let mut client = Frames::to(target.endpoint(), &[]);
    client.say(&post(1, "/count"));
    let mut dripping = client.0.try_clone().expect("cloned");
    let drips = thread::spawn(move || {
        // Until the connection has ended.
        while std::io::Write::write_all(&mut dripping, &frame(DATA, 0, 1, b"x")).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let since = Instant::now();
    let answer = client.until(&[HEADERS, RST_STREAM]).expect("an answer");
    assert_eq!((answer.kind, answer.status()), (HEADERS, 408));
    assert!(since.elapsed() < Duration::from_secs(5));
    drop(client.0.shutdown(std::net::Shutdown::Both));
    drips.join().expect("no panic");
    target.is_left_alone();
}

#[test]
fn who_asks_for_nothing_is_left() {
    let target = Target::quick();
    let mut silent = Frames::to(target.endpoint(), &[]);
    // The deadline of a first request, which pings do not move.
    let since = Instant::now();
    while silent.pour(&frame(PING, 0, 0, &[0; 8])) {
        assert!(since.elapsed() < Duration::from_secs(15), "still there");
        thread::sleep(Duration::from_millis(20));
    }
    // Half a head is none.
    let mut half = Frames::to(target.endpoint(), &[]);
    half.say(&frame(HEADERS, 0, 1, &block(&asking("GET", "/"))));
    let since = Instant::now();
    while half.pour(&frame(CONTINUATION, 0, 1, &[])) {
        assert!(since.elapsed() < Duration::from_secs(15), "still there");
        thread::sleep(Duration::from_millis(100));
    }
    target.is_left_alone();
}

#[test]
fn who_does_not_go_is_left() {
    let target = Target::quick();
    let mut client = Frames::to(target.endpoint(), &[]);
    client.say(&get(1, "/"));
    assert_eq!(
        client.until(&[HEADERS]).map(|frame| frame.status()),
        Some(200)
    );
    // It is told when it has been idle for long enough, and does not even say that it heard.
    assert_eq!(client.until(&[GOAWAY]).map(|frame| frame.code()), Some(0));
    let _ = client.end();
    target.is_left_alone();
}

#[test]
fn more_streams_than_are_allowed() {
    let target = Target::usual();
    let mut client = Frames::to(target.endpoint(), &[]);
    for n in 0..500 {
        client.say(&get(2 * n + 1, "/never"));
    }
    let refused = client.until(&[RST_STREAM, GOAWAY]).expect("a refusal");
    let number = (refused.stream - 1) / 2;
    assert!(refused.kind == GOAWAY || number >= 128, "{refused:?}");
    target.answers();
    target.grew_at_most(8);
}

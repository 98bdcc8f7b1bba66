//! `bandy chat` as its users run it: on a terminal, and in a pipe.

use std::process::{Command, Stdio};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

/// What it refuses, and what it says to that.
#[track_caller]
fn refused(args: &[&str], why: &str) {
    fails(args, 2, why);
}

#[track_caller]
fn fails(args: &[&str], code: i32, why: &str) {
    let mut command = Command::new(BANDY);
    let out = command
        .arg("chat")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn what_is_no_chat_is_refused() {
    refused(&["tcp://:7001"], "is a stream of lines");
    refused(&["udp://:7001"], "is no WebSocket");
    refused(&[":7001", "--insecure"], "did you mean https:// or wss://?");
    refused(&[":7001", "--login", "ada"], "stdin is none");
    refused(
        &[":7001", "--nick", "ada", "--login", "ada"],
        "cannot be used with",
    );
}

#[test]
fn where_nobody_is_it_does_not_wait_for_ever() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    fails(&[&format!(":{port}")], 7, "connection refused");
    fails(&["ws://no-such-host.invalid:1"], 6, "no-such-host.invalid");
}

#[test]
fn on_a_terminal_and_in_a_pipe() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chat_terminal.py");
    let out = Command::new("python3")
        .args(["-B", script, BANDY])
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
}

//! `bandy serve exec`: a program for each connection, and nothing of it left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use bandy_testkit::{Program, Running, Stage, eventually, is_alive, noise, raw};
use rustix::process::Signal;

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

fn exec(stage: &Stage, args: &[&str], command: &[&str]) -> Running {
    let program = Program::new(BANDY, stage)
        .args(["serve", "exec"])
        .args(args);
    program.args(["--"]).args(command).start()
}

fn sh(stage: &Stage, args: &[&str], script: &str) -> Running {
    exec(stage, args, &["sh", "-c", script])
}

#[test]
fn the_program_knows_whom_it_talks_to() {
    let stage = Stage::new();
    let urls = ["tcp://:0", "unix://a.sock", "ws://:0"];
    let server = sh(&stage, &urls, "env | grep ^BANDY_ | sort; cat");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("an event loop");

    let endpoint = server.endpoint(0);
    let client = raw::tcp(&endpoint);
    let here = client.local_addr().expect("bound");
    client.shutdown(Shutdown::Write).expect("half-closed");
    let expected = format!(
        "BANDY_ENDPOINT={endpoint}\nBANDY_PEER={here}\nBANDY_PEER_IP={}\nBANDY_PEER_PORT={}\nBANDY_SCHEME=tcp\n",
        here.ip(),
        here.port()
    );
    assert_eq!(String::from_utf8_lossy(&raw::rest(client)), expected);

    let path = stage.folder().join("a.sock");
    let client = raw::unix(&bandy::Endpoint::unix(&path));
    client.shutdown(Shutdown::Write).expect("half-closed");
    let pid = std::process::id();
    let expected = format!(
        "BANDY_ENDPOINT=unix://a.sock\nBANDY_PEER=pid {pid}\nBANDY_PEER_PID={pid}\nBANDY_SCHEME=unix\n"
    );
    assert_eq!(String::from_utf8_lossy(&raw::rest(client)), expected);

    runtime.block_on(async {
        let mut client = stage.connect(&server.endpoint(2)).await;
        let line = format!("BANDY_ENDPOINT={}", server.endpoint(2));
        assert_eq!(client.hear(line.len()).await, line);
    });
}

#[test]
fn a_half_close_is_the_end_of_the_programs_input_only() {
    let stage = Stage::new();
    let server = sh(&stage, &["tcp://:0"], "cat; echo; echo that was all");
    let mut client = raw::tcp(&server.endpoint(0));
    let data = noise(1, 1 << 20);
    let mut writing = client.try_clone().expect("another handle");
    let said = data.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(&said).expect("taken");
        writing.shutdown(Shutdown::Write).expect("half-closed");
    });
    let answer = raw::rest(&mut client);
    writer.join().expect("all said");
    assert!(answer == [&data[..], b"\nthat was all\n"].concat());
}

#[test]
fn a_program_may_end_while_its_client_still_talks() {
    let stage = Stage::new();
    let server = exec(&stage, &["tcp://:0"], &["head", "-c", "5"]);
    let mut client = raw::tcp(&server.endpoint(0));
    client.write_all(b"Hello, and more").expect("taken");
    client.write_all(&noise(2, 256 << 10)).expect("taken");
    client.shutdown(Shutdown::Write).expect("half-closed");
    assert_eq!(raw::rest(client), b"Hello");
}

#[test]
fn the_log_has_the_exit_status_and_the_standard_error() {
    let stage = Stage::new();
    let server = sh(&stage, &["tcp://:0"], "echo 'no\twall' >&2; exit 3");
    raw::closed(raw::tcp(&server.endpoint(0)));
    let ended = server.log("of the program's end", |line| line.says("program ended"));
    assert_eq!(ended.text("status"), "exit status: 3");
    assert_eq!(ended.text("program"), "sh");
    let said = server.log("of its standard error", |line| line.says(r"no\twall"));
    assert_eq!(said.number("pid"), ended.number("pid"));

    let server = sh(&stage, &["tcp://:0"], "kill -9 $$");
    raw::closed(raw::tcp(&server.endpoint(0)));
    let ended = server.log("of the program's end", |line| line.says("program ended"));
    assert!(ended.text("status").starts_with("signal: 9"), "{ended:?}");
}

/// On HTTP the client learns that there is no answer, and the log why.
#[test]
fn the_log_has_what_is_no_answer() {
    let stage = Stage::new();
    let script = "printf 'X-Secret: a\tb\n'; echo 'no wall' >&2; exit 3";
    let server = sh(&stage, &["http://:0"], script);
    let mut client = raw::tcp(&server.endpoint(0));
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("taken");
    let answer = String::from_utf8(raw::rest(client)).expect("text");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(!answer.contains("Secret"), "{answer}");
    let ended = server.log("of the program's end", |line| line.says("program ended"));
    assert_eq!(ended.text("status"), "exit status: 3");
    server.log("of its standard error", |line| line.says("no wall"));
    let why = server.log("of the reason", |line| {
        line.text("message").contains("before its header did")
    });
    assert_eq!(why.text("printed"), r"X-Secret: a\tb\n");
}

#[test]
fn no_more_programs_run_than_may() {
    let stage = Stage::new();
    for model in ["async", "threads"] {
        let args = ["tcp://:0", "--programs", "2", "--model", model];
        let server = exec(&stage, &args, &["cat"]);
        let endpoint = server.endpoint(0);
        let first = raw::tcp(&endpoint);
        assert_eq!(raw::echo(&first, b"one"), b"one");
        let second = raw::tcp(&endpoint);
        assert_eq!(raw::echo(&second, b"two"), b"two");
        raw::closed(raw::tcp(&endpoint));
        let refused = server.conversation(|_| true);
        assert_eq!(refused.text("ended"), "starting cat: 2 of them run already");
        assert_eq!(raw::echo(&first, b"unharmed"), b"unharmed");
        drop(second);
        eventually("a place", || {
            let mut client = raw::tcp(&endpoint);
            client
                .write_all(b"x")
                .and_then(|()| client.read_exact(&mut [0]))
        });
    }
}

#[test]
fn a_missing_program_is_said_at_start() {
    let stage = Stage::new();
    stage.file("plain.txt", "no program");
    for (program, why) in [
        ("no-such-program", "there is none"),
        ("./nothing-here", "there is none"),
        ("./plain.txt", "it is not executable"),
    ] {
        let args = ["serve", "exec", "tcp://:0", "--", program];
        let (code, out, said) = Program::new(BANDY, &stage).args(args).output();
        assert_eq!((code, out.as_str()), (2, ""), "{said}");
        assert!(
            said.contains(&format!("looking for the program {program}: {why}")),
            "{said}"
        );
        assert!(said.contains("try: "), "{said}");
    }
}

/// A message that fits into no pipe, over WebSocket: the program's output is read while its input is written.
#[test]
fn a_large_message_passes_a_program() {
    let stage = Stage::new();
    let server = exec(&stage, &["ws://:0", "--message", "2MiB"], &["cat"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("an event loop").block_on(async {
        let mut client = stage.connect(&server.endpoint(0)).await;
        for len in [1, 1 << 16, 900 << 10] {
            let line = "x".repeat(len);
            client.say(&line).await;
            assert_eq!(client.hear(len).await, line);
        }
        client.finish().await;
        assert_eq!(client.rest().await, "");
    });
}

/// A program with a child in the background; it says the numbers of both.
const FAMILY: &str = "sleep 1000 & echo $$ $!; wait";
/// The same, deaf to polite requests.
const STUBBORN: &str = "trap '' TERM; sleep 1000 & echo $$ $!; while :; do wait; sleep 1000; done";

struct Family {
    pids: [u32; 2],
    client: TcpStream,
}

impl Family {
    fn meet(server: &Running) -> Family {
        let client = raw::tcp(&server.endpoint(0));
        let mut line = String::new();
        BufReader::new(&client)
            .read_line(&mut line)
            .expect("a line");
        let pid = |n: &str| n.parse().expect("a number");
        let pids: Vec<u32> = line.split_whitespace().map(pid).collect();
        let pids: [u32; 2] = pids.try_into().expect("two numbers");
        assert!(pids.into_iter().all(is_alive));
        Family { pids, client }
    }

    /// Waits, with the connection still open on our side, until nothing of it runs.
    fn ends(&self) {
        gone(self.pids);
    }
}

fn gone(pids: [u32; 2]) {
    eventually("the family to be gone", || {
        let alive: Vec<u32> = pids.into_iter().filter(|pid| is_alive(*pid)).collect();
        match alive.is_empty() {
            true => Ok(()),
            false => Err(format!("{alive:?} run")),
        }
    });
}

#[test]
fn a_reset_ends_the_whole_family() {
    let stage = Stage::new();
    for model in ["async", "threads", "sequential"] {
        for script in [FAMILY, STUBBORN] {
            let server = sh(&stage, &["tcp://:0", "--model", model], script);
            let Family { pids, client } = Family::meet(&server);
            raw::reset(client);
            gone(pids);
        }
    }
}

#[test]
fn the_idle_deadline_ends_the_whole_family() {
    let stage = Stage::new();
    for script in [FAMILY, STUBBORN] {
        let server = sh(&stage, &["tcp://:0", "--idle", "300ms"], script);
        Family::meet(&server).ends();
    }
}

#[test]
fn the_drain_deadline_ends_the_whole_family() {
    let stage = Stage::new();
    for model in ["async", "threads", "sequential"] {
        for script in [FAMILY, STUBBORN] {
            let args = ["tcp://:0", "--drain", "100ms", "--model", model];
            let mut server = sh(&stage, &args, script);
            let family = Family::meet(&server);
            assert_eq!(server.stop(), 0, "{model}");
            family.ends();
        }
    }
}

#[test]
fn a_second_signal_ends_the_whole_family() {
    let stage = Stage::new();
    for model in ["async", "threads", "sequential"] {
        let mut server = sh(&stage, &["tcp://:0", "--model", model], STUBBORN);
        let family = Family::meet(&server);
        server.signal(Signal::TERM);
        server.log("of the drain", |line| {
            line.text("message").starts_with("stopping")
        });
        server.signal(Signal::INT);
        assert_eq!(server.wait().code(), Some(130), "{model}");
        family.ends();
    }
}

/// A program that ends by itself takes its children with it.
#[test]
fn a_programs_end_is_its_childrens() {
    let stage = Stage::new();
    let server = sh(
        &stage,
        &["tcp://:0"],
        "sleep 1000 >/dev/null 2>&1 & echo $$ $!; read line",
    );
    let family = Family::meet(&server);
    (&family.client).write_all(b"enough\n").expect("taken");
    raw::closed(&family.client);
    family.ends();
}

//! `bandy serve chat` as its users run it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use bandy_testkit::{PATIENCE, Program, Running, Stage};

/// A chat that remembers in the stage's folder.
fn chat(stage: &Stage) -> Running {
    let bandy = Program::new(env!("CARGO_BIN_EXE_bandy"), stage);
    let args = [
        "serve",
        "chat",
        "tcp://:0",
        "ws://:0",
        "http://:0",
        "--pace",
        "none",
    ];
    bandy.args(args).args(["--store", "sqlite:chat.db"]).start()
}

/// Somebody with `nc`.
struct Person {
    lines: BufReader<TcpStream>,
}

impl Person {
    fn come(chat: &Running) -> Person {
        let address = chat.endpoint(0).socket_addr().expect("an address");
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Person {
            lines: BufReader::new(stream),
        }
    }

    fn types(&mut self, line: &str) {
        let stream = self.lines.get_mut();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .expect("taken");
    }

    /// The next line with this in it.
    fn hears(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("a line");
            assert!(read > 0, "it ended before {what:?}");
            if line.contains(what) {
                return line;
            }
        }
    }
}

#[test]
fn what_somebody_heard_is_there_after_kill_9() {
    let stage = Stage::new();
    let mut said = 0;
    for run in 0..3 {
        let mut chat = chat(&stage);
        let mut ada = Person::come(&chat);
        ada.hears("here:");
        let mut bob = Person::come(&chat);
        bob.hears("here:");
        bob.types("/history 1000");
        for n in 0..said {
            // Everything from the runs before, in its order.
            bob.hears(&format!("<guest-1> number {n}"));
        }
        for n in said..said + 20 {
            ada.types(&format!("number {n}"));
            // What is told was durable before.
            bob.hears(&format!("[lobby] <guest-1> number {n}"));
        }
        said += 20;
        if run == 2 {
            assert_eq!(chat.stop(), 0);
        } else {
            chat.kill();
        }
    }
}

//! The examples as their readers run them: as programs, on every scheme.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// `cargo test` builds the examples before the tests run, beside their folder.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a test is a program");
    let built: PathBuf = test.parent().expect("deps").join("../examples").join(name);
    assert!(built.exists(), "first: cargo build -p bandy --examples");
    Command::new(built)
}

/// A server example, with a local certificate authority of its own. Ended when dropped.
struct Serving {
    program: Child,
    endpoints: Vec<String>,
    data: TempDir,
}

impl Serving {
    fn start(name: &str, urls: &[&str]) -> Serving {
        let data = tempfile::tempdir().expect("a folder");
        let mut program = example(name)
            .args(urls)
            .env("XDG_DATA_HOME", data.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(program.stdout.take().expect("piped")).lines();
        let endpoints = lines
            .take(urls.len())
            .map(|line| line.expect("text"))
            .map(|line| line.replace("listening on ", ""))
            .collect();
        Serving {
            program,
            endpoints,
            data,
        }
    }

    fn ask(&self, endpoint: &str, questions: &[&str]) -> String {
        let asking = example("client")
            .arg(endpoint)
            .args(questions)
            .env("XDG_DATA_HOME", self.data.path())
            .output();
        said(&asking.expect("run"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed then.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn shout_is_the_same_on_every_scheme() {
    let urls = [
        "tcp://:0",
        "tls://:0",
        "ws://:0/shout",
        "wss://:0",
        "udp://:0",
    ];
    let server = Serving::start("shout", &urls);
    assert_eq!(server.endpoints.len(), urls.len(), "a line for each");
    for endpoint in &server.endpoints {
        let answers = server.ask(endpoint, &["Hello", "How are you?"]);
        assert_eq!(answers, "HELLO\nHOW ARE YOU?\n", "{endpoint}");
    }
}

#[test]
fn guess_can_be_won_and_the_score_is_shared() {
    let server = Serving::start("guess", &["tcp://:0"]);
    let all: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
    all.push("one more, since the greeting came first");
    for won in 1..=2 {
        let answers = server.ask(&server.endpoints[0], &all);
        assert!(answers.starts_with("Guess my number"), "{answers}");
        let last = answers.lines().last().unwrap_or_default();
        let expected = format!("Games won here so far: {won}");
        assert!(last.ends_with(&expected), "{answers}");
    }
}

#[test]
fn embedded_runs_to_its_end() {
    let output = example("embedded").output().expect("run");
    let said = said(&output);
    let end: Vec<&str> = said.lines().skip(1).collect();
    let expected = [
        "tcp answered b\"Hello\"",
        "mem answered b\"Hello\"",
        "stopped, 1 cut",
    ];
    assert_eq!(end, expected);
}

#[test]
fn records_answers_over_http() {
    let server = Serving::start("records", &["http://:0"]);
    let address = server.endpoints[0].replace("http://", "");
    let mut stream = TcpStream::connect(address.trim_end_matches('/')).expect("connected");
    let request = "GET /add?a=5&b=3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n8"), "{answer}");
}

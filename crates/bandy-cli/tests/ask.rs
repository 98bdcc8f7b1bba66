//! `bandy ask` as its users run it: a server, the program, and what came of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bandy"));
    command.arg("ask").args(args).env_remove("BANDY_LOG");
    command
}

fn ask(args: &[&str]) -> (i32, String, String) {
    outcome(program(args).stdin(Stdio::null()).output().expect("run"))
}

fn ask_with_input(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = spawn(args);
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A server that had enough ends the program before it took everything.
    thread::spawn(move || stdin.write_all(&input));
    outcome(child.wait_with_output().expect("run"))
}

fn spawn(args: &[&str]) -> Child {
    program(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run")
}

fn outcome(out: Output) -> (i32, String, String) {
    (
        out.status.code().expect("no signal"),
        String::from_utf8_lossy(&out.stdout).into_owned(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

/// A server that has each conversation in a thread.
fn server(talk: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let talk = talk.clone();
            thread::spawn(move || talk(stream));
        }
    });
    format!("tcp://{address}")
}

fn echo() -> String {
    server(|stream| {
        let _ = std::io::copy(&mut &stream, &mut &stream);
    })
}

/// Reads a line, then talks.
fn after_a_line(talk: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    server(move |stream| {
        BufReader::new(&stream)
            .read_line(&mut String::new())
            .expect("a line");
        talk(stream);
    })
}

/// A real bandy server with its own CA, for as long as it lives.
struct Bandy(Child, tempfile::TempDir, Vec<String>);

impl Bandy {
    fn echo(urls: &[&str]) -> Bandy {
        let data = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_bandy"))
            .args(["serve", "echo"])
            .args(urls)
            .env("XDG_DATA_HOME", data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run");
        let ready = BufReader::new(child.stdout.take().expect("piped"));
        let ready = ready.lines().take(urls.len()).map(|line| {
            let line = line.expect("a ready line");
            line.split(' ').nth(2).expect("an endpoint").to_owned()
        });
        let ready = ready.collect();
        Bandy(child, data, ready)
    }

    fn ask(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = program(args);
        command
            .env("XDG_DATA_HOME", self.1.path())
            .stdin(Stdio::null());
        outcome(command.output().expect("run"))
    }
}

impl Drop for Bandy {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ended");
    }
}

#[test]
fn answered() {
    let url = echo();
    assert_eq!(
        ask(&[&url, "Hello", "World"]),
        (0, "Hello\nWorld\n".into(), "".into())
    );
    assert_eq!(ask(&[&url, "Hello", "--no-newline"]).1, "Hello");
    assert_eq!(ask_with_input(&[&url], b"as\r\nit is").1, "as\r\nit is");
}

#[test]
fn what_is_not_text_comes_back_as_it_went() {
    let url = echo();
    let bytes = [b'a', 0xff, 0x1b, b'c'];
    let mut command = program(&[&url]);
    command
        .arg(std::ffi::OsStr::from_bytes(&bytes))
        .stdin(Stdio::null());
    let out = command.output().expect("run");
    assert_eq!(out.stdout, [&bytes[..], b"\n"].concat());
}

#[test]
fn each_failure_has_its_code() {
    let empty = after_a_line(drop);
    let silent = server(|stream| {
        let _ = (&stream).read_to_end(&mut Vec::new());
        thread::park();
    });
    let resets = after_a_line(|mut stream| {
        stream.write_all(b"half").expect("sent");
        socket2::SockRef::from(&stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("set");
        // Once the answer's first half was seen, as the program shows by its end of input.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("tcp://{}", free.local_addr().expect("bound"));
    drop(free);
    let plain_text = after_a_line(|mut stream| stream.write_all(b"what?\n").expect("sent"));
    let not_tls = plain_text.replace("tcp", "tls");
    let echo = echo();
    let cases: [(&[&str], i32, &str); 10] = [
        (&[&resets, "x"], 1, "connection reset"),
        (&["nonsense://x", "x"], 2, "there is no scheme `nonsense`"),
        (&["POST", &echo], 2, "POST is an HTTP method"),
        (&[&echo, "x", "--insecure"], 2, "did you mean tls://?"),
        (&["tcp://no-such-host.invalid:1", "x"], 6, "resolving"),
        (&[&nobody, "x"], 7, "connection refused"),
        (
            &[&silent, "x", "--timeout", "100ms"],
            28,
            "nothing came for 100ms",
        ),
        (&[&not_tls, "x", "--timeout", "2s"], 35, "TLS"),
        (&[&empty, "x"], 52, "without an answer"),
        (&[&echo, "x", "--answers", "2"], 110, "after 1 of 2 answers"),
    ];
    for (args, code, says) in cases {
        let (was, _, stderr) = ask(args);
        assert_eq!(was, code, "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert!(stderr.starts_with("bandy: "), "{stderr}");
    }
}

#[test]
fn tls_is_trusted_by_its_own_ca_and_by_no_other() {
    let bandy = Bandy::echo(&["tls://127.0.0.1:0", "wss://127.0.0.1:0"]);
    for url in &bandy.2 {
        let (code, stdout, stderr) = bandy.ask(&[url, "Hello", "--trace"]);
        assert_eq!((code, &stdout[..]), (0, "Hello\n"), "{stderr}");
        assert!(stderr.contains("TLSv1.3"), "{stderr}");
        let stranger = tempfile::tempdir().expect("a folder");
        let mut command = program(&[url, "Hello"]);
        command.env("XDG_DATA_HOME", stranger.path());
        let (code, stdout, stderr) = outcome(command.output().expect("run"));
        assert_eq!((code, &stdout[..]), (60, ""), "{stderr}");
    }
}

#[test]
fn answers_and_half_open() {
    let url = echo();
    assert_eq!(ask(&[&url, "a", "b", "--answers", "1"]).1, "a\n");
    let (code, stdout, _) = ask(&[&url, "a", "--half-open", "--answers", "1"]);
    assert_eq!((code, &stdout[..]), (0, "a\n"));
    assert_eq!(ask(&[&url, "a", "--answers", "0"]).0, 0);
    let (code, stdout, _) = ask(&[&url, "a", "--half-open", "--timeout", "100ms"]);
    assert_eq!((code, &stdout[..]), (28, "a\n"), "it was never closed");
}

#[test]
fn a_server_that_has_enough_is_no_failure() {
    let url = after_a_line(|mut stream| {
        stream.write_all(b"enough\n").expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (code, stdout, _) = ask_with_input(&[&url], &b"more\n".repeat(1 << 20));
    assert_eq!((code, &stdout[..]), (0, "enough\n"));
    let (code, stdout, _) = ask_with_input(&[&url, "--answers", "1"], &b"more\n".repeat(1 << 20));
    assert_eq!((code, &stdout[..]), (0, "enough\n"));
}

#[test]
fn a_large_input_runs_through_little_memory() {
    const BYTES: usize = 64 << 20;
    let (let_go, may_close) = mpsc::channel::<()>();
    let may_close = std::sync::Arc::new(std::sync::Mutex::new(may_close));
    let url = server(move |stream| {
        let _ = std::io::copy(&mut &stream, &mut &stream);
        // Alive until its memory was looked at.
        let _ = may_close.lock().expect("not poisoned").recv();
    });
    let mut child = spawn(&[&url]);
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let pattern: Vec<u8> = (0..=250).collect();
    let sent = pattern.repeat(BYTES / pattern.len());
    let expected = sent.clone();
    thread::spawn(move || stdin.write_all(&sent));
    let mut came = vec![0; expected.len()];
    stdout.read_exact(&mut came).expect("everything");
    assert!(came == expected, "as it went");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    let peak_kib = peak.and_then(|line| line.split_whitespace().nth(1));
    let peak_kib: usize = peak_kib.expect("there").parse().expect("a number");
    assert!(peak_kib < 48 * 1024, "{peak_kib} KiB for {BYTES} bytes");
    let_go.send(()).expect("it waits");
    assert!(child.wait().expect("it ended").success());
}

#[test]
fn a_datagram_each_way() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let url = format!("udp://{}", socket.local_addr().expect("bound"));
    thread::spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((n, peer)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..n], peer).expect("sent");
        }
    });
    assert_eq!(ask(&[&url, "ping"]), (0, "ping\n".into(), "".into()));
    let (_, stdout, _) = ask_with_input(&[&url, "--answers", "3"], b"one\ntwo\r\nthree");
    assert_eq!(stdout, "one\ntwo\nthree\n");
    assert_eq!(ask(&[&url]).0, 2, "there is nothing to send");
}

#[test]
fn websocket_messages() {
    let bandy = Bandy::echo(&["ws://127.0.0.1:0"]);
    let (_, stdout, stderr) = bandy.ask(&[&bandy.2[0], "one", "two"]);
    assert_eq!((&stdout[..], &stderr[..]), ("one\ntwo\n", ""));
    let (code, stdout, _) = ask_with_input(&[&bandy.2[0]], b"a\n\nb");
    assert_eq!((code, &stdout[..]), (0, "a\n\nb\n"));
}

#[test]
fn requests() {
    let bandy = Bandy::echo(&["http://127.0.0.1:0", "https://127.0.0.1:0"]);
    for url in &bandy.2 {
        for version in ["1.1", "2"] {
            let args = [url.as_str(), "name=Ada", "--http", version];
            let (code, stdout, stderr) = bandy.ask(&args);
            assert_eq!((code, &stdout[..]), (0, r#"{"name":"Ada"}"#), "{stderr}");
        }
    }
    // Without a scheme it is HTTP.
    let bare = bandy.2[0].trim_start_matches("http://127.0.0.1");
    assert_eq!(bandy.ask(&[bare, "a:=1"]).1, r#"{"a":1}"#);
}

#[test]
fn one_object() {
    let url = echo();
    let mut command = program(&[&url, "--json", "hi"]);
    command
        .arg(std::ffi::OsStr::from_bytes(b"\xff"))
        .stdin(Stdio::null());
    let (code, stdout, _) = outcome(command.output().expect("run"));
    assert_eq!(code, 0);
    let object: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    let peer = url.trim_start_matches("tcp://");
    for (key, value) in [
        ("endpoint", serde_json::json!(url)),
        ("peer", serde_json::json!(peer)),
        ("tls", serde_json::json!(null)),
        ("answers", serde_json::json!(["hi", { "hex": "ff" }])),
        ("truncated", serde_json::json!(false)),
        ("sent_bytes", serde_json::json!(5)),
        ("received_bytes", serde_json::json!(5)),
        ("ended", serde_json::json!("peer closed")),
        ("error", serde_json::json!(null)),
    ] {
        assert_eq!(object[key], value, "{key}");
    }
    for phase in ["connect", "send", "wait", "receive", "total"] {
        assert!(object["phases_ms"][phase].is_number(), "{phase}");
    }
    let (code, stdout, _) = ask(&[&url, "--json", "hi", "--answers", "2"]);
    assert_eq!(code, 110);
    let object: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(object["error"]["kind"], "too-few-answers");
    assert_eq!(object["answers"], serde_json::json!(["hi"]));
}

#[test]
fn hex_shows_both_directions() {
    let (_, stdout, _) = ask(&[&echo(), "Hello", "--hex"]);
    let line = "00000000  48 65 6c 6c 6f 0a                                 |Hello.|";
    assert_eq!(stdout, format!("> {line}\n< {line}\n"));
}

#[test]
fn trace_has_its_rows() {
    let url = echo().replace("127.0.0.1", "localhost");
    let (_, stdout, stderr) = ask(&[&url, "Hello", "--trace"]);
    assert_eq!(stdout, "Hello\n");
    let rows = stderr
        .lines()
        .skip(1)
        .map(|l| l.split_whitespace().next().expect("a name"));
    let rows: Vec<_> = rows.collect();
    assert_eq!(
        rows,
        ["resolve", "connect", "send", "wait", "receive", "total"],
        "{stderr}"
    );
    assert!(stderr.contains("6 bytes sent, 6 bytes received, 1 answer; peer closed"));
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let url = server(|mut stream| while stream.write_all(b"line\n").is_ok() {});
    let mut child = spawn(&[&url, "go on"]);
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    drop(stdout);
    let out = child.wait_with_output().expect("it ended");
    assert_eq!(line, "line\n");
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stderr, b"");
}

#[test]
fn an_interrupt_keeps_what_came() {
    let url = after_a_line(|mut stream| {
        stream.write_all(b"so far").expect("sent");
        thread::park();
    });
    let mut child = spawn(&[&url, "x"]);
    let mut came = [0; 6];
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut came).expect("the answer so far");
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill").success());
    let status = child.wait().expect("it ended");
    assert_eq!(
        (&came, status.code()),
        (b"so far", Some(130)),
        "{:?}",
        status.signal()
    );
}

#[test]
fn on_a_terminal() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal.py");
    let out = Command::new("python3")
        .args([script, env!("CARGO_BIN_EXE_bandy")])
        .output()
        .expect("python3");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

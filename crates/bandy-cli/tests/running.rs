//! The program as it runs: what its log says, how it ends, what it costs.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bandy_testkit::{Program, Running, Stage, noise, raw};
use rustix::process::Signal;

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

fn serve(stage: &Stage, args: &[&str]) -> Running {
    Program::new(BANDY, stage)
        .args(["serve"])
        .args(args)
        .start()
}

#[test]
fn the_log_says_who_ended_a_conversation_and_how() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "tcp://:0", "--idle", "300ms"]);
    let endpoint = server.endpoint(0);
    let port = |stream: &std::net::TcpStream| stream.local_addr().expect("bound").to_string();

    let closed = raw::tcp(&endpoint);
    let peer = port(&closed);
    assert_eq!(raw::echo(&closed, b"Hello"), b"Hello");
    drop(closed);
    let line = server.conversation(|line| line.text("peer") == peer);
    assert_eq!(line.text("ended"), "closed by the peer");
    assert_eq!(line.text("side"), "downstream");
    assert_eq!((line.number("received"), line.number("sent")), (5, 5));
    assert_eq!(line.text("service"), "echo");
    assert_eq!(line.text("endpoint"), endpoint.to_string());

    let reset = raw::tcp(&endpoint);
    let peer = port(&reset);
    assert_eq!(raw::echo(&reset, b"Hello"), b"Hello");
    raw::reset(reset);
    let line = server.conversation(|line| line.text("peer") == peer);
    assert_eq!(
        line.text("ended"),
        format!("reading from {peer}: connection reset by peer")
    );
    assert_eq!(line.text("side"), "downstream");

    let silent = raw::tcp(&endpoint);
    let peer = port(&silent);
    raw::closed(&silent);
    let line = server.conversation(|line| line.text("peer") == peer);
    assert_eq!(line.text("ended"), "idle for 300ms");
    assert_eq!(line.text("side"), "downstream");
}

#[test]
fn the_log_says_what_was_refused() {
    let stage = Stage::new();
    let args = [
        "echo",
        "tcp://:0",
        "--connections",
        "1",
        "--overload",
        "refuse",
    ];
    let server = serve(&stage, &args);
    let first = raw::tcp(&server.endpoint(0));
    assert_eq!(raw::echo(&first, b"in"), b"in");
    let second = raw::tcp(&server.endpoint(0));
    let peer = second.local_addr().expect("bound").to_string();
    raw::closed(second);
    server.log("of a refusal", |line| {
        line.says("refused: at the connection limit") && line.text("peer") == peer
    });
    assert_eq!(raw::echo(&first, b"still"), b"still");
}

#[test]
fn the_log_counts_dropped_datagrams_while_nothing_else_happens() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "udp://:0", "--message", "1000"]);
    let client = raw::udp(&server.endpoint(0));
    let dropped = |n: u64| {
        server.log("of drops", |line| line.number("too_long") == n);
    };
    client.send(&[0; 1001]).expect("sent");
    dropped(1);
    // Within a second of that line: it is said all the same, later.
    client.send(&[0; 1001]).expect("sent");
    client.send(&[0; 1001]).expect("sent");
    dropped(3);
}

#[test]
fn a_request_to_end_lets_conversations_finish() {
    let stage = Stage::new();
    for model in ["async", "threads", "sequential"] {
        let mut server = serve(&stage, &["echo", "tcp://:0", "--model", model]);
        let mut client = raw::tcp(&server.endpoint(0));
        assert_eq!(raw::echo(&client, b"one"), b"one");
        server.signal(Signal::TERM);
        server.log("of the drain", |line| {
            line.text("message").starts_with("stopping")
        });
        assert_eq!(raw::echo(&client, b"two"), b"two", "{model}");
        client
            .shutdown(std::net::Shutdown::Write)
            .expect("half-closed");
        assert_eq!(raw::rest(&mut client), b"");
        assert_eq!(server.wait().code(), Some(0), "{model}");
    }
}

#[test]
fn what_is_left_at_the_drain_deadline_is_cut() {
    let stage = Stage::new();
    for model in ["async", "threads", "sequential"] {
        let args = ["echo", "tcp://:0", "--drain", "200ms", "--model", model];
        let mut server = serve(&stage, &args);
        let client = raw::tcp(&server.endpoint(0));
        assert_eq!(raw::echo(&client, b"one"), b"one");
        let asked = Instant::now();
        assert_eq!(server.stop(), 0, "{model}");
        assert!(asked.elapsed() >= Duration::from_millis(200), "{model}");
        raw::closed(client);
        let line = server.conversation(|_| true);
        assert_eq!(line.text("ended"), "cut: the server ended");
        assert_eq!(line.text("side"), "local");
    }
}

#[test]
fn a_second_request_ends_at_once() {
    let stage = Stage::new();
    for (model, signal) in [
        ("async", Signal::TERM),
        ("threads", Signal::INT),
        ("sequential", Signal::INT),
    ] {
        let args = ["echo", "tcp://:0", "--drain", "1h", "--model", model];
        let mut server = serve(&stage, &args);
        let client = raw::tcp(&server.endpoint(0));
        assert_eq!(raw::echo(&client, b"one"), b"one");
        server.signal(signal);
        server.log("of the drain", |line| {
            line.text("message").starts_with("stopping")
        });
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(130), "{model}");
        raw::closed(client);
    }
}

#[test]
fn a_slow_reader_costs_bounded_memory() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "tcp://:0", "tls://:0"]);
    for i in 0..2 {
        let endpoint = server.endpoint(i);
        let before = server.memory_bytes();
        // Over TLS a real handshake is needed for the echo to begin; garbage costs no more.
        let mut slow = raw::tcp(&endpoint);
        slow.set_write_timeout(Some(Duration::from_millis(300)))
            .expect("an option");
        let data = noise(0, 1 << 20);
        let mut said = 0;
        while let Ok(n) = slow.write(&data) {
            said += n;
            assert!(said < 256 << 20, "it takes all");
        }
        let grown = server.memory_bytes().saturating_sub(before);
        assert!(
            grown < 4 << 20,
            "{endpoint}: {grown} bytes more for one slow reader"
        );
    }
}

/// What a client that only connects costs; see the bench for the exact number.
#[test]
fn silent_clients_cost_little() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "tcp://:0"]);
    let endpoint = server.endpoint(0);
    let one = raw::tcp(&endpoint);
    assert_eq!(raw::echo(&one, b"warm"), b"warm");
    let before = server.memory_bytes();
    let silent: Vec<_> = (0..500).map(|_| raw::tcp(&endpoint)).collect();
    assert_eq!(raw::echo(&one, b"done"), b"done");
    let last = silent.last().expect("many");
    assert_eq!(raw::echo(last, b"done"), b"done");
    let each = server.memory_bytes().saturating_sub(before) / 500;
    assert!(each < 8 << 10, "{each} bytes each");
}

#[test]
fn the_local_authority_is_made_at_first_use_and_its_key_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("an event loop");
    let ca = stage.folder().join("bandy");
    assert!(!ca.exists());
    let fingerprints = [0, 1].map(|_| {
        let server = serve(&stage, &["echo", "tls://:0", "wss://:0"]);
        for i in 0..2 {
            runtime.block_on(async {
                let mut client = stage.connect(&server.endpoint(i)).await;
                client.say("Hello").await;
                assert_eq!(client.hear(5).await, "Hello");
            });
        }
        stage.ca().fingerprint()
    });
    assert_eq!(fingerprints[0], fingerprints[1]);
    let mode = |name: &str| {
        let metadata = ca.join(name).metadata().expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("ca-key.pem"), 0o600);
    assert_eq!(mode("."), 0o700);
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "tcp://:0"]);
    let endpoint = server.endpoint(0).to_string();
    let (code, out, said) = Program::new(BANDY, &stage)
        .args(["serve", "echo", &endpoint])
        .output();
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        said.contains(&format!("listening on {endpoint}: address already in use")),
        "{said}"
    );
    assert!(
        said.contains("try: something listens there already"),
        "{said}"
    );
}

#[test]
fn every_server_of_a_file_runs() {
    let stage = Stage::new();
    let toml = r#"
[server.echo]
listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
service = "echo"

[server.greet]
listen = "unix://greet.sock"
service.greet = "Hello"
model = "threads"
"#;
    stage.file("bandy.toml", toml);
    let mut server = Program::new(BANDY, &stage).args(["run"]).start();
    assert_eq!(raw::echo(raw::tcp(&server.endpoint(0)), b"Hello"), b"Hello");
    assert_eq!(
        raw::ask_udp(&raw::udp(&server.endpoint(1)), b"Hello"),
        b"Hello"
    );
    let path = stage.folder().join("greet.sock");
    let mut greeting = String::new();
    raw::unix(&bandy::Endpoint::unix(&path))
        .read_to_string(&mut greeting)
        .expect("read");
    assert_eq!(greeting, "Hello\n");
    assert_eq!(server.stop(), 0);
    assert!(!path.exists());
}

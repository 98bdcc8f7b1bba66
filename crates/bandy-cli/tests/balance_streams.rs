//! `bandy balance` between streams, as its users run it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use bandy::Endpoint;
use bandy_testkit::{Program, Running, Stage, noise, raw};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

fn bandy(stage: &Stage, args: &[&str]) -> Running {
    Program::new(BANDY, stage).args(args).start()
}

#[test]
fn the_log_says_which_backend_it_was() {
    let stage = Stage::new();
    let echo = bandy(&stage, &["serve", "echo", "tcp://:0"]);
    let backend = echo.endpoint(0).to_string();
    let balancer = bandy(&stage, &["balance", "tcp://:0", "--to", &backend]);
    let client = raw::tcp(&balancer.endpoint(0));
    let peer = client.local_addr().expect("an address").to_string();
    assert_eq!(raw::echo(&client, b"Hello"), b"Hello");
    drop(client);
    let line = balancer.conversation(|line| line.text("peer") == peer);
    assert_eq!(line.text("backend"), backend);
    assert_eq!(line.text("service"), "balance");
    assert_eq!((line.number("received"), line.number("sent")), (5, 5));
    assert_eq!(line.text("ended"), "closed by the peer");
}

/// The first balancer tells the second who came, by flags alone.
#[test]
fn who_came_is_told_by_flags() {
    let stage = Stage::new();
    let echo = bandy(&stage, &["serve", "echo", "tcp://:0"]);
    let backend = echo.endpoint(0).to_string();
    let inner = [
        "balance",
        "tcp://:0",
        "--to",
        &backend,
        "--proxied-from",
        "127.0.0.0/8",
    ];
    let inner = bandy(&stage, &inner);
    let inner_endpoint = inner.endpoint(0).to_string();
    let outer = [
        "balance",
        "tcp://:0",
        "--to",
        &inner_endpoint,
        "--proxy-protocol",
        "v2",
    ];
    let outer = bandy(&stage, &outer);
    let client = raw::tcp(&outer.endpoint(0));
    let own = client.local_addr().expect("an address").to_string();
    assert_eq!(raw::echo(&client, b"Hello"), b"Hello");
    drop(client);
    inner.conversation(|line| line.text("peer") == own);
    // Without a header it takes nobody.
    raw::closed({
        let mut stream = raw::tcp(&inner.endpoint(0));
        stream.write_all(b"Hello, who are you?").expect("taken");
        stream
    });
}

/// Bulk goes through pipes, which are few, and through no memory of ours.
#[test]
fn bulk_leaves_nothing_behind() {
    let stage = Stage::new();
    let echo = bandy(&stage, &["serve", "echo", "tcp://:0"]);
    let backend = echo.endpoint(0).to_string();
    let balancer = bandy(&stage, &["balance", "tcp://:0", "--to", &backend]);
    let endpoint = balancer.endpoint(0);
    exchange(&endpoint, 1 << 20);
    let (files, memory) = (balancer.open_files(), balancer.memory_bytes());
    for _ in 0..4 {
        exchange(&endpoint, 64 << 20);
    }
    let growth = balancer.memory_bytes().saturating_sub(memory);
    assert!(growth < 8 << 20, "{growth} bytes more after 256 MiB");
    // Two for each pipe that is kept.
    let more = balancer.open_files().saturating_sub(files);
    assert!(more <= 64, "{more} files more");
}

fn exchange(endpoint: &Endpoint, length: usize) {
    let client = raw::tcp(endpoint);
    let data = noise(length as u64, 1 << 20);
    let mut writer = client.try_clone().expect("a second handle");
    let said = data.clone();
    let saying = thread::spawn(move || {
        for _ in 0..length >> 20 {
            writer.write_all(&said).expect("taken");
        }
        writer.shutdown(Shutdown::Write).expect("shut");
    });
    let mut heard = vec![0; data.len()];
    for _ in 0..length >> 20 {
        (&client).read_exact(&mut heard).expect("an answer in time");
        assert!(heard == data);
    }
    saying.join().expect("said");
    assert_eq!(raw::rest(&client), b"");
}

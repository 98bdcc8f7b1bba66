//! What goes wrong on real machines: no files left, kills, floods, garbage, a log that nobody reads.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bandy_testkit::{Program, Running, Stage, chunks, eventually, noise, raw};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

fn serve(stage: &Stage, args: &[&str]) -> Running {
    Program::new(BANDY, stage)
        .args(["serve"])
        .args(args)
        .start()
}

/// `accept` fails with EMFILE: the loop must slow down, keep the others served, and go on when there are files again.
#[test]
fn out_of_files_the_accept_loop_backs_off_and_recovers() {
    let stage = Stage::new();
    for model in ["async", "threads"] {
        let program = Program::by(&["prlimit", "--nofile=48:48"], BANDY, &stage);
        let program = program.args([
            "serve",
            "echo",
            "tcp://:0",
            "unix://a.sock",
            "--model",
            model,
        ]);
        let server = program.start();
        let endpoint = server.endpoint(0);
        let first = raw::tcp(&endpoint);
        assert_eq!(raw::echo(&first, b"first"), b"first");
        let mut crowd: Vec<_> = (0..100).map(|_| raw::tcp(&endpoint)).collect();
        server.log("of the failure", |line| {
            line.text("message").starts_with("cannot accept")
                && line.text("error").contains("open files")
        });
        let (began, before) = (Instant::now(), server.cpu_time());
        while began.elapsed() < Duration::from_millis(700) {
            assert_eq!(raw::echo(&first, b"unharmed"), b"unharmed");
            std::thread::sleep(Duration::from_millis(50));
        }
        let spent = server.cpu_time() - before;
        assert!(
            spent < Duration::from_millis(200),
            "{model}: {spent:?} of CPU while it waits"
        );

        crowd.truncate(1);
        server.log("of the recovery", |line| line.says("accepting again"));
        // Under `threads` a connection needs more files than its own: the first of the newcomers may still find none.
        eventually("a newcomer to be served", || {
            let mut newcomer = raw::tcp(&endpoint);
            let mut answer = [0; 8];
            newcomer.write_all(b"newcomer")?;
            newcomer.read_exact(&mut answer)?;
            assert_eq!(&answer, b"newcomer", "{model}");
            std::io::Result::Ok(())
        });
    }
}

#[test]
fn killed_and_started_again_at_once_in_the_same_place() {
    let stage = Stage::new();
    let mut urls = vec![
        "tcp://127.0.0.1:0".to_owned(),
        "udp://127.0.0.1:0".to_owned(),
    ];
    urls.push(format!(
        "unix://{}",
        stage.folder().join("a.sock").display()
    ));
    for _ in 0..3 {
        let urls_now: Vec<&str> = urls.iter().map(String::as_str).collect();
        let args = [&["echo"][..], &urls_now].concat();
        let mut server = serve(&stage, &args);
        urls = (0..3).map(|i| server.endpoint(i).to_string()).collect();
        let open: Vec<_> = (0..10).map(|_| raw::tcp(&server.endpoint(0))).collect();
        for stream in &open {
            assert_eq!(raw::echo(stream, b"tcp"), b"tcp");
        }
        assert_eq!(raw::ask_udp(&raw::udp(&server.endpoint(1)), b"udp"), b"udp");
        assert_eq!(raw::echo(raw::unix(&server.endpoint(2)), b"unix"), b"unix");
        // Half of them are closed by the server first, which is what leaves TIME_WAIT behind.
        server.kill();
        open.iter().for_each(raw::closed);
    }
}

#[test]
fn ten_thousand_connections_that_come_and_go() {
    let stage = Stage::new();
    for model in ["async", "threads"] {
        let server = serve(&stage, &["echo", "tcp://:0", "--model", model]);
        let endpoint = server.endpoint(0);
        assert_eq!(raw::echo(raw::tcp(&endpoint), b"before"), b"before");
        eventually("the first to be gone", || match server.open_files() {
            n if n < 40 => Ok(()),
            n => Err(n),
        });
        let before = server.open_files();
        let address = raw::address(&endpoint);
        let rounds = if model == "async" { 10_000 } else { 1_000 };
        for i in 0..rounds {
            let stream = TcpStream::connect(address).expect("connected");
            match i % 3 {
                0 => drop(stream),
                1 => raw::reset(stream),
                _ => {
                    // It may be gone before it is read.
                    drop((&stream).write(b"bye"));
                }
            }
        }
        assert_eq!(raw::echo(raw::tcp(&endpoint), b"after"), b"after");
        eventually("all of them to be gone", || match server.open_files() {
            n if n <= before => Ok(()),
            n => Err(format!("{n} files open; {before} before")),
        });
    }
}

#[test]
fn garbage_and_half_handshakes_end_and_harm_nobody() {
    let stage = Stage::new();
    let args = [
        "echo",
        "tls://:0",
        "ws://:0",
        "wss://:0",
        "--handshake",
        "1s",
    ];
    let mut server = serve(&stage, &args);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("an event loop");
    let hello = client_hello();
    let words: Vec<Vec<u8>> = [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"\x16\x03\x01\xff\xff\x01\x00\xff\xff",
        b"\x80\x2e\x01\x00\x02",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\r\n\r\n\r\n",
        b"\0",
        &hello,
        &hello[..hello.len() / 2],
    ]
    .map(<[u8]>::to_vec)
    .into_iter()
    .chain((0..20).map(|seed| noise(seed, 1 + (seed as usize * 997) % 20_000)))
    .chain([
        vec![b'x'; 1 << 20],
        [&b"GET /"[..], &vec![b'a'; 1 << 20]].concat(),
    ])
    .collect();
    for i in 0..3 {
        let endpoint = server.endpoint(i);
        let held: Vec<_> = words
            .iter()
            .enumerate()
            .map(|(seed, word)| {
                let mut stream = raw::tcp(&endpoint);
                for piece in chunks(seed as u64, word) {
                    // The server may have seen enough.
                    if stream.write_all(piece).is_err() {
                        break;
                    }
                }
                if seed % 2 == 0 {
                    drop(stream.shutdown(Shutdown::Write));
                }
                stream
            })
            .collect();
        runtime.block_on(async {
            let mut client = stage.connect(&endpoint).await;
            client.say("Hello").await;
            assert_eq!(client.hear(5).await, "Hello");
        });
        // Each gets an end, at the handshake's deadline at the latest, whatever was said to it before.
        for mut stream in held {
            let mut said = Vec::new();
            if let Err(e) = stream.read_to_end(&mut said) {
                assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{endpoint}");
            }
        }
    }
    assert_eq!(server.stop(), 0);
    let log = server.log_so_far();
    assert!(!log.contains("panicked"), "{log}");
}

/// The first flight of a real TLS client.
fn client_hello() -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let stage = Stage::new();
        let to: bandy::Endpoint = format!("tls://127.0.0.1:{port}").parse().expect("a URL");
        let mut phases = bandy::net::Phases::default();
        let connect = async { stage.dialer().connect(&to, &mut phases).await };
        runtime
            .expect("an event loop")
            .block_on(connect)
            .expect_err("nobody answers");
    });
    let (mut stream, _) = listener.accept().expect("a client");
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).expect("a record");
    let len = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
    hello.resize(5 + len, 0);
    stream.read_exact(&mut hello[5..]).expect("a record");
    drop((stream, listener));
    client.join().expect("it gives up");
    hello
}

/// More lines than may wait: the log is lossy, the service is not.
#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let stage = Stage::new();
    let (unread, stderr) = std::io::pipe().expect("a pipe");
    let program = Program::new(BANDY, &stage).stderr(stderr);
    let mut server = program.args(["serve", "echo", "tcp://:0"]).start_unlogged();
    let address = raw::address(&server.endpoint(0));
    // Some 300 bytes a line: the pipe holds some 200 of them, and the queue 16,384.
    for _ in 0..17_500 {
        raw::reset(TcpStream::connect(address).expect("connected"));
    }
    assert_eq!(raw::echo(raw::tcp(&server.endpoint(0)), b"Hello"), b"Hello");
    let asked = Instant::now();
    assert_eq!(server.stop(), 0);
    assert!(asked.elapsed() < Duration::from_secs(8));
    drop(unread);
}

#[test]
fn a_log_whose_reader_left_holds_up_nothing() {
    let stage = Stage::new();
    let (reader, stderr) = std::io::pipe().expect("a pipe");
    drop(reader);
    let program = Program::new(BANDY, &stage).stderr(stderr);
    let mut server = program.args(["serve", "echo", "tcp://:0"]).start_unlogged();
    for _ in 0..100 {
        assert_eq!(raw::echo(raw::tcp(&server.endpoint(0)), b"Hello"), b"Hello");
    }
    assert_eq!(server.stop(), 0);

    // And what cannot be said is still the exit code.
    for args in [
        ["serve", "ecko", "tcp://:0"],
        ["run", "no.toml", "--log=json"],
    ] {
        let (reader, stderr) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = std::process::Command::new(BANDY);
        command.args(args).stderr(stderr);
        assert_eq!(command.status().expect("run").code(), Some(2), "{args:?}");
    }
}

#[test]
fn nobody_reads_the_ready_lines() {
    let stage = Stage::new();
    let mut program = Program::new(BANDY, &stage);
    program
        .command()
        .args(["serve", "greet", "Hello", "unix://a.sock"]);
    let (reader, stdout) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = program
        .command()
        .stdout(stdout)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let path = stage.folder().join("a.sock");
    let greeting = eventually("a greeting", || {
        let mut greeting = String::new();
        let stream = std::os::unix::net::UnixStream::connect(&path);
        stream
            .and_then(|mut s| s.read_to_string(&mut greeting))
            .map(|_| greeting)
    });
    assert_eq!(greeting, "Hello\n");
    child.kill().expect("it runs");
    child.wait().expect("a child");
}

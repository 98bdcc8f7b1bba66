//! Conversations over streams: what is said arrives, limits hold, and nobody waits for somebody else.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use bandy::endpoint::Scheme;
use bandy::error::{Kind, Side};
use bandy::limits::Overload;
use bandy::services::Spec;
use bandy::{Limits, Model, Server, service_fn};
use bandy_testkit::{Stage, eventually, noise, raw, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};

const STREAMS: [Scheme; 4] = [Scheme::Tcp, Scheme::Tls, Scheme::Unix, Scheme::Mem];

fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[tokio::test]
async fn an_echo_returns_exactly_what_it_got_after_a_half_close() {
    let stage = Stage::new();
    for model in Model::ALL {
        let server = stage.serve(&Spec::Echo, &STREAMS, model);
        for endpoint in server.endpoints() {
            for (seed, len) in [0, 1, (64 << 10) + 1, 8 << 20].into_iter().enumerate() {
                if len > 1 << 20 && model != Model::Async {
                    continue;
                }
                let data = noise(seed as u64, len);
                let client = stage.connect(endpoint).await;
                let answer = client.exchange(seed as u64, &data).await;
                assert!(
                    answer == data,
                    "{endpoint}: {} of {len} bytes",
                    answer.len()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_silent_conversation_ends_at_the_idle_deadline_and_an_active_one_lives() {
    let stage = Stage::new();
    let idle = ms(400);
    let server = stage.serve_within(
        &Spec::Echo,
        &STREAMS,
        Model::Async,
        limits(|l| l.idle = Some(idle)),
    );
    for endpoint in server.endpoints() {
        let mut silent = stage.connect(endpoint).await;
        let mut active = stage.connect(endpoint).await;
        let began = Instant::now();
        let mut turns = 0;
        // Longer than the deadline; each turn is far shorter.
        while began.elapsed() < 2 * idle {
            active.say("tick").await;
            assert_eq!(active.hear(4).await, "tick", "{endpoint}");
            tokio::time::sleep(idle / 20).await;
            turns += 1;
        }
        silent.ended().await;
        assert!(turns > 1, "{endpoint}");
        active.say("tock").await;
        assert_eq!(active.hear(4).await, "tock", "{endpoint}");
    }
}

#[tokio::test]
async fn no_conversation_outlives_its_lifetime() {
    let stage = Stage::new();
    let lifetime = ms(200);
    for model in Model::ALL {
        let limits = limits(|l| l.lifetime = Some(lifetime));
        let server = stage.serve_within(&Spec::Chargen, &[Scheme::Tcp], model, limits);
        let began = Instant::now();
        let mut client = stage.connect(server.endpoint()).await.into_conn();
        let mut all = Vec::new();
        // A service that is cut in the middle ends by a reset or an end: both are ends.
        drop(within("the end of a lifetime", client.read_to_end(&mut all)).await);
        assert!(began.elapsed() >= lifetime, "{model}");
        assert!(!all.is_empty(), "{model}");
    }
}

#[tokio::test]
async fn a_handshake_has_a_deadline_and_delays_nobody() {
    let stage = Stage::new();
    for model in [Model::Async, Model::Threads] {
        let schemes = [Scheme::Tls, Scheme::Ws, Scheme::Wss];
        let limits = limits(|l| l.handshake = ms(1500));
        let server = stage.serve_within(&Spec::Echo, &schemes, model, limits);
        for endpoint in server.endpoints() {
            let began = Instant::now();
            let silent: Vec<_> = (0..20).map(|_| raw::tcp(endpoint)).collect();
            let mut half = raw::tcp(endpoint);
            // The beginning of a TLS record and of an HTTP request.
            half.write_all(if endpoint.scheme().is_secure() {
                b"\x16\x03\x01\x02"
            } else {
                b"GET / HTTP/1.1\r\nHo"
            })
            .expect("taken");
            let mut client = stage.connect(endpoint).await;
            client.say("Hello").await;
            assert_eq!(client.hear(5).await, "Hello");
            silent.iter().for_each(raw::closed);
            raw::closed(&half);
            assert!(began.elapsed() >= ms(1500), "{endpoint}");
        }
    }
}

#[tokio::test]
async fn at_the_limit_new_connections_wait_until_one_ends() {
    let stage = Stage::new();
    for model in [Model::Async, Model::Threads] {
        let limits = limits(|l| l.connections = 3);
        // Two listeners share the limit; with event loops, each has a socket on every loop.
        let server = stage.serve_within(&Spec::Echo, &[Scheme::Tcp, Scheme::Unix], model, limits);
        let mut open = Vec::new();
        for i in 0..3 {
            let mut client = stage.connect(&server.endpoints()[i % 2]).await;
            client.say("in").await;
            assert_eq!(client.hear(2).await, "in", "{model}");
            open.push(client);
        }
        let mut waiting = stage.connect(server.endpoint()).await;
        waiting.say("later").await;
        for client in &mut open {
            client.say("still").await;
            assert_eq!(client.hear(5).await, "still", "{model}");
        }
        let early = tokio::time::timeout(ms(50), waiting.hear_some()).await;
        assert!(early.is_err(), "{model}: one beyond the limit was served");
        let mut one = open.pop().expect("three are open");
        one.finish().await;
        assert_eq!(one.rest().await, "");
        drop(one);
        assert_eq!(waiting.hear(5).await, "later", "{model}");
    }
}

/// The only place there is must not be held by a listener that nobody talks to.
#[tokio::test]
async fn one_place_serves_every_listener_in_turn() {
    let stage = Stage::new();
    for model in Model::ALL {
        let limits = limits(|l| l.connections = 1);
        let schemes = [Scheme::Tcp, Scheme::Tls, Scheme::Unix, Scheme::Mem];
        let server = stage.serve_within(&Spec::Echo, &schemes, model, limits);
        for i in 0..12 {
            let endpoint = &server.endpoints()[i % schemes.len()];
            let client = stage.connect(endpoint).await;
            assert_eq!(client.exchange(0, b"in turn").await, b"in turn", "{model}");
        }
    }
}

/// A connection that waited for a place is not taken for one that was silent.
#[tokio::test]
async fn waiting_for_a_place_is_not_idleness() {
    let stage = Stage::new();
    let gate = Arc::new(Notify::new());
    let (came, mut coming) = mpsc::unbounded_channel();
    let opened = gate.clone();
    let server = Server::new(service_fn(move |mut conn: bandy::Conn| {
        let (gate, came) = (opened.clone(), came.clone());
        async move {
            came.send(()).expect("the test listens");
            gate.notified().await;
            conn.write_all(b"served").await?;
            conn.close().await;
            Ok(())
        }
    }));
    // The lifetime, too, begins with the place.
    let server = server.limits(limits(|l| {
        l.connections = 1;
        l.idle = Some(ms(1000));
        l.lifetime = Some(ms(1000));
    }));
    let server = stage.start(server, &[Scheme::Tcp]);
    let mut first = stage.connect(server.endpoint()).await;
    within("the first", coming.recv()).await;
    let mut second = stage.connect(server.endpoint()).await;
    // The first is closed as idle, after a second in which the other was no less silent.
    first.ended().await;
    within("the second", coming.recv()).await;
    gate.notify_one();
    assert_eq!(second.rest().await, "served");
}

#[tokio::test]
async fn at_the_limit_new_connections_are_refused_if_told_so() {
    let stage = Stage::new();
    for model in [Model::Async, Model::Threads] {
        let limits = limits(|l| {
            l.connections = 2;
            l.overload = Overload::Refuse;
        });
        let server = stage.serve_within(&Spec::Echo, &[Scheme::Tcp], model, limits);
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut client = stage.connect(server.endpoint()).await;
            client.say("in").await;
            assert_eq!(client.hear(2).await, "in");
            open.push(client);
        }
        for _ in 0..5 {
            raw::closed(raw::tcp(server.endpoint()));
        }
        for mut client in open {
            client.say("unharmed").await;
            assert_eq!(client.hear(8).await, "unharmed", "{model}");
        }
        // And places come back.
        eventually("a place", || {
            let mut stream = raw::tcp(server.endpoint());
            let answer = stream.write_all(b"x").and_then(|()| stream.read(&mut [0]));
            match answer {
                Ok(1) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}

#[tokio::test]
async fn a_slow_reader_slows_its_own_writer_only() {
    let stage = Stage::new();
    let server = stage.serve(&Spec::Echo, &[Scheme::Tcp, Scheme::Tls], Model::Async);
    let endpoint = server.endpoint();
    let stuffed = raw::tcp(endpoint);
    stuffed
        .set_nonblocking(true)
        .expect("a socket takes options");
    // Says more and more and never reads: it must come to a halt.
    let mut said = Vec::new();
    let data = noise(0, 1 << 16);
    let mut halted = Instant::now();
    while halted.elapsed() < ms(300) {
        match (&stuffed).write(&data) {
            Ok(n) => {
                said.extend_from_slice(&data[..n]);
                halted = Instant::now();
            }
            Err(_) => thread::sleep(ms(5)),
        }
        assert!(said.len() < 64 << 20, "it takes all and keeps it");
    }
    let mut other = stage.connect(endpoint).await;
    other.say("Hello").await;
    assert_eq!(other.hear(5).await, "Hello");
    // When it reads at last, it gets all that it said.
    stuffed.set_nonblocking(false).expect("an option");
    let half_closed = stuffed.shutdown(std::net::Shutdown::Write);
    half_closed.expect("half-closed");
    let answer = raw::rest(&stuffed);
    assert!(answer == said, "{} of {} bytes", answer.len(), said.len());
}

/// Under `threads` a service may block: only its own conversation waits.
#[tokio::test]
async fn a_service_that_blocks_its_thread_blocks_only_itself() {
    let stage = Stage::new();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let server = Server::new(service_fn(move |mut conn: bandy::Conn| {
        let blocked = blocked.clone();
        async move {
            let mut first = [0];
            conn.read_exact(&mut first).await?;
            if first == *b"b" {
                // Blocks the thread, not the task.
                blocked.lock().expect("not poisoned").recv().ok();
            }
            conn.write_all(&first).await?;
            Ok(())
        }
    }));
    let server = stage.start(server.model(Model::Threads), &[Scheme::Tcp]);
    let mut blocker = stage.connect(server.endpoint()).await;
    blocker.say("b").await;
    for _ in 0..20 {
        let mut client = stage.connect(server.endpoint()).await;
        client.say("x").await;
        assert_eq!(client.hear(1).await, "x");
    }
    release.send(()).expect("it waits");
    assert_eq!(blocker.hear(1).await, "b");
}

#[tokio::test]
async fn sequential_serves_one_at_a_time() {
    let stage = Stage::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::new(service_fn(move |mut conn: bandy::Conn| {
        let (now, most) = (now.clone(), most.clone());
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let mut word = [0; 4];
            let read = conn.read_exact(&mut word).await;
            now.fetch_sub(1, SeqCst);
            read?;
            conn.write_all(&word).await?;
            Ok(())
        }
    }));
    let schemes = [Scheme::Tcp, Scheme::Unix, Scheme::Tls, Scheme::Mem];
    let server = stage.start(server.model(Model::Sequential), &schemes);
    let talk = |i: usize| {
        let endpoint = server.endpoints()[i % schemes.len()].clone();
        let stage = &stage;
        async move {
            let mut client = stage.connect(&endpoint).await;
            client.say("turn").await;
            assert_eq!(client.hear(4).await, "turn");
        }
    };
    let all: Vec<_> = (0..40).map(talk).collect();
    futures_util::future::join_all(all).await;
    assert_eq!(seen.load(SeqCst), 1);
}

/// And the same for datagrams: a peer that is served does not keep the others waiting.
#[tokio::test]
async fn sequential_serves_streams_and_datagrams() {
    let stage = Stage::new();
    let schemes = [Scheme::Udp, Scheme::Tcp];
    let server = stage.serve(&Spec::Echo, &schemes, Model::Sequential);
    for _ in 0..5 {
        for endpoint in server.endpoints() {
            let mut client = stage.connect(endpoint).await;
            client.say("turn").await;
            assert_eq!(client.hear(4).await, "turn");
        }
    }
}

#[tokio::test]
async fn a_service_that_panics_ends_only_its_conversation() {
    let stage = Stage::new();
    for model in Model::ALL {
        let server = Server::new(service_fn(async |mut conn: bandy::Conn| {
            let mut word = [0; 4];
            conn.read_exact(&mut word).await?;
            assert_ne!(&word, b"die!", "as asked");
            conn.write_all(&word).await?;
            Ok(())
        }));
        let server = stage.start(server.model(model), &[Scheme::Tcp]);
        let mut other = stage.connect(server.endpoint()).await;
        if model == Model::Sequential {
            other.say("ping").await;
            assert_eq!(other.hear(4).await, "ping");
            other = stage.connect(server.endpoint()).await;
            drop(other);
            let mut dying = stage.connect(server.endpoint()).await;
            dying.say("die!").await;
            dying.ended().await;
            other = stage.connect(server.endpoint()).await;
        } else {
            let mut dying = stage.connect(server.endpoint()).await;
            dying.say("die!").await;
            dying.ended().await;
        }
        other.say("ping").await;
        assert_eq!(other.hear(4).await, "ping", "{model}");
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_its_conversation() {
    let stage = Stage::new();
    let spec = Spec::Reply {
        template: "{message}".to_owned(),
        pause: None,
    };
    let schemes = [Scheme::Tcp, Scheme::Tls, Scheme::Ws, Scheme::Wss];
    let limits = limits(|l| l.message_bytes = 1000);
    let server = stage.serve_within(&spec, &schemes, Model::Async, limits);
    for endpoint in server.endpoints() {
        let is_stream = endpoint.scheme().carries() == bandy::endpoint::Carries::Stream;
        let line = |len: usize| {
            let end = if is_stream { "\n" } else { "" };
            "x".repeat(len) + end
        };
        let mut client = stage.connect(endpoint).await;
        client.say(line(1000)).await;
        assert_eq!(
            client.hear(line(1000).len()).await,
            line(1000),
            "{endpoint}"
        );
        client.say(line(1001)).await;
        client.ended().await;
    }
}

#[tokio::test]
async fn a_drain_lets_conversations_finish_and_accepts_no_more() {
    let stage = Stage::new();
    for model in Model::ALL {
        let server = stage.serve(&Spec::Echo, &[Scheme::Tcp, Scheme::Unix], model);
        let [tcp, unix] = server.endpoints() else {
            panic!("two endpoints")
        };
        let path = unix.path().expect("a socket file");
        let mut client = stage.connect(tcp).await;
        client.say("one").await;
        assert_eq!(client.hear(3).await, "one");
        let finish = async {
            // The socket file goes when accepting stops; TCP refuses.
            within("accepting to stop", async {
                while path.exists() || std::net::TcpStream::connect(raw::address(tcp)).is_ok() {
                    tokio::time::sleep(ms(1)).await;
                }
            })
            .await;
            client.say("two").await;
            assert_eq!(client.hear(3).await, "two", "{model}");
            client.finish().await;
            assert_eq!(client.rest().await, "", "{model}");
        };
        let (cut, ()) = tokio::join!(server.drain(), finish);
        assert_eq!(cut, 0, "{model}");
    }
}

#[tokio::test]
async fn a_drain_cuts_what_is_left_at_its_deadline() {
    let stage = Stage::new();
    for model in Model::ALL {
        let limits = limits(|l| l.drain = ms(100));
        let server = stage.serve_within(&Spec::Echo, &[Scheme::Tcp], model, limits);
        let mut client = stage.connect(server.endpoint()).await;
        client.say("one").await;
        assert_eq!(client.hear(3).await, "one");
        assert!(within("the deadline", server.drain()).await >= 1, "{model}");
        client.ended().await;
    }
}

#[tokio::test]
async fn a_socket_file_is_removed_a_stale_one_replaced_a_live_one_refused() {
    let stage = Stage::new();
    let place = stage.place(Scheme::Unix);
    let path = place.path().expect("a socket file").to_owned();
    let echo = || Server::new(bandy::services::echo::Echo).listen_at(place.clone());
    // As a killed program leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(path.exists());

    let server = echo().start().expect("a stale socket file is replaced");
    let refused = echo().start().expect_err("a live one is not");
    assert_eq!((refused.kind(), refused.side()), (Kind::Io, Side::Local));
    assert!(
        refused.to_string().contains("address already in use"),
        "{refused}"
    );
    let client = stage.connect(&place).await;
    assert_eq!(client.exchange(0, b"alive").await, b"alive");
    within("the drain", server.drain()).await;
    assert!(!path.exists(), "it is removed");

    std::fs::write(&path, "not a socket").expect("written");
    echo()
        .start()
        .expect_err("a file that is no socket is left alone");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"not a socket");
}

#[tokio::test]
async fn a_port_belongs_to_one_server() {
    let stage = Stage::new();
    for scheme in [Scheme::Tcp, Scheme::Udp, Scheme::Mem] {
        let server = stage.serve(&Spec::Echo, &[scheme], Model::Async);
        let second = Server::new(bandy::services::echo::Echo).listen_at(server.endpoint().clone());
        let refused = second.start().expect_err("the port is taken");
        let act = format!("listening on {}", server.endpoint());
        assert_eq!(refused.act(), act);
        assert!(
            refused
                .next_step()
                .expect("a hint")
                .contains("listens there already"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn connections_are_dealt_out_among_the_event_loops() {
    let stage = Stage::new();
    let (came, mut coming) = mpsc::unbounded_channel();
    let server = Server::new(service_fn(move |mut conn: bandy::Conn| {
        let came = came.clone();
        async move {
            came.send(thread::current().id()).expect("the test listens");
            drop(conn.read(&mut [0]).await);
            Ok(())
        }
    }));
    let loops = Arc::new(bandy::server::Loops::start_some(2).expect("two event loops"));
    let mut none = bandy::net::Inherited::none();
    let place = stage.place(Scheme::Tcp);
    let server = server.listen_at(place).start_on(&loops, &mut none);
    let server = server.expect("a server that starts");
    let mut by_loop = std::collections::HashMap::new();
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(raw::tcp(server.endpoint()));
        let on = within("a connection", coming.recv()).await;
        *by_loop.entry(on.expect("one a connection")).or_insert(0) += 1;
    }
    assert_eq!(by_loop.len(), 2, "{by_loop:?}");
    assert!(by_loop.values().all(|n| *n >= 45), "{by_loop:?}");
}

/// A server can be held, moved and drained from any thread.
#[test]
fn a_running_server_goes_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<bandy::server::Running>();
    anywhere::<bandy::app::App>();
    anywhere::<bandy::server::Loops>();
}

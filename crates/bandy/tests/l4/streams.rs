//! Streams: byte for byte, each direction to its own end, and what becomes of a conversation when a backend fails.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bandy::endpoint::{Endpoint, Scheme};
use bandy::net::Phases;
use bandy::net::proxied::Proxied;
use bandy::services::Spec;
use bandy::services::echo::Echo;
use bandy::wire::proxy::{self, Told, Version};
use bandy::{Conn, Model, Server, Service, service_fn};
use bandy_testkit::{PATIENCE, Stage, noise, raw, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{balancing, have, ms, nobody, pool_of, within_limits};

const STREAMS: [Scheme; 4] = [Scheme::Tcp, Scheme::Tls, Scheme::Unix, Scheme::Mem];

/// A backend of a few lines: its listener, at its endpoint.
fn backend() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    (
        listener,
        Endpoint::at(Scheme::Tcp, address).expect("has a port"),
    )
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("accepted");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

#[tokio::test]
async fn every_byte_of_every_length_over_whatever() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &STREAMS, Model::Async);
    for backend in echo.endpoints() {
        let pool = pool_of(&stage, &[backend], |_| {});
        let server = balancing(&stage, &pool, &STREAMS);
        for endpoint in server.endpoints() {
            let is_plain = [endpoint, backend]
                .iter()
                .all(|e| e.scheme() == Scheme::Tcp);
            let longest = if is_plain { 16 << 20 } else { 1 << 20 };
            for (seed, len) in [0, 1, 4095, (64 << 10) + 1, longest]
                .into_iter()
                .enumerate()
            {
                let data = noise(seed as u64, len);
                let client = stage.connect(endpoint).await;
                let answer = client.exchange(seed as u64, &data).await;
                let heard = answer.len();
                assert!(answer == data, "{endpoint} to {backend}: {heard} of {len}");
            }
        }
        have(&pool, &[0]);
    }
}

/// Under every model.
#[tokio::test]
async fn however_connections_are_run() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Tcp], Model::Async);
    let pool = pool_of(&stage, &[echo.endpoint()], |_| {});
    for model in Model::ALL {
        let server = Server::new(bandy::services::balance::Balance::of(pool.clone()));
        let server = stage.start(server.model(model), &[Scheme::Tcp]);
        let client = stage.connect(server.endpoint()).await;
        assert_eq!(client.exchange(1, b"Hello").await, b"Hello", "{model}");
    }
}

/// The client ends first and still gets the answer; the backend ends first and still hears the client out.
#[test]
fn each_direction_has_its_own_end() {
    let stage = Stage::new();
    let (listener, endpoint) = backend();
    let pool = pool_of(&stage, &[&endpoint], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Tcp]);

    let mut client = raw::tcp(server.endpoint());
    client.write_all(b"the whole question").expect("taken");
    client.shutdown(Shutdown::Write).expect("shut");
    let mut at_backend = accept(&listener);
    assert_eq!(raw::rest(&at_backend), b"the whole question");
    at_backend.write_all(b"the whole answer").expect("taken");
    drop(at_backend);
    assert_eq!(raw::rest(&client), b"the whole answer");

    let mut client = raw::tcp(server.endpoint());
    let mut at_backend = accept(&listener);
    at_backend.write_all(b"a greeting").expect("taken");
    at_backend.shutdown(Shutdown::Write).expect("shut");
    assert_eq!(raw::rest(&client), b"a greeting");
    client.write_all(b"and thanks").expect("taken");
    drop(client);
    assert_eq!(raw::rest(&at_backend), b"and thanks");
    have(&pool, &[0]);
}

#[test]
fn a_reset_on_one_side_reaches_the_other() {
    let stage = Stage::new();
    let (listener, endpoint) = backend();
    let pool = pool_of(&stage, &[&endpoint], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Tcp]);
    for is_client in [true, false] {
        let mut client = raw::tcp(server.endpoint());
        let mut at_backend = accept(&listener);
        // Both are in the middle of something.
        client.write_all(b"a question").expect("taken");
        at_backend.read_exact(&mut [0; 10]).expect("heard");
        at_backend.write_all(b"an answer").expect("taken");
        client.read_exact(&mut [0; 9]).expect("heard");
        let mut other = match is_client {
            true => {
                raw::reset(client);
                at_backend
            }
            false => {
                raw::reset(at_backend);
                client
            }
        };
        let error = other.read(&mut [0; 1]).expect_err("a reset, and no end");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    have(&pool, &[0]);
}

#[test]
fn a_silent_conversation_is_closed_at_the_idle_deadline_on_both_sides() {
    let stage = Stage::new();
    let (listener, endpoint) = backend();
    let pool = pool_of(&stage, &[&endpoint], |_| {});
    let idle = ms(400);
    let server = within_limits(&stage, &pool, &[Scheme::Tcp], |l| l.idle = Some(idle));
    let began = Instant::now();
    let silent = raw::tcp(server.endpoint());
    let silent_backend = accept(&listener);
    let client = raw::tcp(server.endpoint());
    let mut at_backend = accept(&listener);
    // Only one direction has anything to say: that is life enough.
    while began.elapsed() < 3 * idle {
        at_backend.write_all(b".").expect("taken");
        thread::sleep(idle / 10);
    }
    raw::closed(&silent);
    raw::closed(&silent_backend);
    have(&pool, &[1]);
    drop(at_backend);
    assert!(!raw::rest(&client).is_empty());
}

#[test]
fn where_a_backend_cannot_be_reached_the_next_one_is() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Tcp, Scheme::Unix], Model::Async);
    for alive in echo.endpoints() {
        let dead = [nobody(Scheme::Tcp), stage.place(Scheme::Unix)];
        let pool = pool_of(&stage, &[&dead[0], alive, &dead[1]], |_| {});
        let server = balancing(&stage, &pool, &[Scheme::Tcp]);
        for n in 0..30 {
            let client = raw::tcp(server.endpoint());
            let question = format!("the question {n}");
            assert_eq!(raw::echo(&client, question.as_bytes()), question.as_bytes());
        }
        have(&pool, &[0, 0, 0]);
        // Those who failed were not asked every time.
        let failed = pool.members()[0].counters().unconnected;
        assert!((1..30).contains(&failed), "{failed}");
    }
}

#[test]
fn with_no_backend_ready_it_is_closed_at_once() {
    let stage = Stage::new();
    let dead = nobody(Scheme::Tcp);
    let pool = pool_of(&stage, &[&dead], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Tcp, Scheme::Tls]);
    let began = Instant::now();
    for _ in 0..30 {
        raw::closed(raw::tcp(server.endpoint()));
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    have(&pool, &[0]);
}

/// Whoever is brought to a drained backend was brought there before it was drained.
#[test]
fn a_drained_backend_keeps_what_it_has() {
    let stage = Stage::new();
    let echoes = [0, 1].map(|_| stage.serve(&Spec::Echo, &[Scheme::Tcp], Model::Async));
    let pool = pool_of(
        &stage,
        &[echoes[0].endpoint(), echoes[1].endpoint()],
        |_| {},
    );
    let server = balancing(&stage, &pool, &[Scheme::Tcp]);
    let old: Vec<TcpStream> = (0..4).map(|_| raw::tcp(server.endpoint())).collect();
    old.iter()
        .for_each(|client| assert_eq!(raw::echo(client, b"one"), b"one"));
    have(&pool, &[2, 2]);
    pool.members()[0].drain();
    let new: Vec<TcpStream> = (0..4).map(|_| raw::tcp(server.endpoint())).collect();
    for client in old.iter().chain(&new) {
        assert_eq!(raw::echo(client, b"two"), b"two");
    }
    have(&pool, &[2, 6]);
    drop(old);
    have(&pool, &[0, 4]);
    pool.members()[0].ready();
}

/// A backend that takes connections and drops them is found out, and left alone.
#[test]
fn a_backend_that_goes_away_without_a_word_is_not_well() {
    let stage = Stage::new();
    let (listener, bad) = backend();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            raw::reset(stream);
        }
    });
    let good = stage.serve(
        &Spec::Greet {
            text: "Hello".to_owned(),
        },
        &[Scheme::Tcp],
        Model::Async,
    );
    let pool = pool_of(&stage, &[&bad, good.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Tcp]);
    let mut greeted = 0;
    for _ in 0..60 {
        let mut said = Vec::new();
        // A reset for those who meet the bad one, however early: it may have heard them.
        let heard = TcpStream::connect(raw::address(server.endpoint()))
            .and_then(|mut client| client.read_to_end(&mut said));
        if heard.is_ok() {
            greeted += 1;
            assert_eq!(said, b"Hello\n");
        }
    }
    let counted = pool.members()[0].counters();
    assert!(counted.failed > 0 && counted.failed < 30, "{counted:?}");
    assert!(greeted > 30, "{greeted}");
}

/// At its `max` a backend gets no more; the next conversation waits its turn.
#[test]
fn one_beyond_the_most_waits() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Tcp], Model::Async);
    let pool = pool_of(&stage, &[echo.endpoint()], |options| {
        options.members[0].max = Some(1);
        options.queue.wait = PATIENCE;
    });
    let server = balancing(&stage, &pool, &[Scheme::Tcp]);
    let first = raw::tcp(server.endpoint());
    assert_eq!(raw::echo(&first, b"first"), b"first");
    let mut second = raw::tcp(server.endpoint());
    second.write_all(b"second").expect("taken");
    assert_eq!(raw::echo(&first, b"still"), b"still");
    drop(first);
    let mut heard = [0; 6];
    second.read_exact(&mut heard).expect("an answer");
    assert_eq!(&heard, b"second");
}

#[test]
fn a_backend_is_told_who_came() {
    let stage = Stage::new();
    let (listener, endpoint) = backend();
    for version in Version::ALL {
        let pool = pool_of(&stage, &[&endpoint], |o| o.proxy_protocol = Some(version));
        let server = balancing(&stage, &pool, &[Scheme::Tcp, Scheme::Unix]);
        let mut client = raw::tcp(server.endpoint());
        client.write_all(b"Hello").expect("taken");
        let mut expected = Vec::new();
        let told = Told::Ip {
            from: client.local_addr().expect("an address"),
            to: client.peer_addr().expect("an address"),
        };
        proxy::write(version, &told, &mut expected);
        expected.extend(b"Hello");
        let mut heard = vec![0; expected.len()];
        accept(&listener).read_exact(&mut heard).expect("heard");
        assert_eq!(heard, expected);

        // Whoever comes over a Unix socket has no address.
        let _client = raw::unix(&server.endpoints()[1]);
        let mut expected = Vec::new();
        proxy::write(version, &Told::Unknown, &mut expected);
        let mut heard = vec![0; expected.len()];
        accept(&listener).read_exact(&mut heard).expect("heard");
        assert_eq!(heard, expected);
    }
}

/// Where TLS ends here, or a WebSocket, there is a socket under it all the same.
#[tokio::test]
async fn a_backend_is_told_who_came_whatever_they_came_over() {
    let stage = Stage::new();
    let who = Server::new(service_fn(|mut conn: Conn| async move {
        let (peer, local) = (conn.peer().to_string(), conn.local());
        let said = format!("{peer} {}", local.expect("an address"));
        match conn.framing() {
            bandy::net::conn::Framing::Message => {
                conn.send(bandy::net::Message::text(said)).await?
            }
            bandy::net::conn::Framing::Stream => conn.write_all(said.as_bytes()).await?,
        }
        conn.finish().await
    }));
    let believed = Proxied {
        from: vec!["127.0.0.1".parse().expect("a range")],
    };
    let who = stage.start(who.proxied(believed), &[Scheme::Tcp, Scheme::Ws]);
    for (number, scheme) in [(0, Scheme::Tls), (1, Scheme::Ws), (1, Scheme::Wss)] {
        let pool = pool_of(&stage, &[&who.endpoints()[number]], |o| {
            o.proxy_protocol = Some(Version::V2);
        });
        let server = balancing(&stage, &pool, &[scheme]);
        let (dialer, to) = (stage.dialer(), server.endpoint());
        let mut phases = Phases::default();
        let connecting = dialer.connect(to, &mut phases);
        let mut client = within("a connection", connecting).await.expect("connected");
        let own = client.local().expect("an address");
        let heard = match scheme {
            Scheme::Tls => {
                let mut heard = String::new();
                let hearing = client.read_to_string(&mut heard);
                within("a word", hearing).await.expect("heard");
                heard
            }
            _ => {
                let message = within("a word", client.recv()).await.expect("heard");
                String::from_utf8(message.expect("a word").data.to_vec()).expect("text")
            }
        };
        let to = server.endpoint().socket_addr().expect("an address");
        assert_eq!(heard, format!("{own} {to}"), "{scheme}");
    }
}

/// Through two balancers, and TLS behind the header: who came first is known at the end.
#[tokio::test]
async fn who_came_is_known_two_balancers_on() {
    let stage = Stage::new();
    let who = Server::new(service_fn(|mut conn: Conn| async move {
        let peer = conn.peer().to_string();
        conn.write_all(peer.as_bytes()).await?;
        conn.finish().await
    }));
    let believed = Proxied {
        from: vec!["127.0.0.1".parse().expect("a range")],
    };
    let who = stage.start(who.proxied(believed.clone()), &[Scheme::Tls]);
    let inner_pool = pool_of(&stage, &[who.endpoint()], |o| {
        o.proxy_protocol = Some(Version::V2);
    });
    let inner = Server::new(bandy::services::balance::Balance::of(inner_pool));
    let inner = stage.start(inner.proxied(believed), &[Scheme::Tcp]);
    let outer_pool = pool_of(&stage, &[inner.endpoint()], |o| {
        o.proxy_protocol = Some(Version::V1);
    });
    let outer = balancing(&stage, &outer_pool, &[Scheme::Tcp]);
    let client = raw::tcp(outer.endpoint());
    let own = client.local_addr().expect("an address").to_string();
    let heard = tokio::task::spawn_blocking(move || raw::rest(&client));
    let heard = within("who it is", heard).await.expect("no panic");
    assert_eq!(String::from_utf8(heard).expect("text"), own);
}

/// A service of one's own can be behind it, in this process.
#[tokio::test]
async fn nested_in_one_process() {
    let stage = Stage::new();
    let last = stage.start(
        Server::new(service_fn(
            |conn: Conn| async move { Echo.call(conn).await },
        )),
        &[Scheme::Mem],
    );
    let inner = pool_of(&stage, &[last.endpoint()], |_| {});
    let middle = balancing(&stage, &inner, &[Scheme::Mem]);
    let outer = pool_of(&stage, &[middle.endpoint()], |_| {});
    let first = balancing(&stage, &outer, &[Scheme::Tcp]);
    let data = noise(9, 300_000);
    let client = stage.connect(first.endpoint()).await;
    assert!(client.exchange(9, &data).await == data);
}

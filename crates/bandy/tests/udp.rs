//! Conversations over UDP: flows, addresses, loops, and what is dropped.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bandy::endpoint::{Endpoint, Scheme};
use bandy::net::{Inherited, Message};
use bandy::server::Loops;
use bandy::services::Spec;
use bandy::{Conn, Limits, Model, Server, service_fn};
use bandy_testkit::{PATIENCE, Stage, raw, within};
use tokio::sync::{Semaphore, mpsc};

/// Counts the datagrams of each flow.
fn counting() -> Spec {
    Spec::Reply {
        template: "{n}".to_owned(),
        pause: None,
    }
}

fn text(answer: Vec<u8>) -> String {
    String::from_utf8(answer).expect("text")
}

/// Nothing comes: what would have come before the answer to a question that was asked later.
fn silent(socket: &UdpSocket) {
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a socket takes options");
    let said = socket.recv(&mut [0; 100]);
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes options");
    assert!(said.is_err(), "an answer of {said:?} bytes");
}

#[test]
fn each_peer_is_a_flow_of_its_own() {
    let stage = Stage::new();
    for model in [Model::Async, Model::Threads] {
        let server = stage.serve(&counting(), &[Scheme::Udp], model);
        let peers: Vec<_> = (0..5).map(|_| raw::udp(server.endpoint())).collect();
        for n in 1..=4 {
            for peer in &peers {
                assert_eq!(text(raw::ask_udp(peer, b"?")), n.to_string(), "{model}");
            }
        }
    }
}

#[test]
fn a_flow_that_is_silent_is_forgotten_and_an_active_one_is_not() {
    let stage = Stage::new();
    let limits = Limits {
        flow_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = stage.serve_within(&counting(), &[Scheme::Udp], Model::Async, limits);
    let [silent, active] = [0, 1].map(|_| raw::udp(server.endpoint()));
    assert_eq!(text(raw::ask_udp(&silent, b"?")), "1");
    for n in 1..=20 {
        assert_eq!(text(raw::ask_udp(&active, b"?")), n.to_string());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(text(raw::ask_udp(&silent, b"?")), "1", "it was forgotten");
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let stage = Stage::new();
    let place: Endpoint = "udp://0.0.0.0:0".parse().expect("a URL");
    for model in Model::ALL {
        let server = Server::new(bandy::services::echo::Echo).model(model);
        let server = stage.start_at(server, [place.clone()]);
        let port = server.endpoint().port().expect("a port");
        let client = raw::udp_from(([127, 0, 0, 1], 0).into());
        for asked in [[127, 0, 0, 2], [127, 0, 0, 1], [127, 1, 2, 3]] {
            let asked = SocketAddr::from((asked, port));
            client.send_to(b"who?", asked).expect("sent");
            let mut answer = [0; 10];
            let (n, from) = client.recv_from(&mut answer).expect("an answer");
            assert_eq!((&answer[..n], from), (&b"who?"[..], asked), "{model}");
        }
    }
}

/// Nobody starts two services talking with each other for ever by forging a source address.
#[test]
fn an_answerer_is_not_answered() {
    let stage = Stage::new();
    let everywhere: Endpoint = "udp://0.0.0.0:0".parse().expect("a URL");
    let servers = [everywhere, stage.place(Scheme::Udp)]
        .map(|place| stage.start_at(Server::new(bandy::services::echo::Echo), [place]));
    let own = servers[1].endpoint().port().expect("a port");
    let port = servers[0].endpoint().port().expect("a port");
    let asked = SocketAddr::from(([127, 0, 0, 1], port));
    let loops = [7, 19].map(|port| ([127, 0, 0, 9], port));
    for local in loops.into_iter().chain([([127, 0, 0, 3], own)]) {
        let local = SocketAddr::from(local);
        let Ok(forged) = UdpSocket::bind(local) else {
            // Ports below 1024 are root's; our own port can be had by anybody.
            assert!(local.port() < 1024, "cannot bind {local}");
            continue;
        };
        forged.send_to(b"echo", asked).expect("sent");
        silent(&forged);
    }
    let client = raw::udp(servers[1].endpoint());
    assert_eq!(raw::ask_udp(&client, b"echo"), b"echo");
}

#[test]
fn datagrams_of_every_length_pass_whole_or_not_at_all() {
    let stage = Stage::new();
    for model in Model::ALL {
        let server = stage.serve(&Spec::Echo, &[Scheme::Udp], model);
        let client = raw::udp(server.endpoint());
        for len in [0, 1, 1472, 1473, 9000, 65_507] {
            let data = bandy_testkit::noise(len as u64, len);
            assert!(raw::ask_udp(&client, &data) == data, "{model}: {len}");
        }
        let limits = Limits {
            message_bytes: 1000,
            ..Limits::default()
        };
        let server = stage.serve_within(&Spec::Echo, &[Scheme::Udp], model, limits);
        let client = raw::udp(server.endpoint());
        client.send(&[b'x'; 1001]).expect("sent");
        // What comes back is the answer to the next.
        assert_eq!(raw::ask_udp(&client, &[b'y'; 1000]), [b'y'; 1000]);
    }
}

/// An answer that no datagram can carry is dropped, and its flow lives on.
#[test]
fn an_answer_that_is_too_long_is_not_sent() {
    let stage = Stage::new();
    let spec = Spec::Reply {
        template: format!("{{message}}{}", "!".repeat(10)),
        pause: None,
    };
    let server = stage.serve(&spec, &[Scheme::Udp], Model::Async);
    let client = raw::udp(server.endpoint());
    client.send(&vec![b'x'; 65_500]).expect("sent");
    assert_eq!(text(raw::ask_udp(&client, b"short")), "short!!!!!!!!!!");
}

/// A service that answers each datagram once it is let to, and says when it got the first of a flow.
struct Gated {
    open: Arc<Semaphore>,
    came: mpsc::UnboundedReceiver<Message>,
    server: bandy::server::Running,
}

/// On one event loop: what is sent after something else is received after it.
fn gated(model: Model, limits: Limits) -> Gated {
    let open = Arc::new(Semaphore::new(0));
    let (tell, came) = mpsc::unbounded_channel();
    let gate = open.clone();
    let server = Server::new(service_fn(move |mut conn: Conn| {
        let (gate, tell) = (gate.clone(), tell.clone());
        async move {
            while let Some(message) = conn.recv().await? {
                // The test may have seen enough.
                tell.send(message.clone()).ok();
                gate.acquire().await.expect("never closed").forget();
                conn.send(message).await?;
            }
            Ok(())
        }
    }));
    let loops = Arc::new(Loops::start_some(1).expect("an event loop"));
    let place = "udp://127.0.0.1:0".parse().expect("a URL");
    let server = server.model(model).limits(limits).listen_at(place);
    let server = server.start_on(&loops, &mut Inherited::none());
    Gated {
        open,
        came,
        server: server.expect("a server that starts"),
    }
}

#[tokio::test]
async fn a_drain_answers_what_was_asked() {
    for model in [Model::Async, Model::Threads] {
        let mut gated = gated(model, Limits::default());
        let [first, second] = [0, 1].map(|_| raw::udp(gated.server.endpoint()));
        for i in 0..20 {
            first.send(&[i]).expect("sent");
        }
        second.send(b"last").expect("sent");
        // Both flows have begun: all the datagrams of the first have come.
        for _ in 0..2 {
            within("both flows", gated.came.recv()).await;
        }
        let (cut, answers) = tokio::join!(gated.server.drain(), async {
            gated.open.add_permits(100);
            tokio::task::spawn_blocking(move || {
                let all: Vec<_> = (0..20).map(|_| raw::hear_udp(&first)).collect();
                (all, raw::hear_udp(&second))
            })
            .await
            .expect("all answers")
        });
        assert_eq!(cut, 0);
        let asked: Vec<_> = (0..20).map(|i| vec![i]).collect();
        assert_eq!(answers, (asked, b"last".to_vec()), "{model}");
    }
}

#[tokio::test]
async fn a_full_queue_drops_the_rest_of_its_own_flow_only() {
    for model in [Model::Async, Model::Threads] {
        let limits = Limits {
            flow_queue: 4,
            ..Limits::default()
        };
        let mut gated = gated(model, limits);
        let [full, other] = [0, 1].map(|_| raw::udp(gated.server.endpoint()));
        full.send(&[0]).expect("sent");
        within("a flow", gated.came.recv()).await;
        for i in 1..20 {
            full.send(&[i]).expect("sent");
        }
        other.send(b"other").expect("sent");
        within("the other flow", gated.came.recv()).await;
        gated.open.add_permits(100);
        assert_eq!(raw::hear_udp(&other), b"other");
        for i in 0..5 {
            assert_eq!(raw::hear_udp(&full), [i], "{model}");
        }
        assert_eq!(raw::ask_udp(&full, b"again"), b"again", "{model}");
    }
}

#[tokio::test]
async fn as_many_flows_as_may_be_and_no_more() {
    let limits = Limits {
        flows: 3,
        flow_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let gated = gated(Model::Async, limits);
    gated.open.add_permits(1000);
    let peers = [0; 3].map(|_| raw::udp(gated.server.endpoint()));
    for peer in &peers {
        assert_eq!(raw::ask_udp(peer, b"in"), b"in");
    }
    let beyond = raw::udp(gated.server.endpoint());
    beyond.send(b"out").expect("sent");
    for peer in &peers {
        assert_eq!(raw::ask_udp(peer, b"still"), b"still");
    }
    silent(&beyond);
    // When the others have been silent for long enough, there is room.
    beyond
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a socket takes options");
    bandy_testkit::eventually("room for another flow", || {
        beyond.send(b"in").expect("sent");
        beyond.recv(&mut [0; 10])
    });
}

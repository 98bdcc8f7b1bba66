//! Datagrams: a flow and its backend.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use bandy::Model;
use bandy::endpoint::{Endpoint, Scheme};
use bandy::pool::Pool;
use bandy::server::Running;
use bandy::services::Spec;
use bandy_testkit::{Stage, raw};

use super::{balancing, have, ms, pool_of, within_limits};

/// Backends that say who they are.
fn backends(stage: &Stage, count: usize) -> Vec<Running> {
    let name = |n| Spec::Reply {
        template: format!("{n}: {{message}}"),
        pause: None,
    };
    let serve = |n| stage.serve(&name(n), &[Scheme::Udp], Model::Async);
    (0..count).map(serve).collect()
}

fn pool(stage: &Stage, backends: &[Running]) -> Arc<Pool> {
    let endpoints: Vec<&Endpoint> = backends.iter().map(Running::endpoint).collect();
    pool_of(stage, &endpoints, |_| {})
}

/// Who answers the flow.
fn who(socket: &UdpSocket) -> String {
    let answer = String::from_utf8(raw::ask_udp(socket, b"?")).expect("text");
    answer.strip_suffix(": ?").expect("an answer").to_owned()
}

#[test]
fn a_flow_keeps_its_backend_when_others_come_and_go() {
    let stage = Stage::new();
    let backends = backends(&stage, 3);
    let pool = pool(&stage, &backends);
    let server = balancing(&stage, &pool, &[Scheme::Udp]);
    let flows: Vec<UdpSocket> = (0..6).map(|_| raw::udp(server.endpoint())).collect();
    let first: Vec<String> = flows.iter().map(who).collect();
    // Each has two of them.
    have(&pool, &[2, 2, 2]);
    pool.members()[0].drain();
    let drained: Vec<String> = flows.iter().map(who).collect();
    assert_eq!(drained, first, "also those of the drained one");
    let newcomer = raw::udp(server.endpoint());
    assert_ne!(who(&newcomer), "0");
    pool.members()[0].ready();
    pool.members()[1].drain();
    assert_eq!(flows.iter().map(who).collect::<Vec<_>>(), first);
}

#[test]
fn a_silent_flow_gives_its_place_back() {
    let stage = Stage::new();
    let backends = backends(&stage, 1);
    let pool = pool(&stage, &backends);
    let server = within_limits(&stage, &pool, &[Scheme::Udp], |l| l.flow_idle = ms(300));
    let flow = raw::udp(server.endpoint());
    assert_eq!(who(&flow), "0");
    have(&pool, &[1]);
    have(&pool, &[0]);
    assert_eq!(who(&flow), "0");
}

/// The system says that nobody is there, and what was asked is asked of the next one.
#[test]
fn where_nobody_listens_the_next_one_answers() {
    let stage = Stage::new();
    let backends = backends(&stage, 1);
    let nobody = {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let address = socket.local_addr().expect("an address");
        Endpoint::at(Scheme::Udp, address).expect("has a port")
    };
    let pool = pool_of(&stage, &[&nobody, backends[0].endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Udp]);
    for _ in 0..10 {
        assert_eq!(who(&raw::udp(server.endpoint())), "0");
    }
    assert!(pool.members()[0].counters().failed > 0);
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    let stage = Stage::new();
    let backends = backends(&stage, 1);
    let pool = pool(&stage, &backends);
    let place: Endpoint = "udp://0.0.0.0:0".parse().expect("a URL");
    let server = bandy::Server::new(bandy::services::balance::Balance::of(pool));
    let server = stage.start_at(server, [place]);
    let port = server.endpoint().port().expect("a port");
    let client = raw::udp_from(([127, 0, 0, 1], 0).into());
    for asked in [[127, 0, 0, 2], [127, 0, 0, 1], [127, 1, 2, 3]] {
        let asked = SocketAddr::from((asked, port));
        client.send_to(b"?", asked).expect("sent");
        let mut answer = [0; 10];
        let (length, from) = client.recv_from(&mut answer).expect("an answer");
        assert_eq!((&answer[..length], from), (&b"0: ?"[..], asked));
    }
}

/// Datagrams of every length that there is, the empty one too, stay what they are.
#[test]
fn each_datagram_stays_one() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Udp], Model::Async);
    let pool = pool_of(&stage, &[echo.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Udp]);
    let flow = raw::udp(server.endpoint());
    for length in [0, 1, 512, 1472, 9000, 65_507] {
        let data = bandy_testkit::noise(length as u64, length);
        assert!(raw::ask_udp(&flow, &data) == data, "{length}");
    }
}

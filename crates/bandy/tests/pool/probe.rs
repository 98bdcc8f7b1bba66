//! Probes of real servers, which die and come back.

use std::net::{TcpListener, UdpSocket};
use std::sync::Mutex;

use bandy::endpoint::Scheme;
use bandy::http::{self, Body, Http, Request, StatusCode};
use bandy::pool::health::{Check, Expect, Probe, State};
use bandy::server::{Loops, Running};
use bandy::services::Spec;
use bandy::services::echo::Echo;
use bandy::{Model, Server, service_fn};
use bandy_testkit::{Stage, eventually};
use bytes::Bytes;
use http_body::Frame;

use super::*;

/// A pool of one backend that is probed fast, and what keeps it.
fn probed(stage: &Stage, endpoint: &Endpoint, check: Check) -> (Arc<Pool>, Loops) {
    let mut options = Options::new("p", [endpoint.clone()]);
    options.tls = match endpoint.scheme().is_secure() {
        true => stage.client_tls(),
        false => Default::default(),
    };
    options.health.probe = Some(Probe {
        every: 5 * MS,
        timeout: 1_000 * MS,
        ..Probe::new(check)
    });
    let pool = pool(options);
    let loops = Loops::start_some(1).expect("a loop");
    loops.spawn(pool.keep());
    (pool, loops)
}

#[track_caller]
fn becomes(pool: &Pool, wanted: State) {
    eventually(
        format!("a backend that is {}", wanted.as_str()),
        || match pool.members()[0].state() {
            state if state == wanted => Ok(()),
            state => Err(state.as_str()),
        },
    );
}

/// A server that is there, then is not, and then is again: at one address.
#[track_caller]
fn comes_and_goes(scheme: Scheme, check: Check) {
    let stage = Stage::new();
    // A port that is free, and stays ours: nobody else is told of it.
    let port = match scheme {
        Scheme::Udp => UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()),
        _ => TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()),
    };
    let endpoint = Endpoint::at(scheme, port.expect("a free port")).expect("an endpoint");
    let (pool, _loops) = probed(&stage, &endpoint, check);
    becomes(&pool, State::Down);
    assert!(pool.members()[0].is_unreachable());
    assert!(pool.try_lease(Wanted::default()).is_err());
    let serve = || -> Running {
        let server = Server::new(Echo).model(Model::Sequential);
        stage.start_at(server, [endpoint.clone()])
    };
    let server = serve();
    becomes(&pool, State::Up);
    drop(server);
    becomes(&pool, State::Down);
    let _again = serve();
    becomes(&pool, State::Up);
}

#[test]
fn whoever_can_be_connected_to_is_up() {
    comes_and_goes(Scheme::Tcp, Check::Connect);
}

#[test]
fn over_tls_the_handshake_counts() {
    comes_and_goes(Scheme::Tls, Check::Connect);
}

#[test]
fn a_stream_is_asked_and_answers() {
    let check = Check::Exchange {
        send: "PING\r\n".to_owned(),
        expect: "PING".to_owned(),
    };
    comes_and_goes(Scheme::Tcp, check);
}

#[test]
fn websocket_is_asked_and_answers() {
    let check = Check::Exchange {
        send: "ping".to_owned(),
        expect: "ping".to_owned(),
    };
    comes_and_goes(Scheme::Ws, check);
}

#[test]
fn a_server_that_shows_a_strange_certificate_is_down() {
    let stage = Stage::new();
    let server = stage.serve(&Spec::Echo, &[Scheme::Tls], Model::Sequential);
    let (pool, _loops) = probed(&Stage::new(), server.endpoint(), Check::Connect);
    becomes(&pool, State::Down);
}

#[test]
fn udp_is_asked_and_answers() {
    let stage = Stage::new();
    let server = stage.serve(&Spec::Echo, &[Scheme::Udp], Model::Sequential);
    let check = |expect: &str| Check::Exchange {
        send: "ping".to_owned(),
        expect: expect.to_owned(),
    };
    let (pool, _loops) = probed(&stage, server.endpoint(), check("ping"));
    let leases = || pool.members()[0].health();
    // Up is what it begins with: an answer must have come, so that it stays so when nothing answers any more.
    becomes(&pool, State::Up);
    drop(server);
    becomes(&pool, State::Down);
    assert!(leases().is_unreachable() || leases().state() == State::Down);
}

/// A server whose answers the test decides on.
fn moody(stage: &Stage, mood: &Arc<Mutex<(u16, &'static str)>>) -> Running {
    let mood = mood.clone();
    let service = service_fn(move |request: Request| {
        let (status, body) = *mood.lock().expect("no panic");
        async move {
            assert_eq!(request.uri().path(), "/healthz");
            let status = StatusCode::from_u16(status).expect("a status");
            Ok(http::typed(status, "text/plain", body))
        }
    });
    let server = Server::new(Http::new(service)).model(Model::Sequential);
    stage.start(server, &[Scheme::Http])
}

#[test]
fn over_http_status_and_body_decide() {
    let stage = Stage::new();
    let mood = Arc::new(Mutex::new((200, "all is well")));
    let server = moody(&stage, &mood);
    let check = Check::Http {
        path: "/healthz".to_owned(),
        expect: Expect {
            status: (200, 299),
            body: "well".to_owned(),
        },
        host: Some("app.example".to_owned()),
    };
    let (pool, _loops) = probed(&stage, server.endpoint(), check);
    for (answer, state) in [
        ((503, "all is well"), State::Down),
        ((200, "all is well"), State::Up),
        ((200, "all is lost"), State::Down),
        ((204, ""), State::Down),
        ((200, "quite well"), State::Up),
        ((301, "all is well"), State::Down),
    ] {
        *mood.lock().expect("no panic") = answer;
        becomes(&pool, state);
        // It can be connected to, whatever it says.
        assert!(!pool.members()[0].is_unreachable());
    }
}

/// `grpc.health.v1.Health/Check`, with this status in its message, and this in the trailers.
fn grpc(stage: &Stage, answer: &Arc<Mutex<(u8, &'static str)>>) -> Running {
    let answer = answer.clone();
    let service = service_fn(move |request: Request| {
        let (serving, status) = *answer.lock().expect("no panic");
        async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let asked = request.into_body().collect(100).await?;
            assert_eq!(&asked[..], b"\0\0\0\0\x06\x0A\x04chat");
            let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, serving]);
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static(status));
            let frames = [Ok(Frame::data(message)), Ok(Frame::trailers(trailers))];
            let frames = futures_util::stream::iter::<[Result<_, bandy::Error>; 2]>(frames);
            let body = Body::stream(http_body_util::StreamBody::new(frames));
            Ok(http::Response::new(body))
        }
    });
    let server = Server::new(Http::new(service)).model(Model::Sequential);
    stage.start(server, &[Scheme::Http])
}

#[test]
fn grpc_has_a_protocol_for_it() {
    let stage = Stage::new();
    let answer = Arc::new(Mutex::new((1, "0")));
    let server = grpc(&stage, &answer);
    let check = Check::Grpc {
        service: "chat".to_owned(),
    };
    let (pool, _loops) = probed(&stage, server.endpoint(), check);
    for (says, state) in [
        ((2, "0"), State::Down),
        ((1, "0"), State::Up),
        ((1, "5"), State::Down),
        ((1, "0"), State::Up),
        ((3, "0"), State::Down),
    ] {
        *answer.lock().expect("no panic") = says;
        becomes(&pool, state);
    }
}

#[test]
fn another_configuration_has_other_probes() {
    let stage = Stage::new();
    let mood = Arc::new(Mutex::new((200, "well")));
    let server = moody(&stage, &mood);
    let check = |body: &str| Check::Http {
        path: "/healthz".to_owned(),
        expect: Expect {
            body: body.to_owned(),
            ..Expect::default()
        },
        host: None,
    };
    let (pool, _loops) = probed(&stage, server.endpoint(), check("ill"));
    becomes(&pool, State::Down);
    let mut options = (*pool.options()).clone();
    options.health.probe.as_mut().expect("a probe").check = check("well");
    pool.update(options.clone()).expect("right").apply();
    becomes(&pool, State::Up);
    // Without probes traffic alone decides, and it starts anew.
    *mood.lock().expect("no panic") = (500, "");
    becomes(&pool, State::Down);
    options.health.probe = None;
    pool.update(options).expect("right").apply();
    becomes(&pool, State::Up);
}

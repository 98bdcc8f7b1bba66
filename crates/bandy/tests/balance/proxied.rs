//! Backends of requests that are told who came, by a PROXY header: a connection speaks for one client.

use bandy::http::Http;
use bandy::wire::proxy::{self, Told, Version};

use super::*;

/// A balancer whose backends are told who came.
fn telling(stage: &Stage, far: &Far, version: Version) -> Running {
    let mut options = pool([far]);
    options.proxy_protocol = Some(version);
    before(stage, options)
}

fn header(version: Version, client: &Raw) -> Vec<u8> {
    let socket = client.0.get_ref();
    let told = Told::Ip {
        from: socket.local_addr().expect("an address"),
        to: socket.peer_addr().expect("an address"),
    };
    let mut bytes = Vec::new();
    proxy::write(version, &told, &mut bytes);
    bytes
}

#[test]
fn each_connection_begins_with_who_came_and_serves_nobody_else() {
    for version in Version::ALL {
        let (stage, far) = (Stage::new(), Far::new());
        let server = telling(&stage, &far, version);
        let mut clients = [Raw::to(&server), Raw::to(&server)];
        for turn in 0..2 {
            for client in &mut clients {
                client.say(GET);
                // A new one each time: what stands has spoken for somebody.
                let mut backend = far.accept();
                let expected = header(version, client);
                assert_eq!(
                    backend.exactly(expected.len()),
                    expected,
                    "{version:?} {turn}"
                );
                assert!(
                    backend
                        .serve("done")
                        .starts_with("GET /a%2Fb?c HTTP/1.1\r\n")
                );
                assert_eq!(client.hear().1, "done");
                backend.closed();
            }
        }
    }
}

#[test]
fn a_second_try_says_it_too() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = telling(&stage, &far, Version::V1);
    let mut client = Raw::to(&server);
    client.say(GET);
    let expected = header(Version::V1, &client);
    for is_last in [false, true] {
        let mut backend = far.accept();
        assert_eq!(backend.exactly(expected.len()), expected);
        let head = backend.head();
        assert!(head.starts_with("GET "), "{head}");
        if is_last {
            backend.say(ok("at last"));
        }
    }
    assert_eq!(client.hear().1, "at last");
}

#[test]
fn what_became_another_protocol_says_it_once() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = telling(&stage, &far, Version::V2);
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chatter\r\n\r\n");
    let mut backend = far.accept();
    let expected = header(Version::V2, &client);
    assert_eq!(backend.exactly(expected.len()), expected);
    backend.head();
    backend
        .say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chatter\r\n\r\n");
    assert_eq!(status(&client.head()), 101);
    client.say("hello");
    assert_eq!(backend.exactly(5), b"hello");
}

/// A bandy behind it believes it, and sees the client and not the balancer.
#[test]
fn who_came_is_known_behind_it_over_tls_too() {
    use bandy::http::{Body, Downstream, Request, Response};
    use bandy::net::proxied::Proxied;
    let stage = Stage::new();
    let who = bandy::service_fn(async |request: Request| {
        let peer = Downstream::of(&request).map(|downstream| downstream.peer().to_string());
        Ok(Response::new(Body::from(peer.unwrap_or_default())))
    });
    let believed = Proxied {
        from: vec!["127.0.0.1".parse().expect("a range")],
    };
    let far = Server::new(Http::new(who)).proxied(believed);
    let far = stage.start(far, &[Scheme::Https]);
    let mut options = Options::new("far", [far.endpoint().clone()]);
    options.tls = stage.client_tls();
    options.proxy_protocol = Some(Version::V2);
    let server = before(&stage, options);
    for _ in 0..2 {
        let mut client = Raw::to(&server);
        let own = client.0.get_ref().local_addr().expect("an address");
        assert_eq!(client.say(GET).hear().1, own.to_string());
    }
}

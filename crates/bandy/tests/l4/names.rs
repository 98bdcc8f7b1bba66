//! Routed by the name that a TLS client asks for.

use std::io::Write;
use std::net::Shutdown;

use bandy::app::App;
use bandy::endpoint::{Endpoint, Host, Scheme};
use bandy::error::Kind;
use bandy::net::tls::{ClientTls, Connector};
use bandy::net::{Inherited, Phases};
use bandy::server::Running;
use bandy::services::Spec;
use bandy::{Model, Server};
use bandy_testkit::{Stage, raw, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::TcpStream;

/// Two backends that say who they are, and a balancer in front of them that routes by name.
struct Scene {
    stage: Stage,
    _backends: [Running; 2],
    app: App,
}

impl Scene {
    /// `backends` is the backends' scheme, `front` where the balancer listens.
    fn new(backends: Scheme, front: &str, names: &str) -> Scene {
        let stage = Stage::new();
        let greet = |text: &str| {
            let spec = Spec::Greet {
                text: text.to_owned(),
            };
            stage.serve(&spec, &[backends], Model::Async)
        };
        let backends = ["this is a", "this is b"].map(greet);
        let tls = stage.identity("front");
        let text = format!(
            "[server.edge]\nlisten = \"{front}\"\nservice.balance = {{ sni = {names} }}\n{}\
             limits = {{ handshake = \"2s\" }}\n\
             [pool.a]\nbackend = \"{}\"\n[pool.b]\nbackend = \"{}\"\n",
            match front.starts_with("tls") {
                true => format!("tls = {{ cert = {:?}, key = {:?} }}\n", tls.cert, tls.key),
                false => String::new(),
            },
            backends[0].endpoint(),
            backends[1].endpoint(),
        );
        let parsed = bandy::config::parse("bandy.toml", &text);
        let (plan, _) = parsed.unwrap_or_else(|r| panic!("{}", r.lines()));
        let app = App::start(&plan, Inherited::none()).expect("started");
        Scene {
            stage,
            _backends: backends,
            app,
        }
    }

    fn endpoint(&self) -> Endpoint {
        self.app.listeners().next().expect("one").0.clone()
    }

    /// A client that asks for this name; for none, where it is an address.
    fn connector(&self, name: &str) -> Connector {
        let tls = ClientTls {
            server_name: Some(name.to_owned()),
            // The stage's certificates are for this machine, and these names are not its.
            insecure: true,
            ..self.stage.client_tls()
        };
        Connector::new(&tls).expect("TLS")
    }

    /// Who answers to this name over this transport.
    async fn who(&self, name: &str, io: impl AsyncRead + AsyncWrite + Unpin) -> String {
        let host = Host::Ip([127, 0, 0, 1].into());
        let connector = self.connector(name);
        let (mut stream, _) = within("TLS", connector.connect(io, &host, &"the server"))
            .await
            .expect("TLS");
        let mut said = String::new();
        within("an answer", stream.read_to_string(&mut said))
            .await
            .expect("an answer");
        said
    }

    async fn socket(&self) -> TcpStream {
        let stream = TcpStream::connect(raw::address(&self.endpoint())).await;
        let stream = stream.expect("connected");
        stream.set_nodelay(true).expect("set");
        stream
    }
}

const NAMES: &str = r#"{ "*" = "b", "a.example" = "a", "*.a.example" = "a" }"#;

#[tokio::test]
async fn a_name_goes_to_its_pool_and_tls_is_not_touched() {
    let scene = Scene::new(Scheme::Tls, "tcp://127.0.0.1:0", NAMES);
    for (name, who) in [
        ("a.example", "a"),
        ("A.Example", "a"),
        ("x.a.example", "a"),
        ("b.example", "b"),
        ("127.0.0.1", "b"),
    ] {
        let said = scene.who(name, scene.socket().await).await;
        assert_eq!(said, format!("this is {who}\n"), "{name}");
    }
}

/// However the hello was cut on its way.
#[tokio::test]
async fn a_hello_in_pieces() {
    let scene = Scene::new(Scheme::Tls, "tcp://127.0.0.1:0", NAMES);
    for size in [1, 5, 97] {
        let socket = scene.socket().await;
        let (io, ours) = duplex(1 << 16);
        let cutting = tokio::spawn(async move {
            let (mut from_server, mut to_server) = socket.into_split();
            let (mut from_client, mut to_client) = tokio::io::split(ours);
            let there = async {
                let mut pieces = vec![0; size];
                loop {
                    match from_client.read(&mut pieces).await {
                        Ok(n) if n > 0 => to_server.write_all(&pieces[..n]).await.expect("taken"),
                        _ => return,
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::join!(there, tokio::io::copy(&mut from_server, &mut to_client))
        });
        assert_eq!(scene.who("a.example", io).await, "this is a\n", "{size}");
        cutting.abort();
    }
}

/// Where TLS ends at the balancer, its handshake says which name it was.
#[tokio::test]
async fn a_name_of_a_handshake_that_was_done_here() {
    let scene = Scene::new(Scheme::Tcp, "tls://127.0.0.1:0", NAMES);
    for (name, who) in [("a.example", "a"), ("b.example", "b"), ("127.0.0.1", "b")] {
        let said = scene.who(name, scene.socket().await).await;
        assert_eq!(said, format!("this is {who}\n"), "{name}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_is_for_is_refused_in_the_words_of_tls() {
    let scene = Scene::new(Scheme::Tls, "tcp://127.0.0.1:0", r#"{ "a.example" = "a" }"#);
    let host = Host::Ip([127, 0, 0, 1].into());
    for name in ["b.example", "127.0.0.1"] {
        let connector = scene.connector(name);
        let socket = scene.socket().await;
        let failed = within("a refusal", connector.connect(socket, &host, &"it")).await;
        let error = failed.expect_err("nobody is there");
        assert_eq!(error.kind(), Kind::Tls, "{error}");
    }
}

#[test]
fn what_is_no_tls_reaches_no_backend() {
    let scene = Scene::new(Scheme::Tcp, "tcp://127.0.0.1:0", NAMES);
    for said in [
        &b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x05\x02abcd",
    ] {
        let mut stream = raw::tcp(&scene.endpoint());
        stream.write_all(said).expect("taken");
        raw::closed(&stream);
    }
    // One that ends too early, and one that never comes.
    let mut stream = raw::tcp(&scene.endpoint());
    stream
        .write_all(b"\x16\x03\x01\x02\x00\x01")
        .expect("taken");
    stream.shutdown(Shutdown::Write).expect("shut");
    raw::closed(&stream);
    raw::closed(raw::tcp(&scene.endpoint()));
}

/// Passed on whole without looking at names, the certificate is the backend's own.
#[tokio::test]
async fn passed_through_the_handshake_is_the_backends() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Tls], Model::Async);
    let backend = Endpoint::at(Scheme::Tcp, raw::address(echo.endpoint())).expect("has a port");
    let pool = super::pool_of(&stage, &[&backend], |_| {});
    let server = Server::new(bandy::services::balance::Balance::of(pool));
    let server = stage.start(server, &[Scheme::Tcp]);
    let front = Endpoint::at(Scheme::Tls, raw::address(server.endpoint())).expect("has a port");
    let connected = stage.dialer().connect(&front, &mut Phases::default()).await;
    let conn = connected.expect("a certificate that is trusted");
    assert!(conn.tls().is_some());
}

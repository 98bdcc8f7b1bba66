//! Conversations: both ends over a pipe in memory, with a CA of their own.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::net::ca::Issued;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct World {
    dir: tempfile::TempDir,
    ca: LocalCa,
}

type Accepted = Result<(server::TlsStream<DuplexStream>, Info)>;
type Connected = Result<(client::TlsStream<DuplexStream>, Info)>;

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let ca = LocalCa::open_or_create_in(dir.path()).unwrap();
        World { dir, ca }
    }

    fn acceptor(&self, clients: &ClientAuth) -> Acceptor {
        let ca = LocalCa::open_in(self.dir.path()).unwrap();
        let listener = "tls://127.0.0.1:7443".parse().unwrap();
        let names = crate::net::ca::names_for([&listener]);
        Acceptor::issued_by(ca, clients, &names).unwrap()
    }

    fn trusting(&self) -> ClientTls {
        ClientTls {
            ca: Some(self.ca.path()),
            ..ClientTls::default()
        }
    }

    fn write(&self, name: &str, issued: &Issued) -> Identity {
        issued.write(self.dir.path(), name).unwrap()
    }
}

fn localhost() -> Host {
    Host::Name("localhost".into())
}

/// Both handshakes, to the end of each.
async fn meet(acceptor: &Acceptor, tls: &ClientTls, host: Host) -> (Accepted, Connected) {
    let connector = Connector::new(tls).unwrap();
    let (near, far) = duplex(64 << 10);
    let endpoint = format!("tls://{host}:7443");
    tokio::join!(
        acceptor.accept(near, &"the client"),
        connector.connect(far, &host, &endpoint)
    )
}

fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it should not have worked"),
        Err(e) => e,
    }
}

#[tokio::test]
async fn a_conversation_over_the_local_ca() {
    let world = World::new();
    let acceptor = world.acceptor(&ClientAuth::None).alpn(&["http/1.1"]);
    let connector = Connector::new(&world.trusting())
        .unwrap()
        .alpn(&["h2", "http/1.1"]);
    for host in [
        localhost(),
        Host::Ip("127.0.0.1".parse().unwrap()),
        Host::Ip("::1".parse().unwrap()),
    ] {
        let (near, far) = duplex(4096);
        let (accepted, connected) = tokio::join!(
            acceptor.accept(near, &"the client"),
            connector.connect(far, &host, &"the server")
        );
        let (mut server, below) = accepted.unwrap();
        let (mut client, above) = connected.unwrap();

        client.write_all(b"ping").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "ping");
        // The client said goodbye with close_notify; its own reading goes on.
        server.write_all(b"pong").await.unwrap();
        server.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "pong");

        assert_eq!((below.version, above.version), ("TLSv1.3", "TLSv1.3"));
        assert!(below.cipher.starts_with("TLS_"), "{}", below.cipher);
        assert_eq!(below.alpn.as_deref(), Some("http/1.1"));
        let asked = matches!(host, Host::Name(_)).then(|| "localhost".to_owned());
        assert_eq!((&below.server_name, &above.server_name), (&asked, &asked));
        assert_eq!(below.peer_certificate, None);
        let shown = above.peer_certificate.unwrap();
        assert_eq!(shown.subject, "CN=localhost");
        assert_eq!(shown.sans, ["localhost", "127.0.0.1", "::1"]);
        assert!(shown.issuer_name().starts_with("Bandy local CA ("));
        assert_eq!(above.peer_chain.len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_does_not_read_as_its_end() {
    let world = World::new();
    let met = meet(
        &world.acceptor(&ClientAuth::None),
        &world.trusting(),
        localhost(),
    )
    .await;
    let (server, mut client) = (met.0.unwrap().0, met.1.unwrap().0);
    drop(server);
    let e = client.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::UnexpectedEof);
    let e = explain(Side::Upstream, "reading from tls://a:1", e);
    assert_eq!(e.kind(), Kind::Closed);
    assert!(e.to_string().contains("close_notify"), "{e}");
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let world = World::new();
    let acceptor = world.acceptor(&ClientAuth::None);
    let elsewhere = Host::Name("chat.example".into());
    let met = meet(&acceptor, &world.trusting(), elsewhere.clone()).await;
    let e = refused(met.1);
    assert_eq!((e.kind(), e.side()), (Kind::Untrusted, Side::Upstream));
    assert_eq!(
        e.to_string(),
        "checking the certificate of tls://chat.example:7443: it is for localhost, 127.0.0.1, ::1, not for chat.example"
    );
    assert!(e.next_step().unwrap().contains("--server-name"));

    let named = ClientTls {
        server_name: Some("localhost".into()),
        ..world.trusting()
    };
    meet(&acceptor, &named, elsewhere).await.1.unwrap();
}

#[tokio::test]
async fn an_unknown_issuer_is_refused_unless_one_insists() {
    let world = World::new();
    let acceptor = world.acceptor(&ClientAuth::None);
    let (accepted, connected) = meet(&acceptor, &ClientTls::default(), localhost()).await;
    let e = refused(connected);
    assert_eq!((e.kind(), e.side()), (Kind::Untrusted, Side::Upstream));
    assert!(
        e.to_string().starts_with(
            "checking the certificate of tls://localhost:7443: its issuer, \"Bandy local CA ("
        ),
        "{e}"
    );
    let hint = e.next_step().unwrap();
    assert!(
        ["bandy trust", "--ca FILE", "--insecure"]
            .iter()
            .all(|h| hint.contains(h)),
        "{hint}"
    );

    let e = refused(accepted);
    assert_eq!((e.kind(), e.side()), (Kind::Tls, Side::Downstream));
    assert!(
        e.to_string()
            .ends_with("does not trust our certificate (alert unknown_ca)"),
        "{e}"
    );
    assert!(e.next_step().unwrap().contains("bandy trust"));

    let insecure = ClientTls {
        insecure: true,
        ..ClientTls::default()
    };
    let elsewhere = Host::Name("anything.example".into());
    meet(&acceptor, &insecure, elsewhere).await.1.unwrap();
}

/// As after a user's local CA was made anew: the system may still trust the old one, which was called much the same.
#[tokio::test]
async fn another_ca_of_the_same_user_is_an_unknown_issuer_not_a_bad_signature() {
    let (former, world) = (World::new(), World::new());
    let acceptor = world.acceptor(&ClientAuth::None);
    let e = refused(meet(&acceptor, &former.trusting(), localhost()).await.1);
    assert!(e.to_string().ends_with("is not trusted"), "{e}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let world = World::new();
    let expired = world.ca.sign(
        "localhost",
        vec![SanType::DnsName("localhost".try_into().unwrap())],
        ExtendedKeyUsagePurpose::ServerAuth,
        SystemTime::now() - 12 * DAY,
        10 * DAY,
    );
    let tls = ServerTls {
        identity: Some(world.write("old", &expired.unwrap())),
        clients: ClientAuth::None,
    };
    let acceptor = Acceptor::new(&tls, &[]).unwrap();
    let e = refused(meet(&acceptor, &world.trusting(), localhost()).await.1);
    assert_eq!(e.kind(), Kind::Untrusted);
    assert!(e.to_string().contains(": it expired on 20"), "{e}");
    assert!(e.to_string().ends_with("(2 days ago)"), "{e}");
}

#[tokio::test]
async fn a_self_signed_certificate_can_be_trusted_by_itself() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // What `openssl req -x509` makes: a CA that serves as its own leaf.
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let cert = params.self_signed(&key).unwrap();
    let identity = Identity {
        cert: world.dir.path().join("self.pem"),
        key: world.dir.path().join("self-key.pem"),
    };
    fs::write(&identity.cert, cert.pem()).unwrap();
    fs::write(&identity.key, key.serialize_pem()).unwrap();
    let tls = ServerTls {
        identity: Some(identity.clone()),
        clients: ClientAuth::None,
    };
    let acceptor = Acceptor::new(&tls, &[]).unwrap();

    let e = refused(meet(&acceptor, &world.trusting(), localhost()).await.1);
    assert_eq!(e.kind(), Kind::Untrusted);
    assert!(e.to_string().contains("it is self-signed"), "{e}");

    let trusting = ClientTls {
        ca: Some(identity.cert),
        ..ClientTls::default()
    };
    meet(&acceptor, &trusting, localhost()).await.1.unwrap();
    let elsewhere = Host::Name("chat.example".into());
    let e = refused(meet(&acceptor, &trusting, elsewhere).await.1);
    assert_eq!(e.kind(), Kind::Untrusted);
}

#[tokio::test]
async fn clients_that_must_show_a_certificate() {
    let world = World::new();
    let required = world.acceptor(&ClientAuth::Required(world.ca.path()));
    let alice = ClientTls {
        identity: Some(world.write("alice", &world.ca.issue_client("alice").unwrap())),
        ..world.trusting()
    };
    let (accepted, connected) = meet(&required, &alice, localhost()).await;
    connected.unwrap();
    let shown = accepted.unwrap().1.peer_certificate.unwrap();
    assert_eq!(shown.subject, "CN=alice");

    let (accepted, connected) = meet(&required, &world.trusting(), localhost()).await;
    let e = refused(accepted);
    assert_eq!((e.kind(), e.side()), (Kind::Untrusted, Side::Downstream));
    assert!(e.to_string().contains("showed no certificate"), "{e}");
    // With TLS 1.3 the client hears of it at its first read.
    let mut client = connected.unwrap().0;
    let e = client.read_to_end(&mut Vec::new()).await.unwrap_err();
    let e = explain(Side::Upstream, "reading from tls://localhost:7443", e);
    assert_eq!(e.kind(), Kind::Tls);
    assert_eq!(
        e.to_string(),
        "reading from tls://localhost:7443: the server wants a client certificate (alert certificate_required)"
    );
    assert!(e.next_step().unwrap().starts_with("show one with --cert"));

    let stranger = World::new();
    let mallory = ClientTls {
        identity: Some(stranger.write("alice", &stranger.ca.issue_client("alice").unwrap())),
        ..world.trusting()
    };
    let e = refused(meet(&required, &mallory, localhost()).await.0);
    assert_eq!(e.kind(), Kind::Untrusted);

    // A listener's certificate is of the same CA, and yet is not a client's.
    let server_cert = world.ca.issue(&[localhost()]).unwrap();
    let server_cert = ClientTls {
        identity: Some(world.write("server", &server_cert)),
        ..world.trusting()
    };
    let e = refused(meet(&required, &server_cert, localhost()).await.0);
    assert!(e.to_string().contains("for another purpose"), "{e}");
}

#[tokio::test]
async fn clients_that_may_show_a_certificate() {
    let world = World::new();
    let optional = world.acceptor(&ClientAuth::Optional(world.ca.path()));
    let (accepted, _) = meet(&optional, &world.trusting(), localhost()).await;
    assert_eq!(accepted.unwrap().1.peer_certificate, None);
    let alice = ClientTls {
        identity: Some(world.write("alice", &world.ca.issue_client("alice").unwrap())),
        ..world.trusting()
    };
    let (accepted, _) = meet(&optional, &alice, localhost()).await;
    let (_, info) = accepted.unwrap();
    assert_eq!(info.peer_certificate.unwrap().subject, "CN=alice");
    assert_eq!(info.peer_chain.len(), 1);
}

/// What the server makes of a client that sends these bytes and then waits.
async fn server_hears(bytes: &[u8]) -> Error {
    let world = World::new();
    let acceptor = world.acceptor(&ClientAuth::None);
    let (near, mut far) = duplex(64 << 10);
    far.write_all(bytes).await.unwrap();
    refused(acceptor.accept(near, &"1.2.3.4:5").await)
}

#[tokio::test]
async fn clients_that_do_not_speak_our_tls() {
    let e = server_hears(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((e.kind(), e.side()), (Kind::Tls, Side::Downstream));
    assert_eq!(
        e.to_string(),
        "TLS handshake with 1.2.3.4:5: the client speaks plain text, not TLS (HTTP?)"
    );

    // A ClientHello of TLS 1.1 (RFC 4346, section 7.4.1.2): version, random, session, one suite, no compression.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let e = server_hears(&hello).await;
    assert!(
        e.to_string()
            .ends_with("the client speaks only TLS 1.1 or older"),
        "{e}"
    );

    let world = World::new();
    let (near, far) = duplex(64);
    drop(far);
    let acceptor = world.acceptor(&ClientAuth::None);
    let e = refused(acceptor.accept(near, &"1.2.3.4:5").await);
    assert_eq!((e.kind(), e.side()), (Kind::Closed, Side::Downstream));
}

/// What the client makes of a server that answers with these bytes and closes.
async fn client_hears(bytes: &[u8]) -> Error {
    let connector = Connector::new(&ClientTls::default()).unwrap();
    let (mut near, far) = duplex(64 << 10);
    near.write_all(bytes).await.unwrap();
    near.shutdown().await.unwrap();
    refused(connector.connect(far, &localhost(), &"tls://a:1").await)
}

#[tokio::test]
async fn servers_that_do_not_speak_our_tls() {
    let e = client_hears(b"220 mail.example ESMTP\r\n").await;
    assert_eq!((e.kind(), e.side()), (Kind::Tls, Side::Upstream));
    assert_eq!(
        e.to_string(),
        "TLS handshake with tls://a:1: the server does not speak TLS"
    );
    assert!(e.next_step().unwrap().contains("tcp://"));

    let e = client_hears(b"").await;
    assert_eq!(e.kind(), Kind::Tls);
    assert!(e.to_string().contains("closed the connection"), "{e}");

    // The alert protocol_version (RFC 8446, section 6.2).
    let e = client_hears(&[0x15, 3, 1, 0, 2, 2, 70]).await;
    assert!(e.to_string().ends_with("only TLS 1.1 or older"), "{e}");

    // An echo server sends our own greeting back.
    let connector = Connector::new(&ClientTls::default()).unwrap();
    let (near, far) = duplex(64 << 10);
    let echo = async {
        let (mut from, mut to) = tokio::io::split(near);
        tokio::io::copy(&mut from, &mut to).await
    };
    let (host, endpoint) = (localhost(), "tls://a:1");
    let (_, connected) = tokio::join!(echo, connector.connect(far, &host, &endpoint));
    assert!(
        refused(connected)
            .to_string()
            .ends_with("does not speak TLS")
    );
}

#[tokio::test]
async fn sessions_are_resumed() {
    let world = World::new();
    let acceptor = world.acceptor(&ClientAuth::None);
    let connector = Connector::new(&world.trusting()).unwrap();
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (near, far) = duplex(4096);
        let host = localhost();
        let (accepted, connected) = tokio::join!(
            acceptor.accept(near, &"c"),
            connector.connect(far, &host, &"s")
        );
        let (mut server, mut client) = (accepted.unwrap().0, connected.unwrap().0);
        server.shutdown().await.unwrap();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        kinds.push(client.get_ref().1.handshake_kind().unwrap());
    }
    assert_eq!(
        kinds,
        [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]
    );
}

#[test]
fn handshakes_can_move_between_threads() {
    fn movable(_: impl Send) {}
    let world = World::new();
    let (near, far) = duplex(64);
    movable(world.acceptor(&ClientAuth::None).accept(near, &"c"));
    let connector = Connector::new(&world.trusting()).unwrap();
    movable(connector.connect(far, &localhost(), &"s"));
}

#[test]
fn what_cannot_be_set_up_is_said_at_once() {
    let world = World::new();
    let none = world.dir.path().join("none.pem");
    let clients = ClientAuth::Required(none.clone());
    let ca = LocalCa::open_in(world.dir.path()).unwrap();
    let e = refused(Acceptor::issued_by(ca, &clients, &[]));
    assert_eq!(e.kind(), Kind::Usage);
    let missing = ClientTls {
        ca: Some(none),
        ..ClientTls::default()
    };
    assert_eq!(refused(Connector::new(&missing)).kind(), Kind::Usage);
    let nameless = ClientTls {
        server_name: Some("a b".into()),
        ..ClientTls::default()
    };
    assert_eq!(refused(Connector::new(&nameless)).kind(), Kind::Usage);
    install_provider();
    install_provider();
}

//! Whom a balancer in front of us brings: the PROXY protocol on connections that come in.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bandy::app::App;
use bandy::endpoint::{Endpoint, Host, Scheme};
use bandy::net::Inherited;
use bandy::net::proxied::Proxied;
use bandy::net::tls::Connector;
use bandy::server::Running;
use bandy::services::echo::Echo;
use bandy::wire::proxy::{self, Told, Version};
use bandy::{Conn, Limits, Server, Service, service_fn};
use bandy_testkit::{Stage, raw, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Says between whom the conversation is, and then says back what it hears.
fn who_then_echo() -> Server {
    Server::new(service_fn(|mut conn: Conn| async move {
        let local = conn.local().map_or("-".to_owned(), |l| l.to_string());
        let line = format!("{} {local}\n", conn.peer());
        conn.write_all(line.as_bytes()).await?;
        conn.flush().await?;
        Echo.call(conn).await
    }))
}

fn believing(stage: &Stage, from: &[&str], schemes: &[Scheme]) -> Running {
    let from = from.iter().map(|range| range.parse().expect("a range"));
    let from = from.collect();
    let limits = Limits {
        handshake: Duration::from_secs(2),
        ..Limits::default()
    };
    stage.start(
        who_then_echo().proxied(Proxied { from }).limits(limits),
        schemes,
    )
}

fn told() -> Told {
    Told::Ip {
        from: "203.0.113.7:4711".parse().expect("an address"),
        to: "198.51.100.1:443".parse().expect("an address"),
    }
}

fn header(version: Version, told: &Told) -> Vec<u8> {
    let mut bytes = Vec::new();
    proxy::write(version, told, &mut bytes);
    bytes
}

/// The line that says who, and what is said after it.
fn heard(mut stream: &TcpStream) -> (String, String) {
    stream.shutdown(Shutdown::Write).expect("shut");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("an end in time");
    let (who, rest) = all.split_once('\n').expect("a line");
    (who.to_owned(), rest.to_owned())
}

const BROUGHT: &str = "203.0.113.7:4711 198.51.100.1:443";

#[test]
fn who_comes_is_who_the_header_names_however_it_was_cut() {
    let stage = Stage::new();
    let server = believing(&stage, &["127.0.0.0/8"], &[Scheme::Tcp]);
    for version in Version::ALL {
        let header = header(version, &told());
        for step in [1, 7, header.len(), header.len() + 3] {
            let mut stream = raw::tcp(server.endpoint());
            let said = [&header[..], b"Hello, all of you"].concat();
            for piece in said.chunks(step) {
                stream.write_all(piece).expect("taken");
                if step < header.len() {
                    // Another segment, in truth: the server has looked at what came before it.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            let (who, rest) = heard(&stream);
            assert_eq!(who, BROUGHT, "{version:?} by {step}");
            assert_eq!(rest, "Hello, all of you", "{version:?} by {step}");
        }
    }
}

/// With TLVs it is longer than what is looked at at once.
#[test]
fn a_long_header_is_taken_whole() {
    let stage = Stage::new();
    let server = believing(&stage, &["127.0.0.1"], &[Scheme::Tcp]);
    let mut long = header(Version::V2, &told());
    let tlv = [&[0xea, 0x0b, 0xb8][..], &[7; 3000]].concat();
    long[14..16].copy_from_slice(&(12 + 3003_u16).to_be_bytes());
    long.extend(tlv);
    let mut stream = raw::tcp(server.endpoint());
    stream.write_all(&long).expect("taken");
    stream.write_all(b"Hello").expect("taken");
    assert_eq!(heard(&stream), (BROUGHT.to_owned(), "Hello".to_owned()));
}

#[test]
fn who_speaks_for_himself_is_himself() {
    let stage = Stage::new();
    let server = believing(&stage, &["127.0.0.1"], &[Scheme::Tcp]);
    for (version, told) in [
        (Version::V1, Told::Unknown),
        (Version::V2, Told::Unknown),
        (Version::V2, Told::Local),
    ] {
        let mut stream = raw::tcp(server.endpoint());
        stream.write_all(&header(version, &told)).expect("taken");
        let own = stream.local_addr().expect("an address");
        let (who, _) = heard(&stream);
        assert!(who.starts_with(&format!("{own} 127.0.0.1:")), "{who}");
    }
}

#[test]
fn without_a_header_nothing_is_answered() {
    let stage = Stage::new();
    let server = believing(&stage, &["127.0.0.1"], &[Scheme::Tcp, Scheme::Http]);
    for endpoint in server.endpoints() {
        for said in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
            b"PROXY UNKNOWN with no end, and much more than a line may have, which nobody has ever needed, and so on and on",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x03abc",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
        ] {
            let mut stream = raw::tcp(endpoint);
            stream.write_all(said).expect("taken");
            raw::closed(&stream);
        }
        // One that ends, and one that says nothing until the handshake's deadline.
        let mut stream = raw::tcp(endpoint);
        stream.write_all(b"PROXY TCP4 1.2").expect("taken");
        stream.shutdown(Shutdown::Write).expect("shut");
        raw::closed(&stream);
        raw::closed(raw::tcp(endpoint));
    }
}

/// Anybody could say so.
#[test]
fn a_strangers_header_is_what_he_says() {
    let stage = Stage::new();
    let server = believing(&stage, &["10.0.0.0/8"], &[Scheme::Tcp]);
    let mut stream = raw::tcp(server.endpoint());
    let own = stream.local_addr().expect("an address");
    stream
        .write_all(&header(Version::V1, &told()))
        .expect("taken");
    let (who, rest) = heard(&stream);
    assert!(who.starts_with(&own.to_string()), "{who}");
    assert_eq!(rest.as_bytes(), header(Version::V1, &told()));
}

#[tokio::test]
async fn it_stands_before_the_tls_handshake() {
    let stage = Stage::new();
    let server = believing(&stage, &["127.0.0.1"], &[Scheme::Tls]);
    let connector = Connector::new(&stage.client_tls()).expect("TLS");
    let mut stream = tokio::net::TcpStream::connect(raw::address(server.endpoint()))
        .await
        .expect("connected");
    stream
        .write_all(&header(Version::V2, &told()))
        .await
        .expect("taken");
    let host = Host::Ip([127, 0, 0, 1].into());
    let handshake = connector.connect(stream, &host, &"the server");
    let (mut stream, _) = within("TLS", handshake).await.expect("TLS");
    stream.write_all(b"Hello").await.expect("taken");
    stream.shutdown().await.expect("shut");
    let mut all = String::new();
    within("the answer", stream.read_to_string(&mut all))
        .await
        .expect("an answer");
    assert_eq!(all, format!("{BROUGHT}\nHello"));
}

/// A flow has no beginning to stand before, and whoever comes over it is not mistaken for a connection.
#[test]
fn datagrams_are_none_of_its_business() {
    let stage = Stage::new();
    let server = Server::new(Echo).proxied(Proxied {
        from: vec!["127.0.0.1".parse().expect("a range")],
    });
    let server = stage.start(server, &[Scheme::Udp]);
    let socket = raw::udp(server.endpoint());
    assert_eq!(raw::ask_udp(&socket, b"Hello"), b"Hello");
}

/// What the configuration says reaches the listener.
#[test]
fn as_the_configuration_says() {
    let text = "[server.s]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\nproxy_protocol = [\"127.0.0.1\"]\n";
    let parsed = bandy::config::parse("c", text);
    let (plan, _) = parsed.unwrap_or_else(|r| panic!("{}", r.lines()));
    let app = App::start(&plan, Inherited::none()).expect("started");
    let endpoint: Endpoint = app.listeners().next().expect("one").0.clone();
    let address: SocketAddr = raw::address(&endpoint);
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.write_all(b"Hello").expect("taken");
    raw::closed(&stream);
    let mut stream = raw::tcp(&endpoint);
    stream
        .write_all(&header(Version::V1, &told()))
        .expect("taken");
    assert_eq!(raw::echo(&stream, b"Hello"), b"Hello");
}

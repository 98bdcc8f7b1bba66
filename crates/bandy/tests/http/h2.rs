//! HTTP/2 (RFC 9113) behind the same laws, spoken to with h2's own client.

use ::h2::client;
use ::http::Request as Ask;
use bandy_testkit::within;
use bytes::Bytes;

use super::*;

pub(super) type Sender = client::SendRequest<Bytes>;

/// An HTTP/2 client with prior knowledge.
pub(super) async fn connect(server: &Running) -> Sender {
    let address = server.endpoint().socket_addr().expect("an address");
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let (sender, connection) = client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(async move {
        // How it ends is seen by who asks.
        let _ = connection.await;
    });
    sender
}

async fn ask(sender: &mut Sender, request: Ask<()>) -> (u16, String) {
    let mut ready = sender.clone().ready().await.expect("ready");
    let (response, _) = ready.send_request(request, true).expect("sent");
    let (head, mut body) = within("a response", response)
        .await
        .expect("a response")
        .into_parts();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("data");
        body.flow_control()
            .release_capacity(data.len())
            .expect("released");
        text.extend_from_slice(&data);
    }
    (head.status.as_u16(), String::from_utf8(text).expect("text"))
}

fn get(uri: &str) -> ::http::request::Builder {
    Ask::builder().uri(uri)
}

#[tokio::test]
async fn requests_share_a_connection() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut sender = connect(&server).await;
    for n in 0..3 {
        let request = get(&format!("http://a.example/{n}"))
            .body(())
            .expect("a request");
        let (status, body) = ask(&mut sender, request).await;
        assert_eq!(status, 200);
        assert!(body.ends_with(" a.example\n"), "{body}");
    }
}

#[tokio::test]
async fn one_host_whichever_way_it_is_written() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut sender = connect(&server).await;
    for (host, status) in [("a.example", 200), ("A.EXAMPLE", 200), ("b.example", 400)] {
        let request = get("http://a.example/").header("host", host).body(());
        assert_eq!(
            ask(&mut sender, request.expect("a request")).await.0,
            status,
            "{host}"
        );
    }
}

#[tokio::test]
async fn an_unknown_expectation_is_not_met() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut sender = connect(&server).await;
    let request = get("http://a/").header("expect", "the-impossible").body(());
    assert_eq!(ask(&mut sender, request.expect("a request")).await.0, 417);
}

#[tokio::test]
async fn the_end_of_a_server_is_an_orderly_one() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    let mut sender = connect(&server).await;
    let request = || get("http://a/").body(()).expect("a request");
    assert_eq!(ask(&mut sender, request()).await.0, 200);
    // GOAWAY tells the client, which closes: nothing is cut.
    assert_eq!(within("the end", server.drain()).await, 0);
}

#[tokio::test]
async fn what_a_field_must_not_be_ends_its_stream() {
    let stage = Stage::new();
    let server = mirrors(&stage);
    // As raw frames: an honest client cannot be made to send these.
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("x", "a\r\nb"),
        ("x", "a\0b"),
    ] {
        let mut client = Raw::to(&server);
        client.say(raw_h2(field));
        let reset = read_until_reset(&mut client);
        assert!(reset, "{field:?} was taken");
    }
}

/// A preface, empty settings, and a request with this field, its names and values as literals (RFC 7541, section 6.2.2).
fn raw_h2((name, value): (&str, &str)) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a"),
        (name, value),
    ] {
        block.push(0);
        block.push(u8::try_from(name.len()).expect("short"));
        block.extend_from_slice(name.as_bytes());
        block.push(u8::try_from(value.len()).expect("short"));
        block.extend_from_slice(value.as_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&[
        0,
        0,
        u8::try_from(block.len()).expect("short"),
        1,
        5,
        0,
        0,
        0,
        1,
    ]);
    bytes.extend_from_slice(&block);
    bytes
}

/// Reads frames until the stream is reset or the connection is ended (`true`), or there is a response (`false`).
fn read_until_reset(client: &mut Raw) -> bool {
    loop {
        let mut head = [0; 9];
        client.0.read_exact(&mut head).expect("a frame in time");
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; len];
        client.0.read_exact(&mut payload).expect("a payload");
        match head[3] {
            1 => return false,
            3 | 7 => return true,
            _ => {}
        }
    }
}

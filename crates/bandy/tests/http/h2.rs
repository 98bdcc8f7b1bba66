//! HTTP/2 (RFC 9113) behind the same laws, spoken to with h2's own client.

use ::h2::client;
use ::http::Request as Ask;
use bandy_testkit::within;
use bytes::Bytes;

use super::frames::{
    END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, asking, block, frame,
};
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
        ("te", "gzip"),
        ("x", "a\r\nb"),
        ("x", "a\0b"),
    ] {
        let mut client = Frames::to(server.endpoint(), &[]);
        let block = block(&[&asking("GET", "/")[..], &[field]].concat());
        client.say(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
        let end = client.until(&[HEADERS, RST_STREAM, GOAWAY]);
        assert!(
            end.is_none_or(|end| end.kind != HEADERS),
            "{field:?} was taken"
        );
    }
}

/// The status of what is asked with these fields, or `None` where the stream or the connection is ended for it.
fn asked(server: &Running, fields: &[(&str, &str)]) -> Option<u16> {
    let mut client = Frames::to(server.endpoint(), &[]);
    client.say(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)));
    let end = client.until(&[HEADERS, RST_STREAM, GOAWAY])?;
    (end.kind == HEADERS).then(|| end.status())
}

#[test]
fn a_request_is_no_stranger_than_in_http1() {
    let stage = Stage::new();
    let limits = HttpLimits {
        target_bytes: 100,
        fields: 10,
        ..HttpLimits::default()
    };
    let server = serve(&stage, service_fn(mirror), limits);
    let with = |method, scheme, path, authority| {
        [
            (":method", method),
            (":scheme", scheme),
            (":path", path),
            (":authority", authority),
        ]
    };
    let long = format!("/{}", "a".repeat(100));
    for (fields, expected) in [
        (with("GET", "http", "/", "a"), &[Some(200)][..]),
        (with("OPTIONS", "http", "*", "a"), &[Some(200)]),
        (with("GET", "http", &long, "a"), &[Some(414)]),
        (with("GET", "http", "*", "a"), &[Some(400), None]),
        (with("GET", "http", "a", "a"), &[Some(400), None]),
        (with("GET", "http", "", "a"), &[Some(400), None]),
        (with("GET", "http", "http://b/", "a"), &[Some(400), None]),
        (with("GET", "http", "/\u{e4}", "a"), &[Some(400), None]),
        (with("GET", "http", "/a b", "a"), &[Some(400), None]),
        (with("GET", "ftp", "/", "a"), &[Some(400), None]),
        (with("GET", "http", "/", "u@a"), &[Some(400), None]),
        (with("GET", "http", "/", "a/b"), &[Some(400), None]),
        (with("GET", "http", "/", "a, b"), &[Some(400), None]),
    ] {
        let got = asked(&server, &fields);
        assert!(expected.contains(&got), "{fields:?}: {got:?}");
    }
    let many = [&asking("GET", "/")[..], &[("x", "y"); 11]].concat();
    assert_eq!(asked(&server, &many), Some(431));
    let tunnel = [(":method", "CONNECT"), (":authority", "a:443")];
    assert_eq!(asked(&server, &tunnel), Some(501));
}

#[tokio::test]
async fn a_panic_is_one_streams_failure() {
    let stage = Stage::new();
    let service = service_fn(async |request: Request| {
        assert_eq!(request.uri().path(), "/", "nothing else is expected");
        Ok(http::text(StatusCode::OK, "fine"))
    });
    let server = serve(&stage, service, HttpLimits::default());
    let mut sender = connect(&server).await;
    for (path, status) in [("/", 200), ("/panic", 500), ("/", 200)] {
        let request = get(&format!("http://a{path}")).body(()).expect("a request");
        assert_eq!(ask(&mut sender, request).await.0, status, "{path}");
    }
}

#[test]
fn requests_of_a_connection_are_counted() {
    let stage = Stage::new();
    let limits = HttpLimits {
        requests: 2,
        ..HttpLimits::default()
    };
    let server = serve(&stage, service_fn(mirror), limits);
    let mut client = Frames::to(server.endpoint(), &[]);
    client.say(&frames::get(1, "/"));
    assert_eq!(
        client.until(&[HEADERS, GOAWAY]).expect("an answer").kind,
        HEADERS
    );
    client.say(&frames::get(3, "/"));
    let (first, second) = (
        client.until(&[HEADERS, GOAWAY]),
        client.until(&[HEADERS, GOAWAY]),
    );
    let mut kinds = [first.expect("a frame").kind, second.expect("a frame").kind];
    kinds.sort_unstable();
    assert_eq!(kinds, [HEADERS, GOAWAY]);
}

#[tokio::test]
async fn trailers_pass_and_what_has_no_place_there_does_not() {
    let stage = Stage::new();
    // What came behind a body goes out behind it.
    let service = service_fn(async |request: Request| Ok(Response::new(request.into_body())));
    let server = serve(&stage, service, HttpLimits::default());
    let mut ready = connect(&server).await.ready().await.expect("ready");
    let request = Ask::post("http://a/").body(()).expect("a request");
    let (response, mut body) = ready.send_request(request, false).expect("sent");
    body.send_data(Bytes::from_static(b"hello"), false)
        .expect("sent");
    let mut trailers = http::HeaderMap::new();
    for name in ["x-sum", "authorization", "content-length", "host"] {
        trailers.append(name, http::HeaderValue::from_static("5"));
    }
    body.send_trailers(trailers).expect("sent");
    let mut body = within("a response", response)
        .await
        .expect("a response")
        .into_body();
    while body.data().await.transpose().expect("data").is_some() {}
    let came = body.trailers().await.expect("an end").expect("trailers");
    let names: Vec<_> = came.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["x-sum"]);
}

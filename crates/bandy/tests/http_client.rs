//! The asking end of HTTP against peers that say what the test says, to the byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bandy::endpoint::Scheme;
use bandy::error::Kind;
use bandy::http::client::{Connection, Version, Watch};
use bandy::http::{Body, Http, Request, Response};
use bandy::net::{Dialer, Phases};
use bandy::{Endpoint, Server, service_fn};
use bandy_testkit::{PATIENCE, Stage, within};

/// A server of one connection.
fn peer<T: Send + 'static>(
    talk: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Endpoint, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let endpoint = format!("http://{address}").parse().expect("an endpoint");
    let talk = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        talk(stream)
    });
    (endpoint, talk)
}

/// What comes until it ends like this.
fn until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut came = Vec::new();
    let mut byte = [0];
    while !came.ends_with(end) {
        stream.read_exact(&mut byte).expect("more");
        came.push(byte[0]);
    }
    String::from_utf8(came).expect("UTF-8")
}

fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).expect("taken");
}

async fn open(to: &Endpoint, version: Option<Version>) -> bandy::Result<Connection> {
    let conn = Dialer::plain().connect(to, &mut Phases::default()).await?;
    Connection::open(conn, version).await
}

fn request(method: &str, target: &str, body: impl Into<Body>) -> Request {
    let request = ::http::Request::builder().method(method).uri(target);
    request
        .header("host", "h")
        .body(body.into())
        .expect("a request")
}

async fn text(response: Response) -> String {
    let body = within("a body", response.into_body().collect(1 << 20)).await;
    String::from_utf8(body.expect("whole").to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn one_after_the_other() {
    let (to, talk) = peer(|mut stream| {
        let mut heard = Vec::new();
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlastHTTP/1.1 200 unasked\r\n\r\n",
        ] {
            heard.push(until(&mut stream, b"\r\n\r\n"));
            say(&mut stream, answer);
        }
        heard
    });
    let mut connection = open(&to, None).await.expect("open");
    assert_eq!(connection.version(), Version::Http1);
    for (method, body) in [("HEAD", ""), ("GET", ""), ("GET", "ok"), ("GET", "last")] {
        assert!(connection.is_free());
        let answer = connection
            .send(request(method, "/", ""))
            .await
            .expect("an answer");
        assert_eq!(text(answer).await, body);
    }
    // What nobody asked for came behind the last one.
    assert!(!connection.is_free());
    let error = connection
        .send(request("GET", "/", ""))
        .await
        .expect_err("closed");
    assert_eq!(error.kind(), Kind::Usage);
    let heard = talk.join().expect("a talk");
    assert_eq!(heard[0], "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
}

#[tokio::test]
async fn both_directions_at_once() {
    // An echo that answers each chunk before it has heard the next: the answer begins before the request ends.
    let (to, talk) = peer(|mut stream| {
        until(&mut stream, b"\r\n\r\n");
        say(
            &mut stream,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for _ in 0..3 {
            let chunk = until(&mut stream, b"!\r\n");
            say(&mut stream, &chunk);
        }
        assert_eq!(until(&mut stream, b"0\r\n\r\n"), "0\r\n\r\n");
        say(&mut stream, "0\r\n\r\n");
    });
    let mut connection = open(&to, None).await.expect("open");
    let (pieces, body) = Body::channel(1);
    let sent = connection.send(request("POST", "/", body));
    let mut answer = within("an early head", sent).await.expect("an answer");
    for piece in ["one!", "two!", "three!"] {
        pieces.send(Ok(piece.into())).await.expect("taken");
        let data = within("the same piece", answer.body_mut().data()).await;
        assert_eq!(data.expect("whole").as_deref(), Some(piece.as_bytes()));
    }
    drop(pieces);
    assert!(answer.body_mut().data().await.expect("whole").is_none());
    assert!(connection.is_free());
    talk.join().expect("a talk");
}

#[tokio::test]
async fn a_body_waits_until_it_is_wanted() {
    let expecting = || {
        let mut request = request("PUT", "/", "body");
        request
            .headers_mut()
            .insert("expect", "100-continue".parse().expect("a value"));
        request
    };
    let (to, talk) = peer(|mut stream| {
        until(&mut stream, b"\r\n\r\n");
        say(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n");
        let body = until(&mut stream, b"body");
        say(
            &mut stream,
            "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        );
        body
    });
    let mut connection = open(&to, None).await.expect("open");
    let mut asking = expecting();
    let watch = Watch::default();
    asking.extensions_mut().insert(watch.clone());
    let answer = within("an answer", connection.send(asking))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201);
    assert_eq!(talk.join().expect("a talk"), "body");
    let seen = watch.seen();
    assert_eq!(seen.informational[0].0, 100);
    assert!(seen.sent.expect("sent") >= seen.first.expect("heard"));

    // Refused before: it is not sent at all.
    let (to, talk) = peer(|mut stream| {
        until(&mut stream, b"\r\n\r\n");
        say(
            &mut stream,
            "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
        );
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("an end");
        rest
    });
    let mut connection = open(&to, None).await.expect("open");
    let answer = within("an answer", connection.send(expecting()))
        .await
        .expect("an answer");
    assert_eq!(text(answer).await, "");
    assert!(
        !connection.is_free(),
        "the server may still wait for the body"
    );
    assert_eq!(talk.join().expect("a talk"), "");
}

#[tokio::test]
async fn silence_has_a_bound_and_progress_none() {
    let (to, talk) = peer(|mut stream| {
        until(&mut stream, b"\r\n\r\n");
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("an end");
    });
    let mut connection = open(&to, None).await.expect("open");
    let watch = Watch::default();
    let mut asking = request("GET", "/", "");
    asking.extensions_mut().insert(watch.clone());
    let mut answer = connection.send(asking).await.expect("a head");
    let patience = Some(Duration::from_millis(50));
    let waited = watch.within(patience, || "waiting".to_owned(), answer.body_mut().data());
    let error = within("a deadline", waited).await.expect_err("silence");
    assert_eq!(error.kind(), Kind::TimedOut);
    drop(answer);
    talk.join().expect("a talk");
}

#[tokio::test]
async fn a_length_that_does_not_hold_is_an_error_of_ours() {
    let (to, talk) = peer(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let mut connection = open(&to, None).await.expect("open");
    let (pieces, body) = Body::channel(1);
    let mut asking = request("POST", "/", body);
    asking.headers_mut().insert("content-length", 3.into());
    pieces.send(Ok("four".into())).await.expect("taken");
    let error = within("an error", connection.send(asking))
        .await
        .expect_err("too long");
    assert_eq!(error.kind(), Kind::Usage);
    talk.join().expect("a talk");
}

#[tokio::test]
async fn http2_to_a_server_that_does_not_speak_it() {
    let (to, talk) = peer(|mut stream| {
        until(&mut stream, b"\r\n\r\n");
        say(
            &mut stream,
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        );
    });
    let mut connection = open(&to, Some(Version::Http2)).await.expect("open");
    let asked = connection.send(request("GET", "http://h/", ""));
    let error = within("an error", asked).await.expect_err("not HTTP/2");
    assert!(
        matches!(error.kind(), Kind::Protocol | Kind::Closed),
        "{error:?}"
    );
    talk.join().expect("a talk");
}

#[tokio::test]
async fn our_own_server_in_both_versions() {
    let stage = Stage::new();
    // Whole before it answers: then the connection can be used again.
    let echo = async |request: Request| {
        let body = request.into_body().collect(4 << 20).await?;
        Ok(Response::new(Body::full(body)))
    };
    let server = Server::new(Http::new(service_fn(echo)));
    let server = stage.start(server, &[Scheme::Http, Scheme::Https]);
    let body = bandy_testkit::noise(7, 3 << 20);
    for to in server.endpoints() {
        for wish in [Version::Http1, Version::Http2] {
            let dialer = stage.dialer().alpn(Version::alpn(Some(wish)));
            let conn = dialer
                .connect(to, &mut Phases::default())
                .await
                .expect("a connection");
            let mut connection = Connection::open(conn, Some(wish)).await.expect("open");
            assert_eq!(connection.version(), wish);
            for _ in 0..2 {
                let target = match wish {
                    Version::Http1 => "/x".to_owned(),
                    Version::Http2 => format!("{to}/x"),
                };
                let sent = connection.send(request("POST", &target, body.clone()));
                let answer = within("an answer", sent).await.expect("an answer");
                let came = within("a body", answer.into_body().collect(4 << 20)).await;
                assert!(came.expect("whole") == body, "{wish} over {to}");
            }
            assert!(connection.is_free());
            connection.close().await;
        }
    }
}

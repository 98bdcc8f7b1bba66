//! Backends that speak HTTP/2, and gRPC's way of ending an answer.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bandy::http::Http;
use bandy::http::client::{Connection, Version};
use bandy::http::{Body, HeaderMap, HeaderValue, Request, Response};
use bandy::net::Conn;
use bandy::service::Service;
use bandy::{Result, service_fn};
use bandy_testkit::within;
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;

/// Counts connections, and answers requests on them.
struct Counted<S> {
    http: Http<S>,
    opened: Arc<AtomicUsize>,
}

impl<S: Service<Request, Out = Response>> Service<Conn> for Counted<S> {
    type Out = ();

    async fn call(&self, conn: Conn) -> Result<()> {
        self.opened.fetch_add(1, SeqCst);
        self.http.call(conn).await
    }
}

/// Says what it was sent, and ends as gRPC does.
async fn grpc(request: Request) -> Result<Response> {
    let te = request.headers().get("te").cloned();
    let said = request.into_body().collect(1 << 20).await?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [
        Ok::<_, std::io::Error>(Frame::data(said)),
        Ok(Frame::trailers(trailers)),
    ];
    let body = Body::stream(StreamBody::new(futures_util::stream::iter(frames)));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("x-te", te.unwrap_or(HeaderValue::from_static("none")));
    Ok(response)
}

/// A backend that speaks HTTP/2, and a balancer in front that takes either.
fn before_h2(stage: &Stage) -> (Running, Running, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let service = Counted {
        http: Http::new(service_fn(grpc)),
        opened: opened.clone(),
    };
    let far = stage.start(Server::new(service), &[Scheme::Http]);
    let mut options = Options::new("far", [far.endpoint().clone()]);
    options.http = Some(Version::Http2);
    let near = before(stage, options);
    (far, near, opened)
}

#[tokio::test]
async fn trailers_of_http2_reach_a_client_of_http2() {
    let stage = Stage::new();
    let (_far, near, opened) = before_h2(&stage);
    let conn = bandy::connect(near.endpoint()).await.expect("connected");
    let connection = Connection::open(conn, Some(Version::Http2)).await;
    let mut connection = connection.expect("HTTP/2");
    for said in ["hello", "again"] {
        let request = ::http::Request::post("http://a.test/pkg.Service/Method")
            .header("te", "trailers")
            .body(Body::from(said))
            .expect("a request");
        let response = within("an answer", connection.send(request))
            .await
            .expect("answered");
        assert_eq!(response.headers().get("x-te").expect("told"), "trailers");
        let collected = within("its end", response.into_body().collect_all()).await;
        assert_eq!(collected.0, said.as_bytes());
        assert_eq!(
            collected
                .1
                .expect("trailers")
                .get("grpc-status")
                .expect("one"),
            "0"
        );
    }
    assert_eq!(opened.load(SeqCst), 1, "one connection carries all");
}

trait CollectAll {
    async fn collect_all(self) -> (Vec<u8>, Option<HeaderMap>);
}

impl CollectAll for Body {
    async fn collect_all(self) -> (Vec<u8>, Option<HeaderMap>) {
        let all = http_body_util::BodyExt::collect(self)
            .await
            .expect("all of it");
        let trailers = all.trailers().cloned();
        (all.to_bytes().to_vec(), trailers)
    }
}

#[test]
fn and_a_client_of_http1() {
    let stage = Stage::new();
    let (_far, near, _) = before_h2(&stage);
    let mut client = Raw::to(&near);
    client.say("POST /m HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Length: 5\r\n\r\nhello");
    let head = client.head();
    assert_eq!(
        (status(&head), field(&head, "transfer-encoding")),
        (200, Some("chunked"))
    );
    assert_eq!(client.exactly(10), b"5\r\nhello\r\n");
    assert_eq!(client.head(), "0\r\ngrpc-status: 0\r\n\r\n");
}

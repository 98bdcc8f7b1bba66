//! Any bytes as a connection's requests, read by us and by hyper: what we accept hyper accepts, and both understand it
//! as the same requests with the same bodies, so the next request begins at the same byte.
//!
//! We may be the stricter, and are. What hyper lets through and we do not, as of 1.12: no Host or two of them, a Host that
//! is none (`a/b@c`), Content-Length twice with one value, `Transfer-Encoding: gzip, chunked`, lines that end with LF, spaces
//! behind a chunk's size, a target with a fragment (which it drops), any expectation, and many empty lines before a request.
#![no_main]

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bandy::wire::http1::{BodyDecoder, Bounds, Step, is_forbidden_trailer, parse_request};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use libfuzzer_sys::fuzz_target;

/// What a request says, as far as both must agree.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    method: String,
    target: String,
    body: Vec<u8>,
    trailers: HeaderMap,
}

fuzz_target!(|stream: &[u8]| {
    let ours = ours(stream);
    if ours.is_empty() {
        return;
    }
    let theirs = theirs(stream);
    for (at, said) in ours.iter().enumerate() {
        assert_eq!(
            Some(said),
            theirs.get(at),
            "request {at} of {:?}",
            stream.escape_ascii().to_string()
        );
    }
});

/// The requests that came whole, up to the first that is refused or the last on its connection.
fn ours(stream: &[u8]) -> Vec<Said> {
    let bounds = Bounds::default();
    let (mut requests, mut rest) = (Vec::new(), stream);
    while let Ok(Some((head, end))) = parse_request(rest, &bounds) {
        let bytes = Bytes::copy_from_slice(&rest[..end]);
        let parts = head.to_parts(&bytes).expect("what passes has a place");
        rest = &rest[end..];
        let mut decoder = BodyDecoder::new(head.length, &bounds);
        let mut body = Vec::new();
        let trailers = loop {
            match decoder.decode(rest) {
                Ok(Step::Data { skip, len }) => {
                    body.extend_from_slice(&rest[skip..skip + len]);
                    rest = &rest[skip + len..];
                }
                Ok(Step::End { consumed, trailers }) => {
                    rest = &rest[consumed..];
                    break trailers;
                }
                Ok(Step::More { .. }) | Err(_) => return requests,
            }
        };
        requests.push(Said {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            body,
            trailers: trailers.unwrap_or_default(),
        });
        if !head.keep_alive {
            break;
        }
    }
    requests
}

/// The same from hyper's server, which answers each with 404 once it has its body.
fn theirs(stream: &[u8]) -> Vec<Said> {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let requests = Arc::clone(&requests);
        async move {
            let (head, body) = request.into_parts();
            let mut said = Said {
                method: head.method.to_string(),
                target: head.uri.to_string(),
                body: Vec::new(),
                trailers: HeaderMap::new(),
            };
            let mut body = pin!(body);
            while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                match frame.map(Frame::into_data) {
                    Ok(Ok(data)) => said.body.extend_from_slice(&data),
                    Ok(Err(other)) => {
                        let fields = other.into_trailers().unwrap_or_default();
                        let names = fields
                            .keys()
                            .filter(|name| is_forbidden_trailer(name.as_str()));
                        let forbidden: Vec<_> = names.cloned().collect();
                        said.trailers = fields;
                        for name in forbidden {
                            said.trailers.remove(name);
                        }
                    }
                    Err(_) => return Err("the body is not whole"),
                }
            }
            requests.lock().expect("no panic").push(said);
            let mut answer = Response::new(Empty);
            *answer.status_mut() = StatusCode::NOT_FOUND;
            Ok(answer)
        }
    });
    let server = hyper::server::conn::http1::Builder::new()
        .max_headers(256)
        .half_close(true)
        .serve_connection(Wire { left: stream }, service);
    let mut server = pin!(server);
    let mut cx = Context::from_waker(Waker::noop());
    // It never waits for the wire, but gives way now and then.
    let polls = stream.len() + 100;
    assert!(
        (0..polls).any(|_| server.as_mut().poll(&mut cx).is_ready()),
        "hyper hangs"
    );
    requests.lock().expect("no panic").clone()
}

/// A connection that has all its bytes from the beginning.
struct Wire<'a> {
    left: &'a [u8],
}

impl Read for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (now, later) = self.left.split_at(self.left.len().min(into.remaining()));
        into.put_slice(now);
        self.left = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A body without anything in it.
struct Empty;

impl Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

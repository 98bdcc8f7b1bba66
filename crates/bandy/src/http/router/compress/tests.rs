//! What goes in comes out again, in pieces as they came, and only where it may be pressed.

use std::io::Read;

use super::*;
use crate::http::typed;
use proptest::prelude::*;

fn unpacked(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        Coding::Zstd => zstd::stream::read::Decoder::new(bytes)
            .expect("a decoder")
            .read_to_end(&mut out),
    }
    .expect("unpacked");
    out
}

/// What can be unpacked of a stream that is not over.
fn unpacked_so_far(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut byte = [0];
    let mut reader: Box<dyn Read + '_> = match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).expect("a decoder")),
    };
    while let Ok(1) = reader.read(&mut byte) {
        out.extend_from_slice(&byte);
    }
    out
}

fn page(len: usize) -> Response {
    let text = "compress me, compress me not. ".repeat(len / 30 + 1);
    typed(StatusCode::OK, "text/html; charset=utf-8", text)
}

fn with(mut response: Response, name: &'static str, value: &'static str) -> Response {
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

fn pressed(response: Response) -> Response {
    Compression::default().apply(Some(Coding::Gzip), false, response)
}

fn field(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().expect("text").to_owned())
}

#[tokio::test]
async fn a_page_gets_smaller() {
    let response = with(page(10_000), "etag", "\"a\"");
    let response = with(response, "accept-ranges", "bytes");
    let response = pressed(response);
    assert_eq!(
        field(&response, "content-encoding").as_deref(),
        Some("gzip")
    );
    assert_eq!(field(&response, "vary").as_deref(), Some("accept-encoding"));
    assert_eq!(field(&response, "etag").as_deref(), Some("W/\"a\""));
    assert_eq!(field(&response, "accept-ranges"), None);
    assert_eq!(response.body().len_hint(), None);
    let body = response.into_body().collect(10_000).await.expect("a body");
    let page = page(10_000).into_body().collect(20_000).await.expect("it");
    assert!(body.len() < 200, "{}", body.len());
    assert_eq!(unpacked(Coding::Gzip, &body), page);
}

#[test]
fn what_stays_as_it_is() {
    let mut part = page(10_000);
    *part.status_mut() = StatusCode::PARTIAL_CONTENT;
    let image = with(page(10_000), "content-type", "image/png");
    for (name, response, varies) in [
        ("short", page(100), true),
        ("empty", typed(StatusCode::OK, "text/plain", ""), true),
        ("an image", image, false),
        ("a part", part, false),
        (
            "encoded",
            with(page(10_000), "content-encoding", "br"),
            false,
        ),
        (
            "kept",
            with(page(10_000), "cache-control", "public, No-Transform"),
            false,
        ),
    ] {
        let before = field(&response, "content-encoding");
        let response = pressed(response);
        assert_eq!(field(&response, "content-encoding"), before, "{name}");
        assert_eq!(response.headers().contains_key("vary"), varies, "{name}");
    }
    let head = Compression::default().apply(Some(Coding::Gzip), true, page(10_000));
    assert_eq!(field(&head, "content-encoding"), None);
    let plain = Compression::default().apply(None, false, page(10_000));
    assert_eq!(field(&plain, "content-encoding"), None);
    assert_eq!(field(&plain, "vary").as_deref(), Some("accept-encoding"));
}

#[tokio::test]
async fn an_event_comes_out_before_the_next_goes_in() {
    for coding in Coding::ALL {
        let (sender, body) = Body::channel(1);
        let mut response = Response::new(body);
        let events = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", events);
        let mut body = Compression::default()
            .apply(Some(coding), false, response)
            .into_body();
        let (mut packed, mut expected) = (Vec::new(), Vec::new());
        for n in 0..20 {
            let event = format!("data: {n}\n\n");
            expected.extend_from_slice(event.as_bytes());
            sender.send(Ok(event.into())).await.expect("taken");
            packed.extend_from_slice(&body.data().await.expect("data").expect("some"));
            assert_eq!(unpacked_so_far(coding, &packed), expected, "{coding:?}");
        }
        drop(sender);
        while let Some(data) = body.data().await.expect("data") {
            packed.extend_from_slice(&data);
        }
        assert_eq!(unpacked(coding, &packed), expected, "{coding:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_look_whole() {
    let (sender, body) = Body::channel(2);
    let broken = Error::new(crate::error::Kind::Io, crate::error::Side::Local, "reading");
    sender.send(Ok("half".into())).await.expect("taken");
    sender.send(Err(broken)).await.expect("taken");
    drop(sender);
    let mut body = Body::stream(Compressed::new(Coding::Zstd, body));
    assert!(body.data().await.expect("the first half").is_some());
    assert!(body.data().await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_goes_in_comes_out(
        pieces in proptest::collection::vec((any::<u8>(), 0..100_000_usize), 0..4),
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let pieces: Vec<Bytes> = pieces
            .into_iter()
            .map(|(byte, len)| vec![byte; len].into())
            .chain([Bytes::from(noise)])
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for coding in Coding::ALL {
            let (sender, body) = Body::channel(pieces.len());
            for piece in &pieces {
                sender.try_send(Ok(piece.clone())).expect("room");
            }
            drop(sender);
            let body = Body::stream(Compressed::new(coding, body));
            let packed = runtime.block_on(body.collect(1 << 20)).expect("packed");
            prop_assert_eq!(unpacked(coding, &packed), pieces.concat());
        }
    }
}

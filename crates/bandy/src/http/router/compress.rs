//! Bodies made smaller on their way: gzip, brotli and Zstandard, as the client asks for them.
//!
//! A body is compressed piece by piece, and what came of a piece is sent at once: a stream of events stays one. What is
//! left as it is: answers to HEAD, parts (206), what has an encoding already or is not to be transformed, and types
//! that do not get smaller.

mod accept;
mod encoder;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};

pub use accept::Coding;
use encoder::Encoder;

use crate::error::{Error, Result};
use crate::http::{Body, HeaderMap, HeaderValue, Response, StatusCode, header};

/// Which bodies are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// Bodies that are known to be shorter stay as they are. Bytes.
    pub min_bytes: u64,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression { min_bytes: 1 << 10 }
    }
}

impl Compression {
    /// A response with a smaller body, if `accepted` (of the request, [`Coding::chosen`]) and the response allow it.
    pub(super) fn apply(
        &self,
        accepted: Option<Coding>,
        is_head: bool,
        response: Response,
    ) -> Response {
        let (mut parts, body) = response.into_parts();
        if !could_be(parts.status, &parts.headers) {
            return Response::from_parts(parts, body);
        }
        // The body depends on it, also where this one is left as it is.
        vary(&mut parts.headers);
        let Some(coding) = accepted else {
            return Response::from_parts(parts, body);
        };
        if parts.status == StatusCode::NOT_MODIFIED {
            weaken(&mut parts.headers);
            return Response::from_parts(parts, body);
        }
        let is_short = body.len_hint().is_some_and(|len| len < self.min_bytes);
        if is_head || is_short || body.is_empty() {
            return Response::from_parts(parts, body);
        }
        let fields = &mut parts.headers;
        let name = HeaderValue::from_static(coding.as_str());
        fields.insert(header::CONTENT_ENCODING, name);
        fields.remove(header::CONTENT_LENGTH);
        fields.remove(header::ACCEPT_RANGES);
        weaken(fields);
        Response::from_parts(parts, Body::stream(Compressed::new(coding, body)))
    }
}

/// Whether a response is one whose body may be compressed; a 304 speaks of such a one.
fn could_be(status: StatusCode, fields: &HeaderMap) -> bool {
    if status == StatusCode::NOT_MODIFIED {
        return true;
    }
    let text = |name| fields.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let is_kept = text(header::CACHE_CONTROL)
        .is_some_and(|control| control.to_ascii_lowercase().contains("no-transform"));
    let is_part =
        status == StatusCode::PARTIAL_CONTENT || fields.contains_key(header::CONTENT_RANGE);
    let has_body = !status.is_informational() && status != StatusCode::NO_CONTENT;
    has_body
        && !is_part
        && !is_kept
        && !fields.contains_key(header::CONTENT_ENCODING)
        && text(header::CONTENT_TYPE).is_some_and(gets_smaller)
}

/// Whether bodies of a media type do.
fn gets_smaller(media_type: &str) -> bool {
    const TYPES: [&str; 10] = [
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "application/x-javascript",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "font/ttf",
        "image/svg+xml",
    ];
    let name = media_type.split(';').next().unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    name.starts_with("text/")
        || name.ends_with("+json")
        || name.ends_with("+xml")
        || TYPES.contains(&name.as_str())
}

fn vary(fields: &mut HeaderMap) {
    let is_said = fields.get_all(header::VARY).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value == b"*" || value.windows(15).any(|w| w == b"accept-encoding")
    });
    if !is_said {
        let value = HeaderValue::from_static("accept-encoding");
        fields.append(header::VARY, value);
    }
}

/// The bytes are no longer those that the validator was made for (RFC 9110, section 8.8.1).
fn weaken(fields: &mut HeaderMap) {
    let Some(tag) = fields.get(header::ETAG) else {
        return;
    };
    if !tag.as_bytes().starts_with(b"W/") {
        let weak = [b"W/", tag.as_bytes()].concat();
        if let Ok(weak) = HeaderValue::from_bytes(&weak) {
            fields.insert(header::ETAG, weak);
        }
    }
}

/// How much of a body is compressed before others on the event loop have their turn.
const TURN: usize = 64 << 10;

/// A body on its way through an encoder.
struct Compressed {
    body: Body,
    /// Taken at the end.
    encoder: Option<Encoder>,
    /// What has come and is still to be compressed.
    rest: Bytes,
    trailers: Option<HeaderMap>,
}

impl Compressed {
    fn new(coding: Coding, body: Body) -> Compressed {
        Compressed {
            body,
            encoder: Some(Encoder::new(coding)),
            rest: Bytes::new(),
            trailers: None,
        }
    }

    /// Compresses what is there, up to a turn's worth; `None` where nothing has come of it yet.
    fn press(&mut self) -> Result<Option<Bytes>> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(None);
        };
        let turn = self.rest.len().min(TURN);
        encoder.write(self.rest.get(..turn).unwrap_or_default())?;
        self.rest.advance(turn);
        // The rest of a piece that is there already need not come out before it.
        if self.rest.is_empty() {
            encoder.flush()?;
        }
        let out = encoder.take();
        Ok((!out.is_empty()).then_some(out))
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        loop {
            if !this.rest.is_empty() {
                if let Some(out) = this.press()? {
                    return Poll::Ready(Some(Ok(Frame::data(out))));
                }
                continue;
            }
            if this.encoder.is_none() {
                let trailers = this.trailers.take();
                return Poll::Ready(trailers.map(|t| Ok(Frame::trailers(t))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)?) {
                Some(frame) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => this.trailers = frame.into_trailers().ok(),
                },
                None => {
                    let Some(encoder) = this.encoder.take() else {
                        continue;
                    };
                    let out = encoder.finish()?;
                    if !out.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(out))));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests;

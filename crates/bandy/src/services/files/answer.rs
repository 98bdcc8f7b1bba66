//! A file as the response to a request: conditions, encoding, parts.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::coding;
use super::condition::{Verdict, judge, parts_fit};
use super::page::{Content, Form, Page, now};
use super::range::{Span, Wanted, wanted};
use crate::error::{Error, Result};
use crate::http::{Body, HeaderMap, HeaderValue, Problem, Response, StatusCode, header};

/// Answers a GET or a HEAD whose fields these are.
pub(super) fn answer(page: &Page, asked: &HeaderMap, is_head: bool) -> Response {
    let form = match page.encoded.as_slice() {
        [] => &page.plain,
        encoded => match coding::choose(asked, encoded.iter().map(|(coding, _)| *coding)) {
            None => &page.plain,
            Some(chosen) => encoded
                .iter()
                .find(|(coding, _)| *coding == chosen)
                .map_or(&page.plain, |(_, form)| form),
        },
    };
    match judge(asked, true, Some(&form.validators)) {
        Verdict::Go => {}
        Verdict::NotModified => return not_modified(form),
        Verdict::Failed => return Problem::new(StatusCode::PRECONDITION_FAILED).response(),
    }
    if is_head {
        let mut response = whole(form, Body::empty());
        let size = HeaderValue::from(form.state.size);
        response.headers_mut().insert(header::CONTENT_LENGTH, size);
        return response;
    }
    let wanted =
        match asked.contains_key(header::RANGE) && parts_fit(asked, &form.validators, now().0) {
            true => wanted(asked, form.state.size),
            false => Wanted::Whole,
        };
    match wanted {
        Wanted::Whole => whole(form, form.body(0, form.state.size)),
        Wanted::One(span) => one(form, span),
        Wanted::Many(spans) => many(form, &spans),
        Wanted::Nothing => nothing(form),
    }
}

fn whole(form: &Form, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().clone_from(&form.fields);
    response
}

fn one(form: &Form, span: Span) -> Response {
    let mut response = whole(form, form.body(span.first, span.len()));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    put(&mut response, content_range(span, form.state.size));
    response
}

/// `multipart/byteranges` (RFC 9110, section 14.6).
fn many(form: &Form, spans: &[Span]) -> Response {
    let boundary = boundary();
    let media_type = form.fields.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let mut parts = Parts::default();
    for span in spans {
        let range = content_range(*span, form.state.size);
        let head = format!(
            "\r\n--{boundary}\r\ncontent-type: {}\r\ncontent-range: {range}\r\n\r\n",
            media_type.unwrap_or_default()
        );
        parts.push(head.into());
        parts.push(form.body(span.first, span.len()));
    }
    parts.push(format!("\r\n--{boundary}--\r\n").into());
    let mut response = whole(form, Body::stream(parts));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let media_type = format!("multipart/byteranges; boundary={boundary}");
    if let Ok(value) = HeaderValue::try_from(media_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

fn nothing(form: &Form) -> Response {
    let mut response = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE)
        .detail(format!("it has {} bytes", form.state.size))
        .response();
    put(&mut response, format!("bytes */{}", form.state.size));
    response
}

/// Section 15.4.5 says which fields a 304 has.
fn not_modified(form: &Form) -> Response {
    let mut response = crate::http::empty(StatusCode::NOT_MODIFIED);
    for name in [
        header::ETAG,
        header::LAST_MODIFIED,
        header::CACHE_CONTROL,
        header::VARY,
    ] {
        if let Some(value) = form.fields.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn put(response: &mut Response, content_range: String) {
    if let Ok(value) = HeaderValue::try_from(content_range) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
}

fn content_range(span: Span, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.first, span.last)
}

/// Nobody who writes files can guess it.
fn boundary() -> String {
    let mut random = [0; 16];
    // It fails only where the system has no randomness at all, and then no TLS either.
    let _ = aws_lc_rs::rand::fill(&mut random);
    format!("{:032x}", u128::from_ne_bytes(random))
}

impl Form {
    fn body(&self, offset: u64, len: u64) -> Body {
        match &self.content {
            Content::Disk(file) => Body::file(file.clone(), offset, len),
            Content::Memory(bytes) => {
                let first = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                let last = first.saturating_add(len).min(bytes.len());
                Body::full(bytes.slice(first..last))
            }
        }
    }
}

/// Bodies one after the other, each of a known length.
#[derive(Default)]
struct Parts(VecDeque<Body>);

impl Parts {
    fn push(&mut self, body: Body) {
        self.0.push_back(body);
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        while let Some(first) = self.0.front_mut() {
            match ready!(Pin::new(first).poll_frame(cx)) {
                Some(frame) => return Poll::Ready(Some(frame)),
                None => {
                    self.0.pop_front();
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.iter().all(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let len = |body: &Body| body.len_hint().unwrap_or(0);
        SizeHint::with_exact(self.0.iter().map(len).sum())
    }
}

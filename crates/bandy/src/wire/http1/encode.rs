//! Heads and chunks as bytes.

use std::io::Write;

use ::http::header::{CONTENT_LENGTH, DATE};
use ::http::{HeaderMap, HeaderName, Method, StatusCode, Version};

use super::fields::{is_forbidden_trailer, is_hop_by_hop};
use super::head::Length;

/// Ends a chunk.
pub const CHUNK_TAIL: &[u8] = b"\r\n";

/// Writes the head of a response.
///
/// Content-Length, Transfer-Encoding and Connection are written from `length` and `keep_alive`, whatever `fields` say of
/// them; other fields about the connection are left out, except in a 101. `version` is the client's, and `date` is
/// written unless there is one.
pub fn write_response_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &HeaderMap,
    length: Length,
    keep_alive: bool,
    version: Version,
    date: &[u8],
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    let is_switching = status == StatusCode::SWITCHING_PROTOCOLS;
    write_fields(out, fields, is_switching);
    if !fields.contains_key(DATE) {
        write_field(out, "date", date);
    }
    if status.is_informational() {
        out.extend_from_slice(b"\r\n");
        return;
    }
    if status != StatusCode::NO_CONTENT {
        write_length(out, length);
    }
    match (keep_alive, version) {
        (false, _) => write_field(out, "connection", b"close"),
        (true, Version::HTTP_10) => write_field(out, "connection", b"keep-alive"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a request. The target is written as it is; `fields` should have a Host. Content-Length and
/// Transfer-Encoding are written from `length`, and of what is about the connection only what an upgrade needs.
pub fn write_request_head(
    out: &mut Vec<u8>,
    method: &Method,
    target: &str,
    fields: &HeaderMap,
    length: Length,
    keep_alive: bool,
) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let upgrades = fields.contains_key(::http::header::UPGRADE);
    write_fields(out, fields, upgrades);
    let is_bodiless = matches!(length, Length::None | Length::UntilClose);
    if !is_bodiless || [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        write_length(
            out,
            if is_bodiless {
                Length::Known(0)
            } else {
                length
            },
        );
    }
    if !keep_alive && !upgrades {
        write_field(out, "connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap, keeps_connection: bool) {
    for (name, value) in fields {
        let is_ours = *name == CONTENT_LENGTH || (is_of_connection(name) && !keeps_connection);
        if !is_ours && *name != ::http::header::TRANSFER_ENCODING {
            write_field(out, name.as_str(), value.as_bytes());
        }
    }
}

/// Told by the length first: it is asked of every field.
fn is_of_connection(name: &HeaderName) -> bool {
    matches!(name.as_str().len(), 2 | 7 | 10 | 16..=19) && is_hop_by_hop(name.as_str())
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_length(out: &mut Vec<u8>, length: Length) {
    match length {
        Length::Known(length) => {
            out.extend_from_slice(b"content-length: ");
            // Writing into memory cannot fail, here and below.
            let _ = write!(out, "{length}\r\n");
        }
        Length::Chunked => write_field(out, "transfer-encoding", b"chunked"),
        Length::None | Length::UntilClose => {}
    }
}

/// Begins a chunk of `len` bytes, which is not 0.
pub fn write_chunk_head(out: &mut Vec<u8>, len: usize) {
    let _ = write!(out, "{len:x}\r\n");
}

/// Ends a chunked body.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !is_forbidden_trailer(name.as_str()) {
            write_field(out, name.as_str(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

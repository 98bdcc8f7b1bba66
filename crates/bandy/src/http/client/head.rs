//! A request's head as it is written: fields in their order, names as people write them.

use std::io::Write;

use super::Version;
use crate::error::{Error, Kind, Result, Side};
use crate::http::{HeaderMap, HeaderName, Request, header};
use crate::wire::http1::Length;

/// The head of a request in this version.
pub(super) fn written(request: &Request, version: Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let target = match (request.uri().path_and_query(), version) {
        (Some(target), _) => target.as_str(),
        (None, _) => "/",
    };
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{} {target} {version}\r\n", request.method());
    let fields = request.headers();
    for (name, value) in fields {
        write_name(&mut out, name, version);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let (Version::Http1, Some(field)) = (version, framing_field(request)) {
        out.extend_from_slice(field.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Field names mean the same in any case, but not every small server knows; most are written like this.
fn write_name(out: &mut Vec<u8>, name: &HeaderName, version: Version) {
    let name = name.as_str().bytes();
    if version == Version::Http2 {
        out.extend(name);
        return;
    }
    let mut begins = true;
    out.extend(name.map(|b| {
        let b = if begins { b.to_ascii_uppercase() } else { b };
        begins = !b.is_ascii_alphanumeric();
        b
    }));
}

/// How the body is framed, if its fields say nothing of it.
fn framing_field(request: &Request) -> Option<String> {
    let fields = request.headers();
    if fields.contains_key(header::CONTENT_LENGTH) || fields.contains_key(header::TRANSFER_ENCODING)
    {
        return None;
    }
    match request.body().len_hint() {
        Some(0) => None,
        Some(len) => Some(format!("Content-Length: {len}\r\n")),
        None => Some("Transfer-Encoding: chunked\r\n".to_owned()),
    }
}

/// How long the body is, by the request's fields if they say so.
pub(super) fn length(request: &Request) -> Result<Length> {
    let fields = request.headers();
    let known = request.body().len_hint();
    let encodings: Vec<_> = fields.get_all(header::TRANSFER_ENCODING).iter().collect();
    let lengths: Vec<_> = fields.get_all(header::CONTENT_LENGTH).iter().collect();
    match (encodings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(match known {
            Some(0) => Length::None,
            Some(len) => Length::Known(len),
            None => Length::Chunked,
        }),
        ([encoding], []) if encoding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Length::Chunked)
        }
        ([], [length]) => {
            let text = length.to_str().unwrap_or_default();
            match text.parse::<u64>() {
                Ok(length) if known.is_none_or(|known| known == length) => {
                    Ok(Length::Known(length))
                }
                Ok(_) => Err(wrong("Content-Length is not the body's length")),
                Err(_) => Err(wrong("Content-Length is no number")),
            }
        }
        ([_, ..], [_, ..]) => Err(wrong("Content-Length and Transfer-Encoding are both there")),
        ([_, ..], []) => Err(wrong("Transfer-Encoding can only be `chunked`")),
        ([], _) => Err(wrong("Content-Length is there more than once")),
    }
}

fn wrong(why: &str) -> Error {
    Error::new(Kind::Usage, Side::Local, "framing a request's body")
        .because(why)
        .hint("leave the field out: it is written as the body needs it; to send anything at all, use tcp://")
}

/// Whether the body is to wait until the server wants it (RFC 9110, section 10.1.1).
pub(super) fn expects_continue(fields: &HeaderMap) -> bool {
    fields
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    fn request(fields: &[(&str, &str)], body: &'static str) -> Request {
        let mut builder = ::http::Request::post("/a?b");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::from(body)).expect("a request")
    }

    #[test]
    fn as_people_write_it() {
        let fields = [("host", "h"), ("x-my-id", "1"), ("x-my-id", "2")];
        let text = written(&request(&fields, "hi"), Version::Http1);
        assert_eq!(
            String::from_utf8_lossy(&text),
            "POST /a?b HTTP/1.1\r\nHost: h\r\nX-My-Id: 1\r\nX-My-Id: 2\r\nContent-Length: 2\r\n\r\n"
        );
    }

    #[test]
    fn a_length_that_does_not_hold_is_not_sent() {
        let fits = |fields: &[(&str, &str)]| length(&request(fields, "hi"));
        assert_eq!(fits(&[]).expect("fits"), Length::Known(2));
        assert_eq!(
            fits(&[("content-length", "2")]).expect("fits"),
            Length::Known(2)
        );
        let chunked = [("transfer-encoding", "Chunked")];
        assert_eq!(fits(&chunked).expect("fits"), Length::Chunked);
        for fields in [
            &[("content-length", "3")][..],
            &[("content-length", "two")],
            &[("content-length", "2"), ("content-length", "2")],
            &[("transfer-encoding", "gzip")],
            &[("transfer-encoding", "chunked"), ("content-length", "2")],
        ] {
            fits(fields).expect_err("does not");
        }
    }
}

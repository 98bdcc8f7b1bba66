//! HTTP/1.1 without I/O, both roles side by side: heads in and out, bodies in and out.
//!
//! The parser is the gate: what it lets through has one meaning, so that nothing behind it, and no other server behind
//! that, can understand a message differently (RFC 9112, section 11). Where the RFC lets a recipient repair a message,
//! this one refuses it: line ends are CRLF, there is one Content-Length or one `Transfer-Encoding: chunked`, a field
//! line is not folded. A [`Reject`] names the cause, and the status that a server answers with before it closes.
//!
//! Heads are parsed in place and borrow from the buffer: [`parse_request`] and [`parse_response`] allocate nothing.
//! [`Scan`] says when a head that comes in drops is worth another look. [`BodyDecoder`] says which bytes of its input
//! are body, and copies none of them. What is written goes to the end of a `Vec<u8>` of the caller's.
//!
//! ```
//! use bandy::wire::http1::{
//!     Asked, BodyDecoder, Bounds, Framing, Length, Reject, Step, parse_request, write_response_head,
//! };
//! use http::{HeaderMap, StatusCode};
//!
//! # fn main() -> Result<(), Reject> {
//! let bounds = Bounds::default();
//! let came = b"POST /say HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n";
//!
//! let Some((head, end)) = parse_request(came, &bounds)? else {
//!     return Ok(()); // read more, and ask a `Scan` whether to look again
//! };
//! assert_eq!((head.method, head.target, head.host()), ("POST", "/say", Some("a.test")));
//!
//! let mut body = BodyDecoder::new(head.length, &bounds);
//! let rest = &came[end..];
//! assert_eq!(body.decode(rest)?, Step::Data { skip: 0, len: 5 });
//! assert!(body.is_done()); // the next request begins at `rest[5..]`
//!
//! let status = StatusCode::OK;
//! let framing = Framing::new(Asked::by(head.method), head.version, status, Length::Known(5), head.keep_alive);
//! let mut out = Vec::new();
//! write_response_head(&mut out, status, &HeaderMap::new(), &framing, None);
//! out.extend_from_slice(&rest[..5]);
//! assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
//! # Ok(())
//! # }
//! ```
//!
//! Left out: deadlines, 100-continue and the reuse of connections (those who read and write decide), and what a field
//! means beyond framing and routing.

mod body;
mod encode;
mod field_set;
mod fields;
mod framing;
mod host;
mod reject;
mod request;
mod response;
mod scan;
mod syntax;
mod target;
mod trailers;

pub use body::{BodyDecoder, Step};
pub use encode::{
    CHUNK_TAIL, CONTINUE, Connection, write_chunk_head, write_last_chunk, write_request_head,
    write_request_head_with, write_response_head,
};
pub use field_set::FieldSet;
pub use fields::{is_forbidden_trailer, is_hop_by_hop, strip_hop_by_hop};
pub use framing::Framing;
pub use host::is_valid_host;
pub use reject::Reject;
pub use request::{RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};
pub use scan::Scan;
pub use syntax::Fields;
pub use target::{Form, is_valid_target};

/// How long a body is (RFC 9112, section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// There is no body, and nothing says a length.
    None,
    /// So many bytes, which may be 0: `Content-Length`.
    Known(u64),
    /// In chunks that each say their length: `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the connection is closed. Responses only.
    UntilClose,
}

/// What a head may be at most. Trailers have the same bounds again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes of the whole head, its last line end included.
    pub head_bytes: usize,
    /// Bytes of a request's target.
    pub target_bytes: usize,
    /// Field lines.
    pub fields: usize,
}

impl Default for Bounds {
    /// 64 KiB, of which the target has 8 KiB, and 128 fields.
    fn default() -> Bounds {
        Bounds {
            head_bytes: 64 * 1024,
            target_bytes: 8 * 1024,
            fields: 128,
        }
    }
}

/// The method that a response answers, as far as it decides where the response ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// `HEAD`: no body, whatever the head says.
    Head,
    /// `CONNECT`: a 2xx begins a tunnel.
    Connect,
    /// Every other method.
    Other,
}

impl Asked {
    /// What this method asks for. Methods are case-sensitive.
    pub fn by(method: &str) -> Asked {
        match method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        }
    }
}

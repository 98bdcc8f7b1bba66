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
//! Left out: deadlines, 100-continue and the reuse of connections (those who read and write decide), and what a field
//! means beyond framing and routing.

mod body;
mod encode;
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
    write_response_head,
};
pub use fields::{is_forbidden_trailer, is_hop_by_hop, strip_hop_by_hop};
pub use framing::Framing;
pub use host::is_valid_host;
pub use reject::Reject;
pub use request::{RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};
pub use scan::Scan;
pub use syntax::Fields;
pub use target::Form;

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

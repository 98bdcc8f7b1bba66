//! HTTP/1.1 (RFC 9112) without I/O, both roles.
//!
//! The parser is the gate: what it gives out is well-formed, its length is certain, and nothing that two programs might
//! read in two ways gets through. A head borrows from the buffer that it was parsed in ([`parse_request`],
//! [`parse_response`]); a body is told where it lies in its input ([`BodyDecoder`]) and never copied.

mod body;
mod encode;
mod fields;
mod head;
mod reject;
mod request;
mod response;

pub use body::{BodyDecoder, Step};
pub use encode::{
    CHUNK_TAIL, write_chunk_head, write_last_chunk, write_request_head, write_response_head,
};
pub use fields::{is_forbidden_trailer, is_hop_by_hop, is_host, strip_hop_by_hop};
pub use head::{Bounds, Length, Scan, Slots};
pub use reject::Reject;
pub use request::{Form, RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};

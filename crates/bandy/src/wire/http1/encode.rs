//! Heads and chunks as bytes. What frames a message is written here and nowhere else, so it is written once.

use http::header::{CONTENT_LENGTH, DATE, HOST, HeaderName, TE, UPGRADE};
use http::{HeaderMap, StatusCode, Version};

use super::response::is_bodiless;
use super::{Asked, Length, fields, is_forbidden_trailer, is_hop_by_hop};

/// What becomes of the connection after a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// It is used again, if the server agrees.
    KeepAlive,
    /// The server closes it after the answer.
    Close,
    /// The request's Upgrade field offers another protocol.
    Upgrade,
}

/// How a response goes out: decided once, then written by [`write_response_head`] and kept to by who writes the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framing {
    /// How the body is to be written: not at all, as it is, in chunks, or as it is and then closed.
    pub body: Length,
    /// Whether the connection goes on afterwards.
    pub keep_alive: bool,
    asked: Asked,
    /// What was to be sent, whether or not it may be.
    length: Length,
    /// Whether the client must be told that the connection stays open.
    is_old: bool,
}

impl Framing {
    /// For a response with a body of this length (where it is not known: [`Length::Chunked`]) to a request with this method
    /// and version. `keep_alive` is whether both sides want the connection to go on.
    ///
    /// A client that speaks HTTP/1.0 gets no chunks but the connection's end. HEAD, 1xx, 204, 304 and a 2xx to CONNECT have no body.
    pub fn new(
        asked: Asked,
        version: Version,
        status: StatusCode,
        length: Length,
        keep_alive: bool,
    ) -> Framing {
        let is_old = version == Version::HTTP_10;
        let tunnels = asked == Asked::Connect && status.is_success();
        let body = match length {
            _ if tunnels || asked == Asked::Head || is_bodiless(status) => Length::None,
            Length::Chunked if is_old => Length::UntilClose,
            length => length,
        };
        Framing {
            body,
            keep_alive: keep_alive && body != Length::UntilClose,
            asked,
            length,
            is_old,
        }
    }

    /// What the head says about the body's length. `Length::None`: nothing.
    fn says(&self, status: StatusCode) -> Length {
        let tunnels = self.asked == Asked::Connect && status.is_success();
        match self.length {
            _ if tunnels || is_bodiless(status) => Length::None,
            // What GET would have said is not known of a body that was left out.
            Length::None | Length::Known(0) if self.asked == Asked::Head => Length::None,
            Length::Chunked if self.is_old => Length::None,
            Length::None => Length::Known(0),
            length => length,
        }
    }
}

/// Writes the head of a response.
///
/// Names and values are written as they are. Content-Length, Transfer-Encoding and Connection are written from `framing`, whatever
/// `fields` say of them; only where no body is sent to HEAD and its length is not known does the Content-Length of `fields` stand.
/// Fields for one hop are left out, but for the Upgrade of a 101 or 426.
///
/// `date` is the value of Date, for a head that has none and is no 1xx: 29 bytes such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section
/// 5.6.7).
pub fn write_response_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &HeaderMap,
    framing: &Framing,
    date: Option<&[u8]>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let reason = status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");

    let says = framing.says(status);
    let states_length = says == Length::None && framing.asked == Asked::Head;
    let may_state_length = states_length && !is_bodiless(status);
    let names_protocol = matches!(
        status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED
    ) && fields.contains_key(UPGRADE);
    write_fields(out, fields, |name| {
        (*name == CONTENT_LENGTH && may_state_length) || (*name == UPGRADE && names_protocol)
    });
    write_length(out, says);
    let is_last_head = !status.is_informational();
    match (names_protocol, framing.keep_alive || !is_last_head) {
        (true, true) => out.extend_from_slice(b"connection: upgrade\r\n"),
        (true, false) => out.extend_from_slice(b"connection: upgrade, close\r\n"),
        (false, false) => out.extend_from_slice(b"connection: close\r\n"),
        (false, true) if framing.is_old && is_last_head => {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        (false, true) => {}
    }
    if let Some(date) = date
        && is_last_head
        && !fields.contains_key(DATE)
    {
        write_field(out, b"date", date);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a request in HTTP/1.1. `target` is written as it is, `fields` should have Host.
///
/// Content-Length, Transfer-Encoding and Connection are written from `length` and `connection`, whatever `fields` say of them. Fields for one
/// hop are left out, but for Upgrade with [`Connection::Upgrade`], and `TE: trailers`. A request's body cannot last until the
/// connection is closed: [`Length::UntilClose`] is taken as [`Length::Chunked`].
pub fn write_request_head(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    fields: &HeaderMap,
    length: Length,
    connection: Connection,
) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    // First, as RFC 9110 (section 7.2) asks.
    if let Some(host) = fields.get(HOST) {
        write_field(out, b"host", host.as_bytes());
    }
    let upgrades = connection == Connection::Upgrade && fields.contains_key(UPGRADE);
    let wants_trailers = fields.contains_key(TE) && fields::wants_trailers(fields);
    write_other_fields(
        out,
        fields,
        |name| *name == UPGRADE && upgrades,
        |name| *name == HOST,
    );
    if wants_trailers {
        write_field(out, b"te", b"trailers");
    }
    write_length(
        out,
        match length {
            Length::None if matches!(method, "POST" | "PUT" | "PATCH") => Length::Known(0),
            Length::UntilClose => Length::Chunked,
            length => length,
        },
    );
    let options: [(bool, &[u8]); 3] = [
        (connection == Connection::Close, b"close"),
        (upgrades, b"upgrade"),
        (wants_trailers, b"te"),
    ];
    let mut before: &[u8] = b"connection: ";
    for (_, option) in options.iter().filter(|(is_said, _)| *is_said) {
        out.extend_from_slice(before);
        out.extend_from_slice(option);
        before = b", ";
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before a chunk of `len` bytes; [`CHUNK_TAIL`] follows the chunk. `len` is not 0: that would end the body,
/// and nothing is written.
pub fn write_chunk_head(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len > 0, "an empty chunk ends the body");
    if len == 0 {
        return;
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let first = (usize::BITS - 1 - len.leading_zeros()) / 4;
    for place in (0..=first).rev() {
        let digit = (len >> (place * 4)) & 0xf;
        out.push(DIGITS.get(digit).copied().unwrap_or_default());
    }
    out.extend_from_slice(b"\r\n");
}

/// What follows each chunk.
pub const CHUNK_TAIL: &[u8] = b"\r\n";

/// Writes the end of a chunked body, with these fields but for those that have no place there
/// ([`is_forbidden_trailer`]).
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !is_forbidden_trailer(name.as_str()) {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap, keeps: impl Fn(&HeaderName) -> bool) {
    write_other_fields(out, fields, keeps, |_| false);
}

/// Writes the fields that are not for one hop and do not frame the message. `keeps` makes exceptions, and `omits` leaves
/// out more.
fn write_other_fields(
    out: &mut Vec<u8>,
    fields: &HeaderMap,
    keeps: impl Fn(&HeaderName) -> bool,
    omits: impl Fn(&HeaderName) -> bool,
) {
    let named: Vec<HeaderName> = fields::named_by_connection(fields).collect();
    for (name, value) in fields {
        let is_ours = *name == CONTENT_LENGTH || is_hop_by_hop(name.as_str());
        let is_left_out = omits(name) || is_ours || named.contains(name);
        if keeps(name) || !is_left_out {
            write_field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_length(out: &mut Vec<u8>, length: Length) {
    match length {
        Length::None | Length::UntilClose => {}
        Length::Known(length) => {
            out.extend_from_slice(b"content-length: ");
            write_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Length::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        // Below 10, so it fits.
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

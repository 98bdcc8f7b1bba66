//! Heads and chunks as bytes. What frames a message is written here and nowhere else, so it is written once.

use http::{HeaderMap, StatusCode};

use super::fields::is_for_one_hop;
use super::{FieldSet, Framing, Length, is_forbidden_trailer};

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

/// What tells a client that it may send the body that it has announced (RFC 9110, section 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes the head of a response.
///
/// Names and values are written as they are. Content-Length, Transfer-Encoding and Connection are written from
/// `framing`, whatever `fields` say of them; only where HEAD asked and the length of what was left out is not known
/// does the Content-Length of `fields` stand. Fields for one hop are left out, but for the Upgrade of a 101 or 426.
///
/// `date` is the value of Date, for a head that has none and is no 1xx: 29 bytes such as `Sun, 06 Nov 1994 08:49:37
/// GMT` (RFC 9110, section 5.6.7).
pub fn write_response_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    fields: &impl FieldSet,
    framing: &Framing,
    date: Option<&[u8]>,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let reason = status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(date) = date
        && !status.is_informational()
        && !fields.has_date()
    {
        write_field(out, b"date", date);
    }
    let upgrades = framing.may_upgrade && fields.has_upgrade();
    let stated = framing.stated_length(fields);
    write_fields(out, fields, upgrades, |_| true);
    write_length(out, stated);
    write_connection(
        out,
        [
            (framing.says_close, b"close"),
            (framing.says_keep_alive, b"keep-alive"),
            (upgrades, b"upgrade"),
        ],
    );
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a request in HTTP/1.1. Method and target are written as they are: a token, and what is visible
/// ASCII, as [`http::Method`] and [`http::Uri`] give them. `fields` have Host.
///
/// Content-Length, Transfer-Encoding and Connection are written from `length` and `connection`, whatever `fields` say
/// of them. Fields for one hop are left out, but for Upgrade with [`Connection::Upgrade`], and `TE: trailers`. A
/// request's body cannot last until the connection is closed: [`Length::UntilClose`] is taken as [`Length::Chunked`].
pub fn write_request_head(
    out: &mut Vec<u8>,
    method: &str,
    target: &str,
    fields: &impl FieldSet,
    length: Length,
    connection: Connection,
) {
    write_request_head_with(
        out,
        (method, target),
        fields,
        (length, connection),
        |_| true,
        |_| {},
    );
}

/// As [`write_request_head`], for who passes a request on: only the fields of which `passes` says so are written, and
/// behind them `more` writes its own, in whole lines. `passes` is asked with names in any case.
pub fn write_request_head_with(
    out: &mut Vec<u8>,
    (method, target): (&str, &str),
    fields: &impl FieldSet,
    (length, connection): (Length, Connection),
    passes: impl Fn(&[u8]) -> bool,
    more: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let upgrades = connection == Connection::Upgrade && fields.has_upgrade();
    let wants_trailers = fields.wants_trailers();
    // First, as RFC 9110 (section 7.2) asks.
    if let Some(host) = fields.host().filter(|_| passes(b"host")) {
        write_field(out, b"host", host);
    }
    let passes = |name: &[u8]| !name.eq_ignore_ascii_case(b"host") && passes(name);
    write_fields(out, fields, upgrades, passes);
    more(out);
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
    write_connection(
        out,
        [
            (connection == Connection::Close, b"close"),
            (upgrades, b"upgrade"),
            (wants_trailers, b"te"),
        ],
    );
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before a chunk of `len` bytes; [`CHUNK_TAIL`] follows the chunk. `len` is not 0: that would end the
/// body, and nothing is written.
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

/// Writes the fields that are neither for one hop nor frame the message, and that pass; of those for one hop, Upgrade
/// where the message `upgrades`.
fn write_fields<F: FieldSet>(
    out: &mut Vec<u8>,
    fields: &F,
    upgrades: bool,
    passes: impl Fn(&[u8]) -> bool,
) {
    let names_fields = fields.names_fields();
    for (name, value) in fields.lines() {
        let is_written = match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => upgrades,
            14 if name.eq_ignore_ascii_case(b"content-length") => false,
            _ => {
                let is_named = names_fields && fields.is_named(name);
                !is_for_one_hop(name) && !is_named && passes(name)
            }
        };
        if is_written {
            let at = out.len();
            write_field(out, name, value);
            if !F::IS_LOWER
                && let Some(written) = out.get_mut(at..at + name.len())
            {
                written.make_ascii_lowercase();
            }
        }
    }
}

fn write_connection<const N: usize>(out: &mut Vec<u8>, options: [(bool, &[u8]); N]) {
    let mut before: &[u8] = b"connection: ";
    let said = options.iter().filter(|(is_said, _)| *is_said);
    for (_, option) in said {
        out.extend_from_slice(before);
        out.extend_from_slice(option);
        before = b", ";
    }
    if options.iter().any(|(is_said, _)| *is_said) {
        out.extend_from_slice(b"\r\n");
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

#[cfg(test)]
mod tests;

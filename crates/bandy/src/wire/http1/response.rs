//! The head of a response, read where it lies.

use bytes::Bytes;
use http::{StatusCode, Version, response};

use super::framing::{self, Seen};
use super::request::{VERSION_BYTES, version};
use super::syntax::{self, FieldLine, Fields};
use super::{Asked, Bounds, Length, Reject};

/// The head of a response, borrowed from the buffer it was parsed in.
///
/// One with a status of 1xx ([`is_informational`](StatusCode::is_informational)) is not the answer yet: the next head
/// follows at once. But 101 is the last one, see [`upgrades`](ResponseHead::upgrades).
#[derive(Clone, Debug)]
pub struct ResponseHead<'b> {
    /// The status.
    pub status: StatusCode,
    /// What stands behind the status; often empty. Means nothing.
    pub reason: &'b [u8],
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// How long the body is.
    pub length: Length,
    /// Whether the connection can be used again after the body.
    pub keep_alive: bool,
    /// Whether what follows is no longer HTTP: a 101 that names a protocol, or a 2xx that answers CONNECT.
    pub upgrades: bool,
    head: &'b [u8],
    fields_at: usize,
    /// Whether Connection names fields.
    pub(super) names_fields: bool,
    pub(super) has_date: bool,
}

/// Parses the head of a response at the start of `bytes`. `Ok(None)`: it is not whole yet. The number is how many
/// bytes the head has; the body, or the next head, begins behind them.
///
/// `asked` is the method that it answers. Once there is a verdict, more bytes do not change it.
///
/// # Errors
///
/// The first thing in the order of its bytes that is wrong with the head. Close then: where the next response begins is
/// not known.
pub fn parse_response<'b>(
    bytes: &'b [u8],
    bounds: &Bounds,
    asked: Asked,
) -> Result<Option<(ResponseHead<'b>, usize)>, Reject> {
    let within = bytes.get(..bounds.head_bytes).unwrap_or(bytes);
    match parse(within, bounds, asked)? {
        None if within.len() == bounds.head_bytes => Err(Reject::HeadTooLarge),
        parsed => Ok(parsed),
    }
}

fn parse<'b>(
    bytes: &'b [u8],
    bounds: &Bounds,
    asked: Asked,
) -> Result<Option<(ResponseHead<'b>, usize)>, Reject> {
    let Some(line) = status_line(bytes)? else {
        return Ok(None);
    };
    let StatusLine {
        version, status, ..
    } = line;
    let (mut seen, mut has_date) = (Seen::default(), false);
    let (mut at, mut count) = (line.end, 0);
    let end = loop {
        match syntax::field_line(bytes, at)? {
            FieldLine::Field { name, value, next } => {
                at = next;
                count += 1;
                if count > bounds.fields {
                    return Err(Reject::TooManyFields);
                }
                match name.len() {
                    4 => has_date |= name.eq_ignore_ascii_case(b"date"),
                    _ => seen.take(name, value)?,
                }
            }
            FieldLine::End { next } => break next,
            FieldLine::Partial => return Ok(None),
        }
    };
    let stated = seen.stated(version)?;
    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
    if switches && !seen.upgrades(version) {
        return Err(Reject::SwitchToNothing);
    }
    let tunnels = framing::tunnels(asked, status);
    let has_no_body = tunnels || asked == Asked::Head || framing::is_bodiless(status);
    let length = match stated {
        _ if has_no_body => Length::None,
        Some(length) => length,
        None => Length::UntilClose,
    };
    let head = ResponseHead {
        status,
        reason: line.reason,
        version,
        length,
        keep_alive: seen.keep_alive(version) && length != Length::UntilClose,
        upgrades: switches || tunnels,
        head: bytes.get(..end).unwrap_or_default(),
        fields_at: line.end,
        names_fields: seen.names_fields,
        has_date,
    };
    Ok(Some((head, end)))
}

struct StatusLine<'b> {
    version: Version,
    status: StatusCode,
    reason: &'b [u8],
    /// Where the field lines begin.
    end: usize,
}

fn status_line(bytes: &[u8]) -> Result<Option<StatusLine<'_>>, Reject> {
    let Some(version) = version(bytes).map_err(|wrong| wrong.unwrap_or(Reject::StatusLine))? else {
        return Ok(None);
    };
    let rest = bytes.get(VERSION_BYTES..).unwrap_or_default();
    // The space behind the status is missing where there is no reason and the server is an old one: it changes nothing.
    let is_so_far = |(at, byte): (usize, &u8)| match at {
        0 => *byte == b' ',
        _ => byte.is_ascii_digit(),
    };
    let (number, rest) = rest.split_at(rest.len().min(4));
    if !number.iter().enumerate().all(is_so_far) {
        return Err(Reject::StatusLine);
    }
    let Some(digits) = number.get(1..4) else {
        return Ok(None);
    };
    let status = StatusCode::from_bytes(digits).map_err(|_| Reject::StatusLine)?;
    let (reason, end) = rest.split_at(syntax::text_length(rest));
    match end.first() {
        _ if !matches!(reason.first(), None | Some(b' ')) => return Err(Reject::StatusLine),
        None => return Ok(None),
        Some(b'\r') if syntax::line_end(end)? => {}
        Some(b'\r') => return Ok(None),
        Some(b'\n') => return Err(Reject::LineEnd),
        Some(_) => return Err(Reject::StatusLine),
    }
    Ok(Some(StatusLine {
        version,
        status,
        reason: syntax::trim(reason),
        end: VERSION_BYTES + number.len() + reason.len() + 2,
    }))
}

impl<'b> ResponseHead<'b> {
    /// The fields in their order, names as they were written.
    pub fn fields(&self) -> Fields<'b> {
        let end = self.head.len().saturating_sub(2);
        Fields::new(self.head.get(self.fields_at..end).unwrap_or_default())
    }

    /// The fields that go on to the next hop: all but those of [`is_hop_by_hop`](super::is_hop_by_hop) and those that
    /// Connection names, which cannot take away Host or Content-Length.
    pub fn end_to_end(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'b> {
        self.fields().end_to_end(self.names_fields)
    }

    /// The head as the parts of a [`http::Response`]. `owned` is the very head, as many bytes as [`parse_response`]
    /// said: values are slices of it, and none is copied.
    ///
    /// # Errors
    ///
    /// [`Reject::TooManyFields`] for more than a [`http::HeaderMap`] has place for.
    pub fn to_parts(&self, owned: &Bytes) -> Result<response::Parts, Reject> {
        let mut parts = response::Response::new(()).into_parts().0;
        parts.status = self.status;
        parts.version = self.version;
        parts.headers = syntax::to_map(self.fields(), self.head, owned)?;
        Ok(parts)
    }
}

#[cfg(test)]
mod tests;

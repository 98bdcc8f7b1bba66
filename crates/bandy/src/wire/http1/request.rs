//! The head of a request, read where it lies.

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Method, Uri, Version, request};

use super::framing::Seen;
use super::syntax::{self, FieldLine, Fields};
use super::target::{self, Form};
use super::{Bounds, Length, Reject, is_valid_host};

/// The longest registered method has 17 bytes (UPDATEREDIRECTREF).
const METHOD_BYTES: usize = 32;
/// More than that [`Uri`] cannot hold.
const TARGET_BYTES: usize = 65_534;

/// The head of a request, borrowed from the buffer it was parsed in. It has passed the gate: its host is valid, its
/// length is the only one it can be understood to have.
#[derive(Clone, Debug)]
pub struct RequestHead<'b> {
    /// The method, case-sensitive.
    pub method: &'b str,
    /// The target as it was written; [`form`](RequestHead::form) says what it is.
    pub target: &'b str,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// How long the body is; never [`Length::UntilClose`].
    pub length: Length,
    /// Whether the connection goes on after the answer, by the version and Connection.
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body. Never without a body, nor in HTTP/1.0.
    pub expects_continue: bool,
    /// Whether the client offers to go on with another protocol: Connection says `upgrade` and there is an Upgrade
    /// field.
    pub upgrades: bool,
    host: Option<&'b str>,
    form: Form<'b>,
    /// All of it, the last line end included.
    head: &'b [u8],
    /// Where the field lines begin in `head`.
    fields_at: usize,
    /// Whether Connection names fields.
    pub(super) names_fields: bool,
    wants_trailers: bool,
}

/// Parses the head of a request at the start of `bytes`. `Ok(None)`: it is not whole yet. The number is how many
/// bytes the head has; the body begins behind them.
///
/// One CRLF before it is skipped, and counted (RFC 9112, section 2.2). Once there is a verdict, more bytes do not
/// change it.
///
/// # Errors
///
/// The first thing in the order of its bytes that is wrong with the head. Answer with its [`status`](Reject::status)
/// and close.
pub fn parse_request<'b>(
    bytes: &'b [u8],
    bounds: &Bounds,
) -> Result<Option<(RequestHead<'b>, usize)>, Reject> {
    let within = bytes.get(..bounds.head_bytes).unwrap_or(bytes);
    match parse(within, bounds)? {
        None if within.len() == bounds.head_bytes => Err(Reject::HeadTooLarge),
        parsed => Ok(parsed),
    }
}

fn parse<'b>(bytes: &'b [u8], bounds: &Bounds) -> Result<Option<(RequestHead<'b>, usize)>, Reject> {
    let Some(line) = request_line(bytes, bounds)? else {
        return Ok(None);
    };
    let RequestLine { version, .. } = line;
    let form = Form::of(line.method, line.target)?;
    let mut seen = Seen::default();
    let (mut host, mut expects_continue, mut wants_trailers) = (None, false, false);
    let (mut at, mut count) = (line.end, 0);
    let end = loop {
        let (name, value) = match syntax::field_line(bytes, at)? {
            FieldLine::Field { name, value, next } => {
                at = next;
                (name, value)
            }
            FieldLine::End { next } => break next,
            FieldLine::Partial => return Ok(None),
        };
        count += 1;
        if count > bounds.fields {
            return Err(Reject::TooManyFields);
        }
        match name.len() {
            2 if name.eq_ignore_ascii_case(b"te") => {
                wants_trailers |= syntax::list(value).any(|m| m.eq_ignore_ascii_case(b"trailers"));
            }
            4 if name.eq_ignore_ascii_case(b"host") => {
                if host.is_some() {
                    return Err(Reject::HostRepeated);
                }
                host = Some(valid_host(value)?);
            }
            6 if name.eq_ignore_ascii_case(b"expect") && version == Version::HTTP_11 => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Reject::Expectation);
                }
                expects_continue = true;
            }
            _ => seen.take(name, value)?,
        }
    };
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Reject::HostMissing);
    }
    let length = seen.stated(version)?.unwrap_or(Length::None);
    let has_body = !matches!(length, Length::None | Length::Known(0));
    let head = RequestHead {
        method: line.method,
        target: line.target,
        version,
        length,
        keep_alive: seen.keep_alive(version),
        expects_continue: expects_continue && has_body,
        upgrades: seen.upgrades(version),
        host: match form {
            Form::Absolute { authority, .. } => Some(authority),
            Form::Authority => Some(line.target),
            Form::Origin | Form::Asterisk => host,
        },
        form,
        head: bytes.get(..end).unwrap_or_default(),
        fields_at: line.end,
        names_fields: seen.names_fields,
        wants_trailers,
    };
    Ok(Some((head, end)))
}

struct RequestLine<'b> {
    method: &'b str,
    target: &'b str,
    version: Version,
    /// Where the field lines begin.
    end: usize,
}

fn request_line<'b>(bytes: &'b [u8], bounds: &Bounds) -> Result<Option<RequestLine<'b>>, Reject> {
    let start = match bytes.first() {
        None => return Ok(None),
        Some(b'\r') if syntax::line_end(bytes)? => 2,
        Some(b'\r') => return Ok(None),
        Some(b'\n') => return Err(Reject::LineEnd),
        Some(_) => 0,
    };
    let line = bytes.get(start..).unwrap_or_default();

    let window = line.get(..=METHOD_BYTES).unwrap_or(line);
    let (method, rest) = line.split_at(syntax::token_length(window));
    match rest.first() {
        _ if method.len() > METHOD_BYTES => return Err(Reject::MethodTooLong),
        None => return Ok(None),
        Some(b' ') if !method.is_empty() => {}
        Some(_) => return Err(Reject::RequestLine),
    }

    let rest = rest.get(1..).unwrap_or_default();
    let target_bytes = bounds.target_bytes.min(TARGET_BYTES);
    let window = rest.get(..=target_bytes).unwrap_or(rest);
    let (target, rest) = rest.split_at(target::length(window));
    match rest.first() {
        _ if target.len() > target_bytes => return Err(Reject::TargetTooLong),
        None => return Ok(None),
        Some(b' ') if !target.is_empty() => {}
        Some(b' ' | b'\r') => return Err(Reject::RequestLine),
        Some(b'\n') => return Err(Reject::LineEnd),
        Some(_) => return Err(Reject::Target),
    }

    let rest = rest.get(1..).unwrap_or_default();
    let Some(version) = version(rest).map_err(|wrong| wrong.unwrap_or(Reject::RequestLine))? else {
        return Ok(None);
    };
    let end = rest.get(VERSION_BYTES..).unwrap_or_default();
    match end.first() {
        None => return Ok(None),
        Some(b'\r') if syntax::line_end(end)? => {}
        Some(b'\r') => return Ok(None),
        Some(b'\n') => return Err(Reject::LineEnd),
        Some(_) => return Err(Reject::RequestLine),
    }
    Ok(Some(RequestLine {
        method: text(method)?,
        target: text(target)?,
        version,
        end: start + method.len() + 1 + target.len() + 1 + VERSION_BYTES + 2,
    }))
}

/// `HTTP/1.1`
pub(super) const VERSION_BYTES: usize = 8;

/// The version at the start of these bytes; `Ok(None)` when not all of it is there, `Err(None)` when it is none at all.
pub(super) fn version(bytes: &[u8]) -> Result<Option<Version>, Option<Reject>> {
    match bytes {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', ..] => return Ok(Some(Version::HTTP_11)),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', ..] => return Ok(Some(Version::HTTP_10)),
        _ => {}
    }
    let is_so_far = |(byte, like): (&u8, &u8)| match like {
        b'1' => byte.is_ascii_digit(),
        like => byte == like,
    };
    if !bytes.iter().zip(b"HTTP/1.1").all(is_so_far) {
        return Err(None);
    }
    if bytes.len() < VERSION_BYTES {
        return Ok(None);
    }
    Err(Some(Reject::Version))
}

/// Bytes that were found to be ASCII.
fn text(bytes: &[u8]) -> Result<&str, Reject> {
    std::str::from_utf8(bytes).map_err(|_| Reject::RequestLine)
}

fn valid_host(value: &[u8]) -> Result<&str, Reject> {
    let host = std::str::from_utf8(value).map_err(|_| Reject::HostInvalid)?;
    match is_valid_host(host) {
        true => Ok(host),
        false => Err(Reject::HostInvalid),
    }
}

impl<'b> RequestHead<'b> {
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

    /// The host that the request is for, with its port if it has one: that of the target where it names one, else Host.
    /// `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&'b str> {
        self.host
    }

    /// Whether the client says `TE: trailers`. It is for one hop: to be said anew to the next.
    pub fn wants_trailers(&self) -> bool {
        self.wants_trailers
    }

    /// The target as a server that is asked directly has it: in origin form, or `*`. CONNECT has none.
    pub fn path_and_query(&self) -> Option<&'b str> {
        match self.form {
            Form::Origin | Form::Asterisk => Some(self.target),
            Form::Absolute { path_and_query, .. } => Some(path_and_query),
            Form::Authority => None,
        }
    }

    /// What the target is.
    pub fn form(&self) -> Form<'b> {
        self.form
    }

    /// The head as the parts of a [`http::Request`]. `owned` is the very head, as many bytes as [`parse_request`] said:
    /// values are slices of it, and none is copied. Where the target names a host, that is what Host says afterwards
    /// (RFC 9112, section 3.2.2).
    ///
    /// # Errors
    ///
    /// [`Reject::Target`] and [`Reject::TooManyFields`] for what the gate lets through and the types of `http` have no
    /// place for.
    pub fn to_parts(&self, owned: &Bytes) -> Result<request::Parts, Reject> {
        let slice = |part: &[u8]| syntax::slice(part, self.head, owned);
        let mut parts = request::Request::new(()).into_parts().0;
        parts.method =
            Method::from_bytes(self.method.as_bytes()).map_err(|_| Reject::RequestLine)?;
        parts.uri =
            Uri::from_maybe_shared(slice(self.target.as_bytes())).map_err(|_| Reject::Target)?;
        parts.version = self.version;
        let mut fields = syntax::to_map(self.fields(), self.head, owned)?;
        if let (Some(host), Form::Absolute { .. } | Form::Authority) = (self.host, self.form) {
            let host = HeaderValue::from_maybe_shared(slice(host.as_bytes()));
            fields.insert(HOST, host.map_err(|_| Reject::HostInvalid)?);
        }
        parts.headers = fields;
        Ok(parts)
    }
}

#[cfg(test)]
mod tests;

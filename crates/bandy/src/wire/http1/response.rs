//! The heads of responses (RFC 9112, section 4).

use ::http::response::Parts;
use ::http::{Method, Response, StatusCode, Version};
use bytes::Bytes;
use httparse::{Header, Status};

use super::head::{Bounds, Length, Said, Slots, check_line_ends, explain, map};
use super::reject::Reject;

/// The head of a response, borrowed from the buffer that it was parsed in.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'b, 's> {
    /// Its status. 1xx: another head follows.
    pub status: StatusCode,
    /// What stands behind the status.
    pub reason: &'b str,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// How long its body is, given what was asked.
    pub length: Length,
    /// Whether another request may follow on this connection.
    pub keep_alive: bool,
    fields: &'s [Header<'b>],
}

/// The head at the start of `bytes`, and its length; `None` while it is not whole. `asked` is the request's method,
/// which decides whether there is a body.
///
/// # Errors
/// Why it is not taken, as soon as that can be told.
pub fn parse_response<'b, 's>(
    bytes: &'b [u8],
    bounds: &Bounds,
    asked: &Method,
    slots: &'s mut Slots<'b>,
) -> Result<Option<(ResponseHead<'b, 's>, usize)>, Reject> {
    let is_late = bytes.len() > bounds.head_bytes;
    let head = bytes.get(..bounds.head_bytes).unwrap_or(bytes);
    let parsed = slots.parse(bounds, head, |slots| {
        let mut response = httparse::Response::new(&mut []);
        let status = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, head, slots)
            .map_err(explain)?;
        Ok((
            status,
            response.code,
            response.reason,
            response.version,
            &*response.headers,
        ))
    });
    let (status, code, reason, version, fields) = match parsed {
        Err(e) => {
            check_line_ends(head)?;
            return Err(e);
        }
        Ok(parsed) => parsed,
    };
    let Status::Complete(len) = status else {
        check_line_ends(head)?;
        return match is_late {
            true => Err(Reject::HeadTooLong),
            false => Ok(None),
        };
    };
    check_line_ends(head.get(..len).unwrap_or(head))?;
    let (Some(code), Some(version)) = (code, version) else {
        return Err(Reject::StartLine);
    };
    let status = StatusCode::from_u16(code).map_err(|_| Reject::StartLine)?;
    let version = match version {
        0 => Version::HTTP_10,
        1 => Version::HTTP_11,
        _ => return Err(Reject::Version),
    };
    let said = Said::read(fields, version)?;
    let is_bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *asked == Method::HEAD
        || (*asked == Method::CONNECT && status.is_success());
    let length = match (is_bodiless, said.is_chunked, said.length) {
        (true, _, _) => Length::None,
        (_, true, _) => Length::Chunked,
        (_, _, Some(length)) => Length::Known(length),
        _ => Length::UntilClose,
    };
    let head = ResponseHead {
        status,
        reason: reason.unwrap_or_default(),
        version,
        length,
        keep_alive: length != Length::UntilClose && said.keep_alive(version),
        fields,
    };
    Ok(Some((head, len)))
}

impl<'b, 's> ResponseHead<'b, 's> {
    /// Names and values in the order in which they were sent.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'b str, &'b [u8])> + use<'b, 's> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// The head as the `http` crate has it. `owned` is what it was parsed in: values are slices of it.
    ///
    /// # Errors
    /// What `http` does not take.
    pub fn to_parts(&self, owned: &Bytes) -> Result<Parts, Reject> {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = self.status;
        parts.version = self.version;
        parts.headers = map(self.fields(), owned)?;
        Ok(parts)
    }
}

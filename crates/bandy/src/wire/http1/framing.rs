//! Where a message ends and what becomes of the connection: read from the fields of a head, decided for a response.

use http::header::CONTENT_LENGTH;
use http::{StatusCode, Version};

use super::{Asked, FieldSet, Length, Reject, syntax};

/// How a response goes out: decided once, then written by [`write_response_head`](super::write_response_head) and kept
/// to by who writes the body.
///
/// ```
/// use bandy::wire::http1::{Asked, Framing, Length};
/// use http::{StatusCode, Version};
///
/// // HTTP/1.0 has no chunks: the end of the connection is the end of the body.
/// let framing = Framing::new(Asked::Other, Version::HTTP_10, StatusCode::OK, Length::Chunked, true);
/// assert_eq!((framing.body, framing.keep_alive), (Length::UntilClose, false));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framing {
    /// How the body is to be written: not at all, as it is, in chunks, or as it is and then closed.
    pub body: Length,
    /// Whether the connection goes on afterwards.
    pub keep_alive: bool,
    /// What the head says of the body's length.
    stated: Length,
    /// Whether a Content-Length of the service's stands where `stated` is none.
    trusts_fields: bool,
    pub(super) says_close: bool,
    /// HTTP/1.0 closes unless told otherwise.
    pub(super) says_keep_alive: bool,
    /// 101 says which protocol begins, 426 which one is asked for.
    pub(super) may_upgrade: bool,
}

impl Framing {
    /// For a response with a body of this length (where it is not known: [`Length::Chunked`]) to a request with this
    /// method and version. `keep_alive` is whether both sides want the connection to go on.
    ///
    /// A client that speaks HTTP/1.0 gets no chunks but the connection's end. HEAD, 1xx, 204, 304 and a 2xx to CONNECT
    /// have no body, whatever its length would be; what HEAD asked about is still stated.
    pub fn new(
        asked: Asked,
        version: Version,
        status: StatusCode,
        length: Length,
        keep_alive: bool,
    ) -> Framing {
        let is_old = version == Version::HTTP_10;
        let is_head = asked == Asked::Head;
        let says_nothing = is_bodiless(status) || tunnels(asked, status);
        let length = match length {
            Length::Chunked if is_old => Length::UntilClose,
            Length::None => Length::Known(0),
            length => length,
        };
        let body = match length {
            _ if says_nothing || is_head => Length::None,
            length => length,
        };
        let keep_alive = keep_alive && body != Length::UntilClose;
        // Nothing follows these heads that a connection could be closed after.
        let is_last_head = !status.is_informational() && !tunnels(asked, status);
        Framing {
            body,
            keep_alive,
            stated: match length {
                _ if says_nothing => Length::None,
                // Nothing, because HEAD was asked, or because there is nothing: GET might have had more.
                Length::Known(0) if is_head => Length::None,
                length => length,
            },
            trusts_fields: is_head && !says_nothing,
            says_close: !keep_alive && is_last_head,
            says_keep_alive: keep_alive && is_old && is_last_head,
            may_upgrade: matches!(
                status,
                StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED
            ),
        }
    }

    /// What a head with these fields says of its body's length.
    pub(super) fn stated_length(&self, fields: &impl FieldSet) -> Length {
        if self.stated != Length::None || !self.trusts_fields {
            return self.stated;
        }
        let mut lengths = fields.values(&CONTENT_LENGTH);
        match (lengths.next(), lengths.next()) {
            (Some(length), None) => decimal(length).map_or(Length::None, Length::Known),
            _ => Length::None,
        }
    }
}

/// Whether a response with this status has no body, whatever its head says (RFC 9112, section 6.3).
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Whether what follows a response is a tunnel (RFC 9110, section 9.3.6).
pub(super) fn tunnels(asked: Asked, status: StatusCode) -> bool {
    asked == Asked::Connect && status.is_success()
}

/// Bytes of Connection, in all its fields. When a message goes on, every field is looked for in it.
const CONNECTION_BYTES: usize = 1024;

/// What was seen so far of the fields that frame a message. Both roles read them by the same rules.
#[derive(Default)]
pub(super) struct Seen {
    length: Option<u64>,
    is_chunked: bool,
    /// `Connection: close`
    closes: bool,
    /// `Connection: keep-alive`
    keeps: bool,
    /// `Connection: upgrade`
    wants_upgrade: bool,
    /// There is an Upgrade that names something.
    names_protocol: bool,
    /// Connection says more than that: names of fields.
    pub(super) names_fields: bool,
    /// Bytes of Connection so far.
    connection: usize,
}

impl Seen {
    /// Takes a field in, if it is one of these. Its length decides first: most fields are none of them.
    #[inline]
    pub(super) fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reject> {
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.names_protocol |= syntax::list(value).next().is_some();
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection(value)?,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(Reject::LengthRepeated);
                }
                self.length = Some(decimal(value).ok_or(Reject::LengthInvalid)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Reject::Encoding);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Reject> {
        self.connection += value.len();
        if self.connection > CONNECTION_BYTES {
            return Err(Reject::ConnectionTooLarge);
        }
        for option in syntax::list(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.closes = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.wants_upgrade = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keeps = true,
                _ => self.names_fields = true,
            }
        }
        Ok(())
    }

    /// The length that was stated, if any, now that all fields were seen.
    pub(super) fn stated(&self, version: Version) -> Result<Option<Length>, Reject> {
        match (self.length, self.is_chunked) {
            (Some(_), true) => Err(Reject::LengthAndEncoding),
            (None, true) if version == Version::HTTP_10 => Err(Reject::EncodingTooNew),
            (None, true) => Ok(Some(Length::Chunked)),
            (Some(length), false) => Ok(Some(Length::Known(length))),
            (None, false) => Ok(None),
        }
    }

    /// Whether the connection goes on after this message, as far as its sender is concerned (RFC 9112, section 9.3).
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.closes && (version == Version::HTTP_11 || self.keeps)
    }

    /// Whether another protocol is named (RFC 9110, section 7.8). HTTP/1.0 cannot.
    pub(super) fn upgrades(&self, version: Version) -> bool {
        version == Version::HTTP_11 && self.wants_upgrade && self.names_protocol
    }
}

/// Digits and nothing else, no more than the largest number has.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if !(1..=20).contains(&value.len()) {
        return None;
    }
    value.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

//! What the fields of a head say about where its message ends and what becomes of the connection.

use http::Version;

use super::{Length, Reject, syntax};

/// What was seen so far of the fields that frame a message. Both roles read them by the same rules.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) length: Option<u64>,
    pub(super) is_chunked: bool,
    /// `Connection: close`
    pub(super) closes: bool,
    /// `Connection: keep-alive`
    keeps: bool,
    /// `Connection: upgrade`
    wants_upgrade: bool,
    /// There is an Upgrade that names something.
    names_protocol: bool,
}

impl Seen {
    /// Takes a field in, if it is one of these. Its length decides first: most fields are none of them.
    #[inline]
    pub(super) fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reject> {
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.names_protocol |= syntax::list(value).next().is_some();
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.connection(value),
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

    fn connection(&mut self, value: &[u8]) {
        for option in syntax::list(value) {
            match option.len() {
                5 => self.closes |= option.eq_ignore_ascii_case(b"close"),
                7 => self.wants_upgrade |= option.eq_ignore_ascii_case(b"upgrade"),
                10 => self.keeps |= option.eq_ignore_ascii_case(b"keep-alive"),
                _ => {}
            }
        }
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

/// Digits and nothing else.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

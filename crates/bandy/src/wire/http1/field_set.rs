//! Fields that are written, wherever they are: in a map, or in a head as it came.

use http::header::{CONNECTION, DATE, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderName};

use super::fields::can_be_named;
use super::{RequestHead, ResponseHead, syntax};

/// The fields of a message that is written: what is passed on as it came, and what was made, go by the same rules.
pub trait FieldSet {
    /// Whether names are in lower case already; else they are written so.
    const IS_LOWER: bool;

    /// All of them, names in any case.
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])>;

    /// The values of those with this name, which is in lower case.
    fn values<'s>(&'s self, name: &'s HeaderName) -> impl Iterator<Item = &'s [u8]>;

    /// Whether there is one of this name.
    fn has(&self, name: &HeaderName) -> bool {
        self.values(name).next().is_some()
    }

    /// What Host says; in a request that came as bytes, what it means.
    fn host(&self) -> Option<&[u8]> {
        self.values(&HOST).next()
    }

    /// Whether Connection names fields, which are then for one hop.
    fn names_fields(&self) -> bool {
        let mut options = self.values(&CONNECTION).flat_map(syntax::list);
        options.any(|option| !is_connection_option(option))
    }

    /// Whether Connection names this field, where it can.
    fn is_named(&self, name: &[u8]) -> bool {
        let mut options = self.values(&CONNECTION).flat_map(syntax::list);
        can_be_named(name) && options.any(|option| option.eq_ignore_ascii_case(name))
    }

    /// Whether `TE` says `trailers`.
    fn wants_trailers(&self) -> bool {
        let mut members = self.values(&TE).flat_map(syntax::list);
        members.any(|member| member.eq_ignore_ascii_case(b"trailers"))
    }

    /// Whether there is a Date.
    fn has_date(&self) -> bool {
        self.has(&DATE)
    }

    /// Whether there is an Upgrade.
    fn has_upgrade(&self) -> bool {
        self.has(&UPGRADE)
    }
}

/// What Connection says of the connection itself (RFC 9110, section 7.6.1).
pub(super) fn is_connection_option(option: &[u8]) -> bool {
    match option.len() {
        5 => option.eq_ignore_ascii_case(b"close"),
        7 => option.eq_ignore_ascii_case(b"upgrade"),
        10 => option.eq_ignore_ascii_case(b"keep-alive"),
        _ => false,
    }
}

impl FieldSet for HeaderMap {
    const IS_LOWER: bool = true;

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter()
            .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
    }

    fn values<'s>(&'s self, name: &'s HeaderName) -> impl Iterator<Item = &'s [u8]> {
        self.get_all(name).into_iter().map(|value| value.as_bytes())
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.contains_key(name)
    }
}

impl FieldSet for RequestHead<'_> {
    const IS_LOWER: bool = false;

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields().lines()
    }

    fn values<'s>(&'s self, name: &'s HeaderName) -> impl Iterator<Item = &'s [u8]> {
        self.fields().of(name.as_str().as_bytes())
    }

    fn host(&self) -> Option<&[u8]> {
        RequestHead::host(self).map(str::as_bytes)
    }

    fn names_fields(&self) -> bool {
        self.names_fields
    }

    fn wants_trailers(&self) -> bool {
        RequestHead::wants_trailers(self)
    }
}

impl FieldSet for ResponseHead<'_> {
    const IS_LOWER: bool = false;

    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields().lines()
    }

    fn values<'s>(&'s self, name: &'s HeaderName) -> impl Iterator<Item = &'s [u8]> {
        self.fields().of(name.as_str().as_bytes())
    }

    fn names_fields(&self) -> bool {
        self.names_fields
    }

    fn has_date(&self) -> bool {
        self.has_date
    }
}

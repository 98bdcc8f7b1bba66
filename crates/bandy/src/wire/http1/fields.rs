//! Which fields go no further than the next hop, and which may stand in trailers.

use http::HeaderMap;
use http::header::{CONNECTION, HOST, HeaderName, TE};

use super::syntax;

/// Whether a field is for the next hop only, whatever Connection says (RFC 9110, section 7.6.1). Any case.
///
/// `TE` is one, though `TE: trailers` may be said anew to the next hop.
pub fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|n| n.eq_ignore_ascii_case(name))
}

/// Removes what is for one hop only: the fields of [`is_hop_by_hop`] and those that Connection names. Never Host, nor
/// Content-Length, which would let a peer change what a message means. What is left of TE is `trailers`, if it was said.
pub fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = named_by_connection(fields).collect();
    let wants_trailers = wants_trailers(fields);
    for name in named {
        fields.remove(name);
    }
    for name in HOP_BY_HOP {
        fields.remove(name);
    }
    if wants_trailers {
        fields.insert(TE, http::HeaderValue::from_static("trailers"));
    }
}

pub(super) const HOP_BY_HOP: [&str; 8] = [
    "te",
    "trailer",
    "upgrade",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "http2-settings",
];

/// The fields that Connection names, but for those that it cannot take away.
pub(super) fn named_by_connection(fields: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lists = fields.get_all(CONNECTION).into_iter();
    let names = lists.flat_map(|value| syntax::list(value.as_bytes()));
    let names = names.filter_map(|name| HeaderName::from_bytes(name).ok());
    names.filter(|name| *name != HOST && *name != http::header::CONTENT_LENGTH)
}

/// Whether `TE` says `trailers`.
pub(super) fn wants_trailers(fields: &HeaderMap) -> bool {
    let lists = fields.get_all(TE).into_iter();
    let mut members = lists.flat_map(|value| syntax::list(value.as_bytes()));
    members.any(|member| member.eq_ignore_ascii_case(b"trailers"))
}

/// Whether a field must not stand in trailers (RFC 9110, section 6.5.1): those that frame, route or authenticate a message, or
/// say what its content is, since the recipient has acted on them by then. Any case.
pub fn is_forbidden_trailer(name: &str) -> bool {
    const NAMES: [&str; 29] = [
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "retry-after",
        "set-cookie",
        "vary",
        "www-authenticate",
    ];
    is_hop_by_hop(name) || NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
}

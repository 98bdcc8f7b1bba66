//! Which fields go no further than the next hop, and which may stand in trailers.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{FieldSet as _, syntax};

/// Whether a field is for the next hop only, whatever Connection says (RFC 9110, section 7.6.1). Any case.
///
/// `TE` is one, though `TE: trailers` may be said anew to the next hop.
pub fn is_hop_by_hop(name: &str) -> bool {
    is_for_one_hop(name.as_bytes())
}

pub(super) fn is_for_one_hop(name: &[u8]) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    // Every field of every head comes by here, and most have a length that none of these has.
    match name.len() {
        2 => is("te"),
        7 => is("trailer") || is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        14 => is("http2-settings"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        _ => false,
    }
}

/// Removes what is for one hop only: the fields of [`is_hop_by_hop`] and those that Connection names. Never Host, nor
/// Content-Length, which would let a peer change what a message means. What is left of TE is `trailers`, if it was
/// said.
pub fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let named = named_by_connection(fields);
    let own = fields.keys().filter(|name| is_hop_by_hop(name.as_str()));
    let removed: Vec<HeaderName> = named.chain(own.cloned()).collect();
    let wants_trailers = fields.wants_trailers();
    for name in removed {
        fields.remove(name);
    }
    if wants_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether Connection can make a field one for one hop. Without these a message would mean something else, which a peer
/// that names them may want.
pub(super) fn can_be_named(name: &[u8]) -> bool {
    ![HOST, CONTENT_LENGTH]
        .iter()
        .any(|n| n.as_str().as_bytes().eq_ignore_ascii_case(name))
}

/// The fields that Connection names, but for those that it cannot take away.
fn named_by_connection(fields: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let lists = fields.get_all(CONNECTION).into_iter();
    let names = lists.flat_map(|value| syntax::list(value.as_bytes()));
    let names = names.filter_map(|name| HeaderName::from_bytes(name).ok());
    names.filter(|name| can_be_named(name.as_str().as_bytes()))
}

/// Whether a field must not stand in trailers (RFC 9110, section 6.5.1): those that frame, route or authenticate a
/// message, or say what its content is, since the recipient has acted on them by then. Any case.
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOP_BY_HOP: [&str; 8] = [
        "te",
        "trailer",
        "upgrade",
        "connection",
        "keep-alive",
        "http2-settings",
        "proxy-connection",
        "transfer-encoding",
    ];

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let parsed = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut map = HeaderMap::new();
        parsed.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    fn stripped(fields: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut map = map(fields);
        strip_hop_by_hop(&mut map);
        let said = map
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut said: Vec<_> = said.collect();
        // Removing changes the order.
        said.sort_unstable();
        said
    }

    #[test]
    fn what_is_for_one_hop_goes() {
        for name in HOP_BY_HOP {
            assert!(
                is_hop_by_hop(name) && is_hop_by_hop(&name.to_uppercase()),
                "{name}"
            );
            assert!(is_forbidden_trailer(name), "{name}");
            let x = format!("{}x", &name[1..]);
            assert!(!is_hop_by_hop(&x), "{x}");
        }
        let fields = HOP_BY_HOP.map(|name| (name, "x"));
        assert_eq!(stripped(&fields), [""; 0]);
        assert_eq!(
            stripped(&[("host", "a"), ("x", "1"), ("x", "2")]),
            ["host: a", "x: 1", "x: 2"]
        );
    }

    #[test]
    fn so_does_what_connection_names_but_not_what_a_message_means() {
        let fields = [
            ("host", "a"),
            ("connection", "Host, X-One,, content-length,\t"),
            ("connection", "x-two, (nonsense)"),
            ("x-one", "1"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("content-length", "5"),
        ];
        assert_eq!(
            stripped(&fields),
            ["content-length: 5", "host: a", "x-three: 3"]
        );
    }

    #[test]
    fn te_is_kept_for_trailers_only() {
        for (te, left) in [
            ("trailers", Some("trailers")),
            ("gzip, TRAILERS", Some("trailers")),
            ("gzip;q=0.5", None),
            ("xtrailers", None),
            ("", None),
        ] {
            let left: Vec<_> = left.map(|te| format!("te: {te}")).into_iter().collect();
            assert_eq!(stripped(&[("te", te), ("connection", "te")]), left, "{te}");
        }
    }

    #[test]
    fn trailers_do_not_frame_route_or_authenticate() {
        for name in [
            "Content-Length",
            "HOST",
            "authorization",
            "set-cookie",
            "content-type",
            "te",
            "trailer",
        ] {
            assert!(is_forbidden_trailer(name), "{name}");
        }
        for name in ["grpc-status", "server-timing", "etag", "digest", "x", ""] {
            assert!(!is_forbidden_trailer(name), "{name}");
        }
    }
}

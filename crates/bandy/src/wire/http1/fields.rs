//! Single fields: hosts, hop-by-hop fields, trailers.

use ::http::header::{CONNECTION, HOST, TE};
use ::http::{HeaderMap, HeaderName, HeaderValue};

/// Fields that are about one connection, and not about the message (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields that decide how a message is framed, routed, authenticated or read, and so come too late in a trailer (RFC
/// 9110, section 6.5.1).
const NOT_IN_TRAILERS: [&str; 22] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "location",
    "max-forwards",
    "range",
    "retry-after",
    "set-cookie",
    "trailer",
    "vary",
    "warning",
    "www-authenticate",
    "if-match",
    "if-none-match",
];

/// Whether a field is about one connection. The name is compared in any case.
pub fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name))
}

/// Whether a trailer must not be of that name.
pub fn is_forbidden_trailer(name: &str) -> bool {
    is_hop_by_hop(name)
        || NOT_IN_TRAILERS
            .iter()
            .any(|no| no.eq_ignore_ascii_case(name))
}

/// Removes what is about one connection: those fields, and those that Connection names. Host stays whatever it names;
/// of `TE` only `trailers` stays.
pub fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let te_trailers = fields.get_all(TE).iter().any(|value| {
        let mut tokens = value.as_bytes().split(|b| *b == b',');
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    let named: Vec<HeaderName> = fields
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| *name != HOST)
        .collect();
    for name in named {
        fields.remove(name);
    }
    for name in HOP_BY_HOP {
        fields.remove(name);
    }
    if te_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether this is `host` or `host:port`: a name, an IPv4 address, an IPv6 address in brackets (RFC 3986, section 3.2.2).
pub fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let (is_good, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) => (ip.parse::<std::net::Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|b| b.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    is_good && is_port
}

/// A reg-name that is not empty: unreserved, sub-delims, and whole percent-encodings.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let is_good = match byte {
            b'%' => {
                let mut digit = || bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
                digit() && digit()
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_good {
            return false;
        }
    }
    !name.is_empty()
}

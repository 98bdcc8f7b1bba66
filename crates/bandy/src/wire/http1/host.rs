//! What a Host may be (RFC 9110, section 7.2; RFC 3986, section 3.2.2).

use std::net::Ipv6Addr;

/// Whether this is `host` or `host:port`: a name, an IPv4 address or an IPv6 address in brackets, and a port of at most 65535.
///
/// Narrower than RFC 3986, where two things could be read differently by two recipients: percent-encoding, which no name
/// in the DNS has, and a colon with no port behind it. There is no user information.
pub fn is_valid_host(host: &str) -> bool {
    split(host.as_bytes()).is_some()
}

/// The same with a port that is there, as CONNECT asks for it (RFC 9110, section 9.3.6).
pub(super) fn is_host_and_port(host: &[u8]) -> bool {
    matches!(split(host), Some(Some(_)))
}

/// The port of a valid host, if it has one.
pub(super) fn split(host: &[u8]) -> Option<Option<u16>> {
    let after = match host.strip_prefix(b"[") {
        Some(literal) => {
            let end = memchr::memchr(b']', literal)?;
            let (address, rest) = literal.split_at(end);
            std::str::from_utf8(address)
                .ok()?
                .parse::<Ipv6Addr>()
                .ok()?;
            rest.get(1..)?
        }
        None => {
            let end = host.iter().position(|&b| !is_name(b));
            let (name, rest) = host.split_at(end.unwrap_or(host.len()));
            if name.is_empty() {
                return None;
            }
            rest
        }
    };
    match after {
        [] => Some(None),
        [b':', digits @ ..] => Some(Some(port(digits)?)),
        _ => None,
    }
}

fn port(digits: &[u8]) -> Option<u16> {
    let is_short = (1..=5).contains(&digits.len());
    if !is_short || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Unreserved bytes and sub-delimiters.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

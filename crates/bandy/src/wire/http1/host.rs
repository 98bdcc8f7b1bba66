//! What a Host may be (RFC 9110, section 7.2; RFC 3986, section 3.2.2).

use std::net::Ipv6Addr;

use super::syntax::table;

/// Whether this is `host` or `host:port`: a name, an IPv4 address or an IPv6 address in brackets, and a port of at most
/// 65535.
///
/// Narrower than RFC 3986, where two things could be read differently by two recipients: percent-encoding, which no
/// name in the DNS has, and a colon with no port behind it. There is no user information.
pub fn is_valid_host(host: &str) -> bool {
    split(host.as_bytes()).is_some()
}

/// The port of a valid host, if it has one; CONNECT asks for one (RFC 9110, section 9.3.6).
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
            let end = host.iter().position(|&b| !NAME[usize::from(b)]);
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
    if !(1..=5).contains(&digits.len()) {
        return None;
    }
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        Some(number * 10 + digit)
    });
    number?.try_into().ok()
}

/// Unreserved bytes and sub-delimiters.
static NAME: [bool; 256] = table(b"-._~!$&'()*+,;=");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for host in [
            "a",
            "a.test",
            "A-b_c.test.",
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "a!$&'()*+,;=~",
        ] {
            assert!(is_valid_host(host), "{host}");
            assert_eq!(split(host.as_bytes()), Some(None), "{host}");
            for (text, port) in [("0", 0), ("80", 80), ("00080", 80), ("65535", 65535)] {
                let host = format!("{host}:{text}");
                assert_eq!(split(host.as_bytes()), Some(Some(port)), "{host}");
            }
            for wrong in [
                ":", ":x", ":65536", ":000080", ":-1", ":+1", ":8 0", ":80:80", "/", "@b",
            ] {
                let host = format!("{host}{wrong}");
                assert!(!is_valid_host(&host), "{host}");
            }
        }
        for host in [
            "",
            ":80",
            "a b",
            "a/b",
            "a@b",
            "a:b@c",
            "a%2eb",
            "a\\b",
            "a?b",
            "a#b",
            "a\"b",
            "<a>",
            "a\0b",
            "é",
            "::1",
            "[]",
            "[::1",
            "::1]",
            "[::1]a",
            "[::1%25eth0]",
            "[127.0.0.1]",
            "[v1.a]",
            "[[::1]]",
            "a[::1]",
        ] {
            assert!(!is_valid_host(host), "{host}");
        }
    }
}

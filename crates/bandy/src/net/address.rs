//! From where: ranges of addresses (RFC 4632, RFC 4291).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Which addresses may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// Only these; none is all.
    pub allow: Vec<Range>,
    /// None of these, whatever is allowed.
    pub deny: Vec<Range>,
}

impl Addresses {
    /// Whether an address may ask. Who has none (a Unix socket's peer) is in no range.
    pub fn allow(&self, ip: Option<IpAddr>) -> bool {
        let is_in = |ranges: &[Range]| ip.is_some_and(|ip| ranges.iter().any(|r| r.contains(ip)));
        (self.allow.is_empty() || is_in(&self.allow)) && !is_in(&self.deny)
    }
}

/// The addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// It prints as short as it can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    ip: IpAddr,
    bits: u8,
}

impl Range {
    /// Whether an address is in it. An IPv4 address is the same when it comes as IPv6 (`::ffff:10.0.0.1`).
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                first(own.to_bits().into(), self.bits, 32)
                    == first(ip.to_bits().into(), self.bits, 32)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                first(own.to_bits(), self.bits, 128) == first(ip.to_bits(), self.bits, 128)
            }
            _ => false,
        }
    }

    fn width(&self) -> u8 {
        if self.ip.is_ipv4() { 32 } else { 128 }
    }
}

/// The first bits of an address of so many.
fn first(address: u128, bits: u8, of: u8) -> u128 {
    match of.saturating_sub(bits) {
        rest @ ..128 => address >> rest,
        _ => 0,
    }
}

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeError {
    what: &'static str,
    hint: String,
}

impl RangeError {
    /// What to write instead.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for RangeError {}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Range, RangeError> {
        let fail = |what| {
            let hint = "write it as in `10.0.0.0/8`, `2001:db8::/32` or `127.0.0.1`".to_owned();
            Err(RangeError { what, hint })
        };
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (text, None),
        };
        let Ok(ip) = ip.parse::<IpAddr>() else {
            return fail("it is not an address or a range of addresses");
        };
        if ip.to_canonical() != ip {
            return fail("it is an IPv4 address in the form of IPv6: write it as IPv4");
        }
        let width = if ip.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &&str| bits.bytes().all(|b| b.is_ascii_digit());
        let bits = match bits {
            None => width,
            Some(bits) => match Some(bits).filter(digits).and_then(|b| b.parse().ok()) {
                Some(bits) if bits <= width => bits,
                _ => return fail("behind `/` stands how many bits are the same"),
            },
        };
        let range = Range { ip, bits };
        let begins = range.beginning();
        if begins != ip {
            return Err(RangeError {
                what: "the address has bits beyond those that are the same",
                hint: format!("did you mean `{begins}/{bits}`?"),
            });
        }
        Ok(range)
    }
}

impl Range {
    /// Its first address.
    fn beginning(&self) -> IpAddr {
        let cut = |address: u128, of: u8| match of.saturating_sub(self.bits) {
            rest @ ..128 => address >> rest << rest,
            _ => 0,
        };
        match self.ip {
            IpAddr::V4(ip) => {
                let bits = cut(ip.to_bits().into(), 32);
                IpAddr::V4(u32::try_from(bits).unwrap_or_default().into())
            }
            IpAddr::V6(ip) => IpAddr::V6(cut(ip.to_bits(), 128).into()),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits == self.width() {
            true => write!(f, "{}", self.ip),
            false => write!(f, "{}/{}", self.ip, self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn which_addresses_are_in_a_range() {
        for (range, ip, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "::a00:1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "::ffff:8.8.8.8", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ] {
            let parsed: Range = range.parse().expect("a range");
            let address = ip.parse().expect("an address");
            assert_eq!(parsed.contains(address), expected, "{ip} in {range}");
        }
    }

    #[test]
    fn denied_is_denied_whatever_is_allowed() {
        let ranges = |texts: &[&str]| {
            let parsed = texts.iter().map(|t| t.parse().expect("a range"));
            parsed.collect::<Vec<Range>>()
        };
        let ip = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let inside = Addresses {
            allow: ranges(&["10.0.0.0/8"]),
            deny: ranges(&["10.9.0.0/16"]),
        };
        assert!(inside.allow(ip("10.1.1.1")));
        assert!(!inside.allow(ip("10.9.1.1")));
        assert!(!inside.allow(ip("1.1.1.1")));
        assert!(!inside.allow(None));
        let but = Addresses {
            allow: Vec::new(),
            deny: ranges(&["10.9.0.0/16"]),
        };
        assert!(but.allow(ip("1.1.1.1")) && but.allow(None));
        assert!(!but.allow(ip("10.9.0.0")));
    }

    #[test]
    fn what_is_no_range() {
        for (text, hint) in [
            ("10.1.2.3/8", "did you mean `10.0.0.0/8`?"),
            ("2001:db8::1/32", "did you mean `2001:db8::/32`?"),
            ("10.0.0.0/33", "write it"),
            ("10.0.0.0/+8", "write it"),
            ("10.0.0.0/", "write it"),
            ("10.0.0", "write it"),
            ("::ffff:1.2.3.4", "write it"),
        ] {
            let error = text.parse::<Range>().expect_err(text);
            assert!(error.hint().starts_with(hint), "{text}: {}", error.hint());
        }
    }

    proptest! {
        #[test]
        fn a_range_prints_to_what_parses_to_it(ip: u128, v4: bool, bits in 0..=128_u8) {
            let (ip, bits) = match v4 {
                true => (IpAddr::V4((ip as u32).into()), bits % 33),
                false => (IpAddr::V6(ip.into()).to_canonical(), bits),
            };
            prop_assume!(v4 || ip.is_ipv6());
            let range = Range { ip, bits };
            let range = Range { ip: range.beginning(), bits };
            prop_assume!(range.ip.to_canonical() == range.ip);
            prop_assert!(range.contains(ip));
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}

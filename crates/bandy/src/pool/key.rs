//! What a request is recognised by, so that the same goes to the same backend.

use std::net::IpAddr;

/// A number made of what is to decide: an address, a cookie, a path.
///
/// The same in every process and every version, so that several balancers side by side, or one that was started
/// again, decide alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of some bytes: FNV-1a, and then mixed, since FNV's upper bits depend little on the last bytes.
    pub fn of(bytes: &[u8]) -> Key {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        Key(mixed(bytes.iter().fold(OFFSET, fnv)))
    }

    /// The key of a client's address. An IPv4 address counts as itself where it comes mapped into IPv6.
    pub fn of_ip(ip: IpAddr) -> Key {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Key::of(&ip.octets()),
            IpAddr::V6(ip) => Key::of(&ip.octets()),
        }
    }

    /// The two together, as one number that looks like neither.
    pub(super) fn with(self, salt: u64) -> u64 {
        mixed(self.0 ^ salt)
    }
}

/// The finalizer of SplitMix64: every bit of the input moves half of the output's.
pub(super) fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_version() {
        assert_eq!(Key::of(b"").0, mixed(0xcbf2_9ce4_8422_2325));
        assert_eq!(Key::of(b"ada").0, 0x7d3c_4ad3_72fc_321d);
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        let plain = "192.0.2.1".parse().expect("an address");
        assert_eq!(Key::of_ip(mapped), Key::of_ip(plain));
    }
}

//! HPACK's Huffman code (RFC 7541, appendix B). It is canonical: the lengths of its codes say which they are.

/// The length of each byte's code, in bits. The code of 30 ones ends a string, and may not be in one.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
];
const LONGEST: usize = 30;

/// The code, as it is read.
struct Code {
    /// By the next eight bits: the byte, and the length of its code; 0 where that is longer.
    short: [(u8, u8); 256],
    /// Bytes in the order of their codes.
    order: [u8; 256],
    /// For each length: its first code, where that is in `order`, and how many there are.
    first: [u32; LONGEST + 1],
    at: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
}

static CODE: Code = Code::new();

impl Code {
    const fn new() -> Code {
        let mut code = Code {
            short: [(0, 0); 256],
            order: [0; 256],
            first: [0; LONGEST + 1],
            at: [0; LONGEST + 1],
            count: [0; LONGEST + 1],
        };
        let (mut next, mut known, mut length) = (0_u32, 0_u32, 1_usize);
        while length <= LONGEST {
            next <<= 1;
            code.first[length] = next;
            code.at[length] = known;
            let mut byte = 0_usize;
            while byte < 256 {
                if LENGTHS[byte] as usize == length {
                    code.order[known as usize] = byte as u8;
                    if length <= 8 {
                        let begin = (next as usize) << (8 - length);
                        let mut at = begin;
                        while at < begin + (1 << (8 - length)) {
                            code.short[at] = (byte as u8, length as u8);
                            at += 1;
                        }
                    }
                    next += 1;
                    known += 1;
                }
                byte += 1;
            }
            code.count[length] = known - code.at[length];
            length += 1;
        }
        code
    }

    /// The byte whose code, longer than eight bits, these bits begin with.
    fn long(&self, bits: u64) -> Option<(u8, u32)> {
        (9..=LONGEST).find_map(|length| {
            let code = (bits >> (64 - length)) as u32;
            let within = code.checked_sub(*self.first.get(length)?)?;
            if within >= *self.count.get(length)? {
                return None;
            }
            let byte = self.order.get((self.at.get(length)? + within) as usize)?;
            Some((*byte, length as u32))
        })
    }
}

/// Decodes a string, to the end of `out`. `None`: it is none.
pub(super) fn decode(mut from: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // The bits at hand, the next one on top; behind them ones, as behind the last code.
    let (mut bits, mut count) = (u64::MAX, 0_u32);
    loop {
        while count <= 56
            && let Some((byte, rest)) = from.split_first()
        {
            let shift = 56 - count;
            bits = bits & !(0xff << shift) | u64::from(*byte) << shift;
            (count, from) = (count + 8, rest);
        }
        let (byte, length) = match CODE.short.get((bits >> 56) as usize) {
            Some((byte, length)) if *length > 0 => (*byte, u32::from(*length)),
            _ => match CODE.long(bits) {
                Some(found) => found,
                // Only ones: the end, or the code that may not be there.
                None => return (count <= 7).then_some(()),
            },
        };
        if length > count {
            let is_padding = count <= 7 && bits == u64::MAX;
            return is_padding.then_some(());
        }
        out.push(byte);
        bits = bits << length | ((1 << length) - 1);
        count -= length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition: code after code, then ones.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let at = CODE.order.iter().position(|b| b == byte).expect("all are");
            let code = CODE.first[length] + at as u32 - CODE.at[length];
            bits += &format!("{code:0length$b}");
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        bits.as_bytes()
            .chunks(8)
            .map(|byte| {
                u8::from_str_radix(std::str::from_utf8(byte).expect("digits"), 2).expect("bits")
            })
            .collect()
    }

    fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(bytes, &mut out).map(|()| out)
    }

    #[test]
    fn as_the_rfc_has_it() {
        // Appendix C.4.1 and C.6.1.
        for (hex, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("6402", "302"),
            (
                "d07abe941054d444a8200595040b8166e082a62d1bff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (
                "9d29ad171863c78f0b97c8e9ae82ae43d3",
                "https://www.example.com",
            ),
        ] {
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
                .collect();
            assert_eq!(decoded(&bytes).as_deref(), Some(text.as_bytes()));
            assert_eq!(encode(text.as_bytes()), bytes);
        }
    }

    #[test]
    fn what_is_no_string() {
        // Padding of a whole byte, of zeros, and the code that ends.
        assert_eq!(decoded(&[0xff]), None);
        assert_eq!(decoded(&[0b0000_0000]), None);
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(decoded(&[]), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(text in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(text) = decoded(&bytes) {
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}

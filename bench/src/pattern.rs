//! Bytes whose value depends on their position, cheap to make and to check.
//!
//! One block of pseudo-random bytes repeats for ever. Its length is prime, so a stream that lost, doubled or swapped a run of bytes
//! matches again only where the run is a multiple of that prime: no buffer size is.

const PERIOD: usize = 1_048_573;

/// The most bytes that one call gives or checks.
pub const SLICE_MAX: usize = 256 * 1024;

pub struct Pattern(Vec<u8>);

impl Pattern {
    pub fn new() -> Pattern {
        let mut bytes: Vec<u8> = (0..PERIOD as u64).map(|at| splitmix(at) as u8).collect();
        // The beginning again behind the end, so that every slice is contiguous.
        bytes.extend_from_within(..SLICE_MAX);
        Pattern(bytes)
    }

    /// The bytes at `position` of the stream, `length` of them.
    pub fn at(&self, position: u64, length: usize) -> &[u8] {
        let start = (position % PERIOD as u64) as usize;
        &self.0[start..start + length.min(SLICE_MAX)]
    }

    /// Whether `bytes` are those at `position`. At most [`SLICE_MAX`] of them.
    pub fn matches(&self, position: u64, bytes: &[u8]) -> bool {
        self.at(position, bytes.len()) == bytes
    }
}

/// Sebastiano Vigna's SplitMix64 finalizer.
fn splitmix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_repeats_after_the_period_and_not_before() {
        let pattern = Pattern::new();
        let start = pattern.at(0, 4096).to_vec();
        assert!(pattern.matches(PERIOD as u64, &start));
        for shift in [1, 2, 255, 256, 4096, 65_536, 262_144, 1 << 20, 1 << 30] {
            assert!(!pattern.matches(shift, &start), "shifted by {shift}");
        }
    }

    #[test]
    fn slices_join_across_the_end() {
        let pattern = Pattern::new();
        let position = PERIOD as u64 - 10;
        let joined = [pattern.at(position, 10), pattern.at(0, 20)].concat();
        assert!(pattern.matches(position, &joined));
    }

    #[test]
    fn one_wrong_byte_is_found() {
        let pattern = Pattern::new();
        let mut bytes = pattern.at(77, 1000).to_vec();
        bytes[999] ^= 1;
        assert!(!pattern.matches(77, &bytes));
    }
}

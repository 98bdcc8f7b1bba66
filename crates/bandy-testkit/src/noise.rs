//! Bytes that repeat nowhere and are the same every time.

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// `len` bytes of noise, the same for the same `seed`.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8))
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    bytes.truncate(len);
    bytes
}

/// `data` cut into pieces of random lengths, from one byte to some ten thousand.
pub fn chunks(seed: u64, data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut random = Random(seed);
    let mut rest = data;
    std::iter::from_fn(move || {
        // Of each order of magnitude as many as of any other.
        let magnitude = 1 + random.next() % 16;
        let len = 1 + random.next() % (1 << magnitude);
        let (piece, after) = rest.split_at(rest.len().min(len as usize));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

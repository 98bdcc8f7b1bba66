//! When a head that comes in drops is worth another look.

use super::Bounds;

/// Whether bytes that came since are worth another parse, so that a client that sends byte by byte does not cost time
/// that grows with the square of its head.
///
/// It is worth one at the first bytes, whenever a line end came, and when the head has reached its bound. A [`Scan`]
/// belongs to one head: begin a new one for the next.
#[derive(Clone, Debug)]
pub struct Scan {
    seen: usize,
    head_bytes: usize,
}

impl Scan {
    /// For a head within these bounds.
    pub fn new(bounds: &Bounds) -> Scan {
        Scan {
            seen: 0,
            head_bytes: bounds.head_bytes,
        }
    }

    /// Whether to parse now. `bytes` are all that came of the head so far.
    pub fn is_worth_parsing(&mut self, bytes: &[u8]) -> bool {
        let unseen = bytes.get(self.seen..).unwrap_or_default();
        if unseen.is_empty() {
            return false;
        }
        let is_worth = self.seen == 0
            || bytes.len() >= self.head_bytes
            || memchr::memchr(b'\n', unseen).is_some();
        self.seen = bytes.len();
        is_worth
    }
}

//! How much goes into one answer.

/// What fits into one answer: the first thing always does.
pub(super) struct Room {
    left: usize,
    is_empty: bool,
}

impl Room {
    /// What a thing costs beside its bytes.
    const EACH: usize = 64;

    pub(super) fn new(bytes: usize) -> Room {
        Room {
            left: bytes,
            is_empty: true,
        }
    }

    /// Whether a thing of so many bytes fits; it is then in.
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes + Room::EACH);
        let fits = left.is_some() || self.is_empty;
        self.left = left.unwrap_or(0);
        self.is_empty = false;
        fits
    }
}

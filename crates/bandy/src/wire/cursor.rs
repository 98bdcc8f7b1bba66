//! Reading fields of fixed and announced lengths from the front of a slice, as binary headers have them. Numbers are in
//! network byte order. Whatever is not there in full is `None`, and nothing is taken then.

/// What was not read yet.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        let [a, b, c] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()
    }

    /// Bytes behind their length in one byte.
    pub(super) fn short_vector(&mut self) -> Option<&'a [u8]> {
        self.vector_of(|cursor| cursor.byte().map(usize::from))
    }

    /// Bytes behind their length in two bytes.
    pub(super) fn vector(&mut self) -> Option<&'a [u8]> {
        self.vector_of(|cursor| cursor.u16().map(usize::from))
    }

    fn vector_of(&mut self, length: impl Fn(&mut Self) -> Option<usize>) -> Option<&'a [u8]> {
        let mut ahead = Cursor(self.0);
        let n = length(&mut ahead)?;
        let content = ahead.take(n)?;
        self.0 = ahead.0;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_in_full_is_not_taken() {
        let mut cursor = Cursor(&[0, 3, b'a', b'b']);
        assert_eq!(cursor.vector(), None);
        assert_eq!(cursor.take(5), None);
        assert_eq!(cursor.u24(), Some(3 << 8 | usize::from(b'a')));
        assert_eq!(cursor.u16(), None);
        assert_eq!(cursor.byte(), Some(b'b'));
        assert_eq!(cursor.byte(), None);
    }

    #[test]
    fn contents_stand_behind_their_lengths() {
        let mut cursor = Cursor(&[2, b'h', b'i', 0, 1, b'!', 0, 0]);
        assert_eq!(cursor.short_vector(), Some(&b"hi"[..]));
        assert_eq!(cursor.vector(), Some(&b"!"[..]));
        assert_eq!(cursor.vector(), Some(&b""[..]));
        assert!(cursor.0.is_empty());
    }
}

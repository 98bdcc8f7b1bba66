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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::parse_request;

    #[test]
    fn a_head_byte_by_byte_is_parsed_once_a_line() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nbody";
        let bounds = Bounds::default();
        let mut scan = Scan::new(&bounds);
        let mut parses = Vec::new();
        for end in 0..=text.len() {
            if scan.is_worth_parsing(&text[..end]) {
                parses.push(end);
                if let Ok(Some((_, length))) = parse_request(&text[..end], &bounds) {
                    assert_eq!((end, length), (text.len() - 4, text.len() - 4));
                    break;
                }
            }
        }
        assert_eq!(parses, [1, 16, 25, 31, 33]);
    }

    #[test]
    fn nothing_new_is_not_worth_it() {
        let mut scan = Scan::new(&Bounds::default());
        assert!(!scan.is_worth_parsing(b""));
        assert!(scan.is_worth_parsing(b"GET /"));
        assert!(!scan.is_worth_parsing(b"GET /"));
        assert!(!scan.is_worth_parsing(b"GET / HTTP/1.1\r"));
        assert!(scan.is_worth_parsing(b"GET / HTTP/1.1\r\n"));
        assert!(!scan.is_worth_parsing(b"GET / HTTP/1.1\r\n"));
    }

    #[test]
    fn a_head_that_reached_its_bound_is_refused_without_a_line_end() {
        let bounds = Bounds {
            head_bytes: 8,
            ..Bounds::default()
        };
        let mut scan = Scan::new(&bounds);
        assert!(scan.is_worth_parsing(b"GET /aa"));
        assert!(scan.is_worth_parsing(b"GET /aaa"));
        assert!(parse_request(b"GET /aaa", &bounds).is_err());
    }
}

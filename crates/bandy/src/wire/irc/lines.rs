//! Lines out of a stream of bytes, however it was cut on its way.
//!
//! As IRC servers have it and unlike [`wire::line`](crate::wire::line): a line that is too long does not end the
//! conversation. It is passed over, never held, and told of once.

use bytes::{Bytes, BytesMut};

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line without the LF or CRLF that ended it.
    Text(Bytes),
    /// A line longer than the limit. What it said is gone.
    TooLong,
}

/// The codec: bytes in, lines out.
///
/// Invariant: behind a [`Lines::take`] that gave `None` it holds at most one unfinished line, within the limit.
#[derive(Debug)]
pub struct Lines {
    held: BytesMut,
    /// `held[..seen]` has no LF.
    seen: usize,
    /// The line that is coming was too long already: it is dropped up to its end.
    skipping: bool,
    max: usize,
}

impl Lines {
    /// A codec for lines of at most `max` bytes, line end not counted.
    pub fn new(max: usize) -> Lines {
        Lines {
            held: BytesMut::new(),
            seen: 0,
            skipping: false,
            max,
        }
    }

    /// Takes bytes in. Call [`Lines::take`] until it gives `None` before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line, if there is one. A line that is too long is told of as soon as that is known.
    pub fn take(&mut self) -> Option<Line> {
        loop {
            let unseen = self.held.get(self.seen..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', unseen) else {
                return self.unfinished();
            };
            let mut text = self.held.split_to(self.seen + at + 1);
            self.seen = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            let end = text.len() - 1;
            text.truncate(end);
            if text.last() == Some(&b'\r') {
                text.truncate(end - 1);
            }
            return Some(match text.len() > self.max {
                true => Line::TooLong,
                false => Line::Text(text.freeze()),
            });
        }
    }

    fn unfinished(&mut self) -> Option<Line> {
        self.seen = self.held.len();
        // A CR at the very end may be half of a line end.
        let text = self.held.strip_suffix(b"\r").unwrap_or(&self.held);
        let is_too_long = text.len() > self.max;
        if is_too_long || self.skipping || self.held.is_empty() {
            self.held = BytesMut::new();
            self.seen = 0;
        }
        match is_too_long && !self.skipping {
            true => {
                self.skipping = true;
                Some(Line::TooLong)
            }
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<Line> {
        std::iter::from_fn(|| lines.take()).collect()
    }

    fn text(text: &'static str) -> Line {
        Line::Text(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_long_line_is_told_of_once_and_the_next_one_read() {
        let mut lines = Lines::new(4);
        lines.feed(b"NICK a");
        assert_eq!(all(&mut lines), [Line::TooLong]);
        lines.feed(b"nd so on and so on");
        assert_eq!(all(&mut lines), []);
        lines.feed(b" still\r\nPING\r\nPI\n\nlonger\nQUIT\r");
        assert_eq!(
            all(&mut lines),
            [text("PING"), text("PI"), text(""), Line::TooLong]
        );
        lines.feed(b"\n");
        assert_eq!(all(&mut lines), [text("QUIT")]);
    }

    proptest! {
        /// The lines do not know how the stream was cut, and what is held is bounded.
        #[test]
        fn any_chunking_gives_the_same_lines(
            chunks in prop::collection::vec("[a-c\r\n]{0,12}", 0..30),
            max in 0..10_usize,
        ) {
            let stream = chunks.concat();
            let whole: Vec<Line> = stream
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .map(|line| line.strip_suffix('\r').unwrap_or(line))
                .map(|line| match line.len() > max {
                    true => Line::TooLong,
                    false => Line::Text(Bytes::copy_from_slice(line.as_bytes())),
                })
                .collect();
            let mut lines = Lines::new(max);
            let mut found = Vec::new();
            for chunk in &chunks {
                lines.feed(chunk.as_bytes());
                found.extend(all(&mut lines));
                prop_assert!(lines.held.len() <= max + 1, "a CR may stand beyond the limit");
            }
            // An unfinished line may have been found too long before it ended.
            prop_assert!(found.len() <= whole.len() + 1);
            prop_assert_eq!(&found[..whole.len()], &whole[..]);
            prop_assert!(found[whole.len()..].iter().all(|line| *line == Line::TooLong));
        }
    }
}

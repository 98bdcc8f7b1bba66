//! Lines out of a stream of bytes, however it was cut on its way.
//!
//! A line ends with LF or CRLF. The codec holds only what is not yet a line, and nothing once it is empty, so that an
//! idle connection costs no buffer. Bytes come in with [`Lines::feed`] and go out with [`Lines::take`].

use std::fmt;

use bytes::{Bytes, BytesMut};

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// `\n`
    #[default]
    Lf,
    /// `\r\n`
    CrLf,
    /// It did not: the stream ended, or whoever wrote it fell silent.
    Open,
}

impl Ending {
    /// The bytes that make this ending.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Ending::Lf => b"\n",
            Ending::CrLf => b"\r\n",
            Ending::Open => b"",
        }
    }
}

/// A line, without the bytes that ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the line says.
    pub text: Bytes,
    /// How it ended.
    pub ending: Ending,
}

/// A line is longer than the codec's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// The limit, in bytes, line end not counted.
    pub max: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a line is longer than {} bytes", self.max)
    }
}

impl std::error::Error for TooLong {}

/// The codec: bytes in, lines out.
///
/// Invariant: it holds at most what was fed since the last `take` that gave `None`, plus one unfinished line.
#[derive(Debug)]
pub struct Lines {
    held: BytesMut,
    /// `held[..seen]` has no LF: a long line that comes in drops is searched once, not once a drop.
    seen: usize,
    max: usize,
}

impl Lines {
    /// A codec for lines of at most `max` bytes, line end not counted.
    pub fn new(max: usize) -> Lines {
        Lines {
            held: BytesMut::new(),
            seen: 0,
            max,
        }
    }

    /// Takes bytes in. Call [`Lines::take`] until it gives `None` before feeding more, or what is held has no bound.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line, if there is one.
    pub fn take(&mut self) -> Result<Option<Line>, TooLong> {
        let unseen = self.held.get(self.seen..).unwrap_or_default();
        let Some(at) = unseen.iter().position(|&b| b == b'\n') else {
            self.seen = self.held.len();
            // A CR at the very end may be half of a line end.
            let text = self.held.strip_suffix(b"\r").unwrap_or(&self.held);
            if text.len() > self.max {
                return Err(TooLong { max: self.max });
            }
            self.free_if_empty();
            return Ok(None);
        };
        let mut text = self.held.split_to(self.seen + at + 1);
        self.seen = 0;
        text.truncate(text.len() - 1);
        let ending = match text.last() {
            Some(b'\r') => {
                text.truncate(text.len() - 1);
                Ending::CrLf
            }
            _ => Ending::Lf,
        };
        if text.len() > self.max {
            return Err(TooLong { max: self.max });
        }
        Ok(Some(Line {
            text: text.freeze(),
            ending,
        }))
    }

    /// What is held of a line that did not end, now that no more is waited for. A CR at its end could have been half of
    /// a line end, and so is not counted against the limit.
    pub fn take_open(&mut self) -> Option<Line> {
        self.seen = 0;
        let text = std::mem::take(&mut self.held).freeze();
        (!text.is_empty()).then_some(Line {
            text,
            ending: Ending::Open,
        })
    }

    /// Whether a line was begun and not ended.
    pub fn is_open(&self) -> bool {
        !self.held.is_empty()
    }

    fn free_if_empty(&mut self) {
        if self.held.is_empty() {
            self.held = BytesMut::new();
            self.seen = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<(String, Ending)> {
        let mut out = Vec::new();
        while let Some(line) = lines.take().expect("within the limit") {
            out.push((
                String::from_utf8_lossy(&line.text).into_owned(),
                line.ending,
            ));
        }
        out
    }

    #[test]
    fn both_endings_and_the_unfinished_one() {
        let mut lines = Lines::new(10);
        lines.feed(b"one\ntwo\r\n\nthr");
        let line = |text: &str, ending| (text.to_owned(), ending);
        assert_eq!(
            all(&mut lines),
            [
                line("one", Ending::Lf),
                line("two", Ending::CrLf),
                line("", Ending::Lf)
            ]
        );
        assert!(lines.is_open());
        let open = lines.take_open().expect("begun");
        assert_eq!((&open.text[..], open.ending), (&b"thr"[..], Ending::Open));
        assert_eq!(lines.take_open(), None);
    }

    #[test]
    fn the_limit_holds_for_finished_and_unfinished_lines() {
        let mut lines = Lines::new(3);
        lines.feed(b"abc\r");
        assert_eq!(lines.take(), Ok(None), "the CR may be half of a line end");
        lines.feed(b"\nabcd\n");
        assert!(lines.take().is_ok_and(|line| line.is_some()));
        assert_eq!(lines.take(), Err(TooLong { max: 3 }));
        let mut lines = Lines::new(3);
        lines.feed(b"abcd");
        assert_eq!(lines.take(), Err(TooLong { max: 3 }));
    }

    proptest! {
        /// An idle connection costs no buffer, and a busy one that of its unfinished line.
        #[test]
        fn holds_what_is_not_yet_a_line_and_nothing_else(
            chunks in prop::collection::vec("[a-c\r\n]{0,12}", 0..30),
            max in 1..10_usize,
        ) {
            let mut lines = Lines::new(max);
            let mut fed = String::new();
            for chunk in &chunks {
                lines.feed(chunk.as_bytes());
                fed.push_str(chunk);
                if all_but_error(&mut lines).is_none() {
                    return Ok(());
                }
                let unfinished = fed.rsplit('\n').next().unwrap_or_default();
                prop_assert_eq!(&lines.held[..], unfinished.as_bytes());
                prop_assert!(lines.held.len() <= max + 1, "a CR may stand beyond the limit");
                prop_assert_eq!(lines.is_open(), !unfinished.is_empty());
                prop_assert!(lines.is_open() || lines.held.capacity() == 0);
            }
            let _ = lines.take_open();
            prop_assert_eq!(lines.held.capacity(), 0);
        }
    }

    /// How many lines there were; `None` where one was too long.
    fn all_but_error(lines: &mut Lines) -> Option<usize> {
        let mut count = 0;
        loop {
            match lines.take() {
                Ok(Some(_)) => count += 1,
                Ok(None) => return Some(count),
                Err(_) => return None,
            }
        }
    }
}

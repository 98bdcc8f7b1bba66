//! Counting answers. Knows no clock and no socket: who calls says when there was silence.

use crate::endpoint::Carries;

/// How many answers came, and how many are wanted.
#[derive(Debug)]
pub(super) struct Answers {
    is_stream: bool,
    /// Counting, and taking bytes, stops here.
    wanted: Option<usize>,
    came: usize,
    line: Line,
}

/// Where the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Between two lines.
    Between,
    /// In the middle of one.
    Begun,
    /// In the middle of one that silence made an answer: should only its end follow, it is no further answer.
    Counted,
}

impl Answers {
    pub(super) fn new(carries: Carries, wanted: Option<usize>) -> Answers {
        Answers {
            is_stream: carries == Carries::Stream,
            wanted,
            came: 0,
            line: Line::Between,
        }
    }

    /// Takes what came, a message or some of a stream, and says how many of its bytes belong to wanted answers: all,
    /// or those up to the end of the last one.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> usize {
        if !self.is_stream {
            self.came += 1;
            return bytes.len();
        }
        let mut rest = bytes;
        if self.line == Line::Counted {
            let end = rest.len() - rest.strip_prefix(b"\r").unwrap_or(rest).len();
            match rest.get(end) {
                Some(b'\n') => (self.line, rest) = (Line::Between, &rest[end + 1..]),
                Some(_) => self.line = Line::Begun,
                None => return bytes.len(),
            }
        }
        let Some(wanted) = self.wanted else {
            self.came += rest.iter().filter(|b| **b == b'\n').count();
            match rest.last() {
                Some(b'\n') => self.line = Line::Between,
                Some(_) => self.line = Line::Begun,
                None => {}
            }
            return bytes.len();
        };
        while self.came < wanted && !rest.is_empty() {
            let Some(at) = rest.iter().position(|b| *b == b'\n') else {
                self.line = Line::Begun;
                return bytes.len();
            };
            self.came += 1;
            self.line = Line::Between;
            rest = &rest[at + 1..];
        }
        bytes.len() - rest.len()
    }

    /// Whether silence would make an answer.
    pub(super) fn is_begun(&self) -> bool {
        self.line == Line::Begun
    }

    /// Nothing came for a while.
    pub(super) fn silence(&mut self) {
        if self.is_begun() {
            self.came += 1;
            self.line = Line::Counted;
        }
    }

    /// No more will come.
    pub(super) fn end(&mut self) {
        self.silence();
    }

    pub(super) fn came(&self) -> usize {
        self.came
    }

    /// Whether all that were wanted are there.
    pub(super) fn are_complete(&self) -> bool {
        self.wanted.is_some_and(|wanted| self.came >= wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(wanted: usize) -> Answers {
        Answers::new(Carries::Stream, Some(wanted))
    }

    #[test]
    fn an_answer_ends_with_its_line_however_it_is_cut() {
        let mut answers = lines(2);
        assert_eq!(answers.feed(b"one"), 3);
        assert!(answers.is_begun());
        assert_eq!(answers.feed(b"\ntwo\nthree"), 5, "the third was not wanted");
        assert!(answers.are_complete());
        assert_eq!(answers.came(), 2);
    }

    #[test]
    fn silence_ends_a_begun_line_once() {
        let mut answers = lines(3);
        answers.silence();
        assert_eq!(answers.came(), 0, "nothing was begun");
        answers.feed(b"login:");
        answers.silence();
        answers.silence();
        assert_eq!(answers.came(), 1);
        assert_eq!(answers.feed(b"\r\n"), 2, "its end came late");
        assert_eq!(answers.came(), 1);
        answers.feed(b"a");
        answers.silence();
        answers.feed(b"b\n");
        assert_eq!(answers.came(), 3);
    }

    #[test]
    fn the_end_of_the_stream_ends_a_line() {
        let mut answers = Answers::new(Carries::Stream, None);
        answers.feed(b"a\nb");
        answers.end();
        answers.end();
        assert_eq!(answers.came(), 2);
        assert!(!answers.are_complete(), "none were asked for");
    }

    #[test]
    fn a_message_is_an_answer_even_if_empty() {
        let mut answers = Answers::new(Carries::Message, Some(2));
        answers.feed(b"a\nb\n");
        answers.feed(b"");
        assert!(answers.are_complete());
    }

    #[test]
    fn none_wanted_takes_nothing() {
        let mut answers = lines(0);
        assert!(answers.are_complete());
        assert_eq!(answers.feed(b"hello\n"), 0);
    }
}

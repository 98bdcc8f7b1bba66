//! Lines written, one part after the other, so that none can be taken for another.
//!
//! Nothing that is put into a part can end that part: where it would, the whole line is refused, and what was written of
//! it is taken back.

use std::fmt;

use super::message::is_command;
use super::tags;
use super::{LINE_BYTES, PARAMS, TAG_BYTES};

/// Why a line cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsayable {
    /// NUL, CR or LF in a part.
    Control,
    /// A tag's key that is none.
    Key,
    /// A source that is empty or has a space.
    Source,
    /// A command that is none.
    Command,
    /// A parameter in the middle that is empty, has a space or begins with a colon.
    Param,
    /// More than 15 parameters, or one behind the last.
    Params,
    /// The tags are longer than [`TAG_BYTES`], or the rest is longer than [`LINE_BYTES`].
    TooLong,
}

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsayable::Control => "a part has NUL, CR or LF in it",
            Unsayable::Key => "a tag's key is not valid",
            Unsayable::Source => "the source is empty or has a space",
            Unsayable::Command => "the command is neither letters nor three digits",
            Unsayable::Param => "a parameter is empty, has a space or begins with a colon",
            Unsayable::Params => "there are too many parameters",
            Unsayable::TooLong => "the line is too long",
        })
    }
}

impl std::error::Error for Unsayable {}

/// A line whose tags are being written.
#[derive(Debug)]
#[must_use = "a line is written with `command` and `end`"]
pub struct Compose<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    fault: Option<Unsayable>,
}

impl<'o> Compose<'o> {
    /// Begins a line at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Compose<'o> {
        let start = out.len();
        Compose {
            out,
            start,
            fault: None,
        }
    }

    /// Adds a tag. Its value may be anything but NUL; an empty one is a tag without a value.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        let is_first = self.out.len() == self.start;
        self.out.push(if is_first { b'@' } else { b';' });
        if !tags::is_key(key) {
            self.fault.get_or_insert(Unsayable::Key);
        }
        self.out.extend_from_slice(key.as_bytes());
        if !value.is_empty() {
            self.out.push(b'=');
            if !tags::escape(value, self.out) {
                self.fault.get_or_insert(Unsayable::Control);
            }
        }
        self
    }

    /// Who says it, and what.
    pub fn command(mut self, source: Option<&str>, command: &str) -> Body<'o> {
        if self.out.len() > self.start {
            self.out.push(b' ');
        }
        if self.out.len() - self.start > TAG_BYTES {
            self.fault.get_or_insert(Unsayable::TooLong);
        }
        let body = self.out.len();
        if let Some(source) = source {
            if source.is_empty() || source.contains(' ') {
                self.fault.get_or_insert(Unsayable::Source);
            }
            self.out.push(b':');
            self.out.extend_from_slice(source.as_bytes());
            self.out.push(b' ');
        }
        if !is_command(command) {
            self.fault.get_or_insert(Unsayable::Command);
        }
        self.out.extend_from_slice(command.as_bytes());
        Body {
            out: self.out,
            start: self.start,
            body,
            text: None,
            params: 0,
            fault: self.fault,
        }
    }
}

/// A line whose parameters are being written.
#[derive(Debug)]
#[must_use = "a line is written with `end`"]
pub struct Body<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    /// Where the line begins behind its tags.
    body: usize,
    /// Where the last parameter begins that may have spaces.
    text: Option<usize>,
    params: usize,
    fault: Option<Unsayable>,
}

impl Body<'_> {
    /// A parameter without a space: a name, a number, a mode.
    pub fn param(mut self, param: &str) -> Self {
        if !stands_alone(param) {
            self.fault.get_or_insert(Unsayable::Param);
        }
        self.count();
        self.out.push(b' ');
        self.out.extend_from_slice(param.as_bytes());
        self
    }

    /// Several parameters without a space.
    pub fn params<'p>(self, params: impl IntoIterator<Item = &'p str>) -> Self {
        params.into_iter().fold(self, Body::param)
    }

    /// The last parameter, behind a colon: it may have spaces, begin with a colon or be empty.
    pub fn text(mut self, text: &str) -> Self {
        self.count();
        self.out.extend_from_slice(b" :");
        self.text = Some(self.out.len());
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// The last parameter, behind a colon only where it needs one.
    pub fn last(self, param: &str) -> Self {
        match stands_alone(param) {
            true => self.param(param),
            false => self.text(param),
        }
    }

    fn count(&mut self) {
        self.params += 1;
        if self.params > PARAMS || self.text.is_some() {
            self.fault.get_or_insert(Unsayable::Params);
        }
    }

    /// How many more bytes the line has room for.
    pub fn room(&self) -> usize {
        let used = self.out.len() - self.body;
        (LINE_BYTES - 2).saturating_sub(used)
    }

    /// Ends the line.
    ///
    /// # Errors
    /// What cannot be said. Nothing is written then.
    pub fn end(mut self) -> Result<(), Unsayable> {
        let written = self.out.get(self.start..).unwrap_or_default();
        if written.iter().any(|b| matches!(b, b'\0' | b'\r' | b'\n')) {
            self.fault = Some(Unsayable::Control);
        }
        if self.out.len() - self.body > LINE_BYTES - 2 {
            self.fault.get_or_insert(Unsayable::TooLong);
        }
        match self.fault {
            Some(fault) => {
                self.out.truncate(self.start);
                Err(fault)
            }
            None => {
                self.out.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }

    /// As [`Body::end`], with a text that is too long cut off behind a whole character: for what a server says itself,
    /// where the end matters least.
    ///
    /// # Errors
    /// What cannot be said.
    pub fn end_cut(self) -> Result<(), Unsayable> {
        let end = self.body + LINE_BYTES - 2;
        if let Some(text) = self.text
            && self.out.len() > end
            && text <= end
        {
            // The first byte of a UTF-8 character is none of the form 10xxxxxx.
            let is_first = |at: &usize| self.out.get(*at).is_none_or(|b| b & 0xc0 != 0x80);
            let cut = (text..=end).rev().find(is_first).unwrap_or(text);
            self.out.truncate(cut);
        }
        self.end()
    }
}

fn stands_alone(param: &str) -> bool {
    !param.is_empty() && !param.starts_with(':') && !param.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(Compose<'_>) -> Result<(), Unsayable>) -> Result<String, Unsayable> {
        let mut out = b"before\r\n".to_vec();
        let written = write(Compose::new(&mut out));
        let text = String::from_utf8(out).expect("UTF-8");
        let line = text.strip_prefix("before\r\n").expect("kept").to_owned();
        assert!(written.is_ok() || line.is_empty(), "{line:?}");
        written.map(|()| line)
    }

    #[test]
    fn every_part_in_its_place() {
        let all = line(|l| {
            let tags = l.tag("time", "a;b c").tag("+x", "");
            tags.command(Some("s"), "JOIN")
                .param("#a")
                .last("b c")
                .end()
        });
        assert_eq!(all.as_deref(), Ok("@time=a\\:b\\sc;+x :s JOIN #a :b c\r\n"));
        let bare = line(|l| l.command(None, "PING").last("x").end());
        assert_eq!(bare.as_deref(), Ok("PING x\r\n"));
        let empty = line(|l| l.command(None, "TOPIC").param("#a").text("").end());
        assert_eq!(empty.as_deref(), Ok("TOPIC #a :\r\n"));
    }

    #[test]
    fn what_would_be_another_line_is_refused() {
        for attempt in ["a\r\nQUIT", "a\nQUIT", "a\rQUIT", "a\0b"] {
            let in_text = line(|l| l.command(None, "X").text(attempt).end());
            assert_eq!(in_text, Err(Unsayable::Control));
            let in_param = line(|l| l.command(None, "X").param(attempt).end());
            assert_eq!(in_param, Err(Unsayable::Control));
            assert!(line(|l| l.command(Some(attempt), "X").end()).is_err());
            assert!(line(|l| l.command(None, attempt).end()).is_err());
            assert!(line(|l| l.tag(attempt, "").command(None, "X").end()).is_err());
        }
        let value = line(|l| l.tag("a", "b\r\nQUIT; c").command(None, "X").end());
        assert_eq!(value.as_deref(), Ok("@a=b\\r\\nQUIT\\:\\sc X\r\n"));
        for attempt in ["a b", ":a", ""] {
            let param = line(|l| l.command(None, "X").param(attempt).text("t").end());
            assert_eq!(param, Err(Unsayable::Param));
        }
        let source = line(|l| l.command(Some("a PRIVMSG"), "X").end());
        assert_eq!(source, Err(Unsayable::Source));
        let key = line(|l| l.tag("a=b;c", "").command(None, "X").end());
        assert_eq!(key, Err(Unsayable::Key));
        let behind = line(|l| l.command(None, "X").text("a").param("b").end());
        assert_eq!(behind, Err(Unsayable::Params));
    }

    #[test]
    fn a_long_text_is_refused_or_cut_behind_a_character() {
        let long = "\u{20ac}".repeat(200);
        let refused = line(|l| l.command(None, "X").text(&long).end());
        assert_eq!(refused, Err(Unsayable::TooLong));
        let cut = line(|l| l.command(None, "X").text(&long).end_cut()).expect("cut");
        assert!(cut.len() <= LINE_BYTES && cut.len() > LINE_BYTES - 3);
        assert!(cut.ends_with("\u{20ac}\r\n"));
        let param = line(|l| l.command(None, "X").param(&long).end_cut());
        assert_eq!(param, Err(Unsayable::TooLong));
    }
}

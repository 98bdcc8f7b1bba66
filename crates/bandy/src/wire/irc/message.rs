//! A line as tags, source, command and parameters (RFC 1459, section 2.3.1; IRCv3 message-tags).

use std::borrow::Cow;
use std::fmt;

use super::tags::Tags;
use super::{Compose, LINE_BYTES, PARAMS, Unsayable};

/// Why a line is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is nothing in it. Servers pass over such lines in silence.
    Empty,
    /// NUL, CR or LF inside.
    Control,
    /// The bytes are not UTF-8.
    Utf8,
    /// The tags are longer than allowed: 417.
    TagsTooLong,
    /// The rest is longer than allowed: 417.
    TooLong,
    /// There is no command, or what stands in its place is neither a word of letters nor three digits: 421.
    Command,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Empty => "the line is empty",
            Fault::Control => "the line has NUL or CR in it",
            Fault::Utf8 => "the line is not UTF-8",
            Fault::TagsTooLong => "the tags are too long",
            Fault::TooLong => "the line is too long",
            Fault::Command => "there is no command",
        })
    }
}

impl std::error::Error for Fault {}

/// A message, borrowed from its line. Nothing is copied or allocated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The tags.
    pub tags: Tags<'a>,
    /// Who says it: `nick!user@host` or a server's name. What a client writes there is not believed.
    pub source: Option<&'a str>,
    /// The command, as written: a word of letters in either case, or three digits.
    pub command: &'a str,
    params: [&'a str; PARAMS],
    count: usize,
}

impl<'a> Message<'a> {
    /// Reads a line without its line end. `tag_bytes` is the most that its tags may have, from `@` to the space behind
    /// them: [`TAG_BYTES_CLIENT`](super::TAG_BYTES_CLIENT) where a server reads.
    ///
    /// Several spaces stand for one. What follows the fourteenth parameter is the fifteenth, with or without its colon.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(line: &'a str, tag_bytes: usize) -> Result<Message<'a>, Fault> {
        if line.bytes().any(|b| matches!(b, b'\0' | b'\r' | b'\n')) {
            return Err(Fault::Control);
        }
        let (tags, rest) = match line.strip_prefix('@') {
            None => (Tags::default(), line),
            Some(tagged) => {
                let (tags, rest) = tagged.split_once(' ').unwrap_or((tagged, ""));
                if tags.len().saturating_add(2) > tag_bytes {
                    return Err(Fault::TagsTooLong);
                }
                (Tags::new(tags), rest)
            }
        };
        if rest.len() > LINE_BYTES - 2 {
            return Err(Fault::TooLong);
        }
        let rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            return Err(match tags.is_empty() {
                true => Fault::Empty,
                false => Fault::Command,
            });
        }
        let (source, rest) = match rest.strip_prefix(':') {
            None => (None, rest),
            Some(sourced) => {
                let (source, rest) = word(sourced);
                (Some(source), rest)
            }
        };
        let (command, mut rest) = word(rest);
        if !is_command(command) {
            return Err(Fault::Command);
        }
        let mut params = [""; PARAMS];
        let mut count = 0;
        for (at, place) in params.iter_mut().enumerate() {
            if rest.is_empty() {
                break;
            }
            let is_last = at + 1 == PARAMS;
            match rest.strip_prefix(':') {
                Some(trailing) => (*place, rest) = (trailing, ""),
                None if is_last => (*place, rest) = (rest, ""),
                None => (*place, rest) = word(rest),
            }
            count = at + 1;
        }
        Ok(Message {
            tags,
            source,
            command,
            params,
            count,
        })
    }

    /// As [`Message::parse`], for bytes.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn parse_bytes(line: &'a [u8], tag_bytes: usize) -> Result<Message<'a>, Fault> {
        let line = std::str::from_utf8(line).map_err(|_| Fault::Utf8)?;
        Message::parse(line, tag_bytes)
    }

    /// The parameters, at most 15.
    pub fn params(&self) -> &[&'a str] {
        self.params.get(..self.count).unwrap_or_default()
    }

    /// The parameter at this place, from 0; `None` where there is none or an empty one, which few commands tell apart.
    pub fn param(&self, at: usize) -> Option<&'a str> {
        self.params().get(at).copied().filter(|p| !p.is_empty())
    }

    /// A tag's value, unescaped: empty for a tag without one.
    pub fn tag(&self, key: &str) -> Option<Cow<'a, str>> {
        self.tags.get(key)
    }

    /// Whether this is the command. Commands are the same in either case.
    pub fn is(&self, command: &str) -> bool {
        self.command.eq_ignore_ascii_case(command)
    }

    /// Writes it to the end of `out`, with CRLF.
    ///
    /// # Errors
    /// What cannot be said, which for a message that was parsed is only tags of invalid keys.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Unsayable> {
        let mut tags = Compose::new(out);
        for (key, value) in self.tags.iter() {
            tags = tags.tag(key, &value);
        }
        let body = tags.command(self.source, self.command);
        let Some((last, middle)) = self.params().split_last() else {
            return body.end();
        };
        let body = middle.iter().fold(body, |body, param| body.param(param));
        body.last(last).end()
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("tags", &self.tags)
            .field("source", &self.source)
            .field("command", &self.command)
            .field("params", &self.params())
            .finish()
    }
}

/// Up to the next space, and what comes behind all the spaces there.
fn word(text: &str) -> (&str, &str) {
    match text.split_once(' ') {
        Some((word, rest)) => (word, rest.trim_start_matches(' ')),
        None => (text, ""),
    }
}

pub(super) fn is_command(word: &str) -> bool {
    let is_number = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    is_number || (!word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::super::{TAG_BYTES, TAG_BYTES_CLIENT};
    use super::*;

    fn parsed(line: &str) -> Message<'_> {
        Message::parse(line, TAG_BYTES_CLIENT).expect("a message")
    }

    #[test]
    fn lines_and_what_they_say() {
        for (line, source, command, params) in [
            ("FOO", None, "FOO", &[][..]),
            (":src AWAY", Some("src"), "AWAY", &[]),
            ("foo bar baz asdf", None, "foo", &["bar", "baz", "asdf"]),
            (
                "foo bar  baz   :asdf quux",
                None,
                "foo",
                &["bar", "baz", "asdf quux"],
            ),
            ("foo bar baz :", None, "foo", &["bar", "baz", ""]),
            ("foo bar baz ::asdf", None, "foo", &["bar", "baz", ":asdf"]),
            (
                ":coolguy foo b:r :asdf",
                Some("coolguy"),
                "foo",
                &["b:r", "asdf"],
            ),
            (
                ":n!u@h PRIVMSG bar :lol :) ",
                Some("n!u@h"),
                "PRIVMSG",
                &["bar", "lol :) "],
            ),
            (
                "COMMAND param1 param2   ",
                None,
                "COMMAND",
                &["param1", "param2"],
            ),
            ("  NICK ada", None, "NICK", &["ada"]),
            (
                "USER a 0 * :\u{c9}va\ttab",
                None,
                "USER",
                &["a", "0", "*", "\u{c9}va\ttab"],
            ),
            ("001 ada", None, "001", &["ada"]),
        ] {
            let message = parsed(line);
            assert_eq!(message.source, source, "{line:?}");
            assert_eq!(message.command, command, "{line:?}");
            assert_eq!(message.params(), params, "{line:?}");
        }
    }

    #[test]
    fn the_fifteenth_parameter_is_the_rest() {
        let line = "X 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 :17";
        assert_eq!(parsed(line).params().len(), PARAMS);
        assert_eq!(parsed(line).params()[14], "15 16 :17");
        let line = "X 1 2 3 4 5 6 7 8 9 10 11 12 13 14 :15 16";
        assert_eq!(parsed(line).params()[14], "15 16");
    }

    #[test]
    fn what_is_no_message() {
        let long = "x".repeat(LINE_BYTES);
        for (line, fault) in [
            ("", Fault::Empty),
            ("   ", Fault::Empty),
            ("@a=b", Fault::Command),
            ("@a=b  ", Fault::Command),
            (":source", Fault::Command),
            (":source  ", Fault::Command),
            ("12 x", Fault::Command),
            ("1234 x", Fault::Command),
            ("<html>", Fault::Command),
            ("PRIVMSG a :b\0c", Fault::Control),
            ("PRIVMSG a :b\rQUIT", Fault::Control),
            ("PRIVMSG a :b\nQUIT", Fault::Control),
            ("@a=\r QUIT", Fault::Control),
            (&long, Fault::TooLong),
        ] {
            assert_eq!(
                Message::parse(line, TAG_BYTES_CLIENT),
                Err(fault),
                "{line:?}"
            );
        }
        assert_eq!(
            Message::parse_bytes(b"PING \xff", TAG_BYTES),
            Err(Fault::Utf8)
        );
    }

    #[test]
    fn the_limits_are_exact() {
        let line = format!("PING {}", "x".repeat(LINE_BYTES - 2 - 5));
        assert!(Message::parse(&line, TAG_BYTES_CLIENT).is_ok());
        assert_eq!(
            Message::parse(&format!("{line}x"), TAG_BYTES_CLIENT),
            Err(Fault::TooLong)
        );
        let tags = format!("@a={}", "x".repeat(4094 - 2));
        assert!(Message::parse(&format!("{tags} {line}"), TAG_BYTES_CLIENT).is_ok());
        let longer = format!("{tags}x PING");
        assert_eq!(
            Message::parse(&longer, TAG_BYTES_CLIENT),
            Err(Fault::TagsTooLong)
        );
        assert!(Message::parse(&longer, TAG_BYTES).is_ok());
    }
}

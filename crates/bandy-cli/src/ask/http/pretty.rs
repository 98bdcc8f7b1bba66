//! JSON as a person reads it: indented, in colours, while it comes.
//!
//! It is not parsed into values: names keep their order, numbers their digits, and a stream of JSON shows each value as
//! it ends. Where it is not JSON after all, the rest comes out as it is.

use crate::ask::visible::Visible;

/// What is done to text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pretty {
    pub format: bool,
    pub colour: bool,
}

/// Deeper than this nobody reads, and each level costs a byte.
const DEPTH_MAX: usize = 512;

/// The colours of the parts.
const NAME: &str = "\x1b[34;1m";
const STRING: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[36m";
const WORD: &str = "\x1b[35m";
const OFF: &str = "\x1b[0m";

/// The writer of JSON: feed it as it comes.
#[derive(Debug)]
pub struct Json {
    pretty: Pretty,
    /// For strings and for what is no JSON; `None` where the bytes go to a file.
    visible: Option<Visible>,
    /// The open brackets.
    open: Vec<Level>,
    next: Next,
    token: Token,
    /// Something was written, and the last of it was no line end.
    in_line: bool,
}

#[derive(Debug)]
struct Level {
    is_object: bool,
    is_empty: bool,
}

/// What may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// After a `[`.
    ValueOrEnd,
    Name,
    /// After a `{`.
    NameOrEnd,
    Colon,
    CommaOrEnd,
    /// It is no JSON.
    Anything,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    String {
        is_name: bool,
        is_escaped: bool,
    },
    Number,
    /// `true`, `false`, `null`: what is still to come of it.
    Word(&'static [u8]),
}

impl Json {
    /// A writer; `is_screen` makes visible what could trick a terminal.
    pub fn new(pretty: Pretty, is_screen: bool) -> Json {
        Json {
            pretty,
            visible: is_screen.then(Visible::default),
            open: Vec::new(),
            next: Next::Value,
            token: Token::None,
            in_line: false,
        }
    }

    /// What to write for these bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() * 2);
        for (at, byte) in bytes.iter().enumerate() {
            if self.next == Next::Anything {
                self.put(&mut out, &bytes[at..]);
                break;
            }
            self.byte(*byte, &mut out);
        }
        self.note_end(&out);
        out
    }

    /// What is left when no more comes. `is_line`: the last line is ended.
    pub fn end(&mut self, is_line: bool) -> Vec<u8> {
        let mut out = Vec::new();
        self.flush(&mut out);
        if self.token != Token::None {
            self.colour(&mut out, OFF);
        }
        self.note_end(&out);
        if is_line && self.in_line {
            out.push(b'\n');
        }
        out
    }

    fn note_end(&mut self, out: &[u8]) {
        if let Some(last) = out.last() {
            self.in_line = *last != b'\n';
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.token {
            Token::String {
                is_name,
                is_escaped,
            } => {
                self.in_string(byte, is_name, is_escaped, out);
            }
            Token::Number if is_of_number(byte) => out.push(byte),
            Token::Number => {
                self.colour(out, OFF);
                self.ended(out);
                self.byte(byte, out);
            }
            Token::Word(rest) => match rest.split_first() {
                Some((expected, rest)) if *expected == byte => {
                    out.push(byte);
                    self.token = Token::Word(rest);
                    if rest.is_empty() {
                        self.colour(out, OFF);
                        self.ended(out);
                    }
                }
                _ => {
                    self.colour(out, OFF);
                    self.give_up(byte, out);
                }
            },
            Token::None => self.between(byte, out),
        }
    }

    fn in_string(&mut self, byte: u8, is_name: bool, is_escaped: bool, out: &mut Vec<u8>) {
        // A control character has no place in a string.
        if byte < 0x20 {
            self.flush(out);
            self.colour(out, OFF);
            self.give_up(byte, out);
            return;
        }
        self.put(out, &[byte]);
        let is_end = byte == b'"' && !is_escaped;
        if !is_end {
            self.token = Token::String {
                is_name,
                is_escaped: byte == b'\\' && !is_escaped,
            };
            return;
        }
        self.flush(out);
        self.colour(out, OFF);
        if is_name {
            self.token = Token::None;
            self.next = Next::Colon;
        } else {
            self.ended(out);
        }
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) {
        // RFC 7464 begins each text with a record separator.
        let is_blank = byte.is_ascii_whitespace() || byte == 0x1e && self.open.is_empty();
        if is_blank {
            if !self.pretty.format {
                out.push(byte);
            }
            return;
        }
        match (self.next, byte) {
            (Next::Value | Next::ValueOrEnd, b'{' | b'[') if self.open.len() < DEPTH_MAX => {
                self.element(out);
                out.push(byte);
                let is_object = byte == b'{';
                self.open.push(Level {
                    is_object,
                    is_empty: true,
                });
                self.next = match is_object {
                    true => Next::NameOrEnd,
                    false => Next::ValueOrEnd,
                };
            }
            (Next::Value | Next::ValueOrEnd, _) => match begun(byte) {
                Some((token, colour)) => {
                    self.element(out);
                    self.begin(token, colour, byte, out);
                }
                None if byte == b']' && self.next == Next::ValueOrEnd => self.close(byte, out),
                None => self.give_up(byte, out),
            },
            (Next::Name | Next::NameOrEnd, b'"') => {
                self.element(out);
                let token = Token::String {
                    is_name: true,
                    is_escaped: false,
                };
                self.begin(token, NAME, byte, out);
            }
            (Next::Colon, b':') => {
                out.extend_from_slice(if self.pretty.format { b": " } else { b":" });
                self.next = Next::Value;
            }
            (Next::CommaOrEnd, b',') => {
                out.push(b',');
                let is_object = self.open.last().is_some_and(|level| level.is_object);
                self.next = if is_object { Next::Name } else { Next::Value };
            }
            (Next::NameOrEnd | Next::CommaOrEnd, b'}') => self.close(byte, out),
            (Next::CommaOrEnd, b']') => self.close(byte, out),
            _ => self.give_up(byte, out),
        }
    }

    fn begin(&mut self, token: Token, colour: &str, byte: u8, out: &mut Vec<u8>) {
        self.colour(out, colour);
        self.token = token;
        out.push(byte);
    }

    /// An element of the innermost bracket begins, unless it is what follows a name.
    fn element(&mut self, out: &mut Vec<u8>) {
        let follows_name =
            self.next == Next::Value && self.open.last().is_some_and(|level| level.is_object);
        if follows_name {
            return;
        }
        if let Some(level) = self.open.last_mut() {
            level.is_empty = false;
            self.line(out);
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        if self.pretty.format {
            out.push(b'\n');
            out.resize(out.len() + 2 * self.open.len(), b' ');
        }
    }

    /// A value is at its end.
    fn ended(&mut self, out: &mut Vec<u8>) {
        self.token = Token::None;
        self.next = match self.open.is_empty() {
            true => Next::Value,
            false => Next::CommaOrEnd,
        };
        if self.open.is_empty() && self.pretty.format {
            out.push(b'\n');
        }
    }

    fn close(&mut self, byte: u8, out: &mut Vec<u8>) {
        let Some(level) = self.open.pop() else {
            return self.give_up(byte, out);
        };
        if level.is_object != (byte == b'}') {
            return self.give_up(byte, out);
        }
        if !level.is_empty {
            self.line(out);
        }
        out.push(byte);
        self.ended(out);
    }

    fn give_up(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.token = Token::None;
        self.next = Next::Anything;
        self.put(out, &[byte]);
    }

    /// Bytes that could be anything.
    fn put(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        match &mut self.visible {
            Some(visible) => out.extend_from_slice(visible.feed(bytes).as_bytes()),
            None => out.extend_from_slice(bytes),
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if let Some(visible) = &mut self.visible {
            out.extend_from_slice(visible.flush().as_bytes());
        }
    }

    fn colour(&self, out: &mut Vec<u8>, colour: &str) {
        if self.pretty.colour {
            out.extend_from_slice(colour.as_bytes());
        }
    }
}

/// What a value's first byte begins.
fn begun(byte: u8) -> Option<(Token, &'static str)> {
    Some(match byte {
        b'"' => (
            Token::String {
                is_name: false,
                is_escaped: false,
            },
            STRING,
        ),
        b'-' | b'0'..=b'9' => (Token::Number, NUMBER),
        b't' => (Token::Word(b"rue"), WORD),
        b'f' => (Token::Word(b"alse"), WORD),
        b'n' => (Token::Word(b"ull"), WORD),
        _ => return None,
    })
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMAT: Pretty = Pretty {
        format: true,
        colour: false,
    };

    fn pretty(text: &[u8], how: Pretty) -> String {
        let mut json = Json::new(how, true);
        let mut out = json.feed(text);
        out.extend(json.end(true));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn indented_with_everything_kept() {
        let text = br#"{"b":[1,2.50e+1,{}],"a":{"x":null,"y":[],"z":"q\"\u00e4\\"},"n":12345678901234567890}"#;
        let shown = r#"{
  "b": [
    1,
    2.50e+1,
    {}
  ],
  "a": {
    "x": null,
    "y": [],
    "z": "q\"\u00e4\\"
  },
  "n": 12345678901234567890
}
"#;
        assert_eq!(pretty(text, FORMAT), shown);
        let again = pretty(shown.as_bytes(), FORMAT);
        assert_eq!(again, shown);
    }

    #[test]
    fn one_value_after_the_other() {
        assert_eq!(
            pretty(b"{\"a\":1}\n{\"a\":2}\n3", FORMAT),
            "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n3\n"
        );
    }

    #[test]
    fn colours() {
        let colour = Pretty {
            format: false,
            colour: true,
        };
        assert_eq!(
            pretty(b"{\"a\": [1, \"b\", true]}", colour),
            "{\x1b[34;1m\"a\"\x1b[0m: [\x1b[36m1\x1b[0m, \x1b[32m\"b\"\x1b[0m, \x1b[35mtrue\x1b[0m]}\n"
        );
    }

    #[test]
    fn what_is_no_json_comes_as_it_is() {
        for text in [
            "<html>\n",
            "oops\n",
            "{\"a\" 1}\n",
            "]\n",
            "tru\n",
            "[1,]\n",
        ] {
            let shown = pretty(text.as_bytes(), FORMAT);
            let squeezed: String = shown.split_whitespace().collect();
            let wanted: String = text.split_whitespace().collect();
            assert_eq!(squeezed, wanted);
        }
        assert_eq!(pretty(b"<b>\x1b[2J", FORMAT), "<b>^[[2J\n");
        assert_eq!(
            pretty("[\"\u{9b}2J\"]".as_bytes(), FORMAT),
            "[\n  \"\\u{9b}2J\"\n]\n"
        );
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(text in r#"[\[\]{}:,"\\a1 ntrueé]{0,40}"#, cut in 0usize..40) {
            let text = text.as_bytes();
            let cut = cut.min(text.len());
            let mut json = Json::new(FORMAT, true);
            let mut out = json.feed(&text[..cut]);
            out.extend(json.feed(&text[cut..]));
            out.extend(json.end(true));
            prop_assert_eq!(String::from_utf8(out).expect("UTF-8"), pretty(text, FORMAT));
        }

        #[test]
        fn it_means_the_same(value in "[a-z\"\\\\é]{0,6}", n in any::<i64>(), name in "[a-z\"]{0,4}") {
            let value = serde_json::json!({ name: [value, n, {}, [], null] });
            let shown = pretty(value.to_string().as_bytes(), FORMAT);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
        }
    }
}

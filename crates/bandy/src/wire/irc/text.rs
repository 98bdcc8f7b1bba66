//! What stands inside a text: formatting, CTCP, and more than fits into a line.

use std::borrow::Cow;

/// A text as CTCP has it: the message of `\u{1}ACTION waves\u{1}` is an act, other words are asked of the other's
/// program (<https://modern.ircdocs.horse/ctcp>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ctcp<'a> {
    /// An ordinary text.
    None(&'a str),
    /// `/me`: what somebody does.
    Action(&'a str),
    /// Another command, and what follows it.
    Other(&'a str, &'a str),
}

/// Reads a text as CTCP. The closing delimiter may be missing.
pub fn ctcp(text: &str) -> Ctcp<'_> {
    let Some(inner) = text.strip_prefix('\u{1}') else {
        return Ctcp::None(text);
    };
    let inner = inner.strip_suffix('\u{1}').unwrap_or(inner);
    let (command, rest) = inner.split_once(' ').unwrap_or((inner, ""));
    match command.eq_ignore_ascii_case("ACTION") {
        true => Ctcp::Action(rest),
        false => Ctcp::Other(command, rest),
    }
}

/// The text that says that somebody does this.
pub fn action(what: &str) -> String {
    format!("\u{1}ACTION {what}\u{1}")
}

/// The text without formatting (bold, colours, …) and without control characters, which belong to whoever shows it. A
/// tab is kept.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_removed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            COLOR => rest = after_color(rest.as_str(), 2, |c| c.is_ascii_digit()).chars(),
            HEX_COLOR => rest = after_color(rest.as_str(), 6, |c| c.is_ascii_hexdigit()).chars(),
            c if is_removed(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

const COLOR: char = '\u{3}';
const HEX_COLOR: char = '\u{4}';

fn is_removed(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// What follows `4`, `04` or `04,12`: a colour, or two. Of hexadecimal ones all six digits are written.
fn after_color(text: &str, digits: usize, is_digit: impl Fn(char) -> bool) -> &str {
    let number = |text: &str| {
        let length = text
            .chars()
            .take(digits)
            .take_while(|c| is_digit(*c))
            .count();
        match digits {
            2 => length,
            _ if length == digits => length,
            _ => 0,
        }
    };
    let first = number(text);
    let rest = text.get(first..).unwrap_or_default();
    match rest.strip_prefix(',') {
        Some(background) if first > 0 => match number(background) {
            0 => rest,
            second => background.get(second..).unwrap_or_default(),
        },
        _ => rest,
    }
}

/// A text as texts of at most `bytes` that stand in lines of their own: cut at line ends, then at spaces, then between
/// characters. Empty lines are left out.
///
/// `bytes` is at least 4, so that every character fits.
pub fn pieces(text: &str, bytes: usize) -> impl Iterator<Item = &str> {
    let bytes = bytes.max(4);
    text.split(['\n', '\r'])
        .flat_map(move |line| Cut { rest: line, bytes })
}

struct Cut<'a> {
    rest: &'a str,
    bytes: usize,
}

impl<'a> Iterator for Cut<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        if self.rest.len() <= self.bytes {
            return Some(std::mem::take(&mut self.rest));
        }
        let end = (0..=self.bytes)
            .rev()
            .find(|at| self.rest.is_char_boundary(*at));
        let (fits, _) = self.rest.split_at_checked(end?)?;
        // A space far in front would make short pieces of a text without many.
        let space = fits.rfind(' ').map(|at| at + 1);
        let at = space
            .filter(|at| *at > self.bytes / 2)
            .unwrap_or(fits.len());
        let (piece, rest) = self.rest.split_at_checked(at)?;
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formatting_goes_and_the_words_stay() {
        for (written, meant) in [
            ("plain \u{20ac}\t1", "plain \u{20ac}\t1"),
            ("\u{2}bold\u{2} \u{1d}italic\u{f}", "bold italic"),
            ("\u{3}4red\u{3} \u{3}04,12both\u{3},x", "red both,x"),
            ("\u{3}123 \u{3}1,a", "3 ,a"),
            ("\u{4}ff0000red \u{4}ff00,00ff00", "red ff00,00ff00"),
            ("\u{1b}[2J\u{7}\u{9b}1m\0", "[2J1m"),
        ] {
            assert_eq!(plain(written), meant, "{written:?}");
        }
    }

    #[test]
    fn ctcp_in_and_out() {
        assert_eq!(ctcp("hello"), Ctcp::None("hello"));
        assert_eq!(ctcp(&action("waves")), Ctcp::Action("waves"));
        assert_eq!(ctcp("\u{1}action waves"), Ctcp::Action("waves"));
        assert_eq!(ctcp("\u{1}VERSION\u{1}"), Ctcp::Other("VERSION", ""));
        assert_eq!(ctcp("\u{1}PING 1 2\u{1}"), Ctcp::Other("PING", "1 2"));
        assert_eq!(ctcp("\u{1}"), Ctcp::Other("", ""));
    }

    #[test]
    fn long_texts_are_cut_at_spaces() {
        let cut: Vec<_> = pieces("one two three\r\n\r\nfour", 8).collect();
        assert_eq!(cut, ["one two ", "three", "four"]);
        let cut: Vec<_> = pieces("\u{20ac}\u{20ac}\u{20ac}", 7).collect();
        assert_eq!(cut, ["\u{20ac}\u{20ac}", "\u{20ac}"]);
    }

    proptest! {
        #[test]
        fn pieces_are_the_text_and_fit(text in "[a-c \n\u{20ac}]{0,60}", bytes in 4..20_usize) {
            let cut: Vec<_> = pieces(&text, bytes).collect();
            prop_assert!(cut.iter().all(|piece| piece.len() <= bytes && !piece.is_empty()));
            prop_assert_eq!(cut.concat(), text.replace('\n', ""));
        }

        #[test]
        fn nothing_that_moves_a_cursor_is_left(text in any::<String>()) {
            let plain_text = plain(&text);
            prop_assert!(plain_text.chars().all(|c| !c.is_control() || c == '\t'));
            prop_assert_eq!(plain(&plain_text), plain_text.clone());
        }
    }
}

//! What a server says of itself in 005 (RPL_ISUPPORT; <https://modern.ircdocs.horse/#rplisupport-005>).

/// The most tokens of a line: with the client's name and the closing text they are its 15 parameters.
const TOKENS: usize = 13;
/// The most bytes of a line's tokens: the rest is for names and the closing text.
const TOKENS_BYTES: usize = 360;

/// Tokens in order, `NAME` or `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Isupport(Vec<String>);

impl Isupport {
    /// Adds a token without a value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.0.push(name.to_owned());
        self
    }

    /// Adds a token with its value, in which space, backslash, `=` and what is not printable are written as `\xHH`.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        let mut token = format!("{name}=");
        for c in value.to_string().chars() {
            match c {
                ' ' | '\\' | '=' => token.push_str(&format!("\\x{:02X}", u32::from(c))),
                c if c.is_control() && c.is_ascii() => {
                    token.push_str(&format!("\\x{:02X}", u32::from(c)));
                }
                c => token.push(c),
            }
        }
        self.0.push(token);
        self
    }

    /// The tokens of each line of 005.
    pub fn lines(&self) -> Vec<&[String]> {
        let mut lines = Vec::new();
        let mut rest = self.0.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(TOKENS).take_while(|token| {
                bytes += token.len() + 1;
                bytes <= TOKENS_BYTES
            });
            // A token that is too long for any line stands alone, and is refused where it is written.
            let count = fits.count().max(1).min(rest.len());
            let (line, after) = rest.split_at(count);
            lines.push(line);
            rest = after;
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_escaped() {
        let tokens = Isupport::default()
            .flag("UTF8ONLY")
            .value("NETWORK", "a b=c\\");
        assert_eq!(tokens.lines(), [["UTF8ONLY", "NETWORK=a\\x20b\\x3Dc\\x5C"]]);
        assert!(Isupport::default().lines().is_empty());
    }

    proptest! {
        #[test]
        fn every_token_is_in_a_line_that_has_room(values in prop::collection::vec("[a-z]{0,60}", 0..60)) {
            let tokens = values.iter().fold(Isupport::default(), |t, v| t.value("T", v));
            let lines = tokens.lines();
            prop_assert!(lines.iter().all(|line| line.len() <= TOKENS && !line.is_empty()));
            let bytes = |line: &&[String]| line.iter().map(|t| t.len() + 1).sum::<usize>();
            prop_assert!(lines.iter().all(|line| bytes(line) <= TOKENS_BYTES));
            prop_assert_eq!(lines.concat(), tokens.0);
        }
    }
}

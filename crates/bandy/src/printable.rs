//! Text from outside, made safe to print.

/// The text with what could move a terminal's cursor made visible.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn controls_are_seen_and_not_obeyed() {
        assert_eq!(printable("naïve \u{1b}[2J\n"), "naïve \\u{1b}[2J\\n");
    }
}

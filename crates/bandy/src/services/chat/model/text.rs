//! What may be said: text without anything that a terminal would obey.

/// The text with every control character made visible, but for line feeds and tabs; at most `bytes_max` long, cut between
/// two characters. Line ends become line feeds, and those at the end go.
///
/// C0 controls become their pictures (U+2400 …), the others the sign for what cannot be shown. So do characters that
/// turn the direction of all that follows (U+202D, U+202E): what follows is not theirs.
pub fn clean(text: &str, bytes_max: usize) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let mut out = String::with_capacity(text.len().min(bytes_max));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\n' | '\t' => c,
            c => visible(c),
        };
        if out.len() + c.len_utf8() > bytes_max {
            break;
        }
        out.push(c);
    }
    out
}

/// As [`clean`], for what stands on one line: a topic, a reason.
pub fn line(text: &str, bytes_max: usize) -> String {
    let mut text = clean(text, bytes_max);
    if text.contains(['\n', '\t']) {
        text = text.replace(['\n', '\t'], " ");
    }
    text
}

/// A character that can be shown for this one.
pub fn visible(c: char) -> char {
    match c {
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{202d}' | '\u{202e}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Whether a text speaks to somebody: has their nick as a word, with or without `@`.
pub fn mentions(text: &str, nick: &str) -> bool {
    !nick.is_empty() && words(text).any(|word| word.eq_ignore_ascii_case(nick))
}

/// The words that may be nicks. A sign at their end is a sentence's.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_nick = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.split(move |c| !is_nick(c))
        .map(|word| word.trim_matches(['.', '-', '_']))
        .filter(|word| !word.is_empty())
}

/// Whether a text has all of these words in it, in whatever case. `needle` is in lower case already.
pub fn has_all(text: &str, needle: &str) -> bool {
    let text = text.to_lowercase();
    needle.split_whitespace().all(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn controls_are_seen() {
        assert_eq!(clean("a\x1b[2J\u{9b}\r\nb\r\n", 99), "a␛[2J\u{fffd}\nb");
        assert_eq!(line("a\nb\tc", 99), "a b c");
        assert_eq!(clean("añb", 2), "a");
    }

    #[test]
    fn a_mention_is_a_whole_word() {
        for text in ["ada", "hi @Ada!", "ada: yes", "so says ada.", "(ada)"] {
            assert!(mentions(text, "ada"), "{text}");
        }
        for text in ["", "adam", "nevada", "a da", "x-ada"] {
            assert!(!mentions(text, "ada"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_clean_is_safe(text in any::<String>(), max in 0usize..200) {
            let clean = clean(&text, max);
            prop_assert!(clean.len() <= max);
            prop_assert!(clean.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
            let line = line(&text, max);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}

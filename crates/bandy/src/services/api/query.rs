//! Query strings and forms: `a=5&b=3`, as `application/x-www-form-urlencoded` writes it (WHATWG URL, section 5.1).

use std::borrow::Cow;

/// The pairs of a query, as they are written: each is decoded when it is looked at. A part without `=` has no value.
pub(in crate::services) fn pairs(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| match part.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (part, None),
    })
}

/// The value of a parameter, as it is written, and whether there is another.
pub(super) fn find<'q>(query: &'q str, name: &str) -> (Option<&'q str>, bool) {
    let mut values = pairs(query)
        .filter(|(key, _)| *key == name || decode(key).is_some_and(|key| key == name))
        .map(|(_, value)| value.unwrap_or_default());
    (values.next(), values.next().is_some())
}

/// Text out of its written form, where a space is a plus; `None` for bytes that are not UTF-8. A percent sign without two
/// digits stands for itself.
pub(in crate::services) fn decode(written: &str) -> Option<Cow<'_, str>> {
    unescape(written, b' ')
}

/// As [`decode`], for a part of a path, where a plus is a plus.
pub(in crate::services) fn decode_path(written: &str) -> Option<Cow<'_, str>> {
    unescape(written, b'+')
}

fn unescape(written: &str, plus: u8) -> Option<Cow<'_, str>> {
    let bytes = written.as_bytes();
    if !bytes.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Some(Cow::Borrowed(written));
    }
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, escaped(tail)) {
            (b'%', Some((byte, after))) => {
                text.push(byte);
                rest = after;
            }
            (b'+', _) => text.push(plus),
            _ => text.push(*first),
        }
    }
    String::from_utf8(text).ok().map(Cow::Owned)
}

/// The byte that two digits stand for, and what comes after them.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, after @ ..] = text else {
        return None;
    };
    Some((digit(*high)? << 4 | digit(*low)?, after))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Text in a form that can stand as a value in a query, or as a segment of a path.
pub(super) fn encode(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                written.push(char::from(byte))
            }
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                written.push('%');
                for digit in [byte >> 4, byte & 15] {
                    written.extend(DIGITS.get(usize::from(digit)).copied().map(char::from));
                }
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_whatever_their_spelling() {
        let query = "a=5&b=%33+x&%63=7&a=6&d&=e&&f=%zz";
        assert_eq!(find(query, "a"), (Some("5"), true));
        assert_eq!(find(query, "b"), (Some("%33+x"), false));
        assert_eq!(decode("%33+x").as_deref(), Some("3 x"));
        assert_eq!(decode_path("%33+x").as_deref(), Some("3+x"));
        assert_eq!(find(query, "c"), (Some("7"), false));
        assert_eq!(find(query, "d"), (Some(""), false));
        assert_eq!(find(query, "e"), (None, false));
        assert_eq!(decode("%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(decode("%ff"), None);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "plain", "a b&c=d/é\u{0}%+"] {
            let written = encode(text);
            assert_eq!(decode(&written).as_deref(), Some(text));
            assert_eq!(decode_path(&written).as_deref(), Some(text));
        }
    }
}

//! Message tags: `@key=value;key;+client/only=value` (IRCv3 message-tags).

use std::borrow::Cow;
use std::fmt;

/// The tags of a message, as written.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags<'a>(&'a str);

impl<'a> Tags<'a> {
    /// Tags without the `@` before them and the space behind.
    pub fn new(written: &'a str) -> Tags<'a> {
        Tags(written)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every tag in order with its value, unescaped. One without a value, and one with an empty one, are the same. A
    /// key may come twice.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        self.0.split(';').filter_map(|tag| {
            let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
            (!key.is_empty()).then(|| (key, unescape(value)))
        })
    }

    /// The value of a key. Of several the last one holds.
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        self.iter()
            .filter(|(k, _)| *k == key)
            .last()
            .map(|(_, v)| v)
    }

    /// Those that a client may send to other clients: they begin with `+`, and have a valid key.
    pub fn client_only(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        self.iter()
            .filter(|(key, _)| key.starts_with('+') && is_key(key))
    }
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether a tag may be called that: `[+][vendor/]name`, letters, digits and `-`, and in the vendor also `.`.
pub fn is_key(key: &str) -> bool {
    let key = key.strip_prefix('+').unwrap_or(key);
    let is_name = |name: &str, also: &[u8]| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || also.contains(&b);
        !name.is_empty() && name.bytes().all(fits)
    };
    match key.split_once('/') {
        Some((vendor, name)) => is_name(vendor, b".") && is_name(name, b""),
        None => is_name(key, b""),
    }
}

/// A value as it is meant. A backslash before a character that needs none is dropped, and so is one at the end.
pub fn unescape(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return Cow::Borrowed(written);
    }
    let mut value = String::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|escaped| match escaped {
                ':' => ';',
                's' => ' ',
                'r' => '\r',
                'n' => '\n',
                other => other,
            })),
            c => value.push(c),
        }
    }
    Cow::Owned(value)
}

/// Writes a value to the end of `out`, so that [`unescape`] gives it back. NUL cannot be written: `false`.
pub fn escape(value: &str, out: &mut Vec<u8>) -> bool {
    for b in value.bytes() {
        match b {
            b';' => out.extend_from_slice(b"\\:"),
            b' ' => out.extend_from_slice(b"\\s"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\0' => return false,
            b => out.push(b),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_their_values() {
        let tags = Tags::new("a=b;c=32;k;rt=ql7;=lost;;last=1;last=2;+draft/x=y");
        assert_eq!(tags.get("a").as_deref(), Some("b"));
        assert_eq!(tags.get("k").as_deref(), Some(""));
        assert_eq!(tags.get("last").as_deref(), Some("2"));
        assert_eq!(tags.get(""), None);
        let own: Vec<_> = tags.client_only().collect();
        assert_eq!(own, [("+draft/x", Cow::Borrowed("y"))]);
    }

    #[test]
    fn escapes() {
        for (written, meant) in [
            (r"\\\:\s\s\r\n", "\\;  \r\n"),
            (r"test\b", "testb"),
            (r"test\", "test"),
            (r"\:\s\\s", r"; \s"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(unescape(written), meant, "{written:?}");
        }
    }

    #[test]
    fn keys() {
        for good in [
            "a",
            "msgid",
            "+typing",
            "+draft/reply",
            "draft/x-1",
            "a.example/b",
        ] {
            assert!(is_key(good), "{good}");
        }
        for bad in [
            "", "+", "a b", "a/b/c", "/a", "a/", "a;b", "a=b", "\u{e9}", "a.b",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}

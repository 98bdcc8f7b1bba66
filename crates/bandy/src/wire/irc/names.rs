//! Names of people and channels, and masks over them.

use std::borrow::Cow;

/// The form in which two names are the same: `ascii`, where only `A` to `Z` have another case.
pub fn fold(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// Whether two names are the same.
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// A channel's name without its `#`; `None` for what is no channel.
pub fn channel(name: &str) -> Option<&str> {
    let room = name.strip_prefix('#')?;
    let is_channel = !room.is_empty() && room.chars().all(|c| !ends_name(c));
    is_channel.then_some(room)
}

/// What no name on the wire can have: a space, a comma, a control character.
pub fn ends_name(c: char) -> bool {
    c == ' ' || c == ',' || c.is_control()
}

/// Whether this can be the nick of somebody in a source (`nick!user@host`) and in a list of targets: no separator of
/// either, no sign that begins something else, and not the name of a server, which has a dot.
pub fn is_nick(name: &str) -> bool {
    let first = name.chars().next();
    let begins = first.is_some_and(|c| !matches!(c, '#' | '&' | '+' | ':' | '$' | '~' | '@' | '%'));
    begins
        && name
            .chars()
            .all(|c| !ends_name(c) && !matches!(c, '!' | '@' | '*' | '?'))
}

/// `nick!user@host` in its three parts; those that are not written are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// The nick, or a server's name.
    pub nick: &'a str,
    /// The user's name.
    pub user: &'a str,
    /// The host.
    pub host: &'a str,
}

impl<'a> Source<'a> {
    /// Takes a source apart.
    pub fn parse(source: &'a str) -> Source<'a> {
        let (front, host) = source.split_once('@').unwrap_or((source, ""));
        let (nick, user) = front.split_once('!').unwrap_or((front, ""));
        Source { nick, user, host }
    }
}

/// A mask as it is meant: `ada` is `ada!*@*`, `*@host` is `*!*@host`.
pub fn full_mask(mask: &str) -> String {
    match (mask.contains('!'), mask.contains('@')) {
        (true, true) => mask.to_owned(),
        (true, false) => format!("{mask}@*"),
        (false, true) => format!("*!{mask}"),
        (false, false) => format!("{mask}!*@*"),
    }
}

/// Whether a mask, in which `*` is any run of characters and `?` any one, is the text. Case does not count.
///
/// Takes time in the product of both lengths at most, whatever the mask.
pub fn matches(mask: &str, text: &str) -> bool {
    let mask: Vec<char> = mask.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut m, mut t) = (0, 0);
    // Where the last star stood, and where what it took ends.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match mask.get(m) {
            Some('*') => {
                star = Some((m, t));
                m += 1;
            }
            Some(&p) if p == '?' || p.eq_ignore_ascii_case(&c) => {
                m += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    m = *at + 1;
                    t = *taken;
                }
                None => return false,
            },
        }
    }
    mask.get(m..).unwrap_or_default().iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_case() {
        assert_eq!(fold("Ada[]\\^\u{c9}"), "ada[]\\^\u{c9}");
        assert!(same("#Lobby", "#lobby") && !same("a[", "a{"));
    }

    #[test]
    fn channels_and_nicks() {
        assert_eq!(channel("#lobby"), Some("lobby"));
        for bad in ["", "#", "lobby", "&local", "#a b", "#a,b", "#a\u{7}"] {
            assert_eq!(channel(bad), None, "{bad:?}");
        }
        for good in ["ada", "Ada.L-1_2", "7of9", "[x]", "\u{e9}va"] {
            assert!(is_nick(good), "{good}");
        }
        for bad in [
            "", "#a", ":a", "+a", "a b", "a!b", "a@b", "a,b", "a*", "$a", "a\u{1b}",
        ] {
            assert!(!is_nick(bad), "{bad:?}");
        }
    }

    #[test]
    fn sources_and_masks() {
        let source = Source::parse("ada!lovelace@host");
        assert_eq!(
            (source.nick, source.user, source.host),
            ("ada", "lovelace", "host")
        );
        let server = Source::parse("irc.test");
        assert_eq!(
            (server.nick, server.user, server.host),
            ("irc.test", "", "")
        );
        for (mask, full) in [
            ("ada", "ada!*@*"),
            ("ada!x", "ada!x@*"),
            ("*@h", "*!*@h"),
            ("a!b@c", "a!b@c"),
        ] {
            assert_eq!(full_mask(mask), full);
        }
        for (mask, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("A?C", "abc", true),
            ("a*c", "abcd", false),
            ("*!*@host", "ada!u@host", true),
            ("**a", "bca", true),
            ("?", "\u{20ac}", true),
        ] {
            assert_eq!(matches(mask, text), expected, "{mask} {text}");
        }
        // Not exponential.
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }
}

//! Path patterns: `/api/*`, `/users/{id}`, `/about`.
//!
//! A path is forwarded as it was received, byte for byte. It is matched segment by segment, and it makes no difference
//! which bytes of a segment are percent-encoded, in the path or in the pattern: `/%61pi` is `/api` to a service that
//! decodes names (files do), so it must be to the rules in front of it. What would be a `.` or `..` segment in any spelling
//! the router refuses. An encoded `/` is part of its segment, and a second `/` begins an empty one: a service that reads
//! them otherwise checks them itself.

use std::fmt;
use std::str::FromStr;

/// Which paths.
///
/// | written | matches |
/// |---|---|
/// | `/about` | that path |
/// | `/users/{id}` | one segment of at least one byte where the braces are |
/// | `/api/*` | `/api`, `/api/` and everything below |
/// | `/*` | every path |
///
/// It prints as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
    /// Whether more may follow.
    is_prefix: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Exactly(String),
    Named(String),
}

/// What the braces of a pattern stood for in a path: in the extensions of every request that a route took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The segment where `{name}` is, as it was received: not decoded.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        Some(value)
    }

    /// All of them, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

impl Pattern {
    /// Every path.
    pub fn any() -> Pattern {
        Pattern {
            segments: Vec::new(),
            is_prefix: true,
        }
    }

    /// Whether it is every path.
    pub fn is_any(&self) -> bool {
        self.is_prefix && self.segments.is_empty()
    }

    /// What the braces stand for, where the path matches.
    pub fn matches(&self, path: &str) -> Option<Params> {
        let mut params = Params::default();
        // `*` in `OPTIONS *` is no path, and only the pattern of everything takes it.
        let Some(mut rest) = path.strip_prefix('/') else {
            return self.is_any().then_some(params);
        };
        let mut is_over = false;
        for segment in &self.segments {
            if is_over {
                return None;
            }
            let here = match rest.split_once('/') {
                Some((here, after)) => {
                    rest = after;
                    here
                }
                None => {
                    is_over = true;
                    std::mem::take(&mut rest)
                }
            };
            match segment {
                Segment::Exactly(text) if is_same(text, here) => {}
                Segment::Named(name) if !here.is_empty() => {
                    params.0.push((name.clone(), here.to_owned()));
                }
                _ => return None,
            }
        }
        // Without segments, `/` is the end of `/` alone.
        let is_end = is_over || self.segments.is_empty() && rest.is_empty();
        (self.is_prefix || is_end).then_some(params)
    }

    /// Whether a path that matches this pattern begins with `prefix`, always: what `strip` may take away.
    pub fn always_begins_with(&self, prefix: &str) -> bool {
        let written = self.to_string();
        let fixed = written.trim_end_matches('*').trim_end_matches('/');
        let fixed = fixed.split('{').next().unwrap_or_default();
        let prefix = prefix.trim_end_matches('/');
        match fixed.strip_prefix(prefix) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

/// A path without a prefix of whole segments: `/api/users` without `/api` is `/users`, and `/api` is `/`.
pub fn stripped<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let mut rest = path;
    for segment in prefix.trim_end_matches('/').split('/').skip(1) {
        let below = rest.strip_prefix('/')?;
        let (here, after) = below.split_at(below.find('/').unwrap_or(below.len()));
        if !is_same(segment, here) {
            return None;
        }
        rest = after;
    }
    match rest.as_bytes().first() {
        None => Some("/"),
        Some(b'/') => Some(rest),
        Some(_) => None,
    }
}

/// Whether a path has a segment that means this folder or the one above, in any spelling (RFC 3986, section 5.2.4).
/// Clients resolve them before they ask; who sends one wants to be somewhere else than where the path was matched.
pub(super) fn has_dots(path: &str) -> bool {
    let mut segments = path.split('/');
    segments.any(|segment| is_same(segment, ".") || is_same(segment, ".."))
}

/// Whether two segments are the same bytes once decoded.
fn is_same(one: &str, other: &str) -> bool {
    one == other || (one.contains('%') || other.contains('%')) && decoded(one).eq(decoded(other))
}

/// The bytes of a segment. A `%` that encodes nothing stands for itself.
fn decoded(segment: &str) -> impl Iterator<Item = u8> {
    let mut rest = segment.as_bytes();
    std::iter::from_fn(move || {
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        let encoded = match rest.first()? {
            b'%' => digit(1).zip(digit(2)),
            _ => None,
        };
        let (byte, len) = match encoded {
            Some((high, low)) => (u8::try_from(high << 4 | low).ok()?, 3),
            None => (*rest.first()?, 1),
        };
        rest = rest.get(len..)?;
        Some(byte)
    })
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    what: String,
    hint: &'static str,
}

impl PatternError {
    /// What to write instead.
    pub fn hint(&self) -> &str {
        self.hint
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for PatternError {}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let fail = |what: &str, hint| {
            let what = what.to_owned();
            Err(PatternError { what, hint })
        };
        let Some(rest) = text.strip_prefix('/') else {
            return fail(
                "it does not begin with `/`",
                "write a path as in `/api/*`, `/users/{id}` or `/about`",
            );
        };
        if let Some(odd) = text.chars().find(|&c| !is_of_path(c)) {
            let what = match odd {
                '?' | '#' => format!("`{odd}` is not part of a path"),
                odd => format!("`{}` cannot stand in a path", odd.escape_debug()),
            };
            return fail(
                &what,
                "a path has no other characters: write them as in `%20`",
            );
        }
        if rest.is_empty() {
            return Ok(Pattern {
                segments: Vec::new(),
                is_prefix: false,
            });
        }
        let (fixed, is_prefix) = match rest.strip_suffix('*') {
            Some("") => return Ok(Pattern::any()),
            Some(fixed) => match fixed.strip_suffix('/') {
                Some(fixed) => (fixed, true),
                None => {
                    return fail(
                        "`*` stands for whole segments",
                        "write `/*` at the end: `/api/*` is `/api` and everything below",
                    );
                }
            },
            None => (rest, false),
        };
        let mut segments = Vec::new();
        for segment in fixed.split('/') {
            if segment.contains('*') {
                return fail(
                    "`*` stands at the end only",
                    "write `{name}` for one segment",
                );
            }
            segments.push(match segment.strip_prefix('{') {
                Some(rest) => match rest.strip_suffix('}') {
                    Some(name) if is_name(name) => {
                        let named = Segment::Named(name.to_owned());
                        if segments.contains(&named) {
                            let what = format!("`{{{name}}}` stands there twice");
                            return fail(&what, "give each segment a name of its own");
                        }
                        named
                    }
                    _ => {
                        return fail(
                            "a name in braces is a whole segment of letters, digits and `_`",
                            "write it as in `/users/{id}`",
                        );
                    }
                },
                None if segment.contains(['{', '}']) => {
                    return fail(
                        "a name in braces is a whole segment",
                        "write it as in `/users/{id}`",
                    );
                }
                None => Segment::Exactly(segment.to_owned()),
            });
        }
        Ok(Pattern {
            segments,
            is_prefix,
        })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What a path may be made of (RFC 3986, section 3.3), and a pattern's braces.
fn is_of_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@/{}".contains(c)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Exactly(text) => write!(f, "/{text}")?,
                Segment::Named(name) => write!(f, "/{{{name}}}")?,
            }
        }
        match (self.is_prefix, self.segments.is_empty()) {
            (true, _) => f.write_str("/*"),
            (false, true) => f.write_str("/"),
            (false, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn which_paths_match() {
        for (written, path, expected) in [
            ("/", "/", Some("")),
            ("/", "/a", None),
            ("/", "", None),
            ("/*", "/", Some("")),
            ("/*", "/a/b", Some("")),
            ("/*", "*", Some("")),
            ("/about", "/about", Some("")),
            ("/about", "/about/", None),
            ("/about/", "/about/", Some("")),
            ("/about", "/About", None),
            ("/api/*", "/api", Some("")),
            ("/api/*", "/api/", Some("")),
            ("/api/*", "/api/a/b", Some("")),
            ("/api/*", "/apix", None),
            ("/api/*", "//api/x", None),
            // However it is spelled.
            ("/api/*", "/%61p%69/x", Some("")),
            ("/%61pi/*", "/api", Some("")),
            ("/a%c3%a4", "/a%C3%A4", Some("")),
            ("/a%2fb", "/a%2Fb", Some("")),
            ("/a/b", "/a%2Fb", None),
            ("/a%", "/a%", Some("")),
            ("/a%", "/a%25", Some("")),
            // Not resolved.
            ("/api/*", "/x/../api/", None),
            ("/users/{id}", "/users/7", Some("id=7")),
            ("/users/{id}", "/users/a%2Fb", Some("id=a%2Fb")),
            ("/users/{id}", "/users/", None),
            ("/users/{id}", "/users", None),
            ("/users/{id}", "/users/7/", None),
            ("/users/{id}/*", "/users/7", Some("id=7")),
            ("/{a}/{b}", "/1/2", Some("a=1 b=2")),
            ("/a//b", "/a//b", Some("")),
            ("/a//b", "/a/b", None),
        ] {
            let params = pattern(written).matches(path).map(|params| {
                let pairs: Vec<String> = params.iter().map(|(n, v)| format!("{n}={v}")).collect();
                pairs.join(" ")
            });
            assert_eq!(params.as_deref(), expected, "{written} on {path}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in [
            "", "api", "/a*", "/*/b", "/a b", "/é", "/a?b", "/{", "/{}", "/x{a}", "/{a}/{a}", "/a#",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn dots_are_seen_in_any_spelling() {
        for path in ["/..", "/a/../b", "/a/.", "/%2e%2E/", "/.%2e", "/a/%2E/b"] {
            assert!(has_dots(path), "{path}");
        }
        for path in [
            "/",
            "/...",
            "/a..b",
            "/.a",
            "/a./b",
            "/%2e%2e%2e",
            "/a%2F..",
            "*",
        ] {
            assert!(!has_dots(path), "{path}");
        }
    }

    #[test]
    fn a_prefix_goes_away_by_whole_segments() {
        for (path, prefix, expected) in [
            ("/api/users", "/api", Some("/users")),
            ("/api/users", "/api/", Some("/users")),
            ("/api", "/api", Some("/")),
            ("/api/", "/api", Some("/")),
            ("/apis", "/api", None),
            ("/api//x", "/api", Some("//x")),
            ("/%61pi/%78", "/api", Some("/%78")),
            ("/api%2Fx", "/api", None),
            ("*", "/", None),
        ] {
            assert_eq!(stripped(path, prefix), expected, "{path} without {prefix}");
        }
        assert!(pattern("/api/*").always_begins_with("/api"));
        assert!(pattern("/api/v1/*").always_begins_with("/api/"));
        assert!(pattern("/api/{x}").always_begins_with("/api"));
        assert!(!pattern("/apis/*").always_begins_with("/api"));
        assert!(!pattern("/*").always_begins_with("/api"));
        assert!(!pattern("/{x}/y").always_begins_with("/x"));
    }

    proptest! {
        #[test]
        fn patterns_print_as_they_were_written(text in "(/([a-z.%]{0,3}|\\{[a-z]\\}))*(/\\*)?|/") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }

        #[test]
        fn a_literal_pattern_matches_itself_only(a in "(/[a-z]{0,2}){1,3}", b in "(/[a-z]{0,2}){1,3}") {
            prop_assert_eq!(pattern(&a).matches(&b).is_some(), a == b);
        }

        #[test]
        fn nothing_panics(pattern in "\\PC*|[/a*{}]{0,8}", path in "\\PC*|[/a.]{0,8}") {
            if let Ok(pattern) = pattern.parse::<Pattern>() {
                let _ = pattern.matches(&path);
            }
            let _ = stripped(&path, &pattern);
        }
    }
}

//! From a request's target to names below the root. No I/O.
//!
//! The percent-encoding is undone once. What could mean another place in any spelling (`..`, an encoded `/`, a `\`, a
//! NUL) is refused here already; that nothing leaves the root is [`super::root`]'s to hold, whatever came through.

/// What uploads that are under way are called at first: such names are never served, listed or taken.
pub(super) const RESERVED: &[u8] = b".bandy-";

/// Names below the root, decoded, each of them a plain name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The names with `/` between; empty for the root itself.
    names: Vec<u8>,
    /// Whether it was written with a `/` at its end, as a folder is.
    is_folder: bool,
}

/// Why a target is not a path here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no path, or one that tries to be another.
    Malformed,
    /// Nothing is ever served under such a name.
    Missing,
}

impl Path {
    /// Reads the path of a target as it was sent. Names that begin with a dot are as good as missing unless `hidden`.
    pub(super) fn parse(target: &str, hidden: bool) -> Result<Path, Refused> {
        let target = target.strip_prefix('/').ok_or(Refused::Malformed)?;
        let mut names = Vec::with_capacity(target.len());
        if target.is_empty() {
            let is_folder = true;
            return Ok(Path { names, is_folder });
        }
        let (target, is_folder) = match target.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (target, false),
        };
        for (n, written) in target.split('/').enumerate() {
            if n > 0 {
                names.push(b'/');
            }
            let start = names.len();
            decode(written, &mut names)?;
            check(names.get(start..).unwrap_or_default(), hidden)?;
        }
        Ok(Path { names, is_folder })
    }

    /// All names, with `/` between; empty for the root.
    pub(super) fn names(&self) -> &[u8] {
        &self.names
    }

    pub(super) fn is_root(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The last name; empty for the root.
    pub(super) fn name(&self) -> &[u8] {
        self.names.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }

    /// The names of the folder that it is in.
    pub(super) fn parent(&self) -> &[u8] {
        let len = self.names.len().saturating_sub(self.name().len() + 1);
        self.names.get(..len).unwrap_or_default()
    }

    /// The names of something in this folder.
    pub(super) fn join(&self, name: &[u8]) -> Vec<u8> {
        match self.is_root() {
            true => name.to_vec(),
            false => [&self.names, &b"/"[..], name].concat(),
        }
    }
}

/// Undoes the percent-encoding (RFC 3986, section 2.1) of one name.
fn decode(written: &str, names: &mut Vec<u8>) -> Result<(), Refused> {
    let mut bytes = written.bytes();
    while let Some(byte) = bytes.next() {
        names.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16);
                let high = digit(bytes.next()).ok_or(Refused::Malformed)?;
                let low = digit(bytes.next()).ok_or(Refused::Malformed)?;
                u8::try_from(high << 4 | low).map_err(|_| Refused::Malformed)?
            }
            byte => byte,
        });
    }
    Ok(())
}

fn check(name: &[u8], hidden: bool) -> Result<(), Refused> {
    if name == b"." || name == b".." || name.iter().any(|b| matches!(b, 0 | b'/' | b'\\')) {
        return Err(Refused::Malformed);
    }
    match name.is_empty() || !is_shown(name, hidden) {
        true => Err(Refused::Missing),
        false => Ok(()),
    }
}

/// Whether something of this name in a folder is there for clients.
pub(super) fn is_shown(name: &[u8], hidden: bool) -> bool {
    let is_dotted = name.first() == Some(&b'.');
    !is_dotted || (hidden && !name.starts_with(RESERVED))
}

/// Whether a name that a folder's reader gave can be asked for.
pub(super) fn can_be_asked_for(name: &[u8], hidden: bool) -> bool {
    check(name, hidden).is_ok()
}

/// A name as a part of a URL's path, all but the plainest characters encoded.
pub(super) fn encode(name: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |nibble: u8| char::from(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    let mut out = String::with_capacity(name.len());
    for byte in name {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(*byte));
        } else {
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets() {
        use Refused::{Malformed, Missing};
        type Case<'a> = (&'a str, Result<(&'a [u8], bool), Refused>);
        let cases: &[Case<'_>] = &[
            ("/", Ok((b"", true))),
            ("/a", Ok((b"a", false))),
            ("/a/", Ok((b"a", true))),
            ("/a/b%20c", Ok((b"a/b c", false))),
            ("/%e2%82%ac", Ok(("€".as_bytes(), false))),
            ("/%ff", Ok((b"\xff", false))),
            // Decoded once: this is a file whose name has a percent sign in it.
            ("/%252e%252e/a", Ok((b"%2e%2e/a", false))),
            ("/...", Err(Missing)),
            ("/a..b", Ok((b"a..b", false))),
            ("", Err(Malformed)),
            ("*", Err(Malformed)),
            ("a", Err(Malformed)),
            ("//", Err(Missing)),
            ("//evil.example/..", Err(Missing)),
            ("/a//b", Err(Missing)),
            ("/..", Err(Malformed)),
            ("/a/../b", Err(Malformed)),
            ("/a/%2e%2E/b", Err(Malformed)),
            ("/.%2e/", Err(Malformed)),
            ("/.", Err(Malformed)),
            ("/a/./b", Err(Malformed)),
            ("/a%2fb", Err(Malformed)),
            ("/a%5cb", Err(Malformed)),
            ("/a\\b", Err(Malformed)),
            ("/a%00", Err(Malformed)),
            ("/a%", Err(Malformed)),
            ("/a%4", Err(Malformed)),
            ("/a%4x", Err(Malformed)),
            ("/a%+4", Err(Malformed)),
            ("/.git/config", Err(Missing)),
            ("/%2egit", Err(Missing)),
        ];
        for (target, expected) in cases {
            let path = Path::parse(target, false);
            let path = path
                .as_ref()
                .map(|p| (p.names(), p.is_folder()))
                .map_err(|e| *e);
            assert_eq!(path, *expected, "{target:?}");
        }
    }

    #[test]
    fn hidden_names_on_request_but_never_an_upload_under_way() {
        assert!(Path::parse("/.git/config", true).is_ok());
        assert_eq!(Path::parse("/a/.bandy-1", true), Err(Refused::Missing));
    }

    #[test]
    fn parents_and_names() {
        let path = Path::parse("/a/b/c", false).expect("a path");
        assert_eq!((path.parent(), path.name()), (&b"a/b"[..], &b"c"[..]));
        let path = Path::parse("/c", false).expect("a path");
        assert_eq!((path.parent(), path.name()), (&b""[..], &b"c"[..]));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_asked_for_again(name in prop::collection::vec(1..=255_u8, 1..20)) {
            let written = format!("/{}", encode(&name));
            match Path::parse(&written, true) {
                Ok(path) => prop_assert_eq!(path.names(), &name[..]),
                Err(_) => prop_assert!(!can_be_asked_for(&name, true)),
            }
        }

        #[test]
        fn no_name_leads_elsewhere(target in "/(\\.|%2[eE]|/|%2[fF]|%5c|\\\\|%00|%25|a|\\.\\.){0,12}") {
            if let Ok(path) = Path::parse(&target, true) {
                for name in path.names().split(|b| *b == b'/') {
                    prop_assert!(name != b".." && name != b"." && !name.contains(&0));
                    prop_assert!(!name.is_empty() || path.is_root());
                }
            }
        }
    }
}

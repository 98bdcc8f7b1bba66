//! What a user may be called.
//!
//! One strict rule for every protocol that a name travels through (a URL's path, a line of IRC, a terminal, a file's
//! name): 1 to 32 ASCII letters, digits, `.`, `_` and `-`; first and last a letter or digit; no two of the three signs
//! in a row. Upper and lower case are one name, as PRECIS has it (RFC 8265, section 3.3), and it is shown as it was
//! first written. Letters beyond ASCII are left out on purpose: two names that look alike would be two users.

use std::fmt;

/// The longest name, in characters.
pub const LENGTH_MAX: usize = 32;

/// Names that an operator may give and nobody may take: what programs and people ascribe authority or a meaning to.
const RESERVED: [&str; 27] = [
    "abuse",
    "admin",
    "administrator",
    "all",
    "anonymous",
    "anybody",
    "bandy",
    "everyone",
    "guest",
    "here",
    "hostmaster",
    "localhost",
    "me",
    "moderator",
    "nobody",
    "null",
    "operator",
    "postmaster",
    "root",
    "security",
    "self",
    "server",
    "staff",
    "support",
    "system",
    "undefined",
    "webmaster",
];

/// Which rule a name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameFault {
    /// There is nothing.
    Empty,
    /// More than [`LENGTH_MAX`] characters.
    Long,
    /// This character is none of those that are allowed.
    Character(char),
    /// It begins or ends with a sign.
    Edge,
    /// Two signs stand side by side.
    Signs,
    /// It is kept for the operator.
    Reserved,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameFault::Empty => f.write_str("a name has at least 1 character"),
            NameFault::Long => write!(f, "a name has at most {LENGTH_MAX} characters"),
            NameFault::Character(c) => write!(
                f,
                "a name has only letters a to z, digits, '.', '_' and '-', not {c:?}"
            ),
            NameFault::Edge => f.write_str("a name begins and ends with a letter or digit"),
            NameFault::Signs => f.write_str("in a name no two of '.', '_' and '-' stand together"),
            NameFault::Reserved => f.write_str("this name is reserved"),
        }
    }
}

/// Whether somebody may be called that; see the module for the rule. Names that are reserved pass: see [`is_reserved`].
///
/// # Errors
/// The first rule that it breaks.
pub fn check(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    let is_sign = |c: char| matches!(c, '.' | '_' | '-');
    if let Some(other) = name
        .chars()
        .find(|&c| !c.is_ascii_alphanumeric() && !is_sign(c))
    {
        return Err(NameFault::Character(other));
    }
    if name.len() > LENGTH_MAX {
        return Err(NameFault::Long);
    }
    if name.starts_with(is_sign) || name.ends_with(is_sign) {
        return Err(NameFault::Edge);
    }
    let mut pairs = name.chars().zip(name.chars().skip(1));
    if pairs.any(|(a, b)| is_sign(a) && is_sign(b)) {
        return Err(NameFault::Signs);
    }
    Ok(())
}

/// Whether only an operator may give this name.
pub fn is_reserved(name: &str) -> bool {
    let name = fold(name);
    RESERVED.binary_search(&name.as_str()).is_ok()
}

/// The form in which two names are the same user: lower case.
pub(crate) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rule() {
        for good in [
            "a",
            "7",
            "ada",
            "Ada.Lovelace",
            "a-b_c.d",
            "x".repeat(32).as_str(),
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        let bad = [
            ("", NameFault::Empty),
            ("x".repeat(33).leak(), NameFault::Long),
            ("a b", NameFault::Character(' ')),
            ("adä", NameFault::Character('ä')),
            ("a\u{430}", NameFault::Character('\u{430}')),
            ("a/../b", NameFault::Character('/')),
            ("a\r\nb", NameFault::Character('\r')),
            (".a", NameFault::Edge),
            ("a-", NameFault::Edge),
            ("-", NameFault::Edge),
            ("..", NameFault::Edge),
            ("a..b", NameFault::Signs),
            ("a._b", NameFault::Signs),
        ];
        for (name, fault) in bad {
            assert_eq!(check(name), Err(fault), "{name:?}");
        }
    }

    #[test]
    fn the_reserved_are_sorted_valid_and_found_in_any_case() {
        assert!(RESERVED.is_sorted());
        for name in RESERVED {
            assert_eq!(check(name), Ok(()));
            assert!(is_reserved(&name.to_uppercase()));
        }
        assert!(!is_reserved("ada"));
    }

    proptest! {
        #[test]
        fn what_passes_is_safe_everywhere(name in ".{0,40}") {
            if check(&name).is_ok() {
                prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':'));
                prop_assert!(name.len() <= LENGTH_MAX && !name.contains(".."));
                // Folding keeps a name a name, and is done once.
                prop_assert_eq!(check(&fold(&name)), Ok(()));
                prop_assert_eq!(fold(&fold(&name)), fold(&name));
            }
        }

        #[test]
        fn the_pattern_is_the_rule(name in "[a-zA-Z0-9]{1,4}([._-][a-zA-Z0-9]{1,4}){0,5}") {
            prop_assert_eq!(check(&name), Ok(()));
        }
    }
}

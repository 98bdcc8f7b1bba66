//! With a password (RFC 7617) or a token (RFC 6750) that the configuration has.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A text that is not shown where values are.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// What it is, for whoever must know.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Somebody, and how they prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who it is.
    pub name: String,
    /// A password or a token.
    pub secret: Secret,
}

/// Users in a form that is compared in the same time whoever it is and whatever is wrong.
pub(super) struct Keys(Vec<(String, Key)>);

type Key = [u8; 32];

impl Keys {
    pub(super) fn new(users: &[User]) -> Keys {
        let pair = |user: &User| (user.name.clone(), key(user.secret.reveal()));
        Keys(users.iter().map(pair).collect())
    }

    /// Whose secret it is: `name`'s, or where no name was given anybody's.
    pub(super) fn owner(&self, name: Option<&str>, secret: &str) -> Option<&str> {
        let asked = key(secret);
        let mut owner = None;
        // To the end in every case: the time says nothing about which one it was.
        for (user, key) in &self.0 {
            let is_secret = verify_slices_are_equal(key, &asked).is_ok();
            let is_user = name.is_none_or(|name| name == user);
            if is_secret & is_user {
                owner = Some(user.as_str());
            }
        }
        owner
    }
}

/// Secrets of any length as 32 bytes, so that comparing them does not tell their length.
fn key(secret: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    key
}

/// The user and password of an `Authorization` field.
pub(super) fn basic(value: &str) -> Option<(String, String)> {
    let encoded = after_scheme(value, "basic")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The token of an `Authorization` field.
pub(super) fn bearer(value: &str) -> Option<&str> {
    after_scheme(value, "bearer").filter(|token| !token.is_empty())
}

fn after_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (written, rest) = value.split_once(' ')?;
    written
        .eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        let user = |name: &str, secret| User {
            name: name.to_owned(),
            secret: Secret::new(secret),
        };
        Keys::new(&[user("ada", "one"), user("bob", "two")])
    }

    #[test]
    fn a_secret_is_its_owners() {
        for (name, secret, owner) in [
            (Some("ada"), "one", Some("ada")),
            (Some("bob"), "one", None),
            (Some("eve"), "one", None),
            (Some("ada"), "", None),
            (None, "two", Some("bob")),
            (None, "three", None),
        ] {
            assert_eq!(keys().owner(name, secret), owner, "{name:?} {secret}");
        }
    }

    #[test]
    fn fields_as_clients_write_them() {
        let pair = |value| basic(value).map(|(user, password)| format!("{user}|{password}"));
        assert_eq!(pair("Basic YWRhOm9uZQ==").as_deref(), Some("ada|one"));
        assert_eq!(pair("basic  YWRhOmE6Yg==").as_deref(), Some("ada|a:b"));
        assert_eq!(pair("Basic YWRh"), None);
        assert_eq!(pair("Basic ***"), None);
        assert_eq!(pair("Bearer YWRhOm9uZQ=="), None);
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!(bearer("Bearer "), None);
        assert_eq!(bearer("Bearer"), None);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let user = User {
            name: "ada".to_owned(),
            secret: Secret::new("one"),
        };
        assert!(!format!("{user:?}").contains("one"));
    }

    proptest! {
        #[test]
        fn nothing_panics(value in "\\PC*|[Bb]asic [A-Za-z0-9=]{0,12}") {
            let _ = (basic(&value), bearer(&value));
        }
    }
}

//! What nobody else may see: passwords and tokens. Neither shows itself in `Debug` output, and both are wiped when
//! they are dropped.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::{Error, Kind, Result, Side};

/// A password, or another text that is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret of this text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for whoever has to check it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who somebody says they are, and their proof.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Credentials {
    /// The user's name.
    #[serde(alias = "name", alias = "username")]
    pub user: String,
    /// The user's password.
    pub password: Secret,
}

impl Credentials {
    /// Both together.
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Credentials {
        Credentials {
            user: user.into(),
            password: password.into(),
        }
    }
}

/// What proves a session: 256 random bits, as 43 characters of base64url. The store has only its hash.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Token(String);

/// The characters of a token.
const TOKEN_LENGTH: usize = 43;

impl Token {
    pub(crate) fn random() -> Result<Token> {
        let mut bytes = random::<32>()?;
        let token = Token(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        bytes.zeroize();
        Ok(token)
    }

    /// As it goes into a cookie or behind `Bearer`.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Under which a session is stored and remembered: the SHA-256 of its token. A copy of the store lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

impl TokenHash {
    /// `None` for what cannot be a token.
    pub(crate) fn of(token: &str) -> Option<TokenHash> {
        if token.len() != TOKEN_LENGTH {
            return None;
        }
        let hash = digest(&SHA256, token.as_bytes());
        hash.as_ref().try_into().ok().map(TokenHash)
    }

    /// Out of a key in the store.
    pub(crate) fn from_text(text: &str) -> Option<TokenHash> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(TokenHash)
    }

    /// For keys in the store: 43 characters of base64url.
    pub(crate) fn to_text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// When the system has none, which it always has.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .map_err(|_| Error::new(Kind::Other, Side::Local, "asking the system for randomness"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_themselves() {
        let token = Token::random().expect("randomness");
        let credentials = Credentials::new("ada", "correct horse");
        let shown = format!("{token:?} {credentials:?} {credentials:#?}");
        assert!(
            !shown.contains(token.expose()) && !shown.contains("horse"),
            "{shown}"
        );
    }

    #[test]
    fn tokens_are_256_random_bits() {
        let (a, b) = (Token::random().expect("one"), Token::random().expect("two"));
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose().len(), TOKEN_LENGTH);
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(a.expose().as_bytes())
            .expect("base64url");
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn what_is_no_token_has_no_hash() {
        for text in [
            "",
            "x",
            &"x".repeat(42),
            &"x".repeat(44),
            &"x".repeat(100_000),
        ] {
            assert_eq!(TokenHash::of(text), None);
        }
    }
}

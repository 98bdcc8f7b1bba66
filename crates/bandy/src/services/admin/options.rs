//! What the admin endpoint was told.

use std::fmt;

use crate::endpoint::{Endpoint, Scheme};

/// Where the admin endpoint listens, and who may ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Of http, https or unix.
    pub listen: Endpoint,
    /// What has to be sent as `Authorization: Bearer TOKEN`. Without one, whoever reaches it may.
    pub token: Option<Token>,
}

impl Options {
    /// What it is called where servers are named.
    pub const NAME: &'static str = "admin";

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self.listen.scheme() {
            Scheme::Unix | Scheme::Mem => true,
            _ => {
                let address = self.listen.socket_addr();
                address.is_some_and(|address| address.ip().is_loopback())
            }
        }
    }
}

/// A token, which is never shown by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The fewest characters of one.
    pub const MIN: usize = 16;

    /// The token of this text: visible ASCII, so that a header can have it, and long enough that nobody guesses it.
    pub fn new(text: &str) -> Option<Token> {
        let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
        (is_visible && text.len() >= Token::MIN).then(|| Token(text.to_owned()))
    }

    /// Its text, for who writes configurations.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is it. It takes as long for one that is nearly right as for one that is not at all.
    pub fn is(&self, text: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), text).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

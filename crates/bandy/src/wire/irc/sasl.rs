//! AUTHENTICATE (IRCv3 SASL) with the mechanism PLAIN (RFC 4616), on the server's side.
//!
//! A response comes in base64, cut into pieces of 400 characters; a shorter piece is the last one, and `+` is an empty
//! one. [`Sasl`] puts the pieces together and says what to do.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::{Zeroize, Zeroizing};

/// The longest piece of a response.
pub const PIECE: usize = 400;
/// The longest response, in base64: a name, another one and a password of a generous length each.
pub const RESPONSE_BYTES: usize = 4 * PIECE;

/// Who a client says it is, and its proof.
#[derive(PartialEq, Eq)]
pub struct Plain {
    /// Who is asked to be acted for; empty for oneself.
    pub authzid: String,
    /// The user's name.
    pub authcid: String,
    /// The user's password. Wiped when it is dropped.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("authzid", &self.authzid)
            .field("authcid", &self.authcid)
            .finish_non_exhaustive()
    }
}

/// What to do after an AUTHENTICATE.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer `AUTHENTICATE +`: go on.
    Challenge,
    /// Say nothing: more is coming.
    More,
    /// Check who it is, and answer 903 or 904.
    Check(Plain),
    /// There is no such mechanism: 908 and 904.
    Mechanism,
    /// What came is no response: 904.
    Invalid,
    /// A piece is longer than 400, or all of them are too long: 905.
    TooLong,
    /// The client gave up: 906.
    Aborted,
}

/// One client's side of it.
#[derive(Default)]
pub struct Sasl {
    /// The pieces so far; `None` before a mechanism was chosen.
    response: Option<Zeroizing<String>>,
}

impl Sasl {
    /// Whether a mechanism was chosen and its response is not complete.
    pub fn is_under_way(&self) -> bool {
        self.response.is_some()
    }

    /// What came behind `AUTHENTICATE`.
    pub fn command(&mut self, word: &str) -> Step {
        if word == "*" {
            self.response = None;
            return Step::Aborted;
        }
        let Some(response) = &mut self.response else {
            if !word.eq_ignore_ascii_case("PLAIN") {
                return match word.len() > PIECE {
                    true => Step::TooLong,
                    false => Step::Mechanism,
                };
            }
            self.response = Some(Zeroizing::default());
            return Step::Challenge;
        };
        let piece = if word == "+" { "" } else { word };
        if piece.len() > PIECE || response.len().saturating_add(piece.len()) > RESPONSE_BYTES {
            self.response = None;
            return Step::TooLong;
        }
        // All at once: a buffer that grows would leave copies behind.
        let room = RESPONSE_BYTES.saturating_sub(response.len());
        response.reserve_exact(room);
        response.push_str(piece);
        if piece.len() == PIECE {
            return Step::More;
        }
        let whole = self.response.take().unwrap_or_default();
        plain(&whole).map_or(Step::Invalid, Step::Check)
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl")
            .field("is_under_way", &self.is_under_way())
            .finish_non_exhaustive()
    }
}

/// `authzid NUL authcid NUL password`.
fn plain(response: &str) -> Option<Plain> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(response).ok()?);
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut parts = text.split('\0');
    let (authzid, authcid, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && !authcid.is_empty() && !password.is_empty();
    is_whole.then(|| Plain {
        authzid: authzid.to_owned(),
        authcid: authcid.to_owned(),
        password: Zeroizing::new(password.to_owned()),
    })
}

/// A response of PLAIN in its pieces, as a client sends them.
pub fn plain_pieces(authzid: &str, authcid: &str, password: &str) -> Vec<String> {
    let mut text = format!("{authzid}\0{authcid}\0{password}");
    let whole = BASE64_STANDARD.encode(&text);
    text.zeroize();
    let mut pieces: Vec<String> = Vec::new();
    let mut rest = whole.as_str();
    while let Some((piece, after)) = rest.split_at_checked(PIECE) {
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces.push(if rest.is_empty() { "+" } else { rest }.to_owned());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn begun() -> Sasl {
        let mut sasl = Sasl::default();
        assert_eq!(sasl.command("plain"), Step::Challenge);
        assert!(sasl.is_under_way());
        sasl
    }

    #[test]
    fn a_login() {
        // `printf 'jilles\0jilles\0sesame' | base64`, from the specification.
        let step = begun().command("amlsbGVzAGppbGxlcwBzZXNhbWU=");
        let Step::Check(plain) = &step else {
            panic!("{step:?}")
        };
        assert_eq!((&*plain.authzid, &*plain.authcid), ("jilles", "jilles"));
        assert_eq!(plain.password.as_str(), "sesame");
        assert!(!format!("{step:?}").contains("sesame"));
    }

    #[test]
    fn what_is_no_login() {
        assert_eq!(Sasl::default().command("EXTERNAL"), Step::Mechanism);
        assert_eq!(Sasl::default().command(&"x".repeat(401)), Step::TooLong);
        let mut sasl = begun();
        assert_eq!(sasl.command("*"), Step::Aborted);
        assert!(!sasl.is_under_way());
        for bad in [
            "+",
            "%%%",
            "AAAA",
            "YQ==",
            "AGEA",
            "AABi",
            "YQBiAGMAZA==",
            "/wBiAGM=",
        ] {
            let mut sasl = begun();
            assert_eq!(sasl.command(bad), Step::Invalid, "{bad}");
            assert!(!sasl.is_under_way());
        }
        let mut sasl = begun();
        assert_eq!(sasl.command(&"x".repeat(PIECE + 1)), Step::TooLong);
        let mut sasl = begun();
        for _ in 0..4 {
            assert_eq!(sasl.command(&"A".repeat(PIECE)), Step::More);
        }
        assert_eq!(sasl.command("AAAA"), Step::TooLong);
        assert!(!sasl.is_under_way());
    }

    proptest! {
        #[test]
        fn what_a_client_sends_is_what_is_checked(
            authzid in "[a-z]{0,20}", authcid in "[a-z]{1,30}", password in "[ -~]{1,900}"
        ) {
            let mut sasl = begun();
            let pieces = plain_pieces(&authzid, &authcid, &password);
            let (last, before) = pieces.split_last().expect("one");
            for piece in before {
                prop_assert_eq!(sasl.command(piece), Step::More);
            }
            let expected = Plain { authzid, authcid, password: Zeroizing::new(password) };
            prop_assert_eq!(sasl.command(last), Step::Check(expected));
        }

        #[test]
        fn nothing_breaks_it(words in prop::collection::vec("[A-Za-z+*/=]{0,410}", 0..8)) {
            let mut sasl = Sasl::default();
            for word in &words {
                let _ = sasl.command(word);
                let held = sasl.response.as_ref().map_or(0, |r| r.len());
                prop_assert!(held <= RESPONSE_BYTES);
            }
        }
    }
}

//! Guests who come back. A guest is somebody for as long as they are here; with the token that they were given when they
//! came they are the same one again after their connection broke: whoever holds it is that guest, and can be no other.
//! Nothing is stored for it but one key.

use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac, rand};

use super::model::Person;
use crate::error::{Error, Kind, Result, Side};
use crate::state::{Expect, Store};

/// Where the key is.
const KEY: &str = "chat/guest-key";
/// Bytes of the key, and of the mark that it makes.
const BYTES: usize = 32;

/// What makes tokens, and knows its own.
#[derive(Clone)]
pub(super) struct Seal(Arc<hmac::Key>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// That of a store: made by whoever asks first.
    pub(super) async fn of(store: &dyn Store) -> Result<Seal> {
        let mut made = [0; BYTES];
        rand::fill(&mut made).map_err(|_| {
            let act = "making a key for guests' tokens";
            Error::new(Kind::Other, Side::Local, act).because("the system gave no random bytes")
        })?;
        let value = made.to_vec().into();
        let key = match store.put(KEY, value, Expect::Absent).await? {
            Ok(_) => made.to_vec(),
            Err(_) => {
                let record = store.get(KEY).await?;
                record.map_or_else(Vec::new, |record| record.value.to_vec())
            }
        };
        if key.len() != BYTES {
            let act = format!("reading \"{KEY}\" from the store");
            let error = Error::new(Kind::Io, Side::Local, act);
            return Err(error.because("it is not what chat writes there"));
        }
        Ok(Seal(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key))))
    }

    /// What a guest comes back with.
    pub(super) fn token(&self, guest: &Person) -> String {
        let mark = hmac::sign(&self.0, guest.as_str().as_bytes());
        let mark: String = mark.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("{guest}.{mark}")
    }

    /// Which guest it was that was given this token; nobody where it is none of ours.
    pub(super) fn guest(&self, token: &str) -> Option<Person> {
        let (guest, _) = token.rsplit_once('.')?;
        let guest = Person::parse(guest).filter(Person::is_guest)?;
        let is_ours =
            constant_time::verify_slices_are_equal(self.token(&guest).as_bytes(), token.as_bytes());
        is_ours.is_ok().then_some(guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state;

    #[tokio::test]
    async fn a_token_is_one_guests_and_cannot_be_made() {
        let store = state::open("memory:").expect("a store");
        let seal = Seal::of(&*store).await.expect("a key");
        let (guest, other) = (Person::guest(7, 1), Person::guest(7, 12));
        let token = seal.token(&guest);
        assert_eq!(seal.guest(&token), Some(guest.clone()));
        let again = Seal::of(&*store).await.expect("the same key");
        assert_eq!(again.guest(&token), Some(guest.clone()));
        let mark = token.rsplit_once('.').expect("a mark").1;
        let account = Person::account("ada");
        for wrong in [
            String::new(),
            ".".to_owned(),
            guest.to_string(),
            format!("{guest}."),
            format!("{other}.{mark}"),
            format!("~7.01.{mark}"),
            token.to_uppercase(),
            seal.token(&account),
            seal.token(&Person::any_guest()),
        ] {
            assert_eq!(seal.guest(&wrong), None, "{wrong}");
        }
        let elsewhere = state::open("memory:").expect("a store");
        let elsewhere = Seal::of(&*elsewhere).await.expect("another key");
        assert_eq!(elsewhere.guest(&token), None);
    }
}

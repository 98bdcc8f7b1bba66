//! What accounts are in the store.
//!
//! | record | is | under |
//! |---|---|---|
//! | a user | [`StoredUser`] | `accounts/user/ada`, the name folded |
//! | a session | [`StoredSession`] | `accounts/session/` and the SHA-256 of its token |
//! | that a user has a session | nothing | `accounts/session-of/ada/`, when it began, and the same hash |
//! | that a name was somebody's | nothing | `accounts/was/ada` |
//!
//! A user has a **stamp**, and each of their sessions the same: what ends all of them gives the user another one, in one
//! commit however many there are. A user who is removed and added again has another one too.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::name::fold;
use super::secret::{TokenHash, random};
use super::session::Session;
use super::user::User;
use crate::error::{Error, Kind, Result, Side};

/// A user, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredUser {
    pub name: String,
    pub roles: Vec<String>,
    pub disabled: bool,
    /// Milliseconds since 1970, as all times here.
    pub created: u64,
    pub profile: Map<String, Value>,
    pub hash: String,
    pub stamp: String,
}

impl StoredUser {
    pub(crate) fn shown(self, revision: u64) -> User {
        User {
            name: self.name,
            roles: self.roles,
            disabled: self.disabled,
            created: from_unix(self.created),
            profile: self.profile,
            revision,
        }
    }

    pub(crate) fn key(name: &str) -> String {
        format!("{USERS}{}", fold(name))
    }
}

/// The beginning of all users' keys.
pub(crate) const USERS: &str = "accounts/user/";
/// The beginning of all sessions' keys.
pub(crate) const SESSIONS: &str = "accounts/session/";

/// A session, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredSession {
    pub user: String,
    pub stamp: String,
    pub created: u64,
    pub expires: u64,
    /// When it was used last, to the hour.
    pub seen: u64,
}

impl StoredSession {
    pub(crate) fn key(hash: &str) -> String {
        format!("{SESSIONS}{hash}")
    }

    /// Where it is noted that its user has it. The oldest is first in order.
    pub(crate) fn mark(&self, hash: &str) -> String {
        format!("{}{:016x}.{hash}", marks_of(&self.user), self.created)
    }

    /// Whether it is still good for anything, as far as time goes.
    pub(crate) fn is_alive(&self, now: u64, idle: Duration) -> bool {
        now < self.expires && now < self.seen.saturating_add(milliseconds(idle))
    }

    pub(crate) fn shown(&self, user: Arc<User>) -> Session {
        Session {
            user,
            created: from_unix(self.created),
            expires: from_unix(self.expires),
        }
    }
}

/// Where it is noted that a name was a user's who is removed.
pub(crate) fn was(name: &str) -> String {
    format!("accounts/was/{}", fold(name))
}

/// The beginning of the keys of a user's marks.
pub(crate) fn marks_of(name: &str) -> String {
    format!("accounts/session-of/{}/", fold(name))
}

/// The hash of the session that a mark is about.
pub(crate) fn hash_of_mark(key: &str) -> Option<&str> {
    key.rsplit_once('.').map(|(_, hash)| hash)
}

/// The key of a session.
pub(crate) fn session_key(token: &TokenHash) -> String {
    StoredSession::key(&token.to_text())
}

/// A stamp that no other user has, and this one never had.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn stamp() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random::<16>()?))
}

/// As stored.
pub(crate) fn write(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|cause| Error::new(Kind::Other, Side::Local, "writing an account").because(cause))
}

/// The other way round.
pub(crate) fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|cause| {
        Error::new(
            Kind::Other,
            Side::Local,
            format!("reading the record {key:?}"),
        )
        .because(cause)
    })
}

/// Milliseconds since 1970.
pub(crate) fn unix(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    milliseconds(since.unwrap_or_default())
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What no clock can show becomes the beginning of time.
fn from_unix(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

//! Sessions: what a login leaves behind.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::secret::Token;
use super::user::User;

/// Somebody's being logged in. Cheap to clone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Session {
    /// Whose it is, as the account was at most [`Options::stale`](super::Options::stale) ago.
    pub user: Arc<User>,
    /// When they logged in.
    pub created: SystemTime,
    /// When it ends, whatever is done with it.
    pub expires: SystemTime,
}

/// A session that has just begun, and what proves it. Nobody will be told the token again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grant {
    /// For the client; see [`cookie`](super::cookie).
    pub token: Token,
    /// Whose, and until when.
    pub session: Session,
}

/// What comes of showing a password: [`Accounts::login`](super::Accounts::login) grants a session,
/// [`Accounts::check`](super::Accounts::check) only says whose it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Admission<T = Grant> {
    /// They are who they say.
    Granted(T),
    /// Name or password is wrong, or the user is disabled: which of the three is only in the log.
    Wrong,
    /// Too many attempts failed; the password was not looked at.
    TooMany {
        /// When another attempt may be made (`Retry-After`).
        retry_after: Duration,
    },
}

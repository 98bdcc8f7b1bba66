//! Users, passwords, sessions: the one account system behind every protocol.
//!
//! [`Accounts`] stand on a store. A [`User`] has a name, roles and a profile; a login with the right [`Credentials`]
//! gives a [`Grant`]: a [`Token`] for the client and the [`Session`] that it proves. [`Accounts::who`] says whose a token
//! is, and as an [`Authority`] who sent a request ([`cookie`] has how tokens travel there). What a user may not do is a
//! [`Refused`], a sentence for them; an [`Error`](crate::Error) is a failure of ours.
//!
//! - Passwords are hashed with Argon2id (RFC 9106), off the event loop, a bounded number at once. An unknown user takes as
//!   long as a known one.
//! - Attempts are counted before the password is looked at, for each address, each account, and both together.
//! - Tokens are 256 random bits, stored as their SHA-256. Sessions end on the server: at logout, at their expiry, when their
//!   user is disabled, removed or given another password.
//! - What this process changes holds at once, what another one changes within [`Options::stale`].
//!
//! Left out on purpose: mail, second factors, login with other people's accounts. A program that wants them puts its own
//! [`Authority`] beside this one.

pub mod cookie;
pub mod name;
mod options;
mod secret;
mod session;
mod user;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use name::NameFault;
pub use options::{AttemptLimits, Bucket, Cost, Options};
pub use secret::{Credentials, Secret, Token};
pub use session::{Admission, Grant, Session};
pub use user::{Filter, Page, Refused, User};

use crate::error::{Error, Kind, Result, Side};
use crate::http::{Authority, Request, Who};

/// All accounts of one store. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    options: Options,
}

impl Accounts {
    /// Accounts in this process's memory, for tests and for trying things out.
    pub fn in_memory(options: Options) -> Accounts {
        Accounts(Arc::new(Inner { options }))
    }

    /// How they are kept.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Makes an account for whoever asks.
    ///
    /// Refused: [`Closed`](Refused::Closed), [`NameTaken`](Refused::NameTaken), [`Name`](Refused::Name) (reserved names
    /// too), and what is wrong with the password.
    ///
    /// # Errors
    /// The store's; [`Kind::Overload`] when too many passwords are being hashed.
    pub async fn register(&self, credentials: Credentials) -> Result<Result<User, Refused>> {
        let _ = credentials;
        Err(soon())
    }

    /// Makes an account on an operator's behalf: registration may be closed and the name reserved.
    ///
    /// # Errors
    /// As [`Accounts::register`].
    pub async fn add(
        &self,
        credentials: Credentials,
        roles: Vec<String>,
    ) -> Result<Result<User, Refused>> {
        let _ = (credentials, roles);
        Err(soon())
    }

    /// Begins a session, if the password is right.
    ///
    /// `from` is the address that asks, as far as it is known. Each login gives a token of its own; one that the
    /// request carried before is to be ended with [`Accounts::logout`], so that nobody can make a user go on with a
    /// session that was planted.
    ///
    /// # Errors
    /// The store's; [`Kind::Overload`] when too many passwords are being hashed (503).
    pub async fn login(&self, credentials: Credentials, from: Option<IpAddr>) -> Result<Admission> {
        let _ = (credentials, from);
        Err(soon())
    }

    /// Whose session this is the token of; `None` when it is nobody's, or no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn who(&self, token: &str) -> Result<Option<Session>> {
        let _ = token;
        Err(soon())
    }

    /// Ends a session. One that there is not is ended already.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout(&self, token: &str) -> Result<()> {
        let _ = token;
        Err(soon())
    }

    /// Ends all of a user's sessions.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout_all(&self, name: &str) -> Result<Result<User, Refused>> {
        let _ = name;
        Err(soon())
    }

    /// The user of this name, in any case.
    ///
    /// # Errors
    /// The store's.
    pub async fn user(&self, name: &str) -> Result<Option<User>> {
        let _ = name;
        Err(soon())
    }

    /// A page of users in the order of their (lower-case) names, those after `after`.
    ///
    /// At most `limit` of them, and 1,000. With a filter a page may be short, or empty, and still have a next one.
    ///
    /// # Errors
    /// The store's.
    pub async fn users(&self, after: Option<&str>, limit: usize, filter: &Filter) -> Result<Page> {
        let _ = (after, limit, filter);
        Err(soon())
    }

    /// Replaces a user's profile, if the account is still at the `expected` revision; without one, whatever it is at.
    ///
    /// Refused: [`NoSuchUser`](Refused::NoSuchUser), [`Changed`](Refused::Changed) (409 or 412),
    /// [`ProfileLong`](Refused::ProfileLong).
    ///
    /// # Errors
    /// The store's.
    pub async fn update_profile(
        &self,
        name: &str,
        expected: Option<u64>,
        profile: Map<String, Value>,
    ) -> Result<Result<User, Refused>> {
        let _ = (name, expected, profile);
        Err(soon())
    }

    /// Gives a user exactly these roles. Sessions go on, with the new roles at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_roles(&self, name: &str, roles: Vec<String>) -> Result<Result<User, Refused>> {
        let _ = (name, roles);
        Err(soon())
    }

    /// Keeps a user out, ending their sessions, or lets them in again.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<Result<User, Refused>> {
        let _ = (name, disabled);
        Err(soon())
    }

    /// Gives a user another password, ending all their sessions.
    ///
    /// Whoever changes their own should have shown the old one: [`Accounts::login`] checks it, and counts.
    ///
    /// # Errors
    /// The store's; [`Kind::Overload`] when too many passwords are being hashed.
    pub async fn set_password(
        &self,
        name: &str,
        password: Secret,
    ) -> Result<Result<User, Refused>> {
        let _ = (name, password);
        Err(soon())
    }

    /// Removes an account and ends its sessions. Gives the user as it was last.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self, name: &str) -> Result<Result<User, Refused>> {
        let _ = name;
        Err(soon())
    }
}

fn soon() -> Error {
    Error::new(Kind::Other, Side::Local, "keeping accounts")
}

impl Authority for Accounts {
    fn who<'a>(&'a self, request: &'a Request) -> Who<'a> {
        let token = cookie::token(request.headers(), cookie::is_secure(request)).map(str::to_owned);
        Box::pin(async move {
            let Some(token) = token else { return Ok(None) };
            let session = self.who(&token).await?;
            Ok(session.map(|session| session.user.login()))
        })
    }
}

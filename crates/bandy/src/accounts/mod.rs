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

mod attempts;
pub mod cookie;
mod login;
pub mod name;
mod options;
mod password;
mod records;
mod remembered;
mod secret;
mod session;
mod user;
mod users;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use name::NameFault;
pub use options::{AttemptLimits, Bucket, Cost, Options};
pub use secret::{Credentials, Secret, Token};
pub use session::{Admission, Grant, Session};
pub use user::{Filter, Page, Refused, User};

use attempts::Attempts;
use password::Hasher;
use remembered::Remembered;

use crate::error::Result;
use crate::http::{Authority, Request, Who};
use crate::state::Store;

/// All accounts of one store. Cheap to clone; one value serves all event loops.
///
/// Its methods want to be awaited in a tokio runtime.
///
/// ```
/// use bandy::accounts::{Accounts, Admission, Credentials, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> bandy::Result<()> {
/// let accounts = Accounts::open(bandy::state::open("memory:")?, Options::default())?;
/// let ada = || Credentials::new("ada", "correct horse battery staple");
/// accounts.register(ada(), None).await?.expect("neither is taken nor breaks a rule");
///
/// let Admission::Granted(grant) = accounts.login(ada(), None).await? else {
///     panic!("the password is right");
/// };
/// let session = accounts.who(grant.token.expose()).await?.expect("it has just begun");
/// assert_eq!(session.user.name, "ada");
///
/// accounts.logout(grant.token.expose()).await?;
/// assert!(accounts.who(grant.token.expose()).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    options: Options,
    hasher: Hasher,
    attempts: Mutex<Attempts>,
    remembered: Remembered,
    clock: Clock,
    /// When expired sessions were looked for last, in milliseconds of the clock.
    swept: AtomicU64,
}

impl Accounts {
    /// The accounts of a store. Reads nothing yet.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a [`Cost`] that Argon2 does not allow.
    pub fn open(store: Arc<dyn Store>, options: Options) -> Result<Accounts> {
        Ok(Accounts(Arc::new(Inner {
            hasher: Hasher::new(options.cost)?,
            attempts: Mutex::new(Attempts::new(options.attempts)),
            remembered: Remembered::new(options.remembered, options.stale),
            clock: Clock::new(),
            swept: AtomicU64::new(0),
            store,
            options,
        })))
    }

    /// How they are kept.
    pub fn options(&self) -> &Options {
        &self.0.options
    }
}

impl Inner {
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("store", &self.0.store)
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

/// By the cookie or the bearer token that [`cookie::carried`] finds.
impl Authority for Accounts {
    fn who<'a>(&'a self, request: &'a Request) -> Who<'a> {
        let token = cookie::token(request.headers(), cookie::is_secure(request));
        Box::pin(async move {
            let Some(token) = token else { return Ok(None) };
            let session = self.who(token).await?;
            Ok(session.map(|session| session.user.login()))
        })
    }
}

/// The time of day for what is stored, and time since a beginning for what is not.
struct Clock {
    beginning: Instant,
    /// What tests put the clock forward by, in milliseconds.
    #[cfg(test)]
    ahead: AtomicU64,
}

impl Clock {
    fn new() -> Clock {
        Clock {
            beginning: Instant::now(),
            #[cfg(test)]
            ahead: AtomicU64::new(0),
        }
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + self.ahead()
    }

    fn elapsed(&self) -> Duration {
        self.beginning.elapsed() + self.ahead()
    }

    #[cfg(not(test))]
    fn ahead(&self) -> Duration {
        Duration::ZERO
    }

    #[cfg(test)]
    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests;

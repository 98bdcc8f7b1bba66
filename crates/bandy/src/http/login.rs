//! Who asks, once that is known.
//!
//! Whoever checks (a route's `require`, its users, its tokens or its client certificates) puts a [`Login`] into the
//! request's extensions, and services read it there with [`Login::of`]. How people prove who they are is not decided
//! here: an [`Authority`] knows that.

use std::pin::Pin;

use super::Request;
use crate::error::Result;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// What they may do, in the words of whoever gave it to them.
    pub roles: Vec<String>,
}

impl Login {
    /// A user without roles.
    pub fn new(user: impl Into<String>) -> Login {
        Login {
            user: user.into(),
            roles: Vec::new(),
        }
    }

    /// The same user with these roles.
    pub fn roles<T: Into<String>>(mut self, roles: impl IntoIterator<Item = T>) -> Login {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Whether they were given this role.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|has| has == role)
    }

    /// Who asks, where someone checked it; `None` is anybody.
    pub fn of(request: &Request) -> Option<&Login> {
        request.extensions().get()
    }

    /// Notes in a request that this is who asks.
    pub fn note(self, request: &mut Request) {
        request.extensions_mut().insert(self);
    }
}

/// Who somebody is, to come.
pub type Who<'a> = Pin<Box<dyn Future<Output = Result<Option<Login>>> + Send + 'a>>;

/// Knows who asks: by a session's cookie, a token, whatever it gave out before.
pub trait Authority: Send + Sync {
    /// Who sent this request; `None` for one that proves nothing, or nothing that holds any more.
    ///
    /// A body cannot be shared between threads, so an implementation takes what it needs out of the request's fields
    /// before it begins to wait.
    ///
    /// # Errors
    /// When it could not be found out. Nobody is let in then.
    fn who<'a>(&'a self, request: &'a Request) -> Who<'a>;
}

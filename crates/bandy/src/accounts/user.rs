//! Users, and what may be refused to them.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::name::NameFault;
use crate::http::Login;

/// Somebody who has an account. The password's hash is no part of it.
///
/// As JSON: `{"name":"ada","roles":["admin"],"disabled":false,"created":"2026-11-21T07:00:00Z","profile":{},"revision":3}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct User {
    /// As it was first written. Upper and lower case are one name.
    pub name: String,
    /// What they may do, in words of the operator's.
    pub roles: Vec<String>,
    /// Whether they are kept out.
    pub disabled: bool,
    /// When the account was made, to the second.
    #[serde(serialize_with = "rfc3339")]
    pub created: SystemTime,
    /// What they, or the application, noted about them.
    pub profile: Map<String, Value>,
    /// Grows with every change of the account: what [`update_profile`](super::Accounts::update_profile) expects.
    pub revision: u64,
}

impl User {
    /// Whether they were given this role.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|has| has == role)
    }

    /// What services are told about them.
    pub fn login(&self) -> Login {
        Login::new(self.name.clone()).roles(self.roles.iter().cloned())
    }
}

/// As RFC 3339 has it, in UTC.
pub(crate) fn rfc3339<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let text = OffsetDateTime::from(*time).format(&Rfc3339);
    to.serialize_str(&text.map_err(serde::ser::Error::custom)?)
}

/// A page of users, in the order of their names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// Those that the filter let through.
    pub users: Vec<User>,
    /// Where the next page begins (`after`); `None` when there is no more.
    pub next: Option<String>,
}

/// Which users a [`Page`] has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those whose names begin so, in any case.
    pub prefix: Option<String>,
    /// Those who have this role.
    pub role: Option<String>,
    /// Those who are disabled, or those who are not.
    pub disabled: Option<bool>,
}

impl Filter {
    pub(crate) fn passes(&self, user: &User) -> bool {
        let role = self.role.as_ref().is_none_or(|role| user.has(role));
        role && self
            .disabled
            .is_none_or(|disabled| user.disabled == disabled)
    }
}

/// Why something was not done: what whoever asked is told, in a sentence. Not a failure of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Nobody may register here: [`Options::registration`](super::Options::registration) is off.
    Closed,
    /// Somebody is called that already, in this or another case.
    NameTaken,
    /// The name breaks a rule.
    Name(NameFault),
    /// The password has fewer characters than this.
    PasswordShort(usize),
    /// The password has more bytes than this.
    PasswordLong(usize),
    /// The password is the name.
    PasswordIsName,
    /// This is no role: 1 to 64 letters, digits, `.`, `_`, `-` and `:`; 64 roles at most.
    Role(String),
    /// The profile, as JSON, has more bytes than this.
    ProfileLong(usize),
    /// Nobody is called that.
    NoSuchUser,
    /// The account was changed since: this is its revision now.
    Changed(u64),
    /// Too many accounts were made from this address; the next may be after this long.
    TooMany(Duration),
}

impl Refused {
    /// Which field of a request it is about: `name`, `password`, `roles` or `profile`.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Refused::NameTaken | Refused::Name(_) => Some("name"),
            Refused::PasswordShort(_) | Refused::PasswordLong(_) | Refused::PasswordIsName => {
                Some("password")
            }
            Refused::Role(_) => Some("roles"),
            Refused::ProfileLong(_) => Some("profile"),
            Refused::Closed | Refused::NoSuchUser | Refused::Changed(_) | Refused::TooMany(_) => {
                None
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Closed => f.write_str("registration is closed"),
            Refused::NameTaken => f.write_str("this name is taken"),
            Refused::Name(fault) => fault.fmt(f),
            Refused::PasswordShort(min) => {
                write!(f, "a password has at least {min} characters")
            }
            Refused::PasswordLong(max) => write!(f, "a password has at most {max} bytes"),
            Refused::PasswordIsName => f.write_str("a password is not the user's name"),
            Refused::Role(role) => write!(
                f,
                "{role:?} is no role: letters, digits, '.', '_', '-' and ':', at most 64 of them"
            ),
            Refused::ProfileLong(max) => write!(f, "a profile has at most {max} bytes"),
            Refused::NoSuchUser => f.write_str("there is no such user"),
            Refused::TooMany(wait) => write!(
                f,
                "too many accounts were made from this address; try again in {} s",
                wait.as_secs().saturating_add(1)
            ),
            Refused::Changed(revision) => {
                write!(
                    f,
                    "the account was changed since: it is at revision {revision}"
                )
            }
        }
    }
}

impl std::error::Error for Refused {}

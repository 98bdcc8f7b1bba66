//! Making, finding and changing users.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::name::{self, fold};
use super::records::{self, StoredUser, USERS, unix};
use super::secret::{Credentials, Secret};
use super::user::{Filter, Page, Refused, User};
use super::{Accounts, Inner, NameFault, password};
use crate::error::{Error, Kind, Result, Side};
use crate::state::{Batch, Expect};

/// The users of one page, at most.
const PAGE_MAX: usize = 1000;

/// Records that one page looks at, at most: a filter that lets nobody through must come to an end.
const LOOKED_AT_MAX: usize = 5000;

/// The roles of one user, and the characters of one role.
const ROLES_MAX: usize = 64;

/// How often a change is tried when others change the same user at the same time.
const TRIES: usize = 16;

impl Accounts {
    /// Makes an account for whoever asks, at an address as far as it is known.
    ///
    /// Refused: [`Closed`](Refused::Closed), [`NameTaken`](Refused::NameTaken), [`Name`](Refused::Name) (reserved names
    /// too), [`TooMany`](Refused::TooMany), and what is wrong with the password. A name that was somebody's stays taken
    /// once they are removed: what they left behind, and what others know them by, must not become a stranger's.
    ///
    /// # Errors
    /// The store's; [`Kind::Overload`] when too many passwords are being hashed.
    pub async fn register(
        &self,
        credentials: Credentials,
        from: Option<IpAddr>,
    ) -> Result<Result<User, Refused>> {
        if !self.0.options.registration {
            return Ok(Err(Refused::Closed));
        }
        if name::is_reserved(&credentials.user) {
            return Ok(Err(Refused::Name(NameFault::Reserved)));
        }
        self.make(credentials, Vec::new(), Maker::Anybody(from))
            .await
    }

    /// Makes an account on an operator's behalf: registration may be closed, the name reserved, or one that was
    /// somebody's, whose records are then this user's.
    ///
    /// # Errors
    /// As [`Accounts::register`].
    pub async fn add(
        &self,
        credentials: Credentials,
        roles: Vec<String>,
    ) -> Result<Result<User, Refused>> {
        self.make(credentials, roles, Maker::Operator).await
    }

    async fn make(
        &self,
        credentials: Credentials,
        roles: Vec<String>,
        maker: Maker,
    ) -> Result<Result<User, Refused>> {
        let Credentials {
            user: name,
            password,
        } = credentials;
        let min = self.0.options.password_min;
        let checked = name::check(&name).map_err(Refused::Name);
        let roles = match checked
            .and(password::check(&password, &name, min))
            .and_then(|()| role_set(roles))
        {
            Ok(roles) => roles,
            Err(refused) => return Ok(Err(refused)),
        };
        let key = StoredUser::key(&name);
        // Before the hash, which costs much; what is expected below is what decides.
        if self.0.store.get(&key).await?.is_some() {
            return Ok(Err(Refused::NameTaken));
        }
        if let Maker::Anybody(from) = maker {
            if self.0.store.get(&records::was(&name)).await?.is_some() {
                return Ok(Err(Refused::NameTaken));
            }
            let now = self.0.clock.elapsed();
            if let Err(wait) = self.0.attempts().register(now, from) {
                return Ok(Err(Refused::TooMany(wait)));
            }
        }
        let now = unix(self.0.clock.now());
        let user = StoredUser {
            name,
            roles,
            disabled: false,
            created: now - now % 1000,
            profile: Map::new(),
            hash: self.0.hasher.hash(password).await?,
            stamp: records::stamp()?,
        };
        let value = records::write(&user)?.into();
        match self.0.store.put(&key, value, Expect::Absent).await? {
            Ok(revision) => Ok(Ok(user.shown(revision))),
            Err(_) => Ok(Err(Refused::NameTaken)),
        }
    }

    /// The user of this name, in any case.
    ///
    /// # Errors
    /// The store's.
    pub async fn user(&self, name: &str) -> Result<Option<User>> {
        let found = self.0.stored_user(name).await?;
        Ok(found.map(|(user, revision)| user.shown(revision)))
    }

    /// A page of users in the order of their (lower-case) names, those after `after`.
    ///
    /// At most `limit` of them, and 1,000. With a filter a page may be short, or empty, and still have a next one.
    ///
    /// # Errors
    /// The store's.
    pub async fn users(&self, after: Option<&str>, limit: usize, filter: &Filter) -> Result<Page> {
        let limit = limit.clamp(1, PAGE_MAX);
        let prefix = format!(
            "{USERS}{}",
            fold(filter.prefix.as_deref().unwrap_or_default())
        );
        let mut after = after.map(StoredUser::key);
        let (mut users, mut looked_at) = (Vec::new(), 0);
        loop {
            // One more than is missing: it tells that there is a next page.
            let missing = limit - users.len() + 1;
            let found = self
                .0
                .store
                .list(&prefix, after.as_deref(), missing)
                .await?;
            if found.is_empty() {
                return Ok(Page { users, next: None });
            }
            for record in found {
                if users.len() == limit || looked_at == LOOKED_AT_MAX {
                    let last = after.as_deref().and_then(|key| key.strip_prefix(USERS));
                    let next = last.map(str::to_owned);
                    return Ok(Page { users, next });
                }
                looked_at += 1;
                let user: StoredUser = records::read(&record.key, &record.value)?;
                let user = user.shown(record.revision);
                if filter.passes(&user) {
                    users.push(user);
                }
                after = Some(record.key);
            }
        }
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
        let most = self.0.options.profile_bytes;
        if records::write(&profile)?.len() > most {
            return Ok(Err(Refused::ProfileLong(most)));
        }
        let change = |user: &mut StoredUser| user.profile.clone_from(&profile);
        self.0.change(name, expected, change).await
    }

    /// Gives a user exactly these roles. Sessions go on, with the new roles at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_roles(&self, name: &str, roles: Vec<String>) -> Result<Result<User, Refused>> {
        match role_set(roles) {
            Ok(roles) => {
                let change = |user: &mut StoredUser| user.roles.clone_from(&roles);
                self.0.change(name, None, change).await
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Gives a user some roles more and takes others away, whatever else is changed at the same time.
    ///
    /// # Errors
    /// The store's.
    pub async fn change_roles(
        &self,
        name: &str,
        add: Vec<String>,
        remove: &[String],
    ) -> Result<Result<User, Refused>> {
        let add = match role_set(add) {
            Ok(add) => add,
            Err(refused) => return Ok(Err(refused)),
        };
        let change = |user: &mut StoredUser| {
            user.roles.retain(|role| !remove.contains(role));
            for role in &add {
                if !user.roles.contains(role) && user.roles.len() < ROLES_MAX {
                    user.roles.push(role.clone());
                }
            }
        };
        self.0.change(name, None, change).await
    }

    /// Keeps a user out, ending their sessions, or lets them in again.
    ///
    /// # Errors
    /// The store's.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<Result<User, Refused>> {
        let stamp = records::stamp()?;
        let change = |user: &mut StoredUser| {
            user.disabled = disabled;
            user.stamp.clone_from(&stamp);
        };
        self.0.change(name, None, change).await
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
        if let Err(refused) = password::check(&password, name, self.0.options.password_min) {
            return Ok(Err(refused));
        }
        if self.0.stored_user(name).await?.is_none() {
            return Ok(Err(Refused::NoSuchUser));
        }
        let (hash, stamp) = (self.0.hasher.hash(password).await?, records::stamp()?);
        let change = |user: &mut StoredUser| {
            user.hash.clone_from(&hash);
            user.stamp.clone_from(&stamp);
        };
        self.0.change(name, None, change).await
    }

    /// Ends all of a user's sessions.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout_all(&self, name: &str) -> Result<Result<User, Refused>> {
        let stamp = records::stamp()?;
        let change = |user: &mut StoredUser| user.stamp.clone_from(&stamp);
        self.0.change(name, None, change).await
    }

    /// Removes an account and ends its sessions. Gives the user as it was last. What the user left in other places, such
    /// as records and messages, stays; so nobody else may register under the name.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self, name: &str) -> Result<Result<User, Refused>> {
        for _ in 0..TRIES {
            let Some((user, revision)) = self.0.stored_user(name).await? else {
                return Ok(Err(Refused::NoSuchUser));
            };
            let key = StoredUser::key(name);
            let batch = Batch::new().delete(key, Expect::Revision(revision)).put(
                records::was(name),
                Vec::new(),
                Expect::Anything,
            );
            if self.0.store.commit(batch).await?.is_ok() {
                self.0.remembered.forget_user(name);
                return Ok(Ok(user.shown(revision)));
            }
        }
        Err(contended(name))
    }
}

/// Who makes an account.
enum Maker {
    /// Whoever asks, at an address.
    Anybody(Option<IpAddr>),
    Operator,
}

impl Inner {
    /// A user and the revision they are at.
    pub(super) async fn stored_user(&self, name: &str) -> Result<Option<(StoredUser, u64)>> {
        // What is no name is nobody's, and no part of a key.
        if name::check(name).is_err() {
            return Ok(None);
        }
        let key = StoredUser::key(name);
        match self.store.get(&key).await? {
            Some(record) => Ok(Some((records::read(&key, &record.value)?, record.revision))),
            None => Ok(None),
        }
    }

    async fn change(
        &self,
        name: &str,
        expected: Option<u64>,
        change: impl Fn(&mut StoredUser),
    ) -> Result<Result<User, Refused>> {
        for _ in 0..TRIES {
            let Some((mut user, revision)) = self.stored_user(name).await? else {
                return Ok(Err(Refused::NoSuchUser));
            };
            if expected.is_some_and(|expected| expected != revision) {
                return Ok(Err(Refused::Changed(revision)));
            }
            change(&mut user);
            let value = records::write(&user)?.into();
            let key = StoredUser::key(name);
            let put = self.store.put(&key, value, Expect::Revision(revision));
            if let Ok(revision) = put.await? {
                self.remembered.forget_user(name);
                return Ok(Ok(user.shown(revision)));
            }
        }
        Err(contended(name))
    }
}

/// Roles without repetition, in the order in which they were given.
fn role_set(roles: Vec<String>) -> Result<Vec<String>, Refused> {
    let mut set = Vec::with_capacity(roles.len().min(ROLES_MAX));
    for role in roles {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
        let is_role = (1..=ROLES_MAX).contains(&role.len()) && role.bytes().all(is_part);
        if !is_role || set.len() == ROLES_MAX {
            return Err(Refused::Role(role));
        }
        if !set.contains(&role) {
            set.push(role);
        }
    }
    Ok(set)
}

fn contended(name: &str) -> Error {
    let act = format!("changing the user {name:?}");
    Error::new(Kind::Overload, Side::Local, act)
        .because("others change it at the same time, again and again")
}

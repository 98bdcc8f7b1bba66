//! Logging in, being recognised, logging out.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::name::{self, fold};
use super::password;
use super::records::{
    self, SESSIONS, StoredSession, StoredUser, hash_of_mark, marks_of, milliseconds, unix,
};
use super::secret::{Credentials, Secret, Token, TokenHash};
use super::session::{Admission, Grant, Session};
use super::{Accounts, Inner, User};
use crate::error::Result;
use crate::state::{Batch, Expect};

/// The last use of a session is noted this often at most.
const NOTED: Duration = Duration::from_secs(60 * 60);

/// Expired sessions are looked for this often at most.
const SWEPT: Duration = Duration::from_secs(60 * 60);

/// Records that are looked at in one go.
const PAGE: usize = 500;

impl Accounts {
    /// Begins a session, if the password is right.
    ///
    /// `from` is the address that asks, as far as it is known. Each login gives a token of its own; one that the
    /// request carried before is to be ended with [`Accounts::logout`], so that nobody can make a user go on with a
    /// session that was planted.
    ///
    /// # Errors
    /// The store's; [`Kind::Overload`](crate::error::Kind::Overload) when too many passwords are being hashed (503).
    pub async fn login(&self, credentials: Credentials, from: Option<IpAddr>) -> Result<Admission> {
        let admission = match self.0.prove(credentials, from).await? {
            Admission::Granted((user, revision)) => {
                Admission::Granted(self.0.begin(user, revision).await?)
            }
            Admission::Wrong => Admission::Wrong,
            Admission::TooMany { retry_after } => Admission::TooMany { retry_after },
        };
        if let Admission::Granted(_) = admission {
            self.sweep_at_times();
        }
        Ok(admission)
    }

    /// Looks at a password as [`Accounts::login`] does, counting attempts, and begins no session: for protocols whose
    /// connection is the session, and before a password is changed.
    ///
    /// # Errors
    /// As [`Accounts::login`].
    pub async fn check(
        &self,
        credentials: Credentials,
        from: Option<IpAddr>,
    ) -> Result<Admission<User>> {
        Ok(match self.0.prove(credentials, from).await? {
            Admission::Granted((user, revision)) => Admission::Granted(user.shown(revision)),
            Admission::Wrong => Admission::Wrong,
            Admission::TooMany { retry_after } => Admission::TooMany { retry_after },
        })
    }

    /// Whose session this is the token of; `None` when it is nobody's, or no more.
    ///
    /// # Errors
    /// The store's.
    pub async fn who(&self, token: &str) -> Result<Option<Session>> {
        let Some(token) = TokenHash::of(token) else {
            return Ok(None);
        };
        let inner = &*self.0;
        let now = inner.clock.elapsed();
        let session = match inner.remembered.session(&token, now) {
            Some(session) => Some(session),
            None => {
                let generation = inner.remembered.generation();
                let session = inner.recognise(&token).await?;
                if let Some(session) = session.clone() {
                    inner.remembered.remember(token, session, now, generation);
                }
                session
            }
        };
        Ok(session.filter(|session| inner.clock.now() < session.expires))
    }

    /// Ends a session. One that there is not is ended already.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout(&self, token: &str) -> Result<()> {
        let Some(token) = TokenHash::of(token) else {
            return Ok(());
        };
        let hash = token.to_text();
        let key = StoredSession::key(&hash);
        if let Some(record) = self.0.store.get(&key).await? {
            let session: StoredSession = records::read(&key, &record.value)?;
            let batch = Batch::new()
                .delete(key, Expect::Anything)
                .delete(session.mark(&hash), Expect::Anything);
            self.0.store.commit(batch).await??;
        }
        self.0.remembered.forget(&token);
        Ok(())
    }

    /// Removes the sessions that have ended by themselves: how many. Done once an hour when people log in; a program
    /// need not call it.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<usize> {
        let inner = &*self.0;
        let (mut removed, mut after) = (0, None::<String>);
        loop {
            let page = inner.store.list(SESSIONS, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(removed);
            };
            after = Some(last.key.clone());
            for record in &page {
                // One that is damaged lets nobody in, and should keep nobody from being swept.
                let Ok(session) = records::read::<StoredSession>(&record.key, &record.value) else {
                    continue;
                };
                if inner.is_good(&session).await? {
                    continue;
                }
                let hash = record.key.strip_prefix(SESSIONS).unwrap_or_default();
                let batch = Batch::new()
                    .delete(&record.key, Expect::Revision(record.revision))
                    .delete(session.mark(hash), Expect::Anything);
                // Whoever has changed it meanwhile knows better.
                removed += usize::from(inner.store.commit(batch).await?.is_ok());
            }
        }
    }

    fn sweep_at_times(&self) {
        let now = milliseconds(self.0.clock.elapsed());
        let swept = self.0.swept.load(Ordering::Relaxed);
        if swept != 0 && now.saturating_sub(swept) < milliseconds(SWEPT) {
            return;
        }
        let ours =
            self.0
                .swept
                .compare_exchange(swept, now.max(1), Ordering::Relaxed, Ordering::Relaxed);
        if ours.is_ok() {
            let accounts = self.clone();
            tokio::spawn(async move {
                if let Err(error) = accounts.sweep().await {
                    tracing::warn!(%error, "removing expired sessions");
                }
            });
        }
    }
}

impl Inner {
    /// Whose password this is. The attempt is counted before anything is looked at.
    async fn prove(
        &self,
        credentials: Credentials,
        from: Option<IpAddr>,
    ) -> Result<Admission<(StoredUser, u64)>> {
        let account = fold(&credentials.user);
        let now = self.clock.elapsed();
        let begun = self.attempts().begin(now, from, &account);
        let attempt = match begun {
            Ok(attempt) => attempt,
            Err(retry_after) => return Ok(Admission::TooMany { retry_after }),
        };
        match self.look(credentials, from).await {
            Ok(Some(user)) => {
                self.attempts().succeed(self.clock.elapsed(), attempt);
                Ok(Admission::Granted(user))
            }
            Ok(None) => Ok(Admission::Wrong),
            Err(error) => {
                // Nobody has learnt anything about the password.
                self.attempts().cancel(attempt);
                Err(error)
            }
        }
    }

    /// The user whose name and password these are, if they may come in.
    async fn look(
        &self,
        credentials: Credentials,
        from: Option<IpAddr>,
    ) -> Result<Option<(StoredUser, u64)>> {
        let Credentials {
            user: name,
            password,
        } = credentials;
        let from = from.map(tracing::field::display);
        // Nobody has such a name or password, and nobody's being called so takes as long as anybody's.
        let can_be = name::check(&name).is_ok() && password.expose().len() <= password::BYTES_MAX;
        let found = match can_be {
            true => self.stored_user(&name).await?,
            false => None,
        };
        let password = match can_be {
            true => password,
            false => Secret::default(),
        };
        let stored = found.as_ref().map(|(user, _)| user.hash.as_str());
        let verdict = self.hasher.verify(password.clone(), stored).await?;
        let Some((user, revision)) = found else {
            tracing::info!(from, "login refused: no such user");
            return Ok(None);
        };
        if !verdict.right {
            tracing::info!(user = user.name, from, "login refused: wrong password");
            return Ok(None);
        }
        if user.disabled {
            tracing::warn!(
                user = user.name,
                from,
                "login refused: the user is disabled"
            );
            return Ok(None);
        }
        tracing::debug!(user = user.name, from, "the password is right");
        Ok(Some(match verdict.outdated {
            true => self.hash_anew(user, revision, password).await?,
            false => (user, revision),
        }))
    }

    /// Replaces a hash of another cost. Where the user is changed at the same time, the next login does it.
    async fn hash_anew(
        &self,
        user: StoredUser,
        revision: u64,
        password: Secret,
    ) -> Result<(StoredUser, u64)> {
        let mut anew = user.clone();
        anew.hash = self.hasher.hash(password).await?;
        let key = StoredUser::key(&user.name);
        let value = records::write(&anew)?.into();
        match self
            .store
            .put(&key, value, Expect::Revision(revision))
            .await?
        {
            Ok(revision) => {
                self.remembered.forget_user(&user.name);
                Ok((anew, revision))
            }
            Err(_) => Ok((user, revision)),
        }
    }

    async fn begin(&self, user: StoredUser, revision: u64) -> Result<Grant> {
        let token = Token::random()?;
        // Of a token's length and made of its characters, which is all that is asked.
        let hash = TokenHash::of(token.expose()).map(|hash| hash.to_text());
        let hash = hash.unwrap_or_default();
        let now = unix(self.clock.now());
        let session = StoredSession {
            user: fold(&user.name),
            stamp: user.stamp.clone(),
            created: now,
            expires: now.saturating_add(milliseconds(self.options.session)),
            seen: now,
        };
        let (batch, ended) = self.without_the_oldest(&user.name).await?;
        let value = records::write(&session)?;
        let batch = batch
            .put(StoredSession::key(&hash), value, Expect::Absent)
            .put(session.mark(&hash), "", Expect::Absent);
        self.store.commit(batch).await??;
        for token in &ended {
            self.remembered.forget(token);
        }
        let session = session.shown(Arc::new(user.shown(revision)));
        Ok(Grant { token, session })
    }

    /// What ends as many of a user's sessions as makes room for another one, and which those are.
    async fn without_the_oldest(&self, name: &str) -> Result<(Batch, Vec<TokenHash>)> {
        let most = self.options.sessions.max(1);
        let marks = self.store.list(&marks_of(name), None, most + PAGE).await?;
        let too_many = (marks.len() + 1).saturating_sub(most);
        let (mut batch, mut ended) = (Batch::new(), Vec::new());
        for mark in marks.into_iter().take(too_many) {
            if let Some(hash) = hash_of_mark(&mark.key) {
                batch = batch.delete(StoredSession::key(hash), Expect::Anything);
                ended.extend(TokenHash::from_text(hash));
            }
            batch = batch.delete(mark.key, Expect::Anything);
        }
        Ok((batch, ended))
    }

    /// The session of a token, out of the store.
    async fn recognise(&self, token: &TokenHash) -> Result<Option<Session>> {
        let key = records::session_key(token);
        let Some(record) = self.store.get(&key).await? else {
            return Ok(None);
        };
        let session: StoredSession = records::read(&key, &record.value)?;
        let now = unix(self.clock.now());
        if !session.is_alive(now, self.options.idle) {
            return Ok(None);
        }
        let Some((user, revision)) = self.stored_user(&session.user).await? else {
            return Ok(None);
        };
        if user.disabled || user.stamp != session.stamp {
            return Ok(None);
        }
        let noted = NOTED.min(self.options.idle / 4);
        if now.saturating_sub(session.seen) >= milliseconds(noted) {
            let seen = StoredSession {
                seen: now,
                ..session.clone()
            };
            let value = records::write(&seen)?.into();
            let put = self
                .store
                .put(&key, value, Expect::Revision(record.revision));
            // A conflict: it was noted by another request, or ended.
            if let Err(error) = put.await {
                tracing::warn!(%error, "noting the use of a session");
            }
        }
        Ok(Some(session.shown(Arc::new(user.shown(revision)))))
    }

    /// Whether a stored session still lets anybody in.
    async fn is_good(&self, session: &StoredSession) -> Result<bool> {
        if !session.is_alive(unix(self.clock.now()), self.options.idle) {
            return Ok(false);
        }
        let user = self.stored_user(&session.user).await?;
        Ok(user.is_some_and(|(user, _)| user.stamp == session.stamp))
    }
}

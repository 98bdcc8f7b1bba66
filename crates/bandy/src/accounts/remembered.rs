//! Sessions in memory, so that a request costs no look into the store and waits for no other event loop.
//!
//! Sessions lie in shards by their token's hash, each behind a lock of its own, and are read under a shared one. What a
//! change of this process touches is taken out at once; what another process changes is seen when an entry is older
//! than [`Options::stale`](super::Options::stale) and read again. Whoever read the store before a change and comes to remember it
//! afterwards is told by the generation, and does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::secret::TokenHash;
use super::session::Session;

const SHARDS: usize = 64;

pub(crate) struct Remembered {
    shards: Vec<RwLock<HashMap<TokenHash, Entry, RandomState>>>,
    /// The most entries of one shard.
    most: usize,
    stale: Duration,
    generation: AtomicU64,
}

struct Entry {
    session: Session,
    read: Duration,
}

/// When the store was read: what was changed since must not be overwritten by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Remembered {
    pub(crate) fn new(sessions: usize, stale: Duration) -> Remembered {
        Remembered {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            most: sessions.div_ceil(SHARDS),
            stale,
            generation: AtomicU64::new(0),
        }
    }

    /// The session of this token, if it was read of late. `now` is since any one beginning.
    pub(crate) fn session(&self, token: &TokenHash, now: Duration) -> Option<Session> {
        let shard = self
            .shard(token)?
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = shard.get(token)?;
        let is_fresh = now.saturating_sub(entry.read) < self.stale;
        is_fresh.then(|| entry.session.clone())
    }

    /// To be taken before the store is read.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::SeqCst))
    }

    /// Remembers what was read since `generation`, unless something was changed meanwhile.
    pub(crate) fn remember(
        &self,
        token: TokenHash,
        session: Session,
        read: Duration,
        generation: Generation,
    ) {
        let Some(shard) = self.shard(&token) else {
            return;
        };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: a change that comes now finds the entry and takes it out.
        if self.generation() != generation || self.most == 0 {
            return;
        }
        if shard.len() >= self.most && !shard.contains_key(&token) {
            shard.retain(|_, entry| read.saturating_sub(entry.read) < self.stale);
            let any = shard.keys().next().copied();
            if let Some(any) = any.filter(|_| shard.len() >= self.most) {
                shard.remove(&any);
            }
        }
        shard.insert(token, Entry { session, read });
    }

    /// To be called when a session was ended in the store.
    pub(crate) fn forget(&self, token: &TokenHash) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if let Some(shard) = self.shard(token) {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.remove(token);
        }
    }

    /// To be called when a user was changed in the store.
    pub(crate) fn forget_user(&self, name: &str) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, entry| !entry.session.user.name.eq_ignore_ascii_case(name));
        }
    }

    fn shard(&self, token: &TokenHash) -> Option<&RwLock<HashMap<TokenHash, Entry, RandomState>>> {
        // A hash is as good as random: any byte of it will do.
        self.shards.get(usize::from(token.0[0]) % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::User;
    use std::sync::Arc;
    use std::time::SystemTime;

    fn session(name: &str) -> Session {
        let user = User {
            name: name.to_owned(),
            roles: Vec::new(),
            disabled: false,
            created: SystemTime::UNIX_EPOCH,
            profile: serde_json::Map::new(),
            revision: 1,
        };
        Session {
            user: Arc::new(user),
            created: SystemTime::UNIX_EPOCH,
            expires: SystemTime::UNIX_EPOCH,
        }
    }

    fn token(n: u16) -> TokenHash {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&n.to_le_bytes());
        TokenHash(hash)
    }

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_read_is_remembered_until_it_is_stale() {
        let seen = Remembered::new(1000, 2 * S);
        seen.remember(token(1), session("ada"), 10 * S, seen.generation());
        assert!(seen.session(&token(1), 11 * S).is_some());
        assert!(seen.session(&token(1), 12 * S).is_none());
        assert!(seen.session(&token(2), 11 * S).is_none());
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let seen = Remembered::new(1000, 2 * S);
        let before = seen.generation();
        seen.forget_user("somebody");
        seen.remember(token(1), session("ada"), S, before);
        assert!(seen.session(&token(1), S).is_none());
    }

    #[test]
    fn a_users_sessions_are_forgotten_in_any_case_and_only_theirs() {
        let seen = Remembered::new(10_000, 2 * S);
        for n in 0..300 {
            let name = if n % 2 == 0 { "Ada" } else { "grace" };
            seen.remember(token(n), session(name), S, seen.generation());
        }
        seen.forget_user("ada");
        let left = (0..300).filter(|&n| seen.session(&token(n), S).is_some());
        assert!(left.clone().all(|n| n % 2 == 1));
        assert_eq!(left.count(), 150);
        seen.forget(&token(1));
        assert!(seen.session(&token(1), S).is_none());
    }

    #[test]
    fn no_more_than_was_said_is_remembered() {
        for most in [0, 64, 640] {
            let seen = Remembered::new(most, 2 * S);
            for n in 0..5000 {
                seen.remember(token(n), session("ada"), S, seen.generation());
            }
            let left = (0..5000).filter(|&n| seen.session(&token(n), S).is_some());
            assert_eq!(left.count(), most);
        }
    }
}

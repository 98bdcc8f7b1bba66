//! What accounts can be told: every bound of theirs, with its default.

use std::time::Duration;

/// How accounts are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whether anybody may register. Operators may always add users.
    pub registration: bool,
    /// How long a session lasts, used or not.
    pub session: Duration,
    /// How long a session lasts without a request. Its last use is noted once an hour at most.
    pub idle: Duration,
    /// The sessions of one user; a further one ends the oldest.
    pub sessions: usize,
    /// The shortest password, in characters.
    pub password_min: usize,
    /// The largest profile, in bytes of JSON.
    pub profile_bytes: usize,
    /// How long another process's change (`bandy user …` beside a running server) may go unnoticed. Changes made in
    /// this process are noticed at once.
    pub stale: Duration,
    /// The sessions remembered in memory.
    pub remembered: usize,
    /// What hashing a password costs.
    pub cost: Cost,
    /// How often logging in may fail.
    pub attempts: AttemptLimits,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            registration: true,
            session: Duration::from_secs(30 * 24 * 60 * 60),
            idle: Duration::from_secs(7 * 24 * 60 * 60),
            sessions: 50,
            password_min: 8,
            profile_bytes: 16 << 10,
            stale: Duration::from_secs(2),
            remembered: 16_384,
            cost: Cost::default(),
            attempts: AttemptLimits::default(),
        }
    }
}

/// What a password's hash costs whoever computes it: Argon2id (RFC 9106), and how many at once.
///
/// The default takes 19 MiB and two passes, as OWASP recommends for servers. Hashes of another cost are still
/// verified, and are replaced when their owner logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes computed at once, each on a thread that may block.
    pub at_once: usize,
    /// Those that may wait for their turn; more are refused as overload.
    pub waiting: usize,
    /// How long they wait before that is overload as well.
    pub wait: Duration,
}

impl Default for Cost {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Cost {
            memory_kib: 19 << 10,
            passes: 2,
            lanes: 1,
            at_once: (cores / 2).clamp(1, 8),
            waiting: 64,
            wait: Duration::from_secs(5),
        }
    }
}

/// A bucket: so many attempts at once, and another one after each pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Attempts at once.
    pub burst: u32,
    /// Until the next.
    pub every: Duration,
}

/// How often logging in may fail, where a success gives its attempt back; and how often one may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Of one address at one account.
    pub pair: Bucket,
    /// Of one address at all accounts. For IPv6 an address is a /64.
    pub address: Bucket,
    /// Of all addresses at one account. Addresses from which its owner has logged in before are not held by it, so
    /// that strangers cannot keep the owner out.
    pub account: Bucket,
    /// Accounts that one address may make.
    pub registration: Bucket,
    /// What is remembered of each of these. What is nearest to being forgiven is forgotten first.
    pub remembered: usize,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        let bucket = |burst, seconds| Bucket {
            burst,
            every: Duration::from_secs(seconds),
        };
        AttemptLimits {
            pair: bucket(5, 30),
            address: bucket(30, 6),
            account: bucket(100, 6),
            registration: bucket(100, 10),
            remembered: 16_384,
        }
    }
}

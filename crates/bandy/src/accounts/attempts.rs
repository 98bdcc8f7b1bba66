//! How often logging in may fail: a pure state machine, with time as an argument.
//!
//! Three buckets (GCRA: each is one number, the time at which it will be full again) are charged before a password is
//! looked at, and given back when it was right: for an address at an account, for an address, and for an account. The last
//! one does not hold addresses from which the owner has logged in before: strangers can use it up, and would otherwise keep
//! the owner out for as long as they like.
//!
//! What is remembered is bounded: each table has a fixed number of slots, eight to a set, and what would be forgiven
//! soonest makes room. To make it forget an attacker needs as many addresses as it has slots.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::options::{AttemptLimits, Bucket};

/// How long an address counts as its owner's after a login there.
const KNOWN: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The attempts of late. Times are since any one beginning.
pub(crate) struct Attempts {
    limits: AttemptLimits,
    pairs: Table,
    addresses: Table,
    accounts: Table,
    registrations: Table,
    /// Pairs that were right once, and until when that counts.
    known: Table,
    keys: RandomState,
}

/// An attempt that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pair: u64,
    address: Option<u64>,
    /// `None` where the bucket of the account does not hold.
    account: Option<u64>,
}

impl Attempts {
    pub(crate) fn new(limits: AttemptLimits) -> Attempts {
        Attempts {
            limits,
            pairs: Table::new(limits.remembered),
            addresses: Table::new(limits.remembered),
            accounts: Table::new(limits.remembered),
            registrations: Table::new(limits.remembered),
            known: Table::new(limits.remembered),
            keys: RandomState::new(),
        }
    }

    /// Counts an attempt, or says how long to wait for the next. `account` is the folded name, whether somebody has
    /// it or not.
    pub(crate) fn begin(
        &mut self,
        now: Duration,
        from: Option<IpAddr>,
        account: &str,
    ) -> Result<Attempt, Duration> {
        let from = from.map(network);
        let pair = self.key(&(from, account));
        let is_known = self.known.until(pair) > now;
        let attempt = Attempt {
            pair,
            address: from.map(|from| self.key(&from)),
            account: (!is_known).then(|| self.key(&account)),
        };
        let limits = self.limits;
        let wait = [
            Some(self.pairs.wait(now, pair, limits.pair)),
            attempt
                .address
                .map(|key| self.addresses.wait(now, key, limits.address)),
            attempt
                .account
                .map(|key| self.accounts.wait(now, key, limits.account)),
        ];
        // All are asked before any is charged: what is refused costs nothing more.
        let wait = wait.into_iter().flatten().max().unwrap_or_default();
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.pairs.charge(now, pair, limits.pair);
        if let Some(key) = attempt.address {
            self.addresses.charge(now, key, limits.address);
        }
        if let Some(key) = attempt.account {
            self.accounts.charge(now, key, limits.account);
        }
        Ok(attempt)
    }

    /// The attempt was right: it is given back, and this address is known at this account.
    pub(crate) fn succeed(&mut self, now: Duration, attempt: Attempt) {
        self.pairs.clear(attempt.pair);
        self.known.put(attempt.pair, now.saturating_add(KNOWN));
        if let Some(key) = attempt.address {
            self.addresses.give_back(key, self.limits.address);
        }
        if let Some(key) = attempt.account {
            self.accounts.give_back(key, self.limits.account);
        }
    }

    /// The attempt came to nothing of its own fault: it is given back.
    pub(crate) fn cancel(&mut self, attempt: Attempt) {
        self.pairs.give_back(attempt.pair, self.limits.pair);
        if let Some(key) = attempt.address {
            self.addresses.give_back(key, self.limits.address);
        }
        if let Some(key) = attempt.account {
            self.accounts.give_back(key, self.limits.account);
        }
    }

    /// Counts an account that an address makes, or says how long to wait for the next. Who is at no address, such as a
    /// process of this machine, is not counted.
    pub(crate) fn register(&mut self, now: Duration, from: Option<IpAddr>) -> Result<(), Duration> {
        let Some(from) = from.map(network) else {
            return Ok(());
        };
        let (key, bucket) = (self.key(&from), self.limits.registration);
        match self.registrations.wait(now, key, bucket) {
            Duration::ZERO => {
                self.registrations.charge(now, key, bucket);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// Keyed, so that nobody can choose what falls together.
    fn key(&self, of: &impl Hash) -> u64 {
        self.keys.hash_one(of)
    }
}

/// What counts as one address: of IPv6 a /64, which is what one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    /// In milliseconds; 0 is empty.
    until: u64,
}

const SET: usize = 8;

/// A bounded map from keys to times; the earliest of a set makes room.
struct Table {
    sets: Vec<[Slot; SET]>,
}

impl Table {
    fn new(slots: usize) -> Table {
        Table {
            sets: vec![[Slot::default(); SET]; slots.div_ceil(SET).max(1)],
        }
    }

    fn set(&mut self, key: u64) -> Option<&mut [Slot; SET]> {
        let sets = self.sets.len();
        let at = usize::try_from(key).unwrap_or_default() % sets.max(1);
        self.sets.get_mut(at)
    }

    fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        let mut slots = self.set(key)?.iter_mut();
        slots.find(|slot| slot.key == key && slot.until > 0)
    }

    fn until(&mut self, key: u64) -> Duration {
        let until = self.slot(key).map_or(0, |slot| slot.until);
        Duration::from_millis(until)
    }

    fn put(&mut self, key: u64, until: Duration) {
        let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        let Some(set) = self.set(key) else { return };
        // Its own slot, or the one that would be forgiven first. An empty one comes before all.
        let own = set
            .iter()
            .position(|slot| slot.key == key && slot.until > 0);
        let first = || (0..SET).min_by_key(|&at| set.get(at).map(|slot| slot.until));
        let Some(at) = own.or_else(first) else { return };
        if let Some(slot) = set.get_mut(at) {
            *slot = Slot { key, until };
        }
    }

    fn clear(&mut self, key: u64) {
        if let Some(slot) = self.slot(key) {
            *slot = Slot::default();
        }
    }

    /// How long until this bucket has an attempt left.
    fn wait(&mut self, now: Duration, key: u64, bucket: Bucket) -> Duration {
        let full_again = self.until(key).max(now).saturating_add(bucket.every);
        let may_be = now.saturating_add(bucket.every.saturating_mul(bucket.burst.max(1)));
        full_again.saturating_sub(may_be)
    }

    fn charge(&mut self, now: Duration, key: u64, bucket: Bucket) {
        let until = self.until(key).max(now).saturating_add(bucket.every);
        self.put(key, until);
    }

    fn give_back(&mut self, key: u64, bucket: Bucket) {
        let every = u64::try_from(bucket.every.as_millis()).unwrap_or(u64::MAX);
        if let Some(slot) = self.slot(key) {
            slot.until = slot.until.saturating_sub(every);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    fn attempts(remembered: usize) -> Attempts {
        Attempts::new(AttemptLimits {
            remembered,
            ..AttemptLimits::default()
        })
    }

    fn ip(n: u32) -> Option<IpAddr> {
        Some(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn five_at_once_and_then_one_every_half_minute() {
        let mut a = attempts(64);
        for _ in 0..5 {
            a.begin(S, ip(1), "ada").expect("one of five");
        }
        assert_eq!(a.begin(S, ip(1), "ada"), Err(30 * S));
        assert_eq!(a.begin(11 * S, ip(1), "ada"), Err(20 * S));
        a.begin(31 * S, ip(1), "ada").expect("half a minute later");
        assert_eq!(a.begin(31 * S, ip(1), "ada"), Err(30 * S));
        // Another account, another address: other buckets.
        a.begin(31 * S, ip(1), "grace").expect("another account");
        a.begin(31 * S, ip(2), "ada").expect("another address");
    }

    #[test]
    fn a_success_gives_back_what_was_taken() {
        let mut a = attempts(64);
        for _ in 0..1000 {
            let attempt = a.begin(S, ip(1), "ada").expect("nothing failed");
            a.succeed(S, attempt);
        }
        for _ in 0..4 {
            a.begin(S, ip(1), "ada").expect("one of five");
        }
        let last = a.begin(S, ip(1), "ada").expect("the fifth");
        a.cancel(last);
        a.begin(S, ip(1), "ada").expect("the fifth again");
    }

    #[test]
    fn one_address_at_many_accounts() {
        let mut a = attempts(1024);
        let let_in = (0..100).filter(|n| a.begin(S, ip(1), &n.to_string()).is_ok());
        assert_eq!(let_in.count(), 30);
        // The same for all addresses of one /64, also written as IPv4.
        let mut a = attempts(1024);
        let from = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 7, n, 0, 0, 1]));
        let let_in = (0..100).filter(|&n| a.begin(S, from(n), &n.to_string()).is_ok());
        assert_eq!(let_in.count(), 30);
        assert_eq!(
            network("::ffff:1.2.3.4".parse().expect("v6")),
            "1.2.3.4".parse::<IpAddr>().expect("v4")
        );
    }

    #[test]
    fn strangers_do_not_keep_the_owner_out() {
        let mut a = attempts(4096);
        let owner = a.begin(S, ip(1), "ada").expect("the owner, once");
        a.succeed(S, owner);
        let let_in = (2..1000).filter(|&n| a.begin(S, ip(n), "ada").is_ok());
        assert_eq!(let_in.count(), 100, "many addresses, one account");
        let owner = a.begin(S, ip(1), "ada").expect("the owner again");
        a.succeed(S, owner);
        assert!(
            a.begin(S, ip(5000), "ada").is_err(),
            "an address that is not known"
        );
        assert!(a.begin(8 * S, ip(5000), "ada").is_ok(), "a little later");
    }

    #[test]
    fn without_an_address_the_account_counts() {
        let mut a = attempts(64);
        let let_in = (0..100).filter(|_| a.begin(S, None, "ada").is_ok());
        assert_eq!(let_in.count(), 5);
    }

    #[test]
    fn what_failed_most_is_forgotten_last() {
        let mut a = attempts(64);
        for _ in 0..5 {
            a.begin(S, ip(1), "ada").expect("one of five");
        }
        // Far more than there are slots, each with one failure.
        for n in 2..10_000 {
            let _ = a.begin(S, ip(n), &n.to_string());
        }
        assert!(a.begin(S, ip(1), "ada").is_err(), "still remembered");
    }

    proptest! {
        /// However attempts are spread over time, a pair never has more than its burst and what time gave.
        #[test]
        fn no_more_than_burst_and_rate(steps in prop::collection::vec((0u64..60_000, 0u32..3, 0u8..2), 1..300)) {
            let mut a = attempts(4096);
            let mut now = S;
            let mut failed = std::collections::HashMap::<(u32, u8), u32>::new();
            for (pause, from, account) in steps {
                now += Duration::from_millis(pause);
                let name = if account == 0 { "ada" } else { "grace" };
                match a.begin(now, ip(from), name) {
                    Ok(_) => *failed.entry((from, account)).or_default() += 1,
                    Err(wait) => {
                        prop_assert!(wait > Duration::ZERO && wait <= 31 * S);
                        // What was promised is kept.
                        let mut later = attempts(1);
                        std::mem::swap(&mut later, &mut a);
                        prop_assert!(later.begin(now + wait, ip(from), name).is_ok());
                        return Ok(());
                    }
                }
                let most = 5 + u32::try_from(now.as_secs() / 30).unwrap_or(u32::MAX);
                prop_assert!(failed.values().all(|&n| n <= most));
            }
        }
    }
}

//! How often one client may ask: a token bucket for each (as GCRA: ITU-T I.371, appendix A.2).
//!
//! A client is an address, or its network where addresses are given away by the network (IPv6: /64), or a user. The
//! table of clients is bounded. One who comes while it is full shares one bucket with the others who do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::{Downstream, HeaderValue, Login, Problem, Request, Response, StatusCode, header};

/// How often one client may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// So many requests …
    pub requests: u32,
    /// … in so long. Never zero.
    pub every: Duration,
    /// How many at once, after a silence.
    pub burst: u32,
    /// Whose requests are counted together.
    pub by: By,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// Those of an IPv4 address, or of an IPv6 network (/64).
    #[default]
    Address,
    /// Those of a user, and where nobody is known of an address.
    User,
}

impl By {
    /// Both, for messages and help.
    pub const ALL: [By; 2] = [By::Address, By::User];

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Address => "address",
            By::User => "user",
        }
    }
}

/// Clients remembered at once for a route. One costs less than 100 bytes.
const CLIENTS_MAX: usize = 50_000;
/// How often those who may ask freely again are forgotten, at most: looking for them costs time for each.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Client {
    Address(IpAddr),
    User(String),
    /// Without an address: a process on this machine.
    Local,
    /// All who came while the table was full.
    Others,
}

/// A route's clients, and when each may ask again.
#[derive(Debug)]
pub(super) struct Limiter {
    /// What one request takes.
    cost: Duration,
    /// How far ahead of the time a client may be.
    tolerance: Duration,
    pub(super) by: By,
    table: Mutex<Table>,
    max: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// When everything that a client took is paid back.
    paid: HashMap<Client, Instant, foldhash::fast::RandomState>,
    swept: Option<Instant>,
}

impl Limiter {
    pub(super) fn new(rate: &Rate) -> Limiter {
        Limiter::bounded(rate, CLIENTS_MAX)
    }

    fn bounded(rate: &Rate, max: usize) -> Limiter {
        let cost = rate.every / rate.requests.max(1);
        Limiter {
            cost,
            tolerance: cost.saturating_mul(rate.burst.max(1) - 1),
            by: rate.by,
            table: Mutex::default(),
            max,
        }
    }

    /// Counts a request, or gives the answer to one too many.
    pub(super) fn check(&self, request: &Request) -> Option<Response> {
        let wait = self.take(client(request, self.by), Instant::now())?;
        let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS).response();
        // Whole seconds, and rounded up: who keeps to it is let in.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let fields = response.headers_mut();
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        Some(response)
    }

    /// How long the client has to wait, if it has to. What has to wait is not counted.
    fn take(&self, client: Client, now: Instant) -> Option<Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let client = table.admit(client, self.max, now);
        let paid = table.paid.get(&client).copied();
        let paid = paid.filter(|paid| *paid > now).unwrap_or(now);
        let ahead = paid.duration_since(now);
        if ahead > self.tolerance {
            return Some(ahead.saturating_sub(self.tolerance));
        }
        // An instant that cannot be told is centuries away.
        if let Some(paid) = paid.checked_add(self.cost) {
            table.paid.insert(client, paid);
        }
        None
    }
}

impl Table {
    /// The client itself if there is a place for it.
    fn admit(&mut self, client: Client, max: usize, now: Instant) -> Client {
        if self.paid.len() < max || self.paid.contains_key(&client) {
            return client;
        }
        let is_time = |swept: Instant| now.saturating_duration_since(swept) >= SWEEP;
        if self.swept.is_none_or(is_time) {
            self.swept = Some(now);
            self.paid.retain(|_, paid| *paid > now);
        }
        match self.paid.len() < max {
            true => client,
            false => Client::Others,
        }
    }
}

fn client(request: &Request, by: By) -> Client {
    if by == By::User
        && let Some(login) = Login::of(request)
    {
        return Client::User(login.user.clone());
    }
    match Downstream::of(request).and_then(Downstream::ip) {
        Some(ip) => Client::Address(network(ip)),
        None => Client::Local,
    }
}

/// What is given to one customer.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(requests: u32, seconds: u64, burst: u32) -> Rate {
        Rate {
            requests,
            every: Duration::from_secs(seconds),
            burst,
            by: By::Address,
        }
    }

    fn ip(n: u8) -> Client {
        Client::Address([10, 0, 0, n].into())
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limiter = Limiter::new(&rate(2, 1, 3));
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let wait = |ms, n| limiter.take(ip(n), at(ms)).map(|w| w.as_millis());
        assert_eq!([wait(0, 1), wait(0, 1), wait(0, 1)], [None; 3]);
        assert_eq!(wait(0, 1), Some(500));
        assert_eq!(wait(0, 2), None, "another client is not concerned");
        assert_eq!(wait(499, 1), Some(1));
        assert_eq!(wait(500, 1), None);
        assert_eq!(wait(501, 1), Some(499));
        assert_eq!(
            [wait(60_000, 1), wait(60_000, 1), wait(60_000, 1)],
            [None; 3]
        );
        assert_eq!(wait(60_000, 1), Some(500));
    }

    #[test]
    fn a_full_table_is_shared_and_empties() {
        let limiter = Limiter::bounded(&rate(1, 10, 1), 2);
        let start = Instant::now();
        let later = start + Duration::from_secs(11);
        assert_eq!(limiter.take(ip(1), start), None);
        assert_eq!(limiter.take(ip(2), start), None);
        assert_eq!(limiter.take(ip(3), start), None, "the first of the others");
        assert!(limiter.take(ip(4), start).is_some(), "shares with it");
        assert!(limiter.take(ip(1), start).is_some());
        assert_eq!(limiter.take(ip(4), later), None);
        assert_eq!(limiter.take(ip(3), later), None);
    }

    #[test]
    fn a_network_is_a_client() {
        let network = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("10.0.0.1"), "10.0.0.1");
    }

    proptest! {
        /// In no window is more let in than a burst and the rate.
        #[test]
        fn never_more_than_the_rate(requests in 1..50_u32, burst in 1..20_u32, gaps in proptest::collection::vec(0..200_u64, 1..200)) {
            let limiter = Limiter::new(&rate(requests, 1, burst));
            let start = Instant::now();
            let (mut now, mut passed) = (start, 0_u64);
            for gap in gaps {
                now += Duration::from_millis(gap);
                passed += u64::from(limiter.take(ip(1), now).is_none());
            }
            let elapsed = now.duration_since(start).as_nanos() as u64;
            let cost = 1_000_000_000 / u64::from(requests);
            prop_assert!(passed <= u64::from(burst) + elapsed / cost);
            prop_assert!(passed >= 1);
        }
    }
}

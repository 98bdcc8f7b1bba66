//! The law of each strategy.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::Endpoint;
use crate::pool::options::Member;
use crate::pool::{Lease, Options, Pool, Wanted};
use proptest::prelude::*;

/// A pool with backends of these weights, called `0`, `1`, `2` and so on.
fn pool(strategy: Choice, weights: &[u32]) -> Arc<Pool> {
    named(strategy, weights.iter().copied().enumerate())
}

fn named(strategy: Choice, weights: impl Iterator<Item = (usize, u32)>) -> Arc<Pool> {
    let mut options = Options::new("p", []);
    options.strategy = strategy;
    options.members = weights
        .map(|(n, weight)| Member {
            name: n.to_string(),
            weight,
            ..Member::new(Endpoint::mem(format!("b{n}")))
        })
        .collect();
    Pool::new(options).expect("a pool")
}

fn leased(pool: &Pool, key: Option<Key>) -> Lease {
    let wanted = Wanted {
        key,
        ..Wanted::default()
    };
    let lease = pool.try_lease(wanted).expect("somebody is ready");
    lease.expect("nobody is full")
}

/// The number of the backend that is leased, and given back.
fn picked(pool: &Pool, key: Option<Key>) -> usize {
    let lease = leased(pool, key);
    lease.backend().name().parse().expect("a number")
}

fn client(n: u32) -> Option<Key> {
    Some(Key::of_ip(IpAddr::V4(Ipv4Addr::from_bits(n))))
}

fn weights() -> impl proptest::strategy::Strategy<Value = Vec<u32>> {
    prop::collection::vec(1..=20u32, 1..12)
}

fn maglev(load: u32) -> Choice {
    Choice::ConsistentHash {
        key: KeyOf::Ip,
        load,
    }
}

#[test]
fn round_robin_has_the_order_of_nginx() {
    // ngx_http_upstream_round_robin.c's own example.
    let pool = pool(Choice::RoundRobin, &[5, 1, 1]);
    let order: Vec<usize> = (0..14).map(|_| picked(&pool, None)).collect();
    assert_eq!(order, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
}

/// nginx's algorithm as it is published, on plain numbers.
fn nginx(sums: &mut [i64], weights: &[u32]) -> usize {
    let mut best = 0;
    for at in 0..weights.len() {
        sums[at] += i64::from(weights[at]);
        if sums[at] > sums[best] {
            best = at;
        }
    }
    sums[best] -= weights.iter().map(|w| i64::from(*w)).sum::<i64>();
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn round_robin_is_exact(weights in weights(), rounds in 1..4usize) {
        let pool = pool(Choice::RoundRobin, &weights);
        let total: u32 = weights.iter().sum();
        let mut counts = vec![0u32; weights.len()];
        let mut sums = vec![0i64; weights.len()];
        for _ in 0..rounds * total as usize {
            let peeked = pool.explain(Wanted::default()).backend;
            let at = picked(&pool, None);
            prop_assert_eq!(peeked, Some(at.to_string()));
            prop_assert_eq!(at, nginx(&mut sums, &weights));
            counts[at] += 1;
        }
        let fair: Vec<u32> = weights.iter().map(|w| w * rounds as u32).collect();
        prop_assert_eq!(counts, fair);
    }

    // Whatever is leased and given back on the way, and by whatever weights.
    #[test]
    fn least_connections_never_picks_the_busier(weights in weights(), steps in prop::collection::vec(any::<Option<u8>>(), 1..200)) {
        let pool = pool(Choice::LeastConnections, &weights);
        let mut leases: Vec<Lease> = Vec::new();
        for step in steps {
            if let Some(n) = step && !leases.is_empty() {
                leases.swap_remove(n as usize % leases.len());
                continue;
            }
            let before: Vec<usize> = pool.members().iter().map(|b| b.active()).collect();
            let lease = leased(&pool, None);
            let at: usize = lease.backend().name().parse().expect("a number");
            for (other, active) in before.iter().enumerate() {
                prop_assert!(before[at] as u64 * u64::from(weights[other]) <= *active as u64 * u64::from(weights[at]));
            }
            leases.push(lease);
        }
        drop(leases);
        prop_assert!(pool.members().iter().all(|b| b.active() == 0));
    }

    // When one of N goes, only its clients move; when it is back, they are too.
    #[test]
    fn ip_hash_moves_only_the_clients_of_the_one_that_goes(weights in prop::collection::vec(1..=20u32, 2..12), gone in any::<prop::sample::Index>()) {
        let pool = pool(Choice::IpHash, &weights);
        let gone = gone.index(weights.len());
        let at = |n: u32| picked(&pool, client(n));
        let before: Vec<usize> = (0..500).map(at).collect();
        prop_assert_eq!(&before, &(0..500).map(at).collect::<Vec<_>>());
        let member = pool.member(&gone.to_string()).expect("a member");
        member.drain();
        for (n, old) in (0..).zip(&before) {
            let new = at(n);
            prop_assert!(new != gone);
            prop_assert!(*old == gone || *old == new);
        }
        member.ready();
        prop_assert_eq!(before, (0..500).map(at).collect::<Vec<_>>());
        // And the same when the configuration leaves it out, in another process and another order.
        let others = weights.iter().copied().enumerate().filter(|(n, _)| *n != gone);
        let smaller = named(Choice::IpHash, others.collect::<Vec<_>>().into_iter().rev());
        member.drain();
        for n in 0..500 {
            prop_assert_eq!(picked(&smaller, client(n)), at(n));
        }
    }

    #[test]
    fn consistent_hash_moves_only_the_keys_of_the_one_that_is_out(weights in prop::collection::vec(1..=20u32, 2..12), gone in any::<prop::sample::Index>()) {
        let pool = pool(maglev(0), &weights);
        let gone = gone.index(weights.len());
        let at = |n: u32| picked(&pool, client(n));
        let before: Vec<usize> = (0..500).map(at).collect();
        let member = pool.member(&gone.to_string()).expect("a member");
        member.drain();
        for (n, old) in (0..).zip(&before) {
            let new = at(n);
            prop_assert!(new != gone);
            prop_assert!(*old == gone || *old == new);
        }
        member.ready();
        prop_assert_eq!(before, (0..500).map(at).collect::<Vec<_>>());
    }

    // One key that everybody asks for does not overrun its backend.
    #[test]
    fn consistent_hash_bounds_the_load(weights in weights(), keys in prop::collection::vec(0..5u32, 1..300), load in 100..200u32) {
        let pool = pool(maglev(load), &weights);
        let mut leases = Vec::new();
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        for (n, key) in (1..).zip(keys) {
            let lease = leased(&pool, client(key));
            let backend = lease.backend();
            let most = (n * u64::from(load) * u64::from(backend.weight())).div_ceil(100 * total);
            prop_assert!(backend.active() as u64 <= most, "{} of at most {most}", backend.active());
            leases.push(lease);
        }
    }

    // Two at random, and never the one with more of them: the one that has most is only taken when it is alone.
    #[test]
    fn p2c_never_picks_the_busiest(busy in 1..20usize, weights in prop::collection::vec(1..=20u32, 2..12)) {
        let pool = pool(Choice::P2c, &weights);
        let only = pool.member("0").expect("a member");
        let others: Vec<_> = pool.members().into_iter().skip(1).collect();
        others.iter().for_each(|b| b.drain());
        let _leases: Vec<Lease> = (0..busy).map(|_| leased(&pool, None)).collect();
        others.iter().for_each(|b| b.ready());
        prop_assert_eq!(only.active(), busy);
        for _ in 0..50 {
            prop_assert!(picked(&pool, None) != 0);
        }
    }
}

/// How often each of these is picked, of 40,000 times, against what its weight says.
fn is_fair(choice: Choice, tolerance: f64) {
    fastrand::seed(7);
    let weights = [1, 2, 3, 4];
    let pool = pool(choice.clone(), &weights);
    let mut counts = [0u32; 4];
    for n in 0..40_000 {
        counts[picked(&pool, client(n))] += 1;
    }
    for (count, weight) in counts.iter().zip(weights) {
        let share = f64::from(*count) / 4_000.0;
        let off = (share - f64::from(weight)).abs() / f64::from(weight);
        assert!(off < tolerance, "{choice}: {counts:?}");
    }
}

#[test]
fn weights_are_kept_to_in_the_long_run() {
    is_fair(Choice::Random, 0.05);
    is_fair(Choice::IpHash, 0.05);
    is_fair(Choice::LeastConnections, 0.05);
    is_fair(Choice::P2c, 0.5);
    is_fair(maglev(0), 0.05);
}

#[test]
fn a_larger_table_moves_few_others() {
    let weights = |n: usize| vec![1; n];
    let (before, after) = (pool(maglev(0), &weights(10)), pool(maglev(0), &weights(11)));
    let moved = |n: &u32| {
        let (old, new) = (picked(&before, client(*n)), picked(&after, client(*n)));
        old != new && new != 10
    };
    let moved = (0..10_000).filter(moved).count();
    // The eleventh has its part, of course; of the others Maglev moves some, and a modulo would move nearly all.
    assert!(
        moved < 1_000,
        "{moved} of 10,000 moved to one that was there before"
    );
}

#[test]
fn peak_ewma_leaves_the_slow_alone() {
    use crate::pool::Outcome;
    use std::time::Duration;
    fastrand::seed(11);
    let pool = pool(Choice::PeakEwma, &[1, 1, 1]);
    let mut counts = [0; 3];
    for _ in 0..300 {
        let lease = leased(&pool, None);
        let at: usize = lease.backend().name().parse().expect("a number");
        counts[at] += 1;
        let latency = if at == 0 { 500 } else { 5 };
        lease.report(Outcome::Done(Duration::from_millis(latency)));
    }
    assert!(counts[0] <= 2, "{counts:?}");
    assert!(counts[1] > 50 && counts[2] > 50, "{counts:?}");
}

#[test]
fn keys_are_written_as_they_are_read() {
    for text in ["ip", "path", "header:x-user", "cookie:sid", "query:user"] {
        let key: KeyOf = text.parse().expect("a key");
        assert_eq!(key.to_string(), text);
    }
    for text in ["", "header", "header:", "header:a b", "body:x"] {
        assert!(text.parse::<KeyOf>().is_err(), "{text}");
    }
}

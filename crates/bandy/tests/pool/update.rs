//! Another configuration, taken up while the pool is in use.

use bandy::endpoint::Scheme;
use bandy::net::tls::ClientTls;
use bandy::pool::Outcome;
use bandy::pool::health::State;
use bandy::pool::strategy::Choice;

use super::*;

#[test]
fn who_stays_keeps_leases_health_and_counters() {
    let pool = pool(told(3));
    let held = leased(&pool);
    assert_eq!(held.backend().name(), "0");
    for _ in 0..3 {
        let wanted = Wanted {
            stick: Some("1"),
            ..Wanted::default()
        };
        let lease = pool.try_lease(wanted).expect("ready").expect("room");
        lease.report(Outcome::NotConnected);
    }
    assert_eq!(backend(&pool, "1").state(), State::Ejected);
    let before = pool.members();
    let mut options = told(2);
    options.members.reverse();
    options.members[0].weight = 5;
    options.members[1].max = Some(1);
    options.strategy = Choice::LeastConnections;
    pool.update(options).expect("right").apply();
    assert_eq!(names(&pool), ["1", "0"]);
    let after = pool.members();
    assert!(Arc::ptr_eq(&after[0], &before[1]) && Arc::ptr_eq(&after[1], &before[0]));
    assert_eq!(after[0].state(), State::Ejected);
    assert_eq!((after[0].weight(), after[0].counters().failed), (5, 3));
    assert_eq!((after[1].active(), after[1].max()), (1, Some(1)));
    assert_eq!(pool.snapshot().strategy, "least-connections");
    // One that is gone keeps what it has until that ends, and is nobody's any more.
    assert!(pool.member("2").is_none());
    let gone = &before[2];
    assert_eq!(Arc::strong_count(gone), 1);
    drop(held);
    assert_eq!(after[1].active(), 0);
}

#[test]
fn what_cannot_be_taken_up_changes_nothing() {
    let pool = pool(told(2));
    let before = pool.options();
    let secure = "https://127.0.0.1:1".parse().expect("an endpoint");
    let mut options = Options::new("p", [secure]);
    options.tls = ClientTls {
        ca: Some("/nowhere/ca.pem".into()),
        ..ClientTls::default()
    };
    let failed = pool
        .update(options)
        .map(drop)
        .expect_err("there is no such file");
    assert!(failed.to_string().contains("/nowhere/ca.pem"), "{failed}");
    assert_eq!(pool.options(), before);
    assert_eq!(names(&pool), ["0", "1"]);
    assert_eq!(before.members[0].endpoint.scheme(), Scheme::Mem);
}

#[test]
fn a_pool_that_nobody_has_is_gone() {
    let pool = pool(told(2));
    let (weak, lease) = (Arc::downgrade(&pool), leased(&pool));
    drop(pool);
    assert!(weak.upgrade().is_none());
    // What is still out can be given back all the same.
    lease.report(Outcome::NotConnected);
    assert_eq!(lease.backend().active(), 1);
}

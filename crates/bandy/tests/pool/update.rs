//! Another configuration, taken up while the pool is in use.

use bandy::Model;
use bandy::endpoint::Scheme;
use bandy::error::Kind;
use bandy::net::Phases;
use bandy::net::tls::ClientTls;
use bandy::pool::health::State;
use bandy::pool::strategy::Choice;
use bandy::pool::{Outcome, Pools, Update};
use bandy::services::Spec;
use bandy_testkit::{Stage, within};

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

/// A CA's file with another CA in it is another configuration, though not a word of that has changed.
#[tokio::test]
async fn files_are_read_again_and_only_another_content_counts() {
    let (ours, theirs) = (Stage::new(), Stage::new());
    let far = ours.serve(&Spec::Echo, &[Scheme::Tls], Model::Async);
    let ca = |stage: &Stage| std::fs::read(stage.ca().path()).expect("a CA");
    let file = ours.file("trusted.pem", ca(&theirs));
    let mut options = Options::new("p", [far.endpoint().clone()]);
    options.tls.ca = Some(file);
    let all = [options];
    let pools = Pools::new(&all).expect("right");
    let member = || pools.get("p").expect("it is there").members().remove(0);
    let before = member();
    let connecting = async || before.connect(&mut Phases::default()).await;
    let refused = within("a refusal", connecting())
        .await
        .expect_err("another CA");
    assert_eq!(refused.kind(), Kind::Untrusted);

    let updates = || pools.next(&all).map(|(_, updates)| updates);
    assert_eq!(updates().expect("the same").len(), 0);
    ours.file("trusted.pem", ca(&ours));
    let changed = updates().expect("another CA");
    assert_eq!(changed.len(), 1);
    changed.into_iter().for_each(Update::apply);
    within("a connection", connecting())
        .await
        .expect("believed");
    assert!(Arc::ptr_eq(&member(), &before));
    assert_eq!(updates().expect("the same again").len(), 0);

    // What is broken is told, and nothing is different.
    ours.file("trusted.pem", "nothing");
    let broken = updates().expect_err("no certificate in it");
    assert!(broken.to_string().contains("trusted.pem"), "{broken}");
    within("a connection", connecting())
        .await
        .expect("believed");
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

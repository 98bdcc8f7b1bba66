//! Leases: a place is somebody's until it is dropped, and then the next one's.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bandy::error::Kind;
use bandy::pool::options::Waiting;
use bandy_testkit::{eventually, within};
use futures_util::FutureExt;

use super::*;

fn capped(backends: usize, max: usize) -> Options {
    let mut options = told(backends);
    for member in &mut options.members {
        member.max = Some(max);
    }
    options
}

#[test]
fn a_dropped_lease_is_a_place() {
    let pool = pool(capped(2, 1));
    let (one, two) = (leased(&pool), leased(&pool));
    assert_ne!(one.backend().name(), two.backend().name());
    assert!(pool.try_lease(Wanted::default()).expect("ready").is_none());
    let name = two.backend().name().to_owned();
    drop(two);
    assert_eq!(leased(&pool).backend().name(), name);
    drop(one);
    assert!(pool.members().iter().all(|b| b.active() == 0));
}

#[tokio::test]
async fn who_waits_longest_is_served_first() {
    let pool = pool(capped(1, 1));
    let held = leased(&pool);
    let mut first = Box::pin(pool.lease(Wanted::default()));
    let mut second = Box::pin(pool.lease(Wanted::default()));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(pool.snapshot().waiting, 2);
    drop(held);
    // Nobody who comes later is before them.
    assert!(pool.try_lease(Wanted::default()).expect("ready").is_none());
    assert!(second.as_mut().now_or_never().is_none());
    let held = within("the first's turn", first).await.expect("a lease");
    assert!(second.as_mut().now_or_never().is_none());
    drop(held);
    within("the second's turn", second).await.expect("a lease");
    assert_eq!(backend(&pool, "0").active(), 0);
    assert_eq!(pool.snapshot().waiting, 0);
}

#[tokio::test]
async fn who_gives_up_leaves_the_place_to_the_next() {
    let pool = pool(capped(1, 1));
    let held = leased(&pool);
    let mut gone = Box::pin(pool.lease(Wanted::default()));
    let mut handed = Box::pin(pool.lease(Wanted::default()));
    let mut last = Box::pin(pool.lease(Wanted::default()));
    for waiting in [&mut gone, &mut handed, &mut last] {
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    drop(gone);
    drop(held);
    // It has been handed the place, and goes without a look at it.
    drop(handed);
    within("the last's turn", last).await.expect("a lease");
    assert_eq!(backend(&pool, "0").active(), 0);
}

#[tokio::test]
async fn the_queue_has_a_length_and_a_deadline() {
    let mut options = capped(1, 1);
    options.queue = Waiting {
        length: 1,
        wait: 20 * MS,
    };
    let pool = pool(options);
    let _held = leased(&pool);
    let mut first = Box::pin(pool.lease(Wanted::default()));
    assert!(first.as_mut().now_or_never().is_none());
    let full = pool.lease(Wanted::default()).now_or_never();
    let full = full.expect("at once").expect_err("the queue is full");
    assert_eq!(full.kind(), Kind::Overload);
    assert!(full.to_string().contains("1 wait already"), "{full}");
    let late = within("the deadline", first).await.expect_err("no place");
    assert_eq!(late.kind(), Kind::Overload);
    assert_eq!(pool.snapshot().overloaded, 2);
}

#[test]
fn with_nobody_ready_it_fails_at_once() {
    let pool = pool(told(2));
    backend(&pool, "0").drain();
    backend(&pool, "1").drain();
    let failed = pool.lease(Wanted::default()).now_or_never();
    let failed = failed.expect("at once").expect_err("nobody is ready");
    assert_eq!(failed.kind(), Kind::NotConnected);
    assert_eq!(
        failed.to_string(),
        "choosing a backend of pool `p`: none of its 2 backends is ready"
    );
    assert_eq!(pool.snapshot().unready, 1);
    assert_eq!(pool.explain(Wanted::default()).backend, None);
}

#[tokio::test]
async fn who_waits_hears_when_the_last_backend_goes_and_when_one_comes() {
    let pool = pool(capped(2, 1));
    backend(&pool, "1").drain();
    let held = leased(&pool);
    let mut waiting = Box::pin(pool.lease(Wanted::default()));
    assert!(waiting.as_mut().now_or_never().is_none());
    backend(&pool, "1").ready();
    let lease = within("the one that is ready again", waiting).await;
    assert_eq!(lease.expect("a lease").backend().name(), "1");
    backend(&pool, "1").drain();
    let mut waiting = Box::pin(pool.lease(Wanted::default()));
    assert!(waiting.as_mut().now_or_never().is_none());
    backend(&pool, "0").drain();
    let failed = within("the end of hope", waiting).await;
    assert_eq!(failed.expect_err("nobody").kind(), Kind::NotConnected);
    // A drained backend keeps what it has.
    assert_eq!(held.backend().active(), 1);
}

#[test]
fn who_was_tried_is_tried_again_only_when_all_were() {
    let pool = pool(told(3));
    for _ in 0..10 {
        let mut tried = Vec::new();
        for _ in 0..3 {
            let wanted = Wanted {
                avoid: &tried,
                ..Wanted::default()
            };
            let lease = pool.try_lease(wanted).expect("ready").expect("room");
            assert!(!tried.iter().any(|t| Arc::ptr_eq(t, lease.backend())));
            tried.push(lease.backend().clone());
        }
        let wanted = Wanted {
            avoid: &tried,
            ..Wanted::default()
        };
        assert!(pool.try_lease(wanted).expect("ready").is_some());
    }
}

#[test]
fn who_sticks_to_a_backend_gets_it_while_it_is_ready() {
    let pool = pool(told(3));
    let stuck = Wanted {
        stick: Some("2"),
        ..Wanted::default()
    };
    for _ in 0..6 {
        let lease = pool.try_lease(stuck).expect("ready").expect("room");
        assert_eq!(lease.backend().name(), "2");
    }
    let explained = pool.explain(stuck);
    assert_eq!(explained.why, "its cookie names it");
    backend(&pool, "2").drain();
    let lease = pool.try_lease(stuck).expect("ready").expect("room");
    assert_ne!(lease.backend().name(), "2");
    let out = pool.explain(stuck).out;
    assert_eq!((out[0].backend.as_str(), out[0].why), ("2", "draining"));
}

/// Threads that lease, wait and give back: nobody ever has more than one place too many, and all places come back.
#[test]
fn no_backend_ever_has_more_than_its_max() {
    const MAX: usize = 3;
    let pool = pool(capped(2, MAX));
    let (seen, is_wrong) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let one = || async {
                    for _ in 0..200 {
                        let lease = pool.lease(Wanted::default()).await.expect("a lease");
                        let active = lease.backend().active();
                        is_wrong.fetch_or(active > MAX, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                };
                let all = (0..4).map(|_| one());
                runtime.block_on(within("every lease", futures_util::future::join_all(all)));
            });
        }
    });
    assert!(!is_wrong.load(Ordering::Relaxed));
    assert_eq!(seen.load(Ordering::Relaxed), 4 * 4 * 200);
    assert!(pool.members().iter().all(|b| b.active() == 0));
    eventually("an empty queue", || match pool.snapshot().waiting {
        0 => Ok(()),
        n => Err(n),
    });
}

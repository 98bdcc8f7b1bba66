//! What traffic says of a backend, and what the pool makes of it.

use bandy::error::Kind;
use bandy::pool::Outcome;
use bandy::pool::health::{Policy, State};
use bandy_testkit::eventually;

use super::*;

/// Leases this backend, whatever the strategy says, and reports.
fn report(pool: &Pool, name: &str, outcome: Outcome) {
    let wanted = Wanted {
        stick: Some(name),
        ..Wanted::default()
    };
    let lease = pool.try_lease(wanted).expect("ready").expect("room");
    assert_eq!(lease.backend().name(), name);
    lease.report(outcome);
}

fn state(pool: &Pool, name: &str) -> State {
    backend(pool, name).state()
}

#[test]
fn failures_in_a_row_eject_and_a_pause_later_it_is_back() {
    let mut options = told(2);
    options.health.passive.pause = 30 * MS;
    let pool = pool(options);
    for _ in 0..2 {
        report(&pool, "0", Outcome::NotConnected);
        report(&pool, "0", Outcome::NotConnected);
        report(&pool, "0", Outcome::Done(MS));
    }
    assert_eq!(state(&pool, "0"), State::Up);
    for _ in 0..3 {
        report(&pool, "0", Outcome::NotConnected);
    }
    assert_eq!(state(&pool, "0"), State::Ejected);
    let explained = pool.explain(Wanted::default());
    assert_eq!(explained.backend.as_deref(), Some("1"));
    assert_eq!(explained.out[0].why, "ejected");
    assert_eq!(leased(&pool).backend().name(), "1");
    // Nothing but asking for a lease brings it back.
    eventually("the end of its pause", || {
        drop(leased(&pool));
        match state(&pool, "0") {
            State::Up => Ok(()),
            state => Err(state.as_str()),
        }
    });
    let counters = backend(&pool, "0").counters();
    assert_eq!((counters.ended, counters.failed), (9, 7));
    assert_eq!(counters.unconnected, 7);
}

#[test]
fn traffic_never_ejects_the_last_one() {
    let pool = pool(told(3));
    for name in ["0", "1", "2"] {
        for _ in 0..5 {
            if state(&pool, name) == State::Up {
                report(&pool, name, Outcome::NotConnected);
            }
        }
    }
    let states = ["0", "1", "2"].map(|name| state(&pool, name));
    assert_eq!(states, [State::Ejected, State::Ejected, State::Up]);
    assert_eq!(leased(&pool).backend().name(), "2");
}

#[test]
fn of_those_that_answer_badly_half_stay() {
    let pool = pool(told(4));
    for name in ["0", "1", "2", "3"] {
        for _ in 0..5 {
            if state(&pool, name) == State::Up {
                report(&pool, name, Outcome::ServerError(MS));
            }
        }
    }
    let snapshot = pool.snapshot();
    let up = snapshot.backends.iter().filter(|b| b.is_ready).count();
    assert_eq!(up, 2);
    assert!(!snapshot.is_panic);
}

#[test]
fn in_a_panic_all_are_asked_or_nobody_is() {
    for policy in Policy::ALL {
        let mut options = told(3);
        options.health.panic.policy = policy;
        // So that traffic may take two of three.
        options.health.panic.below = 0;
        let pool = pool(options.clone());
        for name in ["0", "1"] {
            for _ in 0..3 {
                report(&pool, name, Outcome::Broken);
            }
        }
        assert_eq!(leased(&pool).backend().name(), "2");
        options.health.panic.below = 50;
        pool.update(options).expect("right").apply();
        assert!(pool.snapshot().is_panic);
        match policy {
            Policy::All => {
                let picked: Vec<String> = (0..3)
                    .map(|_| leased(&pool).backend().name().to_owned())
                    .collect();
                for name in ["0", "1", "2"] {
                    assert!(picked.iter().any(|p| p == name), "{picked:?}");
                }
            }
            Policy::Fail => {
                let failed = pool.try_lease(Wanted::default()).expect_err("a panic");
                assert_eq!(failed.kind(), Kind::NotConnected);
                assert!(failed.to_string().contains("panic: fail"), "{failed}");
            }
        }
    }
}

#[test]
fn who_comes_back_begins_slowly() {
    let mut options = told(2);
    options.slow_start = Some(400 * MS);
    let pool = pool(options);
    let member = backend(&pool, "0");
    let full = member.share();
    assert_eq!(full, Backend::PARTS);
    member.drain();
    member.ready();
    assert!(member.share() < full / 2, "{}", member.share());
    assert!(member.share() >= full / 10, "{}", member.share());
    let picks = (0..10).filter(|_| leased(&pool).backend().name() == "0");
    assert!(picks.count() <= 4);
    assert!(pool.snapshot().backends[0].warmth < 1.0);
    eventually("its full share", || match member.share() {
        share if share == full => Ok(()),
        share => Err(share),
    });
}

#[test]
fn latency_goes_up_at_once_and_is_told() {
    let pool = pool(told(1));
    report(&pool, "0", Outcome::Done(5 * MS));
    report(&pool, "0", Outcome::Done(80 * MS));
    assert_eq!(backend(&pool, "0").latency(), Some(80 * MS));
    report(&pool, "0", Outcome::Done(MS));
    let latency = backend(&pool, "0").latency().expect("measured");
    assert!(latency > 70 * MS && latency <= 80 * MS, "{latency:?}");
}

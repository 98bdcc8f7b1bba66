//! Each request is counted once, and its latency is what its user would have felt.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use bandy::load::{Pace, Plan, Run};
use bandy_testkit::PATIENCE;

use super::{ANSWER, after, hear, of, open, plan, run, server};

#[test]
fn a_number_of_requests_is_that_number() {
    let heard = Arc::new(AtomicU64::new(0));
    let count = heard.clone();
    let to = server(move |_, mut stream| {
        while hear(&mut stream) {
            count.fetch_add(1, Relaxed);
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    for pace in [Pace::Closed, open(5_000.0)] {
        heard.store(0, Relaxed);
        let outcome = run(Plan {
            stop: of(1_001),
            pace,
            ..plan(&to, 7)
        });
        assert_eq!(outcome.requests().done, 1_001);
        assert_eq!(outcome.requests().scheduled, 1_001);
        assert_eq!(
            heard.load(Relaxed),
            1_001,
            "no more are sent than are counted"
        );
        assert_eq!(outcome.tally.status[2], 1_001);
        assert_eq!(outcome.tally.received_bytes, 1_001 * ANSWER.len() as u64);
        assert_eq!(
            (outcome.tally.connected, outcome.tally.not_connected),
            (7, 0)
        );
    }
}

/// The self-check: a server that stalls for a second once. Whoever comes in that second waits for the rest of it.
#[test]
fn a_stall_is_felt_as_users_would() {
    let began = Arc::new(std::sync::OnceLock::new());
    let stall = move || {
        let began: &std::time::Instant = began.get_or_init(std::time::Instant::now);
        let at = began.elapsed();
        let (from, to) = (Duration::from_millis(500), Duration::from_millis(1_500));
        if (from..to).contains(&at) {
            thread::sleep(to - at);
        }
    };
    let stall = Arc::new(stall);
    let to = server(move |_, mut stream| {
        while hear(&mut stream) {
            stall();
            if stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    // Of 2.5 s, 1 s is stalled: 4 of 10 requests are due in it, and wait half a second on average.
    let outcome = run(Plan {
        stop: after(2_500),
        pace: open(400.0),
        ..plan(&to, 4)
    });
    let requests = outcome.requests();
    assert_eq!(requests.scheduled, 1_000);
    let at = |q| Duration::from_nanos(outcome.latency.value_at_quantile(q));
    let headline = at(0.9);
    assert!(
        headline >= Duration::from_millis(550),
        "p90 is {headline:?}: 3 in 10 waited at least 250 ms, 1 in 10 750 ms"
    );
    assert!(at(1.0) >= Duration::from_millis(900), "{:?}", at(1.0));
    // What a closed model would have said: four requests were slow, one for each connection.
    let service = &outcome.open.as_ref().expect("an open model").service;
    let slow = service.count_between(100_000_000, u64::MAX);
    assert!(slow <= 40, "{slow} were slow by their own time");
    // That they were sent late was the server's doing, and the run says so by not being invalid for it.
    let own = outcome
        .open
        .as_ref()
        .expect("an open model")
        .own_lag
        .value_at_quantile(0.5);
    assert!(own < 100_000_000, "the generator's own lag is {own} ns");
}

#[test]
fn what_is_in_flight_at_the_end_is_told() {
    let to = server(|_, mut stream| while hear(&mut stream) {});
    let outcome = run(Plan {
        stop: after(300),
        pace: open(100.0),
        ..plan(&to, 3)
    });
    let requests = outcome.requests();
    assert_eq!((requests.done, requests.in_flight), (0, 3));
    assert_eq!(requests.scheduled, 30);
    assert_eq!(requests.never_sent, 27);
    assert!(
        outcome
            .notes()
            .iter()
            .any(|note| note.contains("due and not sent")),
        "{:?}",
        outcome.notes()
    );
}

#[test]
fn a_connection_may_be_for_so_many_requests() {
    let to = server(|_, mut stream| while hear(&mut stream) && stream.write_all(ANSWER).is_ok() {});
    let outcome = run(Plan {
        stop: of(60),
        per_connection: Some(3),
        ..plan(&to, 4)
    });
    assert_eq!(outcome.requests().done, 60);
    // Each event loop's two connections share its 30 requests, and may end one short of three.
    let connected = outcome.tally.connected;
    assert!((20..=22).contains(&connected), "{connected}");
}

#[test]
fn a_run_can_be_stopped() {
    let to = server(|_, mut stream| while hear(&mut stream) && stream.write_all(ANSWER).is_ok() {});
    let mut run = Run::start(plan(&to, 2)).unwrap_or_else(|e| panic!("{e}"));
    let stopper = run.stopper();
    let mut done = 0;
    while done == 0 {
        if let Ok(Some(told)) = run.next(PATIENCE) {
            done = told.requests.done;
        }
    }
    stopper.stop();
    let outcome = run.finish().unwrap_or_else(|e| panic!("{e}"));
    assert!(outcome.requests().done >= done && outcome.requests().reconcile());
}

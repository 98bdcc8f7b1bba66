//! Whole runs in virtual time, without a connection: what is due, who gets it, and where each request ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;
use crate::load::pace::{Arrivals, Random, Rate};

const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Clone)]
struct Setup {
    connections: usize,
    /// Requests a second; `None` is a closed model.
    rate: Option<f64>,
    poisson: Option<u64>,
    max: Option<u64>,
    end: Option<Duration>,
    seed: u64,
    /// Longest answer, in nanoseconds.
    slowest: u64,
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        1_usize..8,
        prop::option::of(1.0..400.0_f64),
        prop::option::of(any::<u64>()),
        prop::option::of(0_u64..300),
        any::<u64>(),
        1_000_000_u64..SECOND,
    )
        .prop_map(|(connections, rate, poisson, max, seed, slowest)| Setup {
            connections,
            rate,
            poisson,
            max,
            end: Some(Duration::from_secs(3)),
            seed,
            slowest,
        })
}

fn lane(setup: &Setup) -> Lane {
    let pacing = match setup.rate {
        None => Pacing::Closed { left: setup.max },
        Some(rate) => {
            let arrivals = setup.poisson.map_or(Arrivals::Constant, Arrivals::Poisson);
            Pacing::Open(Schedule::new(
                &Rate::constant(rate),
                arrivals,
                0,
                1,
                setup.max,
            ))
        }
    };
    let recorder = Recorder::new(setup.rate.is_some(), Duration::from_millis(100));
    let timeout = Duration::from_millis(900);
    let mut lane = Lane::new(pacing, setup.end, timeout, setup.connections, recorder);
    lane.begin(Instant::now());
    lane
}

/// Runs it with answers that take random times and end in random ways; gives the lane as it is at the end.
fn simulate(setup: &Setup) -> Lane {
    let mut lane = lane(setup);
    let mut random = Random::new(setup.seed);
    let waker = Waker::noop();
    let end = setup.end.map_or(u64::MAX, |end| end.as_nanos() as u64);
    // Who is answered when.
    let mut busy: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::new();
    let mut free: Vec<usize> = (0..setup.connections).collect();
    let mut now = 0;
    loop {
        free.retain(|slot| match lane.next(*slot, now, waker) {
            Next::Job(job) => {
                let took = random.next() % setup.slowest + 1;
                busy.push(Reverse((now + took, *slot, job.intended)));
                false
            }
            Next::Wait => true,
            Next::Over => false,
        });
        let due = lane.deliver(now, waker);
        let answer = busy.peek().map(|Reverse((at, ..))| *at);
        let Some(next) = [due, answer].into_iter().flatten().min() else {
            break;
        };
        if next >= end {
            break;
        }
        now = now.max(next);
        while let Some(Reverse((at, slot, intended))) = busy.peek().copied() {
            if at > now {
                break;
            }
            busy.pop();
            let times = Times {
                intended,
                ready: intended,
                sent: intended,
                done: at,
            };
            let ended = match random.next() % 5 {
                0 => Err(Failure::new(Cause::Reset, "reset")),
                1 => Err(Failure::new(Cause::Timeout, "too late")),
                2 => Ok(Answer {
                    status: Some(503),
                    is_expected: false,
                }),
                _ => Ok(Answer {
                    status: Some(200),
                    is_expected: false,
                }),
            };
            lane.end(slot, times, ended);
            free.push(slot);
        }
    }
    lane.finish();
    for Reverse((_, slot, _)) in busy {
        lane.abandon(slot);
    }
    lane.settle(end);
    lane
}

proptest! {
    #[test]
    fn every_request_is_accounted_for(setup in setup()) {
        let lane = simulate(&setup);
        let tally = &lane.recorder.tally;
        let requests = tally.requests;
        prop_assert!(requests.reconcile(), "{:?}", requests);
        prop_assert_eq!(lane.recorder.total.len(), requests.done);
        prop_assert_eq!(lane.recorder.failures.len(), requests.failed + requests.timed_out);
        prop_assert_eq!(tally.causes.iter().sum::<u64>(), requests.failed + requests.timed_out);
        prop_assert!(requests.in_flight <= setup.connections as u64);
        let slices = lane.recorder.over.iter().chain([&lane.recorder.slice]);
        let (done, failed) = slices.fold((0, 0), |(d, f), s| (d + s.done, f + s.failed));
        prop_assert_eq!((done, failed), (requests.done, requests.failed + requests.timed_out));
        if let (None, Some(max)) = (setup.rate, setup.max) {
            prop_assert_eq!(requests.scheduled, max);
        }
        if let (Some(rate), None, None) = (setup.rate, setup.poisson, setup.max) {
            // As many as the rate says, however few connections there are and whatever they do.
            let due = 3.0 * rate;
            prop_assert!((requests.scheduled as f64 - due).abs() <= 1.0, "{} {}", requests.scheduled, due);
        }
    }
}

#[test]
fn a_stall_is_in_the_headline_and_not_in_the_service_time() {
    // One connection, 10 requests a second, and the first answer takes a second.
    let setup = Setup {
        connections: 1,
        rate: Some(10.0),
        poisson: None,
        max: None,
        end: Some(Duration::from_secs(2)),
        seed: 0,
        slowest: 1,
    };
    let mut lane = lane(&setup);
    let waker = Waker::noop();
    let good = Ok(Answer {
        status: Some(200),
        is_expected: false,
    });
    let mut now = 0;
    let mut took = SECOND;
    loop {
        match lane.next(0, now, waker) {
            Next::Job(job) => {
                let times = Times {
                    intended: job.intended,
                    ready: job.ready,
                    sent: now,
                    done: now + took,
                };
                now += took;
                took = 1_000_000;
                lane.end(0, times, good.clone());
            }
            Next::Wait => now = lane.deliver(now, waker).expect("something is due"),
            Next::Over => break,
        }
    }
    let open = lane.recorder.open.as_ref().expect("an open model");
    let ms =
        |latencies: &super::super::record::Latencies, q| latencies.value_at_quantile(q) / 1_000_000;
    // Those behind the first had waited 900 ms, 801 ms, ... for a connection.
    assert_eq!(lane.recorder.total.len(), 20);
    let slow = ms(&lane.recorder.total, 0.75);
    assert!((490..=515).contains(&slow), "{slow}");
    assert!(
        ms(&open.service, 0.9) <= 1,
        "a closed model would have seen next to nothing"
    );
    // The wait was for the server, not for the generator.
    assert_eq!(open.own_lag.max(), 0);
}

#[test]
fn a_late_request_is_told_in_a_sweep_and_only_once() {
    let mut lane = lane(&Setup {
        connections: 2,
        rate: None,
        poisson: None,
        max: None,
        end: None,
        seed: 0,
        slowest: 1,
    });
    let waker = Waker::noop();
    assert!(matches!(lane.next(0, 0, waker), Next::Job(_)));
    assert!(matches!(lane.next(1, SECOND / 2, waker), Next::Job(_)));
    lane.sweep(SECOND);
    assert_eq!(
        [lane.cut(0, waker), lane.cut(1, waker)],
        [Some(Cut::TimedOut), None]
    );
    lane.finish();
    assert_eq!(lane.cut(1, waker), Some(Cut::Ended));
}

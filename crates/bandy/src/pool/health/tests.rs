//! Health, simulated: seeds reproduce what goes wrong, and time is a number.

use std::time::Duration;

use super::*;
use proptest::prelude::*;

fn at(ms: u64) -> Tick {
    Tick::from_nanos(ms * 1_000_000)
}

fn rules(fall: u32, rise: u32) -> Rules {
    Rules { fall, rise }
}

const FAILED: Result<(), Fault> = Err(Fault::Unwell);

#[test]
fn fall_failures_in_a_row_take_it_down_and_rise_successes_bring_it_back() {
    let mut health = Health::new(at(0));
    let rules = rules(3, 2);
    let mut probed = |ms, result| (health.probed(result, &rules, at(ms)), health.state());
    assert_eq!(probed(1, FAILED), (false, State::Up));
    assert_eq!(probed(2, FAILED), (false, State::Up));
    assert_eq!(probed(3, Ok(())), (false, State::Up));
    assert_eq!(probed(4, FAILED), (false, State::Up));
    assert_eq!(probed(5, FAILED), (false, State::Up));
    assert_eq!(probed(6, FAILED), (true, State::Down));
    assert_eq!(probed(7, Ok(())), (false, State::Down));
    assert_eq!(probed(8, FAILED), (false, State::Down));
    assert_eq!(probed(9, Ok(())), (false, State::Down));
    assert_eq!(probed(10, Ok(())), (true, State::Up));
    assert_eq!(health.since(), at(10));
}

/// Traffic to one backend, as the pool tells of it.
struct Traffic {
    health: Health,
    totals: Totals,
    passive: Passive,
    now: u64,
}

impl Traffic {
    fn new(passive: Passive) -> Traffic {
        Traffic {
            health: Health::new(at(0)),
            totals: Totals::default(),
            passive,
            now: 0,
        }
    }

    fn wait(&mut self, ms: u64) -> State {
        self.now += ms;
        let now = at(self.now);
        if self.health.pass_time(self.totals, &self.passive, now) {
            self.totals.in_a_row = 0;
        }
        self.health.state()
    }

    fn succeeds(&mut self) {
        self.totals.ended += 1;
        self.totals.in_a_row = 0;
    }

    fn fails(&mut self) -> State {
        self.totals.ended += 1;
        self.totals.failed += 1;
        self.totals.in_a_row += 1;
        let now = at(self.now);
        if self.health.is_failing(self.totals, &self.passive, now) {
            self.health.eject(Fault::Unwell, &self.passive, now);
        }
        self.health.state()
    }
}

#[test]
fn pauses_grow_and_are_forgotten() {
    let mut traffic = Traffic::new(Passive {
        failures: 2,
        share: 0,
        pause: Duration::from_millis(100),
        pause_max: Duration::from_millis(400),
        ..Passive::default()
    });
    assert_eq!(traffic.fails(), State::Up);
    assert_eq!(traffic.fails(), State::Ejected);
    assert_eq!(traffic.wait(99), State::Ejected);
    assert_eq!(traffic.wait(1), State::Up);
    // Back on trial: one failure is enough, and the pause twice as long.
    for pause in [200, 400, 400] {
        assert_eq!(traffic.fails(), State::Ejected);
        assert_eq!(traffic.wait(pause - 1), State::Ejected);
        assert_eq!(traffic.wait(1), State::Up);
    }
    // One success, and it is a backend like any other.
    traffic.succeeds();
    assert_eq!(traffic.fails(), State::Up);
    // Four pauses, each forgotten after the longest one went by without another.
    assert_eq!(traffic.wait(4 * 400), State::Up);
    traffic.succeeds();
    traffic.fails();
    assert_eq!(traffic.fails(), State::Ejected);
    assert_eq!(traffic.wait(100), State::Up);
}

#[test]
fn a_share_of_failures_ejects_once_there_are_enough_of_them() {
    let mut traffic = Traffic::new(Passive {
        failures: 0,
        share: 50,
        requests: 20,
        window: Duration::from_secs(10),
        ..Passive::default()
    });
    for _ in 0..9 {
        traffic.succeeds();
        assert_eq!(traffic.fails(), State::Up);
    }
    traffic.succeeds();
    assert_eq!(traffic.fails(), State::Ejected);
    // In a new window the past does not count.
    traffic.wait(20_000);
    for _ in 0..30 {
        traffic.succeeds();
    }
    for _ in 0..15 {
        assert_eq!(traffic.fails(), State::Up);
    }
}

/// What happens to a pool of some backends, one thing after the other.
#[derive(Debug, Clone, Copy)]
enum Event {
    Wait(u64),
    Succeeds(usize),
    Fails(usize, Fault),
    Probe(usize, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![Just(Fault::Unwell), Just(Fault::Unreachable)];
    prop_oneof![
        1 => (0..3_000u64).prop_map(Event::Wait),
        1 => any::<usize>().prop_map(Event::Succeeds),
        4 => (any::<usize>(), fault).prop_map(|(at, fault)| Event::Fails(at, fault)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, ok)| Event::Probe(at, ok)),
    ]
}

fn census(all: &[Traffic]) -> Census {
    let mut census = Census::default();
    for one in all {
        match one.health.state() {
            State::Up => census.ready += 1,
            _ if one.health.is_unreachable() => census.unreachable += 1,
            _ => census.unwell += 1,
        }
    }
    census
}

proptest! {
    /// However backends fail, flap and recover: traffic never ejects the last one, nor more than the panic threshold leaves
    /// of those that can be connected to; and whoever is ejected comes back.
    #[test]
    fn traffic_never_empties_a_pool(
        n in 1..8usize,
        below in 0..=100u32,
        events in prop::collection::vec(event(), 0..400),
    ) {
        let panic = Panic { below, policy: Policy::All };
        let passive = Passive { requests: 4, ..Passive::default() };
        let mut all: Vec<Traffic> = (0..n).map(|_| Traffic::new(passive.clone())).collect();
        let mut has_probes = false;
        for event in events {
            match event {
                Event::Wait(ms) => all.iter_mut().for_each(|one| { one.wait(ms); }),
                Event::Succeeds(i) => all[i % n].succeeds(),
                Event::Probe(i, is_well) => {
                    has_probes = true;
                    let now = at(all[i % n].now);
                    let result = if is_well { Ok(()) } else { FAILED };
                    all[i % n].health.probed(result, &rules(2, 2), now);
                }
                Event::Fails(i, fault) => {
                    let before = census(&all);
                    let one = &mut all[i % n];
                    one.totals.ended += 1;
                    one.totals.failed += 1;
                    one.totals.in_a_row += 1;
                    let now = at(one.now);
                    let is_ready = one.health.state() == State::Up;
                    if one.health.is_failing(one.totals, &passive, now) && is_ready && before.may_eject(fault, &panic) {
                        one.health.eject(fault, &passive, now);
                        let after = census(&all);
                        prop_assert!(after.ready >= 1);
                        prop_assert!(fault == Fault::Unreachable || !after.is_panic(&panic));
                    }
                }
            }
            prop_assert!(has_probes || census(&all).ready >= 1);
        }
        // Left alone for the longest pause, everyone is back that no probe keeps out.
        for one in &mut all {
            let state = one.wait(30_000);
            prop_assert!(state != State::Ejected);
        }
    }
}

#[test]
fn below_the_threshold_it_is_a_panic() {
    let panic = Panic::default();
    let census = |ready, unwell, unreachable| Census {
        ready,
        unwell,
        unreachable,
    };
    assert!(!census(4, 0, 0).is_panic(&panic));
    assert!(!census(2, 2, 0).is_panic(&panic));
    assert!(census(1, 2, 0).is_panic(&panic));
    assert!(census(0, 1, 0).is_panic(&panic));
    // What cannot be connected to is no matter of opinion.
    assert!(!census(1, 0, 9).is_panic(&panic));
    assert!(!census(0, 0, 3).is_panic(&panic));
    assert!(!census(1, 2, 0).is_panic(&Panic { below: 0, ..panic }));
}

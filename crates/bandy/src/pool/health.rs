//! Who is well: a state machine for each backend, and what they mean together. No I/O; time is an argument.
//!
//! A backend is judged twice. **Probes** ask it by themselves: `fall` failures in a row take it down, `rise` successes in
//! a row bring it back. **Traffic** is watched: several failures in a row, or too large a share of them, eject it for a
//! pause, which grows each time that it is needed again. It is ready when neither objects.
//!
//! [`Health`] is one backend's, [`Census`] counts them all: traffic never ejects the last one that is ready, nor more than
//! the panic threshold leaves, unless they cannot even be connected to. So no flapping backend, and no client that
//! provokes errors, can empty a pool.

use std::time::Duration;

use crate::net::Tick;

mod options;

pub use options::{Check, Expect, Options, Panic, Passive, Policy, Probe, Rules};

/// How a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Ready.
    Up,
    /// Probes fail.
    Down,
    /// Its answers failed; it has a pause.
    Ejected,
}

impl State {
    /// As reports have it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Down => "down",
            State::Ejected => "ejected",
        }
    }
}

/// What failed, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection came about: nobody could have been served there.
    Unreachable,
    /// It was connected to, and did not do its work.
    Unwell,
}

/// What traffic said so far, as running totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Everything that came to an end.
    pub ended: u64,
    /// Of these, what failed.
    pub failed: u64,
    /// Failures since the last success.
    pub in_a_row: u32,
}

impl Totals {
    fn before_last_failure(self) -> Totals {
        Totals {
            ended: self.ended.saturating_sub(1),
            failed: self.failed.saturating_sub(1),
            in_a_row: 0,
        }
    }
}

/// The health of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether probes let it be.
    is_up: bool,
    /// Probes in a row that said otherwise.
    run: u32,
    /// Until when traffic keeps it out.
    ejected: Option<Tick>,
    /// How often that was, lately: the pause grows with it.
    ejections: u32,
    /// From when on the last of these is being forgotten.
    remembered: Tick,
    /// Whether it is back from a pause, in the window that began then.
    is_on_trial: bool,
    fault: Fault,
    since: Tick,
    /// Where the window began in which a share of failures is looked for, and the totals as they were.
    window: Tick,
    before: Totals,
}

impl Health {
    /// A backend that nothing is known of: it is taken for well.
    pub fn new(now: Tick) -> Health {
        Health {
            is_up: true,
            run: 0,
            ejected: None,
            ejections: 0,
            remembered: now,
            is_on_trial: false,
            fault: Fault::Unwell,
            since: now,
            window: now,
            before: Totals::default(),
        }
    }

    /// How it is.
    pub fn state(&self) -> State {
        match (self.is_up, self.ejected) {
            (false, _) => State::Down,
            (true, Some(_)) => State::Ejected,
            (true, None) => State::Up,
        }
    }

    /// Since when it is so.
    pub fn since(&self) -> Tick {
        self.since
    }

    /// When its pause is over, if it has one.
    pub fn ejected_until(&self) -> Option<Tick> {
        self.ejected
    }

    /// Whether it is not ready because it cannot be connected to.
    pub fn is_unreachable(&self) -> bool {
        self.state() != State::Up && self.fault == Fault::Unreachable
    }

    /// A probe's result. Says whether the state is another now.
    pub fn probed(&mut self, result: Result<(), Fault>, rules: &Rules, now: Tick) -> bool {
        let before = self.state();
        let needed = if self.is_up { rules.fall } else { rules.rise };
        if result.is_ok() == self.is_up {
            self.run = 0;
        } else {
            self.run += 1;
            if self.run >= needed.max(1) {
                self.is_up = !self.is_up;
                self.run = 0;
            }
        }
        if let (Err(fault), false) = (result, self.is_up) {
            self.fault = fault;
        }
        self.changed(before, now)
    }

    /// Nobody probes it any more: what probes said is forgotten. Says whether the state is another now.
    pub fn unprobed(&mut self, now: Tick) -> bool {
        let before = self.state();
        self.is_up = true;
        self.run = 0;
        self.changed(before, now)
    }

    /// Whether traffic failed so much that this backend is to be ejected, told of a failure as it happens. Whether the pool
    /// can do without it, [`Census::may_eject`] says.
    pub fn is_failing(&mut self, totals: Totals, passive: &Passive, now: Tick) -> bool {
        if self.window.plus(passive.window) <= now {
            // The failure that is told of belongs to the new window.
            self.begin_window(now, totals.before_last_failure());
            self.is_on_trial = false;
        }
        self.ejected.is_none() && self.is_too_much(totals, passive)
    }

    /// Keeps it out for a pause. Says whether the state is another now.
    pub fn eject(&mut self, fault: Fault, passive: &Passive, now: Tick) -> bool {
        let before = self.state();
        if self.ejected.is_none() {
            self.ejected = Some(now.plus(self.pause(passive)));
            self.ejections = self.ejections.saturating_add(1);
            self.fault = fault;
        }
        self.changed(before, now)
    }

    fn is_too_much(&self, totals: Totals, passive: &Passive) -> bool {
        let ended = totals.ended.saturating_sub(self.before.ended);
        let failed = totals.failed.saturating_sub(self.before.failed);
        let in_a_row = passive.failures > 0 && totals.in_a_row >= passive.failures;
        let share = passive.share > 0
            && ended >= passive.requests
            && failed.saturating_mul(100) >= ended.saturating_mul(u64::from(passive.share));
        // Whoever has just come back, and has not served anybody since, has one try.
        let failed_trial = self.is_on_trial && failed > 0 && ended == failed;
        in_a_row || share || failed_trial
    }

    /// Each pause is twice as long as the one before.
    fn pause(&self, passive: &Passive) -> Duration {
        let doubled = 1u32.checked_shl(self.ejections).unwrap_or(u32::MAX);
        passive.pause.saturating_mul(doubled).min(passive.pause_max)
    }

    /// Ends a pause that is over, and forgets earlier ones: one for each longest pause that went by without another.
    /// What failed before a pause counts no more after it. Says whether the state is another now.
    pub fn pass_time(&mut self, totals: Totals, passive: &Passive, now: Tick) -> bool {
        let before = self.state();
        if let Some(until) = self.ejected
            && until <= now
        {
            self.ejected = None;
            self.is_on_trial = true;
            self.remembered = until;
            self.begin_window(now, totals);
        }
        let forgets = passive.pause_max.max(Duration::from_millis(1));
        while self.ejected.is_none() && self.ejections > 0 && self.remembered.plus(forgets) <= now {
            self.ejections -= 1;
            self.remembered = self.remembered.plus(forgets);
        }
        self.changed(before, now)
    }

    fn begin_window(&mut self, now: Tick, totals: Totals) {
        self.window = now;
        self.before = totals;
    }

    fn changed(&mut self, before: State, now: Tick) -> bool {
        let is_another = before != self.state();
        if is_another {
            self.since = now;
        }
        is_another
    }
}

/// How many backends there are, by how they are. Those that drain are not counted: they are not to get anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Ready.
    pub ready: usize,
    /// Reachable, but not well.
    pub unwell: usize,
    /// Not to be connected to.
    pub unreachable: usize,
}

impl Census {
    /// Whether traffic may take one more of the ready out of the pool. What cannot be connected to serves nobody, and
    /// goes unless it is the last; of what answers badly as much must stay as the panic threshold says.
    pub fn may_eject(self, fault: Fault, panic: &Panic) -> bool {
        match fault {
            _ if self.ready <= 1 => false,
            Fault::Unreachable => true,
            Fault::Unwell => !is_below(self.ready - 1, self.ready + self.unwell, panic.below),
        }
    }

    /// Whether so few are ready that their health is no guide any more: they would be overrun, and perhaps it is the
    /// checks that are wrong. What cannot be connected to does not count: that is no matter of opinion.
    pub fn is_panic(self, panic: &Panic) -> bool {
        self.unwell > 0 && is_below(self.ready, self.ready + self.unwell, panic.below)
    }
}

fn is_below(part: usize, whole: usize, percent: u32) -> bool {
    part.saturating_mul(100) < whole.saturating_mul(percent as usize)
}

#[cfg(test)]
mod tests;

//! One event loop's part of a run: which request is next, who waits for one, and what became of each.
//!
//! It lives in a thread-local of its loop, so that connections share it without a lock. Each function takes the time, in
//! nanoseconds from the run's beginning; the clock is read by whoever calls. Deadlines are looked at in a sweep a few
//! times a second: a request sets no timer.

use std::cell::RefCell;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::pace::Schedule;
use super::record::{Recorder, Times};
use super::talk::{Answer, Failure};
use super::tally::{Cause, End};

thread_local! {
    static LANE: RefCell<Option<Lane>> = const { RefCell::new(None) };
}

/// Lends this thread's lane. Only threads of a run have one.
pub(super) fn with<R>(f: impl FnOnce(&mut Lane) -> R) -> R {
    LANE.with(|lane| f(lane.borrow_mut().as_mut().expect("this thread is in a run")))
}

/// Puts a lane in its place.
pub(super) fn put(lane: Lane) {
    LANE.with(|place| *place.borrow_mut() = Some(lane));
}

/// Takes it out again.
pub(super) fn take() -> Option<Lane> {
    LANE.with(|place| place.borrow_mut().take())
}

/// Nanoseconds since the run began; 0 before.
pub(super) fn now() -> u64 {
    with(|lane| lane.now())
}

/// What paces the requests of a lane.
#[derive(Debug)]
pub(super) enum Pacing {
    /// Each connection is always asking, for so many requests if that is bounded.
    Closed { left: Option<u64> },
    /// As a schedule has it.
    Open(Schedule),
}

/// A request that a connection is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    /// When it was due.
    pub(super) intended: u64,
    /// When both it and the connection were there.
    pub(super) ready: u64,
}

/// What a free connection does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Job(Job),
    /// Nothing is due.
    Wait,
    /// Nothing will be.
    Over,
}

/// Why a request is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    TimedOut,
    Ended,
}

#[derive(Debug, Default)]
struct Slot {
    waker: Option<Waker>,
    /// When its request is too late; 0 without one.
    deadline: u64,
    is_late: bool,
    is_idle: bool,
    /// When it became free.
    freed: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    origin: Instant,
    has_begun: bool,
    is_over: bool,
    pacing: Pacing,
    /// When the run is over, if that is a time.
    end: Option<u64>,
    timeout: u64,
    slots: Vec<Slot>,
    /// Free connections, the one that was used last on top: its memory is warm.
    idle: Vec<usize>,
    /// Tasks that are still there.
    pub(super) tasks: usize,
    /// Those that have tried to connect before the run begins.
    pub(super) tried: usize,
    pub(super) recorder: Recorder,
    /// How many of its slices were told.
    pub(super) told: usize,
    /// Who delivers what is due, and whether that is going to look by itself when the next is.
    governor: Option<Waker>,
    is_armed: bool,
}

impl Lane {
    pub(super) fn new(
        pacing: Pacing,
        end: Option<Duration>,
        timeout: Duration,
        slots: usize,
        recorder: Recorder,
    ) -> Lane {
        Lane {
            origin: Instant::now(),
            has_begun: false,
            is_over: false,
            pacing,
            end: end.map(|end| end.as_nanos() as u64),
            timeout: timeout.as_nanos() as u64,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            idle: Vec::with_capacity(slots),
            tasks: slots,
            tried: 0,
            recorder,
            told: 0,
            governor: None,
            is_armed: false,
        }
    }

    pub(super) fn now(&self) -> u64 {
        Instant::now()
            .saturating_duration_since(self.origin)
            .as_nanos() as u64
    }

    /// The run begins.
    pub(super) fn begin(&mut self, origin: Instant) {
        self.origin = origin;
        self.has_begun = true;
        self.wake_all();
    }

    /// What the connection in this slot does next; `waker` is its task's.
    pub(super) fn next(&mut self, slot: usize, now: u64, waker: &Waker) -> Next {
        if self.is_over || self.has_begun && self.end.is_some_and(|end| now >= end) {
            return Next::Over;
        }
        let freed = self.slots.get(slot).map_or(now, |slot| slot.freed);
        let job = match &mut self.pacing {
            _ if !self.has_begun => None,
            Pacing::Closed { left: Some(0) } => return Next::Over,
            Pacing::Closed { left } => {
                *left = left.map(|left| left - 1);
                Some(Job {
                    intended: now,
                    ready: now,
                })
            }
            Pacing::Open(schedule) => match schedule.peek() {
                None => return Next::Over,
                Some(due) if due <= now => schedule.take().map(|intended| Job {
                    intended,
                    ready: intended.max(freed),
                }),
                Some(_) => None,
            },
        };
        let Some(place) = self.slots.get_mut(slot) else {
            return Next::Over;
        };
        match job {
            Some(job) => {
                place.deadline = now.saturating_add(self.timeout).max(1);
                place.is_late = false;
                place.is_idle = false;
                if place.waker.is_none() {
                    place.waker = Some(waker.clone());
                }
                self.recorder.tally.begin();
                Next::Job(job)
            }
            None => {
                place.waker = Some(waker.clone());
                if !std::mem::replace(&mut place.is_idle, true) {
                    self.idle.push(slot);
                }
                if !self.is_armed {
                    self.wake_governor();
                }
                Next::Wait
            }
        }
    }

    /// Whether there is time to connect before the run begins; `waker` is told when there is no more.
    pub(super) fn is_warm(&mut self, slot: usize, waker: &Waker) -> bool {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.waker.get_or_insert_with(|| waker.clone());
        }
        !self.has_begun && !self.is_over
    }

    /// Whether a request is to be cut off; `waker` is its task's.
    pub(super) fn cut(&mut self, slot: usize, waker: &Waker) -> Option<Cut> {
        match self.slots.get_mut(slot) {
            Some(slot) if slot.is_late => return Some(Cut::TimedOut),
            Some(slot) if slot.waker.is_none() => slot.waker = Some(waker.clone()),
            _ => {}
        }
        self.is_over.then_some(Cut::Ended)
    }

    /// Whether requests are due by a schedule.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.pacing, Pacing::Open(_))
    }

    /// A request of this slot has ended.
    #[inline]
    pub(super) fn end(&mut self, slot: usize, times: Times, end: Result<Answer, Failure>) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.deadline = 0;
            slot.freed = times.done;
        }
        let recorder = &mut self.recorder;
        match end {
            Ok(answer) => {
                let status = answer.status;
                if let Some(status) = status {
                    recorder.tally.answered(status);
                }
                match status {
                    Some(status @ 400..) if !answer.is_expected => {
                        let cause = match status {
                            400..=499 => Cause::Status4xx,
                            _ => Cause::Status5xx,
                        };
                        let example = match recorder.tally.of(cause) {
                            0 => format!("HTTP status {status}").into(),
                            _ => "".into(),
                        };
                        recorder.failed(times.intended, times.done);
                        recorder.tally.end(End::Failed(cause, example));
                    }
                    _ => {
                        recorder.done(times);
                        recorder.tally.end(End::Done);
                    }
                }
            }
            Err(failure) => {
                recorder.failed(times.intended, times.done);
                recorder.tally.end(End::Failed(failure.cause, failure.text));
            }
        }
    }

    /// A request of this slot is cut off by the end of the run: it stays in flight.
    pub(super) fn abandon(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.deadline = 0;
        }
        self.recorder.tally.end(End::Cut);
    }

    /// A connection's task is gone.
    pub(super) fn leave(&mut self) {
        self.tasks = self.tasks.saturating_sub(1);
        if self.tasks == 0 {
            self.wake_governor();
        }
    }

    /// A connection has tried to connect before the run.
    pub(super) fn tried(&mut self) {
        self.tried += 1;
        if self.tried >= self.slots.len() {
            self.wake_governor();
        }
    }

    fn wake_governor(&mut self) {
        if let Some(governor) = self.governor.take() {
            governor.wake();
        }
    }

    /// Wakes as many free connections as requests are due, and says when to look again: at the next arrival while a
    /// connection is free for it. `waker` is called when one becomes free and nobody looks.
    pub(super) fn deliver(&mut self, now: u64, waker: &Waker) -> Option<u64> {
        self.governor = Some(waker.clone());
        self.is_armed = false;
        let Pacing::Open(schedule) = &self.pacing else {
            return None;
        };
        let Some(due) = schedule.peek() else {
            // Those who wait have nothing to wait for.
            self.wake_all();
            return None;
        };
        if due > now {
            self.is_armed = !self.idle.is_empty();
            return self.is_armed.then_some(due);
        }
        // Each takes the first that is due when its turn comes. How many those are is found out by trying: whoever
        // finds none comes back.
        let mut ahead = schedule.clone();
        while let (Some(next), Some(slot)) = (ahead.peek(), self.idle.last().copied()) {
            if next > now {
                self.is_armed = true;
                return Some(next);
            }
            ahead.take();
            self.idle.pop();
            self.rouse(slot);
        }
        None
    }

    fn rouse(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.is_idle = false;
            if let Some(waker) = &slot.waker {
                waker.wake_by_ref();
            }
        }
    }

    fn wake_all(&mut self) {
        self.idle.clear();
        for slot in 0..self.slots.len() {
            self.rouse(slot);
        }
    }

    /// Looks at the deadlines, closes the slice that is over, and ends the run when its time has come.
    pub(super) fn sweep(&mut self, now: u64) {
        self.recorder.turn(now);
        for slot in &mut self.slots {
            if slot.deadline != 0 && slot.deadline <= now {
                slot.is_late = true;
                slot.deadline = 0;
                if let Some(waker) = &slot.waker {
                    waker.wake_by_ref();
                }
            }
        }
        if self.end.is_some_and(|end| now >= end) {
            self.finish();
        }
    }

    /// The run is over.
    pub(super) fn finish(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.wake_all();
        }
    }

    /// The run is over and nothing is asked any more: counts what was due and not begun before `ended`. Of a bounded
    /// number all are due.
    pub(super) fn settle(&mut self, ended: u64) {
        let left = match &mut self.pacing {
            Pacing::Closed { left } => left.take().unwrap_or(0),
            Pacing::Open(schedule) => {
                let ended = self.end.map_or(ended, |end| end.min(ended));
                schedule.take_before(ended) + schedule.left().unwrap_or(0)
            }
        };
        self.recorder.tally.leave(left);
        self.recorder.turn(ended);
    }
}

#[cfg(test)]
mod tests;

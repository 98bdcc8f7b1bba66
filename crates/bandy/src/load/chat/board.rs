//! What the members of one event loop share: which messages are due and who says them, what became of each, and what
//! everybody heard. In a thread-local, as the lane of other loads is.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::Label;
use super::ear::Ear;
use crate::load::pace::Schedule;
use crate::load::record::{Latencies, Recorder, Times, latencies};
use crate::load::talk::Failure;

thread_local! {
    static BOARD: RefCell<Option<Board>> = const { RefCell::new(None) };
}

/// Lends this thread's board. Only threads of a run have one.
pub(super) fn with<R>(f: impl FnOnce(&mut Board) -> R) -> R {
    BOARD.with(|board| {
        f(board
            .borrow_mut()
            .as_mut()
            .expect("this thread is in a run"))
    })
}

pub(super) fn put(board: Board) {
    BOARD.with(|place| *place.borrow_mut() = Some(board));
}

pub(super) fn take() -> Option<Board> {
    BOARD.with(|place| place.borrow_mut().take())
}

/// What all event loops share.
#[derive(Debug, Default)]
pub(in crate::load) struct Shared {
    /// Loops that have said all they had to, and whose messages have all got their answers.
    pub(super) resolved: AtomicUsize,
    /// Messages that are in the room's log, as far as its answers say.
    pub(super) logged: AtomicU64,
    /// Which message each entry is, as it was first heard.
    pub(in crate::load) heard: Mutex<HashMap<(u64, u64), u64>>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Fate {
    /// It waits for its sender's connection.
    Waiting,
    /// It is sent, and not answered.
    Sent,
    /// It is in the log.
    Logged,
    /// The server will not have it.
    Refused,
    /// Its sender's connection broke.
    Lost,
}

/// A message of this loop.
#[derive(Debug, Clone, Copy)]
pub(in crate::load) struct Said {
    pub(in crate::load) due: u64,
    pub(in crate::load) fate: Fate,
}

/// A member of this loop.
#[derive(Debug, Default)]
pub(in crate::load) struct Seat {
    pub(in crate::load) nick: String,
    pub(in crate::load) ear: Ear,
    /// Why it is not in the room, or not any more.
    pub(in crate::load) gone: Option<Failure>,
    pub(in crate::load) has_joined: bool,
    /// The messages that it is to say next.
    queue: VecDeque<u32>,
    waker: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub(in crate::load) struct Board {
    origin: Option<Instant>,
    pub(super) run: u32,
    pub(super) lane: u16,
    pub(super) schedule: Schedule,
    pub(in crate::load) seats: Vec<Seat>,
    /// Whose turn it is to say something.
    turn: usize,
    pub(in crate::load) said: Vec<Said>,
    /// How many of them have no answer yet.
    open: usize,
    /// Due, and there was nobody to say them.
    pub(in crate::load) unsaid: u64,
    pub(in crate::load) recorder: Recorder,
    /// From due to the server's word that it is in the log.
    pub(in crate::load) answered: Latencies,
    /// What the first refusal said.
    pub(in crate::load) refusal: Option<String>,
    /// When something was heard last.
    pub(super) last: u64,
    pub(super) tried: usize,
    pub(super) is_over: bool,
    pub(super) governor: Option<Waker>,
}

impl Board {
    pub(super) fn new(
        (run, lane): (u32, u16),
        schedule: Schedule,
        members: usize,
        slice: Duration,
    ) -> Board {
        Board {
            origin: None,
            run,
            lane,
            schedule,
            seats: (0..members).map(|_| Seat::default()).collect(),
            turn: 0,
            said: Vec::new(),
            open: 0,
            unsaid: 0,
            recorder: Recorder::new(true, slice),
            answered: latencies(),
            refusal: None,
            last: 0,
            tried: 0,
            is_over: false,
            governor: None,
        }
    }

    pub(super) fn begin(&mut self, origin: Instant) {
        self.origin = Some(origin);
    }

    pub(super) fn now(&self) -> u64 {
        self.origin.map_or(0, |origin| {
            Instant::now().saturating_duration_since(origin).as_nanos() as u64
        })
    }

    /// Somebody has joined, or not.
    pub(super) fn tried(&mut self, seat: usize, tried: Result<(String, Ear), Failure>) {
        self.tried += 1;
        if let Some(place) = self.seats.get_mut(seat) {
            match tried {
                Ok((nick, ear)) => {
                    (place.nick, place.ear, place.has_joined) = (nick, ear, true);
                }
                Err(failure) => place.gone = Some(failure),
            }
        }
        self.wake_governor();
    }

    pub(super) fn watch(&mut self, seat: usize, waker: &Waker) {
        if let Some(place) = self.seats.get_mut(seat)
            && !place.waker.as_ref().is_some_and(|own| own.will_wake(waker))
        {
            place.waker = Some(waker.clone());
        }
    }

    fn wake_governor(&mut self) {
        if let Some(governor) = &self.governor {
            governor.wake_by_ref();
        }
    }

    /// Gives out every message that is due before this time, but none that is due from `end` on.
    pub(super) fn deal(&mut self, now: u64, end: Option<u64>) {
        while let Some(due) = self.schedule.peek()
            && due <= now
            && end.is_none_or(|end| due < end)
        {
            self.schedule.take();
            let Some(seat) = self.speaker() else {
                self.unsaid += 1;
                continue;
            };
            // Numbers of messages are bounded by the highest rate times the longest run that anybody waits for.
            let number = self.said.len() as u32;
            self.said.push(Said {
                due,
                fate: Fate::Waiting,
            });
            self.open += 1;
            if let Some(place) = self.seats.get_mut(seat) {
                place.queue.push_back(number);
                if let Some(waker) = &place.waker {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// Whose turn it is, of those who are there.
    fn speaker(&mut self) -> Option<usize> {
        let all = self.seats.len();
        let turn = self.turn;
        let found = (0..all).map(|i| (turn + i) % all).find(|seat| {
            let place = self.seats.get(*seat);
            place.is_some_and(|place| place.has_joined && place.gone.is_none())
        })?;
        self.turn = found + 1;
        Some(found)
    }

    /// The next message of a member, as it is sent now.
    pub(super) fn next(&mut self, seat: usize) -> Option<(u32, Label)> {
        if self.is_over {
            return None;
        }
        let number = self.seats.get_mut(seat)?.queue.pop_front()?;
        let sent = self.now();
        let said = self.said.get_mut(number as usize)?;
        said.fate = Fate::Sent;
        let label = Label {
            run: self.run,
            lane: self.lane,
            number,
            due: said.due,
            sent,
        };
        Some((number, label))
    }

    /// A message is answered: it is in the log, or why not.
    pub(super) fn answered(&mut self, number: u32, wrong: Option<String>, shared: &Shared) {
        let now = self.now();
        let Some(said) = self.said.get_mut(number as usize) else {
            return;
        };
        if !matches!(said.fate, Fate::Waiting | Fate::Sent) {
            return;
        }
        self.open -= 1;
        match wrong {
            None => {
                said.fate = Fate::Logged;
                self.answered
                    .saturating_record(now.saturating_sub(said.due));
                shared.logged.fetch_add(1, Relaxed);
            }
            Some(why) => {
                said.fate = Fate::Refused;
                self.refusal.get_or_insert(why);
            }
        }
    }

    /// An entry of the room's log is heard, with the message in it if it is one of this run's.
    pub(super) fn hear(
        &mut self,
        seat: usize,
        (epoch, seq): (u64, u64),
        label: Option<Label>,
        shared: &Shared,
    ) {
        let now = self.now();
        let run = self.run;
        let Some(place) = self.seats.get_mut(seat) else {
            return;
        };
        let label = label.filter(|label| label.run == run);
        let message = label.map(|label| (label.lane, label.number));
        let is_new = place.ear.hear(epoch, seq, message);
        let Some(label) = label else {
            return;
        };
        // One lock for each delivery; loops rarely meet there, and nothing is done under it but this.
        let mut heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let known = *heard.entry((epoch, seq)).or_insert(label.id());
        drop(heard);
        if known != label.id() {
            place.ear.misordered += 1;
        }
        if is_new {
            self.recorder.done(Times {
                intended: label.due,
                ready: label.due,
                sent: label.sent.max(label.due),
                done: now,
            });
            self.recorder.tally.requests.done += 1;
            self.last = now;
        }
    }

    /// A member is not there any more. What it was to say is not said.
    pub(super) fn leave(&mut self, seat: usize, failure: Failure) {
        let Some(place) = self.seats.get_mut(seat) else {
            return;
        };
        if !self.is_over {
            place.gone.get_or_insert(failure);
        }
        for number in std::mem::take(&mut place.queue) {
            if let Some(said) = self.said.get_mut(number as usize) {
                said.fate = Fate::Lost;
                self.open -= 1;
            }
        }
        self.wake_governor();
    }

    /// What a member that is gone had sent, and got no answer to.
    pub(super) fn lose(&mut self, number: u32) {
        if let Some(said) = self.said.get_mut(number as usize)
            && said.fate == Fate::Sent
        {
            said.fate = Fate::Lost;
            self.open -= 1;
        }
    }

    /// Whether every message of this loop has its answer, or never gets one.
    pub(super) fn is_resolved(&self) -> bool {
        self.open == 0
    }

    /// Whether all who are there have heard so many.
    pub(super) fn all_heard(&self, logged: u64) -> bool {
        let mut there = self.seats.iter().filter(|seat| seat.gone.is_none());
        there.all(|seat| seat.ear.delivered >= logged)
    }

    /// The run is over: members stop.
    pub(super) fn finish(&mut self) {
        self.is_over = true;
        for place in &self.seats {
            if let Some(waker) = &place.waker {
                waker.wake_by_ref();
            }
        }
    }
}

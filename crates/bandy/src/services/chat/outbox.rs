//! What waits to be told to one session: a bounded queue of shared events.
//!
//! Events that happened together and are for the same sessions wait as one [`Run`], and are encoded as one piece: what
//! it costs to tell somebody something does not depend on how much it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::bell::Bell;
use super::model::Event;

/// An event as it is told: once made, shared by all that hear it, and encoded once for each form.
#[derive(Debug)]
pub struct Told {
    /// What happened.
    pub event: Event,
    lines: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    others: Mutex<Vec<(u32, Bytes)>>,
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for people.
    Lines,
    /// A WebSocket frame of JSON.
    Json,
    /// A protocol's own, of several that it has: the number says which.
    Other(u32),
}

impl Told {
    pub(super) fn new(event: Event) -> Told {
        Told {
            event,
            lines: OnceLock::new(),
            json: OnceLock::new(),
            others: Mutex::default(),
        }
    }

    /// The event in a form. `encode` is asked for the first one that wants it, and what it gives is shared: it must not
    /// depend on who hears it.
    pub fn encoded(&self, form: Form, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        let place = match form {
            Form::Lines => &self.lines,
            Form::Json => &self.json,
            Form::Other(number) => return self.other(number, encode),
        };
        place.get_or_init(|| encode(&self.event)).clone()
    }

    fn other(&self, number: u32, encode: impl FnOnce(&Event) -> Bytes) -> Bytes {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = others.iter().find(|(form, _)| *form == number) {
            return bytes.clone();
        }
        let bytes = encode(&self.event);
        others.push((number, bytes.clone()));
        bytes
    }
}

/// Events that are told together, in their order; at least one.
#[derive(Debug)]
pub struct Run {
    told: Vec<Arc<Told>>,
    json: OnceLock<Bytes>,
}

impl Run {
    pub(super) fn new(told: Vec<Arc<Told>>) -> Run {
        Run {
            told,
            json: OnceLock::new(),
        }
    }

    /// Each of them.
    pub fn told(&self) -> &[Arc<Told>] {
        &self.told
    }

    /// All of them as frames of JSON, one behind the other, as [`Told::encoded`] gives each.
    pub fn json(&self, encode: impl Fn(&Event) -> Bytes) -> Bytes {
        let each = |told: &Arc<Told>| told.encoded(Form::Json, &encode);
        let all = self.json.get_or_init(|| match self.told.as_slice() {
            [one] => each(one),
            several => several.iter().map(each).collect::<Vec<_>>().concat().into(),
        });
        all.clone()
    }
}

/// The most events of one run.
pub(super) const RUN: usize = 64;

/// Why a session ended from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// It did not read fast enough. It may come back at once, and resume.
    Slow,
    /// The chat is over here.
    Over,
    /// Something that it asked for failed on our side. It may come back, and resume.
    Failed,
    /// It gave no sign of life when it was asked for one. If there is somebody yet, they may come back, and resume.
    Silent,
}

impl Cut {
    /// The code that a WebSocket is closed with. 4000 to 4499: come back.
    pub fn code(self) -> u16 {
        match self {
            Cut::Over => 4000,
            Cut::Slow => 4001,
            Cut::Failed => 4002,
            Cut::Silent => 4003,
        }
    }

    /// What is said with it.
    pub fn reason(self) -> &'static str {
        match self {
            Cut::Over => "the server ends: reconnect and resume",
            Cut::Slow => "too slow: reconnect and resume",
            Cut::Failed => "something failed here: reconnect and resume",
            Cut::Silent => "no sign of life: reconnect and resume",
        }
    }
}

/// One session's queue. Whoever tells pushes, the session's own task takes.
#[derive(Debug)]
pub(super) struct Outbox {
    max: usize,
    queue: Mutex<Queue>,
    /// That of the session's event loop.
    bell: Option<Arc<Bell>>,
}

#[derive(Debug, Default)]
struct Queue {
    runs: VecDeque<Arc<Run>>,
    /// Events of the first run that were taken already.
    taken: usize,
    /// Events that wait.
    count: usize,
    /// There while the session waits: so what comes while it works wakes nobody.
    waker: Option<Waker>,
    cut: Option<Cut>,
    /// Of whoever only waits for the cut: a session that is writing.
    cut_waker: Option<Waker>,
}

impl Outbox {
    pub(super) fn new(max: usize, bell: Option<Arc<Bell>>) -> Outbox {
        Outbox {
            max: max.max(1),
            queue: Mutex::default(),
            bell,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events, and has the session woken where it waits: what bell is to be rung for that. What does not fit cuts
    /// the session, which then hears nothing more; one run always fits into an empty queue.
    pub(super) fn push(&self, run: &Arc<Run>) -> Option<&Arc<Bell>> {
        let mut queue = self.lock();
        if queue.cut.is_some() {
            return None;
        }
        let count = queue.count.saturating_add(run.told.len());
        if queue.count > 0 && count > self.max {
            queue.cut = Some(Cut::Slow);
            queue.empty();
            if let Some(waker) = queue.cut_waker.take() {
                waker.wake();
            }
        } else {
            queue.runs.push_back(run.clone());
            queue.count = count;
        }
        let waker = queue.waker.take();
        drop(queue);
        match (&self.bell, waker?) {
            (Some(bell), waker) => bell.add(waker).then_some(bell),
            (None, waker) => {
                waker.wake();
                None
            }
        }
    }

    pub(super) fn cut(&self, why: Cut) {
        let mut queue = self.lock();
        queue.cut.get_or_insert(why);
        let wakers = [queue.waker.take(), queue.cut_waker.take()];
        drop(queue);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Ready once the session is cut.
    pub(super) fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Cut> {
        let mut queue = self.lock();
        if let Some(cut) = queue.cut {
            return Poll::Ready(cut);
        }
        match &mut queue.cut_waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The next event.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Told>, Cut>> {
        let mut queue = self.lock();
        match queue.next() {
            Some(told) => Poll::Ready(Ok(told)),
            None => queue.wait(cx).map(Err),
        }
    }

    /// The next run, whole. What is left of one that was begun by [`Outbox::poll_next`] comes as one of its own.
    pub(super) fn poll_run(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Run>, Cut>> {
        let mut queue = self.lock();
        if queue.taken > 0 {
            let told = queue.next().into_iter().collect();
            return Poll::Ready(Ok(Arc::new(Run::new(told))));
        }
        match queue.runs.pop_front() {
            Some(run) => {
                queue.count = queue.count.saturating_sub(run.told.len());
                queue.shrink();
                Poll::Ready(Ok(run))
            }
            None => queue.wait(cx).map(Err),
        }
    }
}

impl Queue {
    fn next(&mut self) -> Option<Arc<Told>> {
        let run = self.runs.front()?;
        let told = run.told.get(self.taken).cloned();
        self.taken += 1;
        self.count = self.count.saturating_sub(1);
        if self.taken >= run.told.len() {
            self.taken = 0;
            self.runs.pop_front();
            self.shrink();
        }
        told
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        if let Some(cut) = self.cut {
            return Poll::Ready(cut);
        }
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn empty(&mut self) {
        self.runs = VecDeque::new();
        (self.taken, self.count) = (0, 0);
    }

    /// An idle session holds next to nothing.
    fn shrink(&mut self) {
        if self.runs.is_empty() && self.runs.capacity() > 64 {
            self.runs = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::chat::model::RoomName;

    fn run(count: usize) -> Arc<Run> {
        let room = RoomName::parse("a").expect("a room");
        let told = |through: usize| {
            let (room, through) = (room.clone(), through as u64);
            Arc::new(Told::new(Event::Lost { room, through }))
        };
        Arc::new(Run::new((0..count).map(told).collect()))
    }

    fn next(outbox: &Outbox) -> Poll<Result<Arc<Told>, Cut>> {
        outbox.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn next_run(outbox: &Outbox) -> Poll<Result<usize, Cut>> {
        let run = outbox.poll_run(&mut Context::from_waker(Waker::noop()));
        run.map_ok(|run| run.told().len())
    }

    #[test]
    fn a_run_is_taken_whole_or_one_by_one() {
        let outbox = Outbox::new(10, None);
        outbox.push(&run(2));
        outbox.push(&run(3));
        assert_eq!(next_run(&outbox), Poll::Ready(Ok(2)));
        assert!(next(&outbox).is_ready());
        assert_eq!(next_run(&outbox), Poll::Ready(Ok(1)));
        assert!(next(&outbox).is_ready());
        assert!(next(&outbox).is_pending() && next_run(&outbox).is_pending());
    }

    #[test]
    fn the_bound_is_on_events() {
        let outbox = Outbox::new(10, None);
        outbox.push(&run(RUN));
        assert_eq!(next_run(&outbox), Poll::Ready(Ok(RUN)), "alone it fits");
        outbox.push(&run(6));
        assert!(next(&outbox).is_ready());
        outbox.push(&run(5));
        assert_eq!(next_run(&outbox), Poll::Ready(Ok(1)), "one of the five");
        outbox.push(&run(2));
        assert_eq!(next_run(&outbox), Poll::Ready(Err(Cut::Slow)));
    }

    #[test]
    fn a_run_is_encoded_once() {
        let run = run(3);
        let encode = |event: &Event| match event {
            Event::Lost { through, .. } => through.to_string().into(),
            _ => Bytes::new(),
        };
        let (first, second) = (run.json(encode), run.json(|_| Bytes::new()));
        assert_eq!(first, "012");
        assert_eq!(first.as_ptr(), second.as_ptr());
    }
}

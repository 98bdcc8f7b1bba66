//! What waits to be told to one session: a bounded queue of shared events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

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
}

#[derive(Debug, Default)]
struct Queue {
    told: VecDeque<Arc<Told>>,
    /// There while the session waits: so what comes while it works wakes nobody.
    waker: Option<Waker>,
    cut: Option<Cut>,
    /// Of whoever only waits for the cut: a session that is writing.
    cut_waker: Option<Waker>,
}

impl Outbox {
    pub(super) fn new(max: usize) -> Outbox {
        Outbox {
            max: max.max(1),
            queue: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event: who is to be woken. What does not fit cuts the session, which then hears nothing more.
    pub(super) fn push(&self, told: &Arc<Told>) -> Option<Waker> {
        let mut queue = self.lock();
        if queue.cut.is_some() {
            return None;
        }
        if queue.told.len() >= self.max {
            queue.cut = Some(Cut::Slow);
            queue.told = VecDeque::new();
            if let Some(waker) = queue.cut_waker.take() {
                waker.wake();
            }
        } else {
            queue.told.push_back(told.clone());
        }
        queue.waker.take()
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

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Told>, Cut>> {
        let mut queue = self.lock();
        if let Some(told) = queue.told.pop_front() {
            if queue.told.is_empty() && queue.told.capacity() > 64 {
                // An idle session holds next to nothing.
                queue.told = VecDeque::new();
            }
            return Poll::Ready(Ok(told));
        }
        if let Some(cut) = queue.cut {
            return Poll::Ready(Err(cut));
        }
        match &mut queue.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

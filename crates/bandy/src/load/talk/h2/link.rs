//! A connection that slots share: its requests and answers, and the task that reads and writes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Cause, Failure};
use crate::load::lane;
use crate::load::script::Kept;
use crate::load::timing;
use crate::net::{Conn, scratch};
use crate::wire::http2::{Asked, Client, Event, Room, Why, Wrong};

/// One end of it, for a slot.
#[derive(Debug, Clone)]
pub(in crate::load) struct Link(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    client: Client,
    slots: Vec<Slot>,
    /// Those who wait for room.
    waiting: Vec<Waker>,
    /// The connection's task, and whether it is going to look.
    task: Option<Waker>,
    is_roused: bool,
    /// Why the connection is over.
    over: Option<Failure>,
    /// How many requests it still takes.
    left: Option<u64>,
    /// Counts what came, so that a silent connection is told from a slow answer.
    heard: u64,
    wants_timing: bool,
}

/// A slot's request, as far as its answer came.
#[derive(Debug, Default)]
struct Slot {
    waker: Option<Waker>,
    status: u16,
    kept: Option<Kept>,
    ended: Option<Result<(), Ended>>,
    /// What was heard of the connection when it was asked.
    heard: u64,
}

/// How a request ended that has no answer.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// The server has not looked at it.
    Unseen,
    Failed(Failure),
}

impl Link {
    /// Begins to speak HTTP/2 on a connection, in a task of this event loop.
    pub(super) fn begin(conn: Conn, wants_timing: bool, left: Option<u64>) -> Link {
        let state = Arc::new(Mutex::new(State {
            client: Client::default(),
            slots: Vec::new(),
            waiting: Vec::new(),
            task: None,
            is_roused: false,
            over: None,
            left,
            heard: 0,
            wants_timing,
        }));
        let link = Link(state);
        let mut conn = conn;
        let of_task = link.clone();
        tokio::spawn(std::future::poll_fn(move |cx| {
            of_task.lock().poll(&mut conn, cx)
        }));
        link
    }

    /// Whether requests can be made on it.
    pub(super) fn is_open(&self) -> bool {
        self.lock().room() != Room::Never
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // What is behind it is whole between two events, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn room(&self) -> Room {
        match self.over.is_some() || self.left == Some(0) {
            true => Room::Never,
            false => self.client.room(),
        }
    }

    /// Why no request can be made.
    pub(super) fn why_ended(&self) -> Ended {
        match &self.over {
            Some(failure) => Ended::Failed(failure.clone()),
            None => Ended::Unseen,
        }
    }

    /// Until the server has said hello, and so how many requests it takes at a time.
    pub(super) fn poll_greeted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match &self.over {
            Some(failure) => Poll::Ready(Err(failure.clone())),
            None if self.client.is_greeted() => Poll::Ready(Ok(())),
            None => {
                self.wait(cx.waker());
                Poll::Pending
            }
        }
    }

    pub(super) fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Makes a request: its stream.
    pub(super) fn ask(&mut self, asked: Asked<'_>, keeps: bool) -> Option<u32> {
        let stream = self.client.ask(asked)?;
        self.left = self.left.map(|left| left.saturating_sub(1));
        if self.slots.len() <= asked.key {
            self.slots.resize_with(asked.key + 1, Slot::default);
        }
        if let Some(slot) = self.slots.get_mut(asked.key) {
            slot.status = 0;
            slot.kept = keeps.then(Kept::default);
            slot.ended = None;
            slot.heard = self.heard;
        }
        self.rouse();
        Some(stream)
    }

    /// A slot's status and what was kept of its answer, once that is whole.
    pub(super) fn poll_answer(
        &mut self,
        key: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(u16, Option<Kept>), Ended>> {
        let Some(slot) = self.slots.get_mut(key) else {
            return Poll::Ready(Err(Ended::Unseen));
        };
        match slot.ended.take() {
            Some(ended) => Poll::Ready(ended.map(|()| (slot.status, slot.kept.take()))),
            None => {
                // A slot is always of the same task.
                slot.waker.get_or_insert_with(|| cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// A slot does not wait for its answer any more.
    pub(super) fn give_up(&mut self, key: usize, stream: u32) {
        self.client.cancel(stream);
        let heard = self.slots.get(key).map(|slot| slot.heard);
        if heard == Some(self.heard) {
            // Nothing at all came all the time: what is asked here next would wait as long.
            self.client.end();
        }
        self.rouse();
        self.wake_waiting();
    }

    fn rouse(&mut self) {
        if !std::mem::replace(&mut self.is_roused, true)
            && let Some(task) = &self.task
        {
            task.wake_by_ref();
        }
    }

    fn wake_waiting(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Writes and reads all that can be. Ready when the connection is over.
    fn poll(&mut self, conn: &mut Conn, cx: &mut Context<'_>) -> Poll<()> {
        self.is_roused = false;
        if !self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()))
        {
            self.task = Some(cx.waker().clone());
        }
        loop {
            // What the server said before it closed comes first.
            let unsendable = self.write(conn, cx).err();
            match self.read(conn, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failure)) => {
                    self.end(unsendable.map_or(failure, Failure::io));
                    // The goodbye is a courtesy.
                    let _ = self.write(conn, cx);
                    return Poll::Ready(());
                }
                Poll::Pending if unsendable.is_none() => break,
                Poll::Pending => {
                    let failure = unsendable.map(Failure::io);
                    self.end(failure.unwrap_or_else(closed));
                    return Poll::Ready(());
                }
            }
        }
        if !self.waiting.is_empty() && self.room() != Room::Later {
            self.wake_waiting();
        }
        let is_done = self.client.is_ending() || self.left == Some(0);
        if is_done && self.client.open() == 0 && self.client.out().is_empty() {
            self.client.leave();
            let _ = self.write(conn, cx);
            self.end(closed());
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn write(&mut self, conn: &mut Conn, cx: &mut Context<'_>) -> std::io::Result<()> {
        let mut sent = 0;
        let result = loop {
            let out = self.client.out();
            if out.is_empty() {
                break match Pin::new(&mut *conn).poll_flush(cx) {
                    Poll::Ready(flushed) => flushed,
                    Poll::Pending => Ok(()),
                };
            }
            match Pin::new(&mut *conn).poll_write(cx, out) {
                Poll::Ready(Ok(0)) => break Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.client.sent(n);
                    sent += n as u64;
                }
                Poll::Ready(Err(e)) => break Err(e),
                Poll::Pending => break Ok(()),
            }
        };
        if sent > 0 {
            lane::with(|lane| lane.recorder.tally.sent_bytes += sent);
        }
        result
    }

    fn read(&mut self, conn: &mut Conn, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        scratch::with(|buffer| {
            let mut read = ReadBuf::new(buffer);
            match Pin::new(&mut *conn).poll_read(cx, &mut read) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(e)) => Poll::Ready(Err(Failure::io(e))),
                Poll::Ready(Ok(())) if read.filled().is_empty() => Poll::Ready(Err(closed())),
                Poll::Ready(Ok(())) => {
                    let came = read.filled();
                    lane::with(|lane| lane.recorder.tally.received_bytes += came.len() as u64);
                    Poll::Ready(self.take(came).map_err(|wrong| {
                        self.client.say_goodbye(wrong.code);
                        Failure::new(Cause::Protocol, format!("HTTP/2: {wrong}"))
                    }))
                }
            }
        })
    }

    fn take(&mut self, came: &[u8]) -> Result<(), Wrong> {
        self.heard += 1;
        let (slots, wants_timing) = (&mut self.slots, self.wants_timing);
        self.client.receive(came, &mut |key, event| {
            if let Some(slot) = slots.get_mut(key) {
                slot.take(event, wants_timing);
            }
        })
    }

    /// The connection is over: so is everything that is still asked on it.
    fn end(&mut self, failure: Failure) {
        self.over = Some(failure.clone());
        for slot in &mut self.slots {
            // Those who have ended do not look again before they ask.
            slot.end(Err(Ended::Failed(failure.clone())));
        }
        self.wake_waiting();
    }
}

impl Slot {
    fn take(&mut self, event: Event<'_>, wants_timing: bool) {
        match event {
            Event::Field(name, value) => {
                if wants_timing && name == b"server-timing" {
                    timing::parse(value, |name, took: Duration| {
                        lane::with(|lane| lane.recorder.server.record(name, took));
                    });
                }
                if let Some(kept) = &mut self.kept {
                    let name = String::from_utf8_lossy(name).into_owned();
                    kept.fields.push((name, value.to_vec()));
                }
            }
            Event::Head(status) => {
                self.status = status;
                if let Some(kept) = self.kept.as_mut().filter(|_| status < 200) {
                    kept.fields.clear();
                }
            }
            Event::Data(data) => {
                if let Some(kept) = &mut self.kept {
                    kept.take(data);
                }
            }
            Event::End => self.end(Ok(())),
            Event::Lost(Why::Unseen) => self.end(Err(Ended::Unseen)),
            Event::Lost(Why::Reset(code)) => self.end(Err(Ended::Failed(Failure::new(
                Cause::Reset,
                format!("HTTP/2: the server reset the request ({code})"),
            )))),
            Event::Lost(Why::Malformed(why)) => self.end(Err(Ended::Failed(Failure::new(
                Cause::Protocol,
                format!("HTTP/2: the answer is malformed: {why}"),
            )))),
        }
    }

    fn end(&mut self, ended: Result<(), Ended>) {
        self.ended.get_or_insert(ended);
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

fn closed() -> Failure {
    Failure::new(Cause::Closed, "the server closed without an answer")
}

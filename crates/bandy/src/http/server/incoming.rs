//! A request's body on its way from the connection to the service.
//!
//! The connection's task reads the body only when the service wants it, one piece at a time; what is not wanted stays
//! with the peer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::error::{Error, Kind, Result, Side};
use crate::http::HeaderMap;

/// The service's end.
pub struct Incoming(Arc<Mutex<Shared>>);

/// The connection's end.
pub(super) struct Source(Arc<Mutex<Shared>>);

struct Shared {
    /// Comes next.
    ready: Option<Result<Frame<Bytes>>>,
    /// What is to come: its length, where the request said it.
    left: Option<u64>,
    stage: Stage,
    /// The service waits.
    reader: Option<Waker>,
    /// The connection's task waits to be wanted.
    feeder: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody waits for it.
    Unwanted,
    Wanted,
    /// The last piece is taken or ready.
    Ended,
    /// The service wants no more.
    Dropped,
}

pub(super) fn incoming(len: Option<u64>) -> (Source, Incoming) {
    let shared = Arc::new(Mutex::new(Shared {
        ready: None,
        left: len,
        stage: Stage::Unwanted,
        reader: None,
        feeder: None,
    }));
    (Source(shared.clone()), Incoming(shared))
}

impl Source {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.0)
    }

    /// Whether the service waits for more. If it does not, this task is woken once it does, or wants no more: the body
    /// may be read in another task.
    pub(super) fn is_wanted(&self, cx: &Context<'_>) -> bool {
        let mut shared = self.lock();
        if shared.stage == Stage::Wanted {
            return true;
        }
        match &mut shared.feeder {
            Some(feeder) => feeder.clone_from(cx.waker()),
            feeder => *feeder = Some(cx.waker().clone()),
        }
        false
    }

    /// Whether the service is done with it before its end.
    pub(super) fn is_dropped(&self) -> bool {
        self.lock().stage == Stage::Dropped
    }

    /// Hands a piece over. Called when one is wanted. This task polls the service next, and is not woken for it.
    pub(super) fn data(&self, data: Bytes, cx: &Context<'_>) {
        let mut shared = self.lock();
        shared.left = shared
            .left
            .map(|left| left.saturating_sub(data.len() as u64));
        shared.reader = shared
            .reader
            .take()
            .filter(|reader| !reader.will_wake(cx.waker()));
        shared.put(Ok(Frame::data(data)));
    }

    /// That was all.
    pub(super) fn end(&self, trailers: Option<HeaderMap>) {
        let mut shared = self.lock();
        if let Some(trailers) = trailers {
            shared.put(Ok(Frame::trailers(trailers)));
        }
        shared.end();
    }

    /// There will be no more, and there should be.
    pub(super) fn fail(&self, error: Error) {
        let mut shared = self.lock();
        shared.put(Err(error));
        shared.end();
    }
}

/// The connection is gone.
impl Drop for Source {
    fn drop(&mut self) {
        let mut shared = self.lock();
        if !matches!(shared.stage, Stage::Ended | Stage::Dropped) {
            let gone = Error::new(Kind::Closed, Side::Downstream, "reading a request's body");
            shared.put(Err(gone.because("the connection ended first")));
            shared.end();
        }
    }
}

impl Shared {
    fn put(&mut self, frame: Result<Frame<Bytes>>) {
        if self.stage != Stage::Dropped {
            self.ready = Some(frame);
            self.stage = Stage::Unwanted;
        }
        self.wake();
    }

    fn end(&mut self) {
        if self.stage != Stage::Dropped {
            self.stage = Stage::Ended;
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Incoming {
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let mut shared = lock(&self.0);
        if let Some(frame) = shared.ready.take() {
            return Poll::Ready(Some(frame));
        }
        if shared.stage == Stage::Ended {
            return Poll::Ready(None);
        }
        shared.stage = Stage::Wanted;
        match &mut shared.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            reader => *reader = Some(cx.waker().clone()),
        }
        // The connection's own task looks after it has polled the service.
        let feeder = shared.feeder.take();
        if let Some(feeder) = feeder.filter(|feeder| !feeder.will_wake(cx.waker())) {
            feeder.wake();
        }
        Poll::Pending
    }

    pub(crate) fn is_at_end(&self) -> bool {
        let shared = lock(&self.0);
        shared.stage == Stage::Ended && shared.ready.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let shared = lock(&self.0);
        let ready = match &shared.ready {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => 0,
        };
        match shared.left {
            Some(left) => SizeHint::with_exact(left.saturating_add(ready)),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        if shared.stage != Stage::Ended {
            shared.stage = Stage::Dropped;
        }
        shared.ready = None;
        if let Some(feeder) = shared.feeder.take() {
            feeder.wake();
        }
    }
}

/// Nothing panics while it is held; should something, the state is still whole.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

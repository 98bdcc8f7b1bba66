//! A request's body on its way to a backend, which may be sent a second time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame};

use crate::error::Result;
use crate::http::{Body, HeaderMap};
use crate::wire::http1::Length;

/// Of a body that is still coming as it is sent, so much is kept for a second time.
const REPLAY: usize = 64 << 10;

/// A request's body.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Body,
    length: Length,
    /// What was taken of `body` so far, if all of that is here.
    taken: Option<Vec<Bytes>>,
    taken_bytes: usize,
    trailers: Option<HeaderMap>,
    is_over: bool,
    /// How many of `taken` were given out this time.
    given: usize,
    may_repeat: bool,
}

impl Outgoing {
    /// The body of a request. `may_repeat`: what is taken of it is kept, within a bound.
    pub(crate) fn new(body: Body, may_repeat: bool) -> Outgoing {
        let length = match body.len_hint() {
            Some(0) => Length::None,
            Some(len) => Length::Known(len),
            None => Length::Chunked,
        };
        Outgoing {
            is_over: length == Length::None,
            body,
            length,
            taken: Some(Vec::new()),
            taken_bytes: 0,
            trailers: None,
            given: 0,
            may_repeat,
        }
    }

    /// No body.
    pub(crate) fn nothing() -> Outgoing {
        Outgoing::new(Body::empty(), true)
    }

    /// A body that is gone.
    pub(crate) fn spent() -> Outgoing {
        Outgoing {
            taken: None,
            ..Outgoing::nothing()
        }
    }

    /// Whether there is none.
    pub(crate) fn is_nothing(&self) -> bool {
        self.length == Length::None
    }

    /// Whether all of it is here already.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_over || self.body.is_here()
    }

    pub(crate) fn length(&self) -> Length {
        self.length
    }

    /// Whether all of it can be sent from its beginning.
    pub(crate) fn is_intact(&self) -> bool {
        self.taken.is_some()
    }

    /// Begins anew, if it can. Whether it could.
    pub(crate) fn rewind(&mut self) -> bool {
        self.given = 0;
        self.is_intact()
    }

    /// What comes next.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if let Some(taken) = &self.taken
            && let Some(next) = taken.get(self.given)
        {
            self.given += 1;
            return Poll::Ready(Some(Ok(Frame::data(next.clone()))));
        }
        if self.is_over {
            return Poll::Ready(
                self.trailers
                    .clone()
                    .map(|fields| Ok(Frame::trailers(fields))),
            );
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.is_over = true,
            Some(Err(_)) => self.taken = None,
            Some(Ok(frame)) => self.keep(frame),
        }
        Poll::Ready(frame)
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.is_over = true;
        }
        let (Some(data), Some(taken)) = (frame.data_ref(), &mut self.taken) else {
            return;
        };
        self.taken_bytes = self.taken_bytes.saturating_add(data.len());
        if self.may_repeat && self.taken_bytes <= REPLAY {
            taken.push(data.clone());
            self.given = taken.len();
        } else {
            self.taken = None;
        }
    }
}

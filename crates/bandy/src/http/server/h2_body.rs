//! Bodies over HTTP/2: a request's, which keeps a pace, and what of trailers passes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::pace::Pace;
use crate::error::{Error, Kind, Result, Side};
use crate::http::Downstream;
use crate::limits::HttpLimits;
use crate::wire::http1::is_forbidden_trailer;

/// A request's body as hyper has it, under our deadlines.
pub(crate) struct H2Body {
    body: hyper::body::Incoming,
    downstream: Downstream,
    limits: Arc<HttpLimits>,
    pace: Pace,
    /// While the client is waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl H2Body {
    pub(super) fn new(
        body: hyper::body::Incoming,
        downstream: Downstream,
        limits: Arc<HttpLimits>,
    ) -> H2Body {
        H2Body {
            body,
            downstream,
            limits,
            pace: Pace::default(),
            timer: None,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return match self.poll_too_slow(cx) {
                Poll::Ready(e) => Poll::Ready(Some(Err(e))),
                Poll::Pending => Poll::Pending,
            };
        };
        self.pace.came();
        self.timer = None;
        if let Some(data) = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()) {
            self.pace.received(data.len());
        }
        Poll::Ready(frame.map(|frame| frame.map(passed).map_err(broke_off)))
    }

    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let Some(deadline) = self.pace.deadline(&self.limits) else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep(deadline.remaining())));
        let peer = self.downstream.peer();
        let is_past = timer.as_mut().poll(cx);
        is_past.map(|()| self.pace.too_slow(&self.limits, peer))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A frame without the trailers that have no place there.
pub(super) fn passed(frame: Frame<Bytes>) -> Frame<Bytes> {
    let mut trailers = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(frame) => return frame,
    };
    let keys = trailers.keys();
    let forbidden: Vec<_> = keys
        .filter(|name| is_forbidden_trailer(name.as_str()))
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
    Frame::trailers(trailers)
}

fn broke_off(cause: hyper::Error) -> Error {
    Error::new(Kind::Closed, Side::Downstream, "reading a body").because(cause)
}

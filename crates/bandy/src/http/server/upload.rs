//! A request's body, read from the connection as the service wants it.

use std::task::{Context, Poll, ready};

use bytes::Buf;

use super::incoming::Source;
use super::pace::Pace;
use super::wire::{Watched, Wire};
use crate::error::{Error, Kind, Result, Side};
use crate::limits::HttpLimits;
use crate::wire::http1::{BodyDecoder, Reject, Step};

/// The connection's side of a body that was not whole when its request was.
pub(super) struct Upload {
    source: Source,
    decoder: BodyDecoder,
    /// The client waits to be told to go on (RFC 9110, section 10.1.1).
    expects_continue: bool,
    stage: Stage,
    pace: Pace,
    /// How much was read that nobody wanted.
    drained: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Its last byte was read: what follows is the next request.
    Done,
    /// It broke off or is malformed: nothing that follows can be read.
    Broken,
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How much of a body that nobody wants is read and dropped, so that the connection can be kept.
const DRAIN: u64 = 256 << 10;

impl Upload {
    pub(super) fn new(source: Source, decoder: BodyDecoder, expects_continue: bool) -> Upload {
        Upload {
            source,
            decoder,
            expects_continue,
            stage: Stage::Open,
            pace: Pace::default(),
            drained: 0,
        }
    }

    /// Gets the service what it waits for. Ready once something came, or its end; pending while it wants nothing or
    /// nothing is there.
    pub(super) fn poll_feed(
        &mut self,
        wire: &mut Wire,
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if self.stage != Stage::Open || !self.source.is_wanted(cx) {
            return Poll::Pending;
        }
        if let Err(error) = ready!(self.poll_piece(wire, limits, cx)) {
            self.stage = Stage::Broken;
            self.source.fail(error);
        }
        Poll::Ready(())
    }

    fn poll_piece(
        &mut self,
        wire: &mut Wire,
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        if std::mem::take(&mut self.expects_continue) {
            wire.send_now(cx, CONTINUE)?;
        }
        if wire.queued() > 0 {
            // A peer that takes nothing is not waited for here: the reply has that deadline.
            let _ = wire.poll_flush(cx)?;
        }
        loop {
            match self.decoder.decode(&wire.input).map_err(malformed)? {
                Step::Data { skip, len } => {
                    wire.input.advance(skip);
                    let data = wire.take_piece(len);
                    self.pace.received(len);
                    self.source.data(data, cx);
                    if self.decoder.is_done() {
                        self.stage = Stage::Done;
                        self.source.end(None);
                    }
                    return Poll::Ready(Ok(()));
                }
                Step::End { consumed, trailers } => {
                    wire.input.advance(consumed);
                    self.stage = Stage::Done;
                    self.source.end(trailers);
                    return Poll::Ready(Ok(()));
                }
                Step::More { consumed } => wire.input.advance(consumed),
            }
            self.keep_pace(wire, limits)?;
            match wire.poll_read_body(cx)? {
                Poll::Ready(0) => {
                    self.decoder.end_of_stream().map_err(malformed)?;
                    return Poll::Ready(Err(gone()));
                }
                Poll::Ready(_) => self.pace.came(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the client is fast enough.
    fn keep_pace(&mut self, wire: &Wire, limits: &HttpLimits) -> Result<()> {
        match wire.watch_too(self.pace.deadline(limits)) {
            Watched::Waiting => Ok(()),
            Watched::Past => Err(self.pace.too_slow(limits, wire.conn.peer())),
        }
    }

    /// What is said before a final response, if anything: to go on, where the client waits for that and somebody may
    /// still read the body while the response is sent. Inside the response it could not be said any more.
    pub(super) fn leave(&mut self) -> Option<&'static [u8]> {
        let may_be_read = self.stage == Stage::Open && !self.source.is_dropped();
        (may_be_read && std::mem::take(&mut self.expects_continue)).then_some(CONTINUE)
    }

    /// Whether its last byte was read.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether the connection can go on to the next request once what is left of this body was read: by somebody who
    /// still does, or by us, who drop it. What is too much for that, or was never begun because the client waits for
    /// leave, is not.
    pub(super) fn can_be_read(&self) -> bool {
        match self.stage {
            Stage::Done => true,
            Stage::Broken => false,
            Stage::Open if self.expects_continue => false,
            Stage::Open => {
                let left = self.decoder.remaining();
                !self.source.is_dropped() || left.is_some_and(|left| left <= DRAIN)
            }
        }
    }

    /// Reads and drops what is left, or feeds a service that still reads. `true`: the next request follows.
    pub(super) fn poll_rest(
        &mut self,
        wire: &mut Wire,
        limits: &HttpLimits,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        loop {
            match self.stage {
                Stage::Done => return Poll::Ready(true),
                Stage::Broken => return Poll::Ready(false),
                Stage::Open if !self.source.is_dropped() => {
                    // Something that outlived the reply still reads it.
                    ready!(self.poll_feed(wire, limits, cx));
                }
                Stage::Open => match self.decoder.decode(&wire.input) {
                    Err(_) => self.stage = Stage::Broken,
                    Ok(Step::Data { skip, len }) => {
                        wire.input.advance(skip + len);
                        self.pace.received(len);
                        self.drained += len as u64;
                        if self.decoder.is_done() {
                            self.stage = Stage::Done;
                        } else if self.drained > DRAIN {
                            self.stage = Stage::Broken;
                        }
                    }
                    Ok(Step::End { consumed, .. }) => {
                        wire.input.advance(consumed);
                        self.stage = Stage::Done;
                    }
                    Ok(Step::More { consumed }) => {
                        wire.input.advance(consumed);
                        let is_fast = self.keep_pace(wire, limits).is_ok();
                        let came =
                            is_fast && matches!(ready!(wire.poll_read_body(cx)), Ok(n) if n > 0);
                        match came {
                            true => self.pace.came(),
                            false => self.stage = Stage::Broken,
                        }
                    }
                },
            }
        }
    }
}

fn malformed(why: Reject) -> Error {
    Error::new(Kind::Protocol, Side::Downstream, "reading a request's body").because(why)
}

fn gone() -> Error {
    Error::new(Kind::Closed, Side::Downstream, "reading a request's body")
        .because("the connection ended before it did")
}

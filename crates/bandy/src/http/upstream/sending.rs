//! A request on its way to a backend over HTTP/1.1.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::Frame;
use tokio::io::AsyncWrite as _;

use super::Outgoing;
use crate::error::{Error, Kind, Result, Side};
use crate::net::{Conn, Tick, scratch};
use crate::wire::http1::{CHUNK_TAIL, Length, write_chunk_head, write_last_chunk};

/// How long a body waits for `100 Continue`: older servers never send it (RFC 9110, section 10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// What of a body is there with the head is copied behind it, up to so much: one piece, one packet.
const SMALL: usize = 16 << 10;
/// Pieces that leave in one write.
const PIECES: usize = 4;

/// What of a request is not sent yet.
pub(super) struct Sending {
    queue: VecDeque<Bytes>,
    stage: Stage,
    length: Length,
    /// Of a body of known length, still to come.
    left: u64,
    /// Writes that the backend's transport took something of.
    writes: u64,
}

enum Stage {
    /// The body waits for a word of the backend, until then.
    Asking(Tick),
    Body,
    /// All is queued.
    Last,
    Done,
    /// The backend takes no more, and why.
    Refused(Error),
}

impl Sending {
    pub(super) fn new(length: Length, expects_continue: bool) -> Sending {
        Sending {
            queue: VecDeque::new(),
            stage: match length {
                Length::None => Stage::Last,
                _ if expects_continue => Stage::Asking(Tick::after(CONTINUE_WAIT)),
                _ => Stage::Body,
            },
            length,
            left: match length {
                Length::Known(left) => left,
                _ => 0,
            },
            writes: 0,
        }
    }

    /// Sends the head, and with it what there is of the body.
    pub(super) fn begin(
        &mut self,
        conn: &mut Conn,
        body: &mut Outgoing,
        head: impl FnOnce(&mut Vec<u8>),
        cx: &mut Context<'_>,
    ) -> Result<()> {
        scratch::out(|out| {
            head(out);
            while matches!(self.stage, Stage::Body) && self.queue.is_empty() && out.len() < SMALL {
                let Poll::Ready(frame) = body.poll_next(cx) else {
                    break;
                };
                self.take(frame.transpose()?)?;
                // Small pieces go behind the head at once.
                while let Some(piece) = self.queue.front()
                    && out.len() + piece.len() <= SMALL
                {
                    out.extend_from_slice(piece);
                    self.queue.pop_front();
                }
            }
            self.write_first(conn, out, cx);
            Ok(())
        })
    }

    fn write_first(&mut self, conn: &mut Conn, out: &[u8], cx: &mut Context<'_>) {
        let body = self.queue.front().map_or(&[][..], |piece| &piece[..]);
        let conn_to = Pin::new(&mut *conn);
        // One piece is the cheaper call.
        let written = match body.is_empty() {
            true => conn_to.poll_write(cx, out),
            false => conn_to.poll_write_vectored(cx, &[IoSlice::new(out), IoSlice::new(body)]),
        };
        match written {
            Poll::Ready(Ok(written @ 1..)) => {
                self.writes += 1;
                let of_head = written.min(out.len());
                if let Some(piece) = self.queue.front_mut() {
                    piece.advance(written - of_head);
                    if piece.is_empty() {
                        self.queue.pop_front();
                    }
                }
                if let Some(rest @ [_, ..]) = out.get(of_head..) {
                    self.queue.push_front(Bytes::copy_from_slice(rest));
                }
            }
            Poll::Ready(Ok(_)) => self.refuse(conn, io::ErrorKind::WriteZero.into()),
            Poll::Ready(Err(e)) => self.refuse(conn, e),
            Poll::Pending => self.queue.push_front(Bytes::copy_from_slice(out)),
        }
    }

    fn refuse(&mut self, conn: &Conn, cause: io::Error) {
        self.stage = Stage::Refused(conn.failed("writing to", cause));
        self.queue.clear();
    }

    /// Sends what can be sent. Ready once there is nothing more to send. Fails for reasons on this side only.
    pub(super) fn poll(
        &mut self,
        conn: &mut Conn,
        body: &mut Outgoing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        loop {
            if let Err(e) = ready!(self.poll_queue(conn, cx)) {
                self.refuse(conn, e);
            }
            match &self.stage {
                Stage::Asking(until) if !until.is_past() => {
                    // What was queued so far has to leave, or the backend cannot answer to it.
                    let _ = Pin::new(conn).poll_flush(cx);
                    return Poll::Pending;
                }
                Stage::Asking(_) => self.stage = Stage::Body,
                Stage::Body => match body.poll_next(cx) {
                    Poll::Pending => {
                        let _ = Pin::new(conn).poll_flush(cx);
                        return Poll::Pending;
                    }
                    Poll::Ready(frame) => self.take(frame.transpose()?)?,
                },
                Stage::Last => match ready!(Pin::new(&mut *conn).poll_flush(cx)) {
                    Ok(()) => self.stage = Stage::Done,
                    Err(e) => self.refuse(conn, e),
                },
                Stage::Done | Stage::Refused(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Queues a piece of the body, or its end.
    fn take(&mut self, frame: Option<Frame<Bytes>>) -> Result<()> {
        let is_chunked = self.length == Length::Chunked;
        match frame.map(Frame::into_data) {
            Some(Ok(data)) if data.is_empty() => {}
            Some(Ok(data)) if is_chunked => {
                let mut head = Vec::with_capacity(18);
                write_chunk_head(&mut head, data.len());
                let tail = Bytes::from_static(CHUNK_TAIL);
                self.queue.extend([head.into(), data, tail]);
            }
            Some(Ok(data)) => {
                let left = self.left.checked_sub(data.len() as u64);
                self.left = left.ok_or_else(|| misfit("longer"))?;
                self.queue.push_back(data);
                if self.left == 0 {
                    self.stage = Stage::Last;
                }
            }
            trailers_or_end => {
                if self.left > 0 {
                    return Err(misfit("shorter"));
                }
                if is_chunked {
                    let trailers = trailers_or_end.and_then(std::result::Result::err);
                    let trailers = trailers.and_then(|frame| frame.into_trailers().ok());
                    let mut last = Vec::with_capacity(8);
                    write_last_chunk(&mut last, trailers.as_ref());
                    self.queue.push_back(last.into());
                }
                self.stage = Stage::Last;
            }
        }
        Ok(())
    }

    fn poll_queue(&mut self, conn: &mut Conn, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let mut written = ready!(Pin::new(&mut *conn).poll_write_vectored(cx, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.writes += 1;
            while let Some(piece) = self.queue.front_mut() {
                let n = written.min(piece.len());
                piece.advance(n);
                written -= n;
                if !piece.is_empty() {
                    break;
                }
                self.queue.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The backend wants the body.
    pub(super) fn go_on(&mut self) {
        if matches!(self.stage, Stage::Asking(_)) {
            self.stage = Stage::Body;
        }
    }

    /// The backend has answered: a body that waited for its word is not sent (RFC 9110, section 10.1.1).
    pub(super) fn answered(&mut self) {
        if matches!(self.stage, Stage::Asking(_)) {
            let act = "sending a request's body";
            let error = Error::new(Kind::Closed, Side::Upstream, act);
            self.stage = Stage::Refused(error.because("it was answered before it was wanted"));
        }
    }

    /// Until when the body waits.
    pub(super) fn waits_until(&self) -> Option<Tick> {
        match self.stage {
            Stage::Asking(until) => Some(until),
            _ => None,
        }
    }

    /// Whether some of it may have reached the backend.
    pub(super) fn has_begun(&self) -> bool {
        self.writes > 0
    }

    /// A number that is another each time something was taken.
    pub(super) fn moved(&self) -> u64 {
        self.writes
    }

    /// Whether all of it was sent.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Why the backend took no more, if so.
    pub(super) fn refusal(&mut self) -> Option<Error> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Refused(error) => Some(error),
            stage => {
                self.stage = stage;
                None
            }
        }
    }
}

fn misfit(how: &str) -> Error {
    Error::new(
        Kind::Protocol,
        Side::Downstream,
        "passing a request's body on",
    )
    .because(format!("it is {how} than was said"))
}

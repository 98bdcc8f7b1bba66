//! A response on its way out over HTTP/1.1.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::Version;
use ::http::header::CONNECTION;
use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::date;
use super::upload::Upload;
use super::wire::{Watched, Wire};
use crate::error::{Error, Kind, Result, Side};
use crate::http::body::{Body, Form, Piece};
use crate::http::{HeaderMap, Response};
use crate::limits::HttpLimits;
use crate::net::{Tick, scratch};
use crate::wire::http1::{self, Framing, Length, ResponseHead, write_response_head};

/// What the request said about its reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) what: http1::Asked,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
}

/// A body that is no longer than this leaves in one write with its head, copied behind it.
const SMALL: usize = 16 << 10;
/// So much of a streamed body is put together before it is written, while more of it is there.
const GATHER: usize = 64 << 10;

/// A response of which what could be sent at once is sent.
pub(super) struct Begun {
    /// Whether the connection may be kept after it.
    keep_alive: bool,
    rest: Rest,
}

enum Rest {
    /// In bytes, of which there may be none.
    Full(Bytes),
    File(Piece),
    Stream(Body, Length),
}

/// Begins a response: its head, and with it a body that is whole and small, leave in one write. Nothing is waited for.
pub(super) fn begin(
    wire: &mut Wire,
    asked: Terms,
    response: Response,
    upload: &mut Option<Upload>,
    cx: &mut Context<'_>,
) -> Result<Begun> {
    let (parts, body) = response.into_parts();
    wire.conn.meter().count_response(parts.status.as_u16());
    if let Some(leave) = upload.as_mut().and_then(Upload::leave) {
        wire.queue(leave);
    }
    let length = body.len_hint().map_or(Length::Chunked, Length::Known);
    let keep_alive = asked.keep_alive
        && !wire.conn.is_ending()
        && !says_close(&parts.headers)
        && upload.as_ref().is_none_or(Upload::can_be_read);
    let framing = Framing::new(asked.what, asked.version, parts.status, length, keep_alive);
    let form = match framing.body {
        Length::None => Form::Full(Bytes::new()),
        _ => body.into_form(),
    };
    let rest = scratch::out(|out| -> Result<Rest> {
        write_response_head(
            out,
            parts.status,
            &parts.headers,
            &framing,
            Some(&date::now()),
        );
        if let Form::Full(bytes) = &form
            && bytes.len() <= SMALL
        {
            out.extend_from_slice(bytes);
            wire.send_now(cx, out)?;
            return Ok(Rest::Full(Bytes::new()));
        }
        wire.queue(out);
        Ok(match form {
            Form::Full(bytes) => Rest::Full(bytes),
            Form::File(piece) if wire.conn.sends_files() => Rest::File(piece),
            Form::File(piece) => Rest::Stream(piece.into(), framing.body),
            Form::Stream(body) => Rest::Stream(body, framing.body),
        })
    })?;
    Ok(Begun {
        keep_alive: framing.keep_alive,
        rest,
    })
}

/// As [`begin`], for an answer that is passed on as it came: whole, and read at once.
pub(super) fn begin_as_it_came(
    wire: &mut Wire,
    asked: Terms,
    head: &ResponseHead<'_>,
    body: &[u8],
    cx: &mut Context<'_>,
) -> Result<Begun> {
    wire.conn.meter().count_response(head.status.as_u16());
    let keep_alive = asked.keep_alive && !wire.conn.is_ending();
    let length = Length::Known(body.len() as u64);
    let framing = Framing::new(asked.what, asked.version, head.status, length, keep_alive);
    scratch::out(|out| {
        write_response_head(out, head.status, head, &framing, Some(&date::now()));
        out.extend_from_slice(body);
        wire.send_now(cx, out)
    })?;
    Ok(Begun {
        keep_alive: framing.keep_alive,
        rest: Rest::Full(Bytes::new()),
    })
}

impl Begun {
    /// Sends the rest, unless it has to be waited for: whether the connection may be kept.
    pub(super) fn poll_rest(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool>> {
        let sent = match &mut self.rest {
            Rest::Full(bytes) => wire.poll_send(cx, bytes),
            Rest::File(piece) => wire.poll_send_file(cx, piece),
            Rest::Stream(..) => Poll::Pending,
        };
        sent.map(|sent| sent.map(|()| self.keep_alive))
    }

    /// Sends the rest. `true`: the connection may be kept.
    ///
    /// What still comes of the request's body is read meanwhile, for a service that answers as it reads.
    pub(super) async fn rest(
        self,
        wire: &mut Wire,
        upload: &mut Option<Upload>,
        limits: &HttpLimits,
    ) -> Result<bool> {
        let mut sending = Sending {
            wire,
            upload,
            limits,
            stall: None,
            written: 0,
        };
        match self.rest {
            Rest::Full(bytes) => sending.full(bytes).await?,
            Rest::File(piece) => sending.file(piece).await?,
            Rest::Stream(body, length) => sending.stream(body, length).await?,
        }
        Ok(self.keep_alive)
    }
}

/// Sends a response. `true`: the connection may be kept.
pub(super) async fn reply(
    wire: &mut Wire,
    asked: Terms,
    response: Response,
    upload: &mut Option<Upload>,
    limits: &HttpLimits,
) -> Result<bool> {
    let mut response = Some(response);
    let begun = poll_fn(|cx| match response.take() {
        Some(response) => Poll::Ready(begin(wire, asked, response, upload, cx)),
        None => Poll::Pending,
    });
    let begun = begun.await?;
    begun.rest(wire, upload, limits).await
}

/// A connection to which a response is written.
struct Sending<'a> {
    wire: &'a mut Wire,
    upload: &'a mut Option<Upload>,
    limits: &'a HttpLimits,
    /// When the client has left what it was sent untaken for too long, and how much was written by when that was set.
    stall: Option<Tick>,
    written: u64,
}

impl Sending<'_> {
    async fn full(&mut self, mut bytes: Bytes) -> Result<()> {
        poll_fn(|cx| match self.wire.poll_send(cx, &mut bytes) {
            Poll::Pending => self.stalled(cx),
            sent => sent,
        })
        .await
    }

    async fn file(&mut self, mut piece: Piece) -> Result<()> {
        poll_fn(|cx| match self.wire.poll_send_file(cx, &mut piece) {
            Poll::Pending => self.stalled(cx),
            sent => sent,
        })
        .await
    }

    async fn stream(&mut self, mut body: Body, length: Length) -> Result<()> {
        let mut frames = Frames {
            is_chunked: length == Length::Chunked,
            left: match length {
                Length::Known(len) => Some(len),
                _ => None,
            },
            tail: Bytes::new(),
            is_ended: false,
        };
        poll_fn(|cx| {
            loop {
                if !frames.tail.is_empty() {
                    match self.wire.poll_send(cx, &mut frames.tail) {
                        Poll::Pending => return self.stalled(cx),
                        Poll::Ready(sent) => sent?,
                    }
                    frames.end_of_chunk(self.wire);
                }
                if frames.is_ended || self.wire.queued() >= GATHER {
                    match self.wire.poll_flush(cx) {
                        Poll::Pending => return self.stalled(cx),
                        Poll::Ready(sent) => sent?,
                    }
                    if frames.is_ended {
                        return Poll::Ready(Ok(()));
                    }
                }
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(Err(e))) => {
                        // What there was of it is sent, and its end is not.
                        let _ = self.wire.poll_flush(cx)?;
                        if length == Length::UntilClose {
                            self.wire.conn.end_with_reset();
                        }
                        return Poll::Ready(Err(e));
                    }
                    Poll::Ready(frame) => frames.take(self.wire, frame.transpose()?)?,
                    Poll::Pending => {
                        let is_sent = self.wire.poll_flush(cx)?.is_ready();
                        if self.feed(cx) {
                            continue;
                        }
                        if !is_sent {
                            return self.stalled(cx);
                        }
                        self.stall = None;
                        ready!(self.wire.poll_peer(cx))?;
                    }
                }
            }
        })
        .await
    }

    /// Whether the service got something of the request that it waited for.
    fn feed(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(upload) = self.upload else {
            return false;
        };
        upload.poll_feed(self.wire, self.limits, cx).is_ready()
    }

    /// The client takes nothing now: it may, for a while.
    fn stalled(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.feed(cx) {}
        let written = self.wire.conn.meter().written();
        if written != self.written || self.stall.is_none() {
            self.written = written;
            self.stall = Some(Tick::after(self.limits.send));
        }
        match self.wire.watch_too(self.stall) {
            Watched::Waiting => Poll::Pending,
            Watched::Past => {
                let act = format!("writing to {}", self.wire.conn.peer());
                let why = format!("it took nothing for {:?}", self.limits.send);
                Poll::Ready(Err(
                    Error::new(Kind::TimedOut, Side::Downstream, act).because(why)
                ))
            }
        }
    }
}

/// A streamed body between its frames and the wire.
struct Frames {
    is_chunked: bool,
    /// What is still to come of a length that was promised.
    left: Option<u64>,
    /// A large piece on its way.
    tail: Bytes,
    is_ended: bool,
}

impl Frames {
    fn take(&mut self, wire: &mut Wire, frame: Option<Frame<Bytes>>) -> Result<()> {
        let Some(frame) = frame else {
            if self.left.is_some_and(|left| left > 0) {
                return Err(wrong_length("shorter"));
            }
            return self.end(wire, None);
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(wire, frame.into_trailers().ok()),
        };
        if data.is_empty() {
            return Ok(());
        }
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(data.len() as u64)
                .ok_or_else(|| wrong_length("longer"))?;
        }
        if self.is_chunked {
            wire.queue_with(|out| http1::write_chunk_head(out, data.len()));
        }
        if data.len() > SMALL {
            self.tail = data;
        } else {
            wire.queue(&data);
            self.end_of_chunk(wire);
        }
        Ok(())
    }

    fn end_of_chunk(&self, wire: &mut Wire) {
        if self.is_chunked {
            wire.queue(http1::CHUNK_TAIL);
        }
    }

    fn end(&mut self, wire: &mut Wire, trailers: Option<HeaderMap>) -> Result<()> {
        if self.is_chunked {
            wire.queue_with(|out| http1::write_last_chunk(out, trailers.as_ref()));
        }
        self.is_ended = true;
        Ok(())
    }
}

fn wrong_length(how: &str) -> Error {
    Error::new(Kind::Other, Side::Local, "sending a response")
        .because(format!("its body is {how} than its service said"))
}

fn says_close(fields: &::http::HeaderMap) -> bool {
    let has_close = |value: &::http::HeaderValue| {
        let mut tokens = value.as_bytes().split(|b| *b == b',');
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    fields.get_all(CONNECTION).iter().any(has_close)
}

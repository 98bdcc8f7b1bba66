//! HTTP/1.1 on our own codec. A request that is the same each time was encoded once, and is written again and again;
//! answers are parsed in place, out of the loop's one read buffer, and nothing of them is kept.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Answer, Failure, Line, Talk};
use crate::load::lane;
use crate::load::script::{Kept, Reader, Script};
use crate::load::tally::Cause;
use crate::load::timing;
use crate::net::{Conn, scratch};
use crate::wire::http1::{Asked, BodyDecoder, Bounds, Length, Reject, Step, parse_response};

/// A connection that speaks HTTP/1.1.
pub(in crate::load) struct H1 {
    line: Line,
    script: Arc<Script>,
    reader: Reader,
    conn: Option<Conn>,
    /// The request, unless it is the same each time.
    made: Vec<u8>,
    written: usize,
    is_flushed: bool,
    /// Why the rest of the request cannot be sent. Its answer may have come before.
    unsendable: Option<std::io::Error>,
    reading: Reading,
    bytes: (u64, u64),
}

/// An answer, as far as it came.
#[derive(Debug)]
struct Reading {
    bounds: Bounds,
    asked: Asked,
    /// Of a head that is not whole.
    partial: Vec<u8>,
    head: Option<Head>,
    /// Of a body that did not come with the head.
    decoder: Option<BodyDecoder>,
    /// What the script wants to look at.
    kept: Option<Kept>,
    wants_timing: bool,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    keep_alive: bool,
}

impl H1 {
    pub(in crate::load) fn new(line: Line, script: Arc<Script>, slot: usize) -> H1 {
        let reader = script.reader(slot);
        H1 {
            line,
            reading: Reading {
                bounds: Bounds::default(),
                asked: Asked::Other,
                partial: Vec::new(),
                head: None,
                decoder: None,
                kept: None,
                wants_timing: script.wants_timing,
            },
            script,
            reader,
            conn: None,
            made: Vec::new(),
            written: 0,
            is_flushed: false,
            unsendable: None,
            bytes: (0, 0),
        }
    }

    /// Takes up the next request.
    fn begin(&mut self) -> Result<(), Failure> {
        self.written = 0;
        self.is_flushed = false;
        self.unsendable = None;
        let Some(step) = self.script.step(&self.reader) else {
            return Err(Failure::new(Cause::Unexpected, "the script has no request"));
        };
        if step.encoded.is_none() {
            let request = step.render(&self.reader)?;
            self.made.clear();
            request.write_http1(&mut self.made);
        }
        self.reading.begin(step.asked, step.keeps());
        Ok(())
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Failure>> {
        let Some(conn) = &mut self.conn else {
            return Poll::Ready(Err(Failure::new(Cause::Closed, "the connection is gone")));
        };
        let step = self.script.step(&self.reader);
        let request = match step.and_then(|step| step.encoded.as_deref()) {
            Some(encoded) => encoded,
            None => &self.made,
        };
        loop {
            let rest = request.get(self.written..).unwrap_or_default();
            if !rest.is_empty() && self.unsendable.is_none() {
                match Pin::new(&mut *conn).poll_write(cx, rest) {
                    Poll::Ready(Ok(n)) if n > 0 => {
                        self.written += n;
                        self.bytes.0 += n as u64;
                        continue;
                    }
                    Poll::Ready(Ok(_)) => {
                        self.unsendable = Some(std::io::ErrorKind::WriteZero.into());
                    }
                    Poll::Ready(Err(e)) => self.unsendable = Some(e),
                    Poll::Pending => {}
                }
            }
            if !self.is_flushed {
                match Pin::new(&mut *conn).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.is_flushed = rest.is_empty(),
                    Poll::Ready(Err(e)) => {
                        self.unsendable.get_or_insert(e);
                        self.is_flushed = true;
                    }
                    Poll::Pending => {}
                }
            }
            let (reading, bytes) = (&mut self.reading, &mut self.bytes);
            let read = scratch::with(|buffer| {
                let mut read = ReadBuf::new(buffer);
                match Pin::new(&mut *conn).poll_read(cx, &mut read) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(e)) => Poll::Ready(Err(Failure::io(e))),
                    Poll::Ready(Ok(())) if read.filled().is_empty() => {
                        Poll::Ready(reading.end_of_stream().map(Some))
                    }
                    Poll::Ready(Ok(())) => {
                        bytes.1 += read.filled().len() as u64;
                        Poll::Ready(reading.take(read.filled()))
                    }
                }
            });
            match read {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Ok(Some(head))) => {
                    let is_sent = self.written == request.len();
                    if !head.keep_alive || !is_sent {
                        self.conn = None;
                    }
                    return Poll::Ready(Ok(Answer {
                        status: Some(head.status),
                        is_expected: false,
                    }));
                }
                Poll::Ready(Err(failure)) => {
                    return Poll::Ready(Err(match self.unsendable.take() {
                        Some(e) => Failure::io(e),
                        None => failure,
                    }));
                }
            }
        }
    }
}

impl Talk for H1 {
    fn is_connected(&self) -> bool {
        self.conn.is_some()
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        self.conn = Some(self.line.connect().await?);
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, Failure> {
        self.begin()?;
        let mut answer = poll_fn(|cx| self.poll_answer(cx)).await?;
        let kept = self.reading.kept.take();
        answer.is_expected = self.script.next(&mut self.reader, answer.status, kept)?;
        Ok(answer)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) {
        let Some(conn) = &mut self.conn else { return };
        let read = scratch::with(|buffer| {
            let mut read = ReadBuf::new(buffer);
            Pin::new(conn).poll_read(cx, &mut read)
        });
        // Its end; or an answer to nothing, after which no answer can be believed.
        if read.is_ready() {
            self.conn = None;
        }
    }

    fn hang_up(&mut self) {
        self.conn = None;
        self.script.restart(&mut self.reader);
    }

    fn take_bytes(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.bytes)
    }
}

impl Reading {
    fn begin(&mut self, asked: Asked, keeps: bool) {
        self.asked = asked;
        self.partial.clear();
        self.head = None;
        self.decoder = None;
        self.kept = keeps.then(Kept::default);
    }

    /// Takes what came. `None`: more is needed.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Head>, Failure> {
        if self.partial.is_empty() {
            return self.feed(bytes);
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        self.feed(&whole)
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<Option<Head>, Failure> {
        while self.head.is_none() {
            let Some((head, end)) =
                parse_response(bytes, &self.bounds, self.asked).map_err(garbage)?
            else {
                self.partial.extend_from_slice(bytes);
                return Ok(None);
            };
            bytes = bytes.get(end..).unwrap_or_default();
            if head.status.is_informational() && !head.upgrades {
                continue;
            }
            if head.upgrades {
                return Err(Failure::new(
                    Cause::Protocol,
                    "the server switched to another protocol",
                ));
            }
            if self.wants_timing {
                let fields = head.fields();
                let said = fields.filter(|(name, _)| name.eq_ignore_ascii_case("server-timing"));
                for (_, value) in said {
                    timing::parse(value, |name, took: Duration| {
                        lane::with(|lane| lane.recorder.server.record(name, took));
                    });
                }
            }
            if let Some(kept) = &mut self.kept {
                kept.fields = head
                    .fields()
                    .map(|(name, value)| (name.to_owned(), value.to_vec()))
                    .collect();
            }
            let mut told = Head {
                status: head.status.as_u16(),
                keep_alive: head.keep_alive,
            };
            // Nearly always all of the body came with its head, and none of it is wanted.
            if let (Length::None | Length::Known(_), None) = (head.length, &self.kept) {
                let length = match head.length {
                    Length::Known(length) => length,
                    _ => 0,
                };
                let came = bytes.len() as u64;
                if came >= length {
                    // What follows answers nothing.
                    told.keep_alive &= came == length;
                    return Ok(Some(told));
                }
            }
            self.head = Some(told);
            self.decoder = Some(BodyDecoder::new(head.length, &self.bounds));
        }
        self.body(bytes)
    }

    fn body(&mut self, mut bytes: &[u8]) -> Result<Option<Head>, Failure> {
        let (Some(decoder), Some(mut head)) = (&mut self.decoder, self.head) else {
            return Ok(None);
        };
        while !decoder.is_done() {
            match decoder.decode(bytes).map_err(garbage)? {
                Step::Data { skip, len } => {
                    let (data, rest) = bytes
                        .get(skip..)
                        .and_then(|bytes| bytes.split_at_checked(len))
                        .unwrap_or_default();
                    if let Some(kept) = &mut self.kept {
                        kept.take(data);
                    }
                    bytes = rest;
                }
                Step::More { .. } => return Ok(None),
                Step::End { consumed, .. } => bytes = bytes.get(consumed..).unwrap_or_default(),
            }
        }
        head.keep_alive &= bytes.is_empty();
        Ok(Some(head))
    }

    fn end_of_stream(&mut self) -> Result<Head, Failure> {
        match (&mut self.decoder, self.head) {
            (Some(decoder), Some(head)) => match decoder.end_of_stream() {
                Ok(()) => Ok(Head {
                    keep_alive: false,
                    ..head
                }),
                Err(_) => Err(Failure::new(
                    Cause::Closed,
                    "the server closed in the middle of its answer",
                )),
            },
            _ if self.partial.is_empty() => Err(Failure::new(
                Cause::Closed,
                "the server closed without an answer",
            )),
            _ => Err(Failure::new(
                Cause::Closed,
                "the server closed in the middle of its answer's head",
            )),
        }
    }
}

fn garbage(reject: Reject) -> Failure {
    Failure::new(
        Cause::Protocol,
        format!("the answer is not HTTP/1.1: {reject}"),
    )
}

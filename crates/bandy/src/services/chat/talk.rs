//! One connection, whatever is spoken on it: what comes is heard, what is told is written, one thing is done at a time.
//!
//! A [`Speech`] is a protocol without I/O: messages and events in, pieces to write out, tasks to be done. The loop here is
//! the same for all: it reads only when nothing is being done and everything is written, so whoever floods or does not
//! read is slowed down and not held in memory; it takes what is told in batches, so that much of it is one write; and
//! it notices the cut of a session also while it cannot write.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::outbox::{Cut, Run, Told};
use super::session::Session;
use crate::error::{Error, Result};
use crate::net::{Conn, Messages, Tick};

/// What is to be done, and takes a while.
pub type Task<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What comes next.
pub enum Next<T> {
    /// Nothing: read on.
    Read,
    /// This; until it is done nothing more is read.
    Do(Task<T>),
    /// The end, with a code for WebSocket and a reason.
    End(u16, String),
}

impl<T> std::fmt::Debug for Next<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Next::Read => "Read",
            Next::Do(_) => "Do",
            Next::End(..) => "End",
        })
    }
}

/// What is to be written, in whole pieces: lines, or frames made by [`text_frame`](crate::net::ws::text_frame).
pub type Out = VecDeque<Bytes>;

/// A protocol, as far as it is not I/O.
pub trait Speech: Send {
    /// What a task comes to.
    type Done: Send;

    /// The connection was opened.
    fn begin(&mut self, out: &mut Out) -> Next<Self::Done>;

    /// A message came: a line without its end, or a WebSocket message.
    fn heard(&mut self, message: Bytes, out: &mut Out) -> Next<Self::Done>;

    /// What was to be done is done.
    fn done(&mut self, done: Self::Done, out: &mut Out) -> Next<Self::Done>;

    /// Something happened.
    fn told(&mut self, told: &Arc<Told>, out: &mut Out);

    /// Several things happened: one after the other, unless they can be said in one piece.
    fn told_run(&mut self, run: &Run, out: &mut Out) {
        for told in run.told() {
            self.told(told, out);
        }
    }

    /// The session, once there is one.
    fn session(&self) -> Option<&Session>;

    /// The session was cut: the last words, and the code.
    fn cut(&mut self, why: Cut, out: &mut Out) -> (u16, String);

    /// Nothing came for a while, and this is the time to ask whether somebody is there. `false` where the protocol has
    /// no such question; then silence is no reason to end it.
    fn ping(&mut self, _out: &mut Out) -> bool {
        false
    }

    /// Takes the session out, to end it.
    fn end(&mut self);
}

/// Events that are taken in one go, before they are written.
const BATCH: usize = 256;

/// Speaks on a connection until its end.
///
/// # Errors
/// What the transport reports, and what a task fails with.
pub async fn talk<S: Speech>(conn: Conn, mut speech: S, ping: Duration) -> Result<()> {
    let mut line = Line {
        messages: conn.messages().pause(None),
        out: Out::new(),
        is_writing: false,
        doing: None,
        over: None,
        failed: None,
        ping,
        look: Tick::after(ping),
        moved: 0,
        is_asked: false,
    };
    let next = speech.begin(&mut line.out);
    line.go_on(next);
    let over = std::future::poll_fn(|cx| line.poll(cx, &mut speech)).await;
    speech.end();
    let Line {
        messages, failed, ..
    } = line;
    match over? {
        Some((code, reason)) => messages.into_conn().close_with(code, &reason).await,
        None => messages.close().await,
    }
    failed.map_or(Ok(()), Err)
}

struct Line<T> {
    messages: Messages,
    out: Out,
    /// Not all that was written is on its way.
    is_writing: bool,
    doing: Option<Task<T>>,
    /// It is to end, once all is written.
    over: Option<(u16, String)>,
    /// Why, where it was on our side.
    failed: Option<Error>,
    ping: Duration,
    /// When it is looked whether somebody is there.
    look: Tick,
    /// What had gone either way at the last look.
    moved: u64,
    /// They were asked, and nothing has come since.
    is_asked: bool,
}

impl<T> Line<T> {
    fn go_on(&mut self, next: Next<T>) {
        match next {
            Next::Read => {}
            Next::Do(task) => self.doing = Some(task),
            Next::End(code, reason) => self.over = Some((code, reason)),
        }
    }

    /// `None` where the peer ended it.
    fn poll<S: Speech<Done = T>>(
        &mut self,
        cx: &mut Context<'_>,
        speech: &mut S,
    ) -> Poll<Result<Option<(u16, String)>>> {
        if self.messages.conn().is_ending() && self.over.is_none() {
            let over = speech.cut(Cut::Over, &mut self.out);
            self.over = Some(over);
        }
        self.look_at_the_clock(speech);
        loop {
            if let Some(session) = speech.session()
                && self.over.is_none()
                && let Poll::Ready(cut) = session.poll_cut(cx)
            {
                let over = speech.cut(cut, &mut self.out);
                // What is left unwritten is written as far as it goes, with the code.
                return Poll::Ready(Ok(Some(over)));
            }
            if !self.out.is_empty() || self.is_writing {
                self.is_writing = true;
                match self
                    .messages
                    .conn_mut()
                    .poll_write_pieces(cx, &mut self.out)
                {
                    Poll::Ready(done) => {
                        done?;
                        self.is_writing = false;
                    }
                    Poll::Pending => {
                        return match self.over.take_if(|_| self.messages.conn().is_ending()) {
                            Some(over) => Poll::Ready(Ok(Some(over))),
                            None => Poll::Pending,
                        };
                    }
                }
            }
            if let Some(over) = self.over.take() {
                return Poll::Ready(Ok(Some(over)));
            }
            if self.take_told(cx, speech) {
                continue;
            }
            if let Some(task) = &mut self.doing {
                match task.as_mut().poll(cx) {
                    Poll::Ready(done) => {
                        self.doing = None;
                        match done {
                            Ok(done) => {
                                let next = speech.done(done, &mut self.out);
                                self.go_on(next);
                            }
                            // Whoever asked is told, and this end's log once they are gone.
                            Err(e) => {
                                self.over = Some(speech.cut(Cut::Failed, &mut self.out));
                                self.failed = Some(e);
                            }
                        }
                        continue;
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.messages.poll_next(cx) {
                Poll::Ready(Ok(Some(message))) => {
                    self.look = Tick::after(self.ping);
                    self.is_asked = false;
                    let next = speech.heard(message, &mut self.out);
                    self.go_on(next);
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes what was told; whether there was something.
    fn take_told<S: Speech<Done = T>>(&mut self, cx: &mut Context<'_>, speech: &mut S) -> bool {
        let mut count = 0;
        while count < BATCH {
            let Some(session) = speech.session() else {
                break;
            };
            let Poll::Ready(Ok(run)) = session.poll_run(cx) else {
                break;
            };
            speech.told_run(&run, &mut self.out);
            count += run.told().len();
        }
        count > 0
    }

    fn look_at_the_clock<S: Speech<Done = T>>(&mut self, speech: &mut S) {
        if self.look.is_past() && self.over.is_none() {
            self.look = Tick::after(self.ping);
            let meter = self.messages.conn().meter();
            // What comes is a sign of life, an answer to a ping as well. While nothing is read, because something is
            // being done or they do not take what is written, what they take is one.
            let moved = match self.is_writing {
                true => meter.read().wrapping_add(meter.written()),
                false => meter.read(),
            };
            let is_there = moved != self.moved || self.doing.is_some();
            self.moved = moved;
            if is_there {
                self.is_asked = false;
            } else if self.is_asked {
                self.over = Some(speech.cut(Cut::Silent, &mut self.out));
            } else {
                self.is_asked = speech.ping(&mut self.out);
            }
        }
        self.messages.conn().wake_at(Some(self.look));
    }
}

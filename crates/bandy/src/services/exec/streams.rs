//! A program for each connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::Sleep;

use super::Exec;
use super::family::{GRACE, Started};
use crate::error::{Error, Kind, Result, Side};
use crate::net::conn::{Conn, Framing, Message};
use crate::net::pump::{Failed, Pump};
use crate::service::Service;
use crate::wire::line::Lines;

/// The longest line of a program's output on WebSocket. Bytes.
const LINE_MAX: usize = 1 << 20;

impl Service<Conn> for Exec {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        let place = self.place()?;
        let started = self.start(place, |command| {
            super::describe(command, conn.peer(), conn.endpoint(), conn.tls());
        })?;
        let Started {
            mut family,
            input,
            output,
            errors,
        } = started;
        let talking = async {
            let child = &mut family.child;
            let talked = match conn.framing() {
                Framing::Stream => Stream::new(input, output).talk(&mut conn, child).await,
                Framing::Message => talk_in_messages(input, output, &mut conn, child).await,
            };
            (talked, family.end().await)
        };
        let (talked, ended) = errors.log_beside(talking).await;
        family.log(&ended, conn.peer());
        // The place is free before the peer hears the end.
        drop(family);
        talked?;
        conn.close().await;
        Ok(())
    }
}

/// A stream on both sides: two pumps and the program's end.
struct Stream {
    input: Option<ChildStdin>,
    output: ChildStdout,
    inward: Pump,
    outward: Pump,
    output_ended: bool,
    exited: bool,
    /// Runs once the program has ended and its output has not.
    grace: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    fn new(input: ChildStdin, output: ChildStdout) -> Stream {
        let (inward, outward) = (Pump::default(), Pump::default());
        let input = Some(input);
        Stream {
            input,
            output,
            inward,
            outward,
            output_ended: false,
            exited: false,
            grace: None,
        }
    }

    async fn talk(mut self, conn: &mut Conn, child: &mut Child) -> Result<()> {
        let exit = async {
            child.wait().await.ok();
        };
        let mut exit = Box::pin(exit);
        let ended = std::future::poll_fn(|cx| self.poll(cx, conn, exit.as_mut())).await;
        ended.map_err(|failed| failed.name(conn))
    }

    /// Ready when the program has ended and all it said is sent.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Conn,
        exit: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<Result<(), Failed>> {
        if let Some(input) = &mut self.input {
            match self.inward.poll(cx, &mut (&mut *conn, input)) {
                Poll::Pending => {}
                // The peer said all it had to say: so was the program told. Or the program does not listen any more,
                // which is its right: `head -1` answers all the same.
                Poll::Ready(Ok(()) | Err(Failed::Writing(_))) => self.input = None,
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
            }
        }
        if !self.output_ended {
            match self.outward.poll(cx, &mut (&mut self.output, conn)) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.output_ended = true,
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
            }
        }
        if !self.exited {
            ready!(exit.poll(cx));
            self.exited = true;
        }
        if self.output_ended {
            return Poll::Ready(Ok(()));
        }
        // What it wrote before it ended is on its way; a child of its that holds the pipe open is not waited for.
        let grace = self
            .grace
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(GRACE)));
        grace.as_mut().poll(cx).map(Ok)
    }
}

/// Messages on one side, lines on the other.
async fn talk_in_messages(
    input: ChildStdin,
    mut output: ChildStdout,
    conn: &mut Conn,
    child: &mut Child,
) -> Result<()> {
    let mut lines = Lines::new(LINE_MAX);
    let mut buffer = Vec::new();
    let mut input = Input {
        pipe: Some(input),
        line: Vec::new(),
        taken: 0,
    };
    loop {
        while let Some(line) = lines.take().map_err(|e| too_long(conn, e))? {
            conn.send(as_message(line.text)).await?;
        }
        buffer.clear();
        tokio::select! {
            message = conn.recv(), if !input.is_full() => match message? {
                Some(message) => input.put(&message.data),
                // A WebSocket's close ends both directions.
                None => return Ok(()),
            },
            // Beside the reading: a program that waits for us to take its output takes no input.
            () = input.write(), if input.is_full() => {}
            read = output.read_buf(&mut buffer) => match read {
                Ok(n) if n > 0 => lines.feed(&buffer),
                _ => break,
            },
        }
    }
    if let Some(line) = lines.take_open() {
        conn.send(as_message(line.text)).await?;
    }
    // Its output is closed: it has nothing more to say, and so the conversation is over.
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    Ok(())
}

/// A message on its way into a program.
struct Input {
    /// `None` once the program does not listen any more, which is its right.
    pipe: Option<ChildStdin>,
    line: Vec<u8>,
    taken: usize,
}

impl Input {
    fn is_full(&self) -> bool {
        self.taken < self.line.len()
    }

    fn put(&mut self, message: &[u8]) {
        if self.pipe.is_some() {
            self.line = [message, b"\n"].concat();
            self.taken = 0;
        }
    }

    /// Writes what the program takes. Cancel-safe.
    async fn write(&mut self) {
        let (Some(pipe), Some(rest)) = (&mut self.pipe, self.line.get(self.taken..)) else {
            return;
        };
        match pipe.write(rest).await {
            Ok(n) if n > 0 => self.taken += n,
            _ => self.pipe = None,
        }
        if self.pipe.is_none() || !self.is_full() {
            // Freed, not cleared: one long message is not kept for the rest of the conversation.
            self.line = Vec::new();
            self.taken = 0;
        }
    }
}

fn as_message(text: bytes::Bytes) -> Message {
    let is_text = std::str::from_utf8(&text).is_ok();
    Message {
        data: text,
        is_text,
    }
}

fn too_long(conn: &Conn, cause: crate::wire::line::TooLong) -> Error {
    let act = format!("reading the program's output for {}", conn.peer());
    Error::new(Kind::Overload, Side::Local, act).because(cause)
}

//! The answer on its way to stdout: shaped here, written by a thread.
//!
//! The thread is behind a channel that holds a few chunks. While it is full the conversation reads nothing from the
//! server and goes on sending: a slow reader slows the server, and a `| head -1` ends it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use bandy::client::{Event, Sink};
use bandy::endpoint::Carries;
use bandy::error::{Error, Kind, Side};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::hex::{Dump, Way};
use super::json::Collected;
use super::visible::Visible;

/// Chunks that wait to be written.
const CHUNKS: usize = 4;

/// How an answer looks.
#[derive(Debug)]
pub enum Shape {
    /// A stream's bytes as they are.
    Raw,
    /// A message, and a line feed.
    Messages,
    /// Either, fit for a terminal.
    Screen {
        visible: Visible,
        is_stream: bool,
        /// The cursor stands behind something.
        in_line: bool,
    },
    /// A dump of both directions.
    Hex(Dump),
    /// Nothing until the end.
    Json(Collected),
}

impl Shape {
    /// The answer as it comes.
    pub fn plain(carries: Carries, is_screen: bool) -> Shape {
        let is_stream = carries == Carries::Stream;
        match (is_screen, is_stream) {
            (true, _) => Shape::Screen {
                visible: Visible::default(),
                is_stream,
                in_line: false,
            },
            (false, true) => Shape::Raw,
            (false, false) => Shape::Messages,
        }
    }

    /// A hex dump.
    pub fn hex(carries: Carries) -> Shape {
        Shape::Hex(Dump::new(carries == Carries::Stream))
    }

    /// One object at the end.
    pub fn json(carries: Carries) -> Shape {
        Shape::Json(Collected::new(carries == Carries::Stream))
    }

    fn sent(&mut self, bytes: &Bytes) -> Bytes {
        match self {
            Shape::Hex(dump) => dump.lines(Way::Sent, bytes).into(),
            _ => Bytes::new(),
        }
    }

    fn received(&mut self, bytes: &Bytes) -> Bytes {
        match self {
            Shape::Raw => bytes.clone(),
            Shape::Messages => [bytes, &b"\n"[..]].concat().into(),
            Shape::Hex(dump) => dump.lines(Way::Received, bytes).into(),
            Shape::Screen {
                visible,
                is_stream,
                in_line,
            } => {
                let mut text = visible.feed(bytes);
                if !*is_stream {
                    text.push_str(&visible.flush());
                    text.push('\n');
                }
                if !text.is_empty() {
                    *in_line = !text.ends_with('\n');
                }
                text.into()
            }
            Shape::Json(collected) => {
                collected.feed(bytes);
                Bytes::new()
            }
        }
    }

    /// What is left when no more comes. A terminal's prompt begins on a new line.
    fn end(&mut self) -> Bytes {
        let Shape::Screen {
            visible, in_line, ..
        } = self
        else {
            return Bytes::new();
        };
        let mut text = visible.flush();
        if text.is_empty() && *in_line || !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.into()
    }
}

/// Where shaped output goes: a thread, and its word when it is done.
#[derive(Debug)]
pub struct Output {
    chunks: mpsc::Sender<Bytes>,
    done: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    /// An output that a thread runs: `write` takes chunks until there are no more.
    pub fn spawn(
        write: impl FnOnce(mpsc::Receiver<Bytes>) -> io::Result<()> + Send + 'static,
    ) -> Output {
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        let (tell, done) = oneshot::channel();
        std::thread::spawn(move || {
            // Nobody waits for the word of a program that has given up.
            let _ = tell.send(write(receiver));
        });
        Output { chunks, done }
    }

    /// Stdout, each chunk at once.
    ///
    /// # Errors
    /// What the system says of stdout.
    pub fn stdout() -> Result<Output, Error> {
        let mut stdout = stdout()?;
        Ok(Output::spawn(move |mut chunks| {
            while let Some(chunk) = chunks.blocking_recv() {
                stdout.write_all(&chunk)?;
            }
            Ok(())
        }))
    }
}

/// Stdout without a buffer.
///
/// # Errors
/// What the system says of stdout.
pub fn stdout() -> Result<File, Error> {
    // Not `io::stdout()`: it holds back what does not end with a line feed.
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => Ok(File::from(fd)),
        Err(e) => Err(failed(e)),
    }
}

fn failed(cause: io::Error) -> Error {
    Error::new(Kind::Io, Side::Local, "writing to stdout").because(cause)
}

impl Output {
    /// Hands a chunk over, once there is room.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`]: nobody takes it any more. [`Output::finish`] says why.
    pub async fn send(&self, chunk: Bytes) -> io::Result<()> {
        let sent = self.chunks.send(chunk).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until everything is written. A reader that left is no error.
    ///
    /// # Errors
    /// What went wrong in the thread.
    pub async fn finish(self) -> Result<(), Error> {
        drop(self.chunks);
        match self.done.await {
            Ok(Err(e)) if e.kind() != io::ErrorKind::BrokenPipe => {
                // An [`Error`] that travelled inside comes out as it went in.
                Err(Error::talking(Side::Local, "writing to stdout", e))
            }
            _ => Ok(()),
        }
    }
}

/// The conversation's sink.
#[derive(Debug)]
pub struct Printer {
    shape: Shape,
    output: Output,
}

impl Printer {
    /// Prints in this shape.
    pub fn new(shape: Shape, output: Output) -> Printer {
        Printer { shape, output }
    }

    /// Waits until everything is written, or until `patience` is over, and gives the answers that were collected
    /// instead. A reader that left is no error.
    ///
    /// # Errors
    /// What the system says of stdout.
    pub async fn finish(mut self, patience: Duration) -> Result<Option<Collected>, Error> {
        let last = self.shape.end();
        let Output { chunks, done } = self.output;
        let written = async move {
            if !last.is_empty() {
                // When the thread has given up, its word says why.
                let _ = chunks.send(last).await;
            }
            drop(chunks);
            done.await
        };
        match tokio::time::timeout(patience, written).await {
            Ok(Ok(Err(e))) if e.kind() != io::ErrorKind::BrokenPipe => return Err(failed(e)),
            _ => {}
        }
        Ok(match self.shape {
            Shape::Json(collected) => Some(collected),
            _ => None,
        })
    }

    fn put(&mut self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        // There is room: `ready` said so, and nobody else sends. So it can only be closed.
        let sent = self.output.chunks.try_send(bytes);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Sink for Printer {
    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        let bytes = match event {
            Event::Sent(bytes) => self.shape.sent(bytes),
            Event::Received(bytes) => self.shape.received(bytes),
            Event::Silence => {
                if let Shape::Json(collected) = &mut self.shape {
                    collected.silence();
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.put(bytes)
    }

    async fn ready(&mut self) -> io::Result<()> {
        match self.output.chunks.reserve().await {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn watches_sent(&self) -> bool {
        matches!(self.shape, Shape::Hex(_))
    }
}

//! The side that is asked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bandy::error::{Error, Kind, Side};
use bandy::net::Spare;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Answer, Asked, place, sockets};

/// How long whoever connects may take to ask.
const ASK: Duration = Duration::from_secs(2);
/// How long a new process may take until it answers.
const READY: Duration = Duration::from_secs(60);
/// The longest question.
const LINE: u64 = 1024;
/// Questions that wait.
const WAITING: usize = 4;

/// Where this process is asked. Dropping it gives its name up.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    id: Option<(u64, u64)>,
    questions: mpsc::Receiver<Question>,
    listening: JoinHandle<()>,
}

/// Something that is asked.
#[derive(Debug)]
pub struct Question {
    pub asked: Asked,
    from: UnixStream,
}

impl Control {
    /// Listens for who asks the bandy that runs this file.
    ///
    /// # Errors
    /// That another one runs it, or that there is no place for the socket.
    pub fn open(file: &Path) -> Result<Control, Error> {
        let path = place(file)?;
        let failed = |e| {
            let act = format!("listening at {}", path.display());
            Error::new(Kind::Io, Side::Local, act).because(e)
        };
        let listener = match UnixListener::bind(&path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                    return Err(failed(io::Error::other("another bandy runs the same file")));
                }
                // Left behind by one that was killed.
                std::fs::remove_file(&path).map_err(failed)?;
                UnixListener::bind(&path).map_err(failed)?
            }
            bound => bound.map_err(failed)?,
        };
        let (sender, questions) = mpsc::channel(WAITING);
        Ok(Control {
            id: inode(&path),
            listening: tokio::spawn(listen(listener, sender)),
            path,
            questions,
        })
    }

    /// The next question. Cancel-safe.
    pub async fn next(&mut self) -> Option<Question> {
        self.questions.recv().await
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
        if self.id.is_some() && inode(&self.path) == self.id {
            // Whoever comes next replaces what cannot be removed.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

async fn listen(listener: UnixListener, questions: mpsc::Sender<Question>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept who asks to reload");
                tokio::time::sleep(ASK).await;
                continue;
            }
        };
        // One after the other: it is this user's own programs that ask.
        match timeout(ASK, read(stream)).await {
            Ok(Ok(question)) => {
                if questions.send(question).await.is_err() {
                    return;
                }
            }
            Ok(Err(e)) => tracing::warn!(error = %e, "somebody asked what is not understood"),
            Err(_) => tracing::warn!("somebody connected, and asked nothing"),
        }
    }
}

async fn read(mut from: UnixStream) -> io::Result<Question> {
    #[derive(Deserialize)]
    struct Line {
        ask: Asked,
    }
    let mut line = String::new();
    BufReader::new((&mut from).take(LINE))
        .read_line(&mut line)
        .await?;
    let Line { ask } = serde_json::from_str(&line)?;
    Ok(Question { asked: ask, from })
}

impl Question {
    /// Answers. Whoever has left does not want to know.
    pub async fn answer(mut self, answer: Answer) {
        if let Ok(line) = serde_json::to_string(&answer) {
            let _ = self.from.write_all(format!("{line}\n").as_bytes()).await;
        }
    }

    /// Hands over these sockets, and waits until whoever asked listens on them.
    ///
    /// # Errors
    /// That it has not begun to, or not in time.
    pub async fn hand_over(mut self, all: Vec<Arc<Spare>>) -> io::Result<Successor> {
        for some in all.chunks(sockets::TOGETHER) {
            self.send(some).await?;
        }
        self.send(&[]).await?;
        let mut line = String::new();
        let mut answer = BufReader::new((&mut self.from).take(LINE));
        match timeout(READY, answer.read_line(&mut line)).await {
            Ok(Ok(0)) => Err(io::Error::other("the new process ended before it answered")),
            Ok(Ok(_)) => Ok(Successor(self.from)),
            Ok(Err(e)) => Err(e),
            Err(_) => Err(io::Error::other(format!(
                "it did not answer within {READY:?}"
            ))),
        }
    }

    async fn send(&self, some: &[Arc<Spare>]) -> io::Result<()> {
        let some: Vec<BorrowedFd<'_>> = some.iter().map(|spare| spare.as_fd()).collect();
        let hand = || sockets::hand(&self.from, &some);
        self.from.async_io(Interest::WRITABLE, hand).await
    }
}

/// The process that listens now.
#[derive(Debug)]
pub struct Successor(UnixStream);

impl Successor {
    /// Tells it that our name is free. It goes on also without.
    pub async fn bid_farewell(mut self) {
        let _ = self.0.write_all(b"bye\n").await;
    }
}

//! The conversation with one program: the body in, the header and the document out, the end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Sleep;

use super::head::{BYTES_MAX, Head, Malformed};
use crate::error::{Error, Kind, Plain, Result, Side};
use crate::http::{Body, Downstream};
use crate::printable::printable;
use crate::services::exec::family::{Family, GRACE, Started};

/// How much of a document is read at once. Bytes.
const PIECE: usize = 32 << 10;
/// How much of what is no header goes to the log. Bytes.
const SHOWN: usize = 200;
/// How long a program may be silent once its client has closed its direction of the connection. A client that left looks
/// the same as one that has said everything, until it is written to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the answer goes.
pub(super) struct Ends {
    pub(super) head: oneshot::Sender<Result<Head, Fault>>,
    pub(super) pieces: mpsc::Sender<Result<Bytes>>,
    pub(super) downstream: Option<Downstream>,
    /// The longest time to the end of the header.
    pub(super) silence: Duration,
}

/// Why there is no header.
#[derive(Debug)]
pub(super) enum Fault {
    /// The request broke off, is too long, or nobody waits for its answer any more.
    Request(Error),
    /// It did not come in time.
    Silent,
    /// The program ended without one, or printed something else.
    Unusable,
}

/// Talks with a program until it has ended. Dropping it ends the program at once.
pub(super) async fn talk(started: Started, program: Arc<str>, body: Body, ends: Ends) {
    let Started {
        mut family,
        input,
        output,
        errors,
    } = started;
    let Ends {
        head,
        pieces,
        downstream,
        silence,
    } = ends;
    let peer = downstream.as_ref().map(|d| d.peer().to_string());
    let peer = peer.unwrap_or_else(|| "nobody".to_owned());
    let mut head = Some(head);
    let talking = async {
        let mut output = Output {
            pipe: output,
            buffer: BytesMut::new(),
            grace: None,
        };
        let mut feeding = std::pin::pin!(feed(input, body));
        let answered = async {
            let heard = output.head(&mut family, downstream.as_ref());
            let heard = tokio::time::timeout(silence, heard).await;
            let said = heard.unwrap_or(Err(Fault::Silent))?;
            if let Some(head) = head.take() {
                // Whoever waits for it and is gone has dropped all this.
                let _ = head.send(Ok(said));
            }
            let piece = |data| pieces.send(Ok(data));
            while let Some(data) = output
                .piece(&mut family, downstream.as_ref())
                .await
                .map_err(Fault::Request)?
            {
                if piece(data).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let (done, broken) = beside(answered, feeding.as_mut()).await;
        let ended = match &done {
            Ok(()) => {
                // It has nothing more to say; it may still have something to do.
                let _ = tokio::time::timeout(GRACE, family.child.wait()).await;
                family.end().await
            }
            Err(_) => family.kill().await,
        };
        // Only now: what broke off must not look whole.
        drop(broken);
        family.log(&ended, &peer);
        drop(family);
        (done, output.buffer)
    };
    let (done, printed) = errors.log_beside(talking).await;
    let Err(fault) = done else {
        return;
    };
    match (fault, head) {
        (fault, Some(head)) => {
            if !matches!(fault, Fault::Request(_)) {
                let shown = printed.get(..SHOWN).unwrap_or(&printed);
                let shown = printable(&String::from_utf8_lossy(shown));
                let program = &*program;
                tracing::warn!(program, peer, printed = shown, "{}", why(&fault, &printed));
            }
            let _ = head.send(Err(fault));
        }
        (Fault::Request(error), None) => {
            let _ = pieces.send(Err(error)).await;
        }
        (Fault::Silent | Fault::Unusable, None) => {}
    }
}

/// Gets the answer while the request's body is fed; with the pipe of a body that broke off.
async fn beside(
    answered: impl Future<Output = Result<(), Fault>>,
    mut feeding: Pin<&mut impl Future<Output = Result<(), (ChildStdin, Error)>>>,
) -> (Result<(), Fault>, Option<ChildStdin>) {
    let mut answered = std::pin::pin!(answered);
    let mut is_fed = false;
    loop {
        tokio::select! {
            biased;
            done = &mut answered => return (done, None),
            fed = &mut feeding, if !is_fed => match fed {
                Ok(()) => is_fed = true,
                Err((pipe, error)) => return (Err(Fault::Request(error)), Some(pipe)),
            },
        }
    }
}

/// Writes a body into a program as it comes; then comes the end of the input. A program that does not read its input may
/// close it, which is its right.
async fn feed(mut input: ChildStdin, mut body: Body) -> Result<(), (ChildStdin, Error)> {
    loop {
        match body.data().await {
            Ok(Some(data)) => {
                if input.write_all(&data).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err((input, error)),
        }
    }
}

/// What a program prints.
struct Output {
    pipe: ChildStdout,
    /// What was read and not yet passed on.
    buffer: BytesMut,
    /// Runs once the program has ended: a child of its that holds the pipe open is not waited for.
    grace: Option<Pin<Box<Sleep>>>,
}

impl Output {
    async fn head(
        &mut self,
        family: &mut Family,
        downstream: Option<&Downstream>,
    ) -> Result<Head, Fault> {
        // Looked through again only where a line may have ended it.
        loop {
            match Head::parse(&self.buffer) {
                Ok(Some((head, len))) => {
                    let _ = self.buffer.split_to(len);
                    return Ok(head);
                }
                Ok(None) => {}
                Err(_) => return Err(Fault::Unusable),
            }
            let read = self.read(family, downstream).await;
            if read.map_err(Fault::Request)? == 0 {
                return Err(Fault::Unusable);
            }
        }
    }

    /// What comes next of the document, or `None` at its end.
    async fn piece(
        &mut self,
        family: &mut Family,
        downstream: Option<&Downstream>,
    ) -> Result<Option<Bytes>> {
        if self.buffer.is_empty() && self.read(family, downstream).await? == 0 {
            return Ok(None);
        }
        Ok(Some(self.buffer.split().freeze()))
    }

    /// Reads more into the buffer. 0 is the end.
    async fn read(
        &mut self,
        family: &mut Family,
        downstream: Option<&Downstream>,
    ) -> Result<usize> {
        self.buffer.reserve(PIECE);
        let mut left = std::pin::pin!(left(downstream));
        loop {
            tokio::select! {
                biased;
                read = self.pipe.read_buf(&mut self.buffer) => return read.map_err(|e| {
                    let act = "reading a program's output";
                    Error::new(Kind::Io, Side::Local, act).because(Plain(e))
                }),
                _ = family.child.wait(), if self.grace.is_none() => {
                    self.grace = Some(Box::pin(tokio::time::sleep(GRACE)));
                }
                () = passed(&mut self.grace) => return Ok(0),
                () = &mut left => {
                    let act = "waiting for a program's output";
                    let error = Error::new(Kind::Closed, Side::Downstream, act);
                    return Err(error.because("the client is gone"));
                }
            }
        }
    }
}

async fn passed(grace: &mut Option<Pin<Box<Sleep>>>) {
    match grace {
        Some(grace) => grace.await,
        None => std::future::pending().await,
    }
}

/// Ready when the client has closed its direction, and has been waited for a while since.
///
/// Nobody is woken for it: the task that reads the connection is the one that polls this.
async fn left(downstream: Option<&Downstream>) {
    let Some(downstream) = downstream else {
        return std::future::pending().await;
    };
    std::future::poll_fn(|_| match downstream.has_finished() {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
    tokio::time::sleep(PATIENCE).await;
}

/// What is in the log of a program without a header.
fn why(fault: &Fault, printed: &[u8]) -> String {
    let malformed = match Head::parse(printed) {
        Err(malformed) => Some(malformed),
        Ok(_) if printed.len() >= BYTES_MAX => Some(Malformed::TooLong),
        Ok(_) => None,
    };
    match (fault, malformed) {
        (Fault::Silent, _) => "the program printed no header in time".to_owned(),
        (_, Some(malformed)) => format!("the program gave no answer: {malformed}"),
        (_, None) => "the program ended before its header did".to_owned(),
    }
}

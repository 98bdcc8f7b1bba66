//! One connection of a run: it takes a request when one is there for it, makes it, and says what became of it.
//!
//! What is spoken differs ([`Talk`], one protocol a file); how a request is begun, timed, cut off and counted is here,
//! once.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::lane::{self, Cut, Job, Next};
use super::record::{Recorder, Times};
use super::tally::Cause;
use crate::Endpoint;
use crate::error::{Error, Kind};
use crate::net::{Conn, Dialer, Phases};

pub(super) mod h1;
pub(super) mod h2;
pub(super) mod lines;
pub(super) mod messages;

/// An answer that came whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP's.
    pub(super) status: Option<u16>,
    /// It is what the script expects, be it 404.
    pub(super) is_expected: bool,
}

impl Answer {
    /// Of what has no status.
    pub(super) const PLAIN: Answer = Answer {
        status: None,
        is_expected: false,
    };
}

/// Why none did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) cause: Cause,
    pub(super) text: Cow<'static, str>,
}

impl Failure {
    pub(super) fn new(cause: Cause, text: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            cause,
            text: text.into(),
        }
    }

    /// A conversation that broke off.
    pub(super) fn io(cause: std::io::Error) -> Failure {
        let error = Error::talking(crate::error::Side::Upstream, "talking", cause);
        Failure::of(&error)
    }

    pub(super) fn of(error: &Error) -> Failure {
        let text = error.to_string();
        let cause = match error.kind() {
            Kind::NotResolved => Cause::Resolve,
            Kind::NotConnected | Kind::TimedOut => Cause::Connect,
            Kind::Tls | Kind::Untrusted => Cause::Tls,
            Kind::Closed if text.contains("reset") || text.contains("pipe") => Cause::Reset,
            Kind::Closed => Cause::Closed,
            Kind::Protocol | Kind::TooLarge | Kind::Overload => Cause::Protocol,
            _ => Cause::Local,
        };
        Failure::new(cause, text)
    }
}

/// What is spoken on a connection.
pub(super) trait Talk: Send {
    /// Whether there is a connection to ask on.
    fn is_connected(&self) -> bool;

    /// Makes one.
    fn connect(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Makes one request, and takes its answer.
    fn exchange(&mut self) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Notices that the server has closed a connection that nobody uses.
    fn poll_idle(&mut self, cx: &mut Context<'_>);

    /// Gives the connection up.
    fn hang_up(&mut self);

    /// Bytes that went out and came in since this was last asked.
    fn take_bytes(&mut self) -> (u64, u64);
}

/// The shortest and the longest pause after a connection that did not come about.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Runs a connection until the run is over. `first` is told how connecting went before the run began.
pub(super) async fn drive(
    slot: usize,
    mut talk: impl Talk,
    per_connection: Option<u64>,
    first: impl FnOnce(Result<(), Failure>) + Send,
) {
    let begun = begin(slot, &mut talk, first).await;
    let mut pause = PAUSE.0;
    let mut made = 0;
    let mut came = match begun {
        Some((job, connected)) => Some(connected_late(slot, &mut talk, job, connected).await),
        None => ask_next(slot, &mut talk).await,
    };
    while let Some(ended) = came {
        match ended {
            Made::Ended => {
                pause = PAUSE.0;
                made += 1;
                if per_connection.is_some_and(|most| made % most.max(1) == 0) {
                    talk.hang_up();
                }
            }
            Made::NotConnected => {
                // A server that is down is not asked in a busy loop.
                let sleep = pin!(tokio::time::sleep(pause));
                if until_cut(slot, sleep).await.is_err() {
                    break;
                }
                pause = (pause * 2).min(PAUSE.1);
            }
            Made::Cut => break,
        }
        came = ask_next(slot, &mut talk).await;
    }
    lane::with(|lane| lane.leave());
}

/// What came of connecting, for a request that waited for it.
type Late = (Job, Result<Result<(), Failure>, Cut>);

/// Connects before the run. Who is not through when that begins goes on, as a part of the first request: a server that
/// lets nobody in is not left out of account.
async fn begin(
    slot: usize,
    talk: &mut impl Talk,
    first: impl FnOnce(Result<(), Failure>) + Send,
) -> Option<Late> {
    let mut connect = pin!(talk.connect());
    let tried = poll_fn(|cx| match connect.as_mut().poll(cx) {
        Poll::Ready(tried) => Poll::Ready(Some(tried)),
        Poll::Pending => match lane::with(|lane| lane.is_warm(slot, cx.waker())) {
            true => Poll::Pending,
            false => Poll::Ready(None),
        },
    });
    if let Some(tried) = tried.await {
        first(tried);
        lane::with(|lane| lane.tried());
        return None;
    }
    lane::with(|lane| lane.tried());
    let job = poll_fn(|cx| poll_next(slot, cx)).await?;
    Some((job, until_cut(slot, connect).await))
}

async fn ask_next(slot: usize, talk: &mut impl Talk) -> Option<Made> {
    let job = next(slot, talk).await?;
    Some(request(slot, talk, job).await)
}

fn poll_next(slot: usize, cx: &mut Context<'_>) -> Poll<Option<Job>> {
    let next = lane::with(|lane| {
        let now = lane.now();
        lane.next(slot, now, cx.waker())
    });
    match next {
        Next::Job(job) => Poll::Ready(Some(job)),
        Next::Over => Poll::Ready(None),
        Next::Wait => Poll::Pending,
    }
}

async fn next(slot: usize, talk: &mut impl Talk) -> Option<Job> {
    poll_fn(|cx| {
        let next = poll_next(slot, cx);
        if next.is_pending() && talk.is_connected() {
            talk.poll_idle(cx);
        }
        next
    })
    .await
}

enum Made {
    Ended,
    NotConnected,
    Cut,
}

async fn request(slot: usize, talk: &mut impl Talk, job: Job) -> Made {
    let was_connected = talk.is_connected();
    // A connection that is there is asked at once.
    let mut sent = None;
    let ended = match was_connected {
        true => {
            sent = Some(sent_at(job));
            let exchange = pin!(talk.exchange());
            until_cut(slot, exchange).await
        }
        false => {
            let exchange = async {
                talk.connect().await?;
                sent = Some(lane::now());
                talk.exchange().await
            };
            let exchange = pin!(exchange);
            until_cut(slot, exchange).await
        }
    };
    account(slot, talk, job, sent, ended)
}

/// A request whose connection came about, or not, only after the run began.
async fn connected_late(
    slot: usize,
    talk: &mut impl Talk,
    job: Job,
    connected: Result<Result<(), Failure>, Cut>,
) -> Made {
    let (sent, ended) = match connected {
        Ok(Ok(())) => {
            let sent = lane::now();
            let exchange = pin!(talk.exchange());
            (Some(sent), until_cut(slot, exchange).await)
        }
        Ok(Err(failure)) => (None, Ok(Err(failure))),
        Err(cut) => (None, Err(cut)),
    };
    account(slot, talk, job, sent, ended)
}

/// Counts what came of a request that was sent then, or not at all.
fn account(
    slot: usize,
    talk: &mut impl Talk,
    job: Job,
    sent: Option<u64>,
    ended: Result<Result<Answer, Failure>, Cut>,
) -> Made {
    let bytes = talk.take_bytes();
    if ended.is_err() || matches!(ended, Ok(Err(_))) {
        // Where its next answer would begin is not known.
        talk.hang_up();
    }
    let is_connected = sent.is_some();
    lane::with(|lane| {
        lane.recorder.tally.sent_bytes += bytes.0;
        lane.recorder.tally.received_bytes += bytes.1;
        let done = lane.now();
        let times = Times {
            intended: job.intended,
            ready: job.ready,
            sent: sent.unwrap_or(done),
            done,
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(Cut::Ended) => {
                lane.abandon(slot);
                return Made::Cut;
            }
            Err(Cut::TimedOut) => Err(Failure::new(
                Cause::Timeout,
                match is_connected {
                    true => "no answer in time",
                    false => "no connection in time",
                },
            )),
        };
        lane.end(slot, times, ended);
        match is_connected {
            true => Made::Ended,
            false => Made::NotConnected,
        }
    })
}

/// In a closed model a request is sent when it is intended; in an open one the clock says when.
fn sent_at(job: Job) -> u64 {
    lane::with(|lane| match lane.is_open() {
        true => lane.now(),
        false => job.intended,
    })
}

/// Polls until it is done, or its request is cut off.
async fn until_cut<F: Future + Unpin>(slot: usize, mut future: F) -> Result<F::Output, Cut> {
    poll_fn(|cx| match std::pin::Pin::new(&mut future).poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => match lane::with(|lane| lane.cut(slot, cx.waker())) {
            Some(cut) => Poll::Ready(Err(cut)),
            None => Poll::Pending,
        },
    })
    .await
}

/// Whom to talk to, and how to get there.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) to: Endpoint,
    pub(super) dialer: Dialer,
}

impl Line {
    /// Connects, and notes what came of it and how long each part took.
    pub(super) async fn connect(&self) -> Result<Conn, Failure> {
        let (connected, took) = self.dial().await;
        lane::with(|lane| took.note(&mut lane.recorder, connected.is_ok()));
        connected
    }

    /// Connects; how long each part took is noted by the caller.
    pub(super) async fn dial(&self) -> (Result<Conn, Failure>, Took) {
        let mut phases = Phases::default();
        let connected = self.dialer.connect(&self.to, &mut phases).await;
        (connected.map_err(|error| Failure::of(&error)), Took(phases))
    }
}

/// How long the parts of connecting took.
pub(super) struct Took(Phases);

impl Took {
    pub(super) fn note(&self, recorder: &mut Recorder, is_connected: bool) {
        let nanos = |took: Duration| took.as_nanos() as u64;
        if let Some(took) = self.0.connect {
            recorder.connect.saturating_record(nanos(took));
        }
        if let Some(took) = self.0.tls {
            recorder.tls.saturating_record(nanos(took));
            recorder.tally.handshakes += 1;
        }
        match is_connected {
            true => recorder.tally.connected += 1,
            false => recorder.tally.not_connected += 1,
        }
    }
}

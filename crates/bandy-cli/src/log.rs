//! Logs: on stderr, text or JSON, written by a thread of their own.
//!
//! The queue to that thread is bounded: when stderr does not take lines fast enough they are dropped and counted, and
//! no conversation waits for them.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::args::{Log, LogFormat};
use crate::report;

/// Lines that may wait to be written.
const LINES_MAX: usize = 16_384;

/// Writes what is still in the queue when it is dropped, and says how many lines were lost.
pub struct Guard {
    worker: Option<WorkerGuard>,
    dropped: ErrorCounter,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let worker = self.worker.take();
        if !takes_a_line(PATIENCE) {
            // Nobody reads stderr: writing there would keep the process from ending.
            return std::mem::forget(worker);
        }
        drop(worker);
        match self.dropped.dropped_lines() {
            n if n > 0 && takes_a_line(Duration::ZERO) => report::say(format_args!(
                "bandy: {n} log lines were dropped: stderr did not take them fast enough"
            )),
            _ => {}
        }
    }
}

/// How long the end of the process may wait for stderr to take more.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether stderr takes a line without waiting longer: a pipe that says so has room for a page of text (pipe(7)), and a
/// file always says so (poll(2)).
fn takes_a_line(patience: Duration) -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).ok();
    poll(&mut fds, patience.as_ref()).is_ok_and(|ready| ready > 0)
}

/// Starts logging, as the flags or else `BANDY_LOG` say; the lines of level `info` and above by default.
pub fn start(log: &Log) -> Guard {
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_MAX)
        .lossy(true)
        .thread_name("bandy-log")
        .finish(io::stderr());
    let guard = Guard {
        worker: Some(worker),
        dropped: writer.error_counter(),
    };
    let builder = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter(log));
    let started = match log.log {
        LogFormat::Text => builder
            .with_target(false)
            .with_ansi(report::takes_colour(&io::stderr()))
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
    if let Err(e) = started {
        report::say(format_args!("bandy: no logs: {e}"));
    }
    guard
}

fn filter(log: &Log) -> EnvFilter {
    let default = || EnvFilter::new("info");
    if let Some(level) = log.log_level {
        return EnvFilter::new(level.as_str());
    }
    match std::env::var("BANDY_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).unwrap_or_else(|e| {
            report::say(format_args!(
                "bandy: BANDY_LOG=`{}` is not a filter: {e}",
                text.escape_debug()
            ));
            report::say("  try: BANDY_LOG=debug, or BANDY_LOG=info,bandy::net=trace");
            default()
        }),
        _ => default(),
    }
}

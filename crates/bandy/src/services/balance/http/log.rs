//! The access log: a line for each request, written off its path.
//!
//! On the path a record is put aside; every [`EVERY`] a thread of its own makes lines of what is there. A reader of the
//! log that is too slow loses lines, which are counted, and slows nobody.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ::http::request;

use super::Chosen;
use super::head::Client;
use crate::error::Error;
use crate::http::upstream::End;
use crate::http::{HeaderValue, Method, StatusCode, Uri};
use crate::pool::{Backend, Pool};

/// How long a record waits at most to be written.
const EVERY: Duration = Duration::from_millis(50);
/// Records that wait; more are lost.
const WAITING: usize = 65_536;

/// What is known of a request, for its line in the log.
pub(super) struct Record(Option<Box<Line>>);

struct Line {
    pool: Arc<Pool>,
    client: Option<std::net::IpAddr>,
    method: Method,
    uri: Uri,
    id: Option<String>,
    trace: Option<HeaderValue>,
    status: StatusCode,
    started: Instant,
    backend: Option<Arc<Backend>>,
    chosen: Option<Chosen>,
    retries: u32,
    connect: Option<Duration>,
    answer: Option<Duration>,
    total: Duration,
    bytes: u64,
    ended: String,
}

impl Record {
    pub(super) fn new(
        pool: &Arc<Pool>,
        parts: &request::Parts,
        client: &Client,
        status: StatusCode,
        started: Instant,
    ) -> Record {
        Record(Some(Box::new(Line {
            pool: pool.clone(),
            client: client.ip,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            id: client.id(&parts.headers),
            trace: parts.headers.get("traceparent").cloned(),
            status,
            started,
            backend: None,
            chosen: None,
            retries: 0,
            connect: None,
            answer: None,
            total: Duration::ZERO,
            bytes: 0,
            ended: "the answer is not whole".to_owned(),
        })))
    }

    /// Which backend answered, why that one, and how long it took.
    pub(super) fn backend(
        &mut self,
        backend: &Arc<Backend>,
        chosen: Chosen,
        retries: u32,
        connect: Option<Duration>,
        answer: Duration,
    ) {
        if let Some(line) = &mut self.0 {
            line.backend = Some(backend.clone());
            line.chosen = Some(chosen);
            line.retries = retries;
            line.connect = connect;
            line.answer = Some(answer);
        }
    }

    /// How the answer's body ended.
    pub(super) fn ended(&mut self, end: &End<'_>, bytes: u64) {
        if let Some(line) = &mut self.0 {
            line.bytes = bytes;
            line.ended = match end {
                End::Whole => "whole".to_owned(),
                End::Broken(error) => format!("broken off: {error}"),
                End::Dropped => "the client left".to_owned(),
            };
        }
    }

    /// There was no answer, after so many tries more than one.
    pub(super) fn failed(mut self, error: &Error, retries: u32) {
        if let Some(line) = &mut self.0 {
            line.retries = retries;
            line.ended = error.to_string();
        }
    }
}

/// What is dropped is written: whatever became of the request.
impl Drop for Record {
    fn drop(&mut self) {
        if let Some(mut line) = self.0.take() {
            line.total = line.started.elapsed();
            Writer::here().put(line);
        }
    }
}

struct Writer {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    #[expect(
        clippy::vec_box,
        reason = "whoever puts one there moves a word, not a line, while others wait"
    )]
    lines: Vec<Box<Line>>,
    lost: u64,
}

impl Writer {
    fn here() -> &'static Writer {
        static WRITER: OnceLock<Writer> = OnceLock::new();
        static THREAD: OnceLock<()> = OnceLock::new();
        let writer = WRITER.get_or_init(|| Writer {
            waiting: Mutex::default(),
        });
        THREAD.get_or_init(|| {
            let named = std::thread::Builder::new().name("access-log".to_owned());
            // A process that gets no more threads is told by everything else, too.
            if let Err(error) = named.spawn(|| Writer::here().run()) {
                tracing::error!(%error, "there is no thread for the access log");
            }
        });
        writer
    }

    fn put(&self, line: Box<Line>) {
        let mut waiting = self.lock();
        match waiting.lines.len() < WAITING {
            true => waiting.lines.push(line),
            false => waiting.lost += 1,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            std::thread::sleep(EVERY);
            let Waiting { lines, lost } = std::mem::take(&mut *self.lock());
            for line in lines {
                line.write();
            }
            if lost > 0 {
                tracing::warn!(
                    lost,
                    "lines of the access log were lost: its reader is too slow"
                );
            }
        }
    }
}

impl Line {
    fn write(&self) {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let backend = self.backend.as_ref().map(|backend| backend.name());
        let options = self.pool.options();
        let chosen = self.chosen.map(|chosen| match chosen {
            Chosen::Strategy => options.strategy.as_str(),
            Chosen::Cookie => "cookie",
            Chosen::Retry => "retry",
            Chosen::Hedge => "hedge",
        });
        tracing::info!(
            target: "bandy::access",
            pool = self.pool.name(),
            client = self.client.map(tracing::field::display),
            method = %self.method,
            target = %self.uri.path_and_query().map_or("", |target| target.as_str()),
            status = self.status.as_u16(),
            bytes = self.bytes,
            backend,
            chosen,
            retries = self.retries,
            connect_ms = self.connect.map(ms),
            answer_ms = self.answer.map(ms),
            total_ms = ms(self.total),
            id = self.id.as_deref(),
            trace = self.trace.as_ref().and_then(|trace| trace.to_str().ok()),
            ended = self.ended,
            "request"
        );
    }
}

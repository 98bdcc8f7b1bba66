//! A run as data: what `--json` prints, and what two runs are compared by. Its schema is published beside it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::record::Latencies;
use super::tally::Cause;

/// The JSON Schema of a [`Report`] (draft 2020-12).
pub const SCHEMA: &str = include_str!("schema.json");

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `closed` or `open`.
    pub model: String,
    /// Whom it asked.
    pub target: String,
    /// What was spoken: `HTTP/1.1`, `HTTP/2`, or the scheme.
    pub protocol: String,
    /// Whether the server was measured, and not the generator.
    pub valid: bool,
    /// Why not.
    pub invalid_because: Vec<String>,
    /// What is worth knowing all the same.
    pub notes: Vec<String>,
    /// When it began (RFC 3339).
    pub started: String,
    /// How long it took, in seconds.
    pub duration_s: f64,
    /// Requests that could be on their way at once.
    pub concurrency: usize,
    /// What became of the requests.
    pub requests: Requests,
    /// Good answers a second.
    pub rate: f64,
    /// Intended to done. `None` where nothing is done.
    pub latency_ms: Option<Latency>,
    /// Sent to done, of the open model.
    pub service_ms: Option<Latency>,
    /// Intended to sent, of the open model.
    pub lag_ms: Option<Latency>,
    /// The generator's own part of that.
    pub own_lag_ms: Option<Latency>,
    /// Of requests that failed or timed out.
    pub failed_ms: Option<Latency>,
    /// Connecting.
    pub connect_ms: Option<Latency>,
    /// TLS handshakes.
    pub tls_ms: Option<Latency>,
    /// What the server said of its own times.
    pub server_ms: BTreeMap<String, Latency>,
    /// How many requests failed or timed out, by cause.
    pub errors: BTreeMap<String, u64>,
    /// What the first of each said.
    pub examples: BTreeMap<String, String>,
    /// Answers by class: `1xx` to `5xx`.
    pub status: BTreeMap<String, u64>,
    /// Bytes on connections, TLS not counted.
    pub bytes: Bytes,
    /// Connections.
    pub connections: Connections,
    /// What the generator took.
    pub generator: Generator,
    /// The run over time.
    pub series: Series,
    /// What else is known of a chat, whose deliveries the requests are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
    /// The command line, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The machine, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

/// What became of the requests: `scheduled` is the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `tally::Requests`")]
pub struct Requests {
    pub scheduled: u64,
    pub done: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub in_flight: u64,
    pub never_sent: u64,
}

/// A histogram in a few numbers, in milliseconds. `p999` is the 99.9th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

/// Bytes out and in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Bytes {
    pub sent: u64,
    pub received: u64,
}

/// Connections of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// As many at once were asked for.
    pub wanted: usize,
    /// Came about, reconnections included.
    pub opened: u64,
    /// Did not.
    pub failed: u64,
    /// TLS handshakes.
    pub tls_handshakes: u64,
}

/// What the generator took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Event loops, each a thread.
    pub loops: usize,
    /// Processor time for each request that was begun, in microseconds.
    pub cpu_us_per_request: f64,
    /// The busiest loop's processor time, in percent of its time.
    pub busiest_percent: f64,
    /// How long the loops waited for a processor, in percent of their time.
    pub waited_percent: f64,
}

/// The run over time, a number for each slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// How long a slice is, in seconds; the last may be shorter.
    pub slice_s: f64,
    /// Good answers.
    pub done: Vec<u64>,
    /// Requests that failed or timed out.
    pub failed: Vec<u64>,
    /// The median, to within some percent; `None` where nothing was done.
    pub p50_ms: Vec<Option<f64>>,
    /// The 99th percentile, likewise.
    pub p99_ms: Vec<Option<f64>>,
}

/// A chat under load. What the names mean is in [`chat::Chat`](super::chat::Chat).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `chat::Chat`")]
pub struct Chat {
    pub room: String,
    pub members: usize,
    pub joined: usize,
    /// `done` are those in the room's log.
    pub messages: Requests,
    /// From due to the server's word that it is in the log.
    pub answered_ms: Option<Latency>,
    pub missed: u64,
    pub duplicates: u64,
    pub misordered: u64,
    pub faulty_members: usize,
    pub faulty: Vec<Faulty>,
}

/// A member who did not hear everything once and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `chat::Faulty`")]
pub struct Faulty {
    pub member: usize,
    pub nick: String,
    pub missed: u64,
    pub duplicates: u64,
    pub misordered: u64,
    pub gone: Option<String>,
}

impl Chat {
    fn of(chat: &super::chat::Chat) -> Chat {
        Chat {
            room: chat.room.clone(),
            members: chat.members,
            joined: chat.joined,
            messages: Requests::of(&chat.messages),
            answered_ms: Latency::of(&chat.answered),
            missed: chat.missed,
            duplicates: chat.duplicates,
            misordered: chat.misordered,
            faulty_members: chat.faulty_members,
            faulty: chat
                .faulty
                .iter()
                .cloned()
                .map(|one| Faulty {
                    member: one.member,
                    nick: one.nick,
                    missed: one.missed,
                    duplicates: one.duplicates,
                    misordered: one.misordered,
                    gone: one.gone,
                })
                .collect(),
        }
    }
}

impl Requests {
    fn of(requests: &super::tally::Requests) -> Requests {
        Requests {
            scheduled: requests.scheduled,
            done: requests.done,
            failed: requests.failed,
            timed_out: requests.timed_out,
            in_flight: requests.in_flight,
            never_sent: requests.never_sent,
        }
    }
}

/// Nanoseconds as milliseconds, with no more digits than were measured.
pub fn milliseconds(nanos: u64) -> f64 {
    (nanos as f64 / 1e3).round() / 1e3
}

impl Latency {
    /// The numbers of a histogram; `None` for an empty one.
    pub fn of(latencies: &Latencies) -> Option<Latency> {
        if latencies.is_empty() {
            return None;
        }
        let at = |quantile| milliseconds(latencies.value_at_quantile(quantile));
        Some(Latency {
            min: milliseconds(latencies.min()),
            mean: (latencies.mean() / 1e3).round() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: milliseconds(latencies.max()),
        })
    }
}

impl Report {
    /// A run as data.
    pub fn of(outcome: &Outcome) -> Report {
        let requests = *outcome.requests();
        let invalid_because = outcome.invalid_because();
        let open = outcome.open.as_ref();
        let of = |pick: fn(&super::outcome::OpenLatencies) -> &Latencies| {
            open.and_then(|open| Latency::of(pick(open)))
        };
        let begun = requests.scheduled - requests.never_sent;
        let generator = outcome.generator;
        let percent = |part: f64| (part * 1e3).round() / 10.0;
        Report {
            model: match outcome.is_open() {
                true => "open".to_owned(),
                false => "closed".to_owned(),
            },
            target: outcome.plan.to.to_string(),
            protocol: outcome.protocol(),
            valid: invalid_because.is_empty(),
            invalid_because,
            notes: outcome.notes(),
            started: rfc3339(outcome.began),
            duration_s: (outcome.elapsed.as_secs_f64() * 1e3).round() / 1e3,
            concurrency: outcome.concurrency,
            requests: Requests::of(&requests),
            rate: (outcome.rate() * 10.0).round() / 10.0,
            latency_ms: Latency::of(&outcome.latency),
            service_ms: of(|open| &open.service),
            lag_ms: of(|open| &open.lag),
            own_lag_ms: of(|open| &open.own_lag),
            failed_ms: Latency::of(&outcome.failures),
            connect_ms: Latency::of(&outcome.connect),
            tls_ms: Latency::of(&outcome.tls),
            server_ms: outcome
                .server
                .iter()
                .filter_map(|(name, times)| Some((name.clone(), Latency::of(times)?)))
                .collect(),
            errors: Cause::ALL
                .into_iter()
                .map(|cause| (cause.as_str().to_owned(), outcome.tally.of(cause)))
                .collect(),
            examples: Cause::ALL
                .into_iter()
                .zip(&outcome.tally.examples)
                .filter_map(|(cause, said)| Some((cause.as_str().to_owned(), said.clone()?)))
                .collect(),
            status: (1..=5)
                .zip(outcome.tally.status.iter().skip(1))
                .map(|(class, count)| (format!("{class}xx"), *count))
                .collect(),
            bytes: Bytes {
                sent: outcome.tally.sent_bytes,
                received: outcome.tally.received_bytes,
            },
            connections: Connections {
                wanted: outcome.plan.connections,
                opened: outcome.tally.connected,
                failed: outcome.tally.not_connected,
                tls_handshakes: outcome.tally.handshakes,
            },
            generator: Generator {
                loops: generator.loops,
                cpu_us_per_request: match begun {
                    0 => 0.0,
                    begun => (generator.cpu.as_secs_f64() * 1e8 / begun as f64).round() / 1e2,
                },
                busiest_percent: percent(generator.busiest),
                waited_percent: percent(generator.waited_part()),
            },
            series: Series::of(outcome),
            chat: outcome.chat.as_ref().map(Chat::of),
            command: None,
            machine: None,
        }
    }
}

impl Series {
    fn of(outcome: &Outcome) -> Series {
        let slices = &outcome.slices;
        let at = |quantile| {
            slices
                .iter()
                .map(|slice| slice.quantile(quantile).map(milliseconds))
                .collect()
        };
        Series {
            slice_s: outcome.plan.slice().as_secs_f64(),
            done: slices.iter().map(|slice| slice.done).collect(),
            failed: slices.iter().map(|slice| slice.failed).collect(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        }
    }
}

fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    // Whole seconds, as people read them.
    let seconds = since.unwrap_or(Duration::ZERO).as_secs();
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    time.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

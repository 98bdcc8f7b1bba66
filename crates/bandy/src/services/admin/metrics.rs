//! `GET /metrics`: the same as `/status` in Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write};

use super::board::Board;
use crate::pool::health::State;
use crate::pool::snapshot::{BackendSnapshot, PoolSnapshot};
use crate::tally::{Counted, Latencies};

pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is shown of a server: its name, sort and help, and where it is.
type OfServer = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Counted) -> u64,
);
type OfPool = (
    &'static str,
    &'static str,
    &'static str,
    fn(&PoolSnapshot) -> u64,
);
type OfBackend = (
    &'static str,
    &'static str,
    &'static str,
    fn(&BackendSnapshot) -> Option<f64>,
);

const SERVER: [OfServer; 5] = [
    (
        "bandy_connections_open",
        "gauge",
        "Connections and UDP flows that are not over.",
        |c| c.open,
    ),
    (
        "bandy_connections_total",
        "counter",
        "Connections and UDP flows that were accepted.",
        |c| c.accepted,
    ),
    (
        "bandy_connections_refused_total",
        "counter",
        "Connections that were refused at the limit.",
        |c| c.refused,
    ),
    (
        "bandy_received_bytes_total",
        "counter",
        "Bytes that came from clients.",
        |c| c.received,
    ),
    (
        "bandy_sent_bytes_total",
        "counter",
        "Bytes that went to clients.",
        |c| c.sent,
    ),
];

const POOL: [OfPool; 6] = [
    (
        "bandy_pool_panic",
        "gauge",
        "Whether too few backends are well for their health to be a guide.",
        |p| u64::from(p.is_panic),
    ),
    (
        "bandy_pool_waiting",
        "gauge",
        "Requests and connections that wait for a place.",
        |p| p.waiting as u64,
    ),
    (
        "bandy_pool_unready_total",
        "counter",
        "How often no backend was ready.",
        |p| p.unready,
    ),
    (
        "bandy_pool_overloaded_total",
        "counter",
        "How often there was no place in time.",
        |p| p.overloaded,
    ),
    (
        "bandy_pool_retries_total",
        "counter",
        "Tries after the first.",
        |p| p.retries,
    ),
    (
        "bandy_pool_retries_left",
        "gauge",
        "Retries that the budget has now.",
        |p| u64::from(p.retries_left),
    ),
];

const BACKEND: [OfBackend; 10] = [
    (
        "bandy_backend_ready",
        "gauge",
        "Whether it can be picked.",
        |b| Some(f64::from(u8::from(b.is_ready))),
    ),
    (
        "bandy_backend_draining",
        "gauge",
        "Whether it gets nothing new by an operator's wish.",
        |b| Some(f64::from(u8::from(b.is_draining))),
    ),
    (
        "bandy_backend_state_seconds",
        "gauge",
        "For how long its state has been what it is.",
        |b| Some(b.since.as_secs_f64()),
    ),
    (
        "bandy_backend_weight",
        "gauge",
        "Its share of the work, beside the others' weights.",
        |b| Some(f64::from(b.weight)),
    ),
    (
        "bandy_backend_active",
        "gauge",
        "Requests or connections that it has now.",
        |b| Some(b.active as f64),
    ),
    (
        "bandy_backend_max",
        "gauge",
        "The most that it may have, where there is a bound.",
        |b| b.max.map(|max| max as f64),
    ),
    (
        "bandy_backend_leases_total",
        "counter",
        "Requests or connections that it ever got.",
        |b| Some(b.counters.leased as f64),
    ),
    (
        "bandy_backend_unconnected_total",
        "counter",
        "Connections to it that did not come about.",
        |b| Some(b.counters.unconnected as f64),
    ),
    (
        "bandy_backend_server_errors_total",
        "counter",
        "Answers of it with a status of 5xx.",
        |b| Some(b.counters.server_errors as f64),
    ),
    (
        "bandy_backend_latency_ewma_seconds",
        "gauge",
        "What it takes until an answer begins, as of late.",
        |b| b.latency.map(|latency| latency.as_secs_f64()),
    ),
];

/// Everything, as it is now.
pub(super) fn text(board: &Board) -> String {
    let mut out = Text(String::new());
    let view = board.view();
    out.head(
        "bandy_info",
        "gauge",
        "The version that runs, which is always 1.",
    );
    out.line("bandy_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.head("bandy_uptime_seconds", "gauge", "Since it was started.");
    out.line(
        "bandy_uptime_seconds",
        &[],
        board.since.elapsed().as_secs_f64(),
    );

    let servers = view.servers.iter();
    let servers: Vec<_> = servers.map(|s| (&*s.name, s.counted.counted())).collect();
    for (name, sort, help, value) in SERVER {
        out.head(name, sort, help);
        for (server, counted) in &servers {
            out.line(name, &[("server", server)], value(counted));
        }
    }
    const RESPONSES: &str = "bandy_responses_total";
    out.head(
        RESPONSES,
        "counter",
        "Responses by the first digit of their status.",
    );
    for (server, counted) in &servers {
        for (class, n) in ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .iter()
            .zip(counted.responses)
        {
            out.line(RESPONSES, &[("server", server), ("class", class)], n);
        }
    }

    let pools: Vec<PoolSnapshot> = view.pools().map(|pool| pool.snapshot()).collect();
    for (name, sort, help, value) in POOL {
        out.head(name, sort, help);
        for pool in &pools {
            out.line(name, &[("pool", &pool.name)], value(pool));
        }
    }
    of_backends(&mut out, &pools);
    out.0
}

fn of_backends<'a>(out: &mut Text, pools: &'a [PoolSnapshot]) {
    let of = |pool: &'a PoolSnapshot| pool.backends.iter().map(|b| (&*pool.name, b));
    let backends: Vec<(&str, &BackendSnapshot)> = pools.iter().flat_map(of).collect();
    for (name, sort, help, value) in BACKEND {
        out.head(name, sort, help);
        for (pool, backend) in &backends {
            if let Some(value) = value(backend) {
                out.line(name, &[("pool", pool), ("backend", &backend.name)], value);
            }
        }
    }
    const STATE: &str = "bandy_backend_state";
    out.head(
        STATE,
        "gauge",
        "1 for the state that it is in, 0 for the others.",
    );
    for (pool, backend) in &backends {
        for state in [State::Up, State::Down, State::Ejected] {
            let labels = [
                ("pool", *pool),
                ("backend", &*backend.name),
                ("state", state.as_str()),
            ];
            out.line(STATE, &labels, u8::from(backend.state == state));
        }
    }
    const OUTCOMES: &str = "bandy_backend_outcomes_total";
    out.head(
        OUTCOMES,
        "counter",
        "Requests or connections that came to an end, by how.",
    );
    for (pool, backend) in &backends {
        let counters = backend.counters;
        let done = counters.ended.saturating_sub(counters.failed);
        for (outcome, n) in [("done", done), ("failed", counters.failed)] {
            let labels = [
                ("pool", *pool),
                ("backend", &*backend.name),
                ("outcome", outcome),
            ];
            out.line(OUTCOMES, &labels, n);
        }
    }
    const LATENCY: &str = "bandy_backend_latency_seconds";
    out.head(
        LATENCY,
        "histogram",
        "What it took until an answer began, or until it was connected to.",
    );
    for (pool, backend) in &backends {
        out.histogram(LATENCY, pool, &backend.name, &backend.latencies);
    }
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, sort: &str, help: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {sort}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.write(format_args!("{name}"));
        for (i, (label, text)) in labels.iter().enumerate() {
            let before = if i == 0 { '{' } else { ',' };
            self.write(format_args!("{before}{label}=\"{}\"", Escaped(text)));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{after} {value}\n"));
    }

    fn histogram(&mut self, name: &str, pool: &str, backend: &str, latencies: &Latencies) {
        let (bucket, mut sum) = (format!("{name}_bucket"), 0);
        let bounds = Latencies::BOUNDS.iter();
        let bounds = bounds.map(|bound| bound.as_secs_f64().to_string());
        let bounds = bounds.chain(["+Inf".to_owned()]);
        for (le, n) in bounds.zip(latencies.counts) {
            sum += n;
            let labels = [("pool", pool), ("backend", backend), ("le", &*le)];
            self.line(&bucket, &labels, sum);
        }
        let labels = [("pool", pool), ("backend", backend)];
        self.line(&format!("{name}_sum"), &labels, latencies.sum.as_secs_f64());
        self.line(&format!("{name}_count"), &labels, sum);
    }

    fn write(&mut self, what: std::fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = self.0.write_fmt(what);
    }
}

/// A label's value, as the format writes it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

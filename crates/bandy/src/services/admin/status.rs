//! `GET /status`: everything that there is to know, as JSON.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::board::{Board, Card};
use crate::pool::snapshot::{BackendSnapshot, PoolSnapshot};
use crate::tally::Latencies;

impl Board {
    pub(super) fn status(&self) -> Value {
        let view = self.view();
        let pools = view.pools().map(|pool| of_pool(&pool.snapshot()));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started": rfc3339(self.started),
            "uptime_s": rounded(self.since.elapsed().as_secs_f64()),
            "servers": view.servers.iter().map(of_server).collect::<Vec<_>>(),
            "pools": pools.collect::<Vec<_>>(),
        })
    }
}

fn of_server(server: &Card) -> Value {
    let counted = server.counted.counted();
    let [r1, r2, r3, r4, r5] = counted.responses;
    let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    json!({
        "name": server.name,
        "service": server.service,
        "model": server.model,
        "listen": listen,
        "connections": {
            "open": counted.open,
            "total": counted.accepted,
            "refused": counted.refused,
        },
        "bytes": {"received": counted.received, "sent": counted.sent},
        "responses": {"1xx": r1, "2xx": r2, "3xx": r3, "4xx": r4, "5xx": r5},
    })
}

fn of_pool(pool: &PoolSnapshot) -> Value {
    json!({
        "name": pool.name,
        "strategy": pool.strategy,
        "panic": pool.is_panic,
        "waiting": pool.waiting,
        "unready": pool.unready,
        "overloaded": pool.overloaded,
        "retries": pool.retries,
        "retries_left": pool.retries_left,
        "backends": pool.backends.iter().map(of_backend).collect::<Vec<_>>(),
    })
}

/// A backend, as it stands in its pool.
pub(super) fn of_backend(backend: &BackendSnapshot) -> Value {
    let counters = backend.counters;
    json!({
        "name": backend.name,
        "url": backend.endpoint,
        "state": backend.state.as_str(),
        "since": rfc3339(SystemTime::now() - backend.since),
        "since_s": rounded(backend.since.as_secs_f64()),
        "ejected_for_s": backend.ejected_for.map(|left| rounded(left.as_secs_f64())),
        "draining": backend.is_draining,
        "ready": backend.is_ready,
        "weight": backend.weight,
        "warmth": rounded(backend.warmth),
        "active": backend.active,
        "max": backend.max,
        "total": counters.leased,
        "ended": counters.ended,
        "failed": counters.failed,
        "unconnected": counters.unconnected,
        "server_errors": counters.server_errors,
        "latency": latency(backend),
    })
}

/// `buckets` are pairs of a bound in milliseconds and how many took no longer than that, and longer than the one before;
/// the last has no bound.
fn latency(backend: &BackendSnapshot) -> Value {
    let latencies = &backend.latencies;
    let bounds = Latencies::BOUNDS.iter().map(|bound| json!(ms(*bound)));
    let bounds = bounds.chain([Value::Null]);
    let buckets = bounds.zip(latencies.counts).map(|(le, n)| json!([le, n]));
    json!({
        "ewma_ms": backend.latency.map(ms),
        "count": latencies.count(),
        "sum_ms": ms(latencies.sum),
        "buckets": buckets.collect::<Vec<_>>(),
    })
}

fn ms(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1e3)
}

/// To thousandths.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

fn rfc3339(when: SystemTime) -> String {
    let when = OffsetDateTime::from(when);
    let when = when.replace_nanosecond(0).unwrap_or(when);
    // The years that it cannot write are not of this clock.
    when.format(&Rfc3339).unwrap_or_default()
}

//! What two answers come to: rates, and latencies of what happened between them. And numbers for people.

use super::status::{Backend, Status};

/// What happened between two answers, for each second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    pub responses: f64,
    pub server_errors: f64,
    pub accepted: f64,
    pub bytes: f64,
    pub median_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// The same of one backend.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BackendRates {
    pub leases: f64,
    pub median_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

type Buckets = Vec<(Option<f64>, u64)>;

/// What happened in so many seconds.
pub fn between(before: &Status, now: &Status, seconds: f64) -> Rates {
    let rate = |of: fn(&Status) -> u64| of(now).saturating_sub(of(before)) as f64 / seconds;
    let mut took = Buckets::new();
    for (pool, backend) in backends(now) {
        let news = minus(backend, find(before, pool, &backend.name));
        took.resize(news.len(), (None, 0));
        for (sum, (bound, n)) in took.iter_mut().zip(news) {
            *sum = (bound, sum.1 + n);
        }
    }
    Rates {
        responses: rate(|s| s.servers.iter().map(|s| s.responses.all()).sum()),
        server_errors: rate(|s| s.servers.iter().map(|s| s.responses.server_error).sum()),
        accepted: rate(|s| s.servers.iter().map(|s| s.connections.total).sum()),
        bytes: rate(|s| {
            s.servers
                .iter()
                .map(|s| s.bytes.received + s.bytes.sent)
                .sum()
        }),
        median_ms: quantile(&took, 0.5),
        p99_ms: quantile(&took, 0.99),
    }
}

/// The same of one backend.
pub fn of_backend(before: &Status, pool: &str, now: &Backend, seconds: f64) -> BackendRates {
    let then = find(before, pool, &now.name);
    let leased = then.map_or(now.total, |then| then.total);
    let took = minus(now, then);
    BackendRates {
        leases: now.total.saturating_sub(leased) as f64 / seconds,
        median_ms: quantile(&took, 0.5),
        p99_ms: quantile(&took, 0.99),
    }
}

fn backends(status: &Status) -> impl Iterator<Item = (&str, &Backend)> {
    let pools = status.pools.iter();
    pools.flat_map(|pool| pool.backends.iter().map(|b| (&*pool.name, b)))
}

fn find<'a>(status: &'a Status, pool: &str, name: &str) -> Option<&'a Backend> {
    let mut all = backends(status);
    all.find(|(p, b)| *p == pool && b.name == name)
        .map(|(_, backend)| backend)
}

/// What a backend's buckets have got since; nothing, if it was not there before.
fn minus(now: &Backend, then: Option<&Backend>) -> Buckets {
    let now = &now.latency.buckets;
    let then = then.map_or(now, |then| &then.latency.buckets);
    let pairs = now.iter().zip(then);
    pairs
        .map(|((bound, n), (_, before))| (*bound, n.saturating_sub(*before)))
        .collect()
}

/// Within how many milliseconds this share was done: a straight line through the bucket that it is in.
pub fn quantile(buckets: &[(Option<f64>, u64)], share: f64) -> Option<f64> {
    let all: u64 = buckets.iter().map(|(_, n)| n).sum();
    if all == 0 {
        return None;
    }
    let (mut left, mut low) = (share * all as f64, 0.0);
    for (high, n) in buckets {
        let n = *n as f64;
        if n >= left && n > 0.0 {
            return Some(high.map_or(low, |high| low + (high - low) * left / n));
        }
        left -= n;
        low = high.unwrap_or(low);
    }
    Some(low)
}

/// `950`, `12.3k`
pub fn count(n: f64) -> String {
    match n {
        n if n >= 1e9 => format!("{:.1}G", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.1}k", n / 1e3),
        n if n > 0.0 && n < 10.0 && n.fract() > 0.0 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

/// `12 KiB`
pub fn bytes(n: f64) -> String {
    for (unit, size) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        let part = n / size as f64;
        if part >= 1.0 {
            let digits = usize::from(part < 10.0);
            return format!("{part:.digits$} {unit}");
        }
    }
    format!("{n:.0} B")
}

/// `3.4 ms`, or a dash where there is none.
pub fn ms(time: Option<f64>) -> String {
    match time {
        None => "–".to_owned(),
        Some(ms) if ms >= 1000.0 => format!("{:.1} s", ms / 1000.0),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.0} ms"),
    }
}

/// `5m 12s`
pub fn span(seconds: f64) -> String {
    // A duration of this clock; what is negative or no number becomes 0.
    let s = seconds as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h {}m", s / 3_600, s % 3_600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::status::{Latency, Pool, Server};

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let buckets = [(Some(1.0), 50), (Some(2.0), 40), (Some(4.0), 10), (None, 0)];
        assert_eq!(quantile(&buckets, 0.5), Some(1.0));
        assert_eq!(quantile(&buckets, 0.7), Some(1.5));
        assert_eq!(quantile(&buckets, 0.95), Some(3.0));
        assert_eq!(quantile(&[(Some(1.0), 0), (None, 3)], 0.5), Some(1.0));
        assert_eq!(quantile(&[(Some(1.0), 0)], 0.5), None);
    }

    #[test]
    fn rates_are_of_what_is_new() {
        let status = |responses: u64, leases: u64, counts: [u64; 2]| {
            let mut server = Server::default();
            server.responses.success = responses;
            let backend = Backend {
                name: "b".to_owned(),
                total: leases,
                latency: Latency {
                    ewma_ms: None,
                    buckets: vec![(Some(1.0), counts[0]), (Some(3.0), counts[1])],
                },
                ..Backend::default()
            };
            Status {
                servers: vec![server],
                pools: vec![Pool {
                    name: "p".to_owned(),
                    backends: vec![backend],
                    ..Pool::default()
                }],
                ..Status::default()
            }
        };
        let (before, now) = (status(10, 5, [100, 0]), status(30, 9, [100, 10]));
        let rates = between(&before, &now, 2.0);
        assert_eq!((rates.responses, rates.median_ms), (10.0, Some(2.0)));
        let backend = of_backend(&before, "p", &now.pools[0].backends[0], 2.0);
        assert_eq!((backend.leases, backend.median_ms), (2.0, Some(2.0)));
        // A backend that is new has no rate yet.
        let none = of_backend(&Status::default(), "p", &now.pools[0].backends[0], 2.0);
        assert_eq!((none.leases, none.p99_ms), (0.0, None));
    }
}

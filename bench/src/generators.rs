//! Load generators beside each other, on the same nginx: what a request costs them, how many they make, and whether they
//! notice that the server stood still.
//!
//! nginx has its core, the generator, with one thread, the other. Its CPU is that of its whole process, its start and end
//! included, as the system adds it up when it has ended. What they say of a server that stands still is in `stalls`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;
use serde_json::Value;

use crate::loader;
use crate::machine::{self, Interrupt};
use crate::rounds::Bench;
use crate::sample::median;
use crate::subject::{Role, Server};

mod stalls;

/// What is asked for.
const ADD: &str = crate::http::ADD;
pub(super) const CONNECTIONS: usize = 50;
const H2_CONNECTIONS: usize = 10;
const H2_STREAMS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Generator {
    Bandy,
    Wrk,
    H2load,
    Oha,
}

impl Generator {
    const H1: [Generator; 4] = [
        Generator::Bandy,
        Generator::Wrk,
        Generator::H2load,
        Generator::Oha,
    ];
    const H2: [Generator; 3] = [Generator::Bandy, Generator::H2load, Generator::Oha];

    fn name(self) -> &'static str {
        match self {
            Generator::Bandy => "bandy load",
            Generator::Wrk => "wrk",
            Generator::H2load => "h2load",
            Generator::Oha => "oha",
        }
    }

    pub(super) fn is_there(self) -> bool {
        match self {
            Generator::Bandy => true,
            Generator::Wrk => machine::is_installed("wrk", "-v"),
            Generator::H2load => machine::is_installed("h2load", "--version"),
            Generator::Oha => machine::is_installed("oha", "--version"),
        }
    }

    fn command(self, bandy: &std::path::Path, url: &str, is_h2: bool, time: Duration) -> Command {
        let seconds = format!("{}s", time.as_secs().max(1));
        let (connections, streams) = match is_h2 {
            true => (H2_CONNECTIONS.to_string(), H2_STREAMS.to_string()),
            false => (CONNECTIONS.to_string(), "1".to_owned()),
        };
        let mut command = match self {
            Generator::Bandy => Command::new(bandy),
            Generator::Wrk => Command::new("wrk"),
            Generator::H2load => Command::new("h2load"),
            Generator::Oha => Command::new("oha"),
        };
        match (self, is_h2) {
            (Generator::Bandy, false) => command.args(["load", url, "--json", "--loops", "1"]),
            (Generator::Bandy, true) => command.args([
                "load",
                url,
                "--json",
                "--loops",
                "1",
                "--http",
                "2",
                "--streams",
                &streams,
            ]),
            (Generator::Wrk, _) => command.args(["-t1", "--latency", url]),
            (Generator::H2load, false) => command.args(["-t1", "--h1", url]),
            (Generator::H2load, true) => command.args(["-t1", "-p", "h2c", "-m", &streams, url]),
            (Generator::Oha, false) => command.args(["--no-tui", "--output-format", "json", url]),
            (Generator::Oha, true) => command.args([
                "--no-tui",
                "--output-format",
                "json",
                "--http2",
                "-p",
                &streams,
                url,
            ]),
        };
        command.args(["-c", &connections]);
        match self {
            Generator::H2load => command.args(["-D", &seconds]),
            Generator::Oha => command
                .args(["-z", &seconds])
                .env("TOKIO_WORKER_THREADS", "1"),
            Generator::Bandy | Generator::Wrk => command.args(["-d", &seconds]),
        };
        command
    }

    /// Good answers, and how long they took in all.
    fn understand(self, said: &str) -> Option<Counted> {
        let after = |prefix: &str| {
            said.lines()
                .find_map(|line| line.trim().strip_prefix(prefix))
        };
        match self {
            Generator::Bandy => {
                let report: Value = serde_json::from_str(said).ok()?;
                Some(Counted {
                    requests: report["requests"]["done"].as_f64()?,
                    per_second: report["rate"].as_f64()?,
                    p99_ms: report["latency_ms"]["p99"].as_f64(),
                })
            }
            Generator::Wrk => {
                let line = said.lines().find(|line| line.contains(" requests in "))?;
                Some(Counted {
                    requests: line.split_whitespace().next()?.parse().ok()?,
                    per_second: after("Requests/sec:")?.trim().parse().ok()?,
                    p99_ms: after("99%").and_then(|text| milliseconds(text.trim())),
                })
            }
            Generator::H2load => {
                let counts = after("requests:")?;
                let done = counts.split(',').find(|part| part.contains("succeeded"))?;
                let rate = after("finished in ")?.split(", ").nth(1)?;
                Some(Counted {
                    requests: done.split_whitespace().next()?.parse().ok()?,
                    per_second: rate.split_whitespace().next()?.parse().ok()?,
                    p99_ms: None,
                })
            }
            Generator::Oha => {
                let report: Value = serde_json::from_str(said).ok()?;
                let summary = &report["summary"];
                let per_second = summary["requestsPerSec"].as_f64()?;
                Some(Counted {
                    requests: per_second * summary["total"].as_f64()?,
                    per_second,
                    p99_ms: report["latencyPercentiles"]["p99"]
                        .as_f64()
                        .map(|s| s * 1e3),
                })
            }
        }
    }
}

/// `0.89ms`, `161.00us`, `1.01s`.
pub(super) fn milliseconds(text: &str) -> Option<f64> {
    let number = |suffix: &str| text.strip_suffix(suffix)?.parse::<f64>().ok();
    number("us")
        .map(|us| us / 1e3)
        .or_else(|| number("ms"))
        .or_else(|| number("s").map(|s| s * 1e3))
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    requests: f64,
    per_second: f64,
    p99_ms: Option<f64>,
}

/// One turn of one generator.
#[derive(Clone, Copy, Debug, Serialize)]
struct Turn {
    per_second: f64,
    cpu_us: f64,
    p99_ms: Option<f64>,
}

/// A generator's turns; None where one failed.
#[derive(Debug, Serialize)]
struct Row {
    generator: Generator,
    is_installed: bool,
    turns: Vec<Option<Turn>>,
}

/// What came of it all.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    http1: Vec<Row>,
    http2: Vec<Row>,
    stalls: Vec<stalls::Stalled>,
    pub failures: Vec<String>,
}

/// All rounds, A B A B, each generator on a server that runs all the while.
pub fn measure(bench: &Bench<'_>, bandy: &std::path::Path) -> Result<Found> {
    let mut found = Found::default();
    for is_h2 in [false, true] {
        let role = if is_h2 { Role::ApiOverH2 } else { Role::Api };
        let server = bench.stable.start(Server::Nginx.on_one_core(), role)?;
        let url = format!("http://{}{ADD}", server.address);
        let generators: &[Generator] = if is_h2 {
            &Generator::H2
        } else {
            &Generator::H1
        };
        let mut rows: Vec<Row> = generators
            .iter()
            .map(|&generator| Row {
                generator,
                is_installed: generator.is_there(),
                turns: Vec::new(),
            })
            .collect();
        for round in 1..=bench.rounds {
            for row in rows.iter_mut().filter(|row| row.is_installed) {
                let generator = row.generator;
                let mut command = generator.command(bandy, &url, is_h2, bench.window.count);
                let turn = turn(
                    generator,
                    &mut command,
                    bench.window.count,
                    &bench.interrupt,
                );
                bench.interrupt.check()?;
                let version = if is_h2 { "HTTP/2" } else { "HTTP/1.1" };
                let heading = format!(
                    "{version}, round {round}/{}, {}",
                    bench.rounds,
                    generator.name()
                );
                match &turn {
                    Ok(turn) => eprintln!(
                        "{heading}: {:.0}/s, {:.2} us CPU each",
                        turn.per_second, turn.cpu_us
                    ),
                    Err(error) => {
                        eprintln!("{heading}: failed: {error:#}");
                        found.failures.push(format!("{heading}: {error:#}"));
                    }
                }
                row.turns.push(turn.ok());
            }
        }
        match is_h2 {
            true => found.http2 = rows,
            false => {
                found.stalls = stalls::measure(bandy, &server, &url, &bench.interrupt)?;
                found.http1 = rows;
            }
        }
    }
    Ok(found)
}

fn turn(
    generator: Generator,
    command: &mut Command,
    time: Duration,
    interrupt: &Interrupt,
) -> Result<Turn> {
    let before = children()?;
    let said = loader::run(command, time, interrupt)?;
    let cpu = children()?.saturating_sub(before);
    let counted = generator
        .understand(&said)
        .filter(|counted| counted.requests > 0.0)
        .with_context(|| {
            format!(
                "understanding what it said: {}",
                said.trim().replace('\n', " | ")
            )
        })?;
    Ok(Turn {
        per_second: counted.per_second,
        cpu_us: cpu.as_secs_f64() * 1e6 / counted.requests,
        p99_ms: counted.p99_ms,
    })
}

/// CPU of all children that have ended.
fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking what children have used")?;
    let of = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
        Duration::from_micros(micros)
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

impl Row {
    fn median(&self, of: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        median(self.turns.iter().flatten().filter_map(of))
    }

    /// The median of ratios, paired by round.
    fn ratio(&self, to: &Row, of: impl Fn(&Turn) -> f64) -> Option<f64> {
        let pairs = self.turns.iter().zip(&to.turns);
        median(pairs.filter_map(|(own, other)| Some(of(own.as_ref()?) / of(other.as_ref()?))))
    }
}

impl Found {
    /// Tables, then goals, as Markdown.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (title, rows) in [
            (
                format!("Generators on nginx, HTTP/1.1, {CONNECTIONS} connections"),
                &self.http1,
            ),
            (
                format!(
                    "Generators on nginx, HTTP/2, {H2_CONNECTIONS} connections x {H2_STREAMS} streams"
                ),
                &self.http2,
            ),
        ] {
            text += &format!(
                "\n## {title}\n\n| generator | requests/s | CPU us each | p99 ms | bandy's CPU / its | bandy's rate / its |\n|---|---:|---:|---:|---:|---:|\n"
            );
            let bandy = rows.first();
            for row in rows {
                if !row.is_installed {
                    text += &format!("| {} | not installed | | | | |\n", row.generator.name());
                    continue;
                }
                let show = |value: Option<f64>, digits: usize| {
                    value.map_or("-".to_owned(), |v| format!("{v:.digits$}"))
                };
                text += &format!(
                    "| {} | {} | {} | {} | {} | {} |\n",
                    row.generator.name(),
                    show(row.median(|t| Some(t.per_second)), 0),
                    show(row.median(|t| Some(t.cpu_us)), 2),
                    show(row.median(|t| t.p99_ms), 2),
                    show(bandy.and_then(|bandy| bandy.ratio(row, |t| t.cpu_us)), 2),
                    show(
                        bandy.and_then(|bandy| bandy.ratio(row, |t| t.per_second)),
                        2
                    ),
                );
            }
        }
        text += &stalls::text(&self.stalls);
        text += &self.goals();
        text
    }

    fn goals(&self) -> String {
        let find = |rows: &'static str, generator: Generator| {
            let rows = if rows == "1" {
                &self.http1
            } else {
                &self.http2
            };
            Some((
                rows.first()?,
                rows.iter().find(|row| row.generator == generator)?,
            ))
        };
        let cpu = |pair: Option<(&Row, &Row)>| {
            pair.and_then(|(own, other)| own.ratio(other, |t| t.cpu_us))
        };
        let rate = |pair: Option<(&Row, &Row)>| {
            pair.and_then(|(own, other)| own.ratio(other, |t| t.per_second))
        };
        let mut text =
            "\n## Goals\n\n| goal | bound | measured | |\n|---|---:|---:|---|\n".to_owned();
        for (name, bound, measured, is_most) in [
            (
                "HTTP/1.1: CPU a request / wrk's",
                0.9,
                cpu(find("1", Generator::Wrk)),
                true,
            ),
            (
                "HTTP/1.1: rate / wrk's",
                1.05,
                rate(find("1", Generator::Wrk)),
                false,
            ),
            (
                "HTTP/2: CPU a request / h2load's",
                1.0,
                cpu(find("2", Generator::H2load)),
                true,
            ),
        ] {
            let verdict = match measured {
                None => "not measured",
                Some(value) if (value <= bound) == is_most || value == bound => "met",
                Some(_) => "missed",
            };
            let measured = measured.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let sign = if is_most { "<=" } else { ">=" };
            text += &format!("| {name} | {sign} {bound:.2} | {measured} | {verdict} |\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_say_is_understood() {
        let wrk = "  Latency Distribution\n     99%    0.89ms\n  146161 requests in 1.50s, 21.61MB read\nRequests/sec:  97440.67\n";
        let counted = Generator::Wrk.understand(wrk).expect("wrk");
        assert_eq!(
            (counted.requests, counted.per_second, counted.p99_ms),
            (146_161.0, 97_440.67, Some(0.89))
        );
        let h2load = "finished in 2.50s, 93421.00 req/s, 6.41MB/s\nrequests: 93421 total, 93421 started, 93421 done, 93420 succeeded, 1 failed\n";
        let counted = Generator::H2load.understand(h2load).expect("h2load");
        assert_eq!((counted.requests, counted.per_second), (93_420.0, 93_421.0));
        let bandy = r#"{"requests": {"done": 10}, "rate": 5.0, "latency_ms": {"p99": 1.5}}"#;
        let counted = Generator::Bandy.understand(bandy).expect("bandy");
        assert_eq!((counted.requests, counted.p99_ms), (10.0, Some(1.5)));
        for generator in Generator::H1 {
            assert_eq!(generator.understand("nonsense"), None);
        }
    }
}

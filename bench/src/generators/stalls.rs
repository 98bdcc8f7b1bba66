//! What generators say of a server that stands still for a second: nginx is stopped in the middle of a run (SIGSTOP), and
//! goes on. A fifth of the requests of users who do not wait are due in that second.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;

use super::{CONNECTIONS, Generator, milliseconds};
use crate::loader;
use crate::machine::Interrupt;
use crate::proc;
use crate::running::Running;

const RATE: u32 = 2_000;
const RUN: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(1);

/// A run during which the server stood still.
#[derive(Debug, Serialize)]
pub struct Stalled {
    name: String,
    /// The median, and what 9 in 10 and 99 in 100 did not exceed, in milliseconds.
    at: [Option<f64>; 3],
}

/// Each generator that is there: ours and oha at a rate, and all of those that ask as fast as they are answered.
pub fn measure(
    bandy: &Path,
    server: &Running,
    url: &str,
    interrupt: &Interrupt,
) -> Result<Vec<Stalled>> {
    let (seconds, rate) = (format!("{}s", RUN.as_secs()), RATE.to_string());
    let connections = CONNECTIONS.to_string();
    let mut stalled = Vec::new();
    let mut add = |name: &str, at| {
        stalled.push(Stalled {
            name: name.to_owned(),
            at,
        });
    };
    let mut open = Command::new(bandy);
    open.args(["load", url, "--json", "--loops", "1", "-c", &connections])
        .args(["-d", &seconds, "--rate", &rate]);
    let said = with_stall(&mut open, server, interrupt)?;
    let report: Value = serde_json::from_str(&said).context("understanding what bandy said")?;
    add(
        "bandy load --rate, due to done",
        of_bandy(&report["latency_ms"]),
    );
    add("the same, sent to done", of_bandy(&report["service_ms"]));
    if Generator::Oha.is_there() {
        let mut oha = Command::new("oha");
        let common = [
            "--no-tui",
            "--output-format",
            "json",
            "-c",
            &connections,
            "-z",
            &seconds,
        ];
        oha.args(common)
            .args(["-q", &rate, "--latency-correction", url]);
        let said = with_stall(&mut oha, server, interrupt)?;
        add("oha -q --latency-correction", of_oha(&said));
        let mut oha = Command::new("oha");
        oha.args(common).arg(url);
        let said = with_stall(&mut oha, server, interrupt)?;
        add("oha", of_oha(&said));
    }
    if Generator::Wrk.is_there() {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "--latency", "-c", &connections, "-d", &seconds, url]);
        let said = with_stall(&mut wrk, server, interrupt)?;
        add("wrk", of_wrk(&said));
    }
    if Generator::H2load.is_there() {
        // It tells no percentiles, but writes down every request.
        let name = format!("bandy-bench-h2load-{}", std::process::id());
        let log = std::env::temp_dir().join(name);
        let mut h2load = Command::new("h2load");
        h2load
            .args(["-t1", "--h1", "-c", &connections, "-D", &seconds])
            .arg(format!("--log-file={}", log.display()))
            .arg(url);
        let ran = with_stall(&mut h2load, server, interrupt);
        let written = std::fs::read_to_string(&log);
        // It may not have come that far.
        let _ = std::fs::remove_file(&log);
        ran?;
        add(
            "h2load",
            of_h2load(&written.context("reading what h2load wrote down")?),
        );
    }
    Ok(stalled)
}

fn of_bandy(latency: &Value) -> [Option<f64>; 3] {
    ["p50", "p90", "p99"].map(|name| latency[name].as_f64())
}

fn of_oha(said: &str) -> [Option<f64>; 3] {
    let report: Value = serde_json::from_str(said).unwrap_or_default();
    ["p50", "p90", "p99"].map(|name| {
        let seconds = report["latencyPercentiles"][name].as_f64();
        seconds.map(|seconds| seconds * 1e3)
    })
}

fn of_wrk(said: &str) -> [Option<f64>; 3] {
    ["50%", "90%", "99%"].map(|percent| {
        let mut lines = said.lines().map(str::trim);
        let text = lines.find_map(|line| line.strip_prefix(percent))?;
        milliseconds(text.trim())
    })
}

/// A request a line: when it began, its status, how long it took; in microseconds.
fn of_h2load(log: &str) -> [Option<f64>; 3] {
    let took = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let mut took: Vec<u64> = log.lines().filter_map(took).collect();
    took.sort_unstable();
    [50, 90, 99].map(|percent| {
        let at = took.get(took.len() * percent / 100)?;
        Some(*at as f64 / 1e3)
    })
}

fn with_stall(command: &mut Command, server: &Running, interrupt: &Interrupt) -> Result<String> {
    let family = proc::tree(server.pid())?;
    let signal = move |signal: Signal| {
        for pid in family
            .iter()
            .filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?))
        {
            // One that is gone cannot be stopped.
            let _ = kill_process(pid, signal);
        }
    };
    let began = Instant::now();
    let stall = thread::spawn(move || {
        thread::sleep(RUN * 2 / 5);
        signal(Signal::STOP);
        thread::sleep(STALL);
        signal(Signal::CONT);
    });
    let said = loader::run(command, RUN, interrupt);
    let joined = stall.join();
    if joined.is_err() || began.elapsed() < RUN {
        bail!("stopping the server for a second: the run did not last");
    }
    said
}

/// As a table, in Markdown.
pub fn text(stalls: &[Stalled]) -> String {
    if stalls.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## nginx stops for {} s of {} s\n\nOf those who come at {RATE} a second, a fifth come in that second: 9 in 10 of all wait no longer than about 500 ms, 99 in 100 no longer than about 950 ms. Who asks again only when answered has a few slow answers among very many.\n\n| measured by | p50 ms | p90 ms | p99 ms |\n|---|---:|---:|---:|\n",
        STALL.as_secs(),
        RUN.as_secs()
    );
    for stalled in stalls {
        let at = stalled
            .at
            .map(|value| value.map_or("-".to_owned(), |v| format!("{v:.2}")));
        text += &format!("| {} | {} |\n", stalled.name, at.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_say_is_understood() {
        let wrk =
            "  Latency Distribution\n     50%  161.00us\n     90%    0.31ms\n     99%    1.01s\n";
        assert_eq!(of_wrk(wrk), [Some(0.161), Some(0.31), Some(1010.0)]);
        let h2load: String = (1..=100)
            .map(|i| format!("170000\t200\t{i}000\n"))
            .collect();
        assert_eq!(of_h2load(&h2load), [Some(51.0), Some(91.0), Some(100.0)]);
        let oha = r#"{"latencyPercentiles": {"p50": 0.001, "p90": 0.5, "p99": null}}"#;
        assert_eq!(of_oha(oha), [Some(1.0), Some(500.0), None]);
        assert_eq!(of_h2load(""), [None; 3]);
    }
}

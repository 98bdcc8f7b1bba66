//! wrk: HTTP/1.1 over connections that last, each with one request at a time. How it is called, and what it prints.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::loader::{self, Load};
use crate::machine::Interrupt;

/// What every connection asks for, over and over.
pub struct Request<'a> {
    pub url: &'a str,
    pub fields: &'a [String],
    /// Says more than a URL and fields can: a method, a body.
    pub script: Option<&'a Path>,
}

/// One run. wrk counts in whole seconds: a part of one is made whole.
pub fn run(
    request: &Request<'_>,
    connections: usize,
    time: Duration,
    interrupt: &Interrupt,
) -> Result<Load> {
    let seconds = time.as_secs_f64().ceil().max(1.0);
    let mut command = Command::new("wrk");
    command
        .args(["-t1", "--latency", "-c"])
        .arg(connections.to_string())
        .args(["-d".to_owned(), format!("{seconds}s")]);
    for field in request.fields {
        command.args(["-H", field]);
    }
    if let Some(script) = request.script {
        command.arg("-s").arg(script);
    }
    command.arg(request.url);
    let time = Duration::from_secs_f64(seconds);
    let said = loader::run(&mut command, time, interrupt)?;
    parse(&said)
}

/// Fails where a single request did: the numbers are of answers that were right.
fn parse(said: &str) -> Result<Load> {
    let lines = || said.lines().map(str::trim);
    let after = |prefix: &str| lines().find_map(|line| line.strip_prefix(prefix));
    if let Some(errors) = after("Socket errors:") {
        let failed = errors
            .split(|c: char| !c.is_ascii_digit())
            .any(|count| count.parse().is_ok_and(|count: u64| count > 0));
        ensure!(!failed, "counting answers: wrk's socket errors:{errors}");
    }
    if let Some(count) = after("Non-2xx or 3xx responses:") {
        ensure!(
            count.trim() == "0",
            "counting answers:{count} of them had a status of 400 or more"
        );
    }
    let summary = || -> Option<Load> {
        let line =
            lines().find(|line| line.contains(" requests in ") && line.ends_with(" read"))?;
        let (requests, rest) = line.split_once(" requests in ")?;
        let (_, rest) = rest.split_once(", ")?;
        let share = |percent: &str| {
            let rest = after(percent)?;
            Some(parse_seconds(rest.trim())? * 1e6)
        };
        // The time is written with two decimals, the rate is not rounded so much.
        let requests: u64 = requests.parse().ok()?;
        let rate: f64 = after("Requests/sec:")?.trim().parse().ok()?;
        Some(Load {
            requests,
            seconds: requests as f64 / rate,
            p50_us: share("50%"),
            p99_us: share("99%"),
            bytes: parse_bytes(rest.strip_suffix(" read")?)?,
        })
    };
    let load = summary()
        .filter(|load| load.requests == 0 || load.seconds.is_normal())
        .with_context(|| {
            format!(
                "understanding what wrk said: {}",
                said.trim().replace('\n', " | ")
            )
        })?;
    ensure!(load.requests > 0, "counting answers: there was none");
    Ok(load)
}

fn parse_seconds(text: &str) -> Option<f64> {
    let (number, unit) = split_unit(text)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number * seconds)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    Some((number * bytes as f64) as u64)
}

fn split_unit(text: &str) -> Option<(f64, &str)> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    Some((text[..at].parse().ok()?, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
Running 1s test @ http://127.0.0.1:18080/add?a=5&b=3
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   191.71us  109.38us   2.71ms   87.31%
    Req/Sec   147.02k    15.04k  156.03k    90.00%
  Latency Distribution
     50%  161.00us
     75%  176.00us
     90%  313.00us
     99%    0.89ms
  146161 requests in 1.50s, 21.61MB read
Requests/sec:  97440.67
Transfer/sec:     21.58MB
";

    #[test]
    fn a_run_is_understood() {
        let load = parse(GOOD).expect("a good run");
        assert_eq!(load.requests, 146_161);
        assert!((load.seconds - 1.5).abs() < 1e-6);
        assert_eq!(load.p50_us.map(f64::round), Some(161.0));
        assert_eq!(load.p99_us.map(f64::round), Some(890.0));
        assert_eq!(load.bytes, 22_659_727);
    }

    #[test]
    fn one_failure_is_enough() {
        for (line, good) in [
            (
                "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
                false,
            ),
            (
                "  Socket errors: connect 0, read 0, write 0, timeout 0\n",
                true,
            ),
            ("  Non-2xx or 3xx responses: 105299\n", false),
        ] {
            let said = GOOD.replace("Requests/sec", &format!("{line}Requests/sec"));
            assert_eq!(parse(&said).is_ok(), good, "{line}");
        }
    }

    #[test]
    fn what_is_not_wrks_is_not_understood() {
        assert!(parse("").is_err());
        assert!(parse(&GOOD.replace("MB read", "XB read")).is_err());
        assert!(parse(&GOOD.replace("146161 requests", "0 requests")).is_err());
    }

    #[test]
    fn units() {
        assert_eq!(parse_seconds("1.01m"), Some(60.6));
        assert_eq!(parse_seconds("12"), None);
        assert_eq!(parse_bytes("2.00KB"), Some(2048));
    }
}

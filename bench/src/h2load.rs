//! h2load, of nghttp2: HTTP/2 without TLS, begun by both sides knowing it. How it is called, and what it prints.
//!
//! It has a warm-up of its own, which is not used: the server's CPU must be counted over exactly the requests that are counted. It
//! tells of latency no more than the mean, which is left out.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::loader::{self, Load};
use crate::machine::Interrupt;

/// One run: `connections`, each with `streams` requests in flight.
pub fn run(
    url: &str,
    connections: usize,
    streams: usize,
    time: Duration,
    interrupt: &Interrupt,
) -> Result<Load> {
    let mut command = Command::new("h2load");
    command
        .args(["-t1", "-p", "h2c"])
        .args(["-c".to_owned(), connections.to_string()])
        .args(["-m".to_owned(), streams.to_string()])
        .args(["-D".to_owned(), format!("{}ms", time.as_millis())])
        .arg(url);
    let said = loader::run(&mut command, time, interrupt)?;
    parse(&said)
}

/// Fails where a single request did: the numbers are of answers that were right.
fn parse(said: &str) -> Result<Load> {
    let load = summary(said).with_context(|| {
        format!(
            "understanding what h2load said: {}",
            said.trim().replace('\n', " | ")
        )
    })?;
    let counts = said
        .lines()
        .find(|line| line.starts_with("requests:"))
        .unwrap_or_default();
    for failure in ["failed", "errored", "timeout"] {
        ensure!(
            count(counts, failure) == Some(0),
            "counting answers: h2load's {counts}"
        );
    }
    ensure!(load.requests > 0, "counting answers: there was none");
    ensure!(
        load.bytes >= load.requests,
        "counting answers: {} bytes in {} answers",
        load.bytes,
        load.requests
    );
    Ok(load)
}

fn summary(said: &str) -> Option<Load> {
    let after = |prefix: &str| said.lines().find_map(|line| line.strip_prefix(prefix));
    let (time, _) = after("finished in ")?.split_once(", ")?;
    let requests = count(after("requests:")?, "succeeded")?;
    // `traffic: 6.41MB (6726312) total, 9.30MB (9747400) headers (space savings 50.00%), 366.11KB (374900) data`
    let (rest, _) = after("traffic: ")?.rsplit_once(") data")?;
    let (_, bytes) = rest.rsplit_once('(')?;
    Some(Load {
        requests,
        seconds: parse_seconds(time).filter(|&seconds| seconds > 0.0)?,
        p50_us: None,
        p99_us: None,
        bytes: bytes.parse().ok()?,
    })
}

/// The number before `name`, among `93421 done, 93421 succeeded`.
fn count(counts: &str, name: &str) -> Option<u64> {
    let counts = counts.strip_prefix("requests:").unwrap_or(counts);
    counts.split(',').find_map(|part| {
        let (count, what) = part.trim().split_once(' ')?;
        (what == name).then(|| count.parse().ok())?
    })
}

fn parse_seconds(text: &str) -> Option<f64> {
    let number = |suffix: &str| text.strip_suffix(suffix)?.parse::<f64>().ok();
    number("us")
        .map(|us| us / 1e6)
        .or_else(|| number("ms").map(|ms| ms / 1e3))
        .or_else(|| number("s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
starting benchmark...
Application protocol: h2c

finished in 2.50s, 93421.00 req/s, 6.41MB/s
requests: 93421 total, 93421 started, 93421 done, 93421 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 93421 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 6.41MB (6726312) total, 9.30MB (9747400) headers (space savings 50.00%), 366.11KB (374900) data
                     min         max         mean         sd        +/- sd
time for request:      150us      7.35ms      3.42ms       789us    93.05%
";

    #[test]
    fn a_run_is_understood() {
        let load = parse(GOOD).expect("a good run");
        assert_eq!((load.requests, load.bytes), (93_421, 374_900));
        assert_eq!(load.seconds, 2.5);
        assert_eq!(load.p50_us, None);
    }

    #[test]
    fn one_failure_is_enough() {
        for failure in ["1 failed", "1 errored", "1 timeout"] {
            let name = &failure[2..];
            let said = GOOD.replace(&format!("0 {name}"), failure);
            assert!(parse(&said).is_err(), "{failure}");
        }
    }

    #[test]
    fn answers_have_bodies_and_there_are_some() {
        assert!(parse(&GOOD.replace("(374900) data", "(0) data")).is_err());
        assert!(parse(&GOOD.replace("93421 succeeded", "0 succeeded")).is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn units() {
        assert_eq!(parse_seconds("900.00ms"), Some(0.9));
        assert_eq!(parse_seconds("1m"), None);
    }
}

//! `bandy models`: the same service under each server model, measured in turn.
//!
//! Each server is a process of its own ([`child`]), so that its processor time, memory and threads are its own. Models
//! take turns within a round, and rounds are repeated, so that a machine that gets slower does so for all of them.

use std::path::PathBuf;
use std::time::Duration;

use bandy::config::quantity::parse_duration;
use bandy::error::{Error, Kind, Side};
use bandy::load::{HttpRequest, Pace, Plan, Report, Said, Script, Stop, Work};
use bandy::net::Dialer;
use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use crate::exit::Code;
use crate::load::{live, machine, write};
use crate::report as tell;

mod child;
mod page;
mod show;

/// Measure the same service under each server model, side by side
#[derive(Debug, Args)]
#[command(
    override_usage = "bandy models [OPTIONS] [SERVICE] [ARG]... [-- CMD [ARG]...]",
    after_help = "\
Which is better, one connection after the other, a thread for each, or one event loop a core? Each
model is started as a server of its own, asked by so many clients at once, and ended; in turn, and
repeatedly. A client says some things, leaves, and comes back (--stay).

Services: echo, reply TEMPLATE and exec -- CMD over TCP; api over HTTP.

Examples:
  bandy models
  bandy models --clients 1,10,100,1000 -d 3s --report models.html
  bandy models echo --udp
  bandy models exec -- ./slow-handler.sh"
)]
pub struct ModelsArgs {
    /// What answers
    #[arg(value_name = "SERVICE", default_value = "echo")]
    service: String,
    /// What `bandy serve` takes behind it
    #[arg(value_name = "ARG", hide = true)]
    words: Vec<String>,
    /// The program that exec runs
    #[arg(value_name = "CMD", last = true, hide = true)]
    command: Vec<String>,
    /// Clients at once
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        default_value = "1,10,100"
    )]
    clients: Vec<usize>,
    /// How long each of them is measured
    #[arg(short, long, value_name = "TIME", value_parser = duration, default_value = "2s")]
    duration: Duration,
    /// How often all of it is done; what is told are medians
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// How much a client says before it leaves and comes back
    #[arg(long, value_name = "N", default_value_t = 20)]
    stay: u64,
    /// Models to measure
    #[arg(
        long,
        value_name = "MODEL,...",
        value_delimiter = ',',
        default_value = "sequential,threads,async"
    )]
    models: Vec<String>,
    /// UDP beside TCP
    #[arg(long)]
    udp: bool,
    /// Write a page with plots: one HTML file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("nothing can be measured in no time".to_owned()),
        Ok(time) => Ok(time),
        Err(e) => Err(format!("{e}: {}", e.hint())),
    }
}

/// A model, over a transport, with so many clients: medians of its rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub model: String,
    pub transport: &'static str,
    pub clients: usize,
    /// Answers a second.
    pub rate: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// The server's processor time for each answer, in microseconds.
    pub cpu_us: Option<f64>,
    /// The server's own memory at its highest, in MiB: what it shares with other programs is left out.
    pub memory_mib: Option<f64>,
    /// Its threads at their most.
    pub threads: Option<f64>,
    /// Requests that got no answer, in percent.
    pub errors_percent: f64,
}

/// One turn, as it was measured.
struct Turn {
    model: String,
    transport: &'static str,
    clients: usize,
    report: Report,
    used: child::Used,
}

/// The longest that a request may take: a model that leaves someone waiting longer has not answered.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Clients at once.
const CLIENTS_MAX: usize = 20_000;

/// Measures, tells, and gives the exit code.
///
/// # Errors
/// What is wrong with the arguments; a server that does not start; what could not be written.
pub fn models(args: &ModelsArgs) -> Result<Code, Error> {
    bandy::app::raise_file_limit();
    if args
        .clients
        .iter()
        .any(|clients| !(1..=CLIENTS_MAX).contains(clients))
        || args.rounds == 0
    {
        return Err(tell::usage(
            "measuring models",
            format!("there are 1 to {CLIENTS_MAX} clients, and at least one round"),
            "as in --clients 1,10,100 --rounds 3",
        ));
    }
    let transports: &[&'static str] = match (args.service.as_str(), args.udp) {
        ("api", true) => {
            return Err(tell::usage(
                "measuring api over UDP",
                "it stands on HTTP",
                "leave --udp out",
            ));
        }
        ("api", false) => &["http"],
        ("echo" | "reply", true) => &["tcp", "udp"],
        ("echo" | "reply" | "exec", false) => &["tcp"],
        ("exec", true) => {
            return Err(tell::usage(
                "measuring exec over UDP",
                "it stands on streams and messages",
                "leave --udp out",
            ));
        }
        (other, _) => {
            return Err(tell::usage(
                format!("measuring `{}`", other.escape_debug()),
                "it is no service that answers each line",
                "there are echo, reply TEMPLATE, exec -- CMD and api",
            ));
        }
    };
    let interrupt = live::Interrupt::watch()?;
    let mut turns = Vec::new();
    'all: for round in 1..=args.rounds {
        for clients in &args.clients {
            for transport in transports {
                for model in &args.models {
                    if interrupt.came() {
                        break 'all;
                    }
                    let label = format!("{round}/{} {model} {transport} {clients}", args.rounds);
                    turns.push(turn(args, model, transport, *clients, &label, &interrupt)?);
                }
            }
        }
    }
    let rows = rows(args, transports, &turns);
    if let Some(path) = &args.report {
        write(path, page::page(args, &rows).as_bytes())?;
    }
    match args.json {
        true => {
            let value = serde_json::json!({
                "service": args.service,
                "rounds": args.rounds,
                "duration_s": args.duration.as_secs_f64(),
                "stay": args.stay,
                "machine": machine::describe(),
                "rows": rows,
            });
            tell::result(&format!("{value:#}\n"))?
        }
        false => tell::result(&show::text(args, &rows))?,
    };
    Ok(match interrupt.came() {
        true => Code::Interrupted,
        false => Code::Done,
    })
}

/// One server, asked by so many clients, and ended.
fn turn(
    args: &ModelsArgs,
    model: &str,
    transport: &'static str,
    clients: usize,
    label: &str,
    interrupt: &live::Interrupt,
) -> Result<Turn, Error> {
    let server = child::Server::start(args, model, transport)?;
    let to = server.endpoint.clone();
    let said = vec![Bytes::from_static(
        b"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01",
    )];
    let work = match transport {
        "http" => Work::Http1(Script::one(HttpRequest::get(&to), &to)),
        "udp" => Work::Messages(Said::messages(said, 1)),
        _ => Work::Lines(Said::lines(said, 1)),
    };
    let plan = Plan {
        to,
        dialer: Dialer::plain(),
        work,
        pace: Pace::Closed,
        stop: Stop {
            after: Some(args.duration),
            requests: None,
        },
        connections: clients,
        per_connection: Some(args.stay),
        timeout: TIMEOUT,
        loops: None,
    };
    let watch = live::Watch {
        label: Some(label),
        expect: &[],
        interrupt,
    };
    let before = server.cpu();
    let look = server.look();
    let outcome = crate::load::run(plan, &watch);
    let (memory, threads) = look.end();
    let used = child::Used {
        cpu: server
            .cpu()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before)),
        memory,
        threads,
    };
    let outcome = outcome?;
    server.end()?;
    Ok(Turn {
        model: model.to_owned(),
        transport,
        clients,
        report: Report::of(&outcome),
        used,
    })
}

/// Medians over the rounds.
fn rows(args: &ModelsArgs, transports: &[&'static str], turns: &[Turn]) -> Vec<Row> {
    let mut rows = Vec::new();
    for transport in transports {
        for model in &args.models {
            for clients in &args.clients {
                let own: Vec<&Turn> = turns
                    .iter()
                    .filter(|t| {
                        t.model == *model && t.transport == *transport && t.clients == *clients
                    })
                    .collect();
                let of = |pick: &dyn Fn(&Turn) -> Option<f64>| {
                    median(own.iter().filter_map(|t| pick(t)).collect())
                };
                let Some(rate) = of(&|t| Some(t.report.rate)) else {
                    continue;
                };
                rows.push(Row {
                    model: model.clone(),
                    transport,
                    clients: *clients,
                    rate,
                    p50_ms: of(&|t| t.report.latency_ms.map(|l| l.p50)),
                    p99_ms: of(&|t| t.report.latency_ms.map(|l| l.p99)),
                    cpu_us: of(&|t| match t.report.requests.done {
                        0 => None,
                        done => Some(t.used.cpu?.as_secs_f64() * 1e6 / done as f64),
                    }),
                    memory_mib: of(&|t| t.used.memory.map(|bytes| bytes as f64 / 1024.0 / 1024.0)),
                    threads: of(&|t| t.used.threads.map(|n| n as f64)),
                    errors_percent: of(&|t| {
                        let r = t.report.requests;
                        let bad = r.failed + r.timed_out;
                        Some(bad as f64 * 100.0 / ((bad + r.done).max(1)) as f64)
                    })
                    .unwrap_or(0.0),
                });
            }
        }
    }
    rows
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    match values.len() % 2 {
        1 => Some(upper),
        _ => values
            .get(middle.checked_sub(1)?)
            .map(|lower| (lower + upper) / 2.0),
    }
}

/// A failure to start or end a server.
fn failed(act: &str, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Other, Side::Local, act.to_owned())
        .because(why.to_string())
        .hint("does the same `bandy serve` start by itself?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }
}

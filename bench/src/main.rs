//! Bandy beside its peers, in one run: echo over TCP and UDP, idle connections, one long stream, HTTP.
//!
//! Every subject takes its turn in every round (A B A B ...), started afresh on the server's core while this program, the
//! generator, keeps to another. What comes out is a median per subject, and ratios paired by round.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program: tables go to stdout, progress to stderr"
)]

mod ask;
mod axum_add;
mod balance;
mod bulk;
mod chat;
mod durable;
mod generators;
mod goals;
mod h2load;
mod http;
mod idle;
mod l4;
mod loader;
mod local;
mod machine;
mod page;
mod pattern;
mod proc;
mod report;
mod rounds;
mod running;
mod sample;
mod stable;
mod subject;
mod tables;
mod tcp;
mod tokio_echo;
mod udp;
mod web;
mod wrk;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};

use crate::balance::Balance;
use crate::idle::Speech;
use crate::l4::L4;
use crate::machine::{Cores, Interrupt};
use crate::report::{Report, Work};
use crate::rounds::Bench;
use crate::sample::Window;
use crate::stable::Stable;
use crate::subject::{Role, Server};

const WARM_UP: Duration = Duration::from_millis(500);
const IDLE_CONNECTIONS: usize = 10_000;
/// Each end of 10,000 connections, and room for what a program opens besides.
const FILES: u64 = 20_000;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// TCP ping-pong: 64 B and 64 KiB, 50 and 1,000 connections
    Echo,
    /// UDP, 64 B: 50 sockets, 1 and 16 datagrams in flight each
    Udp,
    /// Memory of 10,000 idle connections
    Idle,
    /// 8 GiB through one connection
    Bulk,
    /// HTTP: sums over HTTP/1.1 and HTTP/2, files, sessions, durable writes, idle connections
    Http,
    /// Balancing requests, beside HAProxy, nginx and Caddy
    Balance,
    /// Streams through a balancer, beside HAProxy and nginx
    L4,
    /// Chat: fan-out beside ngircd and Redis, durable messages, idle members
    Chat,
    /// Load generators beside each other, on nginx
    Load,
    /// All of them but the balancers and chat
    All,
    /// A peer: this program started by itself
    #[value(hide = true)]
    TokioMtEcho,
    /// Another
    #[value(hide = true)]
    TokioUdpEcho,
    /// And another
    #[value(hide = true)]
    AxumAdd,
}

/// Bandy beside its peers: CPU per message, latency, idle memory, bulk.
#[derive(Parser)]
#[command(name = "bandy-bench", version)]
struct Args {
    #[arg(value_enum, default_value = "all")]
    mode: Mode,
    /// How often each subject takes its turn [default: 5, or 1 with --quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each turn counts, after the warm-up; whole seconds over HTTP [default: 3, or 1 with --quick]
    #[arg(long)]
    seconds: Option<f64>,
    /// The program under test [default: `bandy` beside this program]
    #[arg(long, value_name = "PATH")]
    bandy: Option<PathBuf>,
    /// One more argument for `bandy serve echo URL`; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    bandy_arg: Vec<String>,
    /// One more argument for `bandy serve api URL` and `bandy serve files URL`; may be repeated
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    bandy_http_arg: Vec<String>,
    /// Measure the peers alone
    #[arg(long)]
    without_bandy: bool,
    /// Measure only these, by the names in the tables
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    only: Vec<String>,
    /// balance and l4: measure only these rows; a wrong name lists them
    #[arg(long, value_delimiter = ',', value_name = "ROW,...")]
    rows: Vec<String>,
    /// One short round, and 256 MiB instead of 8 GiB: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
    /// Write the tables and goals as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write every sample of every round as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.mode {
        Mode::TokioMtEcho => tokio_echo::serve().map(|()| true),
        Mode::TokioUdpEcho => tokio_echo::serve_udp().map(|()| true),
        Mode::AxumAdd => axum_add::serve().map(|()| true),
        _ => run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bandy-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False when some measurement failed.
fn run(args: &Args) -> Result<bool> {
    let interrupt = Interrupt::install()?;
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 5 });
    let seconds = args.seconds.unwrap_or(if args.quick { 1.0 } else { 3.0 });
    if rounds == 0 || !(0.1..=600.0).contains(&seconds) {
        bail!("rounds must be at least 1, seconds between 0.1 and 600");
    }
    let known: Vec<&str> = match args.mode {
        Mode::Balance => Balance::row_names().collect(),
        Mode::L4 => L4::row_names().collect(),
        _ => Vec::new(),
    };
    for row in &args.rows {
        if known.is_empty() {
            bail!("--rows {row}: only `balance` and `l4` have rows to choose from");
        }
        if !known.contains(&row.as_str()) {
            let known = known.join(", ");
            bail!("--rows {row}: there is no such row; there are {known}");
        }
    }
    if args.mode == Mode::Balance {
        let balance = Balance {
            files: machine::raise_file_limit(FILES)?,
            bandy: bandy(args)?.context("`--without-bandy` leaves nothing to compare")?,
            cores: &Cores::share_out()?,
            only: &args.only,
            rows: &args.rows,
            rounds,
            time: Duration::from_secs_f64(seconds),
            interrupt: &interrupt,
        };
        return told(args, balance.run()?);
    }
    for name in &args.only {
        let has_own = matches!(args.mode, Mode::L4 | Mode::Chat);
        if !has_own && !Server::ALL.iter().any(|server| server.name() == name) {
            bail!(
                "--only {name}: there is no such subject; there are {}",
                Server::ALL.map(Server::name).join(", ")
            );
        }
    }
    let wants = |mode| args.mode == Mode::All || args.mode == mode;
    if wants(Mode::Http) {
        for (program, argument, package) in [
            ("wrk", "-v", "wrk"),
            ("h2load", "--version", "nghttp2-client"),
        ] {
            if !machine::is_installed(program, argument) {
                bail!("looking for {program}: not installed (Debian's package {package})");
            }
        }
    }
    let files = machine::raise_file_limit(FILES)?;
    let bench = Bench {
        stable: Stable::open(
            Cores::share_out()?,
            bandy(args)?,
            args.bandy_arg.clone(),
            args.bandy_http_arg.clone(),
        )?,
        only: &args.only,
        rounds,
        window: Window {
            warm_up: WARM_UP,
            count: Duration::from_secs_f64(seconds),
        },
        interrupt,
    };
    if args.mode == Mode::L4 {
        let l4 = L4 {
            stable: &bench.stable,
            rounds,
            window: bench.window,
            is_quick: args.quick,
            only: &args.only,
            rows: &args.rows,
            interrupt: &bench.interrupt,
        };
        return told(args, l4.run()?);
    }
    if args.mode == Mode::Chat {
        let chat = chat::Chat {
            stable: &bench.stable,
            rounds,
            window: bench.window,
            is_quick: args.quick,
            connections: (files as usize).saturating_sub(200),
            only: &args.only,
            interrupt: &bench.interrupt,
        };
        let (text, is_whole) = chat.run()?;
        println!("{text}");
        if let Some(path) = &args.markdown {
            fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        return Ok(is_whole);
    }
    let versions = bench.stable.versions(
        !matches!(args.mode, Mode::Http | Mode::Load),
        wants(Mode::Http) || wants(Mode::Load),
    );
    let mut report = Report::new(&bench.stable, versions, rounds, seconds, args.quick);
    // Some files are this program's and the server's own.
    let idle_connections = IDLE_CONNECTIONS.min((files as usize).saturating_sub(200));
    if wants(Mode::Echo) {
        report.tables.extend(bench.tables(&Work::ALL_TCP)?);
    }
    if wants(Mode::Udp) {
        report.tables.extend(bench.tables(&Work::ALL_UDP)?);
    }
    if wants(Mode::Idle) {
        report.idle = bench.once(
            "idle",
            Role::TcpEcho,
            |server| idle::measure(server, Speech::Echo, idle_connections, &bench.interrupt),
            |server| {
                matches!(
                    server,
                    Server::Bandy | Server::CEpoll | Server::Asyncio | Server::TokioMt
                )
            },
        )?;
    }
    if wants(Mode::Bulk) {
        let bytes = if args.quick { 256 << 20 } else { 8 << 30 };
        report.bulk = bench.once(
            "bulk",
            Role::TcpEcho,
            |server| bulk::measure(server, bytes, &bench.interrupt),
            |server| {
                matches!(
                    server,
                    Server::Bandy
                        | Server::CEpoll
                        | Server::Asyncio
                        | Server::Threaded
                        | Server::TokioMt
                )
            },
        )?;
    }
    if wants(Mode::Http) {
        report.tables.extend(bench.tables(&Work::ALL_HTTP)?);
        report.durable = bench.durable()?;
        report.idle_http = bench.once(
            "idle over HTTP",
            Role::Api,
            |server| idle::measure(server, Speech::Http, idle_connections, &bench.interrupt),
            |server| matches!(server, Server::Bandy | Server::Nginx | Server::Axum),
        )?;
    }
    if wants(Mode::Load)
        && let Some(path) = bandy(args)?
    {
        report.generators = Some(generators::measure(&bench, &path)?);
    }
    println!("{}", report.text());
    if let Some(path) = &args.markdown {
        fs::write(path, report.markdown())
            .with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report.json()).context("writing JSON")?;
        fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(report.failures().is_empty())
}

/// Shows a page of results, and writes it where that is wanted. Whether it is whole.
fn told(args: &Args, (text, is_whole): (String, bool)) -> Result<bool> {
    println!("{text}");
    if let Some(path) = &args.markdown {
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(is_whole)
}

fn bandy(args: &Args) -> Result<Option<PathBuf>> {
    if args.without_bandy {
        return Ok(None);
    }
    if args.bandy.is_some() {
        return Ok(args.bandy.clone());
    }
    let here = std::env::current_exe().context("finding this program's own path")?;
    Ok(Some(here.with_file_name("bandy")))
}

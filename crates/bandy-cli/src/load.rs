//! `bandy load`: measures a server under load.
//!
//! The library does it ([`bandy::load`]); here is what was typed (`typed`), what is seen meanwhile (`live`), and what is
//! told at the end: for people (`show`), for programs (JSON, an HDR log), and as a page to look at (`page`).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bandy::config::quantity::parse_duration;
use bandy::error::{Error, Kind, Side};
use bandy::http::client::Version;
use bandy::load::expect::Checked;
use bandy::load::{Expect, Outcome, Plan, RateText, Report};
use clap::Args;

use crate::ask::http::options::version;
use crate::exit::Code;
use crate::report as tell;

mod chat;
mod compare;
mod hdr;
pub mod live;
pub mod machine;
pub mod page;
pub mod plot;
pub mod show;
mod typed;

/// Measure a server under load
#[derive(Debug, Args)]
#[command(
    override_usage = "bandy load [OPTIONS] [METHOD] <URL> [ITEM]...
       bandy load chat [OPTIONS] <URL>
       bandy load compare <A.json> <B.json>",
    after_help = "\
URLs and ITEMs are those of `bandy ask`. Over HTTP the ITEMs make the request; over tcp, tls, unix,
ws, wss and udp each ITEM is one message, and each is answered by one (of a stream: a line).

Closed model (-c): each connection asks again when it has its answer. It shows what a server can do,
but a server that stalls is asked less, so the tail is not what users see.
Open model (--rate): requests are due whether or not the server keeps up, and a latency counts from
when its request was due. --rate 100..1000 is a ramp, --rate 100,200,400 are steps.

A file of requests (--requests) is what editors know as .http: requests divided by ###. Values go
from one answer to the next request:
  # @capture token = json session.token     also: header NAME, cookie NAME, body
  # @expect 201
  POST /login
  ###
  GET /items
  Authorization: Bearer {{token}}

A chat (load chat): --members join one room over WebSocket, and take turns to say something, --rate
messages a second. Each message is a delivery to each member. Told is how long those took from when
the message was due, and who missed one, heard it twice or out of order. One person may say only so
much (20 at once, then 2 a second, unless the chat says otherwise): a high rate needs many members.

Exit codes: 0 measured; 2 wrong usage; 6, 7, 35, 60 no connection came about; 111 an --expect is
not met; 130 interrupted, with what was measured until then.

Examples:
  bandy load :8080 -c 100 -d 10s --report run.html
  bandy load :8080/items -c 50 --rate 2000 --poisson    as 2000 users a second would see it
  bandy load POST :8000/add a:=5 b:=3 -n 10000
  bandy load :8080 --sweep 1,10,100,1000 -d 5s --report sweep.html
  bandy load https://localhost:8443 --http 2 -c 10 --streams 32
  bandy load udp://:7000 ping -c 10
  bandy load :8080 --rate 500 --expect 'p99<50ms' --expect 'errors<0.1%'
  bandy load chat ws://:8001/ws --members 1000 --rate 50 --expect 'errors<1' --expect 'misordered<1'
  bandy load :8080 --json > a.json; ...; bandy load compare a.json b.json"
)]
pub struct LoadArgs {
    /// Whom to ask
    #[arg(value_name = "URL", required_unless_present = "schema")]
    url: Option<String>,
    /// What to ask [default: GET; 64 bytes of text]
    #[arg(value_name = "ITEM")]
    items: Vec<OsString>,

    /// Connections [default: 50]
    #[arg(short, long, value_name = "N", help_heading = "Pace")]
    connections: Option<usize>,
    /// Requests a second, whether or not the server keeps up: 500, 100..1000, 100,200,400
    #[arg(long, value_name = "RATE", help_heading = "Pace")]
    rate: Option<RateText>,
    /// Space the requests of --rate as independent users would, not evenly
    #[arg(long, requires = "rate", help_heading = "Pace")]
    poisson: bool,
    /// Repeat what --poisson made of chance
    #[arg(long, value_name = "N", requires = "poisson", help_heading = "Pace")]
    seed: Option<u64>,
    /// One run after the other: with so many connections each, or at such rates (500/s)
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        conflicts_with = "rate",
        help_heading = "Pace"
    )]
    sweep: Vec<typed::Stage>,
    /// How long [default: 10s, unless -n says how many]
    #[arg(short, long, value_name = "TIME", value_parser = duration, help_heading = "Pace")]
    duration: Option<Duration>,
    /// How many requests
    #[arg(short = 'n', long, value_name = "N", help_heading = "Pace")]
    number: Option<u64>,
    /// The longest that a request may take, connecting included
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", help_heading = "Pace")]
    timeout: Duration,
    /// Requests for which a connection is kept [default: as long as the server keeps it]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    per_connection: Option<u64>,
    /// Event loops, a thread each [default: one for each core]
    #[arg(long, value_name = "N", help_heading = "Pace")]
    loops: Option<usize>,

    /// A file of requests, made in their order
    #[arg(short, long, value_name = "FILE", help_heading = "HTTP")]
    requests: Option<PathBuf>,
    /// Speak 1.1 or 2
    #[arg(long, value_name = "VERSION", value_parser = version, help_heading = "HTTP")]
    http: Option<Version>,
    /// HTTP/2: requests at a time on each connection [default: 1]
    #[arg(long, value_name = "N", help_heading = "HTTP")]
    streams: Option<usize>,
    /// Send the items as a form
    #[arg(long, help_heading = "HTTP")]
    form: bool,
    /// Who asks, by password (Basic)
    #[arg(
        short,
        long,
        value_name = "USER:PASSWORD",
        conflicts_with = "bearer",
        help_heading = "HTTP"
    )]
    auth: Option<String>,
    /// Who asks, by token
    #[arg(long, value_name = "TOKEN", help_heading = "HTTP")]
    bearer: Option<String>,
    /// Set the server's own times beside ours: asks a bandy for them, reads any Server-Timing
    #[arg(long, help_heading = "HTTP")]
    server_times: bool,

    /// Answers to each ITEM: lines of a stream, else messages [default: 1]
    #[arg(long, value_name = "N", help_heading = "Streams and messages")]
    answers: Option<usize>,
    /// Say a text of so many bytes, instead of ITEMs; in a chat each message has so many
    #[arg(long, value_name = "SIZE", help_heading = "Streams and messages")]
    size: Option<String>,

    /// Members of the room, each on a connection [default: 50]
    #[arg(long, value_name = "N", help_heading = "Chat")]
    members: Option<usize>,
    /// The room, which is made if it is not there [default: one for this run]
    #[arg(long, value_name = "NAME", help_heading = "Chat")]
    room: Option<String>,

    /// What is to be reached, as in 'p99<50ms', 'errors<0.1%', 'rate>1000', of a chat 'misordered<1'; repeatable
    #[arg(long, value_name = "WHAT", help_heading = "Result")]
    expect: Vec<Expect>,
    /// End as soon as enough is known to tell that an --expect is not met, or, of a rate, will not be
    #[arg(long, requires = "expect", help_heading = "Result")]
    stop_early: bool,
    /// Write a page with plots: one HTML file
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    report: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = "Result")]
    json: bool,
    /// Write the latencies as an HDR V2 log, one line a histogram
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    hdr: Option<PathBuf>,
    /// Print the JSON Schema of --json
    #[arg(long, help_heading = "Result", exclusive = true)]
    schema: bool,

    /// PEM file of certificates to trust besides the system's and bandy's own
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,
    /// PEM file of a certificate to show, with --key
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// PEM file of that certificate's private key
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,
    /// Believe any certificate
    #[arg(long, help_heading = "TLS")]
    insecure: bool,
    /// The name to find in the certificate, instead of the URL's host
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    server_name: Option<String>,
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("nothing can be measured in no time".to_owned()),
        Ok(time) => Ok(time),
        Err(e) => Err(format!("{e}: {}", e.hint())),
    }
}

/// A run that is over, and what it is called among others.
#[derive(Debug)]
pub struct Measured {
    /// `100 connections`, in a sweep.
    pub label: String,
    pub outcome: Outcome,
    pub report: Report,
}

/// Measures, tells, and gives the exit code.
///
/// # Errors
/// What is wrong with the arguments; that no connection came about; what could not be written.
pub fn load(args: LoadArgs) -> Result<Code, Error> {
    if args.schema {
        return tell::result(bandy::load::report::SCHEMA);
    }
    if args.url.as_deref() == Some("compare") {
        return compare::compare(&args.items, args.json);
    }
    let (args, is_chat) = chat::typed(args);
    bandy::app::raise_file_limit();
    let stages = match is_chat {
        true => vec![(String::new(), chat::plan(&args)?)],
        false => typed::stages(&args)?,
    };
    let is_sweep = stages.len() > 1;
    let quiet = args.json;
    let interrupt = live::Interrupt::watch()?;
    let mut measured = Vec::new();
    for (label, plan) in stages {
        let watch = live::Watch {
            label: is_sweep.then_some(label.as_str()),
            expect: match args.stop_early {
                true => &args.expect,
                false => &[],
            },
            interrupt: &interrupt,
        };
        let outcome = match run(plan, &watch) {
            Err(_) if interrupt.came() && measured.is_empty() => {
                tell::note("interrupted before anything was measured");
                return Ok(Code::Interrupted);
            }
            Err(_) if interrupt.came() => break,
            outcome => outcome?,
        };
        let mut report = Report::of(&outcome);
        report.command = Some(machine::command_line());
        report.machine = Some(machine::describe());
        measured.push(Measured {
            label,
            outcome,
            report,
        });
        if interrupt.came() {
            break;
        }
    }
    let checked: Vec<Checked> = measured
        .last()
        .map(|last| args.expect.iter().map(|e| e.check(&last.outcome)).collect())
        .unwrap_or_default();
    if let Some(path) = &args.report {
        write(path, page::page(&measured, &checked).as_bytes())?;
    }
    if let Some(path) = &args.hdr {
        write(path, hdr::log(&measured).as_bytes())?;
    }
    match quiet {
        true => tell::result(&json(&measured, is_sweep)?)?,
        false => tell::result(&show::text(&measured, &checked, args.report.as_deref()))?,
    };
    let unmet: Vec<&Checked> = checked.iter().filter(|checked| !checked.is_met).collect();
    if quiet {
        for checked in &unmet {
            tell::say(format_args!(
                "bandy: expected {}: {}",
                checked.expect, checked.measured
            ));
        }
    }
    Ok(match () {
        () if interrupt.came() => Code::Interrupted,
        () if !unmet.is_empty() => Code::Threshold,
        () => Code::Done,
    })
}

/// Runs a plan to its end, and shows how it goes.
pub fn run(plan: Plan, watch: &live::Watch<'_>) -> Result<Outcome, Error> {
    let mut run = bandy::load::Run::start(plan.clone())?;
    live::follow(&mut run, &plan, watch);
    run.finish()
}

fn json(measured: &[Measured], is_sweep: bool) -> Result<String, Error> {
    let reports: Vec<&Report> = measured.iter().map(|one| &one.report).collect();
    let text = match (is_sweep, reports.first()) {
        (false, Some(report)) => serde_json::to_string_pretty(report),
        _ => serde_json::to_string_pretty(&serde_json::json!({ "sweep": reports })),
    };
    text.map(|text| text + "\n")
        .map_err(|e| Error::new(Kind::Other, Side::Local, "writing JSON").because(e))
}

/// Writes a whole file.
pub fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|e| {
        Error::new(Kind::Io, Side::Local, format!("writing {}", path.display()))
            .because(e)
            .hint("does its folder exist, and may this user write there?")
    })
}

//! `bandy ask`: says something to a server and prints its answer.
//!
//! The conversation is the library's ([`bandy::client`]); here are its two ends on this machine. What is said comes from
//! the arguments, from stdin or from the line editor (`input`, `interactive`), and what is answered goes to stdout
//! (`output`, `json`, `hex`, `visible`) on a thread of its own, so that a reader that waits stops the server from
//! sending more, and nothing else. Requests and their answers are in `http`.

use std::ffi::OsString;
use std::io::{IsTerminal, stdin, stdout};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use bandy::Endpoint;
use bandy::client::{Ask, Ended, Outcome, Rules, Script};
use bandy::config::quantity::parse_duration;
use bandy::endpoint::Scheme;
use bandy::error::{Error, Kind, Side};
use bandy::net::Dialer;
use bandy::net::tls::{ClientTls, Connector, Identity};
use clap::Args;

use crate::exit::Code;
use crate::report;

mod hex;
pub mod http;
mod input;
mod interactive;
mod json;
mod output;
pub mod target;
mod trace;
pub mod visible;

use output::{Output, Printer, Shape};
use target::Target;

/// Ask a server, print its answer
#[derive(Debug, Args)]
#[command(
    override_usage = "bandy ask [OPTIONS] [METHOD] <URL> [ITEM]...",
    after_help = "\
HTTP: a URL without a scheme is http, as in :5000/path or localhost:8000. ITEMs are HTTPie's:
  name=text  name:=json             the body, as JSON; a[b][]=x is nested; with --form a form
  name=@file  name:=@file           the same, out of a file
  name@file                         a file, with --form
  name==value                       the URL's query
  Header:value  Header:  Header;    a header; none; an empty one
  @file  -                          the whole body: a file; stdin
METHOD is POST with a body, else GET. Redirected stdin is the body, but for GET, HEAD and DELETE,
and beside ITEMs that make one. The answer's body goes to stdout, what else is shown to stderr.

Other URLs: each ITEM is one message, sent in order; a stream gets a line feed behind each. Without
ITEMs stdin is sent: byte for byte to a stream, a line a message else. On a terminal it is a line
editor. It ends when the server closes; with ws after as many answers as were sent; with udp after
one.

Exit codes: 0 answered; 1 failed; 2 wrong usage; 6 name not resolved; 7 not connected; 22 HTTP
status of 400 or more; 28 timed out; 35 TLS failed; 52 closed without an answer; 60 certificate not
trusted; 110 fewer than N answers; 130 interrupted.

Examples:
  bandy ask :8000/users                     GET, and print the answer
  bandy ask POST :5000/process input:='[1,2,3]' name=Ada
  bandy ask https://localhost:8443 -v       the whole exchange
  bandy ask :8000/login user=ada password=secret --session ada
  bandy ask example.org/big.iso --download  again, and it goes on where it broke off
  bandy ask tcp://:7000 Hello               say it, close, print what comes back
  bandy ask tcp://:7000 --answers 1 < big   end after one line
  bandy ask udp://:7000 ping --timeout 1s   one datagram each way
  bandy ask ws://:7001/chat hi --trace      where the time went
  bandy ask unix:///run/app.sock --hex hi   every byte, both ways"
)]
pub struct AskArgs {
    /// Whom to ask: an http, https, tcp, udp, tls, unix, ws or wss URL; no host is this machine
    #[arg(value_name = "URL")]
    url: String,
    /// What to say [default: stdin]
    #[arg(value_name = "ITEM")]
    items: Vec<OsString>,

    #[command(flatten)]
    http: http::options::HttpOptions,

    /// End after N answers: lines of a stream, else messages; 0 waits for none
    #[arg(long, value_name = "N", help_heading = "Streams and messages")]
    answers: Option<usize>,
    /// The longest wait for the server, or none [default: 30s, none in the line editor]
    #[arg(long, value_name = "TIME", value_parser = patience)]
    timeout: Option<Patience>,
    /// Keep our direction open after the last word
    #[arg(long, help_heading = "Streams and messages")]
    half_open: bool,
    /// Send each ITEM to a stream as it is, with no line feed behind
    #[arg(long, help_heading = "Streams and messages")]
    no_newline: bool,

    /// Draw the conversation's times on stderr
    #[arg(long)]
    trace: bool,
    /// Print one JSON object instead of the answer
    #[arg(long, conflicts_with = "hex")]
    json: bool,
    /// Print a hex dump of all that is sent (>) and received (<)
    #[arg(long, help_heading = "Streams and messages")]
    hex: bool,

    /// PEM file of certificates to trust besides the system's and bandy's own
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,
    /// PEM file of a certificate to show, with --key
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// PEM file of that certificate's private key
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<PathBuf>,
    /// Believe any certificate: whoever is on the way can read and change everything
    #[arg(long, help_heading = "TLS")]
    insecure: bool,
    /// The name to find in the certificate, instead of the URL's host
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    server_name: Option<String>,
}

/// How long to wait; `None` is for ever.
#[derive(Debug, Clone, Copy)]
struct Patience(Option<Duration>);

fn patience(text: &str) -> Result<Patience, String> {
    match text {
        "none" => Ok(Patience(None)),
        _ => match parse_duration(text) {
            Ok(Duration::ZERO) => Err("nothing can be done in no time".to_owned()),
            Ok(time) => Ok(Patience(Some(time))),
            Err(e) => Err(format!("{e}: {}, or `none`", e.hint())),
        },
    }
}

/// Asks, prints, and gives the exit code. What failed is told on stderr here, behind the answer so far.
///
/// # Errors
/// What is wrong with the arguments, or with this machine: nothing was asked.
pub fn ask(args: AskArgs) -> Result<Code, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
    let code = match target::of(&args)? {
        Target::Http(typed) => runtime.block_on(http::ask(typed, &args)),
        Target::Conversation(endpoint) => {
            let dialer = dialer(&args, &endpoint)?;
            runtime.block_on(converse(args, endpoint, dialer))
        }
    };
    // A name that is still being resolved, in a thread, is not waited for.
    runtime.shutdown_background();
    code
}

async fn converse(args: AskArgs, endpoint: Endpoint, dialer: Dialer) -> Result<Code, Error> {
    let is_from_person = args.items.is_empty() && stdin().is_terminal();
    let has_screen = stdout().is_terminal();
    let rules = Rules {
        half_open: args.half_open,
        answers: args.answers,
        timeout: match args.timeout {
            Some(Patience(timeout)) => timeout,
            None if is_from_person => None,
            None => Rules::default().timeout,
        },
        newline: !args.no_newline,
        interactive: is_from_person,
    };
    let shape = match () {
        () if args.json => Shape::json(endpoint.scheme().carries()),
        () if args.hex => Shape::hex(endpoint.scheme().carries()),
        () => Shape::plain(endpoint.scheme().carries(), has_screen),
    };
    let editor = match is_from_person && has_screen && !args.json {
        true => interactive::Editor::open(),
        false => None,
    };
    let ask = Ask::new(endpoint.clone(), dialer, rules);

    let (outcome, written) = match editor {
        Some(editor) => {
            let (mut session, script, output) = editor.start();
            let mut printer = Printer::new(shape, output);
            let outcome = ask.run(script, &mut printer, session.interrupted()).await;
            let written = printer.finish(LAST_WORDS).await;
            session.close();
            (outcome, written)
        }
        None => {
            let script = match args.items.is_empty() {
                true => input::stdin_chunks()?,
                false => Script::items(args.items.into_iter().map(OsString::into_vec)),
            };
            let mut printer = Printer::new(shape, Output::stdout()?);
            let outcome = ask.run(script, &mut printer, interrupted()).await;
            let patience = match outcome.ended {
                Ended::Interrupted => LAST_WORDS,
                // Someone may be reading it page by page.
                _ => Duration::MAX,
            };
            let written = tokio::select! {
                written = printer.finish(patience) => written,
                () = interrupted() => return Ok(Code::Interrupted),
            };
            (outcome, written)
        }
    };
    if let Some(answers) = written? {
        report::result(&json::object(&endpoint, &outcome, answers)?)?;
    }
    if args.trace {
        trace::draw_outcome(&endpoint, &outcome);
    }
    Ok(tell(&outcome, is_from_person))
}

/// How long the last of the output may take once it is over: the reader may be stuck.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Says on stderr what has to be said of the end, and gives the exit code.
fn tell(outcome: &Outcome, is_from_person: bool) -> Code {
    if let Some(error) = outcome.ended.error() {
        report::error(error);
    }
    match &outcome.ended {
        Ended::Failed(error) => Code::of(error),
        Ended::Empty(_) => Code::Empty,
        Ended::Short(_) => Code::Unmet,
        Ended::Interrupted => Code::Interrupted,
        Ended::PeerClosed if is_from_person => {
            report::note("the server closed");
            Code::Done
        }
        Ended::PeerClosed if outcome.unsaid => {
            report::note("the server closed before it took all of the input");
            Code::Done
        }
        _ => Code::Done,
    }
}

/// Resolves at Ctrl-C.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Then Ctrl-C does what the system does by itself.
        std::future::pending::<()>().await;
    }
}

fn dialer(args: &AskArgs, endpoint: &Endpoint) -> Result<Dialer, Error> {
    match endpoint.scheme().is_secure() {
        true => secure_dialer(args),
        false => refuse_tls_options(args, endpoint).map(|()| Dialer::plain()),
    }
}

fn secure_dialer(args: &AskArgs) -> Result<Dialer, Error> {
    let identity = args.cert.clone().zip(args.key.clone());
    let tls = Connector::new(&ClientTls {
        ca: args.ca.clone(),
        identity: identity.map(|(cert, key)| Identity { cert, key }),
        insecure: args.insecure,
        server_name: args.server_name.clone(),
    })?;
    Ok(Dialer::with_tls(tls))
}

fn refuse_tls_options(args: &AskArgs, endpoint: &Endpoint) -> Result<(), Error> {
    let unused = [
        ("--ca", args.ca.is_some()),
        ("--cert", args.cert.is_some()),
        ("--insecure", args.insecure),
        ("--server-name", args.server_name.is_some()),
    ];
    let Some((option, _)) = unused.into_iter().find(|(_, is_given)| *is_given) else {
        return Ok(());
    };
    let secure = match endpoint.scheme() {
        Scheme::Ws => "wss",
        Scheme::Http => "https",
        _ => "tls",
    };
    Err(report::usage(
        format!("asking {endpoint}"),
        format!(
            "{option} is about TLS, and {}:// has none",
            endpoint.scheme()
        ),
        format!("did you mean {secure}://?"),
    ))
}

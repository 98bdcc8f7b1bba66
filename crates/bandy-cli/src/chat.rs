//! `bandy chat`: a chat in the terminal, or in a pipe.
//!
//! The conversation is the library's ([`bandy::client::chat`]), which comes back by itself and resumes. What was heard
//! becomes lines (`lines`), which a terminal shows room by room (`screen`, `draw`, `rooms`, `editor`) and a pipe gets as
//! they come (`plain`). What is typed is said, or, with a stroke before it, obeyed (`command`).

use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bandy::Endpoint;
use bandy::accounts::Secret;
use bandy::client::chat::{Chat, Options, Who};
use bandy::endpoint::{Carries, Scheme};
use bandy::error::{Error, Kind, Side};
use bandy::net::tls::{ClientTls, Connector};
use bandy::net::{Dialer, Phases};
use clap::Args;

use crate::ask::http::session::Session;
use crate::ask::http::url;
use crate::exit::Code;
use crate::{prompt, report};

mod command;
mod draw;
mod editor;
mod lines;
mod plain;
mod rooms;
mod screen;

/// Join a chat
#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal it has a screen: the rooms, what was said, and a line to type in. Enter says it, Tab
completes nicks, rooms and commands, PageUp goes back in history, Ctrl-N and Ctrl-P change the room,
/help shows the rest. In a pipe each line of stdin is said, and what others say comes on stdout; at
the end of stdin it ends, unless --listen says otherwise.

When the connection breaks it comes back by itself, with all that was said meanwhile. Where there
is nobody to begin with it ends, with code 7.

Examples:
  bandy chat :8001                          the chat of a page, over WebSocket
  bandy chat ws://:7002 --nick ada --room lobby --room garden
  bandy chat https://chat.example --login ada
  uptime | bandy chat :8001 --nick ops --room alerts")]
pub struct ChatArgs {
    /// Which chat: the http or https URL of its page, or a ws or wss URL
    #[arg(value_name = "URL")]
    url: String,
    /// What to be called, as a guest [default: your name on this machine]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["login", "session"])]
    nick: Option<String>,
    /// A room to begin in; may be given several times [default: lobby]
    #[arg(long, value_name = "ROOM")]
    room: Vec<String>,
    /// Log in as this user; the password is asked for
    #[arg(long, value_name = "USER", conflicts_with = "session")]
    login: Option<String>,
    /// Come as whoever logged in with `bandy ask URL/login … --session NAME`
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// In a pipe: go on at the end of stdin, and print what is said
    #[arg(long)]
    listen: bool,
    /// PEM file of certificates to trust besides the system's and bandy's own
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    ca: Option<PathBuf>,
    /// Believe any certificate: whoever is on the way can read and change everything
    #[arg(long, help_heading = "TLS")]
    insecure: bool,
}

/// Where everybody begins, unless they say otherwise.
const LOBBY: &str = "lobby";

/// Chats until it is over.
///
/// # Errors
/// What is wrong with the arguments; that the terminal fails.
pub fn chat(args: ChatArgs) -> Result<Code, Error> {
    let endpoint = endpoint(&args.url)?;
    let dialer = dialer(&args, &endpoint)?;
    let who = who(&args, &endpoint)?;
    let mut options = Options::new(endpoint.clone()).who(who);
    let rooms = match args.room.is_empty() {
        true => vec![LOBBY.to_owned()],
        false => args.room.clone(),
    };
    for room in rooms {
        options = options.room(room.trim_start_matches('#').to_ascii_lowercase());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
    let code = runtime.block_on(async {
        let first = options.rooms.first().cloned().unwrap_or_default();
        reach(&dialer, &endpoint, options.timeout).await?;
        let (chat, heard) = Chat::begin(dialer, options);
        match stdin().is_terminal() && stdout().is_terminal() {
            true => screen::run(chat, heard, &endpoint, &first).await,
            false => plain::run(chat, heard, first, args.listen).await,
        }
    });
    // A thread that reads the terminal is not waited for.
    runtime.shutdown_background();
    code
}

/// Whether there is somebody at all: a connection that was made before is worth coming back for, and a wrong address is
/// not tried for ever.
async fn reach(dialer: &Dialer, endpoint: &Endpoint, wait: Duration) -> Result<(), Error> {
    let mut phases = Phases::default();
    let connecting = dialer.connect(endpoint, &mut phases);
    let Ok(conn) = tokio::time::timeout(wait, connecting).await else {
        let act = format!("connecting to {endpoint}");
        let error = Error::new(Kind::TimedOut, Side::Upstream, act);
        return Err(error.because(format!("no answer within {wait:?}")));
    };
    conn?.close().await;
    Ok(())
}

/// The chat's WebSocket: beside its page it is at `ws`.
///
/// # Errors
/// That it is no URL of a chat.
pub fn endpoint(typed: &str) -> Result<Endpoint, Error> {
    let act = || format!("joining the chat at `{}`", typed.escape_debug());
    let full = url::full(typed);
    let endpoint: Endpoint = full.parse().map_err(|e: bandy::endpoint::EndpointError| {
        report::usage(act(), e.to_string(), e.hint())
    })?;
    let beside = |scheme: &str, rest: &str| format!("{scheme}{}/ws", rest.trim_end_matches('/'));
    let address = match endpoint.scheme() {
        Scheme::Ws | Scheme::Wss => return Ok(endpoint),
        Scheme::Http => full.get(4..).map(|rest| beside("ws", rest)),
        Scheme::Https => full.get(5..).map(|rest| beside("wss", rest)),
        other if other.carries() == Carries::Stream => {
            return Err(report::usage(
                act(),
                format!("{other}:// is a stream of lines, and this speaks WebSocket"),
                format!(
                    "give the chat's http or ws URL, or join in lines with bandy ask {endpoint}"
                ),
            ));
        }
        other => {
            let why = format!("{other}:// is no WebSocket");
            return Err(report::usage(act(), why, "give the chat's http or ws URL"));
        }
    };
    let address = address.unwrap_or_default();
    address
        .parse()
        .map_err(|e: bandy::endpoint::EndpointError| report::usage(act(), e.to_string(), e.hint()))
}

fn dialer(args: &ChatArgs, endpoint: &Endpoint) -> Result<Dialer, Error> {
    if !endpoint.scheme().is_secure() {
        if args.ca.is_some() || args.insecure {
            return Err(report::usage(
                format!("joining the chat at {endpoint}"),
                "--ca and --insecure are about TLS, and there is none",
                "did you mean https:// or wss://?",
            ));
        }
        return Ok(Dialer::plain());
    }
    let tls = Connector::new(&ClientTls {
        ca: args.ca.clone(),
        insecure: args.insecure,
        ..ClientTls::default()
    })?;
    Ok(Dialer::with_tls(tls))
}

fn who(args: &ChatArgs, endpoint: &Endpoint) -> Result<Who, Error> {
    if let Some(user) = &args.login {
        if !stdin().is_terminal() {
            return Err(report::usage(
                format!("logging in as {}", user.escape_debug()),
                "the password is asked for on a terminal, and stdin is none",
                "log in with bandy ask URL/login … --session NAME, and use --session NAME here",
            ));
        }
        let password = prompt::secret("Password: ")?;
        return Ok(Who::User(user.clone(), password));
    }
    if let Some(name) = &args.session {
        return token(name, endpoint).map(Who::Token);
    }
    Ok(match args.nick.clone().or_else(own_name) {
        Some(nick) => Who::Guest(nick),
        None => Who::Anybody,
    })
}

/// The session's token that `bandy ask` was given by the same server.
fn token(name: &str, endpoint: &Endpoint) -> Result<Secret, Error> {
    let mut session = Session::open(Some(name))?;
    let page = endpoint.to_string().replacen("ws", "http", 1);
    let cookies = match page.parse::<Endpoint>() {
        Ok(page) => session.jar.header(&page, SystemTime::now()),
        Err(_) => None,
    };
    let cookies = cookies.unwrap_or_default();
    let names = ["__Host-bandy_session=", "bandy_session="];
    let token = names.iter().find_map(|name| {
        let mut pairs = cookies.split("; ");
        pairs.find_map(|pair| pair.strip_prefix(name))
    });
    token
        .map(|token| Secret::from(token.to_owned()))
        .ok_or_else(|| {
            let page = page.trim_end_matches("/ws");
            report::usage(
                format!(
                    "joining the chat with the session `{}`",
                    name.escape_debug()
                ),
                "nobody is logged in there with it",
                format!("bandy ask {page}/login user=NAME password=… --session {name}"),
            )
        })
}

/// What one is called on this machine, where that may be a nick.
fn own_name() -> Option<String> {
    let name = std::env::var("USER").ok()?;
    let is_nick = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (!name.is_empty() && name != "root" && name.chars().all(is_nick)).then_some(name)
}

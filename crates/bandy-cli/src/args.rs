//! The command line as it is typed. What it means is found out by the commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::ask::AskArgs;
use crate::backup::BackupArgs;
use crate::balance::BalanceArgs;
use crate::chat::ChatArgs;
use crate::load::LoadArgs;
use crate::models::ModelsArgs;
use crate::reload::ReloadArgs;
use crate::top::TopArgs;
use crate::trust::{TrustArgs, UntrustArgs};
use crate::user::UserArgs;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "bandy",
    version,
    about = "Both ends of the client-server conversation, and the balancer between them",
    after_help = "\
Examples:
  bandy serve echo tcp://:7000 udp://:7000    answer with what was received
  bandy serve api http://:8000                accounts, records, and a page to try them on
  bandy balance http://:8080 --to http://:5001 --to http://:5002
                                              balance between servers
  bandy top                                   watch it at work
  bandy ask tcp://:7000 Hello                 say it to a server, print what comes back
  bandy ask :8000/add a==5 b==3               ask over HTTP
  bandy chat :8001                            join a chat
  bandy load :8000 -c 100 -d 10s --report run.html   measure a server under load
  bandy run                                   run what ./bandy.toml declares
  bandy check                                 say what is wrong with ./bandy.toml",
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub log: Log,
}

/// One variant a command, one file each.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(RunArgs),
    Check(CheckArgs),
    Reload(ReloadArgs),
    Serve(Box<ServeArgs>),
    Balance(Box<BalanceArgs>),
    Top(TopArgs),
    Ask(Box<AskArgs>),
    Chat(Box<ChatArgs>),
    Load(Box<LoadArgs>),
    Models(Box<ModelsArgs>),
    Trust(TrustArgs),
    Untrust(UntrustArgs),
    User(UserArgs),
    Backup(BackupArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// How and what to log, with every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs (on stderr)")]
pub struct Log {
    /// text or json
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    pub log: LogFormat,
    /// off, error, warn, info, debug or trace [default: BANDY_LOG, or info]
    #[arg(long, global = true, value_name = "LEVEL", hide_possible_values = true)]
    pub log_level: Option<LogLevel>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// As a filter has it.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// Run the servers that a configuration file declares
#[derive(Debug, Args)]
#[command(after_help = "\
SIGTERM or Ctrl-C lets conversations finish, a second one ends at once. SIGHUP reads the file again, and so
does `bandy reload`, which says what came of it.
Each listener is announced on stdout: listening on tcp://127.0.0.1:7000 (echo)")]
pub struct RunArgs {
    /// The configuration file
    #[arg(default_value = "bandy.toml")]
    pub file: PathBuf,
    /// Read it again whenever it changes
    #[arg(long)]
    pub watch: bool,
    /// Take the listening sockets of the bandy that runs the file now, which lets its conversations finish and ends
    #[arg(long)]
    pub take_over: bool,

    #[command(flatten)]
    pub admin: AdminOptions,
}

/// Of the admin endpoint.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Admin (metrics, status, a live page: see `bandy top`)")]
pub struct AdminOptions {
    /// Where to listen: http://127.0.0.1:9901, or unix:///run/bandy.sock
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// What those who ask it have to send, at least 16 characters [default: BANDY_ADMIN_TOKEN, or none]
    #[arg(long, value_name = "TOKEN", requires = "admin")]
    pub admin_token: Option<String>,
}

/// Check a configuration file without running it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bandy check                            is ./bandy.toml right?
  bandy check --print prod.toml          every setting, defaults included
  bandy check --json | jq .diagnostics   for editors and scripts")]
pub struct CheckArgs {
    /// The configuration file
    #[arg(default_value = "bandy.toml")]
    pub file: PathBuf,
    /// Print the configuration as TOML with every default written out
    #[arg(long)]
    pub print: bool,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Serve one thing, without a file
#[derive(Debug, Args)]
#[command(
    override_usage = "\
bandy serve SERVICE URL... [OPTIONS]
       bandy serve greet TEXT URL... [OPTIONS]
       bandy serve reply TEMPLATE URL... [OPTIONS]
       bandy serve exec URL... [OPTIONS] -- CMD [ARG]...
       bandy serve files URL... --root DIR [OPTIONS]
       bandy serve api URL... [--store STORE] [OPTIONS]
       bandy serve chat URL... [--store STORE] [OPTIONS]",
    after_help = "\
Services:
  echo            what it received, byte for byte
  greet TEXT      TEXT to whoever connects
  reply TEMPLATE  a template for each message; its fields, in {braces}: message peer local time n
  discard         nothing, to whatever comes
  chargen         printable characters without end
  exec -- CMD     a program for each connection: its stdin and stdout; on http CGI/1.1
  files           a folder's files; where it is allowed they are put and deleted too
  api             accounts, sessions and records, and endpoints to test clients with
  chat            rooms that people talk in: lines, WebSocket, IRC and a page, all at once

URLs:
  tcp://:7000  udp://:7000  tls://:7443  ws://:7080/chat  wss://:7443  unix:///run/app.sock
  http://:8000  https://:8443    for echo, greet, reply, exec, files, api and chat
  irc://:6667   ircs://:6697     for chat
  No host is this machine only; every interface is 0.0.0.0 or [::]. Port 0 takes a free port.

Examples:
  bandy serve echo tcp://:7000 udp://:7000 tls://:7443
  bandy serve reply \"Server received: {message}\" tcp://:7002
  bandy serve exec tcp://:9000 --programs 10 -- ./handler.py --verbose
  bandy serve files http://:8000 --root public
  bandy serve api http://:8000 --store sqlite:bandy.db
  bandy serve chat http://:8001 irc://:6667 tcp://:7001 ws://:7002 --store sqlite:chat.db
  bandy serve echo tcp://:7000 --idle 1m --print-config > bandy.toml"
)]
pub struct ServeArgs {
    /// What answers
    #[arg(value_name = "SERVICE", hide = true)]
    pub service: String,
    /// Where to listen, and greet's text or reply's template
    #[arg(value_name = "URL", hide = true)]
    pub urls: Vec<String>,
    /// The program that exec runs, with its arguments
    #[arg(value_name = "CMD", last = true, hide = true)]
    pub command: Vec<String>,

    /// The server's name in logs and configuration [default: the service's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How connections are run: async, threads or sequential [default: async]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Print the configuration file that means the same, and serve nothing
    #[arg(long)]
    pub print_config: bool,

    #[command(flatten)]
    pub service_options: ServiceOptions,
    #[command(flatten)]
    pub tls: TlsOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub http: HttpOptions,
    #[command(flatten)]
    pub admin: AdminOptions,
}

/// What some services can be told.
#[derive(Debug, Args)]
#[command(next_help_heading = "Service options")]
pub struct ServiceOptions {
    /// greet: the text, where it could be taken for a URL
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub text: Option<String>,
    /// reply: the template, where it could be taken for a URL
    #[arg(long, value_name = "TEMPLATE", allow_hyphen_values = true)]
    pub template: Option<String>,
    /// reply: answer an unfinished line after this, or none [default: 200ms]
    #[arg(long, value_name = "TIME")]
    pub pause: Option<String>,
    /// exec: how many programs may run at once [default: 100]
    #[arg(long, value_name = "N")]
    pub programs: Option<String>,
    /// files: the folder
    #[arg(long, value_name = "DIR")]
    pub root: Option<String>,
    /// files: no listing of folders without an index.html
    #[arg(long)]
    pub no_listing: bool,
    /// files: names that begin with a dot too
    #[arg(long)]
    pub hidden: bool,
    /// files: clients may put files
    #[arg(long)]
    pub upload: bool,
    /// files: the longest file that may be put [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    pub upload_max: Option<String>,
    /// files: clients may delete files
    #[arg(long)]
    pub delete: bool,
    /// files: Cache-Control of every file, as in "public, max-age=3600"
    #[arg(long, value_name = "VALUE")]
    pub cache_control: Option<String>,
    /// api, chat: where it remembers, as in sqlite:bandy.db [default: memory:, until it ends]
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// api, chat: nobody may register; users are added with `bandy user add`
    #[arg(long)]
    pub no_registration: bool,
    /// api: without the endpoints that clients are tested with
    #[arg(long)]
    pub no_testing: bool,
    /// chat: only who is logged in comes in
    #[arg(long)]
    pub no_guests: bool,
    /// chat: where everybody begins [default: lobby]
    #[arg(long, value_name = "NAME")]
    pub room: Option<String>,
    /// chat: who may make rooms: everyone, users or admins [default: everyone]
    #[arg(long, value_name = "WHO")]
    pub create: Option<String>,
    /// chat: what is said to whoever comes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub welcome: Option<String>,
    /// chat: how often one may say something after a burst, or none [default: 500ms]
    #[arg(long, value_name = "TIME")]
    pub pace: Option<String>,
    /// chat: entries of a room that are kept [default: 100000]
    #[arg(long, value_name = "N")]
    pub history: Option<String>,
}

/// Of `tls` and `wss` listeners, and who may open WebSockets.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS and WebSocket")]
pub struct TlsOptions {
    /// Your own certificate chain, a PEM file [default: one by the local CA]
    #[arg(long, value_name = "FILE")]
    pub cert: Option<String>,
    /// The certificate's private key, a PEM file
    #[arg(long, value_name = "FILE")]
    pub key: Option<String>,
    /// Ask clients for a certificate that these CAs vouch for, a PEM file
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<String>,
    /// Whether clients must show one: required or optional [default: required]
    #[arg(long, value_name = "WHETHER")]
    pub clients: Option<String>,
    /// Web page that may open a WebSocket, as in https://app.example, or *; repeatable
    #[arg(long, value_name = "ORIGIN")]
    pub origin: Vec<String>,
}

/// Times are as in 200ms, 10s, 5m, 1h30m; sizes as in 512, 64KiB, 10MB.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (times as in 200ms, 10s, 1m30s; sizes as in 64KiB, 10MB)")]
pub struct LimitOptions {
    /// Connections open at once [default: 20000; 1000 with threads]
    #[arg(long, value_name = "N")]
    pub connections: Option<String>,
    /// What those beyond do: wait or refuse [default: wait]
    #[arg(long, value_name = "WHAT")]
    pub overload: Option<String>,
    /// For the TLS and WebSocket handshakes [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub handshake: Option<String>,
    /// Close a connection that was silent this long, or none [default: 5m]
    #[arg(long, value_name = "TIME")]
    pub idle: Option<String>,
    /// Close a connection after this long, or none [default: none]
    #[arg(long, value_name = "TIME")]
    pub lifetime: Option<String>,
    /// How long conversations may go on after SIGTERM [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub drain: Option<String>,
    /// The longest line or WebSocket message [default: 1MiB]
    #[arg(long, value_name = "SIZE")]
    pub message: Option<String>,
    /// UDP peers remembered at once [default: 10000]
    #[arg(long, value_name = "N")]
    pub flows: Option<String>,
    /// Forget a UDP peer that was silent this long [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub flow_idle: Option<String>,
    /// Datagrams of one peer that may wait [default: 256]
    #[arg(long, value_name = "N")]
    pub flow_queue: Option<String>,
}

/// Of requests and their connections.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of HTTP")]
pub struct HttpOptions {
    /// For a request's head, from its first byte [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub head: Option<String>,
    /// Between two requests of a connection, or none [default: 75s]
    #[arg(long, value_name = "TIME")]
    pub keep_alive: Option<String>,
    /// The longest head [default: 32KiB]
    #[arg(long, value_name = "SIZE")]
    pub head_size: Option<String>,
    /// The longest request target [default: 8KiB]
    #[arg(long, value_name = "SIZE")]
    pub target: Option<String>,
    /// The most fields of a request [default: 100]
    #[arg(long, value_name = "N")]
    pub fields: Option<String>,
    /// The longest request body [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub body: Option<String>,
    /// What a body must bring in a second, or none [default: 500B]
    #[arg(long, value_name = "SIZE")]
    pub body_rate: Option<String>,
    /// How long a body may be slower than that [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub body_grace: Option<String>,
    /// How long a client may leave what it is sent untaken [default: 1m]
    #[arg(long, value_name = "TIME")]
    pub send: Option<String>,
    /// Requests of one connection, or none for no bound [default: none]
    #[arg(long, value_name = "N")]
    pub requests: Option<String>,
    /// HTTP/2 streams of one connection at once [default: 128]
    #[arg(long, value_name = "N")]
    pub streams: Option<String>,
}

/// Print a shell's completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bandy completions bash > ~/.local/share/bash-completion/completions/bandy
  bandy completions fish > ~/.config/fish/completions/bandy.fish")]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// Print the manual page
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bandy man | man -l -          the whole program
  bandy man serve | man -l -    one command")]
pub struct ManArgs {
    /// One command's page
    pub command: Option<String>,
}

//! `bandy balance`: between servers, from the command line.
//!
//! It writes the configuration that a file would hold, a server and its pool, and from there goes the file's way.

use bandy::config::diagnostic::Origin;
use bandy::config::raw::{Config, Data, Table, Value};
use bandy::error::Error;
use clap::Args;

use crate::args::{AdminOptions, HttpOptions, LimitOptions, TlsOptions};
use crate::exit::Code;
use crate::serve::{flag, is_url, write_admin, write_options};
use crate::{report, start};

/// Balance between servers, without a file
#[derive(Debug, Args)]
#[command(
    override_usage = "bandy balance URL... --to URL... [OPTIONS]",
    after_help = "\
Strategies:
  round-robin        one after the other, by weight (the default)
  least-connections  whoever has the fewest, for its weight
  ip-hash            the same client, the same server
  random             anyone, by weight
  p2c                the one with fewer connections of two at random
  peak-ewma          the one that would answer sooner of two at random
  consistent-hash    the same --hash-key, the same server, and none of them overrun

URLs:
  http://:8080  https://:8443         to backends of http, https, unix
  tcp://:7000  tls://:7443            to backends of tcp, tls, unix
  udp://:7000  ws://:7080             to backends of udp; of ws, wss
  A backend may have a weight and a bound: --to http://:5001,weight=2,max=100

Examples:
  bandy balance http://:8080 --to http://:5001 --to http://:5002
  bandy balance https://:8443 --to unix:///run/app.sock --health /healthz
  bandy balance tcp://:7000 --to tcp://10.0.0.1:7000 --to tcp://10.0.0.2:7000 --health connect
  bandy balance http://:8080 --to http://:5001 --print-config > bandy.toml"
)]
pub struct BalanceArgs {
    /// Where to listen
    #[arg(value_name = "URL", hide = true)]
    pub urls: Vec<String>,
    /// A backend, with ,weight=N and ,max=N behind it; repeatable
    #[arg(long, value_name = "URL")]
    pub to: Vec<String>,

    /// The server's and the pool's name in logs and configuration [default: balance]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How connections are run: async, threads or sequential [default: async]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Take from these addresses whom they bring: they must begin with a PROXY header; as in 10.0.0.0/8, repeatable
    #[arg(long, value_name = "RANGE")]
    pub proxied_from: Vec<String>,
    /// Print the configuration file that means the same, and serve nothing
    #[arg(long)]
    pub print_config: bool,

    #[command(flatten)]
    pub pool: PoolOptions,
    #[command(flatten)]
    pub upstream: UpstreamOptions,
    #[command(flatten)]
    pub forward: ForwardOptions,
    #[command(flatten)]
    pub tls: TlsOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub http: HttpOptions,
    #[command(flatten)]
    pub admin: AdminOptions,
}

/// Of the pool.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pool (times as in 200ms, 10s, 1m30s)")]
pub struct PoolOptions {
    /// How a backend is picked [default: round-robin]
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// consistent-hash: what decides: header:NAME, cookie:NAME, query:NAME, path or ip
    #[arg(long, value_name = "WHAT")]
    pub hash_key: Option<String>,
    /// consistent-hash: the most that one has of the mean load, or none [default: 125%]
    #[arg(long, value_name = "SHARE")]
    pub load: Option<String>,
    /// Probe the backends: with a path, as in /healthz, or connect
    #[arg(long, value_name = "PATH")]
    pub health: Option<String>,
    /// From one probe to the next [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub every: Option<String>,
    /// Probes in a row that take a backend down [default: 3]
    #[arg(long, value_name = "N")]
    pub fall: Option<String>,
    /// Probes in a row that bring it back [default: 2]
    #[arg(long, value_name = "N")]
    pub rise: Option<String>,
    /// Connections or requests that each backend has at once [default: no bound]
    #[arg(long, value_name = "N")]
    pub max: Option<String>,
    /// How often one request or connection is tried again, or 0 [default: 2]
    #[arg(long, value_name = "N")]
    pub retries: Option<String>,
    /// The share of all requests that may be retries [default: 20%]
    #[arg(long, value_name = "SHARE")]
    pub budget: Option<String>,
    /// How long a backend that came back takes to its full weight [default: none]
    #[arg(long, value_name = "TIME")]
    pub slow_start: Option<String>,
    /// For a connection to a backend [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub connect: Option<String>,
    /// Tell backends who came: v1 or v2 of the PROXY protocol; for all but udp [default: nothing]
    #[arg(long, value_name = "VERSION")]
    pub proxy_protocol: Option<String>,
}

/// Of backends that are asked over TLS.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS to backends")]
pub struct UpstreamOptions {
    /// Trust these CAs too, a PEM file [default: the system's and the local CA]
    #[arg(long, value_name = "FILE")]
    pub to_ca: Option<String>,
    /// Believe any certificate
    #[arg(long)]
    pub to_insecure: bool,
    /// The name to find in the certificate, instead of the host
    #[arg(long, value_name = "NAME")]
    pub to_server_name: Option<String>,
    /// The certificate to show, a PEM file
    #[arg(long, value_name = "FILE")]
    pub to_cert: Option<String>,
    /// Its private key, a PEM file
    #[arg(long, value_name = "FILE")]
    pub to_key: Option<String>,
}

/// Of requests that are passed on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Requests (http, https)")]
pub struct ForwardOptions {
    /// Believe what these addresses say of others in X-Forwarded-*; repeatable
    #[arg(long, value_name = "RANGE")]
    pub trust: Vec<String>,
    /// The host to ask backends for [default: the one that was asked for]
    #[arg(long, value_name = "HOST")]
    pub to_host: Option<String>,
    /// A line in the log for each request
    #[arg(long)]
    pub access_log: bool,
}

/// Balances between servers.
pub fn balance(args: &BalanceArgs) -> Result<Code, Error> {
    start::from_arguments("balance", &written(args)?, args.print_config)
}

/// The configuration that the arguments mean.
fn written(args: &BalanceArgs) -> Result<Config, Error> {
    const ACT: &str = "balancing";
    const SAMPLE: &str = "bandy balance http://:8080 --to http://:5001 --to http://:5002";
    if args.urls.is_empty() {
        return Err(report::usage(ACT, "no URL says where to listen", SAMPLE));
    }
    if args.to.is_empty() {
        let why = "no --to says where the servers are";
        let mut hint = format!("bandy balance {}", args.urls[0]);
        // The usual slip: the servers stand where the listeners do.
        match args.urls.get(1) {
            Some(second) => hint.push_str(&format!(" --to {second}")),
            None => hint = SAMPLE.to_owned(),
        }
        return Err(report::usage(ACT, why, hint));
    }
    let name = args.name.as_deref().unwrap_or("balance");
    let mut config = Config::default();
    let mut server = Table::default();
    let url = flag("URL");
    server.set(&["listen"], Data::texts(&args.urls, &url), url);
    let origin = match args.name {
        Some(_) => flag("--name"),
        None => flag("--to"),
    };
    server.set(&["service", "balance", "pool"], name, origin.clone());
    let mut set = |key, data, origin| server.set(&["service", "balance", key], data, origin);
    let forward = &args.forward;
    if !forward.trust.is_empty() {
        let origin = flag("--trust");
        set("trust", Data::texts(&forward.trust, &origin), origin);
    }
    if let Some(host) = &forward.to_host {
        set("host", host.as_str().into(), flag("--to-host"));
    }
    if forward.access_log {
        set("log", Data::Boolean(true), flag("--access-log"));
    }
    write_options(
        &mut server,
        &args.model,
        &args.tls,
        &args.limits,
        &args.http,
    );
    if !args.proxied_from.is_empty() {
        let origin = flag("--proxied-from");
        let ranges = Data::texts(&args.proxied_from, &origin);
        server.set(&["proxy_protocol"], ranges, origin);
    }
    let root = &mut config.root;
    write_admin(root, &args.admin);
    root.set(&["server", name], Data::Table(server), origin.clone());
    root.set(&["pool", name], Data::Table(pool(args)), origin);
    Ok(config)
}

fn pool(args: &BalanceArgs) -> Table {
    let mut pool = Table::default();
    let to = flag("--to");
    let backends = args.to.iter().map(|text| backend(text, &to)).collect();
    pool.set(&["backend"], Data::List(backends), to);
    let (given, upstream) = (&args.pool, &args.upstream);
    if let Some(health) = &given.health {
        // `--health connect`: the table alone says so.
        let origin = flag("--health");
        match health.as_str() {
            "connect" => pool.set(&["health"], Data::Table(Table::default()), origin),
            path => pool.set(&["health", "path"], path, origin),
        }
    }
    let texts = [
        (&["strategy"][..], "--strategy", &given.strategy),
        (&["key"], "--hash-key", &given.hash_key),
        (&["load"], "--load", &given.load),
        (&["budget"], "--budget", &given.budget),
        (
            &["proxy_protocol"],
            "--proxy-protocol",
            &given.proxy_protocol,
        ),
        (&["tls", "ca"], "--to-ca", &upstream.to_ca),
        (
            &["tls", "server_name"],
            "--to-server-name",
            &upstream.to_server_name,
        ),
        (&["tls", "cert"], "--to-cert", &upstream.to_cert),
        (&["tls", "key"], "--to-key", &upstream.to_key),
    ];
    for (path, origin, value) in texts {
        if let Some(value) = value {
            pool.set(path, value.as_str(), flag(origin));
        }
    }
    let quantities = [
        (&["health", "every"][..], "--every", &given.every),
        (&["health", "fall"], "--fall", &given.fall),
        (&["health", "rise"], "--rise", &given.rise),
        (&["max"], "--max", &given.max),
        (&["retries"], "--retries", &given.retries),
        (&["slow_start"], "--slow-start", &given.slow_start),
        (&["deadlines", "connect"], "--connect", &given.connect),
    ];
    for (path, origin, value) in quantities {
        if let Some(value) = value {
            pool.set(path, Data::from_flag(value), flag(origin));
        }
    }
    if upstream.to_insecure {
        let path = &["tls", "insecure"];
        pool.set(path, Data::Boolean(true), flag("--to-insecure"));
    }
    pool
}

/// `http://:5001`, or `http://:5001,weight=2,max=100`. The check knows which options there are, and says so.
fn backend(text: &str, origin: &Origin) -> Value {
    let mut url = text;
    let mut options = Vec::new();
    while let Some((rest, option)) = url.rsplit_once(',') {
        let Some((key, value)) = option.split_once('=') else {
            break;
        };
        if !is_option(key, rest) {
            break;
        }
        options.push((key, value));
        url = rest;
    }
    if options.is_empty() {
        return Value::new(text, origin.clone());
    }
    let mut table = Table::default();
    table.set(&["url"], url, origin.clone());
    for (key, value) in options.into_iter().rev() {
        table.set(&[key], Data::from_flag(value), origin.clone());
    }
    Value::new(Data::Table(table), origin.clone())
}

/// Whether this is an option's name, or meant to be one, and not part of the URL before it: a file's name may have commas in it.
fn is_option(key: &str, url: &str) -> bool {
    let is_word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    is_url(url)
        && match url.starts_with("unix:") {
            true => matches!(key, "weight" | "max" | "name"),
            false => is_word && key != "url",
        }
}

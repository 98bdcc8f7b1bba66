//! Pools: `[pool.NAME]`, and `service.balance`, which names one.

use std::net::SocketAddr;

use super::diagnostic::{Diagnostic, Origin};
use super::options::client_tls;
use super::plan::Plan;
use super::raw::{Data, Key, Table, Value};
use super::walk::{Meant, Walk, did_you_mean, listed};
use crate::endpoint::{Carries, Endpoint, Scheme};
use crate::http::client::Version;
use crate::http::{HeaderName, HeaderValue};
use crate::pool::options::{Deadlines, Member, Options, Retry, Sticky, Waiting};
use crate::printable::printable;
use crate::services::balance;
use crate::wire::proxy;

mod forward;
mod health;
mod member;
mod sni;
mod strategy;

const POOL_KEYS: [&str; 19] = [
    "backend",
    "strategy",
    "key",
    "load",
    "max",
    "health",
    "passive",
    "panic",
    "retries",
    "budget",
    "deadlines",
    "queue",
    "sticky",
    "hedge",
    "slow_start",
    "resolver",
    "http",
    "proxy_protocol",
    "tls",
];

/// The options of `service.balance`; the first can be written without its name.
pub(super) const BALANCE_KEYS: [&str; 8] = [
    "pool",
    "sni",
    "trust",
    "host",
    "forwarded",
    "request_id",
    "log",
    "secret",
];

/// A service that names a pool.
pub(super) struct Balanced {
    pool: String,
    at: Origin,
    /// Where it is listened for.
    listens: Vec<Endpoint>,
    /// Whether it is the name in a stream's TLS that decides.
    is_by_name: bool,
}

/// The configuration's pools, in the order that they were written.
pub(super) fn pools<'a>(walk: &mut Walk<'a>, root: &'a Table) -> Vec<Options> {
    let Some((key, value)) = root.entry("pool") else {
        return Vec::new();
    };
    let Data::Table(pools) = &value.data else {
        let help = "write `[pool.NAME]`";
        walk.wrong_type("pool", value, "a table for each pool", Some(help));
        return Vec::new();
    };
    let is_own = |(key, _): &(Key, Value)| POOL_KEYS.contains(&key.name.as_str());
    if !pools.0.is_empty() && pools.0.iter().all(is_own) {
        let d = Diagnostic::error(&key.origin, "this pool has no name");
        walk.push(d.help("give it one, as in `[pool.api]`"));
        return Vec::new();
    }
    let pools = pools.0.iter();
    pools
        .filter_map(|(key, value)| pool(walk, key, value))
        .collect()
}

fn pool<'a>(walk: &mut Walk<'a>, key: &'a Key, value: &'a Value) -> Option<Options> {
    super::plan::name(walk, key, "pool");
    let Data::Table(table) = &value.data else {
        let help = "write `[pool.NAME]` and the pool's keys below it";
        walk.wrong_type(&key.name, value, "a table", Some(help));
        return None;
    };
    let whose = format!("pool `{}`", printable(&key.name));
    walk.keys(table, &whose, &POOL_KEYS, meant_by);

    let mut options = Options::new(&key.name, []);
    let max = table.get("max").and_then(|v| walk.count("max", v));
    options.members = member::members(walk, key, table, max);
    options.strategy = strategy::strategy(walk, table);
    let is_secure = |m: &Member| m.endpoint.scheme().is_secure();
    let has_tls = options.members.iter().any(is_secure);
    options.tls = client_tls(walk, table, has_tls);
    health::health(walk, table, &mut options);
    options.retry = retry(walk, table);
    options.deadlines = deadlines(walk, table);
    options.queue = queue(walk, table);
    options.sticky = sticky(walk, table);
    let mut time = |name: &str| {
        let value = table.get(name)?;
        walk.duration_or_none(name, value).flatten()
    };
    options.hedge = time("hedge");
    options.slow_start = time("slow_start");
    options.resolver = resolver(walk, table, &options.members);
    options.http = table.get("http").and_then(|value| {
        let choices = [("1.1", Version::Http1), ("2", Version::Http2)];
        walk.choice("http", value, &choices)
    });
    options.proxy_protocol = table.get("proxy_protocol").and_then(|value| {
        let choices = proxy::Version::ALL.map(|version| (version.as_str(), version));
        let version = walk.choice("proxy_protocol", value, &choices)?;
        if let (Some(Version::Http2), Some((http, _))) = (options.http, table.entry("http")) {
            let message =
                "`proxy_protocol` is for connections of one client, and over HTTP/2 many share one";
            let d = Diagnostic::error(&value.origin, message).also(&http.origin, "asked in HTTP/2");
            walk.push(d.help("write `http = \"1.1\"`, or leave `proxy_protocol` out"));
        }
        Some(version)
    });
    Some(options)
}

/// What someone may have meant by a key that pools do not have.
fn meant_by(name: &str) -> Option<Meant> {
    let help = match name {
        "backends" | "server" | "servers" | "to" | "url" | "members" => {
            "write `backend = [\"http://127.0.0.1:5001\"]`"
        }
        "weight" => "a weight is a backend's: `{ url = \"http://127.0.0.1:5001\", weight = 2 }`",
        "retry" => "write `retries = 2`, and `budget = \"20%\"` for their share",
        "timeout" | "connect" | "try" | "total" | "keep" => {
            "write it as in `deadlines = { connect = \"5s\", try = \"10s\" }`"
        }
        "cookie" => "write `sticky = \"NAME\"`",
        "listen" | "service" => "a pool is asked by a server: `service.balance = \"NAME\"`",
        "insecure" | "ca" | "cert" | "server_name" => "write it below `tls`",
        _ => return None,
    };
    Some(Meant::Help(help.to_owned()))
}

/// `resolver = "127.0.0.1:53"`: a name server of one's own.
fn resolver<'a>(walk: &mut Walk<'a>, table: &'a Table, members: &[Member]) -> Option<SocketAddr> {
    let (key, value) = table.entry("resolver")?;
    let text = walk.text("resolver", value)?;
    if !members.iter().any(|m| m.host_to_resolve().is_some()) {
        let message = "`resolver` has no effect: no backend of this pool is a name".to_owned();
        walk.no_effect(&key.origin, message, "not used", "leave this out");
    }
    let address = text.parse::<SocketAddr>().ok();
    let address = address.or_else(|| Some(SocketAddr::new(text.parse().ok()?, 53)));
    if address.is_none() {
        let message = format!("`{}` is not the address of a name server", printable(text));
        let d = Diagnostic::error(&value.origin, message);
        walk.push(d.help("write it as in `127.0.0.1` or `127.0.0.1:5353`"));
    }
    address
}

fn retry<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Retry {
    let mut retry = Retry::default();
    if let Some(value) = table.get("retries")
        && let Some(times) = walk.number("retries", value, 100)
    {
        retry.times = times;
    }
    if let Some(value) = table.get("budget")
        && let Some(percent) = walk.percent("budget", value)
    {
        retry.budget = percent;
    }
    retry
}

fn deadlines<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Deadlines {
    const KEYS: [&str; 4] = ["connect", "try", "total", "keep"];
    let mut deadlines = Deadlines::default();
    let Some((key, value)) = table.entry("deadlines") else {
        return deadlines;
    };
    let Some(table) = walk.table(key, value, &KEYS, |_| None) else {
        return deadlines;
    };
    for (name, place) in [
        ("connect", &mut deadlines.connect),
        ("keep", &mut deadlines.keep),
    ] {
        if let Some(value) = table.get(name) {
            *place = walk.duration(name, value).unwrap_or(*place);
        }
    }
    for (name, place) in [
        ("try", &mut deadlines.per_try),
        ("total", &mut deadlines.total),
    ] {
        if let Some(value) = table.get(name) {
            *place = walk.duration_or_none(name, value).unwrap_or(*place);
        }
    }
    deadlines
}

/// `queue = { length = 1000, wait = "5s" }`, or `queue = "none"`.
fn queue<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Waiting {
    let mut queue = Waiting::default();
    let Some((key, value)) = table.entry("queue") else {
        return queue;
    };
    if matches!(&value.data, Data::Text(text) if text == "none") {
        queue.length = 0;
        return queue;
    }
    let Some(table) = walk.table(key, value, &["length", "wait"], |_| None) else {
        return queue;
    };
    if let Some(value) = table.get("length") {
        let length = walk.number("length", value, 1_000_000);
        queue.length = length.map_or(queue.length, |n| n as usize);
    }
    if let Some(value) = table.get("wait") {
        queue.wait = walk.duration("wait", value).unwrap_or(queue.wait);
    }
    queue
}

fn sticky<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Option<Sticky> {
    let value = table.get("sticky")?;
    let cookie = walk.text("sticky", value)?;
    // A cookie's name is a token, as a field's is (RFC 6265, section 4.1.1).
    if HeaderName::from_bytes(cookie.as_bytes()).is_err() || HeaderValue::from_str(cookie).is_err()
    {
        let message = format!("`{}` cannot be a cookie's name", printable(cookie));
        let d = Diagnostic::error(&value.origin, message);
        walk.push(d.help("a name is letters, digits, `-` and `_`"));
        return None;
    }
    Some(Sticky {
        cookie: cookie.to_owned(),
    })
}

/// `service.balance = "api"`, or `service.balance = { pool = "api" }`.
pub(super) fn balance<'a>(
    walk: &mut Walk<'a>,
    origin: &Origin,
    option: impl Fn(&str) -> Option<&'a Value>,
) -> balance::Options {
    let sni = sni::names(walk, option("sni"));
    let value = option("pool");
    if let (Some(value), Some(sni)) = (value, option("sni")) {
        let d = Diagnostic::error(&sni.origin, "`sni` and `pool` both say which pool answers");
        let d = d.also(&value.origin, "the other");
        walk.push(d.help("leave one of them out; `\"*\"` in `sni` is for all other names"));
    }
    let pool = value.and_then(|value| walk.text("balance", value));
    match (value, pool) {
        (Some(value), Some(name)) => walk.balances.push(Balanced {
            pool: name.to_owned(),
            at: value.origin.clone(),
            listens: Vec::new(),
            is_by_name: false,
        }),
        (None, _) if !sni.is_empty() || option("sni").is_some() => {}
        (None, _) => {
            let d = Diagnostic::error(origin, "`balance` names no pool");
            walk.push(d.help("write it as in `service.balance = { pool = \"api\" }`"));
        }
        // What is wrong with it was noted.
        (Some(_), None) => {}
    }
    let (rules, secret) = forward::rules(walk, option);
    balance::Options {
        pool: pool.unwrap_or_default().to_owned(),
        rules,
        secret,
        sni,
    }
}

/// Notes of those that name a pool, from the `before`th on, what comes in where they answer.
pub(super) fn stands_on(
    walk: &mut Walk<'_>,
    before: usize,
    listens: impl Iterator<Item = Endpoint> + Clone,
) {
    for balanced in walk.balances.iter_mut().skip(before) {
        balanced.listens.extend(listens.clone());
    }
}

/// What is wrong with routing by name, or with a PROXY header, where this comes in.
fn misplaced(balanced: &Balanced, pool: &Options, scheme: Scheme) -> Option<Diagnostic> {
    let carries = scheme.carries();
    if balanced.is_by_name && carries != Carries::Stream {
        let message =
            format!("`sni` is for streams of TLS, and not for what comes in here ({carries})");
        let d = Diagnostic::error(&balanced.at, message);
        return Some(d.help("listen on tcp:// (TLS is passed on) or tls:// (it ends here)"));
    }
    let in_tls = pool
        .members
        .iter()
        .find(|m| m.endpoint.scheme().is_secure());
    if let (true, false, Some(member)) = (balanced.is_by_name, scheme.is_secure(), in_tls) {
        let message = format!(
            "pool `{}` is asked over TLS, and what is passed on from {scheme} is TLS already",
            pool.name
        );
        let plain = member.endpoint.to_string().replacen("tls:", "tcp:", 1);
        let d = Diagnostic::error(&balanced.at, message);
        return Some(d.help(format!("write its backends as `{plain}`")));
    }
    if pool.proxy_protocol.is_some() && carries == Carries::Datagram {
        let message = format!(
            "pool `{}` tells its backends whom it brings (`proxy_protocol`), and cannot for what comes in here ({carries})",
            pool.name
        );
        let d = Diagnostic::error(&balanced.at, message);
        return Some(d.help("leave `proxy_protocol` out"));
    }
    None
}

/// Notes a backend that is the server itself: what comes in would go round until there is no room for more.
fn asks_itself(walk: &mut Walk<'_>, balanced: &Balanced, pool: &Options) {
    let is_here = |member: &&Member| {
        let mut listens = balanced.listens.iter();
        listens.any(|listen| is_one_place(listen, &member.endpoint))
    };
    if let Some(member) = pool.members.iter().find(is_here) {
        let message = format!(
            "pool `{}` has `{}` in it, where this server itself listens",
            pool.name, member.name
        );
        let d = Diagnostic::warning(&balanced.at, message).label("asks itself");
        walk.push(d.help("name another server's port"));
    }
}

/// Whether who connects to the second comes to who listens at the first.
fn is_one_place(listen: &Endpoint, backend: &Endpoint) -> bool {
    let (Some(here), Some(there)) = (listen.socket_addr(), backend.socket_addr()) else {
        return listen == backend;
    };
    let is_all = here.ip().is_unspecified() && there.ip().is_loopback();
    let is_one_family = here.is_ipv4() == there.is_ipv4();
    let is_udp = |endpoint: &Endpoint| endpoint.scheme() == Scheme::Udp;
    here.port() != 0
        && here.port() == there.port()
        && is_udp(listen) == is_udp(backend)
        && (here.ip() == there.ip() || is_all && is_one_family)
}

/// Notes pools that there are not, that cannot answer what is asked, and that nobody asks.
pub(super) fn linked(walk: &mut Walk<'_>, root: &Table, plan: &Plan) {
    let names: Vec<&str> = plan.pools.iter().map(|pool| pool.name.as_str()).collect();
    let balances = std::mem::take(&mut walk.balances);
    for balanced in &balances {
        let Some(pool) = plan.pools.iter().find(|pool| pool.name == balanced.pool) else {
            let name = printable(&balanced.pool);
            let message = format!("there is no pool `{name}`");
            let help = did_you_mean(&name, &names).unwrap_or_else(|| match names.as_slice() {
                [] => format!("declare it: `[pool.{name}]` and below it `backend = [\"http://127.0.0.1:5001\"]`"),
                names => format!("the pools are {}", listed(names, "and")),
            });
            let d = Diagnostic::error(&balanced.at, message);
            walk.missing(d.label("no such pool").help(help));
            continue;
        };
        asks_itself(walk, balanced, pool);
        for scheme in balanced.listens.iter().map(Endpoint::scheme) {
            let carries = scheme.carries();
            if let Some(d) = misplaced(balanced, pool, scheme) {
                walk.push(d);
                break;
            }
            let cannot =
                |m: &&Member| !crate::pool::options::can_answer(m.endpoint.scheme(), carries);
            if let Some(member) = pool.members.iter().find(cannot) {
                let scheme = member.endpoint.scheme();
                let schemes = Scheme::ALL
                    .into_iter()
                    .filter(|s| crate::pool::options::can_answer(*s, carries));
                let schemes: Vec<&str> = schemes.map(Scheme::as_str).collect();
                let message = format!(
                    "pool `{}` cannot answer what comes in here ({carries}): its backends are {scheme} ({})",
                    pool.name,
                    scheme.carries()
                );
                let d = Diagnostic::error(&balanced.at, message);
                walk.push(d.help(format!(
                    "give it backends of {}, or listen on what they speak",
                    listed(&schemes, "or")
                )));
                break;
            }
        }
    }
    let has_errors = walk.found.iter().any(Diagnostic::is_error);
    if has_errors || walk.is_partial {
        return;
    }
    let Some(Data::Table(pools)) = root.get("pool").map(|value| &value.data) else {
        return;
    };
    for (key, _) in &pools.0 {
        if !balances.iter().any(|b| b.pool == key.name) {
            let message = format!(
                "pool `{}` has no effect: no server asks it",
                printable(&key.name)
            );
            let help = "name it in a server: `service.balance = { pool = \"NAME\" }`";
            walk.no_effect(&key.origin, message, "not used", help);
        }
    }
}

#[cfg(test)]
mod tests;

//! Pools as TOML.

use super::{number, or_none};
use crate::config::diagnostic::Origin;
use crate::config::quantity::print_duration;
use crate::config::raw::{Data, Table, Value};
use crate::http::client::Version;
use crate::net::tls::{ClientTls, Identity};
use crate::pool::health::{self, Check, Expect, Panic, Passive, Probe, Rules};
use crate::pool::options::{Deadlines, Member, Options, Retry, Sticky, Waiting};
use crate::pool::strategy::Choice;
use crate::services::balance;

/// `[pool.NAME]`, every default written out.
pub(super) fn write(root: &mut Table, pool: &Options) {
    // Named one by one, so that a new option cannot be forgotten here.
    let Options {
        name,
        strategy,
        members,
        tls,
        health,
        retry: Retry { times, budget },
        deadlines,
        queue: Waiting { length, wait },
        sticky,
        hedge,
        slow_start,
        resolver,
        http,
        proxy_protocol,
    } = pool;
    let mut set = |path: &[&str], data: Data| {
        let path = [&["pool", name.as_str()], path].concat();
        root.set(&path, data, Origin::Nowhere);
    };
    set(&["strategy"], strategy.as_str().into());
    if let Choice::ConsistentHash { key, load } = strategy {
        set(&["key"], key.to_string().into());
        let load = (*load > 0).then(|| percent(*load));
        set(&["load"], load.unwrap_or_else(|| "none".into()));
    }
    let members = members.iter().map(member);
    set(&["backend"], Data::List(members.collect()));
    write_health(health, &mut set);
    set(&["retries"], number(*times as usize));
    set(&["budget"], percent(*budget));
    let Deadlines {
        connect,
        per_try,
        total,
        keep,
    } = deadlines;
    set(&["deadlines", "connect"], print_duration(*connect).into());
    set(&["deadlines", "try"], or_none(*per_try));
    set(&["deadlines", "total"], or_none(*total));
    set(&["deadlines", "keep"], print_duration(*keep).into());
    set(&["queue", "length"], number(*length));
    set(&["queue", "wait"], print_duration(*wait).into());
    if let Some(Sticky { cookie }) = sticky {
        set(&["sticky"], cookie.as_str().into());
    }
    set(&["hedge"], or_none(*hedge));
    set(&["slow_start"], or_none(*slow_start));
    if let Some(address) = resolver {
        set(&["resolver"], address.to_string().into());
    }
    match http {
        Some(Version::Http1) => set(&["http"], "1.1".into()),
        Some(Version::Http2) => set(&["http"], "2".into()),
        None => {}
    }
    if let Some(version) = proxy_protocol {
        set(&["proxy_protocol"], version.as_str().into());
    }
    write_tls(tls, &mut set);
}

/// `service.balance`.
pub(super) fn write_balance(options: &balance::Options, set: &mut impl FnMut(&[&str], Data)) {
    let balance::Options {
        pool,
        sni,
        rules,
        secret,
    } = options;
    let balance::http::Rules {
        trust,
        host,
        forwarded,
        request_id,
        log,
        // It is told by the file that it is in.
        secret: _,
    } = rules;
    if sni.is_empty() {
        set(&["service", "balance", "pool"], pool.as_str().into());
    }
    for (name, pool) in sni {
        let name = name.to_string();
        set(&["service", "balance", "sni", &name], pool.as_str().into());
    }
    let mut set = |key: &str, data: Data| set(&["service", "balance", key], data);
    if !trust.is_empty() {
        let texts = trust.iter().map(ToString::to_string);
        set("trust", Data::texts(texts, &Origin::Nowhere));
    }
    if let Some(host) = host {
        set("host", host.as_str().into());
    }
    // Only what is not usual: between streams these mean nothing.
    let usual = balance::http::Rules::default();
    for (key, is_on, usually) in [
        ("forwarded", *forwarded, usual.forwarded),
        ("request_id", *request_id, usual.request_id),
        ("log", *log, usual.log),
    ] {
        if is_on != usually {
            set(key, Data::Boolean(is_on));
        }
    }
    if let Some(path) = secret {
        // Paths come from TOML or from arguments that had to be UTF-8.
        set("secret", Data::Text(path.to_string_lossy().into_owned()));
    }
}

/// As short as it can be written.
fn member(member: &Member) -> Value {
    let Member {
        endpoint,
        is_srv,
        // Nobody writes it.
        address: _,
        name,
        weight,
        max,
    } = member;
    let url = endpoint.to_string();
    let mut table = Table::default();
    let mut set = |key: &str, data: Data| table.set(&[key], data, Origin::Nowhere);
    let host = endpoint.host().map(ToString::to_string).unwrap_or_default();
    let usual = if *is_srv { &host } else { &url };
    if name != usual {
        set("name", name.as_str().into());
    }
    if *weight != 1 {
        set("weight", number(*weight as usize));
    }
    if let Some(max) = max {
        set("max", number(*max));
    }
    if table.0.is_empty() && !is_srv {
        return Value::new(url, Origin::Nowhere);
    }
    let mut with_url = Table::default();
    match is_srv {
        false => with_url.set(&["url"], url, Origin::Nowhere),
        true => {
            with_url.set(&["srv"], host, Origin::Nowhere);
            with_url.set(&["scheme"], endpoint.scheme().as_str(), Origin::Nowhere);
        }
    }
    with_url.0.extend(table.0);
    Value::new(Data::Table(with_url), Origin::Nowhere)
}

fn write_health(options: &health::Options, set: &mut impl FnMut(&[&str], Data)) {
    let health::Options {
        probe,
        rules: Rules { fall, rise },
        passive,
        panic: Panic { below, policy },
    } = options;
    match probe {
        None => set(&["health"], "none".into()),
        Some(Probe {
            check,
            every,
            timeout,
            port,
        }) => {
            write_check(check, set);
            set(&["health", "every"], print_duration(*every).into());
            set(&["health", "timeout"], print_duration(*timeout).into());
            if let Some(port) = port {
                set(&["health", "port"], number((*port).into()));
            }
            set(&["health", "fall"], number(*fall as usize));
            set(&["health", "rise"], number(*rise as usize));
        }
    }
    let Passive {
        failures,
        share,
        window,
        requests,
        pause,
        pause_max,
    } = passive;
    let requests = usize::try_from(*requests).unwrap_or(usize::MAX);
    set(&["passive", "failures"], number(*failures as usize));
    set(&["passive", "share"], percent(*share));
    set(&["passive", "window"], print_duration(*window).into());
    set(&["passive", "requests"], number(requests));
    set(&["passive", "pause"], print_duration(*pause).into());
    set(&["passive", "pause_max"], print_duration(*pause_max).into());
    set(&["panic", "below"], percent(*below));
    set(&["panic", "policy"], policy.as_str().into());
}

fn write_check(check: &Check, set: &mut impl FnMut(&[&str], Data)) {
    match check {
        Check::Connect => {}
        Check::Http {
            path,
            expect:
                Expect {
                    status: (low, high),
                    body,
                },
            host,
        } => {
            set(&["health", "path"], path.as_str().into());
            set(&["health", "status"], format!("{low}-{high}").into());
            if !body.is_empty() {
                set(&["health", "body"], body.as_str().into());
            }
            if let Some(host) = host {
                set(&["health", "host"], host.as_str().into());
            }
        }
        Check::Grpc { service } => set(&["health", "grpc"], service.as_str().into()),
        Check::Exchange { send, expect } => {
            set(&["health", "send"], send.as_str().into());
            set(&["health", "expect"], expect.as_str().into());
        }
    }
}

fn write_tls(tls: &ClientTls, set: &mut impl FnMut(&[&str], Data)) {
    let ClientTls {
        ca,
        identity,
        insecure,
        server_name,
    } = tls;
    // Paths come from TOML or from arguments that had to be UTF-8.
    let path = |p: &std::path::Path| Data::Text(p.to_string_lossy().into_owned());
    if let Some(ca) = ca {
        set(&["tls", "ca"], path(ca));
    }
    if let Some(Identity { cert, key }) = identity {
        set(&["tls", "cert"], path(cert));
        set(&["tls", "key"], path(key));
    }
    if *insecure {
        set(&["tls", "insecure"], Data::Boolean(true));
    }
    if let Some(name) = server_name {
        set(&["tls", "server_name"], name.as_str().into());
    }
}

fn percent(n: u32) -> Data {
    format!("{n}%").into()
}

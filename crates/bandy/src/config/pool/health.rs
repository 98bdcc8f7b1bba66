//! How it is found out who is well: `health`, `passive` and `panic`.

use super::super::diagnostic::Diagnostic;
use super::super::raw::{Data, Table, Value};
use super::super::walk::{Meant, Walk};
use crate::endpoint::Carries;
use crate::pool::health::{Check, Expect, Passive, Policy, Probe};
use crate::pool::options::{Options, can_answer};

const HEALTH_KEYS: [&str; 12] = [
    "path", "status", "body", "host", "grpc", "send", "expect", "every", "timeout", "port", "fall",
    "rise",
];

/// Of these one says what is asked.
const CHECKS: [&str; 3] = ["path", "grpc", "send"];

/// Fills in what the pool is told of health.
pub(super) fn health<'a>(walk: &mut Walk<'a>, table: &'a Table, options: &mut Options) {
    if let Some((key, value)) = table.entry("health") {
        match &value.data {
            Data::Text(text) if text == "none" => {}
            // `health = "/healthz"`
            Data::Text(_) => {
                let check = path(walk, value).map(|path| Check::Http {
                    path,
                    expect: Expect::default(),
                    host: None,
                });
                options.health.probe = check.map(Probe::new);
            }
            _ => {
                if let Some(table) = walk.table(key, value, &HEALTH_KEYS, meant_by) {
                    probe(walk, table, options);
                }
            }
        }
        speakable(walk, value, options);
    }
    passive(walk, table, &mut options.health.passive);
    panic(walk, table, options);
}

fn meant_by(name: &str) -> Option<Meant> {
    let help = match name {
        "interval" => "did you mean `every`?",
        "url" | "uri" | "http" => "write `path = \"/healthz\"`",
        "failures" => "write `passive.failures` for traffic, `fall` for probes",
        _ => return None,
    };
    Some(Meant::Help(help.to_owned()))
}

fn probe<'a>(walk: &mut Walk<'a>, table: &'a Table, options: &mut Options) {
    let mut probe = Probe::new(check(walk, table));
    for (name, place) in [("every", &mut probe.every), ("timeout", &mut probe.timeout)] {
        if let Some(value) = table.get(name)
            && let Some(time) = walk.duration(name, value)
        {
            if time.is_zero() {
                let d = Diagnostic::error(&value.origin, format!("`{name}` cannot be zero"));
                walk.push(d.help("write a duration, as in `2s`"));
            }
            *place = time;
        }
    }
    if let Some(value) = table.get("port") {
        let port = walk.number("port", value, u16::MAX.into());
        probe.port = port.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    }
    options.health.probe = Some(probe);
    for (name, place) in [
        ("fall", &mut options.health.rules.fall),
        ("rise", &mut options.health.rules.rise),
    ] {
        if let Some(value) = table.get(name)
            && let Some(n) = walk.count(name, value)
        {
            *place = u32::try_from(n).unwrap_or(u32::MAX);
        }
    }
}

fn check<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Check {
    let given: Vec<_> = CHECKS.iter().filter_map(|name| table.entry(name)).collect();
    if let [(first, _), (second, _), ..] = given.as_slice() {
        let d = Diagnostic::error(&second.origin, "a probe asks one thing");
        walk.push(
            d.also(&first.origin, "the first")
                .help("leave one of them out"),
        );
    }
    let text = |walk: &mut Walk<'a>, name: &str| {
        let value = table.get(name)?;
        walk.text(name, value).map(str::to_owned)
    };
    let belongs: &[&str] = match given.first().map(|(key, _)| key.name.as_str()) {
        Some("path") => &["status", "body", "host"],
        Some("send") => &["expect"],
        _ => &[],
    };
    for name in ["status", "body", "host", "expect"] {
        if let Some((key, _)) = table.entry(name)
            && !belongs.contains(&name)
        {
            let needs = if name == "expect" { "send" } else { "path" };
            let d = Diagnostic::error(&key.origin, format!("`{name}` stands without `{needs}`"));
            walk.push(d.help(format!("add `{needs}`, or leave this out")));
        }
    }
    match given.first() {
        Some((key, value)) if key.name == "path" => Check::Http {
            path: path(walk, value).unwrap_or_default(),
            expect: Expect {
                status: status(walk, table),
                body: text(walk, "body").unwrap_or_default(),
            },
            host: text(walk, "host"),
        },
        Some((key, _)) if key.name == "grpc" => Check::Grpc {
            service: text(walk, "grpc").unwrap_or_default(),
        },
        Some(_) => Check::Exchange {
            send: text(walk, "send").unwrap_or_default(),
            expect: text(walk, "expect").unwrap_or_default(),
        },
        None => Check::Connect,
    }
}

fn path<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Option<String> {
    let path = walk.text("path", value)?;
    if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!("`{}` is not a path", crate::printable::printable(path));
        walk.push(Diagnostic::error(&value.origin, message).help("write it as in `/healthz`"));
        return None;
    }
    Some(path.to_owned())
}

/// `200`, or `"200-399"`.
fn status<'a>(walk: &mut Walk<'a>, table: &'a Table) -> (u16, u16) {
    let default = Expect::default().status;
    let Some(value) = table.get("status") else {
        return default;
    };
    let code = |text: &str| text.trim().parse::<u16>().ok();
    let range = match &value.data {
        Data::Integer(n) => u16::try_from(*n).ok().map(|n| (n, n)),
        Data::Text(text) => match text.split_once('-') {
            Some((low, high)) => code(low).zip(code(high)),
            None => code(text).map(|n| (n, n)),
        },
        _ => None,
    };
    match range {
        Some((low, high)) if (100..=599).contains(&low) && low <= high && high <= 599 => {
            (low, high)
        }
        _ => {
            let d = Diagnostic::error(&value.origin, "`status` takes a status or a range of them");
            walk.push(d.help("write `200`, or `\"200-399\"`"));
            default
        }
    }
}

/// Notes a probe that the pool's backends do not understand.
fn speakable(walk: &mut Walk<'_>, value: &Value, options: &Options) {
    let Some(probe) = &options.health.probe else {
        return;
    };
    let (what, is_spoken): (_, fn(Carries) -> bool) = match &probe.check {
        Check::Connect => ("connecting", |c| c != Carries::Datagram),
        Check::Http { .. } => ("a path", |c| c == Carries::Request),
        Check::Grpc { .. } => ("gRPC", |c| c == Carries::Request),
        Check::Exchange { .. } => ("`send`", |c| c != Carries::Request),
    };
    let cannot = |carries: Carries, scheme| can_answer(scheme, carries) && is_spoken(carries);
    let all = [
        Carries::Stream,
        Carries::Datagram,
        Carries::Message,
        Carries::Request,
    ];
    for member in &options.members {
        let scheme = member.endpoint.scheme();
        if !all.into_iter().any(|carries| cannot(carries, scheme)) {
            let message = format!("{what} cannot be probed on {scheme} ({})", scheme.carries());
            let help = match scheme.carries() {
                Carries::Datagram => "write `health = { send = \"ping\", expect = \"pong\" }`",
                Carries::Request => "write `health = { path = \"/healthz\" }`",
                _ => "write `health = {}` to connect, or `health = { send = …, expect = … }`",
            };
            walk.push(Diagnostic::error(&value.origin, message).help(help));
            return;
        }
    }
}

/// `passive = { failures = 3, … }`, or `passive = "none"`.
fn passive<'a>(walk: &mut Walk<'a>, table: &'a Table, passive: &mut Passive) {
    const KEYS: [&str; 6] = [
        "failures",
        "share",
        "window",
        "requests",
        "pause",
        "pause_max",
    ];
    let Some((key, value)) = table.entry("passive") else {
        return;
    };
    if matches!(&value.data, Data::Text(text) if text == "none") {
        (passive.failures, passive.share) = (0, 0);
        return;
    }
    let Some(table) = walk.table(key, value, &KEYS, |_| None) else {
        return;
    };
    if let Some(value) = table.get("failures") {
        let failures = walk.number("failures", value, 1_000_000);
        passive.failures = failures.unwrap_or(passive.failures);
    }
    if let Some(value) = table.get("share") {
        passive.share = walk.percent("share", value).unwrap_or(passive.share);
    }
    if let Some(value) = table.get("requests") {
        let requests = walk.count("requests", value);
        passive.requests = requests.map_or(passive.requests, |n| n as u64);
    }
    for (name, place) in [
        ("window", &mut passive.window),
        ("pause", &mut passive.pause),
        ("pause_max", &mut passive.pause_max),
    ] {
        if let Some(value) = table.get(name) {
            *place = walk.duration(name, value).unwrap_or(*place);
        }
    }
    if let Some(value) = table.get("pause_max")
        && passive.pause_max < passive.pause
    {
        let d = Diagnostic::error(&value.origin, "`pause_max` is shorter than `pause`");
        walk.push(d.help("the first pause is `pause`, and each further one twice as long"));
    }
}

/// `panic = { below = "50%", policy = "all" }`, or the policy alone.
fn panic<'a>(walk: &mut Walk<'a>, table: &'a Table, options: &mut Options) {
    let panic = &mut options.health.panic;
    let policies = Policy::ALL.map(|policy| (policy.as_str(), policy));
    let Some((key, value)) = table.entry("panic") else {
        return;
    };
    if let Data::Text(_) = &value.data {
        panic.policy = walk.choice("panic", value, &policies).unwrap_or_default();
        return;
    }
    let Some(table) = walk.table(key, value, &["below", "policy"], |_| None) else {
        return;
    };
    if let Some(value) = table.get("below") {
        panic.below = walk.percent("below", value).unwrap_or(panic.below);
    }
    if let Some(value) = table.get("policy") {
        panic.policy = walk.choice("policy", value, &policies).unwrap_or_default();
    }
}

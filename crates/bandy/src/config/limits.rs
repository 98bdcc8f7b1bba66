//! The limits of a server: `limits`.

use super::diagnostic::Diagnostic;
use super::raw::{Data, Key, Table, Value};
use super::walk::Walk;
use crate::limits::{HttpLimits, Limits, Overload};
use crate::server::Model;

pub(super) const LIMIT_KEYS: [&str; 21] = [
    "connections",
    "overload",
    "handshake",
    "idle",
    "lifetime",
    "drain",
    "message",
    "flows",
    "flow_idle",
    "flow_queue",
    "head",
    "keep_alive",
    "head_size",
    "target",
    "fields",
    "body",
    "body_rate",
    "body_grace",
    "send",
    "requests",
    "streams",
];

/// Those of HTTP among them.
const HTTP_KEYS: [&str; 11] = [
    "head",
    "keep_alive",
    "head_size",
    "target",
    "fields",
    "body",
    "body_rate",
    "body_grace",
    "send",
    "requests",
    "streams",
];

/// What a server listens for, as far as its limits care.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listens {
    pub(super) has_flows: bool,
    pub(super) has_requests: bool,
    /// Whether people talk over it, who may be quiet for long.
    pub(super) is_chat: bool,
    /// The longest body that something behind it takes, where that is more than usual.
    pub(super) body_bytes: Option<u64>,
}

/// The server's `limits`.
pub(super) fn limits<'a>(
    walk: &mut Walk<'a>,
    server: &'a Table,
    model: Model,
    listens: Listens,
) -> Limits {
    let mut limits = Limits::default();
    if model == Model::Threads {
        limits.connections = Limits::CONNECTIONS_THREADS;
    }
    if let Some(max) = listens.body_bytes {
        limits.http.body_bytes = max;
    }
    if listens.is_chat {
        limits.idle = Some(Limits::IDLE_CHAT);
    }
    let Some((key, value)) = server.entry("limits") else {
        return limits;
    };
    let Some(table) = walk.table(key, value, &LIMIT_KEYS, |_| None) else {
        return limits;
    };
    for (key, value) in &table.0 {
        let name = key.name.as_str();
        let is_flows = name.starts_with("flow") && LIMIT_KEYS.contains(&name);
        let scheme = match (is_flows, HTTP_KEYS.contains(&name)) {
            (true, _) if !listens.has_flows => Some("udp://"),
            (_, true) if !listens.has_requests => Some("http:// or https://"),
            _ => None,
        };
        if let Some(scheme) = scheme {
            let message = format!("`{name}` has no effect: this server listens on no {scheme}");
            let help = "add such a listener, or leave this out";
            walk.no_effect(&key.origin, message, "not used", help);
        }
        limit(walk, &mut limits, key, value);
    }
    limits
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn limit<'a>(walk: &mut Walk<'a>, limits: &mut Limits, key: &Key, value: &'a Value) {
    let name = key.name.as_str();
    match name {
        "connections" => set(&mut limits.connections, walk.count(name, value)),
        "overload" => {
            let choices = Overload::ALL.map(|o| (o.as_str(), o));
            set(&mut limits.overload, walk.choice(name, value, &choices));
        }
        "message" => set(&mut limits.message_bytes, walk.size(name, value)),
        "flows" => set(&mut limits.flows, walk.count(name, value)),
        "flow_queue" => set(&mut limits.flow_queue, walk.count(name, value)),
        // To close everything at once is a way to stop.
        "drain" => set(&mut limits.drain, walk.duration(name, value)),
        "handshake" | "flow_idle" => {
            let Some(duration) = walk.duration(name, value) else {
                return;
            };
            if duration.is_zero() {
                zero(walk, name, value, "write a duration, as in `10s`");
            }
            match name {
                "handshake" => limits.handshake = duration,
                _ => limits.flow_idle = duration,
            }
        }
        "idle" | "lifetime" => {
            let Some(duration) = walk.duration_or_none(name, value) else {
                return;
            };
            if duration.is_some_and(|d| d.is_zero()) {
                zero(walk, name, value, "write `none` for no limit");
            }
            match name {
                "idle" => limits.idle = duration,
                _ => limits.lifetime = duration,
            }
        }
        name if HTTP_KEYS.contains(&name) => http_limit(walk, &mut limits.http, name, value),
        // Already noted as an unknown key.
        _ => {}
    }
}

fn http_limit<'a>(walk: &mut Walk<'a>, limits: &mut HttpLimits, name: &str, value: &'a Value) {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    match name {
        "head_size" => set(&mut limits.head_bytes, walk.size(name, value)),
        "target" => set(&mut limits.target_bytes, walk.size(name, value)),
        "fields" => set(&mut limits.fields, walk.count(name, value)),
        "body" => set(&mut limits.body_bytes, walk.bytes(name, value)),
        "streams" => set(&mut limits.streams, walk.count(name, value).map(narrow)),
        // No bound is 0 there.
        "body_rate" if is_none(value) => limits.body_rate = 0,
        "body_rate" => set(&mut limits.body_rate, walk.bytes(name, value)),
        "requests" if is_none(value) => limits.requests = 0,
        "requests" => {
            let count = walk.count(name, value).map(|n| n as u64);
            set(&mut limits.requests, count);
        }
        "keep_alive" => {
            let Some(duration) = walk.duration_or_none(name, value) else {
                return;
            };
            if duration.is_some_and(|d| d.is_zero()) {
                zero(walk, name, value, "write `none` for no limit");
            }
            limits.keep_alive = duration;
        }
        // A body may have to keep its rate from the first byte on.
        "body_grace" => set(&mut limits.body_grace, walk.duration(name, value)),
        _ => {
            let Some(duration) = walk.duration(name, value) else {
                return;
            };
            if duration.is_zero() {
                zero(walk, name, value, "write a duration, as in `10s`");
            }
            match name {
                "head" => limits.head = duration,
                _ => limits.send = duration,
            }
        }
    }
}

fn is_none(value: &Value) -> bool {
    matches!(&value.data, Data::Text(text) if text == "none")
}

fn zero(walk: &mut Walk<'_>, name: &str, value: &Value, help: &str) {
    let d = Diagnostic::error(&value.origin, format!("`{name}` cannot be zero"));
    walk.push(d.label("every connection would end at once").help(help));
}

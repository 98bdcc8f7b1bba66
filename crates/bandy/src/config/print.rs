//! Configurations as TOML text: as written, or as planned with every default.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::diagnostic::Origin;
use super::plan::{Plan, Server};
use super::quantity::{print_duration, print_size};
use super::raw::{Config, Data, Key, Table, Value};
use super::{print_route, print_state};
use crate::endpoint::{Carries, Endpoint};
use crate::limits::{HttpLimits, Limits};
use crate::net::tls::{ClientAuth, ServerTls};
use crate::services::{Answers, Spec};

/// Nothing is printed wider than this on one line, where it can be broken.
const WIDTH: usize = 100;

impl Config {
    /// The configuration as TOML text; parsing it gives the same values.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        print_table(&mut out, &mut Vec::new(), &self.root);
        out
    }
}

impl Plan {
    /// The plan as TOML text, every default written out; parsing it gives the same plan.
    pub fn to_toml(&self) -> String {
        self.to_raw().to_toml()
    }

    /// The configuration that means this plan, every default written out.
    pub fn to_raw(&self) -> Config {
        let mut config = Config::default();
        print_state::write(&mut config.root, self);
        for server in &self.servers {
            write_server(&mut config.root, server);
        }
        config
    }
}

fn write_server(root: &mut Table, server: &Server) {
    let mut set = |path: &[&str], data: Data| {
        let path = [&["server", server.name.as_str()], path].concat();
        root.set(&path, data, Origin::Nowhere);
    };
    let listen = server.listen.iter().map(ToString::to_string);
    set(&["listen"], Data::texts(listen, &Origin::Nowhere));
    match &server.answers {
        Answers::Service(spec) => write_service(spec, &mut set),
        Answers::Routes(routes) => {
            let routes = routes.iter().map(|route| {
                let table = Data::Table(print_route::table(route));
                Value::new(table, Origin::Nowhere)
            });
            set(&["route"], Data::List(routes.collect()));
        }
    }
    set(&["model"], server.model.as_str().into());
    if !server.origins.is_empty() {
        set(&["origins"], Data::texts(&server.origins, &Origin::Nowhere));
    }
    write_tls(&server.tls, &mut set);
    let is_http = |e: &Endpoint| e.scheme().carries() == Carries::Request;
    let has_requests = server.listen.iter().any(is_http);
    write_limits(&server.limits, has_requests, &mut set);
}

pub(super) fn write_service(service: &Spec, set: &mut impl FnMut(&[&str], Data)) {
    match service {
        Spec::Greet { text } => set(&["service", "greet"], text.as_str().into()),
        Spec::Reply { template, pause } => {
            set(&["service", "reply", "template"], template.as_str().into());
            set(&["service", "reply", "pause"], or_none(*pause));
        }
        Spec::Exec { command, programs } => {
            let command = Data::texts(command, &Origin::Nowhere);
            set(&["service", "exec", "command"], command);
            set(&["service", "exec", "programs"], number(*programs));
        }
        Spec::Files(options) => print_state::write_files(options, set),
        Spec::Api(options) => print_state::write_api(options, set),
        Spec::Echo | Spec::Discard | Spec::Chargen => set(&["service"], service.name().into()),
    }
}

fn write_tls(tls: &ServerTls, set: &mut impl FnMut(&[&str], Data)) {
    // Paths come from TOML or from arguments that had to be UTF-8.
    let path = |p: &Path| Data::Text(p.to_string_lossy().into_owned());
    if let Some(identity) = &tls.identity {
        set(&["tls", "cert"], path(&identity.cert));
        set(&["tls", "key"], path(&identity.key));
    }
    let (clients, ca) = match &tls.clients {
        ClientAuth::None => return,
        ClientAuth::Optional(ca) => ("optional", ca),
        ClientAuth::Required(ca) => ("required", ca),
    };
    set(&["tls", "client_ca"], path(ca));
    set(&["tls", "clients"], clients.into());
}

fn write_limits(limits: &Limits, has_requests: bool, set: &mut impl FnMut(&[&str], Data)) {
    // Named one by one, so that a new limit cannot be forgotten here.
    let Limits {
        connections,
        overload,
        handshake,
        idle,
        lifetime,
        drain,
        message_bytes,
        flows,
        flow_idle,
        flow_queue,
        http,
    } = limits;
    let mut set = |name, data| set(&["limits", name], data);
    set("connections", number(*connections));
    set("overload", overload.as_str().into());
    set("handshake", print_duration(*handshake).into());
    set("idle", or_none(*idle));
    set("lifetime", or_none(*lifetime));
    set("drain", print_duration(*drain).into());
    set("message", print_size(*message_bytes as u64).into());
    set("flows", number(*flows));
    set("flow_idle", print_duration(*flow_idle).into());
    set("flow_queue", number(*flow_queue));
    let HttpLimits {
        head,
        keep_alive,
        head_bytes,
        target_bytes,
        fields,
        body_bytes,
        body_rate,
        body_grace,
        send,
        requests,
        streams,
    } = http;
    // A server that speaks no HTTP has no use for them.
    if !has_requests && *http == HttpLimits::default() {
        return;
    }
    set("head", print_duration(*head).into());
    set("keep_alive", or_none(*keep_alive));
    set("head_size", print_size(*head_bytes as u64).into());
    set("target", print_size(*target_bytes as u64).into());
    set("fields", number(*fields));
    set("body", print_size(*body_bytes).into());
    set("body_rate", or_zero(*body_rate, |n| print_size(n).into()));
    set("body_grace", print_duration(*body_grace).into());
    set("send", print_duration(*send).into());
    set(
        "requests",
        or_zero(*requests, |n| Data::Integer(n.cast_signed())),
    );
    set("streams", number(*streams as usize));
}

/// A number of which 0 is no bound.
pub(super) fn or_zero(n: u64, print: impl Fn(u64) -> Data) -> Data {
    match n {
        0 => "none".into(),
        n => print(n),
    }
}

pub(super) fn number(n: usize) -> Data {
    Data::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(super) fn or_none(duration: Option<Duration>) -> Data {
    match duration {
        Some(duration) => print_duration(duration).into(),
        None => "none".into(),
    }
}

/// A table with its header: first what fits on a line each, then the tables that do not.
fn print_table<'a>(out: &mut String, path: &mut Vec<&'a str>, table: &'a Table) {
    let (inner, lines) = divided(path.len(), table);
    if !lines.is_empty() || inner.is_empty() && !path.is_empty() {
        print_header(out, path, ["[", "]"]);
    }
    print_body(out, path, inner, lines);
}

type Entries<'a> = Vec<&'a (Key, Value)>;

/// The entries of a table that have a header of their own, and those that stand on a line.
fn divided(depth: usize, table: &Table) -> (Entries<'_>, Entries<'_>) {
    let has_header = |(key, value): &&(Key, Value)| has_own_header(depth, &key.name, value);
    table.0.iter().partition(has_header)
}

fn print_header(out: &mut String, path: &[&str], [open, close]: [&str; 2]) {
    if !out.is_empty() {
        out.push('\n');
    }
    if !path.is_empty() {
        let path: Vec<String> = path.iter().map(|name| quote_key(name)).collect();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "{open}{}{close}", path.join("."));
    }
}

fn print_body<'a>(
    out: &mut String,
    path: &mut Vec<&'a str>,
    inner: Entries<'a>,
    lines: Entries<'a>,
) {
    for (key, value) in lines {
        print_line(out, quote_key(&key.name), value);
    }
    for (key, value) in inner {
        path.push(&key.name);
        match &value.data {
            Data::Table(table) => print_table(out, path, table),
            Data::List(items) => {
                for table in items.iter().filter_map(as_table) {
                    let (inner, lines) = divided(path.len(), table);
                    print_header(out, path, ["[[", "]]"]);
                    print_body(out, path, inner, lines);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

fn as_table(value: &Value) -> Option<&Table> {
    match &value.data {
        Data::Table(table) => Some(table),
        _ => None,
    }
}

/// `server` and each server always, and so each route; what else is in a server only if it is too wide for a line.
fn has_own_header(depth: usize, key: &str, value: &Value) -> bool {
    match &value.data {
        Data::Table(table) if depth >= 2 => match table.0.as_slice() {
            [(key, value)] => has_own_header(depth + 1, &key.name, value),
            _ => key.len() + 3 + inline(value).len() > WIDTH,
        },
        Data::Table(_) => true,
        Data::List(items) if depth == 2 => {
            !items.is_empty() && items.iter().all(|item| as_table(item).is_some())
        }
        _ => false,
    }
}

fn print_line(out: &mut String, key: String, value: &Value) {
    match &value.data {
        // `service.greet = "Hi"`, rather than `service = { greet = "Hi" }`.
        Data::Table(table) if table.0.len() == 1 => {
            let (inner, value) = &table.0[0];
            print_line(out, format!("{key}.{}", quote_key(&inner.name)), value);
        }
        Data::List(items) if items.len() > 1 && key.len() + 3 + inline(value).len() > WIDTH => {
            let _ = writeln!(out, "{key} = [");
            for item in items {
                let _ = writeln!(out, "  {},", inline(item));
            }
            out.push_str("]\n");
        }
        _ => {
            let _ = writeln!(out, "{key} = {}", inline(value));
        }
    }
}

fn inline(value: &Value) -> String {
    match &value.data {
        Data::Text(text) => quote(text),
        Data::Integer(n) => n.to_string(),
        Data::Boolean(b) => b.to_string(),
        Data::Other { text, .. } => text.clone(),
        Data::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Data::Table(table) if table.0.is_empty() => "{}".to_owned(),
        Data::Table(table) => {
            let entry = |(key, value): &(Key, Value)| {
                format!("{} = {}", quote_key(&key.name), inline(value))
            };
            let entries: Vec<String> = table.0.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn quote_key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        escape(name)
    }
}

/// A TOML string: literal where that saves escapes, over several lines where it has them.
fn quote(text: &str) -> String {
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains('\n')
        && !text.contains("''")
        && !text.ends_with('\'')
        && !text.contains(is_odd)
    {
        return format!("'''\n{text}'''");
    }
    let is_plain = !text.contains('\'') && !text.contains(char::is_control);
    if is_plain && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    escape(text)
}

/// A TOML string on one line.
fn escape(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;

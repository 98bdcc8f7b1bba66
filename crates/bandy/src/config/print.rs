//! Configurations as TOML text: as written, or as planned with every default.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::diagnostic::Origin;
use super::plan::{Plan, Server};
use super::print_route;
use super::quantity::{print_duration, print_size};
use super::raw::{Config, Data, Key, Table, Value};
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
fn or_zero(n: u64, print: impl Fn(u64) -> Data) -> Data {
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
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::endpoint::Scheme;
    use crate::http::StatusCode;
    use crate::http::router::{
        Access, Addresses, By, Certificates, Compression, Cors, Fields, Fixed, Layers, Range, Rate,
        Redirect, Scope, Secret, User,
    };
    use crate::limits::Overload;
    use crate::net::tls::Identity;
    use crate::server::Model;
    use crate::services::{Route, To};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn any_duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (1..100_000_u64).prop_map(Duration::from_secs),
            (1..u64::from(u32::MAX)).prop_map(Duration::from_nanos),
        ]
    }

    fn any_count() -> impl Strategy<Value = usize> {
        prop_oneof![
            1..10_000_usize,
            Just(u32::MAX as usize),
            1..u32::MAX as usize
        ]
    }

    fn any_service() -> impl Strategy<Value = Spec> {
        prop_oneof![
            Just(Spec::Echo),
            Just(Spec::Discard),
            Just(Spec::Chargen),
            any::<String>().prop_map(|text| Spec::Greet { text }),
            ("\\PC*", option::of(any_duration())).prop_map(|(text, pause)| Spec::Reply {
                template: format!("{}{{message}}", text.replace('{', "{{").replace('}', "}}")),
                pause,
            }),
            (vec("[^\0]+", 1..20), any_count())
                .prop_map(|(command, programs)| Spec::Exec { command, programs }),
        ]
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let host = prop_oneof![Just("app.example"), Just("*.example.com"), Just("[::1]")];
        let path = prop_oneof![Just("/*"), Just("/"), Just("/api/*"), Just("/users/{id}")];
        let method = prop_oneof![Just("GET"), Just("PURGE")];
        (vec(host, 0..3), path, vec(method, 0..3)).prop_map(|(hosts, path, methods)| Scope {
            hosts: hosts.iter().map(|h| h.parse().expect("a host")).collect(),
            path: path.parse().expect("a path"),
            methods: methods
                .iter()
                .map(|m| m.parse().expect("a method"))
                .collect(),
        })
    }

    fn any_to() -> impl Strategy<Value = To> {
        let fixed = (200..600_u16, "\\PC*").prop_map(|(status, body)| {
            let status = StatusCode::from_u16(status).expect("a status");
            let has_none = [204, 205, 304].contains(&status.as_u16());
            let body = if has_none { String::new() } else { body };
            To::Fixed(Fixed {
                status,
                media_type: match body.is_empty() {
                    true => Fixed::MEDIA_TYPE.to_owned(),
                    false => "text/html".to_owned(),
                },
                body,
            })
        });
        let redirect = select(&Redirect::STATUSES).prop_map(|status| {
            let to = "https://{host}{path_and_query}".parse().expect("a target");
            To::Redirect(Redirect { status, to })
        });
        let is_request = |spec: &Spec| spec.stands_on(Carries::Request);
        let service = any_service().prop_filter("requests", is_request);
        prop_oneof![fixed, redirect, service.prop_map(To::Service)]
    }

    fn any_fields() -> impl Strategy<Value = Fields> {
        let name = || select(vec!["x-a", "server", "vary"]);
        let rules = (0..3_u8, name(), "[!-~]([ -~]*[!-~])?");
        vec(rules, 0..6).prop_map(|rules| {
            let fields = Fields::new();
            rules.iter().fold(fields, |fields, (way, name, value)| {
                match way {
                    0 => fields.remove(name),
                    1 => fields.set(name, value),
                    _ => fields.add(name, value),
                }
                .expect("a rule")
            })
        })
    }

    fn any_access() -> impl Strategy<Value = Access> {
        let ranges = || vec(select(vec!["10.0.0.0/8", "::1", "2001:db8::/32"]), 0..3);
        let users = || {
            let user = |(name, secret): (String, String)| User {
                name,
                secret: Secret::new(secret),
            };
            proptest::collection::btree_map("[a-zé .]{1,9}", "[!-~]{1,20}", 0..3)
                .prop_map(move |users| users.into_iter().map(user).collect())
        };
        let names = option::of(vec("[a-z@]{1,9}", 0..3));
        let certificates = names.prop_map(|names| Some(Certificates { names: names? }));
        (ranges(), ranges(), users(), users(), certificates).prop_map(
            |(allow, deny, users, tokens, certificates)| {
                let parsed = |texts: Vec<&str>| {
                    let ranges = texts.iter().map(|t| t.parse().expect("a range"));
                    ranges.collect::<Vec<Range>>()
                };
                Access {
                    addresses: Addresses {
                        allow: parsed(allow),
                        deny: parsed(deny),
                    },
                    certificates,
                    users,
                    tokens,
                    login: None,
                }
            },
        )
    }

    fn any_cors() -> impl Strategy<Value = Cors> {
        let names = || vec(select(vec!["x-a", "x-b"]), 0..3);
        let age = option::of((0..100_000_u64).prop_map(Duration::from_secs));
        let origins = vec(select(vec!["https://a.example", "http://b:1"]), 1..3);
        (origins, names(), names(), any::<bool>(), age).prop_map(
            |(origins, headers, expose, credentials, max_age)| {
                let names =
                    |names: Vec<&str>| names.iter().map(|n| n.parse().expect("it")).collect();
                Cors {
                    origins: origins.into_iter().map(str::to_owned).collect(),
                    methods: Vec::new(),
                    headers: names(headers),
                    expose: names(expose),
                    credentials,
                    max_age,
                }
            },
        )
    }

    fn any_route() -> impl Strategy<Value = Route> {
        let rate = (1..u32::MAX, any_duration(), 1..u32::MAX, select(&By::ALL));
        let rate = rate.prop_map(|(requests, every, burst, by)| Rate {
            requests,
            every,
            burst,
            by,
        });
        let bytes = || 1..1_u64 << 60;
        let compression = bytes().prop_map(|min_bytes| Compression { min_bytes });
        let strip = any::<bool>();
        let some = (
            option::of(rate),
            option::of(compression),
            option::of(any_cors()),
        );
        let rest = (
            option::of(bytes()),
            any_fields(),
            any_fields(),
            any_access(),
        );
        (any_scope(), any_to(), strip, some, rest).prop_map(
            |(scope, to, strip, (rate, compression, cors), rest)| {
                let (body_bytes, request, response, access) = rest;
                let is_below = scope.path.always_begins_with("/api");
                let layers = Layers {
                    strip: (strip && is_below).then(|| "/api".to_owned()),
                    request,
                    response,
                    body_bytes,
                    access,
                    rate,
                    compression,
                    cors,
                };
                Route { scope, layers, to }
            },
        )
    }

    /// Routes, on endpoints that have ports of their own, from `first` on.
    fn any_router(first: usize) -> impl Strategy<Value = Server> {
        let identity = ClientAuth::Optional("ca.pem".into());
        (vec(any_route(), 1..4), any_limits()).prop_map(move |(routes, limits)| {
            let listen = ["http", "https"].iter().zip(first..);
            let listen = listen.map(|(scheme, port)| format!("{scheme}://[::1]:{port}"));
            Server {
                name: format!("edge{first}"),
                listen: listen
                    .map(|url| url.parse().expect("an endpoint"))
                    .collect(),
                answers: Answers::Routes(routes),
                model: Model::Async,
                tls: ServerTls {
                    identity: None,
                    clients: identity.clone(),
                },
                origins: Vec::new(),
                limits,
            }
        })
    }

    fn any_tls() -> impl Strategy<Value = ServerTls> {
        let clients = prop_oneof![
            Just(ClientAuth::None),
            "[^\0]+".prop_map(|ca| ClientAuth::Optional(ca.into())),
            "[^\0]+".prop_map(|ca| ClientAuth::Required(ca.into())),
        ];
        let identity = ("[^\0]+", "[^\0]+").prop_map(|(cert, key)| Identity {
            cert: cert.into(),
            key: key.into(),
        });
        (option::of(identity), clients)
            .prop_map(|(identity, clients)| ServerTls { identity, clients })
    }

    fn any_http() -> impl Strategy<Value = HttpLimits> {
        let times = (any_duration(), any_duration(), any_duration());
        let counts = (any_count(), any_count(), any_count(), any_count());
        let keep_alive = option::of(any_duration());
        let rest = (0..1_u64 << 60, 0..100_u64, 1..u32::MAX);
        (times, counts, keep_alive, rest).prop_map(|(times, counts, keep_alive, rest)| HttpLimits {
            head: times.0,
            keep_alive,
            head_bytes: counts.0,
            target_bytes: counts.1,
            fields: counts.2,
            body_bytes: rest.0 + 1,
            body_rate: rest.0,
            body_grace: times.1,
            send: times.2,
            requests: rest.1,
            streams: rest.2,
        })
    }

    fn any_limits() -> impl Strategy<Value = Limits> {
        let counts = (any_count(), any_count(), any_count(), any_count());
        let times = (any_duration(), any_duration(), any_duration());
        let optional = (option::of(any_duration()), option::of(any_duration()));
        (counts, times, optional, select(&Overload::ALL), any_http()).prop_map(
            |(counts, times, optional, overload, http)| Limits {
                connections: counts.0,
                overload,
                handshake: times.0,
                idle: optional.0,
                lifetime: optional.1,
                drain: times.1,
                message_bytes: counts.1,
                flows: counts.2,
                flow_idle: times.2,
                flow_queue: counts.3,
                http,
            },
        )
    }

    /// A server whose endpoints have ports of their own, from `first` on.
    fn any_server(first: usize) -> impl Strategy<Value = Server> {
        let schemes = vec(select(&Scheme::ALL), 1..8);
        let origins = vec(
            select(vec!["*", "null", "https://app.example", "http://a:1"]),
            0..4,
        );
        let rest = (select(&Model::ALL), any_tls(), origins, any_limits());
        (any_service(), schemes, "[a-zA-Z0-9_-]{0,8}", rest).prop_map(
            move |(service, schemes, name, (model, tls, origins, limits))| {
                // Every service stands on a stream.
                let schemes = std::iter::once(&Scheme::Tcp).chain(schemes.iter());
                let schemes = schemes.filter(|s| service.stands_on(s.carries()));
                let endpoint = |(n, scheme): (usize, &Scheme)| {
                    let n = first + n;
                    let text = match scheme {
                        Scheme::Unix => format!("unix:///tmp/{n} é.sock"),
                        Scheme::Mem => format!("mem://inner-{n}"),
                        Scheme::Ws => format!("ws://[::1]:{n}/chat?q={n}"),
                        scheme => format!("{scheme}://host-{n}.example:{n}"),
                    };
                    text.parse().expect("an endpoint")
                };
                Server {
                    name: format!("{name}{first}"),
                    listen: schemes.enumerate().map(endpoint).collect(),
                    answers: Answers::Service(service),
                    model,
                    tls,
                    origins: origins.into_iter().map(str::to_owned).collect(),
                    limits,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_plan(
            servers in (any_server(1), any_router(100), any_server(200), 1..=3_usize)
        ) {
            let (a, b, c, n) = servers;
            let plan = Plan { servers: [a, b, c].into_iter().take(n).collect() };
            let text = plan.to_toml();
            match parse("printed", &text) {
                Ok((again, _)) => prop_assert_eq!(again, plan, "{}", text),
                Err(report) => prop_assert!(false, "{}\n{}", report.lines(), text),
            }
        }
    }

    #[test]
    fn routes_are_written_as_people_write_them() {
        let text = "[server.edge]\nlisten = \"http://:8080\"\n\
            [[server.edge.route]]\npath = \"/api/*\"\nservice = \"echo\"\nrate.requests = 10\n\
            response.set.x-a = \"b\"\n\
            [[server.edge.route]]\nredirect = \"/api\"\n";
        let (plan, _) = parse("a", text).expect("a plan");
        let toml = plan.to_toml();
        let routes = toml.find("[[").map(|at| &toml[at..]);
        let printed = "\
[[server.edge.route]]
path = \"/api/*\"
service = \"echo\"
response.set.x-a = \"b\"
rate = { requests = 10, every = \"1s\", burst = 10, by = \"address\" }

[[server.edge.route]]
redirect = { to = \"/api\", status = 307 }

";
        assert!(routes.is_some_and(|r| r.starts_with(printed)), "{toml}");
    }

    #[test]
    fn defaults_are_written_out() {
        let text = "[server.a]\nlisten = \"tcp://:7000\"\nservice.reply = \"say \\\"{message}\\\"\"\nmodel = \"threads\"\n";
        let (plan, _) = parse("a", text).expect("a plan");
        let printed = "\
[server.a]
listen = [\"tcp://127.0.0.1:7000\"]
service.reply = { template = 'say \"{message}\"', pause = \"200ms\" }
model = \"threads\"

[server.a.limits]
connections = 1000
overload = \"wait\"
handshake = \"10s\"
idle = \"5m\"
lifetime = \"none\"
drain = \"10s\"
message = \"1MiB\"
flows = 10000
flow_idle = \"30s\"
flow_queue = 256
";
        assert_eq!(plan.to_toml(), printed);
    }
}

//! What is to run: names linked, everything checked, every default filled in. No I/O.
//!
//! [`check`] turns a [`raw::Config`] into a [`Plan`]; whoever starts servers reads only that.

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, Origin, Report};
use super::limits::Listens;
use super::raw::{self, Data, Key, Table, Value};
use super::walk::{Meant, Walk, did_you_mean, listed};
use super::{admin, limits, listen, options, pool as pools, route, state};
use crate::accounts;
use crate::endpoint::{Address, Carries, Endpoint};
use crate::limits::Limits;
use crate::net::proxied::Proxied;
use crate::net::tls::ServerTls;
use crate::pool;
use crate::printable::printable;
use crate::server::Model;
use crate::services::{self, Answers, Route, Spec, To};

/// Everything that a configuration declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where it can be looked after while it runs; `None` is nowhere.
    pub admin: Option<services::admin::Options>,
    /// What is remembered, and where; `None` where nothing was said.
    pub state: Option<State>,
    /// How accounts are kept.
    pub accounts: accounts::Options,
    /// The servers, in the order that they were written.
    pub servers: Vec<Server>,
    /// The pools, likewise.
    pub pools: Vec<pool::Options>,
}

pub use super::state::State;

impl Plan {
    /// Whether something of it needs a store.
    pub fn remembers(&self) -> bool {
        let of_route = |route: &Route| {
            let has_login = route.layers.access.login.is_some();
            has_login || matches!(&route.to, To::Service(spec) if spec.remembers())
        };
        self.servers.iter().any(|server| match &server.answers {
            Answers::Service(spec) => spec.remembers(),
            Answers::Routes(routes) => routes.iter().any(of_route),
        })
    }
}

/// One server: where it listens, what answers, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Where it listens; at least one, each of which what answers can stand on.
    pub listen: Vec<Endpoint>,
    /// What answers.
    pub answers: Answers,
    /// How its connections are run.
    pub model: Model,
    /// The certificate of its `tls` and `wss` listeners.
    pub tls: ServerTls,
    /// Which web pages, besides its own and those of this machine, may open a WebSocket to it: origins as in
    /// `https://app.example`, in lower case; `*` is every page.
    pub origins: Vec<String>,
    /// Whose word is taken for whom they bring.
    pub proxied: Proxied,
    /// Its bounds.
    pub limits: Limits,
}

/// Checks a configuration and fills in its defaults.
///
/// With a plan the report has warnings at most; without one it has every error that there is.
pub fn check(config: &raw::Config) -> Result<(Plan, Report), Report> {
    let (plan, found) = walk(config, false);
    let report = Report {
        source: config.source.clone(),
        diagnostics: found,
    };
    if report.errors() == 0 {
        Ok((plan, report))
    } else {
        Err(report)
    }
}

/// The plan as far as it could be made, and everything that was found. It is only to be run without an error.
pub(super) fn walk(config: &raw::Config, is_partial: bool) -> (Plan, Vec<Diagnostic>) {
    let mut walk = Walk {
        config,
        found: Vec::new(),
        is_partial,
        logins: Vec::new(),
        balances: Vec::new(),
    };
    let plan = plan(&mut walk);
    let mut found = walk.found;
    in_order(&mut found);
    (plan, found)
}

/// As one reads the file; what stands nowhere comes first, and flags stay in their order.
pub(super) fn in_order(found: &mut [Diagnostic]) {
    found.sort_by_key(|d| match &d.primary.at {
        Origin::File(span) => span.start + 1,
        _ => 0,
    });
}

const SERVER_KEYS: [&str; 8] = [
    "listen",
    "service",
    "route",
    "model",
    "origins",
    "proxy_protocol",
    "tls",
    "limits",
];

fn plan(walk: &mut Walk<'_>) -> Plan {
    let root = &walk.config.root;
    const KEYS: [&str; 5] = ["server", "pool", "state", "accounts", "admin"];
    walk.keys(root, "a configuration", &KEYS, |name| match name {
        "pools" => Some(Meant::Help("did you mean `pool`?".to_owned())),
        "servers" => Some(Meant::Help("did you mean `server`?".to_owned())),
        _ => None,
    });
    let mut taken = HashMap::new();
    let mut plan = Plan {
        admin: admin::admin(walk, root, &mut taken),
        state: state::state(walk, root),
        accounts: state::accounts(walk, root),
        servers: Vec::new(),
        pools: pools::pools(walk, root),
    };
    let Some((key, value)) = root.entry("server") else {
        // An unknown key beside it says enough.
        if walk.found.is_empty() {
            walk.missing(no_server());
        }
        return plan;
    };
    let Data::Table(servers) = &value.data else {
        walk.wrong_type(
            "server",
            value,
            "a table for each server",
            Some("write `[server.NAME]`"),
        );
        return plan;
    };
    if let Some((first, _)) = servers.0.first()
        && servers
            .0
            .iter()
            .all(|(k, _)| SERVER_KEYS.contains(&k.name.as_str()))
    {
        let d = Diagnostic::error(&key.origin, "this server has no name")
            .also(&first.origin, "a server's key");
        walk.push(d.help("give it one, as in `[server.echo]`"));
        return plan;
    }
    if servers.0.is_empty() {
        walk.missing(no_server());
    }
    for (key, value) in &servers.0 {
        if let Some(server) = server(walk, key, value, &mut taken) {
            plan.servers.push(server);
        }
    }
    state::linked(walk, root, &plan);
    pools::linked(walk, root, &plan);
    plan
}

fn no_server() -> Diagnostic {
    Diagnostic::error(&Origin::Nowhere, "no server is declared").help(
        "write `[server.echo]` and below it `listen = \"tcp://127.0.0.1:7000\"` and `service = \"echo\"`",
    )
}

/// Where a listener was first written, by what can be bound only once.
pub(super) type Taken = HashMap<String, (Endpoint, Origin)>;

fn server<'a>(
    walk: &mut Walk<'a>,
    key: &Key,
    value: &'a Value,
    taken: &mut Taken,
) -> Option<Server> {
    name(walk, key, "server");
    let Data::Table(table) = &value.data else {
        let help = "write `[server.NAME]` and the server's keys below it";
        walk.wrong_type(&key.name, value, "a table", Some(help));
        return None;
    };
    let whose = format!("server `{}`", printable(&key.name));
    walk.keys(table, &whose, &SERVER_KEYS, meant_by);

    let listen = listen::listen(walk, key, table, taken);
    let named = walk.balances.len();
    let mut answers = answers(walk, key, table, &listen);
    pools::stands_on(walk, named, listen.iter().map(|(e, _)| e.clone()));
    let body_bytes = route::longest_body(&mut answers);
    let model = match table.get("model") {
        Some(value) => walk.choice("model", value, &Model::ALL.map(|m| (m.as_str(), m))),
        None => None,
    }
    .unwrap_or_default();
    if let Some(value) = table.get("model")
        && model == Model::Sequential
        && answers.is_chat()
    {
        let message =
            "`chat` cannot be sequential: whoever comes second would wait until the first goes";
        let d = Diagnostic::error(&value.origin, message);
        walk.push(d.help("leave `model` out, or write `threads`"));
    }
    let has = |is: fn(&Endpoint) -> bool| listen.iter().any(|(endpoint, _)| is(endpoint));
    Some(Server {
        name: key.name.clone(),
        model,
        tls: options::tls(walk, table, has(|e| e.scheme().is_secure())),
        origins: options::origins(
            walk,
            table,
            has(|e| e.scheme().carries() == Carries::Message),
        ),
        proxied: options::proxied(walk, table, has(takes_headers)),
        limits: limits::limits(
            walk,
            table,
            model,
            Listens {
                has_flows: has(|e| e.scheme().carries() == Carries::Datagram),
                has_requests: has(|e| e.scheme().carries() == Carries::Request),
                is_chat: matches!(&answers, Answers::Service(Spec::Chat(_))),
                body_bytes,
            },
        ),
        answers,
        listen: listen.into_iter().map(|(endpoint, _)| endpoint).collect(),
    })
}

/// Whether a PROXY header can stand before what is said at an endpoint.
fn takes_headers(endpoint: &Endpoint) -> bool {
    let is_net = matches!(endpoint.address(), Address::Net(..));
    is_net && endpoint.scheme().carries() != Carries::Datagram
}

/// Notes a name that is none, of a server or a pool.
pub(super) fn name(walk: &mut Walk<'_>, key: &Key, whose: &str) {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if key.name.is_empty() || !key.name.bytes().all(is_plain) {
        let d = Diagnostic::error(
            &key.origin,
            format!("`{}` cannot be a {whose}'s name", printable(&key.name)),
        );
        walk.push(d.help("a name is letters, digits, `-` and `_`"));
    }
}

/// What someone may have meant by a key that servers do not have.
fn meant_by(name: &str) -> Option<Meant> {
    if limits::LIMIT_KEYS.contains(&name) {
        return Some(Meant::Help(format!("write it as `limits.{name}`")));
    }
    if options::TLS_KEYS.contains(&name) {
        return Some(Meant::Help(format!("write it as `tls.{name}`")));
    }
    if Spec::NAMES.contains(&name) {
        return Some(Meant::Help(format!("write it as `service.{name}`")));
    }
    match name {
        "routes" => Some(Meant::Help(
            "write each as `[[server.NAME.route]]`".to_owned(),
        )),
        "port" | "address" | "addr" | "bind" | "url" | "endpoint" | "endpoints" => Some(
            Meant::Help("write `listen = \"tcp://127.0.0.1:7000\"`".to_owned()),
        ),
        _ => None,
    }
}

/// One service, or routes: [`Spec::Echo`] stands in for what could not be told.
fn answers<'a>(
    walk: &mut Walk<'a>,
    server: &Key,
    table: &'a Table,
    listen: &[(Endpoint, &Origin)],
) -> Answers {
    match (table.entry("service"), table.entry("route")) {
        (Some((_, value)), None) => {
            let Some((spec, _)) = service(walk, value) else {
                return Answers::Service(Spec::Echo);
            };
            for (endpoint, at) in listen {
                if !spec.stands_on(endpoint.scheme().carries()) {
                    let is_on = |carries| spec.stands_on(carries);
                    walk.push(cannot_stand(&format!("`{spec}`"), is_on, endpoint, at));
                }
            }
            Answers::Service(spec)
        }
        (beside, Some((key, value))) => {
            if let Some((first, value)) = beside {
                service(walk, value);
                let d = Diagnostic::error(&key.origin, "a server has a service or routes")
                    .also(&first.origin, "the service");
                walk.push(d.help("make the service the last route, without `path`"));
            }
            for (endpoint, at) in listen {
                if endpoint.scheme().carries() != Carries::Request {
                    let is_on = |carries| carries == Carries::Request;
                    walk.push(cannot_stand("routes", is_on, endpoint, at));
                }
            }
            Answers::Routes(route::routes(walk, table, value))
        }
        (None, None) => {
            let message = format!("server `{}` has no service", printable(&server.name));
            let d = Diagnostic::error(&server.origin, message).label("needs `service`");
            walk.missing(d.help(format!(
                "add `service = \"echo\"`; the services are {}",
                listed(&Spec::NAMES, "and")
            )));
            Answers::Service(Spec::Echo)
        }
    }
}

/// The service that a `service` key is about, and where its name stands; `None` where there is none of that name.
pub(super) fn service<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Option<(Spec, &'a Origin)> {
    let (name, origin, value) = match &value.data {
        Data::Text(name) => (name.as_str(), &value.origin, None),
        Data::Table(services) => match services.0.as_slice() {
            [(key, value)] => (key.name.as_str(), &key.origin, Some(value)),
            [] => {
                let d = Diagnostic::error(&value.origin, "`service` is empty");
                walk.push(d.help("write one, as in `service = \"echo\"`"));
                return None;
            }
            [(first, _), (second, _), ..] => {
                let d = Diagnostic::error(&second.origin, "a server has one service")
                    .also(&first.origin, "the first")
                    .help(two_services(&first.name, &second.name));
                walk.push(d);
                return None;
            }
        },
        _ => {
            walk.wrong_type(
                "service",
                value,
                "a name or a table",
                Some("write `service = \"echo\"`"),
            );
            return None;
        }
    };
    if !Spec::NAMES.contains(&name) {
        let name = printable(name);
        let d = Diagnostic::error(origin, format!("there is no service `{name}`"));
        let d = d.label("unknown service");
        let all = || format!("the services are {}", listed(&Spec::NAMES, "and"));
        walk.push(d.help(did_you_mean(&name, &Spec::NAMES).unwrap_or_else(all)));
        return None;
    }
    Some((options::service(walk, name, origin, value), origin))
}

/// `service.greet = "Hi"` and `service.text = "x"` beside it: an option that belongs inside, or another service.
fn two_services(first: &str, second: &str) -> String {
    let is_service = |name: &&str| Spec::NAMES.contains(name);
    match [first, second]
        .into_iter()
        .filter(is_service)
        .collect::<Vec<_>>()[..]
    {
        [one] => format!("an option of `{one}` stands in its table: `service.{one} = {{ … }}`"),
        _ => "write another `[server.NAME]` for the other".to_owned(),
    }
}

fn cannot_stand(
    what: &str,
    is_on: impl Fn(Carries) -> bool,
    endpoint: &Endpoint,
    at: &Origin,
) -> Diagnostic {
    use crate::endpoint::Scheme;
    let scheme = endpoint.scheme();
    let schemes: Vec<&str> = Scheme::ALL
        .into_iter()
        .filter(|s| is_on(s.carries()))
        .map(Scheme::as_str)
        .collect();
    let message = format!("{what} cannot stand on {scheme} ({})", scheme.carries());
    Diagnostic::error(at, message)
        .label(format!("not for {what}"))
        .help(format!("listen on {}", listed(&schemes, "or")))
}

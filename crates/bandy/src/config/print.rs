//! From a plan back to the configuration that means it, with every default written out.

mod admin;
mod pool;
mod route;
mod state;
mod text;

use std::path::Path;
use std::time::Duration;

use super::diagnostic::Origin;
use super::plan::{Plan, Server};
use super::quantity::{print_duration, print_size};
use super::raw::{Config, Data, Table, Value};
use crate::endpoint::{Carries, Endpoint};
use crate::limits::{HttpLimits, Limits};
use crate::net::tls::{ClientAuth, ServerTls};
use crate::services::{Answers, Spec};

impl Plan {
    /// The plan as TOML text, every default written out; parsing it gives the same plan.
    pub fn to_toml(&self) -> String {
        self.to_raw().to_toml()
    }

    /// The configuration that means this plan, every default written out.
    pub fn to_raw(&self) -> Config {
        let mut config = Config::default();
        if let Some(options) = &self.admin {
            admin::write(&mut config.root, options);
        }
        state::write(&mut config.root, self);
        for server in &self.servers {
            write_server(&mut config.root, server);
        }
        for pool in &self.pools {
            pool::write(&mut config.root, pool);
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
                let table = Data::Table(route::table(route));
                Value::new(table, Origin::Nowhere)
            });
            set(&["route"], Data::List(routes.collect()));
        }
    }
    set(&["model"], server.model.as_str().into());
    if !server.origins.is_empty() {
        set(&["origins"], Data::texts(&server.origins, &Origin::Nowhere));
    }
    if !server.proxied.from.is_empty() {
        let from = server.proxied.from.iter().map(ToString::to_string);
        set(&["proxy_protocol"], Data::texts(from, &Origin::Nowhere));
    }
    write_tls(&server.tls, &mut set);
    let is_http = |e: &Endpoint| e.scheme().carries() == Carries::Request;
    let has_requests = server.listen.iter().any(is_http);
    write_limits(&server.limits, has_requests, &mut set);
}

fn write_service(service: &Spec, set: &mut impl FnMut(&[&str], Data)) {
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
        Spec::Files(options) => state::write_files(options, set),
        Spec::Api(options) => state::write_api(options, set),
        Spec::Balance(options) => pool::write_balance(options, set),
        Spec::Chat(options) => state::write_chat(options, set),
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

fn number(n: usize) -> Data {
    Data::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn or_none(duration: Option<Duration>) -> Data {
    match duration {
        Some(duration) => print_duration(duration).into(),
        None => "none".into(),
    }
}

#[cfg(test)]
mod tests;

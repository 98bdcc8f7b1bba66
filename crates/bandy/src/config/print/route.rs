//! Routes as TOML.

use super::{number, or_none, write_service};
use crate::config::diagnostic::Origin;
use crate::config::quantity::{print_duration, print_size};
use crate::config::raw::{Data, Table};
use crate::http::router::{
    Access, Compression, Cors, Fields, Fixed, Layers, Rate, Redirect, Scope, User,
};
use crate::services::{Route, To};

/// The table that means this route.
pub(super) fn table(route: &Route) -> Table {
    let mut table = Table::default();
    // Named one by one, so that nothing new can be forgotten here.
    let Route {
        scope: Scope {
            hosts,
            path,
            methods,
        },
        layers,
        to,
    } = route;
    let mut set = |key: &[&str], data: Data| table.set(key, data, Origin::Nowhere);
    if !hosts.is_empty() {
        set(&["host"], texts(hosts));
    }
    if !path.is_any() {
        set(&["path"], path.to_string().into());
    }
    if !methods.is_empty() {
        set(&["method"], texts(methods));
    }
    match to {
        To::Service(spec) => write_service(spec, &mut set),
        To::Redirect(Redirect { status, to }) => {
            set(&["redirect", "to"], to.to_string().into());
            set(&["redirect", "status"], number(status.as_u16().into()));
        }
        To::Fixed(Fixed {
            status,
            media_type,
            body,
        }) => {
            set(&["respond", "status"], number(status.as_u16().into()));
            if !body.is_empty() {
                set(&["respond", "type"], media_type.as_str().into());
                set(&["respond", "body"], body.as_str().into());
            }
        }
    }
    write_layers(layers, &mut set);
    table
}

type Set<'a> = &'a mut dyn FnMut(&[&str], Data);

fn write_layers(layers: &Layers, set: Set<'_>) {
    let Layers {
        strip,
        request,
        response,
        body_bytes,
        access,
        rate,
        compression,
        cors,
    } = layers;
    if let Some(prefix) = strip {
        set(&["strip"], prefix.as_str().into());
    }
    write_fields("request", request, set);
    write_fields("response", response, set);
    if let Some(max) = body_bytes {
        set(&["body"], print_size(*max).into());
    }
    write_access(access, set);
    if let Some(Rate {
        requests,
        every,
        burst,
        by,
    }) = rate
    {
        set(&["rate", "requests"], Data::Integer((*requests).into()));
        set(&["rate", "every"], print_duration(*every).into());
        set(&["rate", "burst"], Data::Integer((*burst).into()));
        set(&["rate", "by"], by.as_str().into());
    }
    if let Some(Compression { min_bytes }) = compression {
        set(&["compress", "min"], print_size(*min_bytes).into());
    }
    if let Some(cors) = cors {
        write_cors(cors, set);
    }
}

fn write_fields(key: &str, fields: &Fields, set: Set<'_>) {
    let removed: Vec<&str> = fields.removed().collect();
    if !removed.is_empty() {
        set(&[key, "remove"], texts(removed));
    }
    for (name, value) in fields.to_set() {
        set(&[key, "set", name], value.into());
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in fields.to_add() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let of_name = fields.to_add().filter(|(n, _)| *n == name);
        set(&[key, "add", name], texts(of_name.map(|(_, value)| value)));
    }
}

fn write_access(access: &Access, set: Set<'_>) {
    let Access {
        addresses,
        certificates,
        users,
        tokens,
        login,
    } = access;
    for (key, ranges) in [("allow", &addresses.allow), ("deny", &addresses.deny)] {
        if !ranges.is_empty() {
            set(&[key], texts(ranges));
        }
    }
    if let Some(certificates) = certificates {
        let names = match certificates.names.is_empty() {
            true => "required".into(),
            false => texts(&certificates.names),
        };
        set(&["certificate"], names);
    }
    for (key, users) in [("users", users), ("tokens", tokens)] {
        for User { name, secret } in users {
            set(&[key, name], secret.reveal().into());
        }
    }
    if let Some(rule) = login {
        set(&["require"], "login".into());
        if !rule.roles.is_empty() {
            set(&["roles"], texts(&rule.roles));
        }
        if let Some(page) = &rule.page {
            set(&["login_page"], page.as_str().into());
        }
    }
}

fn write_cors(cors: &Cors, set: Set<'_>) {
    let Cors {
        origins,
        methods,
        headers,
        expose,
        credentials,
        max_age,
    } = cors;
    set(&["cors", "origins"], texts(origins));
    if !methods.is_empty() {
        set(&["cors", "methods"], texts(methods));
    }
    for (key, names) in [("headers", headers), ("expose", expose)] {
        if !names.is_empty() {
            set(&["cors", key], texts(names));
        }
    }
    set(&["cors", "credentials"], Data::Boolean(*credentials));
    if max_age.is_some() {
        set(&["cors", "max_age"], or_none(*max_age));
    }
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Data {
    let texts = items.into_iter().map(|item| item.to_string());
    Data::texts(texts, &Origin::Nowhere)
}

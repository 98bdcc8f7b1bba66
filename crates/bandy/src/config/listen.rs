//! The listeners of a server: endpoints that parse, and that no other listener has.

use super::diagnostic::{Diagnostic, Origin};
use super::plan::Taken;
use super::raw::{Data, Key, Table};
use super::walk::Walk;
use crate::endpoint::{Address, Carries, Endpoint};
use crate::printable::printable;

/// The endpoints of a server's `listen`, each with its place.
pub(super) fn listen<'a>(
    walk: &mut Walk<'a>,
    server: &Key,
    table: &'a Table,
    taken: &mut Taken,
) -> Vec<(Endpoint, &'a Origin)> {
    const HELP: &str = "add `listen = \"tcp://127.0.0.1:7000\"`";
    let Some(value) = table.get("listen") else {
        let message = format!("server `{}` listens nowhere", printable(&server.name));
        let d = Diagnostic::error(&server.origin, message).label("needs `listen`");
        walk.missing(d.help(HELP));
        return Vec::new();
    };
    let before = walk.found.len();
    let texts = walk.texts("listen", value);
    if texts.is_empty() && walk.found.len() == before {
        let message = format!("server `{}` listens nowhere", printable(&server.name));
        let d = Diagnostic::error(&value.origin, message).label("the list is empty");
        walk.push(d.help("write an endpoint into it, as in `[\"tcp://127.0.0.1:7000\"]`"));
    }
    let mut endpoints = Vec::new();
    for (text, at) in texts {
        let is_http = speaks_http_only(table);
        if let Some(endpoint) = endpoint(walk, text, at, is_http, taken) {
            endpoints.push((endpoint, at));
        }
    }
    endpoints
}

/// An endpoint that no other listener has.
pub(super) fn endpoint(
    walk: &mut Walk<'_>,
    text: &str,
    at: &Origin,
    is_http: bool,
    taken: &mut Taken,
) -> Option<Endpoint> {
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            if endpoint.scheme().carries() == Carries::Request && endpoint.target().len() > 1 {
                let path = printable(endpoint.target());
                let message = format!("`{}` has a path, which nobody listens on", printable(text));
                let help = format!("leave `{path}` out: paths are what a server's routes are for");
                walk.push(Diagnostic::error(at, message).help(help));
            }
            if let Some(d) = already_taken(&endpoint, at, taken) {
                walk.push(d);
            }
            Some(endpoint)
        }
        Err(e) => {
            let help = match !text.contains("://") && is_http {
                true => format!("write `http://{text}`, or `https://{text}`"),
                false => e.hint(),
            };
            walk.push(Diagnostic::error(at, e.to_string()).help(help));
            None
        }
    }
}

/// Whether what answers here stands on nothing but requests.
fn speaks_http_only(server: &Table) -> bool {
    let name = match server.get("service").map(|value| &value.data) {
        Some(Data::Text(name)) => name,
        Some(Data::Table(table)) => match table.0.first() {
            Some((key, _)) => &key.name,
            None => return false,
        },
        _ => return server.get("route").is_some(),
    };
    matches!(name.as_str(), "files" | "api")
}

/// What is wrong when a listener is where another one is. Port 0 never is.
fn already_taken(endpoint: &Endpoint, at: &Origin, taken: &mut Taken) -> Option<Diagnostic> {
    let place = match endpoint.address() {
        Address::Net(_, 0) => return None,
        Address::Net(host, port) => {
            let is_udp = endpoint.scheme().carries() == Carries::Datagram;
            let transport = if is_udp { "UDP" } else { "TCP" };
            format!("{transport} {host}:{port}")
        }
        _ => endpoint.to_string(),
    };
    let Some((first, first_at)) = taken.get(&place) else {
        taken.insert(place, (endpoint.clone(), at.clone()));
        return None;
    };
    let d = if first == endpoint {
        Diagnostic::error(at, format!("`{endpoint}` is listened on twice")).label("again here")
    } else {
        let message = format!("`{endpoint}` and `{first}` are both {place}");
        Diagnostic::error(at, message).label("the same port")
    };
    let d = d.help("give one of them another port; port 0 takes a free one");
    Some(d.also(first_at, "first here"))
}

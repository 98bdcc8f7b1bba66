//! The backends of a pool: `backend`.

use super::super::diagnostic::{Diagnostic, Origin};
use super::super::raw::{Data, Key, Table, Value};
use super::super::walk::{Meant, Walk, did_you_mean};
use crate::endpoint::{Carries, Endpoint, Scheme};
use crate::pool::options::{Member, Options};
use crate::printable::printable;

const BACKEND_KEYS: [&str; 6] = ["url", "srv", "scheme", "name", "weight", "max"];

pub(super) fn members<'a>(
    walk: &mut Walk<'a>,
    key: &Key,
    table: &'a Table,
    max: Option<usize>,
) -> Vec<Member> {
    const HELP: &str = "add `backend = [\"http://127.0.0.1:5001\"]`";
    let Some(value) = table.get("backend") else {
        let message = format!("pool `{}` has no backend", printable(&key.name));
        let d = Diagnostic::error(&key.origin, message).label("needs `backend`");
        walk.missing(d.help(HELP));
        return Vec::new();
    };
    let items = match &value.data {
        Data::List(items) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    if items.is_empty() {
        let message = format!("pool `{}` has no backend", printable(&key.name));
        walk.push(Diagnostic::error(&value.origin, message).label("the list is empty"));
    }
    let mut members: Vec<(Member, &Origin)> = Vec::new();
    for item in items {
        let Some((member, at)) = member(walk, item, max) else {
            continue;
        };
        if let Some((_, first)) = members.iter().find(|(m, _)| m.name == member.name) {
            let message = format!("`{}` is in the pool twice", printable(&member.name));
            let d = Diagnostic::error(at, message).label("again here");
            let d = d.also(first, "first here");
            walk.push(d.help("for a larger share give it a `weight`; or give it another `name`"));
        }
        members.push((member, at));
    }
    same_sort(walk, &members);
    members.into_iter().map(|(member, _)| member).collect()
}

/// Notes backends that cannot stand in for the first.
fn same_sort(walk: &mut Walk<'_>, members: &[(Member, &Origin)]) {
    let speaks = |(member, _): &&(Member, &Origin)| says_what(member.endpoint.scheme()).is_some();
    let Some((first, first_at)) = members.iter().find(speaks) else {
        return;
    };
    let sort = says_what(first.endpoint.scheme());
    for (member, at) in members {
        let scheme = member.endpoint.scheme();
        if says_what(scheme).is_some() && says_what(scheme) != sort {
            let (other, carries) = (first.endpoint.scheme(), first.endpoint.scheme().carries());
            let message = format!(
                "{scheme} ({}) cannot stand in for {other} ({carries})",
                scheme.carries()
            );
            let d = Diagnostic::error(at, message).also(first_at, "the pool's first backend");
            walk.push(d.help("put it into a pool of its own"));
        }
    }
}

/// What a backend's scheme says of what is spoken there; a Unix socket's says nothing.
fn says_what(scheme: Scheme) -> Option<Carries> {
    match scheme {
        Scheme::Unix | Scheme::Mem => None,
        _ => Some(scheme.carries()),
    }
}

/// `"http://:5001"`, or `{ url = "http://:5001", weight = 2 }`.
fn member<'a>(
    walk: &mut Walk<'a>,
    item: &'a Value,
    max: Option<usize>,
) -> Option<(Member, &'a Origin)> {
    let (url, table) = match &item.data {
        Data::Text(_) => (item, None),
        Data::Table(table) => {
            match item.origin {
                Origin::Flag(_) => behind_url(walk, table),
                _ => keys(walk, table),
            }
            (table.get("url").unwrap_or(item), Some(table))
        }
        _ => {
            let help = "write `\"http://127.0.0.1:5001\"`, or `{ url = …, weight = 2 }`";
            walk.wrong_type("backend", item, "URLs and tables", Some(help));
            return None;
        }
    };
    let Some(table) = table else {
        let member = Member::new(endpoint(walk, url)?);
        return Some((Member { max, ..member }, &url.origin));
    };
    let mut member = match table.entry("srv") {
        Some((key, value)) => service(walk, table, key, value)?,
        None if table.get("url").is_none() => {
            let d = Diagnostic::error(&item.origin, "this backend has no `url`");
            walk.missing(d.help("write `{ url = \"http://127.0.0.1:5001\" }`"));
            return None;
        }
        None => Member::new(endpoint(walk, url)?),
    };
    member.max = max;
    if let Some((scheme, _)) = table.entry("scheme")
        && !member.is_srv
    {
        let d = Diagnostic::error(&scheme.origin, "`scheme` stands without `srv`");
        walk.push(d.help("leave it out: the URL says it"));
    }
    if let Some(value) = table.get("name")
        && let Some(name) = walk.text("name", value)
    {
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let message = format!("`{}` cannot be a backend's name", printable(name));
            walk.push(Diagnostic::error(&value.origin, message).help("write it without spaces"));
        }
        member.name = name.to_owned();
    }
    if let Some(value) = table.get("weight")
        && let Some(weight) = walk.count("weight", value)
    {
        member.weight = u32::try_from(weight).unwrap_or(u32::MAX);
        if member.weight > Options::WEIGHT_MAX {
            let message = format!("`weight` cannot be {weight}");
            let label = format!("must be at most {}", Options::WEIGHT_MAX);
            walk.push(Diagnostic::error(&value.origin, message).label(label));
        }
    }
    if let Some(value) = table.get("max") {
        member.max = walk.count("max", value).or(member.max);
    }
    let place = table.get("url").or(table.get("srv")).unwrap_or(item);
    Some((member, &place.origin))
}

fn keys<'a>(walk: &mut Walk<'a>, table: &'a Table) {
    walk.keys(table, "a backend", &BACKEND_KEYS, |name| match name {
        "endpoint" | "address" | "to" => Some(Meant::Help("did you mean `url`?".to_owned())),
        "health" | "tls" => Some(Meant::Help(format!("`{name}` is the pool's"))),
        _ => None,
    });
}

/// Notes what stands behind a URL on the command line and is no option.
fn behind_url<'a>(walk: &mut Walk<'a>, table: &'a Table) {
    const OPTIONS: [&str; 3] = ["weight", "max", "name"];
    let is_known = |name: &str| name == "url" || OPTIONS.contains(&name);
    for (key, _) in table.0.iter().filter(|(key, _)| !is_known(&key.name)) {
        let name = printable(&key.name);
        let d = Diagnostic::error(&key.origin, format!("a backend has no option `{name}`"));
        let meant = did_you_mean(&name, &OPTIONS).map_or(String::new(), |meant| meant + " ");
        let all = "behind a URL may stand `,weight=N`, `,max=N` and `,name=NAME`";
        walk.push(d.help(format!("{meant}{all}")));
    }
}

/// `{ srv = "_api._tcp.example.com", scheme = "http" }`
fn service<'a>(
    walk: &mut Walk<'a>,
    table: &'a Table,
    key: &Key,
    value: &'a Value,
) -> Option<Member> {
    if let Some((url, _)) = table.entry("url") {
        let d = Diagnostic::error(&key.origin, "a backend has a `url` or is an `srv` record");
        walk.push(d.also(&url.origin, "the URL").help("leave one of them out"));
    }
    let name = walk.text("srv", value)?;
    let choices = Scheme::ALL
        .into_iter()
        .filter(|scheme| says_what(*scheme).is_some())
        .map(|scheme| (scheme.as_str(), scheme));
    let choices: Vec<(&str, Scheme)> = choices.collect();
    let scheme = match table.get("scheme") {
        Some(value) => walk.choice("scheme", value, &choices)?,
        None => {
            let d = Diagnostic::error(&key.origin, "`srv` stands without `scheme`");
            walk.missing(d.help("say what is spoken there, as in `scheme = \"http\"`"));
            return None;
        }
    };
    // Where its hosts listen, their records say.
    let endpoint = match format!("{scheme}://{name}:0").parse::<Endpoint>() {
        Ok(endpoint) if endpoint.socket_addr().is_none() && !name.contains([':', '/', '?']) => {
            endpoint
        }
        _ => {
            let message = format!("`{}` is not a name of the DNS", printable(name));
            let d = Diagnostic::error(&value.origin, message);
            walk.push(d.help("write it as in `_api._tcp.example.com`"));
            return None;
        }
    };
    Some(Member {
        name: endpoint.host()?.to_string(),
        is_srv: true,
        ..Member::new(endpoint)
    })
}

fn endpoint<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Option<Endpoint> {
    let text = walk.text("url", value)?;
    let endpoint = match text.parse::<Endpoint>() {
        Ok(endpoint) => endpoint,
        Err(e) => {
            walk.push(Diagnostic::error(&value.origin, e.to_string()).help(e.hint()));
            return None;
        }
    };
    if endpoint.port() == Some(0) {
        let message = format!("`{}` names no port to connect to", printable(text));
        walk.push(Diagnostic::error(&value.origin, message).help("write the server's port"));
    }
    if endpoint.scheme().carries() == Carries::Request && endpoint.target().len() > 1 {
        let path = printable(endpoint.target());
        let message = format!(
            "`{}` has a path, which a backend cannot have",
            printable(text)
        );
        let help = format!("leave `{path}` out: a request keeps the path that it came with");
        walk.push(Diagnostic::error(&value.origin, message).help(help));
    }
    Some(endpoint)
}

//! The routes of a server: `[[server.NAME.route]]`, which requests each takes and what answers them.

use std::str::FromStr;

use super::diagnostic::{Diagnostic, Origin};
use super::layers;
use super::plan;
use super::raw::{Data, Table, Value};
use super::walk::{Meant, Walk, listed};
use crate::endpoint::Carries;
use crate::http::router::{Fixed, Host, Pattern, Redirect, Scope, Target};
use crate::http::{Method, StatusCode};
use crate::limits::HttpLimits;
use crate::printable::printable;
use crate::services::{Answers, Route, Spec, To};

const ROUTE_KEYS: [&str; 21] = [
    "host",
    "path",
    "method",
    "strip",
    "service",
    "redirect",
    "respond",
    "request",
    "response",
    "body",
    "allow",
    "deny",
    "certificate",
    "users",
    "tokens",
    "require",
    "roles",
    "login_page",
    "rate",
    "compress",
    "cors",
];

/// The ways to answer.
const ANSWERS: [&str; 3] = ["service", "redirect", "respond"];

/// The routes in a `route` key of this server.
pub(super) fn routes<'a>(walk: &mut Walk<'a>, server: &'a Table, value: &'a Value) -> Vec<Route> {
    const HELP: &str = "write each as `[[server.NAME.route]]`";
    let Data::List(items) = &value.data else {
        walk.wrong_type("route", value, "a list of tables", Some(HELP));
        return Vec::new();
    };
    if items.is_empty() {
        let d = Diagnostic::error(&value.origin, "there is no route").label("the list is empty");
        walk.push(d.help(HELP));
    }
    let mut routes: Vec<Route> = Vec::new();
    // Of those that are right: a slip must not hide the rest.
    let mut scopes: Vec<Scope> = Vec::new();
    for item in items {
        let Data::Table(table) = &item.data else {
            walk.wrong_type("route", item, "tables", Some(HELP));
            continue;
        };
        walk.keys(table, "a route", &ROUTE_KEYS, meant_by);
        let (route, is_certain) = route(walk, server, table, &item.origin);
        if is_certain && scopes.iter().any(|first| hides(first, &route.scope)) {
            let message = "no request comes to this route";
            let help = "a route before it takes them all: put the narrower one first";
            walk.no_effect(&item.origin, message.to_owned(), "never reached", help);
        }
        scopes.extend(is_certain.then(|| route.scope.clone()));
        routes.push(route);
    }
    routes
}

fn meant_by(name: &str) -> Option<Meant> {
    if Spec::NAMES.contains(&name) {
        return Some(Meant::Help(format!("write it as `service.{name}`")));
    }
    let help = match name {
        "listen" => "the server listens, and its routes share its endpoints",
        "limits" => "limits are the server's; a route has `body` and `rate`",
        "to" | "url" | "location" => "write `redirect = \"https://{host}{path_and_query}\"`",
        "status" => "write `respond = 404`, or `redirect = { to = \"/\", status = 308 }`",
        "headers" => "write `request` for the request's, `response` for the response's",
        "auth" | "login" => "write `require = \"login\"`",
        "password" | "user" => "write `users = { NAME = \"PASSWORD\" }`",
        "token" => "write `tokens = { NAME = \"TOKEN\" }`",
        _ => return None,
    };
    Some(Meant::Help(help.to_owned()))
}

/// Whether the first takes everything that the second would.
fn hides(first: &Scope, second: &Scope) -> bool {
    let is_place = first.hosts.is_empty() && first.path.is_any();
    let is_same = first.hosts == second.hosts && first.path == second.path;
    (is_place || is_same) && (first.methods.is_empty() || first.methods == second.methods)
}

/// A route, and whether its scope is what was written.
fn route<'a>(
    walk: &mut Walk<'a>,
    server: &'a Table,
    table: &'a Table,
    at: &'a Origin,
) -> (Route, bool) {
    let before = walk.found.len();
    let scope = scope(walk, table);
    let has_scope = walk.found.len() == before;
    let to = to(walk, table, at);
    let layers = layers::layers(walk, server, table, has_scope.then_some(&scope.path));
    without_effect(walk, table, &to);
    (Route { scope, layers, to }, has_scope)
}

/// A value that is read from a text, or what is wrong with it.
pub(super) fn parsed<T: FromStr>(
    walk: &mut Walk<'_>,
    what: &str,
    (text, at): (&str, &Origin),
    hint: impl Fn(&T::Err) -> String,
) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    match text.parse() {
        Ok(value) => Some(value),
        Err(e) => {
            let message = format!("`{}` is not {what}", printable(text));
            let d = Diagnostic::error(at, message).label(e.to_string());
            walk.push(d.help(hint(&e)));
            None
        }
    }
}

fn scope<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Scope {
    let mut scope = Scope::default();
    if let Some(value) = table.get("host") {
        for text in walk.texts("host", value) {
            let host = parsed(walk, "a host", text, |e: &_| {
                let e: &<Host as FromStr>::Err = e;
                e.hint().to_owned()
            });
            scope.hosts.extend(host);
        }
    }
    if let Some(value) = table.get("path")
        && let Some(text) = walk.text("path", value)
    {
        let path = parsed::<Pattern>(walk, "a path", (text, &value.origin), |e| {
            e.hint().to_owned()
        });
        scope.path = path.unwrap_or_else(Pattern::any);
    }
    if let Some(value) = table.get("method") {
        scope.methods = methods(walk, "method", value);
    }
    scope
}

/// Methods by their names, which are in upper case (RFC 9110, section 9.1).
pub(super) fn methods<'a>(walk: &mut Walk<'a>, key: &str, value: &'a Value) -> Vec<Method> {
    let mut methods = Vec::new();
    for (text, at) in walk.texts(key, value) {
        let is_upper = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if is_upper => methods.push(method),
            _ => {
                let message = format!("`{}` is not a method", printable(text));
                let upper = text.to_ascii_uppercase();
                let is_word = !upper.is_empty() && upper.bytes().all(|b| b.is_ascii_uppercase());
                let help = match is_word {
                    true => format!("did you mean `{upper}`?"),
                    false => "write it as in `GET` or `POST`".to_owned(),
                };
                walk.push(Diagnostic::error(at, message).help(help));
            }
        }
    }
    methods
}

/// What answers; [`Spec::Echo`] stands in for what could not be told.
fn to<'a>(walk: &mut Walk<'a>, table: &'a Table, at: &Origin) -> To {
    let mut answers = table
        .0
        .iter()
        .filter(|(key, _)| ANSWERS.contains(&key.name.as_str()));
    let none = To::Service(Spec::Echo);
    let Some((key, value)) = answers.next() else {
        let all = listed(&ANSWERS, "or");
        let d = Diagnostic::error(at, "nothing answers this route").label(format!("needs {all}"));
        walk.missing(
            d.help("write `service = \"echo\"`, `redirect = \"/new\"` or `respond = 404`"),
        );
        return none;
    };
    if let Some((second, _)) = answers.next() {
        let d = Diagnostic::error(&second.origin, "a route answers in one way")
            .also(&key.origin, "the first");
        walk.push(d.help("write another `[[server.NAME.route]]` for the other"));
    }
    match key.name.as_str() {
        "redirect" => redirect(walk, value).map_or(none, To::Redirect),
        "respond" => fixed(walk, value).map_or(none, To::Fixed),
        _ => {
            let Some((spec, at)) = plan::service(walk, value) else {
                return none;
            };
            if !spec.stands_on(Carries::Request) {
                let d = Diagnostic::error(at, format!("`{spec}` cannot answer requests"));
                let names = Spec::NAMES.into_iter();
                let names: Vec<&str> = names.filter(|name| Spec::answers_requests(name)).collect();
                walk.push(d.help(format!("those that can are {}", listed(&names, "and"))));
            }
            To::Service(spec)
        }
    }
}

fn redirect<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Option<Redirect> {
    let (to, status) = match &value.data {
        Data::Table(table) => {
            walk.keys(table, "`redirect`", &["to", "status"], |_| None);
            let Some(to) = table.get("to") else {
                let d = Diagnostic::error(&value.origin, "`redirect` leads nowhere");
                walk.missing(
                    d.label("needs `to`")
                        .help("add `to = \"https://{host}{path_and_query}\"`"),
                );
                return None;
            };
            (to, table.get("status"))
        }
        _ => (value, None),
    };
    let text = walk.text("redirect", to)?;
    let to = parsed::<Target>(walk, "where a redirect can lead", (text, &to.origin), |e| {
        e.hint().to_owned()
    })?;
    let status = match status {
        Some(value) => {
            let status = status_code(walk, value)?;
            if !Redirect::STATUSES.contains(&status) {
                let message = format!("{} is not a status of redirects", status.as_u16());
                let d = Diagnostic::error(&value.origin, message);
                walk.push(d.help("write 307 for now or 308 for good; 301, 302 and 303 make a GET of most requests"));
                return None;
            }
            status
        }
        None => StatusCode::TEMPORARY_REDIRECT,
    };
    Some(Redirect { status, to })
}

fn fixed<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Option<Fixed> {
    let mut fixed = Fixed {
        status: StatusCode::OK,
        media_type: Fixed::MEDIA_TYPE.to_owned(),
        body: String::new(),
    };
    let table = match &value.data {
        Data::Integer(_) => {
            fixed.status = status_code(walk, value)?;
            return Some(fixed);
        }
        Data::Text(text) => {
            fixed.body.clone_from(text);
            return Some(fixed);
        }
        Data::Table(table) => table,
        _ => {
            let help =
                "write `respond = 404`, or `respond = { status = 503, body = \"Back soon\" }`";
            walk.wrong_type("respond", value, "a status, a text or a table", Some(help));
            return None;
        }
    };
    walk.keys(table, "`respond`", &["status", "type", "body"], |_| None);
    if let Some(value) = table.get("status") {
        fixed.status = status_code(walk, value)?;
    }
    if let Some(value) = table.get("body") {
        walk.text("body", value)?.clone_into(&mut fixed.body);
    }
    if let Some((key, value)) = table.entry("type") {
        let text = walk.text("type", value)?;
        if !is_media_type(text) {
            let message = format!("`{}` is not a media type", printable(text));
            let d = Diagnostic::error(&value.origin, message);
            walk.push(d.help("write it as in `text/html; charset=utf-8`"));
        }
        if fixed.body.is_empty() {
            let message = "`type` has no effect: there is no body".to_owned();
            walk.no_effect(
                &key.origin,
                message,
                "not used",
                "add `body`, or leave this out",
            );
        }
        text.clone_into(&mut fixed.media_type);
    }
    let has_none = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    if has_none.contains(&fixed.status)
        && let Some((key, _)) = table.entry("body").filter(|_| !fixed.body.is_empty())
    {
        let message = format!("{} has no body", fixed.status.as_u16());
        let d = Diagnostic::error(&key.origin, message);
        walk.push(d.help("leave the body out, or write another status"));
    }
    Some(fixed)
}

fn is_media_type(text: &str) -> bool {
    let is_plain = text.bytes().all(|b| (b' '..=b'~').contains(&b));
    let name = text.split(';').next().unwrap_or_default().trim();
    let parts = name.split_once('/');
    is_plain && parts.is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !name.contains(' '))
}

fn status_code<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Option<StatusCode> {
    let Data::Integer(n) = value.data else {
        walk.wrong_type("status", value, "a number", None);
        return None;
    };
    let status = u16::try_from(n).ok().filter(|n| (200..600).contains(n));
    let status = status.and_then(|n| StatusCode::from_u16(n).ok());
    if status.is_none() {
        let d = Diagnostic::error(&value.origin, format!("{n} is not the status of an answer"));
        walk.push(d.help("write one from 200 to 599"));
    }
    status
}

/// The longest body that something of this takes, where that is more than a server's limit is by default: the limit then
/// grows with it, and the routes that did not ask for that keep the default.
pub(super) fn longest_body(answers: &mut Answers) -> Option<u64> {
    let usual = HttpLimits::default().body_bytes;
    let upload = |spec: &Spec| match spec {
        Spec::Files(options) if options.upload => Some(options.upload_bytes),
        _ => None,
    };
    let of_route = |route: &Route| match (&route.to, route.layers.body_bytes) {
        (_, Some(max)) => Some(max),
        (To::Service(spec), None) => upload(spec),
        _ => None,
    };
    let longest = match answers {
        Answers::Service(spec) => upload(spec),
        Answers::Routes(routes) => routes.iter().filter_map(of_route).max(),
    };
    let longest = longest.filter(|longest| *longest > usual)?;
    if let Answers::Routes(routes) = answers {
        for route in routes.iter_mut().filter(|route| of_route(route).is_none()) {
            route.layers.body_bytes = Some(usual);
        }
    }
    Some(longest)
}

/// What a route that asks no service has no use for.
fn without_effect(walk: &mut Walk<'_>, table: &Table, to: &To) {
    let (what, keys): (_, &[&str]) = match to {
        To::Service(_) => return,
        To::Redirect(_) => ("a redirect", &["strip", "request", "compress"]),
        To::Fixed(_) => ("a fixed answer", &["strip", "request"]),
    };
    for (key, _) in &table.0 {
        if keys.contains(&key.name.as_str()) {
            let message = format!("`{}` has no effect on {what}", key.name);
            walk.no_effect(&key.origin, message, "not used", "leave this out");
        }
    }
}

//! What a route has on the way: prefixes, fields, who may ask and how often, compression, CORS.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::options::origin_hint;
use super::raw::{Data, Key, Table, Value};
use super::route::{methods, parsed};
use super::walk::{Meant, Walk};
use crate::http::HeaderName;
use crate::http::router::{
    Access, By, Certificates, Compression, Cors, FieldError, Fields, Layers, Pattern, Range, Rate,
    Rule, Secret, User, field_name,
};
use crate::printable::printable;

/// The layers of a route. `path` is its pattern, where that was right.
pub(super) fn layers<'a>(
    walk: &mut Walk<'a>,
    server: &'a Table,
    table: &'a Table,
    path: Option<&Pattern>,
) -> Layers {
    Layers {
        strip: table.get("strip").and_then(|v| strip(walk, v, path)),
        request: fields(walk, table.entry("request")),
        response: fields(walk, table.entry("response")),
        body_bytes: table.get("body").and_then(|v| walk.bytes("body", v)),
        access: access(walk, server, table),
        rate: table.entry("rate").and_then(|(k, v)| rate(walk, k, v)),
        compression: table
            .entry("compress")
            .and_then(|(k, v)| compress(walk, k, v)),
        cors: table.entry("cors").and_then(|(k, v)| cors(walk, k, v)),
    }
}

fn strip<'a>(walk: &mut Walk<'a>, value: &'a Value, path: Option<&Pattern>) -> Option<String> {
    let text = walk.text("strip", value)?;
    let prefix = text.trim_end_matches('/');
    if !prefix.starts_with('/') {
        let message = format!("`{}` is not the beginning of a path", printable(text));
        let d = Diagnostic::error(&value.origin, message);
        walk.push(d.help("write it as in `strip = \"/api\"`"));
        return None;
    }
    if let Some(path) = path
        && !path.always_begins_with(prefix)
    {
        let message = format!(
            "not every path of `{path}` begins with `{}`",
            printable(prefix)
        );
        let d = Diagnostic::error(&value.origin, message);
        walk.push(d.help(format!("write `path = \"{}/*\"`", printable(prefix))));
    }
    Some(prefix.to_owned())
}

/// `{ remove = ["Server"], set = { X-Frame-Options = "DENY" }, add = { Vary = "cookie" } }`
fn fields<'a>(walk: &mut Walk<'a>, entry: Option<&'a (Key, Value)>) -> Fields {
    let mut fields = Fields::new();
    let Some((key, value)) = entry else {
        return fields;
    };
    let Some(table) = walk.table(key, value, &["remove", "set", "add"], |_| {
        Some(Meant::Help(format!(
            "write `{}.set = {{ NAME = \"VALUE\" }}`",
            key.name
        )))
    }) else {
        return fields;
    };
    let note =
        |walk: &mut Walk<'_>, name: &str, at: &_, result: Result<Fields, FieldError>, before| {
            match result {
                Ok(after) => after,
                Err(e) => {
                    let message = format!("`{}` cannot be here", printable(name));
                    let d = Diagnostic::error(at, message).label(e.to_string());
                    walk.push(d.help(e.hint()));
                    before
                }
            }
        };
    if let Some(value) = table.get("remove") {
        for (name, at) in walk.texts("remove", value) {
            fields = note(walk, name, at, fields.clone().remove(name), fields);
        }
    }
    for way in ["set", "add"] {
        let Some((key, value)) = table.entry(way) else {
            continue;
        };
        let Data::Table(names) = &value.data else {
            let help = format!("write `{way} = {{ NAME = \"VALUE\" }}`");
            walk.wrong_type(&key.name, value, "a table", Some(&help));
            continue;
        };
        for (name, value) in &names.0 {
            let texts = match way {
                "add" => walk.texts(&name.name, value),
                _ => walk
                    .text(&name.name, value)
                    .map(|t| (t, &value.origin))
                    .into_iter()
                    .collect(),
            };
            for (text, at) in texts {
                let after = match way {
                    "add" => fields.clone().add(&name.name, text),
                    _ => fields.clone().set(&name.name, text),
                };
                let at = if after == Err(FieldError::Value) {
                    at
                } else {
                    &name.origin
                };
                fields = note(walk, &name.name, at, after, fields);
            }
        }
    }
    fields
}

fn access<'a>(walk: &mut Walk<'a>, server: &'a Table, table: &'a Table) -> Access {
    let mut access = Access::default();
    for (key, ranges) in [
        ("allow", &mut access.addresses.allow),
        ("deny", &mut access.addresses.deny),
    ] {
        let Some(value) = table.get(key) else {
            continue;
        };
        let texts = walk.texts(key, value);
        if texts.is_empty() && matches!(value.data, Data::List(_)) {
            let d = Diagnostic::error(&value.origin, format!("`{key}` names no address"));
            walk.push(d.help("write one as in `[\"10.0.0.0/8\"]`, or leave this out"));
        }
        for text in texts {
            let range =
                parsed::<Range>(walk, "a range of addresses", text, |e| e.hint().to_owned());
            ranges.extend(range);
        }
    }
    if let Some((key, value)) = table.entry("certificate") {
        access.certificates = Some(certificates(walk, value));
        let tls = server.get("tls");
        let asks = matches!(tls.map(|v| &v.data), Some(Data::Table(tls)) if tls.get("client_ca").is_some());
        if !asks {
            let d = Diagnostic::error(&key.origin, "this server asks no client for a certificate");
            walk.missing(d.help(
                "add `tls = { client_ca = \"ca.pem\", clients = \"optional\" }` to the server",
            ));
        }
    }
    access.users = users(walk, table, "users", "password");
    access.tokens = users(walk, table, "tokens", "token");
    access.login = login(walk, table);
    access
}

fn certificates<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Certificates {
    let names = match &value.data {
        Data::Text(text) if text == "required" => Vec::new(),
        _ => walk.texts("certificate", value),
    };
    for (name, at) in &names {
        if name.is_empty() {
            let d = Diagnostic::error(at, "a certificate is for nobody of no name");
            walk.push(d.help("write a name as in `alice@app.example`, or `\"required\"` for any"));
        }
    }
    Certificates {
        names: names.into_iter().map(|(name, _)| name.to_owned()).collect(),
    }
}

/// `{ ada = "secret" }`
fn users<'a>(walk: &mut Walk<'a>, table: &'a Table, key: &str, what: &str) -> Vec<User> {
    let Some((key, value)) = table.entry(key) else {
        return Vec::new();
    };
    let Data::Table(names) = &value.data else {
        let help = format!(
            "write `{} = {{ NAME = \"…\" }}`, with a {what} for each",
            key.name
        );
        walk.wrong_type(&key.name, value, "a table", Some(&help));
        return Vec::new();
    };
    if names.0.is_empty() {
        let d = Diagnostic::error(&value.origin, format!("`{}` names nobody", key.name));
        walk.push(d.help("name somebody, or leave this out"));
    }
    let mut users: Vec<User> = Vec::new();
    for (name, value) in &names.0 {
        let is_name = |c: char| !c.is_control() && c != ':';
        if name.name.is_empty() || !name.name.chars().all(is_name) {
            let message = format!("`{}` cannot be a name", printable(&name.name));
            let d = Diagnostic::error(&name.origin, message);
            walk.push(d.help("a name has no colon and no control character"));
        }
        let Some(text) = walk.text(&name.name, value) else {
            continue;
        };
        let is_token = |b: u8| (b'!'..=b'~').contains(&b);
        let wrong = match key.name.as_str() {
            _ if text.is_empty() => Some("it is empty"),
            "tokens" if !text.bytes().all(is_token) => Some("a token is ASCII without spaces"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let message = format!("`{}` has no {what}", printable(&name.name));
            walk.push(Diagnostic::error(&value.origin, message).label(wrong));
        }
        users.push(User {
            name: name.name.clone(),
            secret: Secret::new(text),
        });
    }
    users
}

fn login<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Option<Rule> {
    let require = table.get("require");
    let is_required =
        require.is_some_and(|value| walk.choice("require", value, &[("login", ())]).is_some());
    if let Some(value) = require.filter(|_| is_required) {
        walk.logins.push(value.origin.clone());
    }
    let mut rule = Rule::default();
    if let Some((key, value)) = table.entry("roles") {
        let roles = walk.texts("roles", value);
        if roles.is_empty() && matches!(value.data, Data::List(_)) {
            let d = Diagnostic::error(&value.origin, "`roles` names no role");
            walk.push(d.help("name one, or leave this out"));
        }
        rule.roles = roles.into_iter().map(|(role, _)| role.to_owned()).collect();
        needs_login(walk, key, require);
    }
    if let Some((key, value)) = table.entry("login_page") {
        let page = walk.text("login_page", value).unwrap_or_default();
        let is_plain = page
            .bytes()
            .all(|b| (b'!'..=b'~').contains(&b) && b != b'#');
        if !page.starts_with('/') || page.starts_with("//") || !is_plain {
            let message = format!("`{}` is not a path", printable(page));
            let d = Diagnostic::error(&value.origin, message);
            walk.push(d.help("write it as in `login_page = \"/login\"`"));
        }
        rule.page = Some(page.to_owned());
        needs_login(walk, key, require);
    }
    is_required.then_some(rule)
}

fn needs_login(walk: &mut Walk<'_>, key: &Key, require: Option<&Value>) {
    if require.is_none() {
        let message = format!("`{}` stands without `require`", key.name);
        walk.push(Diagnostic::error(&key.origin, message).help("add `require = \"login\"`"));
    }
}

/// `{ requests = 10, every = "1s", burst = 20, by = "address" }`
fn rate<'a>(walk: &mut Walk<'a>, key: &Key, value: &'a Value) -> Option<Rate> {
    const KEYS: [&str; 4] = ["requests", "every", "burst", "by"];
    let table = walk.table(key, value, &KEYS, |_| None)?;
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let Some(requests) = table.get("requests") else {
        let d = Diagnostic::error(&value.origin, "`rate` has no number of requests");
        walk.missing(d.help("write it as in `rate = { requests = 10, every = \"1s\" }`"));
        return None;
    };
    let requests = walk.count("requests", requests).map(narrow);
    let every = match table.get("every") {
        Some(value) => {
            let every = walk.duration("every", value)?;
            if every.is_zero() {
                let d = Diagnostic::error(&value.origin, "`every` cannot be zero");
                walk.push(d.help("write a duration, as in `1s`"));
                return None;
            }
            every
        }
        None => Duration::from_secs(1),
    };
    let burst = table.get("burst").and_then(|v| walk.count("burst", v));
    let choices = By::ALL.map(|by| (by.as_str(), by));
    let by = table.get("by").and_then(|v| walk.choice("by", v, &choices));
    Some(Rate {
        requests: requests?,
        every,
        burst: burst.map_or(requests?, narrow),
        by: by.unwrap_or_default(),
    })
}

/// `true`, or `{ min = "1KiB" }`
fn compress<'a>(walk: &mut Walk<'a>, key: &Key, value: &'a Value) -> Option<Compression> {
    let mut compression = Compression::default();
    match &value.data {
        Data::Boolean(is) => is.then_some(compression),
        Data::Table(table) => {
            walk.keys(table, "`compress`", &["min"], |_| None);
            if let Some(min) = table.get("min") {
                compression.min_bytes = walk.bytes("min", min)?;
            }
            Some(compression)
        }
        _ => {
            let help = "write `compress = true`, or `compress = { min = \"1KiB\" }`";
            walk.wrong_type(&key.name, value, "`true`, `false` or a table", Some(help));
            None
        }
    }
}

/// Origins alone, or `{ origins = ["https://app.example"], credentials = true }`
fn cors<'a>(walk: &mut Walk<'a>, key: &Key, value: &'a Value) -> Option<Cors> {
    const KEYS: [&str; 6] = [
        "origins",
        "methods",
        "headers",
        "expose",
        "credentials",
        "max_age",
    ];
    let mut cors = Cors::default();
    let origins = match &value.data {
        Data::Table(table) => {
            walk.keys(table, &format!("`{}`", key.name), &KEYS, |_| None);
            if let Some(value) = table.get("methods") {
                cors.methods = methods(walk, "methods", value);
            }
            cors.headers = names(walk, table.entry("headers"));
            cors.expose = names(walk, table.entry("expose"));
            if let Some(value) = table.get("credentials") {
                cors.credentials = walk.boolean("credentials", value).unwrap_or_default();
            }
            if let Some(value) = table.get("max_age") {
                let age = walk.duration("max_age", value);
                if age.is_some_and(|age| age.subsec_nanos() > 0) {
                    let d = Diagnostic::error(&value.origin, "`max_age` is whole seconds");
                    walk.push(d.help("write it as in `10m`"));
                }
                cors.max_age = age;
            }
            table.get("origins")
        }
        _ => Some(value),
    };
    let Some(origins) = origins else {
        let d = Diagnostic::error(&value.origin, "`cors` names no origin");
        walk.missing(
            d.label("needs `origins`")
                .help("add `origins = [\"https://app.example\"]`"),
        );
        return None;
    };
    let texts = walk.texts("cors", origins);
    if texts.is_empty() && matches!(origins.data, Data::List(_)) {
        let d = Diagnostic::error(&origins.origin, "`cors` names no origin");
        walk.push(d.help("name one, as in `[\"https://app.example\"]`, or leave this out"));
    }
    for (text, at) in texts {
        if let Some(help) = origin_hint(text) {
            let message = format!("`{}` is not an origin", printable(text));
            walk.push(Diagnostic::error(at, message).help(help));
        } else if cors.credentials && matches!(text, "*" | "null") {
            let message =
                format!("`{text}` and `credentials` would let every page act in anybody's name");
            let d = Diagnostic::error(at, message);
            walk.push(d.help("name the origins, or leave `credentials` out"));
        }
        cors.origins.push(text.to_ascii_lowercase());
    }
    Some(cors)
}

fn names<'a>(walk: &mut Walk<'a>, entry: Option<&'a (Key, Value)>) -> Vec<HeaderName> {
    let mut names = Vec::new();
    let Some((key, value)) = entry else {
        return names;
    };
    for (text, at) in walk.texts(&key.name, value) {
        match field_name(text) {
            Ok(name) => names.push(name),
            Err(e) => {
                let message = format!("`{}` cannot be here", printable(text));
                let d = Diagnostic::error(at, message).label(e.to_string());
                walk.push(d.help(e.hint()));
            }
        }
    }
    names
}

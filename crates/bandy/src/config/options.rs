//! The options of a server and of its service: `tls`, `origins`, and what stands in `service.NAME`.

use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Origin};
use super::raw::{Data, Key, Table, Value};
use super::route::parsed;
use super::walk::{Meant, Walk};
use super::{api, chat, files, pool};
use crate::net::address::{Range, RangeError};
use crate::net::proxied::Proxied;
use crate::net::tls::{ClientAuth, ClientTls, Identity, ServerTls};
use crate::printable::printable;
use crate::services::Spec;
use crate::services::template::Template;

pub(super) const TLS_KEYS: [&str; 4] = ["cert", "key", "client_ca", "clients"];

/// The options that each service has.
const SERVICE_KEYS: [(&str, &[&str]); 7] = [
    ("greet", &["text"]),
    ("reply", &["template", "pause"]),
    ("exec", &["command", "programs"]),
    ("files", &files::KEYS),
    ("api", &api::KEYS),
    ("balance", &pool::BALANCE_KEYS),
    ("chat", &chat::KEYS),
];

/// A service by its name, which is one of [`Spec::NAMES`], and what was written for it.
pub(super) fn service<'a>(
    walk: &mut Walk<'a>,
    name: &str,
    origin: &Origin,
    value: Option<&'a Value>,
) -> Spec {
    let keys = SERVICE_KEYS.into_iter().find(|(n, _)| *n == name);
    let keys = keys.map_or(&[][..], |(_, keys)| keys);
    let table = match value {
        Some(Value {
            data: Data::Table(table),
            ..
        }) => {
            let elsewhere = |key: &str| {
                let (owner, _) = SERVICE_KEYS.into_iter().find(|(_, k)| k.contains(&key))?;
                Some(Meant::Help(format!("`{key}` belongs to `{owner}`")))
            };
            let none = || {
                keys.is_empty()
                    .then(|| Meant::Help(format!("`{name}` has no options")))
            };
            walk.keys(table, &format!("`{name}`"), keys, |key| {
                elsewhere(key).or_else(none)
            });
            Some(table)
        }
        // Only the first of a service's options can be written without its name, if that says enough.
        Some(value) if keys.is_empty() || matches!(name, "api" | "chat") => {
            let help = format!("write `service = \"{name}\"`");
            walk.wrong_type(&format!("service.{name}"), value, "no value", Some(&help));
            None
        }
        _ => None,
    };
    let option = |key: &str| match table {
        Some(table) => table.get(key),
        None => value.filter(|_| keys.first() == Some(&key)),
    };
    match name {
        "greet" => Spec::Greet {
            text: match option("text") {
                Some(value) => walk.text("greet", value).unwrap_or_default().to_owned(),
                None => {
                    needs(
                        walk,
                        origin,
                        "`greet` has no text",
                        "write it as in `service.greet = \"Hello\"`",
                    );
                    String::new()
                }
            },
        },
        "reply" => Spec::Reply {
            template: match option("template") {
                Some(value) => template(walk, value),
                None => {
                    let help = "write it as in `service.reply = \"Server received: {message}\"`";
                    needs(walk, origin, "`reply` has no template", help);
                    String::new()
                }
            },
            pause: option("pause")
                .and_then(|value| walk.duration_or_none("pause", value))
                .unwrap_or(Some(Spec::PAUSE)),
        },
        "exec" => Spec::Exec {
            command: match option("command") {
                Some(value) => command(walk, value),
                None => {
                    let help = "write it as in `service.exec = [\"./handler.py\", \"--verbose\"]`";
                    needs(walk, origin, "`exec` has no command", help);
                    Vec::new()
                }
            },
            programs: option("programs")
                .and_then(|value| walk.count("programs", value))
                .unwrap_or(Spec::PROGRAMS),
        },
        "files" => Spec::Files(files::options(walk, origin, option)),
        "api" => Spec::Api(api::options(walk, table)),
        "balance" => Spec::Balance(Box::new(pool::balance(walk, origin, option))),
        "chat" => Spec::Chat(chat::options(walk, table)),
        "discard" => Spec::Discard,
        "chargen" => Spec::Chargen,
        _ => Spec::Echo,
    }
}

fn needs(walk: &mut Walk<'_>, at: &Origin, message: &str, help: &str) {
    walk.push(Diagnostic::error(at, message).help(help));
}

fn template<'a>(walk: &mut Walk<'a>, value: &'a Value) -> String {
    let Some(text) = walk.text("reply", value) else {
        return String::new();
    };
    if let Err(e) = Template::parse(text) {
        let end = match text[e.at..].find('}') {
            Some(n) if text[e.at..].starts_with('{') => e.at + n + 1,
            _ => e.at + 1,
        };
        let at = inside(walk, value, e.at, end);
        let why = e.to_string();
        let (what, help) = match why.split_once("; ") {
            Some((what, help)) => (what, Some(help.to_owned())),
            None => (why.as_str(), None),
        };
        let mut d = Diagnostic::error(&at, format!("the template is wrong: {what}"));
        d.help = help;
        walk.push(d);
    }
    text.to_owned()
}

/// The place of some bytes of a string, where the file has them as they are; else the string's.
fn inside(walk: &Walk<'_>, value: &Value, start: usize, end: usize) -> Origin {
    if let (Origin::File(span), Data::Text(text)) = (&value.origin, &value.data) {
        let quoted = &walk.config.source.text[span.clone()];
        let inner = quoted.get(1..quoted.len().saturating_sub(1));
        if inner == Some(text.as_str()) {
            let first = span.start + 1;
            return Origin::File(first + start..first + end);
        }
    }
    value.origin.clone()
}

fn command<'a>(walk: &mut Walk<'a>, value: &'a Value) -> Vec<String> {
    if let Data::Text(text) = &value.data {
        let words: Vec<String> = text.split_whitespace().map(|w| format!("{w:?}")).collect();
        let help = format!(
            "write `[{}]`: no shell is between that would split it",
            words.join(", ")
        );
        walk.wrong_type("exec", value, "a list of strings", Some(&help));
        return Vec::new();
    }
    let words = walk.texts("exec", value);
    let is_list = matches!(value.data, Data::List(_));
    match words.first() {
        None if is_list => {
            let d = Diagnostic::error(&value.origin, "`exec` has no command");
            walk.push(d.help("write the program and its arguments, as in `[\"./handler.py\"]`"));
        }
        Some(("", at)) => {
            let d =
                Diagnostic::error(at, "`exec` has no command").label("the program's name is empty");
            walk.push(d.help("write the program first, as in `[\"./handler.py\"]`"));
        }
        _ => {}
    }
    for (word, at) in &words {
        if word.contains('\0') {
            let message = "a program's arguments cannot hold a NUL byte";
            walk.push(Diagnostic::error(at, message).help("leave it out"));
        }
    }
    words.into_iter().map(|(word, _)| word.to_owned()).collect()
}

/// The server's `tls`. Relative paths become relative to the configuration's folder.
pub(super) fn tls<'a>(walk: &mut Walk<'a>, server: &'a Table, has_listener: bool) -> ServerTls {
    let mut tls = ServerTls::default();
    let Some((key, value)) = server.entry("tls") else {
        return tls;
    };
    let Some(table) = walk.table(key, value, &TLS_KEYS, |name| match name {
        "ca" | "client-ca" => Some(Meant::Help("did you mean `client_ca`?".to_owned())),
        "certificate" => Some(Meant::Help("did you mean `cert`?".to_owned())),
        _ => None,
    }) else {
        return tls;
    };
    if !has_listener && !table.0.is_empty() {
        let at = first_flag(table).unwrap_or(&key.origin);
        let message = "`tls` has no effect: this server listens on no tls:// or wss://".to_owned();
        walk.no_effect(
            at,
            message,
            "not used",
            "add such a listener, or leave this out",
        );
    }
    let mut path = |key: &str| -> Option<(&'a Key, PathBuf)> {
        let (key, value) = table.entry(key)?;
        let text = walk.text(&key.name, value)?;
        if text.is_empty() {
            let d = Diagnostic::error(&value.origin, format!("`{}` is empty", key.name));
            walk.push(d.help("write the path of a PEM file"));
        }
        Some((key, walk.config.folder.join(text)))
    };
    let (cert, key, ca) = (path("cert"), path("key"), path("client_ca"));
    match (cert, key) {
        (Some((_, cert)), Some((_, key))) => tls.identity = Some(Identity { cert, key }),
        (Some((cert, _)), None) if table.get("key").is_none() => {
            let d = Diagnostic::error(&cert.origin, "`cert` stands without `key`");
            walk.push(d.help("add `key`, the PEM file of its private key; without both, the local CA makes a certificate"));
        }
        (None, Some((key, _))) if table.get("cert").is_none() => {
            let d = Diagnostic::error(&key.origin, "`key` stands without `cert`");
            walk.push(d.help("add `cert`, the PEM file of the certificate chain; without both, the local CA makes a certificate"));
        }
        _ => {}
    }
    let clients = table.entry("clients");
    let required = clients.map(|(_, v)| {
        walk.choice("clients", v, &[("required", true), ("optional", false)])
            .unwrap_or(true)
    });
    tls.clients = match (ca, required) {
        (Some((_, ca)), Some(false)) => ClientAuth::Optional(ca),
        (Some((_, ca)), _) => ClientAuth::Required(ca),
        (None, _) => ClientAuth::None,
    };
    if let Some((clients, _)) = clients
        && table.get("client_ca").is_none()
    {
        let d = Diagnostic::error(&clients.origin, "`clients` stands without `client_ca`");
        walk.push(d.help("add `client_ca`, the PEM file of the CAs that vouch for them"));
    }
    tls
}

/// A pool's `tls`: whom it believes, and as whom it appears. Relative paths become relative to the configuration's folder.
pub(super) fn client_tls<'a>(walk: &mut Walk<'a>, pool: &'a Table, has_backend: bool) -> ClientTls {
    const KEYS: [&str; 5] = ["ca", "cert", "key", "insecure", "server_name"];
    let mut tls = ClientTls::default();
    let Some((key, value)) = pool.entry("tls") else {
        return tls;
    };
    let Some(table) = walk.table(key, value, &KEYS, |name| match name {
        "verify" => Some(Meant::Help("write `insecure = true`".to_owned())),
        "sni" => Some(Meant::Help("did you mean `server_name`?".to_owned())),
        _ => None,
    }) else {
        return tls;
    };
    if !has_backend && !table.0.is_empty() {
        let at = first_flag(table).unwrap_or(&key.origin);
        let message = "`tls` has no effect: this pool has no backend that speaks TLS".to_owned();
        let help = "give it a backend of https://, tls:// or wss://, or leave this out";
        walk.no_effect(at, message, "not used", help);
    }
    let mut path = |key: &str| -> Option<(&'a Key, PathBuf)> {
        let (key, value) = table.entry(key)?;
        let text = walk.text(&key.name, value)?;
        Some((key, walk.config.folder.join(text)))
    };
    let (ca, cert, key) = (path("ca"), path("cert"), path("key"));
    tls.ca = ca.map(|(_, path)| path);
    match (cert, key) {
        (Some((_, cert)), Some((_, key))) => tls.identity = Some(Identity { cert, key }),
        (Some((one, _)), None) | (None, Some((one, _))) => {
            let d = Diagnostic::error(&one.origin, "`cert` and `key` belong together");
            walk.push(d.help("add the other: the certificate to show, and its private key"));
        }
        (None, None) => {}
    }
    if let Some(value) = table.get("insecure") {
        tls.insecure = walk.boolean("insecure", value).unwrap_or(false);
    }
    if let Some(value) = table.get("server_name") {
        tls.server_name = walk.text("server_name", value).map(str::to_owned);
    }
    tls
}

fn first_flag(table: &Table) -> Option<&Origin> {
    let origin = &table.0.first()?.0.origin;
    matches!(origin, Origin::Flag(_)).then_some(origin)
}

/// The server's `origins`, in lower case.
pub(super) fn origins<'a>(
    walk: &mut Walk<'a>,
    server: &'a Table,
    has_listener: bool,
) -> Vec<String> {
    let Some((key, value)) = server.entry("origins") else {
        return Vec::new();
    };
    let texts = walk.texts("origins", value);
    if !has_listener && !texts.is_empty() {
        let message =
            "`origins` has no effect: this server listens on no ws:// or wss://".to_owned();
        let help = "add such a listener, or leave this out";
        walk.no_effect(&key.origin, message, "not used", help);
    }
    let mut origins = Vec::new();
    for (text, at) in texts {
        match origin_hint(text) {
            None => origins.push(text.to_ascii_lowercase()),
            Some(help) => {
                let message = format!("`{}` is not an origin", printable(text));
                walk.push(Diagnostic::error(at, message).help(help));
            }
        }
    }
    origins
}

/// The server's `proxy_protocol`: from whom a PROXY header is awaited and believed.
pub(super) fn proxied<'a>(walk: &mut Walk<'a>, server: &'a Table, has_listener: bool) -> Proxied {
    const HELP: &str = "name the addresses that are believed, as in `[\"10.0.0.0/8\"]`";
    let Some((key, value)) = server.entry("proxy_protocol") else {
        return Proxied::default();
    };
    if let Data::Boolean(_) = value.data {
        let what = "a list of addresses";
        walk.wrong_type("proxy_protocol", value, what, Some(HELP));
        return Proxied::default();
    }
    let texts = walk.texts("proxy_protocol", value);
    if !has_listener && !texts.is_empty() {
        let message = "`proxy_protocol` has no effect: this server listens on no TCP".to_owned();
        let help = "add a listener such as tcp:// or https://, or leave this out";
        walk.no_effect(&key.origin, message, "not used", help);
    }
    let mut from = Vec::new();
    for text in texts {
        let hint = |e: &RangeError| e.hint().to_owned();
        from.extend(parsed::<Range>(walk, "a range of addresses", text, hint));
    }
    Proxied { from }
}

/// What to write where a text is not an origin (RFC 6454, section 6.2).
pub(super) fn origin_hint(text: &str) -> Option<String> {
    if text == "*" || text == "null" {
        return None;
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Some(format!(
            "write the scheme too, as in `https://{}`; `*` is every page",
            printable(text.trim_matches('/'))
        ));
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_scheme = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    match (is_scheme && is_host, path.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!(
            "leave out what follows the host: `{scheme}://{host}`"
        )),
        (false, _) => Some(
            "an origin is scheme, host and perhaps port, as in `https://app.example`".to_owned(),
        ),
    }
}

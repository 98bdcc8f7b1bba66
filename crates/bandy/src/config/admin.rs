//! The admin endpoint: `[admin]`.

use super::diagnostic::Diagnostic;
use super::listen;
use super::plan::Taken;
use super::raw::{Data, Table};
use super::walk::{Meant, Walk};
use crate::endpoint::Scheme;
use crate::printable::printable;
use crate::services::admin::{Options, Token};

/// The configuration's `admin`.
pub(super) fn admin<'a>(
    walk: &mut Walk<'a>,
    root: &'a Table,
    taken: &mut Taken,
) -> Option<Options> {
    let (key, value) = root.entry("admin")?;
    // `admin = "http://127.0.0.1:9901"`
    if let Data::Text(_) = value.data {
        let help = "write `admin.listen = \"http://127.0.0.1:9901\"`";
        walk.wrong_type("admin", value, "a table", Some(help));
        return None;
    }
    let table = walk.table(key, value, &["listen", "token"], |name| match name {
        "url" | "port" | "address" | "bind" | "endpoint" => Some(Meant::Help(
            "write `listen = \"http://127.0.0.1:9901\"`".to_owned(),
        )),
        "password" | "secret" | "key" => Some(Meant::Help("did you mean `token`?".to_owned())),
        _ => None,
    })?;
    let token = token(walk, table);
    let Some(value) = table.get("listen") else {
        let d = Diagnostic::error(&key.origin, "`admin` listens nowhere").label("needs `listen`");
        walk.missing(d.help("add `listen = \"http://127.0.0.1:9901\"`"));
        return None;
    };
    let text = walk.text("listen", value)?;
    let endpoint = listen::endpoint(walk, text, &value.origin, true, taken)?;
    let scheme = endpoint.scheme();
    if !matches!(scheme, Scheme::Http | Scheme::Https | Scheme::Unix) {
        let message = format!("the admin endpoint cannot stand on {scheme}");
        let d = Diagnostic::error(&value.origin, message);
        walk.push(d.help("listen on `http`, `https` or `unix`"));
        return None;
    }
    let is_told = table.get("token").is_some();
    let options = Options {
        listen: endpoint,
        token,
    };
    if !options.is_local() && !is_told {
        let message = format!(
            "whoever reaches `{}` could change what runs here",
            printable(text)
        );
        let d = Diagnostic::error(&value.origin, message).label("not only this machine");
        walk.push(
            d.help("listen on 127.0.0.1, [::1] or a unix socket, or set `token` to a long secret"),
        );
    } else if !options.is_local() && scheme == Scheme::Http {
        let message = "the token is sent over plain HTTP, where others on the way can read it";
        let d = Diagnostic::warning(&value.origin, message);
        walk.push(d.help("listen on https://, or on 127.0.0.1 behind a tunnel"));
    }
    Some(options)
}

fn token<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Option<Token> {
    let value = table.get("token")?;
    let text = walk.text("token", value)?;
    let token = Token::new(text);
    if token.is_none() {
        let why = format!("must be at least {} visible ASCII characters", Token::MIN);
        let d = Diagnostic::error(&value.origin, "`token` is no token").label(why);
        walk.push(d.help("make one: `openssl rand -hex 16`"));
    }
    token
}

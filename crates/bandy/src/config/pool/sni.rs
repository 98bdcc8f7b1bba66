//! Which pool answers a TLS client, by the name that it asks for.

use super::super::diagnostic::Diagnostic;
use super::super::raw::{Data, Value};
use super::super::route::parsed;
use super::super::walk::Walk;
use super::Balanced;
use crate::http::router::HostError;
use crate::services::balance;

/// `sni = { "a.example" = "pool-a", "*" = "pool-b" }`
pub(super) fn names<'a>(
    walk: &mut Walk<'a>,
    value: Option<&'a Value>,
) -> Vec<(balance::Name, String)> {
    const HELP: &str = "write it as in `sni = { \"a.example\" = \"api\", \"*\" = \"web\" }`";
    let Some(value) = value else {
        return Vec::new();
    };
    let Data::Table(table) = &value.data else {
        walk.wrong_type("sni", value, "a table of names and pools", Some(HELP));
        return Vec::new();
    };
    if table.0.is_empty() {
        let d = Diagnostic::error(&value.origin, "`sni` names no pool");
        walk.push(d.help(HELP));
    }
    let mut names: Vec<(balance::Name, String)> = Vec::new();
    for (key, value) in &table.0 {
        let hint = |e: &HostError| e.hint().to_owned();
        let name = parsed::<balance::Name>(walk, "a host", (&key.name, &key.origin), hint);
        let Some(pool) = walk.text("sni", value) else {
            continue;
        };
        walk.balances.push(Balanced {
            pool: pool.to_owned(),
            at: value.origin.clone(),
            listens: Vec::new(),
            is_by_name: true,
        });
        let Some(name) = name else {
            continue;
        };
        if names.iter().any(|(known, _)| *known == name) {
            let d = Diagnostic::error(&key.origin, format!("`{name}` stands here twice"));
            walk.push(d.help("leave one of them out; upper and lower case are the same"));
        }
        names.push((name, pool.to_owned()));
    }
    names
}

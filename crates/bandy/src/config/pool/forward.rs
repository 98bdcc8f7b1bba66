//! What `service.balance` passes on.

use std::path::PathBuf;

use super::super::diagnostic::Diagnostic;
use super::super::raw::Value;
use super::super::route::parsed;
use super::super::walk::Walk;
use crate::http::router::Range;
use crate::printable::printable;
use crate::services::balance::http::Rules;
use crate::wire::http1::is_valid_host;

/// What of requests is passed on, and the file of what signs cookies.
pub(super) fn rules<'a>(
    walk: &mut Walk<'a>,
    option: impl Fn(&str) -> Option<&'a Value>,
) -> (Rules, Option<PathBuf>) {
    let mut rules = Rules::default();
    if let Some(value) = option("trust") {
        let texts = walk.texts("trust", value);
        let what = "a range of addresses";
        rules.trust = texts
            .into_iter()
            .filter_map(|text| parsed::<Range>(walk, what, text, |e| e.hint().to_owned()))
            .collect();
    }
    if let Some(value) = option("host")
        && let Some(host) = walk.text("host", value)
    {
        if host.is_empty() || !is_valid_host(host) {
            let message = format!("`{}` is no host", printable(host));
            let d = Diagnostic::error(&value.origin, message);
            walk.push(
                d.help("write a name, and a port where it has one, as in `app.example:8080`"),
            );
        }
        rules.host = Some(host.to_owned());
    }
    for (key, place) in [
        ("forwarded", &mut rules.forwarded),
        ("request_id", &mut rules.request_id),
        ("log", &mut rules.log),
    ] {
        if let Some(value) = option(key)
            && let Some(is_on) = walk.boolean(key, value)
        {
            *place = is_on;
        }
    }
    let secret = option("secret").and_then(|value| walk.text("secret", value));
    (rules, secret.map(PathBuf::from))
}

//! The options of the service `api`.

use super::diagnostic::Diagnostic;
use super::raw::Table;
use super::walk::Walk;
use crate::services::api::Options;

pub(super) const KEYS: [&str; 7] = [
    "testing",
    "body",
    "depth",
    "changes",
    "stale",
    "heartbeat",
    "longest",
];

/// The options, as far as they could be told.
pub(super) fn options<'a>(walk: &mut Walk<'a>, table: Option<&'a Table>) -> Options {
    let mut options = Options::default();
    let Some(table) = table else {
        return options;
    };
    if let Some(value) = table.get("testing") {
        options.testing = walk.boolean("testing", value).unwrap_or(true);
    }
    if let Some(max) = table.get("body").and_then(|v| walk.size("body", v)) {
        options.body_bytes = max;
    }
    if let Some(max) = table.get("depth").and_then(|v| walk.count("depth", v)) {
        options.depth = max;
    }
    if let Some(max) = table.get("changes").and_then(|v| walk.count("changes", v)) {
        options.changes = max as u64;
    }
    for (key, place) in [
        ("stale", &mut options.stale),
        ("heartbeat", &mut options.heartbeat),
        ("longest", &mut options.longest),
    ] {
        let Some(value) = table.get(key) else {
            continue;
        };
        let Some(duration) = walk.duration(key, value) else {
            continue;
        };
        if duration.is_zero() && key == "heartbeat" {
            let d = Diagnostic::error(&value.origin, "`heartbeat` cannot be zero");
            walk.push(d.help("write a duration, as in `15s`"));
        }
        *place = duration;
    }
    options
}

//! What is remembered: `[state]` and `[accounts]`.

use super::diagnostic::Diagnostic;
use super::plan::Plan;
use super::raw::Table;
use super::walk::{Meant, Walk};
use crate::accounts;
use crate::printable::printable;
use crate::services::{Answers, To};
use crate::state::Location;
use crate::state::backup::Schedule;

/// Where things are remembered, and how copies are made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The store.
    pub store: Location,
    /// Its copies, if there are to be any.
    pub backup: Option<Schedule>,
}

/// The default of `keep`.
const KEEP: usize = 24;

/// The configuration's `state`. Relative paths become relative to the configuration's folder.
pub(super) fn state<'a>(walk: &mut Walk<'a>, root: &'a Table) -> Option<State> {
    let (key, value) = root.entry("state")?;
    let table = walk.table(key, value, &["store", "backup"], |name| match name {
        "url" | "file" | "path" => Some(Meant::Help(
            "write `store = \"sqlite:bandy.db\"`".to_owned(),
        )),
        _ => None,
    })?;
    let Some(store) = table.get("store") else {
        let d = Diagnostic::error(&key.origin, "`state` has no store").label("needs `store`");
        walk.missing(d.help("add `store = \"sqlite:bandy.db\"`"));
        return None;
    };
    let text = walk.text("store", store)?;
    let location = match text.parse::<Location>() {
        Ok(location) => location,
        Err(e) => {
            let message = format!("`{}` is not where a store can be", printable(text));
            // What was attempted is plain from the place.
            let why = e.to_string();
            let why = why.split_once("\": ").map_or(&*why, |(_, why)| why);
            let mut d = Diagnostic::error(&store.origin, message).label(why);
            d.help = e.next_step().map(str::to_owned);
            walk.push(d);
            return None;
        }
    };
    let backup = backup(walk, table);
    if backup.is_some() && location == Location::Memory {
        let at = table
            .entry("backup")
            .map_or(&key.origin, |(key, _)| &key.origin);
        let d = Diagnostic::error(at, "a store in memory has no copies");
        walk.push(d.help("write `store = \"sqlite:bandy.db\"`, or leave `backup` out"));
    }
    let store = match location {
        Location::Sqlite(path) => Location::Sqlite(walk.config.folder.join(path)),
        other => other,
    };
    Some(State { store, backup })
}

/// `{ every = "1h", folder = "backup", keep = 24 }`
fn backup<'a>(walk: &mut Walk<'a>, state: &'a Table) -> Option<Schedule> {
    let (key, value) = state.entry("backup")?;
    let table = walk.table(key, value, &["every", "folder", "keep"], |_| None)?;
    let mut needed = |name: &str, sample: &str| {
        let found = table.get(name);
        if found.is_none() {
            let d = Diagnostic::error(&value.origin, format!("`backup` has no `{name}`"));
            walk.missing(d.help(format!("add `{name} = \"{sample}\"`")));
        }
        found
    };
    let (every, folder) = (needed("every", "1h"), needed("folder", "backup"));
    let every = every.and_then(|value| {
        let every = walk.duration("every", value)?;
        if every.as_secs() == 0 {
            let d = Diagnostic::error(&value.origin, "`every` is less than a second");
            walk.push(d.help("write a longer one, as in `1h`"));
        }
        Some(every)
    });
    let folder = folder.and_then(|value| {
        let folder = walk.text("folder", value)?;
        if folder.is_empty() {
            let d = Diagnostic::error(&value.origin, "`folder` is empty");
            walk.push(d.help("write a folder's path"));
        }
        Some(walk.config.folder.join(folder))
    });
    let keep = table.get("keep").and_then(|v| walk.count("keep", v));
    Some(Schedule {
        every: every?,
        folder: folder?,
        keep: keep.unwrap_or(KEEP),
    })
}

/// The configuration's `accounts`.
pub(super) fn accounts<'a>(walk: &mut Walk<'a>, root: &'a Table) -> accounts::Options {
    const KEYS: [&str; 4] = ["registration", "session", "idle", "password_min"];
    let mut options = accounts::Options::default();
    let Some((key, value)) = root.entry("accounts") else {
        return options;
    };
    let Some(table) = walk.table(key, value, &KEYS, |_| None) else {
        return options;
    };
    if let Some(value) = table.get("registration") {
        options.registration = walk.boolean("registration", value).unwrap_or(true);
    }
    for (key, place) in [
        ("session", &mut options.session),
        ("idle", &mut options.idle),
    ] {
        if let Some(value) = table.get(key)
            && let Some(duration) = walk.duration(key, value)
        {
            if duration.is_zero() {
                let d = Diagnostic::error(&value.origin, format!("`{key}` cannot be zero"));
                walk.push(d.help("write a duration, as in `7d`"));
            }
            *place = duration;
        }
    }
    if let Some(value) = table.get("password_min")
        && let Some(min) = walk.count("password_min", value)
    {
        options.password_min = min;
    }
    options
}

/// Notes logins that nobody could make, and what is kept for nobody.
pub(super) fn linked(walk: &mut Walk<'_>, root: &Table, plan: &Plan) {
    let has_api = plan.servers.iter().any(|server| match &server.answers {
        Answers::Service(spec) => spec.remembers(),
        Answers::Routes(routes) => routes
            .iter()
            .any(|route| matches!(&route.to, To::Service(spec) if spec.remembers())),
    });
    let logins = std::mem::take(&mut walk.logins);
    if root.get("state").is_none() && !has_api {
        for at in &logins {
            let d = Diagnostic::error(at, "nobody can log in here: there are no accounts");
            walk.missing(d.help("add `[state]` with `store = \"sqlite:bandy.db\"`"));
        }
    }
    // A slip may be why nobody uses it.
    let has_errors = walk.found.iter().any(Diagnostic::is_error);
    if has_errors || walk.is_partial || has_api || !logins.is_empty() {
        return;
    }
    for name in ["state", "accounts"] {
        if let Some((key, _)) = root.entry(name) {
            let message = format!("`{name}` has no effect: nothing here remembers anything");
            let help = "add the service `api` or a route with `require`, or leave this out";
            walk.no_effect(&key.origin, message, "not used", help);
        }
    }
}

//! The options of the service `chat`.

use super::diagnostic::Diagnostic;
use super::raw::Table;
use super::walk::Walk;
use crate::printable::printable;
use crate::services::chat::Options;
use crate::services::chat::model::rate::Rate;
use crate::services::chat::model::{Create, Millis, RoomName};

pub(super) const KEYS: [&str; 13] = [
    "guests", "room", "create", "rooms", "joined", "members", "presence", "history", "outbox",
    "text", "pace", "ping", "welcome",
];

/// The options, as far as they could be told.
pub(super) fn options<'a>(walk: &mut Walk<'a>, table: Option<&'a Table>) -> Options {
    let mut options = Options::default();
    let Some(table) = table else {
        return options;
    };
    let rules = &mut options.rules;
    if let Some(value) = table.get("guests") {
        rules.guests = walk.boolean("guests", value).unwrap_or(true);
    }
    if let Some(value) = table.get("room")
        && let Some(text) = walk.text("room", value)
    {
        match RoomName::parse(text) {
            Ok(room) => options.room = Some(room),
            Err(fault) => {
                let message = format!("`{}` is no name for a room: {fault}", printable(text));
                walk.push(Diagnostic::error(&value.origin, message));
            }
        }
    }
    if let Some(value) = table.get("create") {
        rules.create = walk
            .choice("create", value, &Create::ALL)
            .unwrap_or_default();
    }
    for (key, place) in [
        ("rooms", &mut rules.rooms),
        ("joined", &mut rules.joined),
        ("members", &mut rules.members),
        ("presence", &mut rules.presence),
        ("outbox", &mut options.outbox),
    ] {
        if let Some(count) = table.get(key).and_then(|v| walk.count(key, v)) {
            *place = count;
        }
    }
    if let Some(count) = table.get("history").and_then(|v| walk.count("history", v)) {
        options.history = count as u64;
    }
    if let Some(size) = table.get("text").and_then(|v| walk.size("text", v)) {
        rules.text_bytes = size;
    }
    if let Some(pace) = table
        .get("pace")
        .and_then(|v| walk.duration_or_none("pace", v))
    {
        rules.rate = pace.map(|pace| Rate {
            every: Millis::try_from(pace.as_millis())
                .unwrap_or(Millis::MAX)
                .max(1),
            ..Rate::default()
        });
    }
    if let Some(value) = table.get("ping")
        && let Some(ping) = walk.duration("ping", value)
    {
        if ping.is_zero() {
            let d = Diagnostic::error(&value.origin, "`ping` cannot be zero");
            walk.push(d.help("write a duration, as in `60s`"));
        }
        options.ping = ping;
    }
    if let Some(value) = table.get("welcome")
        && let Some(text) = walk.text("welcome", value)
    {
        text.clone_into(&mut options.welcome);
    }
    options
}

//! What is remembered, and the services that have many options, as TOML.

use std::time::Duration;

use super::{number, or_none, or_zero};
use crate::accounts;
use crate::config::diagnostic::Origin;
use crate::config::plan::{Plan, State};
use crate::config::quantity::{print_duration, print_size};
use crate::config::raw::{Data, Table};
use crate::services::chat::model::Rules;
use crate::services::{api, chat, files};

/// `state` and `accounts`; of these, what a configuration can say, where it is not the default.
pub(super) fn write(root: &mut Table, plan: &Plan) {
    let mut set = |path: &[&str], data: Data| root.set(path, data, Origin::Nowhere);
    if let Some(State { store, backup }) = &plan.state {
        set(&["state", "store"], store.to_string().into());
        if let Some(backup) = backup {
            let every = print_duration(backup.every);
            // Paths come from TOML or from arguments that had to be UTF-8.
            let folder = backup.folder.to_string_lossy().into_owned();
            set(&["state", "backup", "every"], every.into());
            set(&["state", "backup", "folder"], folder.into());
            set(&["state", "backup", "keep"], number(backup.keep));
        }
    }
    let accounts = &plan.accounts;
    if plan.state.is_none() && *accounts == accounts::Options::default() {
        return;
    }
    let time = |time| Data::Text(print_duration(time));
    let registration = Data::Boolean(accounts.registration);
    set(&["accounts", "registration"], registration);
    set(&["accounts", "session"], time(accounts.session));
    set(&["accounts", "idle"], time(accounts.idle));
    set(&["accounts", "password_min"], number(accounts.password_min));
}

pub(super) fn write_files(options: &files::Options, set: &mut impl FnMut(&[&str], Data)) {
    // Named one by one, so that a new option cannot be forgotten here.
    let files::Options {
        root,
        index,
        listing,
        hidden,
        precompressed,
        cache_bytes,
        cache_control,
        upload,
        upload_bytes,
        delete,
        origins,
    } = options;
    let mut set = |key, data| set(&["service", "files", key], data);
    set("root", root.to_string_lossy().into_owned().into());
    set("index", Data::texts(index, &Origin::Nowhere));
    set("listing", Data::Boolean(*listing));
    set("hidden", Data::Boolean(*hidden));
    set("precompressed", Data::Boolean(*precompressed));
    set("cache", or_zero(*cache_bytes, |n| print_size(n).into()));
    if let Some(value) = cache_control {
        set("cache_control", value.as_str().into());
    }
    set("upload", Data::Boolean(*upload));
    if *upload || *upload_bytes != files::Options::UPLOAD_BYTES {
        set("upload_max", print_size(*upload_bytes).into());
    }
    set("delete", Data::Boolean(*delete));
    if !origins.is_empty() {
        set("origins", Data::texts(origins, &Origin::Nowhere));
    }
}

pub(super) fn write_api(options: &api::Options, set: &mut impl FnMut(&[&str], Data)) {
    let api::Options {
        testing,
        body_bytes,
        depth,
        changes,
        stale,
        heartbeat,
        longest,
    } = options;
    let mut set = |key, data| set(&["service", "api", key], data);
    set("testing", Data::Boolean(*testing));
    set("body", print_size(*body_bytes as u64).into());
    set("depth", number(*depth));
    set(
        "changes",
        number(usize::try_from(*changes).unwrap_or(usize::MAX)),
    );
    set("stale", print_duration(*stale).into());
    set("heartbeat", print_duration(*heartbeat).into());
    set("longest", print_duration(*longest).into());
}

pub(super) fn write_chat(options: &chat::Options, set: &mut impl FnMut(&[&str], Data)) {
    let chat::Options {
        rules,
        room,
        history,
        outbox,
        ping,
        welcome,
    } = options;
    let Rules {
        guests,
        create,
        rooms,
        joined,
        members,
        presence,
        // A bound that is not for users to set.
        sessions: _,
        text_bytes,
        line_bytes: _,
        rate,
    } = rules;
    let mut set = |key, data| set(&["service", "chat", key], data);
    set("guests", Data::Boolean(*guests));
    if let Some(room) = room {
        set("room", room.as_str().into());
    }
    set("create", create.as_str().into());
    set("rooms", number(*rooms));
    set("joined", number(*joined));
    set("members", number(*members));
    set("presence", number(*presence));
    let history = usize::try_from(*history).unwrap_or(usize::MAX);
    set("history", number(history));
    set("outbox", number(*outbox));
    set("text", print_size(*text_bytes as u64).into());
    let pace = rate.map(|rate| Duration::from_millis(rate.every));
    set("pace", or_none(pace));
    set("ping", print_duration(*ping).into());
    if !welcome.is_empty() {
        set("welcome", welcome.as_str().into());
    }
}

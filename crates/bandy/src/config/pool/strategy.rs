//! How a backend is picked: `strategy`, and what belongs to one.

use super::super::diagnostic::Diagnostic;
use super::super::raw::Table;
use super::super::route::parsed;
use super::super::walk::{Walk, did_you_mean, listed};
use crate::pool::strategy::{Choice, ConsistentHash, KeyOf};
use crate::printable::printable;

/// The pool's `strategy`, with its `key` and `load`.
pub(super) fn strategy<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Choice {
    let choice = named(walk, table).unwrap_or_default();
    if !matches!(choice, Choice::ConsistentHash { .. }) {
        for name in ["key", "load"] {
            if let Some((key, _)) = table.entry(name) {
                let message = format!("`{name}` has no effect: it belongs to `consistent-hash`");
                let help = "write `strategy = \"consistent-hash\"`, or leave this out";
                walk.no_effect(&key.origin, message, "not used", help);
            }
        }
        return choice;
    }
    let load = table.get("load").map(|value| (value, walk.load(value)));
    let load = match load {
        Some((_, Some(load))) => load,
        _ => ConsistentHash::LOAD,
    };
    let Some(value) = table.get("key") else {
        if let Some(strategy) = table.get("strategy") {
            let d = Diagnostic::error(&strategy.origin, "`consistent-hash` has no key");
            walk.missing(d.help("say what decides: `key = \"header:x-user\"`, or `cookie:NAME`, `query:NAME`, `path`, `ip`"));
        }
        return choice;
    };
    let Some(text) = walk.text("key", value) else {
        return choice;
    };
    let hint =
        |_: &&'static str| "write it as in `\"header:x-user\"` or `\"cookie:sid\"`".to_owned();
    match parsed::<KeyOf>(walk, "a key", (text, &value.origin), hint) {
        Some(key) => Choice::ConsistentHash { key, load },
        None => choice,
    }
}

fn named<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Option<Choice> {
    let value = table.get("strategy")?;
    let name = walk.text("strategy", value)?;
    let choice = match name {
        "round-robin" => Choice::RoundRobin,
        "least-connections" => Choice::LeastConnections,
        "ip-hash" => Choice::IpHash,
        "random" => Choice::Random,
        "p2c" => Choice::P2c,
        "peak-ewma" => Choice::PeakEwma,
        "consistent-hash" => Choice::ConsistentHash {
            key: KeyOf::Ip,
            load: ConsistentHash::LOAD,
        },
        _ => {
            let message = format!("there is no strategy `{}`", printable(name));
            let all = || format!("the strategies are {}", listed(&Choice::NAMES, "and"));
            let help = did_you_mean(name, &Choice::NAMES).unwrap_or_else(all);
            let d = Diagnostic::error(&value.origin, message).label("unknown strategy");
            walk.push(d.help(help));
            return None;
        }
    };
    Some(choice)
}

//! How a backend is picked: `strategy`, and what belongs to one.

use super::super::diagnostic::Diagnostic;
use super::super::raw::Table;
use super::super::walk::{Walk, did_you_mean, listed};
use crate::pool::strategy::Choice;
use crate::printable::printable;

/// The pool's `strategy`.
pub(super) fn strategy<'a>(walk: &mut Walk<'a>, table: &'a Table) -> Choice {
    let Some(value) = table.get("strategy") else {
        return Choice::default();
    };
    let Some(name) = walk.text("strategy", value) else {
        return Choice::default();
    };
    match Choice::named(name) {
        Some(choice) => choice,
        None => {
            let message = format!("there is no strategy `{}`", printable(name));
            let all = || format!("the strategies are {}", listed(&Choice::NAMES, "and"));
            let help = did_you_mean(name, &Choice::NAMES).unwrap_or_else(all);
            let d = Diagnostic::error(&value.origin, message).label("unknown strategy");
            walk.push(d.help(help));
            Choice::default()
        }
    }
}

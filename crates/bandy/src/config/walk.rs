//! Taking typed values out of a [`raw`](super::raw) tree, with everything that is wrong noted on the way.
//!
//! Nothing here stops at an error: a value that is wrong is noted and left out, so that one pass finds all.

use std::time::Duration;

use super::diagnostic::{Diagnostic, Origin};
use super::pool::Balanced;
use super::quantity::{COUNT_MAX, QuantityError, parse_duration, parse_size, print_size};
use super::raw::{Config, Data, Key, Table, Value};
use crate::printable::printable;

/// The longest of what is counted in bytes: more than a disk holds.
const BYTES_MAX: u64 = 1 << 60;

/// One pass over a configuration.
pub(super) struct Walk<'a> {
    pub(super) config: &'a Config,
    /// What was found so far.
    pub(super) found: Vec<Diagnostic>,
    /// Whether parts of the file could not be read, so that nothing can be called missing.
    pub(super) is_partial: bool,
    /// Where somebody has to log in.
    pub(super) logins: Vec<Origin>,
    /// The pools that are named.
    pub(super) balances: Vec<Balanced>,
}

impl<'a> Walk<'a> {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Notes something that is not there.
    pub(super) fn missing(&mut self, diagnostic: Diagnostic) {
        if !self.is_partial {
            self.push(diagnostic);
        }
    }

    /// Notes what has no effect: a file may keep it, a command line has it by mistake.
    pub(super) fn no_effect(&mut self, at: &Origin, message: String, label: &str, help: &str) {
        let d = match at {
            Origin::Flag(_) => Diagnostic::error(at, message),
            _ => Diagnostic::warning(at, message),
        };
        self.push(d.label(label).help(help));
    }

    /// A table that has no keys but these; `hint` may know what an unknown one was meant to be.
    pub(super) fn table(
        &mut self,
        key: &Key,
        value: &'a Value,
        keys: &[&str],
        hint: impl Fn(&str) -> Option<Meant>,
    ) -> Option<&'a Table> {
        let Data::Table(table) = &value.data else {
            self.wrong_type(&key.name, value, "a table", None);
            return None;
        };
        self.keys(table, &format!("`{}`", key.name), keys, hint);
        Some(table)
    }

    /// Notes the keys of a table that are none of these.
    pub(super) fn keys(
        &mut self,
        table: &Table,
        whose: &str,
        keys: &[&str],
        hint: impl Fn(&str) -> Option<Meant>,
    ) {
        for (key, _) in &table.0 {
            let name = key.name.as_str();
            if keys.contains(&name) {
                continue;
            }
            let message = match &key.origin {
                Origin::Flag(flag) => format!("{whose} takes no {flag}"),
                _ => format!("{whose} has no key `{}`", printable(name)),
            };
            let d = Diagnostic::error(&key.origin, message).label("unknown key");
            let d = match hint(name) {
                Some(Meant::Help(help)) => d.help(help),
                None => match did_you_mean(name, keys) {
                    Some(help) => d.help(help),
                    None => d.help(format!("{whose} takes {}", listed(keys, "and"))),
                },
            };
            self.push(d);
        }
    }

    pub(super) fn text(&mut self, key: &str, value: &'a Value) -> Option<&'a str> {
        match &value.data {
            Data::Text(text) => Some(text),
            _ => {
                self.wrong_type(key, value, "a string", None);
                None
            }
        }
    }

    /// One text or a list of them, each with its place.
    pub(super) fn texts(&mut self, key: &str, value: &'a Value) -> Vec<(&'a str, &'a Origin)> {
        let Data::List(items) = &value.data else {
            return match &value.data {
                Data::Text(text) => vec![(text, &value.origin)],
                _ => {
                    self.wrong_type(key, value, "a list of strings", None);
                    Vec::new()
                }
            };
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.data {
                Data::Text(text) => texts.push((text.as_str(), &item.origin)),
                _ => self.wrong_type(key, item, "strings", None),
            }
        }
        texts
    }

    /// One of a closed set of names.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        value: &'a Value,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(key, value)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let all = listed(&names, "or");
        let message = format!("`{key}` cannot be `{}`", printable(text));
        let mut d = Diagnostic::error(&value.origin, message).label(format!("expected {all}"));
        d.help = did_you_mean(text, &names);
        self.push(d);
        None
    }

    /// A whole number, one at least.
    pub(super) fn count(&mut self, key: &str, value: &'a Value) -> Option<usize> {
        match (&value.data, &value.origin) {
            (Data::Integer(n), _) => self.in_bounds(key, value, i128::from(*n)),
            (Data::Text(text), Origin::Flag(flag)) => {
                // A flag with several options in it does not say which.
                let is_named = flag.replace('-', "_").ends_with(key);
                let which = if is_named {
                    String::new()
                } else {
                    format!(", which `{key}` is")
                };
                let message = format!("`{}` is not a whole number{which}", printable(text));
                self.push(Diagnostic::error(&value.origin, message));
                None
            }
            _ => {
                self.wrong_type(key, value, "a whole number", None);
                None
            }
        }
    }

    /// A whole number between 0 and `max`.
    pub(super) fn number(&mut self, key: &str, value: &'a Value, max: u32) -> Option<u32> {
        match &value.data {
            Data::Integer(n) if (0..=i64::from(max)).contains(n) => u32::try_from(*n).ok(),
            Data::Integer(n) => {
                let label = format!("must be between 0 and {max}");
                let message = format!("`{key}` cannot be {n}");
                self.push(Diagnostic::error(&value.origin, message).label(label));
                None
            }
            _ => self.count(key, value).and_then(|n| u32::try_from(n).ok()),
        }
    }

    /// A share: `"20%"`, or `20`.
    pub(super) fn percent(&mut self, key: &str, value: &'a Value) -> Option<u32> {
        let number = match &value.data {
            Data::Integer(n) => u32::try_from(*n).ok(),
            Data::Text(text) => text.trim_end_matches('%').trim().parse().ok(),
            _ => {
                self.wrong_type(key, value, "a share", Some("write it as in `\"20%\"`"));
                return None;
            }
        };
        let share = number.filter(|n| *n <= 100);
        if share.is_none() {
            let d = Diagnostic::error(&value.origin, format!("`{key}` takes a share"));
            self.push(
                d.label("must be between 0% and 100%")
                    .help("write it as in `\"20%\"`"),
            );
        }
        share
    }

    /// What one may have of what all have on average: `"125%"`, or `"none"` for no bound.
    pub(super) fn load(&mut self, value: &'a Value) -> Option<u32> {
        let number = match &value.data {
            Data::Text(text) if text == "none" => return Some(0),
            Data::Text(text) => text.trim_end_matches('%').trim().parse().ok(),
            Data::Integer(n) => u32::try_from(*n).ok(),
            _ => None,
        };
        let load = number.filter(|n| (100..=10_000).contains(n));
        if load.is_none() {
            let d = Diagnostic::error(&value.origin, "`load` takes a share of 100% or more");
            self.push(d.help("write it as in `\"125%\"`, or `\"none\"`"));
        }
        load
    }

    /// A number of bytes, one at least.
    pub(super) fn size(&mut self, key: &str, value: &'a Value) -> Option<usize> {
        match &value.data {
            Data::Integer(n) => self.in_bounds(key, value, i128::from(*n)),
            Data::Text(text) => match parse_size(text) {
                Ok(n) => self.in_bounds(key, value, i128::from(n)),
                Err(e) => self.not_a("size", text, value, &e),
            },
            _ => {
                let help = "write a size as in `64KiB`, `10MB` or `512`";
                self.wrong_type(key, value, "a size", Some(help));
                None
            }
        }
    }

    /// As [`Walk::size`], for what need not fit into memory.
    pub(super) fn bytes(&mut self, key: &str, value: &'a Value) -> Option<u64> {
        match &value.data {
            Data::Integer(n) if *n > 0 => u64::try_from(*n).ok(),
            Data::Text(text) => match parse_size(text) {
                // What a whole number of a configuration can say.
                Ok(n) if (1..=BYTES_MAX).contains(&n) => Some(n),
                Ok(n) => {
                    let label = match n {
                        0 => "must be at least 1".to_owned(),
                        _ => format!("must be at most {}", print_size(BYTES_MAX)),
                    };
                    let message = format!("`{key}` cannot be {}", printable(text));
                    self.push(Diagnostic::error(&value.origin, message).label(label));
                    None
                }
                Err(e) => self.not_a("size", text, value, &e),
            },
            _ => self.size(key, value).map(|n| n as u64),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str, value: &'a Value) -> Option<bool> {
        match &value.data {
            Data::Boolean(is) => Some(*is),
            _ => {
                self.wrong_type(key, value, "`true` or `false`", None);
                None
            }
        }
    }

    fn in_bounds(&mut self, key: &str, value: &Value, n: i128) -> Option<usize> {
        if (1..=i128::from(COUNT_MAX)).contains(&n) {
            return usize::try_from(n).ok();
        }
        let label = if n < 1 {
            "must be at least 1".to_owned()
        } else {
            format!("must be at most {COUNT_MAX}")
        };
        self.push(Diagnostic::error(&value.origin, format!("`{key}` cannot be {n}")).label(label));
        None
    }

    /// A duration; `Some(None)` is `none`.
    pub(super) fn duration_or_none(
        &mut self,
        key: &str,
        value: &'a Value,
    ) -> Option<Option<Duration>> {
        match &value.data {
            Data::Text(text) if text == "none" => Some(None),
            _ => self.duration(key, value).map(Some),
        }
    }

    /// A duration, and nothing else.
    pub(super) fn duration(&mut self, key: &str, value: &'a Value) -> Option<Duration> {
        match &value.data {
            Data::Text(text) if text == "none" => {
                self.push(
                    Diagnostic::error(&value.origin, format!("`{key}` cannot be none"))
                        .label("needs a duration")
                        .help("write a long one, as in `1h`"),
                );
                None
            }
            Data::Text(text) => match parse_duration(text) {
                Ok(duration) => Some(duration),
                Err(e) => self.not_a("duration", text, value, &e),
            },
            Data::Integer(n) => {
                let quote = match value.origin {
                    Origin::Flag(_) => "",
                    _ => "\"",
                };
                let d = Diagnostic::error(&value.origin, format!("{n} has no unit of time"));
                self.push(d.label("a number without a unit").help(format!(
                    "write `{quote}{n}s{quote}` for seconds, `{quote}{n}ms{quote}` for milliseconds"
                )));
                None
            }
            _ => {
                let help = "write a duration as in `\"200ms\"`, `\"10s\"` or `\"5m\"`";
                self.wrong_type(key, value, "a duration", Some(help));
                None
            }
        }
    }

    fn not_a<T>(&mut self, what: &str, text: &str, value: &Value, e: &QuantityError) -> Option<T> {
        let message = format!("`{}` is not a {what}", printable(text));
        let d = Diagnostic::error(&value.origin, message);
        self.push(d.label(e.to_string()).help(e.hint()));
        None
    }

    pub(super) fn wrong_type(
        &mut self,
        key: &str,
        value: &Value,
        expected: &str,
        help: Option<&str>,
    ) {
        let found = value.data.kind();
        let message = format!("`{key}` takes {expected}, not {found}");
        let mut d = Diagnostic::error(&value.origin, message).label(format!("this is {found}"));
        d.help = help.map(str::to_owned);
        self.push(d);
    }
}

/// What someone may have meant by a key that there is not.
pub(super) enum Meant {
    /// Something that is written otherwise: this is how.
    Help(String),
}

/// `did you mean …?`, where a name is near enough.
pub(super) fn did_you_mean(written: &str, names: &[&str]) -> Option<String> {
    let lower = written.to_lowercase();
    let distance = |name: &&str| strsim::damerau_levenshtein(&lower, name);
    let near = names.iter().copied().min_by_key(distance)?;
    let allowed = if near.len() <= 3 {
        1
    } else {
        2 + near.len() / 8
    };
    // Every letter changed is another word.
    let is_near = distance(&near) <= allowed.min(near.len() - 1);
    is_near.then(|| format!("did you mean `{near}`?"))
}

/// `` `a`, `b` or `c` ``.
pub(super) fn listed(names: &[&str], and: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

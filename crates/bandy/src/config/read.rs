//! TOML text into [`raw`] values.
//!
//! A syntax error does not end the reading: what the parser could make of the rest is read on, so that all errors can
//! be told at once.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Origin};
use super::raw::{Data, Key, Table, Value};

/// What a text holds, as far as its syntax let it be read.
pub(super) struct Read {
    pub(super) root: Table,
    /// Its syntax errors.
    pub(super) errors: Vec<Diagnostic>,
    /// Where the tree may say something else than was meant.
    doubtful: Vec<Range<usize>>,
}

impl Read {
    /// Whether what the tree holds at a place is what was written there.
    pub(super) fn is_certain(&self, at: &Origin) -> bool {
        match at {
            Origin::File(span) => !self.doubtful.iter().any(|d| d.contains(&span.start)),
            _ => true,
        }
    }
}

/// Reads a TOML text.
pub(super) fn read(text: &str) -> Read {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    let root = table(root.get_ref());
    let at = |e: &toml::de::Error| e.span().map_or(0, |s| s.start.min(text.len()));
    errors.sort_by_key(at);
    let mut read = Read {
        root,
        errors: Vec::new(),
        doubtful: Vec::new(),
    };
    // A bracket that stays open takes in everything behind it, and what the parser says about that helps nobody.
    let open = errors.iter().find(|e| e.message().starts_with("unclosed "));
    let open = open.and_then(|e| opened_before(&read.root, at(e)));
    let end = open.unwrap_or(usize::MAX);
    for error in errors.iter().filter(|e| at(e) < end) {
        let line = line_around(text, at(error));
        // The parser trips several times over one slip; the first says it best.
        if !read.doubtful.iter().any(|d| d.end == line.end) {
            read.errors.push(syntax_error(text, error, &read.root));
            // The key before a broken value is what it is.
            let value = text[line.start..at(error)].find('=').unwrap_or(0);
            read.doubtful.push(line.start + value..line.end);
        }
    }
    if let Some(open) = open {
        let bracket = &text[open..open + 1];
        let close = if bracket == "[" { "]" } else { "}" };
        read.errors.push(
            Diagnostic::error(
                &Origin::File(open..open + 1),
                format!("this `{bracket}` is never closed"),
            )
            .help(format!("close it with `{close}`")),
        );
        read.doubtful.push(open..text.len() + 1);
    }
    read
}

/// The start of the outermost list or inline table that reaches to `end`.
fn opened_before(table: &Table, end: usize) -> Option<usize> {
    table
        .0
        .iter()
        .find_map(|(_, value)| match (&value.data, &value.origin) {
            (Data::List(_) | Data::Table(_), Origin::File(span)) if span.end == end => {
                Some(span.start)
            }
            (Data::Table(inner), _) => opened_before(inner, end),
            _ => None,
        })
}

fn line_around(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    start..end + 1
}

fn table(entries: &DeTable<'_>) -> Table {
    let mut entries: Vec<_> = entries.iter().collect();
    // The parser sorts by name; people read from top to bottom.
    entries.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, v): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key_origin = Origin::File(key.span());
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        let key = Key {
            name: name.clone().into_owned(),
            origin: key_origin,
        };
        (key, value(v))
    };
    Table(entries.into_iter().map(entry).collect())
}

fn value(spanned: &Spanned<DeValue<'_>>) -> Value {
    let other = |kind, text: String| Data::Other { kind, text };
    let data = match spanned.get_ref() {
        DeValue::String(text) => Data::Text(text.clone().into_owned()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Data::Integer(n),
            Err(_) => other("a number that is too large", n.to_string()),
        },
        DeValue::Float(n) => other("a number with a fraction", n.to_string()),
        DeValue::Boolean(b) => Data::Boolean(*b),
        DeValue::Datetime(date) => other("a date", date.to_string()),
        DeValue::Array(items) => Data::List(items.iter().map(value).collect()),
        DeValue::Table(entries) => Data::Table(table(entries)),
    };
    Value::new(data, Origin::File(spanned.span()))
}

/// Says in a reader's words what the parser says in its own, where that is a common slip.
fn syntax_error(text: &str, error: &toml::de::Error, root: &Table) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let end = span.end.min(text.len());
    let span = span.start.min(end)..end;
    let written = &text[span.clone()];
    let line = line_around(text, span.start);
    let key = text[line.start..span.start]
        .split('=')
        .next()
        .unwrap_or_default()
        .trim();
    let at = Origin::File(span.clone());
    match error.message() {
        m if m.starts_with("string values must be quoted") => {
            if written.is_empty() {
                Diagnostic::error(&at, format!("`{key}` has no value")).label("expected a value")
            } else {
                Diagnostic::error(&at, "a string must stand in quotes")
                    .help(format!("write `\"{written}\"`"))
            }
        }
        m if m.starts_with("key with no value") => {
            Diagnostic::error(&at, format!("`{key}` has no value"))
                .label("expected `=`")
                .help("keys are written `key = value`, tables `[server.NAME]`")
        }
        m if m.starts_with("invalid basic string, expected `\"`") => {
            Diagnostic::error(&at, "the string is never closed").label("expected `\"`")
        }
        "duplicate key" => {
            let is_header = text[line.start..].trim_start().starts_with('[');
            let what = if is_header { "table" } else { "key" };
            let d = Diagnostic::error(&at, format!("the {what} `{written}` is written twice"));
            match last_before(root, written, span.start) {
                Some(first) if !is_header => d.also(&Origin::File(first), "first written here"),
                _ => d,
            }
        }
        m => match m.split_once(", expected ") {
            Some((what, expected)) => {
                Diagnostic::error(&at, what).label(format!("expected {expected}"))
            }
            None => Diagnostic::error(&at, m),
        },
    }
}

/// The last key of that name before a byte.
fn last_before(table: &Table, name: &str, byte: usize) -> Option<Range<usize>> {
    let here = |(key, value): &(Key, Value)| {
        let own = match &key.origin {
            Origin::File(span) if key.name == name && span.start < byte => Some(span.clone()),
            _ => None,
        };
        let below = match &value.data {
            Data::Table(inner) => last_before(inner, name, byte),
            _ => None,
        };
        [own, below]
    };
    let found = table.0.iter().flat_map(here).flatten();
    found.max_by_key(|span| span.start)
}

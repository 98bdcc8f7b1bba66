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

/// How often the reading starts again behind an error that the parser does not get over.
const RESTARTS_MAX: usize = 50;

/// Reads a TOML text.
pub(super) fn read(text: &str) -> Read {
    let mut read = Read {
        root: Table::default(),
        errors: Vec::new(),
        doubtful: Vec::new(),
    };
    // Errors that would hide what follows are blanked out, byte for byte, so that places stay where they are.
    let mut patched = text.to_owned();
    for _ in 0..RESTARTS_MAX {
        match pass(text, &patched, &mut read) {
            Some((broken, with)) => {
                let blank = |c: char| {
                    if c == '\n' {
                        "\n".to_owned()
                    } else {
                        " ".repeat(c.len_utf8())
                    }
                };
                let mut spaces: String = patched[broken.clone()].chars().map(blank).collect();
                spaces.replace_range(..with.len(), with);
                patched.replace_range(broken, &spaces);
            }
            None => break,
        }
    }
    read
}

/// Parses once and notes new errors; what to blank out, and with what, if the parser did not get to the end.
fn pass(text: &str, patched: &str, read: &mut Read) -> Option<(Range<usize>, &'static str)> {
    let (root, mut errors) = DeTable::parse_recoverable(patched);
    read.root = table(root.get_ref());
    let at = |e: &toml::de::Error| floor(text, e.span().map_or(0, |span| span.start));
    errors.sort_by_key(at);
    // A bracket that stays open takes in everything behind it, and what the parser says about that helps nobody.
    let is_unclosed = |e: &&toml::de::Error| e.message().starts_with("unclosed ");
    let unclosed: Vec<usize> = errors.iter().filter(is_unclosed).map(at).collect();
    let open = first_open(&read.root, patched, &unclosed);
    let stop = errors
        .iter()
        .find(|e| e.message().starts_with("key with no value"))
        .map(at);
    let opens_at = open.unwrap_or(usize::MAX);
    // What comes behind is read once that is out of the way.
    let end = stop.map_or(opens_at, |stop| opens_at.min(stop + 1));
    for error in &errors {
        let line = line_around(text, at(error));
        // An open string is why the bracket before it stays open.
        let is_cause = is_open_string(error) && opens_at == end && line.contains(&opens_at);
        // The parser trips several times over one slip; the first says it best.
        let is_known = read
            .doubtful
            .iter()
            .any(|d| d.contains(&line.start) || d.end == line.end);
        if (at(error) < end || is_cause) && !is_known {
            read.errors.push(syntax_error(text, error, &read.root));
            // The key before a broken value is what it is.
            let value = text[line.start..at(error)].find('=').unwrap_or(0);
            read.doubtful.push(line.start + value..line.end);
        }
    }
    match (open, stop) {
        (Some(open), stop) if stop.is_none_or(|stop| open < stop) => {
            let line = line_around(text, open);
            let with = if text[open..].starts_with('[') {
                "["
            } else {
                "{"
            };
            let (with, close) = if with == "[" {
                ("[]", "]")
            } else {
                ("{}", "}")
            };
            if !read.doubtful.iter().any(|d| d.contains(&open)) {
                let message = format!("this `{}` is never closed", &with[..1]);
                let d = Diagnostic::error(&Origin::File(open..open + 1), message);
                read.errors.push(d.help(format!("close it with `{close}`")));
            }
            let end = line.end.min(text.len()) + lines_of_value(&text[line.end.min(text.len())..]);
            read.doubtful.push(open..end.max(line.end));
            let has_room = text[open..end].trim_end().len() > 1;
            // With nothing behind the bracket there is no room for its end.
            Some(if has_room {
                (open..end, with)
            } else {
                (line.start..end, "")
            })
        }
        (_, Some(stop)) => {
            let line = line_around(text, stop);
            Some((line.start..line.end.min(text.len()), ""))
        }
        _ => None,
    }
}

fn is_open_string(error: &toml::de::Error) -> bool {
    let m = error.message();
    m.starts_with("invalid basic string") || m.starts_with("invalid literal string")
}

/// How many bytes of a text belong to the value before it: lines until one that looks like a key or a table.
fn lines_of_value(text: &str) -> usize {
    let is_new = |line: &str| {
        let line = line.trim_start();
        let is_key = |key: &str| {
            let key = key.trim_end();
            !key.is_empty()
                && key
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        line.starts_with('[') || line.split_once('=').is_some_and(|(key, _)| is_key(key))
    };
    let lines = text.split_inclusive('\n').take_while(|line| !is_new(line));
    lines.map(str::len).sum()
}

/// The start of the first list or inline table without an end; `unclosed` is where the parser missed one.
fn first_open(table: &Table, text: &str, unclosed: &[usize]) -> Option<usize> {
    let is_open = |span: &Range<usize>, close| {
        unclosed.contains(&span.end) || !text[..span.end.min(text.len())].ends_with(close)
    };
    let here = |(_, value): &(Key, Value)| match (&value.data, &value.origin) {
        _ if unclosed.is_empty() => None,
        // `[[a.b]]`, whose place is not one pair of brackets.
        (Data::List(items), Origin::File(span)) if text[span.start..].starts_with("[[") => {
            let inner = items.iter().filter_map(|item| match &item.data {
                Data::Table(table) => first_open(table, text, unclosed),
                _ => None,
            });
            inner.min()
        }
        (Data::List(_), Origin::File(span)) => is_open(span, ']').then_some(span.start),
        (Data::Table(_), Origin::File(span)) if text[span.start..].starts_with('{') => {
            is_open(span, '}').then_some(span.start)
        }
        (Data::Table(inner), _) => first_open(inner, text, unclosed),
        _ => None,
    };
    table.0.iter().filter_map(here).min()
}

/// The place, or the one before it where a character begins: a place in a patched text may be inside one of the
/// original's.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
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
    let end = floor(text, span.end);
    let span = floor(text, span.start).min(end)..end;
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
        "invalid basic string, expected `\"`" => {
            Diagnostic::error(&at, "the string is never closed").label("expected `\"`")
        }
        "invalid literal string, expected `'`" => {
            Diagnostic::error(&at, "the string is never closed").label("expected `'`")
        }
        "unclosed table, expected `]`" => {
            Diagnostic::error(&at, "the table's name is never closed").label("expected `]`")
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

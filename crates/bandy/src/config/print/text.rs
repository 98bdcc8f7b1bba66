//! A configuration as TOML text.

use std::fmt::Write;

use crate::config::raw::{Config, Data, Key, Table, Value};

/// Nothing is printed wider than this on one line, where it can be broken.
const WIDTH: usize = 100;

impl Config {
    /// The configuration as TOML text; parsing it gives the same values.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        print_table(&mut out, &mut Vec::new(), &self.root);
        out
    }
}

/// A table with its header: first what fits on a line each, then the tables that do not.
fn print_table<'a>(out: &mut String, path: &mut Vec<&'a str>, table: &'a Table) {
    let (inner, lines) = divided(path.len(), table);
    if !lines.is_empty() || inner.is_empty() && !path.is_empty() {
        print_header(out, path, ["[", "]"]);
    }
    print_body(out, path, inner, lines);
}

type Entries<'a> = Vec<&'a (Key, Value)>;

/// The entries of a table that have a header of their own, and those that stand on a line.
fn divided(depth: usize, table: &Table) -> (Entries<'_>, Entries<'_>) {
    let has_header = |(key, value): &&(Key, Value)| has_own_header(depth, &key.name, value);
    table.0.iter().partition(has_header)
}

fn print_header(out: &mut String, path: &[&str], [open, close]: [&str; 2]) {
    if !out.is_empty() {
        out.push('\n');
    }
    if !path.is_empty() {
        let path: Vec<String> = path.iter().map(|name| quote_key(name)).collect();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(out, "{open}{}{close}", path.join("."));
    }
}

fn print_body<'a>(
    out: &mut String,
    path: &mut Vec<&'a str>,
    inner: Entries<'a>,
    lines: Entries<'a>,
) {
    for (key, value) in lines {
        print_line(out, quote_key(&key.name), value);
    }
    for (key, value) in inner {
        path.push(&key.name);
        match &value.data {
            Data::Table(table) => print_table(out, path, table),
            Data::List(items) => {
                for table in items.iter().filter_map(as_table) {
                    let (inner, lines) = divided(path.len(), table);
                    print_header(out, path, ["[[", "]]"]);
                    print_body(out, path, inner, lines);
                }
            }
            _ => {}
        }
        path.pop();
    }
}

fn as_table(value: &Value) -> Option<&Table> {
    match &value.data {
        Data::Table(table) => Some(table),
        _ => None,
    }
}

/// `server` and each server always, and so each route; what else is in a server only if it is too wide for a line.
fn has_own_header(depth: usize, key: &str, value: &Value) -> bool {
    match &value.data {
        Data::Table(table) if depth >= 2 => match table.0.as_slice() {
            [(key, value)] => has_own_header(depth + 1, &key.name, value),
            _ => key.len() + 3 + inline(value).len() > WIDTH,
        },
        Data::Table(_) => true,
        Data::List(items) if depth == 2 => {
            !items.is_empty() && items.iter().all(|item| as_table(item).is_some())
        }
        _ => false,
    }
}

fn print_line(out: &mut String, key: String, value: &Value) {
    match &value.data {
        // `service.greet = "Hi"`, rather than `service = { greet = "Hi" }`.
        Data::Table(table) if table.0.len() == 1 => {
            let (inner, value) = &table.0[0];
            print_line(out, format!("{key}.{}", quote_key(&inner.name)), value);
        }
        Data::List(items) if items.len() > 1 && key.len() + 3 + inline(value).len() > WIDTH => {
            let _ = writeln!(out, "{key} = [");
            for item in items {
                let _ = writeln!(out, "  {},", inline(item));
            }
            out.push_str("]\n");
        }
        _ => {
            let _ = writeln!(out, "{key} = {}", inline(value));
        }
    }
}

fn inline(value: &Value) -> String {
    match &value.data {
        Data::Text(text) => quote(text),
        Data::Integer(n) => n.to_string(),
        Data::Boolean(b) => b.to_string(),
        Data::Other { text, .. } => text.clone(),
        Data::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Data::Table(table) if table.0.is_empty() => "{}".to_owned(),
        Data::Table(table) => {
            let entry = |(key, value): &(Key, Value)| {
                format!("{} = {}", quote_key(&key.name), inline(value))
            };
            let entries: Vec<String> = table.0.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn quote_key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        escape(name)
    }
}

/// A TOML string: literal where that saves escapes, over several lines where it has them.
fn quote(text: &str) -> String {
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains('\n')
        && !text.contains("''")
        && !text.ends_with('\'')
        && !text.contains(is_odd)
    {
        return format!("'''\n{text}'''");
    }
    let is_plain = !text.contains('\'') && !text.contains(char::is_control);
    if is_plain && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    escape(text)
}

/// A TOML string on one line.
fn escape(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

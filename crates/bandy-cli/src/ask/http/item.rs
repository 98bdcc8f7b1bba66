//! Items: `name=text`, `name:=json`, `query==value`, `Header:value`, `name@file`, as HTTPie has them.
//!
//! The separator that comes first splits an item, the longest of those that begin there. A backslash takes a separator's
//! character out of this; before any other character it is a backslash. Files are named here and read elsewhere.

use crate::report;
use bandy::error::Error;

/// One item of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    pub value: Value,
    /// As it was typed, for messages.
    pub typed: String,
}

/// What an item gives to its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `Header:value`.
    Header(Source),
    /// `Header:`: what would be sent by itself is not.
    NoHeader,
    /// `Header;`: sent without a value.
    EmptyHeader,
    /// `name==value`: part of the URL.
    Query(Source),
    /// `name=text`: a string of the body.
    Text(Source),
    /// `name:=json`: any JSON of the body.
    Json(Source),
    /// `name@file`: a file of a form; without a name the body itself.
    Upload {
        path: String,
        /// The media type behind `;type=`.
        kind: Option<String>,
    },
}

/// Where a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the item.
    Here(String),
    /// In this file.
    File(String),
}

/// In the order in which they are tried: of two that begin at one place the longer is first.
const SEPARATORS: [&str; 10] = [":=@", "==@", ":=", "==", "=@", ":@", "=", "@", ":", ";"];

impl Item {
    /// Whether the item is a part of the body.
    pub fn is_data(&self) -> bool {
        matches!(
            self.value,
            Value::Text(_) | Value::Json(_) | Value::Upload { .. }
        )
    }
}

/// Understands an item.
///
/// # Errors
/// What it lacks, and how items are written.
pub fn parse(typed: &str) -> Result<Item, Error> {
    let wrong = |why: &str, hint: &str| {
        report::usage(
            format!("reading the item `{}`", typed.escape_debug()),
            why,
            hint,
        )
    };
    let Some((name, separator, value)) = split(typed) else {
        return Err(wrong(
            "it has no separator",
            "write name=text, name:=json, query==value, Header:value or name@file; @FILE or - is a whole body",
        ));
    };
    let here = |value: String| Source::Here(value);
    let value = match separator {
        "=" => Value::Text(here(value)),
        "=@" => Value::Text(Source::File(value)),
        ":=" => Value::Json(here(value)),
        ":=@" => Value::Json(Source::File(value)),
        "==" => Value::Query(here(value)),
        "==@" => Value::Query(Source::File(value)),
        ":@" => Value::Header(Source::File(value)),
        ":" if value.is_empty() => Value::NoHeader,
        ":" => Value::Header(here(value)),
        ";" if value.is_empty() => Value::EmptyHeader,
        ";" => {
            return Err(wrong(
                "a header without a value ends with `;`",
                "write `Header;`, or `Header:value`",
            ));
        }
        _ => {
            let (path, kind) = match value.rsplit_once(";type=") {
                Some((path, kind)) => (path.to_owned(), Some(kind.to_owned())),
                None => (value, None),
            };
            Value::Upload { path, kind }
        }
    };
    let is_header = matches!(
        value,
        Value::Header(_) | Value::NoHeader | Value::EmptyHeader
    );
    if is_header && name.trim().is_empty() {
        return Err(wrong(
            "a header has a name",
            "write `Header:value`; an address with a port stands before the items",
        ));
    }
    Ok(Item {
        name,
        value,
        typed: typed.to_owned(),
    })
}

/// The name, the separator and the value, without the backslashes that protected something.
fn split(typed: &str) -> Option<(String, &'static str, String)> {
    let mut name = String::new();
    let mut rest = typed;
    loop {
        if let Some(separator) = SEPARATORS.iter().find(|s| rest.starts_with(**s)) {
            // All starts of it were looked at, so it can be cut off.
            let value = unprotect(rest.get(separator.len()..).unwrap_or_default());
            return Some((name, separator, value));
        }
        let mut chars = rest.chars();
        match chars.next()? {
            '\\' => match chars.next() {
                Some(c) if is_special(c) => name.push(c),
                Some(c) => {
                    name.push('\\');
                    name.push(c);
                }
                None => name.push('\\'),
            },
            c => name.push(c),
        }
        rest = chars.as_str();
    }
}

fn unprotect(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(c) if is_special(c) => out.push(c),
            Some(c) => {
                out.push('\\');
                out.push(c);
            }
            None => out.push('\\'),
        }
    }
    out
}

fn is_special(c: char) -> bool {
    matches!(c, ':' | ';' | '=' | '@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn here(text: &str) -> Source {
        Source::Here(text.to_owned())
    }

    fn file(path: &str) -> Source {
        Source::File(path.to_owned())
    }

    fn upload(path: &str, kind: Option<&str>) -> Value {
        Value::Upload {
            path: path.to_owned(),
            kind: kind.map(str::to_owned),
        }
    }

    #[test]
    fn every_sort() {
        for (typed, name, value) in [
            ("name=Ada", "name", Value::Text(here("Ada"))),
            ("name=", "name", Value::Text(here(""))),
            ("a=b=c", "a", Value::Text(here("b=c"))),
            ("a=b:c", "a", Value::Text(here("b:c"))),
            ("n:=1", "n", Value::Json(here("1"))),
            ("n:=[\"a=b\"]", "n", Value::Json(here("[\"a=b\"]"))),
            ("q==1", "q", Value::Query(here("1"))),
            ("q==", "q", Value::Query(here(""))),
            ("q==@f", "q", Value::Query(file("f"))),
            ("X-A:b", "X-A", Value::Header(here("b"))),
            ("Host:a:80", "Host", Value::Header(here("a:80"))),
            ("X-A:", "X-A", Value::NoHeader),
            ("X-A;", "X-A", Value::EmptyHeader),
            ("X-A:@f", "X-A", Value::Header(file("f"))),
            ("t=@f.txt", "t", Value::Text(file("f.txt"))),
            ("j:=@f.json", "j", Value::Json(file("f.json"))),
            ("pic@a.png", "pic", upload("a.png", None)),
            ("pic@a;type=b/c", "pic", upload("a", Some("b/c"))),
            ("@body", "", upload("body", None)),
            // The first separator splits.
            ("a@b=c", "a", upload("b=c", None)),
            ("a[b]:=2", "a[b]", Value::Json(here("2"))),
            // What a backslash takes out.
            (r"a\:b=c", "a:b", Value::Text(here("c"))),
            (r"a\==b", "a=", Value::Text(here("b"))),
            (r"a=\@b", "a", Value::Text(here("@b"))),
            (r"a=b\\c", "a", Value::Text(here(r"b\\c"))),
            (r"C\x=y\z", r"C\x", Value::Text(here(r"y\z"))),
            (r"a\[b]=c", r"a\[b]", Value::Text(here("c"))),
            (r"a=b\", "a", Value::Text(here(r"b\"))),
        ] {
            let item = parse(typed).expect(typed);
            assert_eq!((item.name.as_str(), &item.value), (name, &value), "{typed}");
        }
    }

    #[test]
    fn what_is_none() {
        for typed in ["", "name", r"name\=x", "X-A;b", ":5000/x", ":", r"\"] {
            parse(typed).expect_err(typed);
        }
    }

    proptest! {
        #[test]
        fn never_panics(typed in ".{0,40}") {
            let _ = parse(&typed);
        }

        #[test]
        fn of_separators_too(typed in r"[a:;=@\\\[\]]{0,12}") {
            let _ = parse(&typed);
        }

        #[test]
        fn what_is_protected_comes_back(name in "[a-z:;=@]{1,8}", value in "[a-z:;=@]{0,8}") {
            let protect = |text: &str| -> String {
                text.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
            };
            let item = parse(&format!("{}={}", protect(&name), protect(&value))).expect("an item");
            prop_assert_eq!(item.name, name);
            prop_assert_eq!(item.value, Value::Text(Source::Here(value)));
        }
    }
}

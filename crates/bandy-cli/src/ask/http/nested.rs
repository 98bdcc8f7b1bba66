//! JSON out of items: `a[b][]=x` makes `{"a":{"b":["x"]}}`, as HTTPie 3 does.
//!
//! A key is a name and any number of steps: `[name]` into an object, `[0]` into an array at that place, `[]` behind its
//! end. A key that begins with a step makes an array of the whole body. A backslash protects `[`, `]` and itself, and
//! makes a name of a number: `a[\1]`. JSON that was written out is passed on as it is, numbers to the last digit.

use std::fmt::Write;

use bandy::error::Error;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::report;

/// A place in an array that is farther away than this is a mistake, and not a wish for so many nulls.
const INDEX_MAX: usize = 65_535;

/// A body that items make.
#[derive(Debug, Default)]
pub struct Body(Option<Tree>);

/// JSON that can be added to.
#[derive(Debug)]
enum Tree {
    /// JSON as it was written.
    Raw(String),
    Array(Vec<Tree>),
    /// In the order in which the names came.
    Object(Vec<(String, Tree)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Append,
}

impl Body {
    /// Puts a string at this key.
    ///
    /// # Errors
    /// What is wrong with the key, or that something else is there already.
    pub fn text(&mut self, key: &str, text: &str) -> Result<(), Error> {
        self.put(key, Tree::Raw(quoted(text)))
    }

    /// Puts JSON at this key.
    ///
    /// # Errors
    /// As [`Body::text`], and that it is no JSON.
    pub fn json(&mut self, key: &str, json: &str) -> Result<(), Error> {
        match serde_json::from_str::<&RawValue>(json) {
            Ok(raw) => self.put(key, Tree::Raw(raw.get().to_owned())),
            Err(e) => Err(report::usage(
                format!("reading the JSON of `{}`", key.escape_debug()),
                e.to_string(),
                "text is written name=text; quote JSON for the shell, as in name:='[1, \"two\"]'",
            )),
        }
    }

    /// The whole.
    pub fn written(&self) -> String {
        let mut out = String::new();
        match &self.0 {
            Some(tree) => tree.write(&mut out),
            None => out.push_str("{}"),
        }
        out
    }

    fn put(&mut self, key: &str, value: Tree) -> Result<(), Error> {
        let steps = steps(key)?;
        let mut at = self.0.get_or_insert_with(|| Tree::of(steps.first()));
        for (i, step) in steps.iter().enumerate() {
            let next = || Tree::of(steps.get(i + 1));
            let place = at.enter(step, next);
            at = place.map_err(|is| wrong(key, &format!("{is}, and `{step}` is not for that")))?;
        }
        *at = value;
        Ok(())
    }
}

impl Tree {
    /// What a step can be taken in; where there is none, a place for a value.
    fn of(step: Option<&Step>) -> Tree {
        match step {
            Some(Step::Key(_)) => Tree::Object(Vec::new()),
            Some(Step::Index(_) | Step::Append) => Tree::Array(Vec::new()),
            None => null(),
        }
    }

    /// The place that a step leads to, made if need be. The error is what is here instead.
    fn enter(&mut self, step: &Step, new: impl Fn() -> Tree) -> Result<&mut Tree, String> {
        self.expand();
        match (self, step) {
            (Tree::Object(entries), Step::Key(name)) => {
                let at = match entries.iter().position(|(key, _)| key == name) {
                    Some(at) => at,
                    None => {
                        entries.push((name.clone(), new()));
                        entries.len() - 1
                    }
                };
                let entry = entries.get_mut(at);
                entry.map(|(_, tree)| tree).ok_or_else(String::new)
            }
            (Tree::Array(values), Step::Index(at)) => {
                while values.len() <= *at {
                    values.push(null());
                }
                let place = values.get_mut(*at).ok_or_else(String::new)?;
                if matches!(place, Tree::Raw(raw) if raw == "null") {
                    *place = new();
                }
                Ok(place)
            }
            (Tree::Array(values), Step::Append) => {
                values.push(new());
                values.last_mut().ok_or_else(String::new)
            }
            (tree, _) => Err(format!("it is {} already", tree.sort())),
        }
    }

    /// Makes an object or array that was written out one that can be added to.
    fn expand(&mut self) {
        let Tree::Raw(text) = &*self else { return };
        let raw = |raw: &RawValue| Tree::Raw(raw.get().to_owned());
        if let Ok(Entries(entries)) = serde_json::from_str(text) {
            let entries = entries.into_iter().map(|(name, value)| (name, raw(value)));
            *self = Tree::Object(entries.collect());
        } else if let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) {
            *self = Tree::Array(values.into_iter().map(raw).collect());
        }
    }

    fn sort(&self) -> &'static str {
        match self {
            Tree::Array(_) => "an array",
            Tree::Object(_) => "an object",
            Tree::Raw(raw) => match raw.bytes().next() {
                Some(b'"') => "a string",
                Some(b't' | b'f') => "true or false",
                Some(b'n') => "null",
                _ => "a number",
            },
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Tree::Raw(raw) => out.push_str(raw),
            Tree::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    out.push(if i == 0 { '[' } else { ',' });
                    value.write(out);
                }
                out.push_str(if values.is_empty() { "[]" } else { "]" });
            }
            Tree::Object(entries) => {
                for (i, (name, value)) in entries.iter().enumerate() {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{}{}:", if i == 0 { '{' } else { ',' }, quoted(name));
                    value.write(out);
                }
                out.push_str(if entries.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

fn null() -> Tree {
    Tree::Raw("null".to_owned())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Key(name) => write!(f, "[{}]", name.escape_debug()),
            Step::Index(at) => write!(f, "[{at}]"),
            Step::Append => f.write_str("[]"),
        }
    }
}

/// An object's names and values as they are written, repeated names included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(Visitor)
    }
}

fn wrong(key: &str, why: &str) -> Error {
    report::usage(
        format!("placing `{}` in the body", key.escape_debug()),
        why,
        "a key is name[name][0][]; write a bracket that is part of a name as \\[",
    )
}

/// A key's steps; the first is its name.
fn steps(key: &str) -> Result<Vec<Step>, Error> {
    let mut tokens = tokens(key).into_iter().peekable();
    let mut steps = Vec::new();
    // The name stands without brackets, and is one even where it is a number.
    match tokens.next_if(|token| matches!(token, Token::Text { .. })) {
        Some(Token::Text { text, .. }) => steps.push(Step::Key(text)),
        _ if tokens.peek().is_none() => return Ok(vec![Step::Key(String::new())]),
        _ => {}
    }
    while let Some(token) = tokens.next() {
        if !matches!(token, Token::Open) {
            return Err(wrong(key, "a `[` is missing"));
        }
        let step = match tokens.next() {
            Some(Token::Close) => {
                steps.push(Step::Append);
                continue;
            }
            Some(Token::Text { text, is_name }) => match text.parse::<i64>() {
                Ok(at) if !is_name => match usize::try_from(at) {
                    Ok(at) if at <= INDEX_MAX => Step::Index(at),
                    Ok(_) => return Err(wrong(key, "so many elements are none")),
                    Err(_) => return Err(wrong(key, "an array begins at 0")),
                },
                _ if steps.is_empty() => {
                    return Err(wrong(key, "it begins with a name in brackets"));
                }
                _ => Step::Key(text),
            },
            _ => return Err(wrong(key, "a `[` is not closed")),
        };
        if tokens.next() != Some(Token::Close) {
            return Err(wrong(key, "a `[` is not closed"));
        }
        steps.push(step);
    }
    Ok(steps)
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    /// `is_name`: a backslash said that it is no number.
    Text {
        text: String,
        is_name: bool,
    },
}

fn tokens(key: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut is_name = false;
    let flush = |tokens: &mut Vec<Token>, text: &mut String, is_name: &mut bool| {
        if !text.is_empty() {
            let mut text = std::mem::take(text);
            // `\1` is the name "1".
            if let Some(digits) = text.strip_prefix('\\')
                && digits.parse::<i64>().is_ok()
            {
                text = digits.to_owned();
                *is_name = true;
            }
            tokens.push(Token::Text {
                text,
                is_name: std::mem::take(is_name),
            });
        }
    };
    let mut chars = key.chars();
    while let Some(c) = chars.next() {
        match c {
            '[' | ']' => {
                flush(&mut tokens, &mut text, &mut is_name);
                tokens.push(if c == '[' { Token::Open } else { Token::Close });
            }
            '\\' => match chars.next() {
                Some(c @ ('[' | ']' | '\\')) => {
                    is_name = true;
                    text.push(c);
                }
                Some(c) => {
                    text.push('\\');
                    text.push(c);
                }
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    flush(&mut tokens, &mut text, &mut is_name);
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What these items make; those with `:=` are JSON.
    fn made(items: &[&str]) -> Result<String, Error> {
        let mut body = Body::default();
        for item in items {
            match item.split_once(":=") {
                Some((key, json)) => body.json(key, json)?,
                None => {
                    let (key, text) = item.split_once('=').expect("an item");
                    body.text(key, text)?;
                }
            }
        }
        Ok(body.written())
    }

    #[test]
    fn as_httpie_makes_it() {
        let cases: [(&[&str], &str); 20] = [
            (&[], "{}"),
            (&["a=1", "b:=1"], r#"{"a":"1","b":1}"#),
            (&["a=1", "a=2"], r#"{"a":"2"}"#),
            (&["a[b]=x"], r#"{"a":{"b":"x"}}"#),
            (&["a[b][]=x", "a[b][]=y"], r#"{"a":{"b":["x","y"]}}"#),
            (&["a[2]=x"], r#"{"a":[null,null,"x"]}"#),
            (&["a[0][n]=x", "a[0][m]=y"], r#"{"a":[{"n":"x","m":"y"}]}"#),
            (&["[]=x", "[]:=2"], r#"["x",2]"#),
            (&["[0]=x", "[1][a]=y"], r#"["x",{"a":"y"}]"#),
            (&[":=[1, 2]"], r#"{"":[1, 2]}"#),
            (&["=x"], r#"{"":"x"}"#),
            (&["5=x"], r#"{"5":"x"}"#),
            (&[r"a[\1]=x"], r#"{"a":{"1":"x"}}"#),
            (&[r"a\[b\]=x"], r#"{"a[b]":"x"}"#),
            (&[r"a[\[]=x"], r#"{"a":{"[":"x"}}"#),
            (&[r"a\\b=x"], r#"{"a\\b":"x"}"#),
            (&[r"a\b=x"], r#"{"a\\b":"x"}"#),
            (&[r#"a:={"b": 1}"#, "a[c]=x"], r#"{"a":{"b":1,"c":"x"}}"#),
            (&["a:=[1]", "a[]:=2"], r#"{"a":[1,2]}"#),
            (
                &["n:=12345678901234567890.10", "q=\"\u{1}"],
                "{\"n\":12345678901234567890.10,\"q\":\"\\\"\\u0001\"}",
            ),
        ];
        for (items, json) in cases {
            assert_eq!(made(items).expect("a body"), json, "{items:?}");
        }
    }

    #[test]
    fn what_does_not_fit() {
        let cases: [&[&str]; 12] = [
            &["a=1", "a[b]=2"],
            &["a[b]=1", "a[]=2"],
            &["a[]=1", "a[b]=2"],
            &["[]=1", "a=2"],
            &["a=1", "[]=2"],
            &["a[=1"],
            &["a]=1"],
            &["a[b=1"],
            &["a[b]c=1"],
            &["[a]=1"],
            &["a[-1]=1"],
            &["a[99999999]=1"],
        ];
        for items in cases {
            made(items).expect_err(&format!("{items:?}"));
        }
        made(&["a:={"]).expect_err("no JSON");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_json(
            items in prop::collection::vec((r"[ab0-9\[\]\\]{0,9}", "\\PC{0,4}"), 0..6),
        ) {
            let mut body = Body::default();
            for (key, text) in items {
                if body.text(&key, &text).is_err() {
                    return Ok(());
                }
            }
            let json: Result<serde_json::Value, _> = serde_json::from_str(&body.written());
            prop_assert!(json.is_ok(), "{}", body.written());
        }

        #[test]
        fn a_string_comes_back(name in "[^\\[\\]\\\\]{1,8}", text in ".{0,8}") {
            let mut body = Body::default();
            body.text(&name, &text).expect("a key");
            let json: serde_json::Value = serde_json::from_str(&body.written()).expect("JSON");
            prop_assert_eq!(json, serde_json::json!({ name: text }));
        }
    }
}

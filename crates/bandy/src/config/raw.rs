//! What was written: a tree of values, each with the place that it came from.
//!
//! A file parses to it and the command line builds it; nothing here knows which keys there are. [`super::plan`] does.

use std::path::PathBuf;

use super::diagnostic::{Origin, Source};

/// A configuration as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The file that it came from; empty for the command line.
    pub source: Source,
    /// What relative paths of certificates are relative to. Empty is the current folder.
    pub folder: PathBuf,
    /// Everything in it.
    pub root: Table,
}

/// Keys and their values, in the order that they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table(pub Vec<(Key, Value)>);

/// A key and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// As written, without quotes.
    pub name: String,
    /// Where.
    pub origin: Origin,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// What it is.
    pub data: Data,
    /// Where.
    pub origin: Origin,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Value>),
    /// A table.
    Table(Table),
    /// A value of a type that no key takes.
    Other {
        /// Its type with an article: `a date`.
        kind: &'static str,
        /// As written.
        text: String,
    },
}

impl Data {
    /// What a flag was given: a whole number where it looks like one, else a text.
    pub fn from_flag(text: &str) -> Data {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Data::Integer(number),
            _ => Data::Text(text.to_owned()),
        }
    }

    /// The type's name with its article, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Data::Text(_) => "a string",
            Data::Integer(_) => "a number",
            Data::Boolean(_) => "a boolean",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
            Data::Other { kind, .. } => kind,
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Data {
        Data::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Data {
        Data::Text(text)
    }
}

impl Data {
    /// A list of texts that all came from one place.
    pub fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, origin: &Origin) -> Data {
        let value = |text: T| Value::new(text.as_ref(), origin.clone());
        Data::List(texts.into_iter().map(value).collect())
    }
}

impl Value {
    /// A value from a place.
    pub fn new(data: impl Into<Data>, origin: Origin) -> Value {
        Value {
            data: data.into(),
            origin,
        }
    }
}

impl Table {
    /// The entry with this key.
    pub fn entry(&self, name: &str) -> Option<&(Key, Value)> {
        self.0.iter().find(|(key, _)| key.name == name)
    }

    /// The value of this key.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entry(name).map(|(_, value)| value)
    }

    /// Puts a value at a path of keys (`["limits", "idle"]`), making the tables on its way; what stood there before
    /// goes.
    pub fn set(&mut self, path: &[&str], data: impl Into<Data>, origin: Origin) {
        let [name, rest @ ..] = path else { return };
        let at = match self.0.iter().position(|(key, _)| key.name == *name) {
            Some(at) => at,
            None => {
                let key = Key {
                    name: (*name).to_owned(),
                    origin: origin.clone(),
                };
                self.0.push((
                    key,
                    Value::new(Data::Table(Table::default()), origin.clone()),
                ));
                self.0.len() - 1
            }
        };
        let value = &mut self.0[at].1;
        if rest.is_empty() {
            *value = Value::new(data, origin);
            return;
        }
        if !matches!(value.data, Data::Table(_)) {
            *value = Value::new(Data::Table(Table::default()), origin.clone());
        }
        if let Data::Table(table) = &mut value.data {
            table.set(rest, data, origin);
        }
    }
}

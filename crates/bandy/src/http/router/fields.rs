//! Rules for the fields of requests and responses: set, add, remove.

use std::fmt;

use crate::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What is done to the fields of a message: first it loses some, then gets others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl Fields {
    /// Nothing is done.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// A field goes, with all its values.
    ///
    /// # Errors
    /// A name that is none, or that belongs to the connection.
    pub fn remove(mut self, name: &str) -> Result<Fields, FieldError> {
        self.remove.push(field_name(name)?);
        Ok(self)
    }

    /// A field has this value alone.
    ///
    /// # Errors
    /// As [`Fields::remove`], and a value that cannot be sent.
    pub fn set(mut self, name: &str, value: &str) -> Result<Fields, FieldError> {
        let (name, value) = field(name, value)?;
        self.set.retain(|(set, _)| *set != name);
        self.set.push((name, value));
        Ok(self)
    }

    /// A field has this value too.
    ///
    /// # Errors
    /// As [`Fields::set`].
    pub fn add(mut self, name: &str, value: &str) -> Result<Fields, FieldError> {
        let field = field(name, value)?;
        // Beside those of its name, whose order matters.
        let last = self.add.iter().rposition(|(name, _)| *name == field.0);
        self.add
            .insert(last.map_or(self.add.len(), |at| at + 1), field);
        Ok(self)
    }

    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Does it.
    pub fn apply(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            fields.append(name.clone(), value.clone());
        }
    }

    /// Those that go.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.remove.iter().map(HeaderName::as_str)
    }

    /// Those that are set, with their values.
    pub fn to_set(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set.iter().map(as_text)
    }

    /// Those that are added, with their values.
    pub fn to_add(&self) -> impl Iterator<Item = (&str, &str)> {
        self.add.iter().map(as_text)
    }
}

fn as_text((name, value): &(HeaderName, HeaderValue)) -> (&str, &str) {
    // It was made of text.
    (name.as_str(), value.to_str().unwrap_or_default())
}

/// Why a field cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldError {
    /// It is no name.
    Name,
    /// It frames messages or belongs to one connection: who speaks HTTP there writes it.
    Framing,
    /// It has characters that a value cannot have.
    Value,
}

impl FieldError {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            FieldError::Name => "a name is letters, digits and `-`, as in `X-Frame-Options`",
            FieldError::Framing => "leave it out",
            FieldError::Value => "a value is printable ASCII on one line",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldError::Name => "it is not the name of a field",
            FieldError::Framing => "it belongs to the connection and is written there",
            FieldError::Value => "the value has characters that cannot be sent",
        })
    }
}

impl std::error::Error for FieldError {}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), FieldError> {
    let name = field_name(name)?;
    let is_plain = |b: u8| (b' '..=b'~').contains(&b);
    if !value.bytes().all(is_plain) || value.trim() != value {
        return Err(FieldError::Value);
    }
    let value = HeaderValue::from_str(value).map_err(|_| FieldError::Value)?;
    Ok((name, value))
}

/// The name of a field that a rule may be about.
pub fn field_name(name: &str) -> Result<HeaderName, FieldError> {
    const FRAMING: [HeaderName; 6] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::HOST,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let name: HeaderName = name.parse().map_err(|_| FieldError::Name)?;
    let is_old = ["keep-alive", "proxy-connection"].contains(&name.as_str());
    match is_old || FRAMING.contains(&name) {
        true => Err(FieldError::Framing),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_and_come_in_this_order() {
        let rules = Fields::new()
            .remove("x-a")
            .and_then(|f| f.set("X-B", "new"))
            .and_then(|f| f.add("x-a", "1"))
            .and_then(|f| f.add("X-A", "2"))
            .expect("rules");
        let mut fields = HeaderMap::new();
        for (name, value) in [("x-a", "old"), ("x-b", "1"), ("x-b", "2"), ("x-c", "c")] {
            fields.append(name, HeaderValue::from_static(value));
        }
        rules.apply(&mut fields);
        let mut left: Vec<String> = fields
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().expect("text")))
            .collect();
        left.sort();
        assert_eq!(left, ["x-a: 1", "x-a: 2", "x-b: new", "x-c: c"]);
    }

    #[test]
    fn what_frames_messages_stays_as_it_is() {
        assert_eq!(
            Fields::new().set("Content-Length", "0"),
            Err(FieldError::Framing)
        );
        assert_eq!(Fields::new().remove("keep-alive"), Err(FieldError::Framing));
        assert_eq!(Fields::new().remove("a b"), Err(FieldError::Name));
        assert_eq!(Fields::new().add("a", "b\r\nc: d"), Err(FieldError::Value));
        assert_eq!(Fields::new().add("a", "é"), Err(FieldError::Value));
    }
}

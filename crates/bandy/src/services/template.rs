//! Templates: text with fields in braces, checked when they are made.
//!
//! `Server received: {message}` has one field. `{{` and `}}` are braces themselves. What a field's value contains is
//! never looked at again, so a message cannot smuggle a field in.

use std::fmt;

/// What a template can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The message that is answered.
    Message,
    /// The asker's address.
    Peer,
    /// The endpoint that was asked.
    Local,
    /// The time of the answer, UTC, RFC 3339.
    Time,
    /// How many messages this conversation has had, this one included.
    N,
}

impl Field {
    /// Every field with its name.
    pub const ALL: [(&'static str, Field); 5] = [
        ("message", Field::Message),
        ("peer", Field::Peer),
        ("local", Field::Local),
        ("time", Field::Time),
        ("n", Field::N),
    ];
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// Why a text is not a template, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// Byte offset of the brace that is wrong.
    pub at: usize,
    what: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Parses a template.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let here = text.len() - rest.len() + at;
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let fail = |what| Err(TemplateError { at: here, what });
            if brace == "}" {
                return fail("`}` closes nothing; write `}}` for the brace itself".to_owned());
            }
            let Some((name, after)) = after.split_once('}') else {
                return fail("`{` is never closed; write `{{` for the brace itself".to_owned());
            };
            let Some((_, field)) = Field::ALL.into_iter().find(|(n, _)| *n == name) else {
                return fail(unknown_field(name));
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Field(field));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template(parts))
    }

    /// Writes the template into `out`, asking `write_field` to append each field's value.
    pub fn render(&self, out: &mut Vec<u8>, mut write_field: impl FnMut(Field, &mut Vec<u8>)) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(field) => write_field(*field, out),
            }
        }
    }
}

fn unknown_field(name: &str) -> String {
    let near = Field::ALL
        .into_iter()
        .find(|(n, _)| strsim::damerau_levenshtein(n, name) <= 2 && name.len() > 2);
    match near {
        Some((near, _)) => format!("there is no field `{name}`; did you mean `{{{near}}}`?"),
        None => {
            let all = Field::ALL.map(|(n, _)| format!("{{{n}}}")).join(" ");
            format!("there is no field `{name}`; the fields are {all}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(e) => return format!("{} at {}", e, e.at),
        };
        let mut out = Vec::new();
        template.render(&mut out, |field, out| {
            out.extend_from_slice(match field {
                Field::Message => b"{n}",
                Field::N => b"3",
                _ => b"?",
            });
        });
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn fields_are_filled_and_values_are_not_parsed() {
        assert_eq!(
            rendered("Server received: {message} ({n})"),
            "Server received: {n} (3)"
        );
        assert_eq!(rendered("{{message}} {peer}"), "{message} ?");
        assert_eq!(rendered(""), "");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(
            rendered("a {mesage}"),
            "there is no field `mesage`; did you mean `{message}`? at 2"
        );
        assert_eq!(
            rendered("{x}"),
            "there is no field `x`; the fields are {message} {peer} {local} {time} {n} at 0"
        );
        assert_eq!(
            rendered("ab {n"),
            "`{` is never closed; write `{{` for the brace itself at 3"
        );
        assert_eq!(
            rendered("}"),
            "`}` closes nothing; write `}}` for the brace itself at 0"
        );
    }
}

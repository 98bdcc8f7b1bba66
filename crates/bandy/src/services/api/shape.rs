//! Parameters: their names, what they may be, and their schema, which is made of the same value that checks them.

use std::fmt;

use serde_json::{Value, json};

use super::number::{Number, Wrong};

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// A parameter of an endpoint.
#[derive(Debug, Clone)]
pub(super) struct Param {
    pub name: &'static str,
    pub place: Place,
    pub shape: Shape,
    pub required: bool,
    pub about: &'static str,
    /// As it would be written; nothing where there is no good example.
    pub example: &'static str,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// See [`Number`].
    Number,
    /// A whole number within these bounds, both included.
    Integer(u64, u64),
    /// Seconds, in full milliseconds, up to so many.
    Seconds(u64),
    /// The name of a collection or a record: 1 to 64 letters, digits, `-` and `_`, not beginning with `_`.
    Name,
    /// Text of so many characters.
    Text(usize, usize),
    /// The rest of a path.
    Rest,
    OneOf(&'static [&'static str]),
}

impl Shape {
    /// As JSON Schema has it.
    pub(super) fn schema(self) -> Value {
        match self {
            Shape::Number => json!({"type": "number", "minimum": -Number::MAX, "maximum": Number::MAX}),
            Shape::Integer(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Shape::Seconds(most) => json!({"type": "number", "minimum": 0, "maximum": most}),
            Shape::Name => json!({"type": "string", "pattern": "^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$"}),
            Shape::Text(least, most) => json!({"type": "string", "minLength": least, "maxLength": most}),
            Shape::Rest => json!({"type": "string", "minLength": 1}),
            Shape::OneOf(words) => json!({"type": "string", "enum": words}),
        }
    }

    /// What is wrong with a value, in words that follow its name.
    pub(super) fn check(self, value: &str) -> Result<(), Misfit> {
        let fits = match self {
            Shape::Number => return Number::parse(value).map(drop).map_err(Misfit::Number),
            Shape::Integer(least, most) => integer(value).is_some_and(|n| (least..=most).contains(&n)),
            Shape::Seconds(most) => milliseconds(value).is_some_and(|ms| ms <= most.saturating_mul(1000)),
            Shape::Name => is_name(value),
            Shape::Text(least, most) => (least..=most).contains(&value.chars().count()),
            Shape::Rest => true,
            Shape::OneOf(words) => words.contains(&value),
        };
        if fits { Ok(()) } else { Err(Misfit::Shape(self)) }
    }
}

/// Why a value is not of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    Number(Wrong),
    Shape(Shape),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::Number(wrong) => f.write_str(wrong.as_str()),
            Misfit::Shape(shape) => match shape {
                Shape::Number => f.write_str("is not a number"),
                Shape::Integer(least, most) => write!(f, "is not a whole number from {least} to {most}"),
                Shape::Seconds(most) => write!(f, "is not a number of seconds from 0 to {most}"),
                Shape::Name => f.write_str("is not 1 to 64 letters, digits, - and _, of which _ is not the first"),
                Shape::Text(least, most) => write!(f, "is not {least} to {most} characters long"),
                Shape::Rest => f.write_str("is not text"),
                Shape::OneOf(words) => write!(f, "is not one of {}", words.join(", ")),
            },
        }
    }
}

/// Whether a collection or a record may be called so.
pub(super) fn is_name(text: &str) -> bool {
    let is_of_names = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(is_of_names) && !text.starts_with('_')
}

/// A whole number; `7.0` is one as well, as JSON Schema sees it.
pub(super) fn integer(text: &str) -> Option<u64> {
    match Number::parse(text).ok()? {
        Number::Exact { units, scale } => {
            let one = 10_i128.checked_pow(scale)?;
            (units % one == 0).then(|| u64::try_from(units / one).ok()).flatten()
        }
        Number::Near(_) => None,
    }
}

/// Seconds as they are written, as whole milliseconds; less than one is none.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let seconds: f64 = Number::parse(text).ok()?.to_f64();
    // Within what a caller bounds it to, nothing is lost.
    (0.0..=1e12).contains(&seconds).then_some((seconds * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_checks_what_its_schema_says() {
        let words = Shape::OneOf(&["a", "b"]);
        let cases: [(Shape, &[&str], &[&str]); 6] = [
            (Shape::Number, &["1", "-1.5", "1e30"], &["", "x", "1e38"]),
            (Shape::Integer(1, 100), &["1", "100", "7.0"], &["0", "101", "1.5", "-1", "x"]),
            (Shape::Seconds(10), &["0", "10", "0.25", "1e-9"], &["-1", "10.5", "x", ""]),
            (Shape::Name, &["a", "A-1_b", "-"], &["", "_a", "a b", "a/b", "é", "."]),
            (Shape::Text(1, 3), &["a", "ééé"], &["", "abcd"]),
            (words, &["a", "b"], &["c", ""]),
        ];
        for (shape, fit, misfit) in cases {
            let schema = jsonschema::validator_for(&shape.schema()).expect("a schema");
            for (values, expected) in [(fit, true), (misfit, false)] {
                for value in values {
                    assert_eq!(shape.check(value).is_ok(), expected, "{shape:?} {value:?}");
                    let json = match shape {
                        Shape::Number | Shape::Integer(..) | Shape::Seconds(_) => serde_json::from_str(value).unwrap_or(Value::Null),
                        _ => Value::from(*value),
                    };
                    assert_eq!(schema.is_valid(&json), expected, "{shape:?} {value:?}");
                }
            }
        }
    }
}

//! Filters: which records a list has, as its query says.

use serde_json::Value;

use crate::services::api::query;

pub(super) const ABOUT: &str = "Any other parameter is a filter on a field: `name=tea`, `name!=tea`, `price>=3`, `price<=3`, `price>3`, `price<3`, `name~=TE` (contains, in any case). A field within a field is `size.width`; a list is matched where one of its items is. Several filters hold all together. For a field that is called as a parameter here, write a dot before it: `.sort=x`. At most 10,000 records are looked through for one page.";

/// Filters that hold all together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filters(Vec<Filter>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    path: Vec<String>,
    is: Is,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Above,
    Below,
    Containing,
}

impl Filters {
    /// Those of a query, without the parameters of these names. What is not text matches nothing, and is left out.
    pub(super) fn of(written: &str, parameters: &[&str]) -> Filters {
        let filters = query::pairs(written).filter_map(|(name, value)| {
            let name = query::decode(name)?;
            let value = value.map(query::decode);
            Filter::new(&name, value.flatten().as_deref(), parameters)
        });
        Filters(filters.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn match_all(&self, document: &Value) -> bool {
        self.0.iter().all(|filter| filter.matches(document))
    }
}

impl Filter {
    /// `price>` with a value is `price>=`; without one, `price>3` is all in the name.
    fn new(name: &str, value: Option<&str>, parameters: &[&str]) -> Option<Filter> {
        let (name, is, text) = match value {
            Some(value) => {
                let (name, is) = match name.as_bytes().last() {
                    Some(b'!') => (name.strip_suffix('!')?, Is::Unequal),
                    Some(b'>') => (name.strip_suffix('>')?, Is::AtLeast),
                    Some(b'<') => (name.strip_suffix('<')?, Is::AtMost),
                    Some(b'~') => (name.strip_suffix('~')?, Is::Containing),
                    _ if parameters.contains(&name) => return None,
                    _ => (name, Is::Equal),
                };
                (name, is, value)
            }
            None => {
                let at = name.find(['<', '>'])?;
                let (name, rest) = name.split_at_checked(at)?;
                let is = if rest.starts_with('>') { Is::Above } else { Is::Below };
                (name, is, rest.get(1..)?)
            }
        };
        let name = name.strip_prefix('.').unwrap_or(name);
        Some(Filter {
            path: name.split('.').map(str::to_owned).collect(),
            is,
            text: text.to_owned(),
        })
    }

    fn matches(&self, document: &Value) -> bool {
        match (field(document, &self.path), self.is) {
            (None, is) => is == Is::Unequal,
            (Some(Value::Array(items)), Is::Unequal) => items.iter().all(|item| self.holds(item)),
            (Some(Value::Array(items)), _) => items.iter().any(|item| self.holds(item)),
            (Some(value), _) => self.holds(value),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        if self.is == Is::Containing {
            let text = value.as_str().map(str::to_lowercase);
            return text.is_some_and(|text| text.contains(&self.text.to_lowercase()));
        }
        let order = match value {
            Value::String(text) => Some(text.as_str().cmp(&self.text)),
            Value::Number(number) => {
                let both = number.as_f64().zip(self.text.parse().ok());
                both.and_then(|(a, b)| a.partial_cmp(&b))
            }
            Value::Bool(value) => self.text.parse::<bool>().ok().map(|other| value.cmp(&other)),
            Value::Null => (self.text == "null").then_some(Equal),
            Value::Array(_) | Value::Object(_) => None,
        };
        match self.is {
            Is::Equal => order == Some(Equal),
            Is::Unequal => order != Some(Equal),
            Is::AtLeast => matches!(order, Some(Greater | Equal)),
            Is::AtMost => matches!(order, Some(Less | Equal)),
            Is::Above => order == Some(Greater),
            Is::Below => order == Some(Less),
            Is::Containing => false,
        }
    }
}

/// The field at this path.
pub(super) fn field<'v>(document: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(document, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_match_what_they_say() {
        let tea = json!({
            "name": "tea", "price": 3.5, "hot": true, "gone": null, "tags": ["a", "b"],
            "size": {"width": 10}, "sort": "x", "n": 10,
        });
        for (query, expected) in [
            ("", true),
            ("limit=5&after=x&sort=y", true),
            ("name=tea", true),
            ("name=tee", false),
            ("name!=tee", true),
            ("price>=3.5", true),
            ("price>3.5", false),
            ("price%3E3", true),
            ("price%3C=3.4", false),
            ("price<4&name=tea", true),
            ("price<4&name=coffee", false),
            ("n>9", true),
            ("hot=true", true),
            ("hot=false", false),
            ("gone=null", true),
            ("tags=a", true),
            ("tags=c", false),
            ("tags!=c", true),
            ("tags!=a", false),
            ("size.width=10", true),
            ("size.width.more=10", false),
            ("size=10", false),
            ("missing=x", false),
            ("missing!=x", true),
            ("name~=TE", true),
            ("name~=xx", false),
            (".sort=x", true),
            ("price=abc", false),
            ("price!=abc", true),
            ("=", false),
            ("lonely", true),
            ("%ff=1", true),
        ] {
            let filters = Filters::of(query, &["limit", "after", "sort"]);
            assert_eq!(filters.match_all(&tea), expected, "{query}");
        }
    }
}

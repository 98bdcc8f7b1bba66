//! The order of a list, and the place in it where a page ends.

use std::cmp::Ordering;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::Value;

use super::filter::field;

/// The most fields to sort by.
pub(super) const FIELDS_MAX: usize = 3;
/// So much of a text is looked at: what comes behind is the same to us.
const TEXT_MAX: usize = 128;

/// By which fields records are sorted; those that are the same in all of them by their id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order(Vec<Key>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    path: Vec<String>,
    is_descending: bool,
}

/// A record's place in an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rank {
    values: Vec<Value>,
    id: String,
}

impl Order {
    /// `-price,name`; `None` for too many fields.
    pub(super) fn parse(text: &str) -> Option<Order> {
        let keys = text.split(',').filter(|key| !key.is_empty());
        let keys: Vec<Key> = keys
            .map(|key| {
                let (is_descending, name) = match key.strip_prefix('-') {
                    Some(name) => (true, name),
                    None => (false, key),
                };
                Key {
                    path: name.split('.').map(str::to_owned).collect(),
                    is_descending,
                }
            })
            .collect();
        (keys.len() <= FIELDS_MAX).then_some(Order(keys))
    }

    pub(super) fn is_by_id(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rank(&self, document: &Value, id: &str) -> Rank {
        let value = |key: &Key| match field(document, &key.path) {
            Some(Value::String(text)) if text.chars().nth(TEXT_MAX).is_some() => {
                text.chars().take(TEXT_MAX).collect::<String>().into()
            }
            // These have no order among themselves.
            Some(Value::Array(_)) => Value::Array(Vec::new()),
            Some(Value::Object(_)) => Value::Object(serde_json::Map::new()),
            Some(value) => value.clone(),
            None => Value::Null,
        };
        Rank {
            values: self.0.iter().map(value).collect(),
            id: id.to_owned(),
        }
    }

    pub(super) fn compare(&self, a: &Rank, b: &Rank) -> Ordering {
        for (key, (a, b)) in self.0.iter().zip(a.values.iter().zip(&b.values)) {
            let order = compare(a, b);
            let order = if key.is_descending { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        a.id.cmp(&b.id)
    }
}

/// Nothing comes before false, that before true, then numbers, then texts.
fn compare(a: &Value, b: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        _ => kind(a).cmp(&kind(b)),
    }
}

impl Rank {
    /// For `after`: what begins the next page, wherever the record is by then.
    pub(super) fn cursor(&self) -> String {
        let values = self.values.iter().cloned();
        let all = values.chain([Value::from(self.id.as_str())]);
        BASE64_URL_SAFE_NO_PAD.encode(Value::from_iter(all).to_string().as_bytes())
    }

    /// A cursor of this order.
    pub(super) fn parse(cursor: &str, order: &Order) -> Option<Rank> {
        let text = BASE64_URL_SAFE_NO_PAD.decode(cursor.as_bytes()).ok()?;
        let mut values: Vec<Value> = serde_json::from_slice(&text).ok()?;
        let Some(Value::String(id)) = values.pop() else {
            return None;
        };
        (values.len() == order.0.len()).then_some(Rank { values, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ranks_are_in_order_and_survive_being_cursors() {
        let order = Order::parse("-price,name").expect("an order");
        let documents = [
            json!({"price": "dear"}),
            json!({"price": 5.5, "name": "a"}),
            json!({"price": 5, "name": "a"}),
            json!({"price": 5, "name": "b"}),
            json!({"price": true}),
            json!({"name": "a"}),
            json!({"name": "b"}),
        ];
        let ranks: Vec<Rank> = documents.iter().map(|d| order.rank(d, "x")).collect();
        assert!(ranks.is_sorted_by(|a, b| order.compare(a, b).is_le()));
        let same = order.rank(&documents[0], "y");
        assert!(order.compare(&ranks[0], &same).is_lt());
        for rank in &ranks {
            assert_eq!(Rank::parse(&rank.cursor(), &order).as_ref(), Some(rank));
        }
        let other = Order::parse("price").expect("an order");
        assert_eq!(Rank::parse(&same.cursor(), &other), None);
        assert_eq!(Rank::parse("x", &other), None);
        assert_eq!(Order::parse("a,b,c,d"), None);
        assert!(Order::parse("").expect("an order").is_by_id());
    }
}

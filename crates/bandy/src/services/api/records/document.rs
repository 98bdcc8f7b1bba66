//! A document as it is stored and as it is shown: the server's fields first, then those that were sent.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use aws_lc_rs::rand;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::condition;
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Response, StatusCode, typed};
use crate::state::Record;

/// A document, as JSON.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub id: String,
    /// 0 as long as it was not stored.
    pub revision: u64,
    /// All its fields but `_revision`, which the store knows.
    pub stored: Bytes,
}

/// What the server knows about a document.
#[derive(Debug, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow, rename = "_owner")]
    pub owner: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "_created")]
    pub created: Cow<'a, str>,
}

impl Document {
    /// A document that is made now.
    pub(super) fn new(id: String, owner: Option<&str>, fields: &Map<String, Value>) -> Document {
        let now = now();
        Document::written(id, owner, &now, &now, fields)
    }

    /// The same document with other fields.
    ///
    /// # Errors
    /// As [`Document::head`].
    pub(super) fn with(&self, fields: &Map<String, Value>) -> Result<Document> {
        let head = self.head()?;
        let owner = head.owner.as_deref();
        Ok(Document::written(self.id.clone(), owner, &head.created, &now(), fields))
    }

    fn written(id: String, owner: Option<&str>, created: &str, updated: &str, fields: &Map<String, Value>) -> Document {
        let text = |text: &str| Value::from(text).to_string();
        let owner = owner.map_or_else(|| "null".to_owned(), text);
        // An id and a time need no escaping.
        let mut stored = format!(r#"{{"_id":"{id}","_owner":{owner},"_created":"{created}","_updated":"{updated}""#);
        for (name, value) in fields {
            if !is_the_servers(name) {
                stored.push(',');
                stored.push_str(&text(name));
                stored.push(':');
                stored.push_str(&value.to_string());
            }
        }
        stored.push('}');
        Document {
            id,
            revision: 0,
            stored: stored.into(),
        }
    }

    /// One that was stored.
    ///
    /// # Errors
    /// When it is none of ours.
    pub(super) fn read(id: &str, record: Record) -> Result<Document> {
        if !record.value.starts_with(b"{\"_id\":") {
            return Err(not_ours(&record.key));
        }
        Ok(Document {
            id: id.to_owned(),
            revision: record.revision,
            stored: record.value,
        })
    }

    /// What the server knows about it.
    ///
    /// # Errors
    /// When it is none of ours.
    pub(super) fn head(&self) -> Result<Head<'_>> {
        serde_json::from_slice(&self.stored).map_err(|e| not_ours(&self.id).because(e))
    }

    /// All its fields, `_revision` too.
    ///
    /// # Errors
    /// When it is none of ours.
    pub(super) fn to_value(&self) -> Result<Value> {
        let mut value: Value = serde_json::from_slice(&self.stored).map_err(|e| not_ours(&self.id).because(e))?;
        if let Value::Object(fields) = &mut value {
            fields.insert("_revision".to_owned(), self.revision.into());
        }
        Ok(value)
    }

    /// Those of its fields that were sent.
    ///
    /// # Errors
    /// When it is none of ours.
    pub(super) fn fields(&self) -> Result<Map<String, Value>> {
        match self.to_value()? {
            Value::Object(fields) => Ok(sent(fields)),
            _ => Err(not_ours(&self.id)),
        }
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> String {
        let rest = self.stored.get(1..).unwrap_or_default();
        // It was made of text.
        let rest = String::from_utf8_lossy(rest);
        format!("{{\"_revision\":{},{rest}", self.revision)
    }

    /// As a response.
    pub(super) fn response(&self, status: StatusCode) -> Response {
        let mut response = typed(status, "application/json", self.shown());
        condition::note_revision(&mut response, self.revision);
        response
    }
}

/// Without what is the server's to say.
pub(super) fn sent(mut fields: Map<String, Value>) -> Map<String, Value> {
    if fields.keys().any(|name| is_the_servers(name)) {
        fields.retain(|name, _| !is_the_servers(name));
    }
    fields
}

fn is_the_servers(name: &str) -> bool {
    name.starts_with('_')
}

fn not_ours(name: &str) -> Error {
    Error::new(Kind::Other, Side::Local, format!("reading the record {name}"))
        .because("it is not as this program writes them")
}

/// RFC 3339 in UTC, to the millisecond.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let now = now.replace_millisecond(now.millisecond()).unwrap_or(now);
    // Every time within a million years can be written so.
    now.format(&Rfc3339).unwrap_or_default()
}

/// An id that nobody can guess, and that comes after those that were made before: a UUID of version 7 (RFC 9562), whose
/// first 12 random bits are the parts of a millisecond.
///
/// # Errors
/// When the system has no random bytes.
pub(super) fn id() -> Result<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let parts = u64::from(since.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| Error::new(Kind::Other, Side::Local, "asking the system for randomness"))?;
    let random = u64::from_be_bytes(random);
    let milliseconds = u64::try_from(since.as_millis()).unwrap_or_default() & 0xffff_ffff_ffff;
    Ok(format!(
        "{:08x}-{:04x}-7{parts:03x}-{:04x}-{:012x}",
        milliseconds >> 16,
        milliseconds & 0xffff,
        (random >> 48) & 0x3fff | 0x8000,
        random & 0xffff_ffff_ffff,
    ))
}

pub(in crate::services::api) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "A document, with what the server knows about it.",
        "required": ["_revision", "_id", "_owner", "_created", "_updated"],
        "properties": {
            "_revision": {"type": "integer", "description": "Grows with each change. As an ETag: `\"17\"`."},
            "_id": {"type": "string"},
            "_owner": {"type": ["string", "null"], "description": "Who made it; null for anyone."},
            "_created": {"type": "string", "format": "date-time"},
            "_updated": {"type": "string", "format": "date-time"},
        },
    })
}

pub(super) fn example() -> Value {
    json!({
        "_revision": 17, "_id": "tea", "_owner": "ada",
        "_created": "2026-11-21T07:00:00.000Z", "_updated": "2026-11-21T07:00:00.000Z",
        "name": "tea", "price": 3.5, "tags": ["hot"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_7_and_in_order() {
        let ids: Vec<String> = (0..50)
            .map(|_| {
                std::thread::sleep(std::time::Duration::from_micros(50));
                id().expect("an id")
            })
            .collect();
        assert!(ids.is_sorted(), "{ids:?}");
        for id in ids {
            assert_eq!(id.len(), 36, "{id}");
            assert_eq!(id.as_bytes()[14], b'7', "{id}");
            assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        }
    }

    #[test]
    fn what_is_shown_is_what_was_sent_and_the_servers_fields() {
        let Value::Object(fields) = json!({"a\"": {"b": [1, "é\n"]}, "_owner": "eve", "z": null}) else {
            panic!("an object");
        };
        let mut document = Document::new("x".to_owned(), Some("a\"da"), &fields);
        document.revision = 5;
        let shown: Value = serde_json::from_str(&document.shown()).expect("JSON");
        assert_eq!(shown, document.to_value().expect("ours"));
        assert_eq!(shown["_owner"], "a\"da");
        assert_eq!(shown["_revision"], 5);
        assert_eq!(Value::Object(document.fields().expect("ours")), json!({"a\"": {"b": [1, "é\n"]}, "z": null}));
        let changed = document.with(&Map::new()).expect("ours");
        assert_eq!(changed.head().expect("ours").owner.as_deref(), Some("a\"da"));
        assert_eq!(changed.to_value().expect("ours")["_created"], shown["_created"]);
    }
}

//! What a collection's documents must be like, and who may do what with them.
//!
//! By default anyone may read, who is logged in may create, and only a record's owner or an admin may change or delete
//! it. So a collection that nobody set up can be used, and nobody can spoil what is somebody else's.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::error::{Error, Kind, Result, Side};
use crate::http::Login;
use crate::services::api::stop::Stop;

/// What is done with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    Create,
    Update,
    Delete,
}

impl Act {
    pub(super) const ALL: [Act; 4] = [Act::Read, Act::Create, Act::Update, Act::Delete];

    pub(super) fn name(self) -> &'static str {
        match self {
            Act::Read => "read",
            Act::Create => "create",
            Act::Update => "update",
            Act::Delete => "delete",
        }
    }

    fn defaults(self) -> &'static [&'static str] {
        match self {
            Act::Read => &["anyone"],
            Act::Create => &["login"],
            Act::Update | Act::Delete => &["owner", "admin"],
        }
    }
}

/// Those who may.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Anyone,
    Login,
    Owner,
    Role(String),
}

impl Whom {
    fn new(word: &str) -> Whom {
        match word {
            "anyone" => Whom::Anyone,
            "login" => Whom::Login,
            "owner" => Whom::Owner,
            role => Whom::Role(role.to_owned()),
        }
    }

    fn word(&self) -> &str {
        match self {
            Whom::Anyone => "anyone",
            Whom::Login => "login",
            Whom::Owner => "owner",
            Whom::Role(role) => role,
        }
    }
}

/// A collection's rules.
#[derive(Debug)]
pub(super) struct Collection {
    /// Whom each act is for, in the order of [`Act::ALL`].
    access: [Vec<Whom>; 4],
    schema: Option<Value>,
    validator: Option<Validator>,
    /// Whether a change must name the revision that it is of.
    pub needs_if_match: bool,
    /// 0 where nothing was set up.
    pub revision: u64,
}

impl Default for Collection {
    fn default() -> Self {
        Collection {
            access: Act::ALL.map(|act| act.defaults().iter().map(|word| Whom::new(word)).collect()),
            schema: None,
            validator: None,
            needs_if_match: false,
            revision: 0,
        }
    }
}

pub(super) fn key(name: &str) -> String {
    ["collections", name].join("/")
}

impl Collection {
    /// What was stored.
    ///
    /// # Errors
    /// What is no collection of ours.
    pub(super) fn read(stored: &[u8], revision: u64) -> Result<Collection> {
        let wrong = || Error::new(Kind::Other, Side::Local, "reading a collection's rules");
        let value: Value = serde_json::from_slice(stored).map_err(|e| wrong().because(e))?;
        let collection = Collection::new(&value, revision);
        collection.map_err(|_| wrong().because("they are not valid any more"))
    }

    /// What was sent, which is of [`sent`]'s schema. What is left out is as it is by default.
    ///
    /// # Errors
    /// 422 for a schema that is none.
    pub(super) fn new(value: &Value, revision: u64) -> Result<Collection, Stop> {
        let mut collection = Collection {
            revision,
            ..Collection::default()
        };
        for (act, whom) in Act::ALL.iter().zip(&mut collection.access) {
            let words = value.pointer(&format!("/access/{}", act.name()));
            if let Some(words) = words.and_then(Value::as_array) {
                *whom = words.iter().filter_map(Value::as_str).map(Whom::new).collect();
            }
        }
        let needed = value.get("require_if_match").and_then(Value::as_bool);
        collection.needs_if_match = needed.unwrap_or(false);
        if let Some(schema) = value.get("schema").filter(|schema| !schema.is_null()) {
            collection.validator = Some(compile(schema)?);
            collection.schema = Some(schema.clone());
        }
        Ok(collection)
    }

    /// What is stored, and answered.
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let access: Map<String, Value> = Act::ALL
            .iter()
            .zip(&self.access)
            .map(|(act, whom)| (act.name().to_owned(), whom.iter().map(Whom::word).collect()))
            .collect();
        let mut fields = Map::new();
        fields.insert("access".to_owned(), access.into());
        fields.insert("schema".to_owned(), self.schema.clone().unwrap_or_default());
        fields.insert("require_if_match".to_owned(), self.needs_if_match.into());
        fields
    }

    pub(super) fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    /// Whether this act, on a record of this owner, is for whoever asks.
    pub(super) fn may(&self, act: Act, login: Option<&Login>, owner: Option<&str>) -> bool {
        self.whom(act).iter().any(|whom| match (whom, login) {
            (Whom::Anyone, _) | (Whom::Login, Some(_)) => true,
            (Whom::Owner, Some(login)) => owner.is_some_and(|owner| owner == login.user),
            (Whom::Role(role), Some(login)) => login.has(role),
            (_, None) => false,
        })
    }

    /// Whether they may do it with some records at least: their own.
    pub(super) fn may_with_own(&self, act: Act, login: Option<&Login>) -> bool {
        self.may(act, login, login.map(|login| login.user.as_str()))
    }

    fn whom(&self, act: Act) -> &[Whom] {
        let at = Act::ALL.iter().position(|other| *other == act);
        at.and_then(|at| self.access.get(at)).map_or(&[], Vec::as_slice)
    }
}

/// A schema, with patterns that take no longer than the text is long.
fn compile(schema: &Value) -> Result<Validator, Stop> {
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let compiled = options.build(schema);
    compiled.map_err(|wrong| Stop::field("/schema", format!("is no JSON Schema: {}", wrong.masked())))
}

/// What can be set.
pub(super) fn sent() -> Value {
    let whom = json!({
        "type": "array",
        "maxItems": 16,
        "items": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "access": {
                "type": "object",
                "additionalProperties": false,
                "description": "Whom each act is for: `anyone`, `login` (who is logged in), `owner` (who made the record), or a role.",
                "properties": {"read": whom, "create": whom, "update": whom, "delete": whom},
            },
            "schema": {
                "type": ["object", "null"],
                "description": "The JSON Schema (2020-12) that documents must be of.",
            },
            "require_if_match": {
                "type": "boolean",
                "description": "Whether changes must name the revision that they are of.",
            },
        },
    })
}

pub(in crate::services::api) fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["collection", "access", "schema", "require_if_match", "revision"],
        "properties": {
            "collection": {"type": "string"},
            "access": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "schema": {"type": ["object", "null"]},
            "require_if_match": {"type": "boolean"},
            "revision": {"type": "integer", "description": "0 where nothing was set."},
        },
    })
}

//! `/collections`: which there are, and their rules.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::collection::{self, Act, Collection};
use super::TRIES;
use crate::error::Result;
use crate::http::{Body, Method, Response, StatusCode, empty, typed};
use crate::services::api::call::Call;
use crate::services::api::condition::{Condition, note_revision};
use crate::services::api::endpoint::{Does, Endpoint, From, Tag, Takes, Who};
use crate::services::api::shape::Shape;
use crate::services::api::stop::{Reply, Stop};
use crate::state::Expect;

/// The most collections that are listed.
const LISTED: usize = 1000;
/// The role that may set rules.
const ADMIN: Who = Who::Role("admin");

pub(super) fn endpoints() -> Result<Vec<Endpoint>> {
    let collection = json!({"$ref": "#/components/schemas/Collection"});
    let names = json!({
        "type": "object",
        "required": ["collections"],
        "properties": {"collections": {"type": "array", "items": {"type": "string"}}},
    });
    let rules = json!({
        "access": {"read": ["anyone"], "create": ["editor"], "update": ["owner", "editor"], "delete": ["admin"]},
        "schema": {"type": "object", "required": ["name"], "properties": {"price": {"type": "number", "minimum": 0}}},
    });
    let example = json!({
        "collection": "things", "access": rules["access"], "schema": rules["schema"],
        "require_if_match": false, "revision": 17,
    });
    let of = |row: Endpoint| row.path("collection", Shape::Name, "The collection.", "things");
    let conditional = "Only if the rules are at this revision.";
    Ok(vec![
        Endpoint::new(Method::GET, "/collections", Tag::Collections, "List collections", Does::Later(|call, _| Box::pin(list(call))))
            .about("Those that have records or rules, and that may be read.")
            .who(Who::Depends)
            .json(200, "Their names, a thousand at most.", names, json!({"collections": ["things"]})),
        of(Endpoint::new(Method::GET, "/collections/{collection}", Tag::Collections, "See a collection's rules", Does::Later(|call, _| Box::pin(show(call)))))
            .about("One that nobody set up has rules too: anyone may read, who is logged in may create, the owner or an admin may change and delete.")
            .json(200, "Its rules.", collection.clone(), example.clone())
            .with("ETag", "Their revision."),
        of(Endpoint::new(Method::PUT, "/collections/{collection}", Tag::Collections, "Set a collection's rules", Does::Later(|call, body| Box::pin(set(call, body)))))
            .about("What is left out is as it is by default. Records that are there already stay as they are.")
            .who(ADMIN)
            .from(From::Own)
            .field("If-Match", conditional)
            .takes(Takes::Json, collection::sent(), rules)?
            .json(200, "Its rules.", collection, example)
            .with("ETag", "Their revision.")
            .problem(409, "They are being changed too often; try again.")
            .problem(412, "The rules are not at this revision."),
        of(Endpoint::new(Method::DELETE, "/collections/{collection}", Tag::Collections, "Forget a collection's rules", Does::Later(|call, _| Box::pin(reset(call)))))
            .about("Its records stay, under the rules that hold by default.")
            .who(ADMIN)
            .from(From::Own)
            .field("If-Match", conditional)
            .says(204, "The rules are those that hold by default.")
            .problem(400, "The condition is no list of entity tags.")
            .problem(409, "They are being changed too often; try again.")
            .problem(412, "The rules are not at this revision."),
    ])
}

async fn list(call: Call<'_>) -> Reply {
    let store = &call.api.records.store;
    let mut names = BTreeSet::new();
    for record in store.list("collections/", None, LISTED).await? {
        names.extend(record.key.strip_prefix("collections/").map(str::to_owned));
    }
    // From each collection's first record to behind its last: `0` is what comes behind `/`.
    let mut after = None::<String>;
    while names.len() < LISTED {
        let next = store.list("records/", after.as_deref(), 1).await?;
        let Some(record) = next.first() else { break };
        let name = record.key.split('/').nth(1).unwrap_or_default();
        after = Some(format!("records/{name}0"));
        names.insert(name.to_owned());
    }
    let mut readable = Vec::new();
    for name in names.into_iter().take(LISTED) {
        let rules = call.api.records.collection(&name).await?;
        if rules.may_with_own(Act::Read, call.login.as_ref()) {
            readable.push(name);
        }
    }
    let body = json!({"collections": readable}).to_string();
    Ok(typed(StatusCode::OK, "application/json", body))
}

async fn show(call: Call<'_>) -> Reply {
    let name = call.path("collection");
    let rules = call.api.records.collection(&name).await?;
    Ok(answer(&name, &rules))
}

async fn set(call: Call<'_>, body: Body) -> Reply {
    let sent = call.json(body).await?;
    let condition = Condition::of(&call.parts.headers)?;
    let name = call.path("collection").into_owned();
    let mut rules = Collection::new(&sent, 0)?;
    let stored = Value::Object(rules.to_json()).to_string();
    let key = collection::key(&name);
    let records = &call.api.records;
    for _ in 0..TRIES {
        let expect = expected(&call, &name, &condition).await?;
        let written = records.store.put(&key, stored.clone().into(), expect);
        if let Ok(revision) = written.await? {
            rules.revision = revision;
            let rules = records.have_set(&name, rules);
            return Ok(answer(&name, &rules));
        }
    }
    Err(too_often())
}

async fn reset(call: Call<'_>) -> Reply {
    let condition = Condition::of(&call.parts.headers)?;
    let name = call.path("collection").into_owned();
    let records = &call.api.records;
    for _ in 0..TRIES {
        let expect = expected(&call, &name, &condition).await?;
        if records.store.delete(&collection::key(&name), expect).await?.is_ok() {
            records.have_set(&name, Collection::default());
            return Ok(empty(StatusCode::NO_CONTENT));
        }
    }
    Err(too_often())
}

/// What is there now, if the condition lets it be changed.
async fn expected(call: &Call<'_>, name: &str, condition: &Condition) -> Result<Expect, Stop> {
    let before = call.api.records.store.get(&collection::key(name)).await?;
    let revision = before.map(|record| record.revision);
    condition.check(revision)?;
    Ok(revision.map_or(Expect::Absent, Expect::Revision))
}

fn answer(name: &str, rules: &Collection) -> Response {
    let mut fields = Map::new();
    fields.insert("collection".to_owned(), name.into());
    fields.extend(rules.to_json());
    fields.insert("revision".to_owned(), rules.revision.into());
    let mut response = typed(StatusCode::OK, "application/json", Value::Object(fields).to_string());
    note_revision(&mut response, rules.revision);
    response
}

fn too_often() -> Stop {
    Stop::new(StatusCode::CONFLICT, "the rules are being changed too often; try again")
}

//! Records: JSON documents in collections, with revisions, rules, and a log of what becomes of them.
//!
//! A document is answered as it was sent, with what the server knows about it in fields that begin with `_`: `_id`,
//! `_revision` (the ETag), `_owner`, `_created`, `_updated`. Such fields are ignored when they are sent, so what was got
//! can be changed and put back. A collection needs no setting up: see [`Collection`] for what holds by default.
//!
//! Each change is one commit: the record and its entry in the collection's log, together or not at all. [`changes`]
//! shows that log as it grows. In the store a record is `records/COLLECTION/ID`, a collection `collections/COLLECTION`,
//! and the log `records/COLLECTION`.

mod changes;
mod collection;
mod collections;
mod document;
mod filter;
mod list;
mod one;
mod order;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::nobody;
use super::endpoint::{Does, Endpoint, From, Tag, Takes, Who};
use super::options::Options;
use super::shape::Shape;
use super::stop::Stop;
use crate::error::Result;
use crate::http::{Login, Method, StatusCode};
use crate::state::{Batch, Conflict, Expect, Store};
use collection::{Act, Collection};
use document::Document;

/// The most records of a page.
const PAGE_MAX: u64 = 1000;
/// Collections whose rules are remembered; more, and all of them are read again.
const REMEMBERED: usize = 1024;
/// Every so many changes, what is too old is dropped from the log.
const TRIM_EVERY: u64 = 128;
/// How often a change that another one was quicker than is tried again.
const TRIES: usize = 8;

pub(super) use collection::schema as collection_schema;
pub(super) use document::schema as record_schema;

/// All collections of a store.
#[derive(Debug)]
pub(super) struct Records {
    store: Arc<dyn Store>,
    remembered: Mutex<HashMap<String, Remembered>>,
    stale: Duration,
    changes: u64,
}

#[derive(Debug)]
struct Remembered {
    collection: Arc<Collection>,
    since: Instant,
}

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Created,
    Updated,
    Deleted,
}

impl Records {
    pub(super) fn new(store: Arc<dyn Store>, options: &Options) -> Records {
        Records {
            store,
            remembered: Mutex::default(),
            stale: options.stale,
            changes: options.changes,
        }
    }

    /// The rules of a collection, as they were at most [`Options::stale`] ago.
    async fn collection(&self, name: &str) -> Result<Arc<Collection>> {
        let now = Instant::now();
        {
            let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = remembered.get(name)
                && now.duration_since(known.since) < self.stale
            {
                return Ok(known.collection.clone());
            }
        }
        let record = self.store.get(&collection::key(name)).await?;
        let collection = Arc::new(match record {
            Some(record) => Collection::read(&record.value, record.revision)?,
            None => Collection::default(),
        });
        self.remember(name, collection.clone(), now);
        Ok(collection)
    }

    /// Notes rules that were just set here.
    fn have_set(&self, name: &str, collection: Collection) -> Arc<Collection> {
        let collection = Arc::new(collection);
        self.remember(name, collection.clone(), Instant::now());
        collection
    }

    fn remember(&self, name: &str, collection: Arc<Collection>, since: Instant) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED && !remembered.contains_key(name) {
            remembered.clear();
        }
        // Whoever read it earlier knows less: revisions grow, and 0 is that there are no rules any more.
        let is_newer = remembered.get(name).is_none_or(|known| known.since <= since);
        if is_newer {
            let known = Remembered { collection, since };
            remembered.insert(name.to_owned(), known);
        }
    }

    async fn record(&self, collection: &str, id: &str) -> Result<Option<Document>> {
        let found = self.store.get(&key(collection, id)).await?;
        found.map(|record| Document::read(id, record)).transpose()
    }

    /// Writes a record and the entry about it, in one commit. Its new revision.
    async fn write(&self, collection: &str, document: &Document, change: Change, expect: Expect) -> Result<Result<u64, Conflict>> {
        let batch = Batch::new();
        let record = key(collection, &document.id);
        let batch = match change {
            Change::Deleted => batch.delete(record, expect),
            Change::Created | Change::Updated => batch.put(record, document.stored.clone(), expect),
        };
        let batch = batch.append(log(collection), changes::entry(change, document));
        let done = match self.store.commit(batch).await? {
            Ok(done) => done,
            Err(conflict) => return Ok(Err(conflict)),
        };
        let seq = done.last();
        if seq % TRIM_EVERY == 0
            && let Some(through) = seq.checked_sub(self.changes)
        {
            self.store.trim(&log(collection), through).await?;
        }
        Ok(Ok(done.numbers().first().copied().unwrap_or_default()))
    }
}

fn key(collection: &str, id: &str) -> String {
    ["records", collection, id].join("/")
}

fn log(collection: &str) -> String {
    ["records", collection].join("/")
}

/// Lets on who may: 401 for nobody, 403 for somebody else.
fn check_may(collection: &Collection, act: Act, login: Option<&Login>, owner: Option<&str>) -> Result<(), Stop> {
    if collection.may(act, login, owner) {
        return Ok(());
    }
    Err(match login {
        None => nobody(),
        Some(_) => {
            let detail = format!("you may not {} this: see the collection's rules", act.name());
            Stop::new(StatusCode::FORBIDDEN, detail)
        }
    })
}

/// 404; also where there is something that may not be seen.
fn no_record() -> Stop {
    Stop::new(StatusCode::NOT_FOUND, "there is no such record")
}

pub(super) fn endpoints() -> Result<Vec<Endpoint>> {
    let mut rows = records()?;
    rows.extend(collections::endpoints()?);
    Ok(rows)
}

fn records() -> Result<Vec<Endpoint>> {
    let record = json!({"$ref": "#/components/schemas/Record"});
    let tea = document::example();
    let sent = json!({"name": "tea", "price": 3.5, "tags": ["hot"]});
    let any = json!({"type": "object"});
    let of = |row: Endpoint| row.who(Who::Depends).path("collection", Shape::Name, "The collection.", "things");
    let one = |row: Endpoint| of(row).path("id", Shape::Name, "The record.", "tea");
    let page = json!({
        "type": "object",
        "required": ["records", "changes"],
        "properties": {
            "records": {"type": "array", "items": record},
            "next": {"type": "string", "description": "`after` of the next page; not there on the last."},
            "changes": {
                "type": "integer",
                "description": "Where the log of changes stood before: follow it from there to miss nothing.",
            },
        },
    });
    let matched = "Only if the record is at this revision (its ETag).";
    Ok(vec![
        of(Endpoint::new(Method::GET, "/records/{collection}", Tag::Records, "List records", Does::Later(|call, _| Box::pin(list::list(call)))))
            .about(filter::ABOUT)
            .query("limit", Shape::Integer(1, PAGE_MAX), "How many at most; 100 by default. A page may be shorter and still have a next one.", "10")
            .query("after", Shape::Text(0, 4096), "Where the page begins: `next` of the page before.", "")
            .query("sort", Shape::Text(0, 256), "Fields to sort by, up to three, `-` before one for the largest first. Without it records come by id, which for those that the server chose is the order in which they were made.", "-price,name")
            .json(200, "A page of records.", page, json!({"records": [tea], "changes": 17}))
            .with("Link", "The next page (`rel=\"next\"`), where there is one.")
            .problem(404, "There is no such page: `after` is from another order."),
        of(Endpoint::new(Method::POST, "/records/{collection}", Tag::Records, "Make a record", Does::Later(|call, body| Box::pin(one::create(call, body)))))
            .about("The server chooses the id; ids grow with time. Fields that begin with `_` are ignored.")
            .from(From::Own)
            .takes(Takes::Json, any.clone(), sent.clone())?
            .json(201, "The record.", record.clone(), tea.clone())
            .with("Location", "Where it is.")
            .with("ETag", "Its revision."),
        one(Endpoint::new(Method::GET, "/records/{collection}/{id}", Tag::Records, "Get a record", Does::Later(|call, _| Box::pin(one::get(call)))))
            .field("If-None-Match", "A revision that is known already.")
            .json(200, "The record.", record.clone(), tea.clone())
            .with("ETag", "Its revision.")
            .says(304, "It is at the revision that is known.")
            .with("ETag", "Its revision.")
            .problem(400, "The condition is no list of entity tags.")
            .problem(404, "There is no such record."),
        one(Endpoint::new(Method::PUT, "/records/{collection}/{id}", Tag::Records, "Put a record", Does::Later(|call, body| Box::pin(one::put(call, body)))))
            .about("Makes it or replaces it. `If-None-Match: *` only makes it, `If-Match` only replaces that revision.")
            .from(From::Own)
            .field("If-Match", matched)
            .field("If-None-Match", "`*`: only if there is no such record.")
            .takes(Takes::Json, any.clone(), sent)?
            .json(200, "It was replaced.", record.clone(), tea.clone())
            .with("ETag", "Its revision.")
            .json(201, "It was made.", record.clone(), tea.clone())
            .with("Location", "Where it is.")
            .with("ETag", "Its revision.")
            .problem(409, "It is being changed too often; try again.")
            .problem(412, "The condition does not hold.")
            .problem(428, "This collection wants `If-Match`."),
        one(Endpoint::new(Method::PATCH, "/records/{collection}/{id}", Tag::Records, "Change a record", Does::Later(|call, body| Box::pin(one::patch(call, body)))))
            .about("A merge patch (RFC 7396): fields are set, or removed with null.")
            .from(From::Own)
            .field("If-Match", matched)
            .takes(Takes::Patch, any, json!({"price": 4}))?
            .json(200, "The record as it is now.", record, tea)
            .with("ETag", "Its revision.")
            .problem(404, "There is no such record.")
            .problem(409, "It is being changed too often; try again.")
            .problem(412, "The condition does not hold.")
            .problem(428, "This collection wants `If-Match`."),
        one(Endpoint::new(Method::DELETE, "/records/{collection}/{id}", Tag::Records, "Delete a record", Does::Later(|call, _| Box::pin(one::delete(call)))))
            .from(From::Own)
            .field("If-Match", matched)
            .says(204, "It is gone.")
            .problem(400, "The condition is no list of entity tags.")
            .problem(404, "There is no such record.")
            .problem(409, "It is being changed too often; try again.")
            .problem(412, "The condition does not hold.")
            .problem(428, "This collection wants `If-Match`."),
        of(Endpoint::new(Method::GET, "/records/{collection}/changes", Tag::Records, "Follow changes as they happen", Does::Later(|call, _| Box::pin(changes::follow(call)))))
            .about(changes::ABOUT)
            .field("Last-Event-ID", "The last change that was seen: those behind it follow. Browsers send it by themselves.")
            .query("after", Shape::Integer(0, i64::MAX as u64), "The same, for the first time: `changes` of a list. Without either, what happens from now on.", "")
            .query("limit", Shape::Integer(1, 1_000_000), "Ends after so many events.", "")
            .endless()
            .says(200, "Events, until the server ends.")
            .form("text/event-stream", json!({"type": "string"}), Some(Value::from("id: 17\nevent: created\ndata: {\"_id\":\"tea\",\"price\":3.5}\n\n"))),
    ])
}

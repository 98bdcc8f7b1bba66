//! One record: made, shown, replaced, changed, deleted.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::collection::{Act, Collection};
use super::document::{self, Document};
use super::{Change, TRIES, check_may, no_record};
use crate::http::{Body, HeaderValue, Login, Response, StatusCode, empty, header};
use crate::services::api::call::{self, Call};
use crate::services::api::condition::{Condition, note_revision};
use crate::services::api::json;
use crate::services::api::query;
use crate::services::api::stop::{Reply, Stop};
use crate::state::Expect;

type Result<T> = crate::error::Result<T, Stop>;

/// The hot path: rules out of memory, one commit, nothing read.
pub(super) async fn create(call: Call<'_>, body: Body) -> Reply {
    let name = call.path("collection").into_owned();
    let rules = call.api.records.collection(&name).await?;
    let login = call.login.as_ref();
    check_may(&rules, Act::Create, login, owner(login))?;
    let fields = fields(&call, &rules, body).await?;
    let mut made = Document::new(document::id()?, owner(login), &fields);
    let done = call.api.records.write(&name, &made, Change::Created, Expect::Absent).await?;
    // An id of 74 random bits is nobody else's.
    made.revision = done.map_err(|_| too_often())?;
    Ok(created(&name, &made))
}

pub(super) async fn get(call: Call<'_>) -> Reply {
    let condition = Condition::of(&call.parts.headers)?;
    let one = One::of(&call).await?;
    let found = one.readable(&call).await?;
    if condition.has(found.revision) {
        let mut response = empty(StatusCode::NOT_MODIFIED);
        note_revision(&mut response, found.revision);
        return Ok(response);
    }
    Ok(found.response(StatusCode::OK))
}

pub(super) async fn put(call: Call<'_>, body: Body) -> Reply {
    let condition = Condition::of(&call.parts.headers)?;
    let one = One::of(&call).await?;
    one.check_may_any(&call, &[Act::Create, Act::Update])?;
    let fields = fields(&call, &one.rules, body).await?;
    for _ in 0..TRIES {
        let before = one.found(&call).await?;
        let (mut document, change, expect) = match &before {
            None => {
                let login = call.login.as_ref();
                check_may(&one.rules, Act::Create, login, owner(login))?;
                condition.check(None)?;
                let made = Document::new(one.id.clone(), owner(login), &fields);
                (made, Change::Created, Expect::Absent)
            }
            Some(before) => {
                one.check_may_change(&call, Act::Update, before)?;
                one.check_condition(&condition, before)?;
                let expect = Expect::Revision(before.revision);
                (before.with(&fields)?, Change::Updated, expect)
            }
        };
        let written = call.api.records.write(&one.collection, &document, change, expect);
        if let Ok(revision) = written.await? {
            document.revision = revision;
            return Ok(match change {
                Change::Created => created(&one.collection, &document),
                _ => document.response(StatusCode::OK),
            });
        }
    }
    Err(too_often())
}

pub(super) async fn patch(call: Call<'_>, body: Body) -> Reply {
    let condition = Condition::of(&call.parts.headers)?;
    let one = One::of(&call).await?;
    one.check_may_any(&call, &[Act::Update])?;
    let patch = match call.json(body).await? {
        Value::Object(patch) => Value::Object(document::sent(patch)),
        other => other,
    };
    for _ in 0..TRIES {
        let before = one.found(&call).await?.ok_or_else(no_record)?;
        one.check_may_change(&call, Act::Update, &before)?;
        one.check_condition(&condition, &before)?;
        let mut value = Value::Object(before.fields()?);
        json::merge(&mut value, patch.clone());
        let Value::Object(fields) = value else { break };
        let fields = fitting(&one.rules, fields)?;
        let mut after = before.with(&fields)?;
        if after.stored.len() > call.api.options.body_bytes.saturating_add(OWN_BYTES) {
            return Err(Stop::new(StatusCode::PAYLOAD_TOO_LARGE, "the document would become too long"));
        }
        let expect = Expect::Revision(before.revision);
        let written = call.api.records.write(&one.collection, &after, Change::Updated, expect);
        if let Ok(revision) = written.await? {
            after.revision = revision;
            return Ok(after.response(StatusCode::OK));
        }
    }
    Err(too_often())
}

pub(super) async fn delete(call: Call<'_>) -> Reply {
    let condition = Condition::of(&call.parts.headers)?;
    let one = One::of(&call).await?;
    one.check_may_any(&call, &[Act::Delete])?;
    for _ in 0..TRIES {
        let before = one.found(&call).await?.ok_or_else(no_record)?;
        one.check_may_change(&call, Act::Delete, &before)?;
        one.check_condition(&condition, &before)?;
        let expect = Expect::Revision(before.revision);
        let written = call.api.records.write(&one.collection, &before, Change::Deleted, expect);
        if written.await?.is_ok() {
            return Ok(empty(StatusCode::NO_CONTENT));
        }
    }
    Err(too_often())
}

/// What the server's own fields may take.
const OWN_BYTES: usize = 1024;

/// Which record is meant, and what holds for it.
struct One {
    collection: String,
    id: String,
    rules: Arc<Collection>,
}

impl One {
    async fn of(call: &Call<'_>) -> Result<One> {
        let collection = call.path("collection").into_owned();
        Ok(One {
            rules: call.api.records.collection(&collection).await?,
            id: call.path("id").into_owned(),
            collection,
        })
    }

    async fn found(&self, call: &Call<'_>) -> Result<Option<Document>> {
        Ok(call.api.records.record(&self.collection, &self.id).await?)
    }

    /// The record, if there is one that whoever asks may see. Who might only see their own is not told of others.
    async fn readable(&self, call: &Call<'_>) -> Result<Document> {
        self.check_may_any(call, &[Act::Read])?;
        let login = call.login.as_ref();
        let found = self.found(call).await?.ok_or_else(no_record)?;
        match self.may(Act::Read, login, &found)? {
            true => Ok(found),
            false => Err(no_record()),
        }
    }

    /// Before anything is looked at: who may do nothing of this with any record is told so.
    fn check_may_any(&self, call: &Call<'_>, acts: &[Act]) -> Result<()> {
        let login = call.login.as_ref();
        match acts.iter().any(|act| self.rules.may_with_own(*act, login)) {
            true => Ok(()),
            false => acts.iter().try_for_each(|act| check_may(&self.rules, *act, login, None)),
        }
    }

    fn check_may_change(&self, call: &Call<'_>, act: Act, document: &Document) -> Result<()> {
        let login = call.login.as_ref();
        if self.may(act, login, document)? {
            return Ok(());
        }
        // Who does not see it is not told that it is there.
        match login.is_some() && !self.may(Act::Read, login, document)? {
            true => Err(no_record()),
            false => check_may(&self.rules, act, login, None),
        }
    }

    fn may(&self, act: Act, login: Option<&Login>, document: &Document) -> Result<bool> {
        // Most may without being the owner, which is cheaper to find out.
        if self.rules.may(act, login, None) {
            return Ok(true);
        }
        let head = document.head()?;
        Ok(self.rules.may(act, login, head.owner.as_deref()))
    }

    fn check_condition(&self, condition: &Condition, document: &Document) -> Result<()> {
        if self.rules.needs_if_match && condition.names_no_revision() {
            let detail = "send the revision that this is a change of: If-Match with the record's ETag";
            return Err(Stop::new(StatusCode::PRECONDITION_REQUIRED, detail));
        }
        condition.check(Some(document.revision))
    }
}

/// The document that was sent, as the collection wants it.
async fn fields(call: &Call<'_>, rules: &Collection, body: Body) -> Result<Map<String, Value>> {
    match call.json(body).await? {
        Value::Object(fields) => fitting(rules, document::sent(fields)),
        // The endpoint's own schema wants an object.
        _ => Err(Stop::field("", "is not an object")),
    }
}

fn fitting(rules: &Collection, fields: Map<String, Value>) -> Result<Map<String, Value>> {
    let Some(validator) = rules.validator() else {
        return Ok(fields);
    };
    let value = Value::Object(fields);
    call::check(validator, &value)?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

fn owner(login: Option<&Login>) -> Option<&str> {
    login.map(|login| login.user.as_str())
}

fn created(collection: &str, document: &Document) -> Response {
    let mut response = document.response(StatusCode::CREATED);
    let place = format!("/records/{}/{}", query::encode(collection), document.id);
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn too_often() -> Stop {
    Stop::new(StatusCode::CONFLICT, "the record is being changed too often; try again")
}

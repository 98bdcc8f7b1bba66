//! What becomes of a collection's records, as it happens: server-sent events (WHATWG HTML, section 9.2).
//!
//! The log is the truth. An entry is read from it only when the client has taken the one before, so a slow client holds
//! nothing but its place, and costs the others nothing; one that is too slow is told that history is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::collection::Act;
use super::document::Document;
use super::{Change, check_may, log};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, HeaderValue, Login, StatusCode, header, typed};
use crate::net::Ending;
use crate::services::api::Shared;
use crate::services::api::call::Call;
use crate::services::api::stop::{Reply, Stop};
use crate::state::{Entry, Tail, tail};

pub(super) const ABOUT: &str = "Server-sent events: `created` and `updated` with the document, `deleted` with its `_id` and `_owner`. The id of an event is its place in the log, with no gap for who may read everything. Who comes back with the last id gets exactly what was missed; if that is not there any more, `lost` says so: list the records again, and go on.";

/// How often a stream that waits looks whether the server ends.
const LOOK: Duration = Duration::from_secs(1);

impl Change {
    fn letter(self) -> u8 {
        match self {
            Change::Created => b'c',
            Change::Updated => b'u',
            Change::Deleted => b'd',
        }
    }

    fn name(letter: u8) -> &'static str {
        match letter {
            b'c' => "created",
            b'd' => "deleted",
            _ => "updated",
        }
    }
}

/// An entry of the log: a letter, and the document; of one that was deleted, whose it was.
pub(super) fn entry(change: Change, document: &Document) -> Bytes {
    let mut entry = vec![change.letter()];
    match change {
        Change::Created | Change::Updated => entry.extend_from_slice(&document.stored),
        Change::Deleted => {
            let owner = document.head().ok().and_then(|head| head.owner);
            let owner = Value::from(owner.as_deref());
            let id = Value::from(document.id.as_str());
            entry.extend_from_slice(format!("{{\"_id\":{id},\"_owner\":{owner}}}").as_bytes());
        }
    }
    entry.into()
}

pub(super) async fn follow(call: Call<'_>) -> Reply {
    let collection = call.path("collection").into_owned();
    let api = call.api.clone();
    let rules = api.records.collection(&collection).await?;
    let login = call.login.clone();
    if !rules.may_with_own(Act::Read, login.as_ref()) {
        check_may(&rules, Act::Read, login.as_ref(), None)?;
    }
    let log = log(&collection);
    let after = match place(&call)? {
        Some(after) => after,
        None => api.records.store.last(&log).await?,
    };
    let now = Instant::now();
    let following = Following {
        tail: tail(api.records.store.clone(), log, after),
        token: call.token().map(str::to_owned),
        ending: call.downstream().map(|downstream| downstream.ending().clone()),
        left: call.query("limit").map(|_| call.integer("limit", 0)),
        heartbeat: now + api.options.heartbeat,
        // The head goes out at once, so that the client knows that it follows.
        first: Some(": following\n\n".into()),
        is_over: false,
        login,
        collection,
        api,
    };
    let events = stream::unfold(following, |mut following| async {
        let event = following.next().await.transpose()?;
        Some((event.map(Frame::data), following))
    });
    let mut response = typed(StatusCode::OK, "text/event-stream", Bytes::new());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::stream(StreamBody::new(events));
    Ok(response)
}

/// Behind which entry to begin.
fn place(call: &Call<'_>) -> Result<Option<u64>, Stop> {
    if let Some(last) = call.field("last-event-id").filter(|last| !last.is_empty()) {
        let wrong = || Stop::field("Last-Event-ID", "is not the id of an event");
        return last.parse().map(Some).map_err(|_| wrong());
    }
    Ok(call.query("after").map(|_| call.integer("after", 0)))
}

/// One client's place in the log.
struct Following {
    api: Arc<Shared>,
    collection: String,
    tail: Tail,
    login: Option<Login>,
    token: Option<String>,
    ending: Option<Ending>,
    /// Events that are still to be sent, if there is an end.
    left: Option<u64>,
    heartbeat: Instant,
    first: Option<Bytes>,
    is_over: bool,
}

impl Following {
    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while !self.is_over && self.left != Some(0) {
            if self.ending.as_ref().is_some_and(Ending::is_begun) {
                return Ok(None);
            }
            let look = LOOK.min(self.heartbeat.saturating_duration_since(Instant::now()));
            match timeout(look, self.tail.next()).await {
                Ok(Ok(entry)) => {
                    if let Some(event) = self.event(&entry).await? {
                        self.left = self.left.map(|left| left.saturating_sub(1));
                        return Ok(Some(event));
                    }
                }
                Ok(Err(error)) if error.kind() == Kind::Gone => return self.lost().await.map(Some),
                // The store is closed: the end of the server.
                Ok(Err(error)) if error.kind() == Kind::Closed => return Ok(None),
                Ok(Err(error)) => return Err(error),
                Err(_nothing_new) if Instant::now() < self.heartbeat => {}
                Err(_nothing_new) => {
                    self.heartbeat = Instant::now() + self.api.options.heartbeat;
                    self.check_again().await?;
                    if !self.is_over {
                        return Ok(Some(": \n\n".into()));
                    }
                }
            }
        }
        Ok(None)
    }

    /// An entry as an event, if it may be seen.
    async fn event(&self, entry: &Entry) -> Result<Option<Bytes>> {
        let Some((letter, data)) = entry.value.split_first() else {
            return Ok(None);
        };
        let rules = self.api.records.collection(&self.collection).await?;
        let login = self.login.as_ref();
        if !rules.may(Act::Read, login, None) {
            let value: Value = serde_json::from_slice(data).unwrap_or_default();
            let owner = value.get("_owner").and_then(Value::as_str);
            if !rules.may(Act::Read, login, owner) {
                return Ok(None);
            }
        }
        let head = format!("id: {}\nevent: {}\ndata: ", entry.seq, Change::name(*letter));
        Ok(Some([head.as_bytes(), data, b"\n\n"].concat().into()))
    }

    /// Says that there is a gap, and goes on behind it.
    async fn lost(&mut self) -> Result<Bytes> {
        let store = &self.api.records.store;
        let log = log(&self.collection);
        let oldest = store.oldest(&log).await?;
        let after = oldest.saturating_sub(1);
        self.tail = tail(store.clone(), log, after);
        let event = format!("id: {after}\nevent: lost\ndata: {{\"oldest\":{oldest}}}\n\n");
        Ok(event.into())
    }

    /// Whoever was logged out, or may not read any more, follows no more.
    async fn check_again(&mut self) -> Result<(), Error> {
        if let Some(token) = &self.token
            && self.login.is_some()
        {
            let session = self.api.accounts.who(token).await?;
            self.login = session.map(|session| session.user.login());
        }
        let rules = self.api.records.collection(&self.collection).await?;
        self.is_over = !rules.may_with_own(Act::Read, self.login.as_ref());
        Ok(())
    }
}

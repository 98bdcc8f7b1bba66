//! A page of records: filtered, in an order, from where the page before ended.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::Value;

use super::collection::Act;
use super::document::Document;
use super::filter::Filters;
use super::order::{FIELDS_MAX, Order, Rank};
use super::{check_may, log};
use crate::http::{HeaderValue, StatusCode, header, typed};
use crate::services::api::call::Call;
use crate::services::api::query;
use crate::services::api::stop::{Reply, Stop};

type Result<T> = crate::error::Result<T, Stop>;

/// Parameters that are no filters.
const PARAMETERS: [&str; 3] = ["limit", "after", "sort"];
/// The most records that are looked through for a page in the order of ids.
const LOOKED_THROUGH: usize = 10_000;
/// The most records, and bytes of them, that are sorted.
const SORTED: usize = 100_000;
const SORTED_BYTES: usize = 64 << 20;
/// Records that are read at once; between, others have their turn.
const READ: usize = 256;

/// What a page comes to.
struct Page {
    records: Vec<Document>,
    /// Where the next one begins.
    next: Option<String>,
}

/// What is asked for.
struct Asked<'a> {
    call: &'a Call<'a>,
    collection: &'a str,
    filters: Filters,
    order: Order,
    limit: usize,
    after: Option<String>,
    /// Only those of this owner.
    owner: Option<String>,
}

pub(super) async fn list(call: Call<'_>) -> Reply {
    let collection = call.path("collection").into_owned();
    let records = &call.api.records;
    let rules = records.collection(&collection).await?;
    let login = call.login.as_ref();
    let owner = match rules.may(Act::Read, login, None) {
        true => None,
        // Who may read only their own sees those.
        false => login.map(|login| login.user.as_str()),
    };
    check_may(&rules, Act::Read, login, owner)?;

    let sort = call.query("sort").unwrap_or_default();
    let order = Order::parse(&sort)
        .ok_or_else(|| Stop::field("sort", format!("has more than {FIELDS_MAX} fields")))?;
    let asked = Asked {
        call: &call,
        collection: &collection,
        filters: Filters::of(call.parts.uri.query().unwrap_or_default(), &PARAMETERS),
        order,
        limit: usize::try_from(call.integer("limit", 100)).unwrap_or(1),
        after: call
            .query("after")
            .filter(|after| !after.is_empty())
            .map(Into::into),
        owner: owner.map(str::to_owned),
    };
    // Before looking: what changes while we look is told twice rather than never.
    let changes = records.store.last(&log(&collection)).await?;
    let page = match asked.order.is_by_id() {
        true => asked.by_id().await?,
        false => asked.sorted().await?,
    };
    Ok(asked.response(&page, changes))
}

impl Asked<'_> {
    /// Goes through the collection from `after` on, piece by piece, until `each` has had enough.
    async fn go_through(
        &self,
        after: Option<&str>,
        mut each: impl FnMut(Document) -> Result<bool>,
    ) -> Result<()> {
        let store = &self.call.api.records.store;
        let prefix = super::key(self.collection, "");
        let mut after = after.map(|after| format!("{prefix}{after}"));
        loop {
            let records = store.list(&prefix, after.as_deref(), READ).await?;
            let Some(last) = records.last() else {
                return Ok(());
            };
            after = Some(last.key.clone());
            for record in records {
                let id = record
                    .key
                    .strip_prefix(&prefix)
                    .unwrap_or_default()
                    .to_owned();
                if !each(Document::read(&id, record)?)? {
                    return Ok(());
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// The document as a value, if it is looked into at all; `None` where it is not one of those asked for.
    fn passes(&self, document: &Document) -> Result<Option<Value>> {
        if self.filters.is_empty() && self.owner.is_none() && self.order.is_by_id() {
            return Ok(Some(Value::Null));
        }
        let value = document.to_value()?;
        let is_theirs = |owner: &String| value.get("_owner").and_then(Value::as_str) == Some(owner);
        let passes = self.owner.as_ref().is_none_or(is_theirs) && self.filters.match_all(&value);
        Ok(passes.then_some(value))
    }

    async fn by_id(&self) -> Result<Page> {
        let mut page = Page {
            records: Vec::new(),
            next: None,
        };
        let (mut looked_through, mut last) = (0, String::new());
        // Ids are short: what is longer comes behind what it begins with.
        let after = self
            .after
            .as_deref()
            .map(|after| after.get(..64).unwrap_or(after));
        self.go_through(after, |document| {
            if page.records.len() == self.limit || looked_through == LOOKED_THROUGH {
                page.next = Some(std::mem::take(&mut last));
                return Ok(false);
            }
            looked_through += 1;
            last.clone_from(&document.id);
            if self.passes(&document)?.is_some() {
                page.records.push(document);
            }
            Ok(true)
        })
        .await?;
        Ok(page)
    }

    async fn sorted(&self) -> Result<Page> {
        let after = match &self.after {
            Some(after) => Some(Rank::parse(after, &self.order).ok_or_else(no_page)?),
            None => None,
        };
        // The first of those behind `after`, the last of them on top; one more tells whether there is a next page.
        let mut first = BinaryHeap::new();
        let (mut looked_through, mut bytes) = (0, 0);
        self.go_through(None, |document| {
            looked_through += 1;
            bytes += document.stored.len();
            if looked_through > SORTED || bytes > SORTED_BYTES {
                let detail = format!(
                    "needs all records, and there are more than {SORTED}, or {} MiB",
                    SORTED_BYTES >> 20
                );
                return Err(Stop::field("sort", detail));
            }
            if let Some(value) = self.passes(&document)? {
                let rank = self.order.rank(&value, &document.id);
                let is_behind = |after: &Rank| self.order.compare(&rank, after).is_gt();
                if after.as_ref().is_none_or(is_behind) {
                    first.push(Ranked {
                        order: &self.order,
                        rank,
                        document,
                    });
                    if first.len() > self.limit.saturating_add(1) {
                        first.pop();
                    }
                }
            }
            Ok(true)
        })
        .await?;
        let mut ranked = first.into_sorted_vec();
        let is_last = ranked.len() <= self.limit;
        ranked.truncate(self.limit);
        Ok(Page {
            next: ranked
                .last()
                .filter(|_| !is_last)
                .map(|last| last.rank.cursor()),
            records: ranked.into_iter().map(|ranked| ranked.document).collect(),
        })
    }

    fn response(&self, page: &Page, changes: u64) -> crate::http::Response {
        let shown: Vec<String> = page.records.iter().map(Document::shown).collect();
        let next = match &page.next {
            Some(next) => format!(",\"next\":{}", Value::from(next.as_str())),
            None => String::new(),
        };
        let body = format!(
            "{{\"records\":[{}],\"changes\":{changes}{next}}}",
            shown.join(",")
        );
        let mut response = typed(StatusCode::OK, "application/json", body);
        if let Some(next) = &page.next
            && let Ok(link) = HeaderValue::try_from(self.link(next))
        {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }

    /// The same question about the next page (RFC 8288).
    fn link(&self, next: &str) -> String {
        let written = self.call.parts.uri.query().unwrap_or_default();
        let parts = written.split('&').filter(|part| {
            let name = part.split('=').next().unwrap_or_default();
            !part.is_empty() && name != "after"
        });
        let mut parts: Vec<String> = parts.map(str::to_owned).collect();
        parts.push(format!("after={}", query::encode(next)));
        format!(
            "<{}{}?{}>; rel=\"next\"",
            self.call.prefix,
            self.call.parts.uri.path(),
            parts.join("&").replace('>', "%3E")
        )
    }
}

fn no_page() -> Stop {
    Stop::new(
        StatusCode::NOT_FOUND,
        "there is no such page: `after` is not of this order",
    )
}

/// A record with its place, to be compared by it.
struct Ranked<'o> {
    order: &'o Order,
    rank: Rank,
    document: Document,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.compare(&self.rank, &other.rank)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}

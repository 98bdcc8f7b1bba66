//! A listing for programs.

use serde::Serialize;

use super::Listing;
use crate::http::{Response, StatusCode, typed};

#[derive(Serialize)]
struct Folder {
    path: String,
    entries: Vec<Entry>,
    /// Whether this is all that is in the folder.
    complete: bool,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    /// Relative to the folder. Names that are not UTF-8 can be asked for by it too.
    href: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// RFC 3339, in UTC.
    modified: Option<String>,
}

pub(super) fn response(listing: &Listing) -> Response {
    let entries = listing.entries.iter().map(|entry| Entry {
        name: entry.text(),
        href: entry.href(),
        kind: if entry.is_folder() { "folder" } else { "file" },
        size: (!entry.is_folder()).then_some(entry.state.size),
        modified: modified(entry.state.modified.0),
    });
    let folder = Folder {
        path: listing.path.clone(),
        entries: entries.collect(),
        complete: !listing.is_cut,
    };
    // Strings and numbers always are JSON.
    let json = serde_json::to_vec(&folder).unwrap_or_default();
    typed(StatusCode::OK, "application/json", json)
}

fn modified(seconds: i64) -> Option<String> {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    time.format(&time::format_description::well_known::Rfc3339)
        .ok()
}

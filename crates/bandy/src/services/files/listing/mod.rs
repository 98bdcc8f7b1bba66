//! A folder's listing: read from the folder, put in order, and shown as a page or as JSON.

mod html;
mod json;

use std::cmp::Ordering;
use std::sync::Arc;

use ::http::request::Parts;
use rustix::fs::Dir;
use rustix::io::Errno;

use super::path::{self, Path};
use super::preference::of_media_type;
use super::root::{Kind, Root, State};
use super::stop::{Stop, on_a_thread};
use super::{Inner, Options};
use crate::http::{Body, HeaderValue, Method, Response, header};

/// The most entries that are read of one folder: a page of more is nobody's to read.
const ENTRIES_MAX: usize = 10_000;

/// How many listings are made at once: a large one takes a thread a while, and megabytes.
pub(super) const AT_ONCE: usize = 8;

/// A folder's content, in its order.
struct Listing {
    /// The folder's path as a person reads it, with `/` at both ends.
    path: String,
    is_root: bool,
    entries: Vec<Entry>,
    order: Order,
    /// Whether there was more than is listed.
    is_cut: bool,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    state: State,
}

impl Entry {
    fn is_folder(&self) -> bool {
        self.state.kind == Kind::Folder
    }

    /// The name for people.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Where it is, seen from the folder's own page.
    fn href(&self) -> String {
        let slash = if self.is_folder() { "/" } else { "" };
        format!("./{}{slash}", path::encode(&self.name))
    }
}

/// What a listing is sorted by. Folders are before files in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    by: By,
    is_descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Name,
    Size,
    Time,
}

impl By {
    const ALL: [By; 3] = [By::Name, By::Size, By::Time];

    fn as_str(self) -> &'static str {
        match self {
            By::Name => "name",
            By::Size => "size",
            By::Time => "time",
        }
    }
}

impl Order {
    /// From `?sort=name|size|time&order=asc|desc`; what is not understood is passed over.
    fn of(query: Option<&str>) -> Order {
        let mut order = Order {
            by: By::Name,
            is_descending: false,
        };
        for (key, value) in query
            .unwrap_or_default()
            .split('&')
            .filter_map(|p| p.split_once('='))
        {
            match key {
                "sort" => {
                    let by = By::ALL.into_iter().find(|by| by.as_str() == value);
                    order.by = by.unwrap_or(order.by);
                }
                "order" => order.is_descending = value == "desc",
                _ => {}
            }
        }
        order
    }

    fn compare(self, a: &Entry, b: &Entry) -> Ordering {
        let by_name = || {
            let lower = |entry: &Entry| entry.text().to_lowercase();
            lower(a).cmp(&lower(b)).then_with(|| a.name.cmp(&b.name))
        };
        let ordering = match self.by {
            By::Name => by_name(),
            By::Size => a.state.size.cmp(&b.state.size).then_with(by_name),
            By::Time => a.state.modified.cmp(&b.state.modified).then_with(by_name),
        };
        let ordering = match self.is_descending {
            true => ordering.reverse(),
            false => ordering,
        };
        b.is_folder().cmp(&a.is_folder()).then(ordering)
    }
}

/// Answers a GET or HEAD of a folder that has no index.
pub(super) async fn show(inner: &Arc<Inner>, path: &Path, head: &Parts) -> Result<Response, Stop> {
    let order = Order::of(head.uri.query());
    let json = of_media_type(&head.headers, "application/json");
    let wants_json = json > of_media_type(&head.headers, "text/html");
    // It is never closed, and without a permit the listing would only be made sooner.
    let permit = inner.listings.clone().acquire_owned().await.ok();
    let (inner, path) = (inner.clone(), path.clone());
    let made = on_a_thread(move || {
        // Given back when the thread is done, whether or not anybody still waits for it.
        let _permit = permit;
        let listing = read(&inner.root, &inner.options, &path, order)?;
        Ok(match wants_json {
            true => json::response(&listing),
            false => html::response(&listing, inner.options.upload),
        })
    });
    let mut response = made.await?;
    let fields = response.headers_mut();
    fields.insert(header::VARY, HeaderValue::from_static("accept"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let nosniff = HeaderValue::from_static("nosniff");
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    if head.method == Method::HEAD {
        let len = response.body().len_hint().unwrap_or(0);
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        *response.body_mut() = Body::empty();
    }
    Ok(response)
}

fn read(root: &Root, options: &Options, path: &Path, order: Order) -> Result<Listing, Errno> {
    let mut folder = Dir::new(root.folder(path.names())?)?;
    let (mut entries, mut is_cut) = (Vec::new(), false);
    while let Some(entry) = folder.read() {
        let name = entry?.file_name().to_bytes().to_owned();
        if !path::can_be_asked_for(&name, options.hidden) {
            continue;
        }
        if entries.len() >= ENTRIES_MAX {
            is_cut = true;
            break;
        }
        // What is gone by now, and links that lead nowhere or out of the root, cannot be asked for.
        match root.state(&path.join(&name)) {
            Ok(state) if state.kind != Kind::Other => entries.push(Entry { name, state }),
            Ok(_) | Err(_) => {}
        }
    }
    entries.sort_by(|a, b| order.compare(a, b));
    let names = String::from_utf8_lossy(path.names()).into_owned();
    Ok(Listing {
        path: if path.is_root() {
            "/".to_owned()
        } else {
            format!("/{names}/")
        },
        is_root: path.is_root(),
        entries,
        order,
        is_cut,
    })
}

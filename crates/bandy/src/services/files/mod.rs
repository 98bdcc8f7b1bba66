//! A folder's files over HTTP: reading, and where it is allowed, writing.
//!
//! | asked for | answered |
//! |---|---|
//! | GET, HEAD of a file | the file: conditions (RFC 9110, section 13), parts (section 14), the compressed copy beside it that the client likes best |
//! | GET, HEAD of a folder | its index file, else its listing as a page or as JSON, else 404; without its `/` a redirect to it |
//! | PUT of a file | it is there, whole, or everything is as it was: 201 when it is new, 204 when it replaces one |
//! | PUT with `Content-Range` | a part of an upload that may break off: see [below](#uploads-that-break-off) |
//! | POST of a form to a folder | its files are put there |
//! | DELETE of a file or an empty folder | it is gone |
//!
//! Nothing outside the root is ever opened, whatever the path's spelling and wherever symbolic links lead; links inside
//! the root work. Only files and folders are served, and nothing whose name begins with a dot unless [`Options::hidden`]
//! says so. Errors are [`Problem`](crate::http::Problem)s.
//!
//! # How it is fast
//!
//! Files up to 64 KiB are answered from a bounded cache, which is looked at again once a second: a file that changed is
//! seen after that at the latest. Larger files leave as [`Body::file`], which a plain connection sends without copying.
//! What the system has in memory is opened where the request runs; only what has to wait for a disk goes to a thread.
//!
//! # Entity tags
//!
//! A tag is made of the file's time stamp (in nanoseconds), length and inode. Two writes within one tick of the system's
//! clock could share it, so for the first 20 ms after a write (two seconds on a file system without fractions) it is weak.
//!
//! # Uploads
//!
//! A file is written beside its place under a hidden name, brought to the disk, and then renamed. A condition (`If-Match`,
//! `If-None-Match: *`) is looked at before its body is asked for and again at the end, alone. What a process that was
//! killed leaves of it is removed a day later, when something is uploaded to that folder.
//!
//! A browser's page of another site is refused: see [`Options::origins`].
//!
//! # Uploads that break off
//!
//! A PUT with `Content-Range: bytes FIRST-LAST/TOTAL` continues at FIRST what an earlier one began; what arrived is kept
//! for a day when the connection breaks. HEAD says in `Upload-Offset` where to go on. When the last byte is there, the file
//! is in its place. So, with curl, the beginning and every further try are:
//!
//! ```console
//! $ curl -T big.iso -C - http://host/big.iso
//! $ curl -T big.iso -C $(curl -sI http://host/big.iso | sed -n 's/^upload-offset: *\([0-9]*\).*/\1/p') http://host/big.iso
//! ```

mod answer;
mod cache;
mod coding;
mod condition;
mod form;
mod listing;
mod media;
mod origin;
mod page;
mod path;
mod preference;
mod range;
mod remove;
mod resume;
mod root;
mod staged;
mod stop;
mod upload;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;

use ::http::request::Parts;
use rustix::io::Errno;
use tokio::sync::Semaphore;

use crate::error::{Error, Kind, Plain, Result, Side};
use crate::http::{
    Body, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, same_origin,
};
use crate::service::Service;
use answer::answer;
use cache::{Cache, Known};
use page::Found;
use path::{Path, Refused};
use root::{Root, Wait};
use stop::{Stop, missing, on_a_thread, problem};

/// What is served, and what clients may do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The folder. It is opened once; replacing it by another of the same name changes nothing until the next start.
    pub root: PathBuf,
    /// What is served in a folder's place, by name, the first that is there. None: no index.
    pub index: Vec<String>,
    /// Whether a folder without an index is listed.
    pub listing: bool,
    /// Whether names that begin with a dot are served.
    pub hidden: bool,
    /// Whether a `file.br`, `file.zst` or `file.gz` beside a text file is sent in its place to who takes it. One that is
    /// older than the file is not.
    pub precompressed: bool,
    /// The memory for small files. Bytes; 0 keeps none.
    pub cache_bytes: u64,
    /// `Cache-Control` of every file, such as `public, max-age=3600`.
    pub cache_control: Option<String>,
    /// Whether files may be put. Who may put pages here can run scripts in the browsers of those who read them, as this
    /// site.
    pub upload: bool,
    /// The longest file that may be put, and the longest form. Bytes. The server's own limit on bodies comes first.
    pub upload_bytes: u64,
    /// Whether files and empty folders may be deleted.
    pub delete: bool,
    /// Origins whose pages may put and delete, beside this site's own, as browsers write them (`https://app.example`);
    /// `*` is any.
    pub origins: Vec<String>,
}

impl Options {
    /// The default of `cache_bytes`.
    pub const CACHE_BYTES: u64 = 32 << 20;
    /// The default of `upload_bytes`.
    pub const UPLOAD_BYTES: u64 = 1 << 30;

    /// Serves a folder's files, its listings and `index.html`s, to be read only.
    pub fn new(root: impl Into<PathBuf>) -> Options {
        Options {
            root: root.into(),
            index: vec!["index.html".to_owned()],
            listing: true,
            hidden: false,
            precompressed: true,
            cache_bytes: Options::CACHE_BYTES,
            cache_control: None,
            upload: false,
            upload_bytes: Options::UPLOAD_BYTES,
            delete: false,
            origins: Vec::new(),
        }
    }
}

/// The folder in which the program runs, to be read only.
impl Default for Options {
    fn default() -> Options {
        Options::new(".")
    }
}

/// The files service.
#[derive(Debug, Clone)]
pub struct Files(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: Root,
    options: Options,
    cache: Cache,
    /// Held from looking at what an upload replaces until it is replaced.
    replacing: Mutex<()>,
    /// Listings that may be made at once.
    listings: Arc<Semaphore>,
    /// When what was left behind was last looked for.
    swept: Mutex<Option<std::time::Instant>>,
}

impl Files {
    /// Opens the folder.
    ///
    /// # Errors
    /// That there is no such folder, or it may not be read; an index that is no name; a `Cache-Control` that is no
    /// field's value.
    pub fn new(options: Options) -> Result<Files> {
        let wrong = |what: String| Error::new(Kind::Usage, Side::Local, what);
        if let Some(index) = options.index.iter().find(|name| !is_name(name)) {
            return Err(wrong(format!("reading the index {index:?}"))
                .because("it is not the name of a file")
                .hint("give a name such as index.html"));
        }
        if let Some(value) = &options.cache_control
            && HeaderValue::from_str(value).is_err()
        {
            return Err(wrong(format!("reading cache_control {value:?}"))
                .because("it cannot stand in a field"));
        }
        let root = Root::open(&options.root).map_err(|e| {
            let failed = wrong(format!("opening the folder {}", options.root.display()));
            let failed = failed.because(Plain(e.into()));
            match e {
                Errno::NOENT => {
                    failed.hint("does it exist? Paths begin where the program was started")
                }
                Errno::NOTDIR => failed.hint("give a folder, not a file"),
                _ => failed,
            }
        })?;
        let threads = available_parallelism().map_or(1, usize::from);
        Ok(Files(Arc::new(Inner {
            root,
            cache: Cache::new(options.cache_bytes, threads),
            options,
            replacing: Mutex::new(()),
            listings: Arc::new(Semaphore::new(listing::AT_ONCE)),
            swept: Mutex::new(None),
        })))
    }

    /// What is in memory and known to be so.
    fn quick(&self, request: &Request) -> Option<Response> {
        let is_head = match *request.method() {
            Method::GET => false,
            Method::HEAD if !self.0.options.upload => true,
            _ => return None,
        };
        match self.0.cache.find(request.uri().path()) {
            Known::Fresh(page) => Some(answer(&page, request.headers(), is_head)),
            Known::Stale(_) | Known::Nothing => None,
        }
    }

    async fn answer(&self, head: Parts, body: Body) -> Result<Response, Stop> {
        let Options { upload, delete, .. } = self.0.options;
        match head.method {
            Method::GET | Method::HEAD => self.read(&head).await,
            Method::OPTIONS => Ok(self.0.allow(StatusCode::NO_CONTENT)),
            Method::PUT if upload => Box::pin(upload::put(&self.0, head, body)).await,
            Method::POST if upload => Box::pin(form::post(&self.0, head, body)).await,
            Method::DELETE if delete => remove::delete(&self.0, head).await,
            _ => Ok(self.0.allow(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }

    async fn read(&self, head: &Parts) -> Result<Response, Stop> {
        let inner = &self.0;
        let target = head.uri.path();
        let path = inner.path(target)?;
        let is_head = head.method == Method::HEAD;
        let (known, writes) = match inner.cache.find(target) {
            Known::Fresh(page) | Known::Stale(page) => (Some(page), inner.cache.writes()),
            Known::Nothing => (None, inner.cache.writes()),
        };
        let find = |wait| page::find(&inner.root, &inner.options, &path, wait, known.as_deref());
        let found = match find(Wait::Never) {
            Err(Errno::AGAIN) => {
                let (inner, path, known) = (inner.clone(), path.clone(), known.clone());
                let waiting = on_a_thread(move || {
                    let Inner { root, options, .. } = &*inner;
                    Ok(page::find(
                        root,
                        options,
                        &path,
                        Wait::Disk,
                        known.as_deref(),
                    ))
                });
                waiting.await?
            }
            found => found,
        };
        let answered = match found {
            Ok(Found::File(page)) => {
                let page = Arc::new(page);
                inner.cache.keep(target, &page, writes);
                Ok(answer(&page, &head.headers, is_head))
            }
            other => {
                if known.is_some() {
                    inner.cache.forget(target);
                }
                match other {
                    Ok(Found::Unslashed) => Ok(slashed(&path, head.uri.query())),
                    Ok(Found::Folder) if inner.options.listing => {
                        listing::show(inner, &path, head).await
                    }
                    Ok(_) => Err(missing()),
                    Err(e) => Err(e.into()),
                }
            }
        };
        match is_head && inner.options.upload && !path.is_folder() {
            true => resume::tell(inner, path, answered).await,
            false => answered,
        }
    }
}

impl Service<Request> for Files {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if let Some(response) = self.quick(&request) {
            return Ok(response);
        }
        let Options {
            upload,
            delete,
            ref origins,
            ..
        } = self.0.options;
        if same_origin::changes_something(request.method())
            && (upload || delete)
            && let Err(stop) = origin::check(&request, origins)
        {
            return stop.into_result();
        }
        let (head, body) = request.into_parts();
        Box::pin(self.answer(head, body))
            .await
            .or_else(Stop::into_result)
    }
}

impl Inner {
    fn path(&self, target: &str) -> Result<Path, Stop> {
        Path::parse(target, self.options.hidden).map_err(|refused| match refused {
            Refused::Missing => missing(),
            Refused::Malformed => problem(
                StatusCode::BAD_REQUEST,
                "the path is none that a file could have here",
            ),
        })
    }

    /// An answer that says what may be asked.
    fn allow(&self, status: StatusCode) -> Response {
        let Options { upload, delete, .. } = self.options;
        let methods = match (upload, delete) {
            (false, false) => "GET, HEAD, OPTIONS",
            (true, false) => "GET, HEAD, OPTIONS, POST, PUT",
            (false, true) => "DELETE, GET, HEAD, OPTIONS",
            (true, true) => "DELETE, GET, HEAD, OPTIONS, POST, PUT",
        };
        let mut response = match status {
            StatusCode::METHOD_NOT_ALLOWED => crate::http::Problem::new(status).response(),
            status => crate::http::empty(status),
        };
        let methods = HeaderValue::from_static(methods);
        response.headers_mut().insert(header::ALLOW, methods);
        response
    }
}

/// To the folder's own path. It is relative, and made of the decoded name: so it stays on this server whatever the name
/// is, and stands under any prefix that a route has taken off.
fn slashed(path: &Path, query: Option<&str>) -> Response {
    let name = path::encode(path.name());
    let location = match query {
        Some(query) => format!("./{name}/?{query}"),
        None => format!("./{name}/"),
    };
    redirect(StatusCode::PERMANENT_REDIRECT, &location)
}

/// Where to look instead; not to be remembered, since what is a folder today need not be one tomorrow.
fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = crate::http::empty(status);
    let fields: &mut HeaderMap = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(location) {
        fields.insert(header::LOCATION, location);
    }
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

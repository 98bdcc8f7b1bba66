//! The files service, asked directly: requests in, responses out.

mod connection;
mod listing;
mod reading;
mod root;
mod writing;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bandy::Service;
use bandy::http::{Body, HeaderMap, Request, Response, StatusCode};
use bandy::services::files::{Files, Options};
use bytes::Bytes;
use tempfile::TempDir;

/// A folder beside a secret, and its service.
struct Site {
    folder: TempDir,
    files: Files,
}

/// A response, read to its end.
#[derive(Debug)]
struct Heard {
    status: StatusCode,
    fields: HeaderMap,
    body: Bytes,
}

impl Site {
    fn new() -> Site {
        Site::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Options)) -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("root")).expect("a root");
        std::fs::write(folder.path().join("secret"), "SECRET").expect("a secret");
        let mut options = Options::new(folder.path().join("root"));
        change(&mut options);
        let files = Files::new(options).expect("a service");
        Site { folder, files }
    }

    /// A site that may be written to.
    fn writable() -> Site {
        Site::with(|options| {
            options.upload = true;
            options.upload_bytes = 1 << 20;
            options.delete = true;
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    /// A file that was written long ago: its tag is strong.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Site {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, content).expect("written");
        self.age(name, Duration::from_secs(3600));
        self
    }

    fn age(&self, name: &str, age: Duration) {
        let file = std::fs::File::options()
            .write(true)
            .open(self.path(name))
            .expect("a file");
        file.set_modified(SystemTime::now() - age).expect("set");
    }

    /// The names in a folder, those of uploads under way included.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file")
    }

    async fn get(&self, target: &str) -> Heard {
        self.ask("GET", target, &[], Body::empty()).await
    }

    async fn get_with(&self, target: &str, fields: &[(&str, &str)]) -> Heard {
        self.ask("GET", target, fields, Body::empty()).await
    }

    async fn put(&self, target: &str, fields: &[(&str, &str)], body: impl Into<Body>) -> Heard {
        self.ask("PUT", target, fields, body.into()).await
    }

    async fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)], body: Body) -> Heard {
        let response = self.response(request(method, target, fields, body)).await;
        Heard::all_of(response).await
    }

    async fn response(&self, request: Request) -> Response {
        self.files.call(request).await.expect("an answer")
    }
}

fn request(method: &str, target: &str, fields: &[(&str, &str)], body: Body) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = target.parse().expect("a target");
    for (name, value) in fields {
        let name: bandy::http::HeaderName = name.parse().expect("a name");
        request
            .headers_mut()
            .append(name, value.parse().expect("a value"));
    }
    request
}

impl Heard {
    async fn all_of(response: Response) -> Heard {
        let (head, body) = response.into_parts();
        Heard {
            status: head.status,
            fields: head.headers,
            body: body.collect(64 << 20).await.expect("a body"),
        }
    }

    fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// It has this status, and errors are problems.
    #[track_caller]
    fn is(&self, status: u16) -> &Heard {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if status >= 400 {
            assert_eq!(self.field("content-type"), "application/problem+json");
        }
        self
    }
}

/// Runs one conversation.
fn run(conversation: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            bandy_testkit::within("the conversation", conversation).await;
        });
}

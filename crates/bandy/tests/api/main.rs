//! The application server, as conversations with it: what is asked, and what it answers.

mod accounts;
mod changes;
mod compute;
mod document;
mod records;
mod rules;
mod testing;

use std::sync::Arc;
use std::thread::JoinHandle;

use bandy::Service;
use bandy::accounts::{Accounts, Cost, Credentials, Options as AccountOptions};
use bandy::http::{Body, HeaderMap, Method, Request, Response, StatusCode};
use bandy::services::api::{Api, Options};
use bandy::state::{self, Store};
use serde_json::Value;

/// A server and what it stands on.
struct Stage {
    api: Api,
    accounts: Accounts,
    store: Arc<dyn Store>,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(Options::default())
    }

    fn with(options: Options) -> Stage {
        let store = state::open("memory:").expect("a store");
        // A hash that costs nothing: this is no test of passwords.
        let cost = Cost {
            memory_kib: 8,
            passes: 1,
            ..Cost::default()
        };
        let account_options = AccountOptions {
            cost,
            ..AccountOptions::default()
        };
        let accounts = Accounts::open(store.clone(), account_options).expect("accounts");
        let api = Api::new(options, store.clone(), accounts.clone()).expect("a server");
        Stage {
            api,
            accounts,
            store,
        }
    }

    async fn ask(&self, asked: Ask) -> Answer {
        let response = self.api.call(asked.0).await.expect("an answer");
        Answer::of(response).await
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(get(target)).await
    }

    async fn post(&self, target: &str, body: Value) -> Answer {
        self.ask(post(target).json(body)).await
    }

    /// The token of a new user's session.
    async fn user(&self, name: &str, roles: &[&str]) -> String {
        let credentials = Credentials::new(name, "correct horse");
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.accounts
            .add(credentials, roles)
            .await
            .expect("a store")
            .expect("a user");
        let proof = serde_json::json!({"user": name, "password": "correct horse"});
        let answer = self.post("/login", proof).await;
        answer.expect(200).json["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }
}

/// Does this so many times at once, each on a thread of its own.
fn together<T, F>(times: u64, work: impl Fn(u64) -> F) -> Vec<JoinHandle<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let begin = |n| {
        let work = work(n);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(work)
        })
    };
    (0..times).map(begin).collect()
}

/// A question.
struct Ask(Request);

fn ask(method: &str, target: &str) -> Ask {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method.parse().expect("a method");
    *request.uri_mut() = target.parse().expect("a target");
    Ask(request)
}

fn get(target: &str) -> Ask {
    ask("GET", target)
}

fn post(target: &str) -> Ask {
    ask("POST", target)
}

impl Ask {
    fn field(mut self, name: &'static str, value: impl AsRef<str>) -> Ask {
        let value = value.as_ref().parse().expect("a value");
        self.0.headers_mut().append(name, value);
        self
    }

    fn body(mut self, media_type: &str, body: impl Into<bytes::Bytes>) -> Ask {
        *self.0.body_mut() = Body::full(body);
        self.field("content-type", media_type)
    }

    fn json(self, body: Value) -> Ask {
        let is_patch = self.0.method() == Method::PATCH;
        let media_type = if is_patch {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        self.body(media_type, body.to_string())
    }

    fn by(self, token: &str) -> Ask {
        self.field("authorization", format!("Bearer {token}"))
    }
}

/// An answer, whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    fields: HeaderMap,
    bytes: usize,
    text: String,
    /// Null for what is none.
    json: Value,
}

impl Answer {
    async fn of(response: Response) -> Answer {
        let (parts, body) = response.into_parts();
        let bytes = body.collect(1 << 24).await.expect("a body");
        Answer {
            status: parts.status,
            fields: parts.headers,
            bytes: bytes.len(),
            json: serde_json::from_slice(&bytes).unwrap_or_default(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    #[track_caller]
    fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        if status >= 400 {
            assert_eq!(self.field("content-type"), "application/problem+json");
            assert_eq!(self.json["status"], status);
        }
        self
    }

    fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The fields of the request that a problem names.
    fn wrong(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().expect("errors");
        errors
            .iter()
            .filter_map(|error| error["field"].as_str())
            .collect()
    }
}

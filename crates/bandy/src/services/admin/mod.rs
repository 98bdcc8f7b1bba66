//! `admin`: what goes on, for people and programs that look after it, and what they may change while it runs.
//!
//! | endpoint | answers |
//! |---|---|
//! | `GET /` | the live page (`page`) |
//! | `GET /status` | everything that there is to know, as JSON (`status`) |
//! | `GET /metrics` | the same in Prometheus' text format (`metrics`) |
//! | `GET /explain?pool=NAME` | which backend a request would get, and why (`explain`) |
//! | `POST /pools/POOL/backends/NAME` | a backend with another weight, drained or ready (`change`) |
//! | `POST /reload` | what came of reading the configuration again |
//!
//! What it shows is on a [`Board`], which whoever runs the servers keeps. Where a token was told, it has to be sent for
//! everything but the page itself, which asks its reader for it.

mod access;
mod board;
mod change;
mod explain;
mod metrics;
mod options;
mod page;
mod status;

use std::sync::Arc;

use serde_json::json;

use super::api::query;
use crate::error::Result;
use crate::http::{
    HeaderValue, Method, Problem, Request, Response, StatusCode, header, same_origin, typed,
};
use crate::service::Service;
pub use board::{Board, Card, Reloaded, View, Wish};
pub use options::{Options, Token};

/// The service of the admin endpoint.
#[derive(Debug, Clone)]
pub struct Admin {
    board: Arc<Board>,
    token: Option<Token>,
}

impl Admin {
    /// A service that shows this board, to whoever has the token, where there is one.
    pub fn new(board: Arc<Board>, token: Option<Token>) -> Admin {
        Admin { board, token }
    }

    async fn answered(&self, request: Request) -> std::result::Result<Response, Problem> {
        let path = request.uri().path().to_owned();
        if let Some(file) = page::file(&path) {
            allow(&request, Method::GET)?;
            return Ok(file);
        }
        access::check(&request, self.token.as_ref())?;
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            ["status"] => {
                allow(&request, Method::GET)?;
                Ok(json(&self.board.status()))
            }
            ["metrics"] => {
                allow(&request, Method::GET)?;
                let text = metrics::text(&self.board);
                Ok(fresh(typed(StatusCode::OK, metrics::MEDIA_TYPE, text)))
            }
            ["explain"] => {
                allow(&request, Method::GET)?;
                explain::answer(&self.board, &request).map(|said| json(&said))
            }
            ["reload"] => {
                changes(&request)?;
                self.reload().await
            }
            ["pools", pool, "backends", name] => {
                changes(&request)?;
                let named = |text: &str| query::decode_path(text).map(|text| text.into_owned());
                let (Some(pool), Some(name)) = (named(pool), named(name)) else {
                    return Err(nothing_there(&path));
                };
                let backend = change::backend(&self.board, &pool, &name)?;
                change::answer(&backend, request)
                    .await
                    .map(|said| json(&said))
            }
            _ => Err(nothing_there(&path)),
        }
    }

    async fn reload(&self) -> std::result::Result<Response, Problem> {
        let Some(came) = self.board.reload().await else {
            return Err(Problem::new(StatusCode::CONFLICT).detail(
                "it was not started from a file that could be read again: `bandy run` is",
            ));
        };
        match came {
            Reloaded::Done(said) => Ok(json(&json!({"reloaded": true, "said": said}))),
            Reloaded::Refused(why) => {
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(why))
            }
        }
    }
}

impl Service<Request> for Admin {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        Ok(match self.answered(request).await {
            Ok(response) => response,
            Err(problem) => refused(&problem),
        })
    }
}

fn refused(problem: &Problem) -> Response {
    let mut response = fresh(problem.response());
    let field = match response.status() {
        StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Bearer realm=\"bandy\""),
        // Each endpoint has one method, and `HEAD` goes with `GET`.
        StatusCode::METHOD_NOT_ALLOWED => (header::ALLOW, "GET, HEAD, POST"),
        _ => return response,
    };
    let value = HeaderValue::from_static(field.1);
    response.headers_mut().insert(field.0, value);
    response
}

/// Refuses what is not asked with this method.
fn allow(request: &Request, method: Method) -> std::result::Result<(), Problem> {
    let is_shown = method == Method::GET && request.method() == Method::HEAD;
    match *request.method() == method || is_shown {
        true => Ok(()),
        false => Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED)
            .detail(format!("{} is asked with {method}", request.uri().path()))),
    }
}

/// Refuses to change something for a page of another site.
fn changes(request: &Request) -> std::result::Result<(), Problem> {
    allow(request, Method::POST)?;
    same_origin::check(request)
}

fn nothing_there(path: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).detail(format!("there is nothing at {path}"))
}

fn json(value: &serde_json::Value) -> Response {
    fresh(typed(StatusCode::OK, "application/json", value.to_string()))
}

/// What is true now, and not for long.
fn fresh(mut response: Response) -> Response {
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

//! The chat on HTTP: the page, the WebSocket, and the accounts behind both.
//!
//! | path | is |
//! |---|---|
//! | `/` and what belongs to it | the page |
//! | `/ws` | the WebSocket: JSON |
//! | `/schema.json` | what is said on it, as JSON Schema |
//! | `/register`, `/login`, `/logout`, `/profile`, … | accounts, as the application server has them |

use std::sync::Arc;

use super::json;
use super::page;
use super::service::Chat;
use crate::accounts::cookie;
use crate::error::Result;
use crate::http::{HeaderValue, Method, Request, Response, StatusCode, header, typed, websocket};
use crate::service::Service;

impl Service<Request> for Chat {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path = request.uri().path();
        let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/ws" => self.web_socket(request).await,
            "/schema.json" if is_reading => Ok(schema()),
            _ => match page::file(path).filter(|_| is_reading) {
                Some(response) => Ok(without_body(&request, response)),
                None => self.people.call(request).await,
            },
        }
    }
}

impl Chat {
    /// Whoever has a session's cookie or token comes in with it.
    async fn web_socket(&self, request: Request) -> Result<Response> {
        let token = cookie::token(request.headers(), cookie::is_secure(&request));
        let session = match token.map(str::to_owned) {
            Some(token) => self.hub.accounts().who(&token).await?,
            None => None,
        };
        let known = session.map(|session| Arc::clone(&session.user));
        let hub = self.hub.clone();
        Ok(websocket(&request, |conn| json::talk(conn, hub, known)))
    }
}

fn schema() -> Response {
    let mut response = typed(StatusCode::OK, "application/schema+json", json::SCHEMA);
    // Clients of any page may know what is said here.
    let any = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

fn without_body(request: &Request, mut response: Response) -> Response {
    if request.method() == Method::HEAD {
        if let Some(length) = response.body().len_hint() {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length.into());
        }
        *response.body_mut() = crate::http::Body::empty();
    }
    response
}

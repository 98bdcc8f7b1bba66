//! A template for each message; a request's message is its body.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::template::{Field, Template};
use crate::error::Result;
use crate::http::{Downstream, Problem, Request, Response, StatusCode, typed};
use crate::limits::Limits;
use crate::net::conn::Conn;
use crate::service::Service;

/// The reply service: its template for each message. See [`super::template`] for what a template can say.
#[derive(Debug, Clone)]
pub struct Reply {
    template: Template,
    pause: Option<Duration>,
    message_bytes: usize,
    /// Requests so far.
    requests: Arc<AtomicU64>,
}

impl Reply {
    /// Replies with `template`. On a stream a line is a message, and so is one that was begun and then followed by a
    /// silence of `pause`; `None` waits for its end.
    pub fn new(template: Template, pause: Option<Duration>) -> Reply {
        Reply {
            template,
            pause,
            message_bytes: Limits::default().message_bytes,
            requests: Arc::default(),
        }
    }

    /// The longest body of a request that is taken as a message. (A connection has its own bound on messages.) Bytes.
    pub fn message_bytes(mut self, max: usize) -> Reply {
        self.message_bytes = max;
        self
    }

    fn render(&self, message: &[u8], count: u64, peer: String, local: String) -> Vec<u8> {
        let mut answer = Vec::new();
        self.template.render(&mut answer, |field, out| match field {
            Field::Message => out.extend_from_slice(message),
            Field::Peer => out.extend_from_slice(peer.as_bytes()),
            Field::Local => out.extend_from_slice(local.as_bytes()),
            Field::Time => out.extend_from_slice(now().as_bytes()),
            Field::N => out.extend_from_slice(count.to_string().as_bytes()),
        });
        answer
    }
}

impl Service<Conn> for Reply {
    type Out = ();

    async fn call(&self, conn: Conn) -> Result<()> {
        let mut messages = conn.messages().pause(self.pause);
        let mut answer = Vec::new();
        let mut count = 0u64;
        while let Some(message) = messages.next().await? {
            count += 1;
            answer.clear();
            self.template.render(&mut answer, |field, out| {
                if field == Field::Message {
                    out.extend_from_slice(&message);
                } else {
                    // Writing into memory cannot fail.
                    let _ = write!(out, "{}", value(field, messages.conn(), count));
                }
            });
            messages.send(&answer).await?;
        }
        messages.close().await;
        Ok(())
    }
}

fn value(field: Field, conn: &Conn, count: u64) -> String {
    match field {
        Field::Message => String::new(),
        Field::Peer => conn.peer().to_string(),
        Field::Local => conn.endpoint().to_string(),
        Field::Time => now(),
        Field::N => count.to_string(),
    }
}

fn now() -> String {
    // A clock outside of the years 0 to 9999 has no such form.
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// Requests share connections and connections are shared by requests, so here `{n}` counts all of them.
impl Service<Request> for Reply {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let (peer, local) = match Downstream::of(&request) {
            Some(from) => (from.peer().to_string(), from.endpoint().to_string()),
            None => Default::default(),
        };
        let message = match request.into_body().collect(self.message_bytes).await {
            Ok(message) => message,
            Err(e) => return Ok(Problem::from(&e).response()),
        };
        let count = self.requests.fetch_add(1, Relaxed) + 1;
        let answer = self.render(&message, count, peer, local);
        let media_type = "text/plain; charset=utf-8";
        Ok(typed(StatusCode::OK, media_type, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[tokio::test]
    async fn a_request_is_a_message() {
        let template = Template::parse("{n}: {message}").expect("a template");
        let reply = Reply::new(template, None).message_bytes(5);
        for (body, status, expected) in [("Hello", 200, "1: Hello"), ("", 200, "2: ")] {
            let request = Request::new(Body::from(body));
            let response: Response = reply.call(request).await.expect("an answer");
            assert_eq!(response.status().as_u16(), status);
            let body = response.into_body().collect(100).await.expect("a body");
            assert_eq!(body, expected);
        }
        let long = Request::new(Body::from("Hello!"));
        let response: Response = reply.call(long).await.expect("an answer");
        assert_eq!(response.status().as_u16(), 413);
    }
}

//! A text to whoever connects or asks.

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use crate::error::Result;
use crate::http::{Request, Response, StatusCode, typed};
use crate::net::conn::{Conn, Framing, Message};
use crate::service::Service;

/// The greeting service: says its text, then closes.
#[derive(Debug, Clone)]
pub struct Greet {
    text: String,
    /// The text as a line: what a stream gets.
    line: Bytes,
}

impl Greet {
    /// Greets with `text`. On a stream a line end is added where it has none.
    pub fn new(text: impl Into<String>) -> Greet {
        let text = text.into();
        let mut line = text.clone();
        if !line.ends_with('\n') {
            line.push('\n');
        }
        Greet {
            text,
            line: line.into(),
        }
    }
}

impl Service<Conn> for Greet {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        match conn.framing() {
            Framing::Stream => conn.write_all(&self.line).await?,
            Framing::Message => conn.send(Message::text(self.text.clone())).await?,
        }
        conn.close().await;
        Ok(())
    }
}

impl Service<Request> for Greet {
    type Out = Response;

    async fn call(&self, _: Request) -> Result<Response> {
        let media_type = "text/plain; charset=utf-8";
        Ok(typed(StatusCode::OK, media_type, self.line.clone()))
    }
}

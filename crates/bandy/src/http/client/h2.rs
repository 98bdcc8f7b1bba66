//! HTTP/2, by hyper.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use tokio::task::JoinHandle;

use super::Watch;
use super::watch::Watched;
use crate::error::{Error, Kind, Result, Side};
use crate::http::transport::{OnThisLoop, Transport};
use crate::http::{Body, Request, Response, header};
use crate::net::Conn;

/// Bytes that may be on their way in one answer, and in all of them: enough for a fast line, and what a reader that
/// does not read can cost.
const WINDOW: u32 = 1 << 20;
/// The longest head of an answer, as HTTP/1.1's.
const HEAD_BYTES: u32 = 64 << 10;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Connection {
    sender: http2::SendRequest<Watched>,
    driver: JoinHandle<hyper::Result<()>>,
    /// For messages.
    endpoint: String,
}

impl Connection {
    pub(super) async fn open(conn: Conn) -> Result<Connection> {
        let endpoint = conn.endpoint().to_string();
        let mut builder = http2::Builder::new(OnThisLoop);
        builder
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(HEAD_BYTES);
        let (sender, connection) = builder
            .handshake(Transport::new(conn, Bytes::new()))
            .await
            .map_err(|e| failed(format!("beginning HTTP/2 with {endpoint}"), e))?;
        Ok(Connection {
            sender,
            driver: tokio::spawn(connection),
            endpoint,
        })
    }

    pub(super) fn is_free(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(super) async fn send(&mut self, mut request: Request, watch: Watch) -> Result<Response> {
        // It is in the URI, and says the same; fields of one hop are HTTP/1.1's (RFC 9113, section 8.2.2).
        for name in [
            header::HOST,
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
        ] {
            request.headers_mut().remove(name);
        }
        let request = request.map(|body| Watched::new(body, watch.clone()));
        let act = format!("reading the answer of {}", self.endpoint);
        let answer = self.sender.send_request(request).await;
        let answer = answer.map_err(|e| failed(act.clone(), e))?;
        watch.received();
        Ok(answer.map(|body| Body::stream(body.map_err(move |e| failed(act.clone(), e)))))
    }

    pub(super) async fn close(self) {
        drop(self.sender);
        // GOAWAY, and the end. A server that does not take it is not waited for.
        let mut driver = self.driver;
        if tokio::time::timeout(GOODBYE, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

fn failed(act: String, cause: hyper::Error) -> Error {
    use std::error::Error as _;
    // What the request's body, or the transport, said of itself.
    let mut source = cause.source();
    while let Some(inner) = source {
        if let Some(e) = inner.downcast_ref::<Error>() {
            let error = Error::new(e.kind(), e.side(), act).because(e.to_string());
            return match e.next_step() {
                Some(hint) => error.hint(hint),
                None => error,
            };
        }
        if let Some(e) = inner.downcast_ref::<io::Error>() {
            let e = io::Error::new(e.kind(), e.to_string());
            return Error::talking(Side::Upstream, act, e);
        }
        source = inner.source();
    }
    let why = match cause.source() {
        Some(source) => format!("{cause}: {source}"),
        None => cause.to_string(),
    };
    let kind = match cause.is_closed() || cause.is_incomplete_message() {
        true => Kind::Closed,
        false => Kind::Protocol,
    };
    Error::new(kind, Side::Upstream, act)
        .because(why)
        .hint("does the server speak HTTP/2? --http 1.1 speaks the older one")
}

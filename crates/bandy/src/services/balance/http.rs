//! A request to an answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{Balance, key_of};
use crate::error::{Error, Kind, Result};
use crate::http::client::{Connection, Version};
use crate::http::{Body, Downstream, HeaderMap, Problem, Request, Response, StatusCode, header};
use crate::net::Phases;
use crate::pool::{Lease, Outcome, Pool, Wanted};
use crate::service::Service;

impl Service<Request> for Balance {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        match answered(&self.pool, request).await {
            Ok(response) => Ok(response),
            Err(error) => {
                tracing::warn!(pool = self.pool.name(), "{error}");
                Ok(Problem::new(status_of(error.kind())).into())
            }
        }
    }
}

fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Overload => StatusCode::SERVICE_UNAVAILABLE,
        Kind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

async fn answered(pool: &Pool, mut request: Request) -> Result<Response> {
    pool.budget().deposit();
    let peer = Downstream::of(&request).map(Downstream::peer);
    let wanted = Wanted {
        key: peer.and_then(key_of),
        ..Wanted::default()
    };
    let lease = match pool.lease(wanted).await {
        Err(error) if error.kind() == Kind::NotConnected => {
            tracing::warn!(pool = pool.name(), "{error}");
            return Ok(Problem::new(StatusCode::SERVICE_UNAVAILABLE).into());
        }
        other => other?,
    };
    without_hops(request.headers_mut());
    let began = Instant::now();
    let conn = lease.backend().connect(&mut Phases::default()).await;
    let conn = conn.inspect_err(|_| lease.report(Outcome::NotConnected))?;
    let version = lease.backend().http().unwrap_or(Version::Http1);
    let sent = async {
        let mut connection = Connection::open(conn, Some(version)).await?;
        let response = connection.send(request).await?;
        Ok::<_, Error>((connection, response))
    };
    let (connection, response) = sent.await.inspect_err(|_| lease.report(Outcome::Broken))?;
    lease.report(match response.status().is_server_error() {
        true => Outcome::ServerError(began.elapsed()),
        false => Outcome::Done(began.elapsed()),
    });
    let (mut parts, body) = response.into_parts();
    without_hops(&mut parts.headers);
    let body = Leased {
        body,
        _connection: connection,
        _lease: lease,
    };
    Ok(Response::from_parts(parts, Body::stream(body)))
}

/// Removes what is for the next hop only (RFC 9110, section 7.6.1).
fn without_hops(fields: &mut HeaderMap) {
    let named: Vec<String> = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| name != "host")
        .collect();
    for name in named {
        fields.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ] {
        fields.remove(name);
    }
}

/// An answer's body, and what must live as long.
struct Leased {
    body: Body,
    _connection: Connection,
    _lease: Lease,
}

impl http_body::Body for Leased {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

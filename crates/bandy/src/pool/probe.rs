//! Probes: what a backend is asked to find out whether it is well.

use std::net::SocketAddr;
use std::pin::Pin;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::Body as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::backend::Backend;
use super::health::{Check, Expect, Fault, Probe};
use crate::error::{Error, Kind, Result, Side};
use crate::http::client::{Connection, Version};
use crate::http::{Body, HeaderMap, Request, Response, header};
use crate::net::Conn;
use crate::net::conn::{Framing, Message};

/// How much of an answer is looked at. Bytes.
const ANSWER_BYTES: usize = 64 << 10;

/// Asks a backend once.
///
/// # Errors
/// What is wrong with it, and of what sort that is.
pub(super) async fn ask(backend: &Backend, probe: &Probe) -> Result<(), (Fault, Error)> {
    let mut is_connected = false;
    let asking = async {
        let conn = backend.connect_to_port(probe.port).await?;
        is_connected = true;
        match &probe.check {
            Check::Connect => {
                let mut conn = conn;
                conn.finish().await
            }
            Check::Http { path, expect, host } => {
                http(backend, conn, path, host.as_deref(), expect).await
            }
            Check::Grpc { service } => grpc(backend, conn, service).await,
            Check::Exchange { send, expect } => exchange(conn, send, expect).await,
        }
    };
    let asked = tokio::time::timeout(probe.timeout, asking).await;
    let error = match asked {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => unexpected(backend, format!("no answer within {:?}", probe.timeout)),
    };
    let fault = match is_connected {
        true => Fault::Unwell,
        false => Fault::Unreachable,
    };
    Err((fault, error))
}

fn unexpected(backend: &Backend, why: String) -> Error {
    let act = format!("probing {}", backend.endpoint());
    Error::new(Kind::Other, Side::Upstream, act).because(why)
}

/// What the backend is called in a request.
fn authority(backend: &Backend) -> String {
    match (backend.endpoint().host(), backend.endpoint().port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => "localhost".to_owned(),
    }
}

async fn http(
    backend: &Backend,
    conn: Conn,
    path: &str,
    host: Option<&str>,
    expect: &Expect,
) -> Result<()> {
    let mut connection = Connection::open(conn, backend.http()).await?;
    let authority = host.map_or_else(|| authority(backend), str::to_owned);
    let request = request(backend, &connection, "GET", &authority, path, Body::empty())?;
    let response = connection.send(request).await?;
    let status = response.status().as_u16();
    let (low, high) = expect.status;
    if !(low..=high).contains(&status) {
        let why = format!("the status is {status}, and {low}-{high} is expected");
        return Err(unexpected(backend, why));
    }
    if expect.body.is_empty() {
        return Ok(());
    }
    let body = beginning(response).await?;
    match contains(&body, expect.body.as_bytes()) {
        true => Ok(()),
        false => {
            let why = format!("the body does not contain {:?}", expect.body);
            Err(unexpected(backend, why))
        }
    }
}

fn request(
    backend: &Backend,
    connection: &Connection,
    method: &str,
    authority: &str,
    path: &str,
    body: Body,
) -> Result<Request> {
    let builder = ::http::Request::builder().method(method);
    let builder = match connection.version() {
        Version::Http1 => builder.uri(path).header(header::HOST, authority),
        Version::Http2 => {
            let scheme = match backend.endpoint().scheme().is_secure() {
                true => "https",
                false => "http",
            };
            builder.uri(format!("{scheme}://{authority}{path}"))
        }
    };
    builder
        .header(header::USER_AGENT, "bandy-probe")
        .body(body)
        .map_err(|e| unexpected(backend, format!("the probe's request cannot be made: {e}")))
}

/// As much of a body as is looked at.
async fn beginning(response: Response) -> Result<Bytes> {
    let mut body = response.into_body();
    let mut all = BytesMut::new();
    while all.len() < ANSWER_BYTES
        && let Some(data) = body.data().await?
    {
        all.put(data);
    }
    Ok(all.freeze())
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    part.is_empty() || memchr::memmem::find(all, part).is_some()
}

/// `grpc.health.v1.Health/Check`: one message there, one message back, and the status in the trailers (grpc.io, "GRPC Health
/// Checking Protocol" and "gRPC over HTTP2").
async fn grpc(backend: &Backend, conn: Conn, service: &str) -> Result<()> {
    const PATH: &str = "/grpc.health.v1.Health/Check";
    let mut connection = Connection::open(conn, Some(Version::Http2)).await?;
    let authority = authority(backend);
    let body = Body::full(health_check_request(service));
    let mut request = request(backend, &connection, "POST", &authority, PATH, body)?;
    let fields = request.headers_mut();
    fields.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/grpc"),
    );
    fields.insert(header::TE, header::HeaderValue::from_static("trailers"));
    let response = connection.send(request).await?;
    let (parts, mut body) = response.into_parts();
    let mut message = BytesMut::new();
    let mut status = status_of(&parts.headers);
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))
        .await
        .transpose()?
    {
        match frame.into_data() {
            Ok(data) if message.len() + data.len() <= ANSWER_BYTES => message.put(data),
            Ok(_) => return Err(unexpected(backend, "the answer is too long".to_owned())),
            Err(frame) => status = frame.trailers_ref().and_then(status_of).or(status),
        }
    }
    match (status.as_deref(), serving(&message)) {
        (Some("0"), Some(SERVING)) => Ok(()),
        (Some("0"), state) => {
            let state = match state {
                Some(0) => "UNKNOWN",
                Some(2) => "NOT_SERVING",
                Some(3) => "SERVICE_UNKNOWN",
                _ => "not a health answer",
            };
            Err(unexpected(backend, format!("its health is {state}")))
        }
        (Some(code), _) => Err(unexpected(backend, format!("the gRPC status is {code}"))),
        (None, _) => {
            let why = format!("no gRPC answer, but HTTP status {}", parts.status.as_u16());
            Err(unexpected(backend, why))
        }
    }
}

fn status_of(fields: &HeaderMap) -> Option<String> {
    Some(fields.get("grpc-status")?.to_str().ok()?.to_owned())
}

const SERVING: u64 = 1;

/// `message HealthCheckRequest { string service = 1; }`, with gRPC's prefix: not compressed, this long.
fn health_check_request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0A);
        put_varint(&mut message, service.len() as u64);
        message.put(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    framed.freeze()
}

/// `message HealthCheckResponse { ServingStatus status = 1; }`: the status, where there is such a message.
fn serving(mut framed: &[u8]) -> Option<u64> {
    if framed.try_get_u8().ok()? != 0 {
        return None;
    }
    let length = framed.try_get_u32().ok()? as usize;
    let mut message = framed.get(..length)?;
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut message)?,
            // What a later version may add.
            (_, 0) => drop(varint(&mut message)?),
            (_, 2) => {
                let skip = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(skip..)?;
            }
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(out: &mut BytesMut, mut n: u64) {
    while n >= 0x80 {
        out.put_u8((n & 0x7F) as u8 | 0x80);
        n >>= 7;
    }
    out.put_u8(n as u8);
}

fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = from.try_get_u8().ok()?;
        n |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Says something, and waits until what is heard has what is expected in it.
async fn exchange(mut conn: Conn, send: &str, expect: &str) -> Result<()> {
    let peer: Option<SocketAddr> = conn.endpoint().socket_addr();
    let failed = |why: &str| {
        let to = peer.map_or_else(|| "the backend".to_owned(), |p| p.to_string());
        Error::new(Kind::Other, Side::Upstream, format!("probing {to}")).because(why.to_owned())
    };
    let not_heard = || failed(&format!("it ended, and {expect:?} was not heard"));
    match conn.framing() {
        Framing::Message => {
            let is_text = conn.carries() == crate::endpoint::Carries::Message;
            conn.send(match is_text {
                true => Message::text(send),
                false => Message::binary(send.as_bytes().to_vec()),
            })
            .await?;
            while let Some(message) = conn.recv().await? {
                if contains(&message.data, expect.as_bytes()) {
                    return Ok(());
                }
            }
            Err(not_heard())
        }
        Framing::Stream => {
            let talking = |e| Error::talking(Side::Upstream, "probing", e);
            conn.write_all(send.as_bytes()).await.map_err(talking)?;
            conn.flush().await.map_err(talking)?;
            let mut heard = BytesMut::new();
            while heard.len() < ANSWER_BYTES {
                if conn.read_buf(&mut heard).await.map_err(talking)? == 0 {
                    break;
                }
                if contains(&heard, expect.as_bytes()) {
                    return Ok(());
                }
            }
            Err(not_heard())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_has_the_bytes_of_the_protocol() {
        assert_eq!(&health_check_request("")[..], b"\0\0\0\0\0");
        assert_eq!(&health_check_request("ab")[..], b"\0\0\0\0\x04\x0A\x02ab");
        let long = health_check_request(&"x".repeat(200));
        assert_eq!(&long[..8], b"\0\0\0\0\xCB\x0A\xC8\x01");
    }

    #[test]
    fn a_health_answer_is_read_and_nothing_else_is() {
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x01"), Some(SERVING));
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x02"), Some(2));
        assert_eq!(serving(b"\0\0\0\0\0"), Some(0));
        // A field of a later version is passed over.
        assert_eq!(serving(b"\0\0\0\0\x06\x12\x02hi\x08\x01"), Some(SERVING));
        for wrong in [
            &b""[..],
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\xFF\xFF\xFF\xFF\x08\x01",
            b"\0\0\0\0\x02\x08\xFF",
            b"\0\0\0\0\x02\x12\x09",
        ] {
            assert_eq!(serving(wrong), None, "{wrong:?}");
        }
    }
}

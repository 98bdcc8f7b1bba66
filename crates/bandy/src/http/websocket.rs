//! WebSocket at a path of an HTTP server: the handshake as a request and its response (RFC 6455, section 4.2).

use super::{
    HeaderMap, HeaderName, HeaderValue, Method, Problem, Request, Response, StatusCode, Switch,
    header, same_origin,
};
use crate::error::Result;
use crate::net::{Conn, ws};

/// The response that accepts a WebSocket, on which `talk` goes on with messages. What is no handshake, or was made by
/// another site's page, is told so.
///
/// ```
/// use bandy::http::{Request, Response, websocket};
///
/// async fn echo(request: Request) -> bandy::Result<Response> {
///     Ok(websocket(&request, |mut conn| async move {
///         while let Some(message) = conn.recv().await? {
///             conn.send(message).await?;
///         }
///         Ok(())
///     }))
/// }
/// ```
pub fn websocket<F>(request: &Request, talk: impl FnOnce(Conn) -> F + Send + 'static) -> Response
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    websocket_speaking(request, &[], talk)
}

/// As [`websocket`], where one of several protocols may be asked for ([`Conn::subprotocol`]).
pub fn websocket_speaking<F>(
    request: &Request,
    subprotocols: ws::Subprotocols,
    talk: impl FnOnce(Conn) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let key = match check(request) {
        Ok(key) => ws::accept_key(key),
        Err(refusal) => return *refusal,
    };
    let spoken = ws::subprotocol(request.headers(), subprotocols);
    let mut response =
        Switch::to(move |conn| async move { talk(ws::upgraded(conn, spoken).await?).await });
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Some(name) = spoken {
        fields.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(name),
        );
    }
    // Base64 always is a value.
    if let Ok(key) = HeaderValue::try_from(key) {
        fields.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    response
}

/// The key of a handshake that is one.
fn check(request: &Request) -> Result<&[u8], Box<Response>> {
    let fields = request.headers();
    let is_handshake = request.method() == Method::GET
        && has_token(fields, &header::CONNECTION, "upgrade")
        && has_token(fields, &header::UPGRADE, "websocket");
    let is_version = fields
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version == "13");
    if !is_handshake || !is_version {
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED)
            .detail("this is a WebSocket: connect with ws:// or wss://");
        let mut refusal = problem.response();
        let fields = refusal.headers_mut();
        fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return Err(Box::new(refusal));
    }
    same_origin::check(request).map_err(|problem| Box::new(problem.response()))?;
    let mut keys = fields.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(key.as_bytes()),
        _ => {
            let problem = Problem::new(StatusCode::BAD_REQUEST);
            Err(Box::new(
                problem
                    .detail("Sec-WebSocket-Key is not 16 bytes in base64")
                    .response(),
            ))
        }
    }
}

/// 16 bytes are 24 characters of base64, the last two of which fill up.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    matches!(key.split_last_chunk::<2>(), Some((bytes, b"==")) if bytes.len() == 22 && bytes.iter().all(is_base64))
}

fn has_token(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = fields.get_all(name).iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
}

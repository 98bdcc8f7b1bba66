//! Answers of every sort: statuses, late ones, long ones, slow ones, those that ask for something first.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::{Frame, SizeHint};
use http_body_util::StreamBody;
use serde_json::json;
use tokio::time::sleep;

use crate::error::Error;
use crate::http::{Body, HeaderValue, Response, StatusCode, empty, header, text, typed};
use crate::services::api::call::{Call, nobody};
use crate::services::api::shape;
use crate::services::api::stop::{Reply, Stop};

pub(super) async fn status(call: Call<'_>) -> Reply {
    let code = shape::integer(&call.path("code")).and_then(|code| u16::try_from(code).ok());
    let status = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
    let mut response = match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => empty(status),
        _ => text(status, status.to_string()),
    };
    let field = match status {
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Basic realm=\"testing\"")),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some((header::PROXY_AUTHENTICATE, "Basic realm=\"testing\"")),
        StatusCode::METHOD_NOT_ALLOWED => Some((header::ALLOW, "GET")),
        StatusCode::UPGRADE_REQUIRED => Some((header::UPGRADE, "HTTP/2.0")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        _ if status.is_redirection() && status != StatusCode::NOT_MODIFIED => Some((header::LOCATION, "/redirect/0")),
        _ => None,
    };
    if let Some((name, value)) = field {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

pub(super) async fn delay(call: Call<'_>) -> Reply {
    let delay = shape::milliseconds(&call.path("seconds")).unwrap_or_default();
    let delay = Duration::from_millis(delay).min(call.api.options.longest);
    sleep(delay).await;
    let body = json!({"delay": delay.as_secs_f64()}).to_string();
    Ok(typed(StatusCode::OK, "application/json", body))
}

pub(super) async fn bytes(call: Call<'_>) -> Reply {
    let left = shape::integer(&call.path("n")).unwrap_or_default();
    let seed = call.integer("seed", 0);
    let mut response = of_bytes();
    *response.body_mut() = Body::stream(Noise { left, state: seed });
    Ok(response)
}

pub(super) async fn lines(call: Call<'_>) -> Reply {
    let count = shape::integer(&call.path("n")).unwrap_or_default();
    let lines = stream::iter(1..=count).map(|line| {
        let line = json!({"line": line}).to_string() + "\n";
        Ok::<_, Error>(Frame::data(Bytes::from(line)))
    });
    let mut response = typed(StatusCode::OK, "application/x-ndjson", Bytes::new());
    *response.body_mut() = Body::stream(StreamBody::new(lines));
    Ok(response)
}

/// As many pieces as there are bytes, but no more than a hundred in a second.
pub(super) async fn drip(call: Call<'_>) -> Reply {
    const TICK: u64 = 10;

    let total = call.integer("bytes", 10);
    let duration = Duration::from_millis(call.milliseconds("duration", 2000)).min(call.api.options.longest);
    let ticks = u64::try_from(duration.as_millis()).unwrap_or_default() / TICK;
    let pieces = total.min(ticks.saturating_add(1)).max(1);
    let gaps = u32::try_from(pieces - 1).unwrap_or_default();
    let pause = duration.checked_div(gaps).unwrap_or_default();
    let drops = stream::iter(0..pieces).then(move |piece| async move {
        if piece > 0 {
            sleep(pause).await;
        }
        // What does not divide evenly comes with the first ones.
        let more = u64::from(piece < total % pieces);
        let len = usize::try_from(total / pieces + more).unwrap_or_default();
        Ok::<_, Error>(Frame::data(Bytes::from(vec![b'*'; len])))
    });
    let mut response = of_bytes();
    response.headers_mut().insert(header::CONTENT_LENGTH, total.into());
    *response.body_mut() = Body::stream(StreamBody::new(drops));
    Ok(response)
}

pub(super) async fn redirect(call: Call<'_>) -> Reply {
    let left = shape::integer(&call.path("n")).unwrap_or_default();
    let Some(next) = left.checked_sub(1) else {
        return Ok(text(StatusCode::OK, "arrived"));
    };
    let mut response = empty(StatusCode::FOUND);
    if let Ok(next) = HeaderValue::try_from(format!("/redirect/{next}")) {
        response.headers_mut().insert(header::LOCATION, next);
    }
    Ok(response)
}

pub(super) async fn basic(call: Call<'_>) -> Reply {
    let (user, password) = (call.path("user"), call.path("password"));
    let given = call.field(header::AUTHORIZATION).and_then(|given| given.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let given = given.and_then(|(_, given)| BASE64_STANDARD.decode(given.trim().as_bytes()).ok());
    if given.as_deref() != Some(format!("{user}:{password}").as_bytes()) {
        let stop = Stop::new(StatusCode::UNAUTHORIZED, "these are not the name and the password in the path");
        let how = HeaderValue::from_static("Basic realm=\"testing\", charset=\"UTF-8\"");
        return Err(stop.with(header::WWW_AUTHENTICATE, how));
    }
    let body = json!({"user": user}).to_string();
    Ok(typed(StatusCode::OK, "application/json", body))
}

pub(super) async fn bearer(call: Call<'_>) -> Reply {
    let given = call.field(header::AUTHORIZATION).and_then(|given| given.split_once(' '));
    let given = given.filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty());
    let (_, token) = given.ok_or_else(nobody)?;
    let body = json!({"token": token.trim()}).to_string();
    Ok(typed(StatusCode::OK, "application/json", body))
}

fn of_bytes() -> Response {
    typed(StatusCode::OK, "application/octet-stream", Bytes::new())
}

/// Bytes that look random and are always the same: SplitMix64 (Steele, Lea and Flood, 2014).
struct Noise {
    left: u64,
    state: u64,
}

impl Noise {
    const PIECE: usize = 64 << 10;

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl http_body::Body for Noise {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let len = usize::try_from(self.left).map_or(Noise::PIECE, |left| left.min(Noise::PIECE));
        self.left = self.left.saturating_sub(len as u64);
        let mut piece = Vec::with_capacity(len + 8);
        while piece.len() < len {
            piece.extend_from_slice(&self.next().to_le_bytes());
        }
        piece.truncate(len);
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

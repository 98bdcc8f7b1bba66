//! What goes on for a while: events, and a WebSocket.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::sleep;

use crate::error::Error;
use crate::http::{self, Body, HeaderValue, Request, StatusCode, header, typed};
use crate::net::Ending;
use crate::service::Service;
use crate::services::api::call::Call;
use crate::services::api::stop::Reply;
use crate::services::echo::Echo;

pub(super) async fn events(call: Call<'_>) -> Reply {
    let count = call.integer("count", 5);
    let interval = Duration::from_millis(call.milliseconds("interval", 1000)).min(call.api.options.longest);
    let last = call.field("last-event-id").and_then(|last| last.parse::<u64>().ok());
    let first = last.unwrap_or(0).saturating_add(1);
    let ending = call.downstream().map(|downstream| downstream.ending().clone());
    let ticks = stream::unfold((first, ending), move |(n, ending)| async move {
        let is_over = n.saturating_sub(first) >= count || ending.as_ref().is_some_and(Ending::is_begun);
        if is_over {
            return None;
        }
        if n > first {
            sleep(interval).await;
        }
        let event = format!("id: {n}\nevent: tick\ndata: {{\"n\":{n}}}\n\n");
        let frame = Frame::data(Bytes::from(event));
        Some((Ok::<_, Error>(frame), (n.saturating_add(1), ending)))
    });
    let mut response = typed(StatusCode::OK, "text/event-stream", Bytes::new());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::stream(StreamBody::new(ticks));
    Ok(response)
}

pub(super) fn websocket(request: &Request) -> Reply {
    Ok(http::websocket(request, |conn| async move { Echo.call(conn).await }))
}

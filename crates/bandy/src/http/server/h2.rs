//! A connection that speaks HTTP/2 (RFC 9113): hyper's and h2's, under the same laws.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use ::http::header::{CONTENT_LENGTH, EXPECT, HOST};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::calling::{Caught, final_or_switch};
use super::h2_body::{H2Body, passed};
use super::{Generation, times};
use crate::error::{Error, Kind, Result, Side};
use crate::http::transport::{OnThisLoop, Transport};
use crate::http::{Body, Downstream, Method, Problem, Request, Response, StatusCode};
use crate::limits::HttpLimits;
use crate::net::Tick;
use crate::net::conn::{Conn, LINGER};
use crate::service::Service;
use crate::wire::http1::{is_valid_host, is_valid_target};

/// How much of one stream's, and of one connection's, request bodies may be on their way unread.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of a response waits for its stream's window.
const SEND_BUFFER: usize = 256 << 10;
/// Streams that were reset before they were answered, after which the connection is ended: CVE-2023-44487.
const PENDING_RESETS: usize = 20;

/// Serves a connection until it ends. `first` was read of it already.
///
/// Each stream is answered by whatever service answers when it begins; the connection's bounds are those it began with.
pub(super) async fn serve<S>(conn: Conn, first: Bytes, http: &Arc<Generation<S>>) -> Result<()>
where
    S: Service<Request, Out = Response>,
{
    let limits = Arc::new(http.limits.clone());
    let downstream = Downstream::new(&conn);
    let meter = conn.meter().clone();
    let (peer, opened) = (conn.peer().clone(), conn.opened());
    let times = Arc::new(times::Streams::of(&conn));
    let tally = Arc::new(Tally::default());
    let http = http.clone();
    let answer = {
        let (downstream, tally, limits) = (downstream.clone(), tally.clone(), limits.clone());
        let meter = meter.clone();
        hyper::service::service_fn(move |request| {
            let open = Open::new(&tally);
            let (service, downstream) = (http.latest().service.clone(), downstream.clone());
            let (limits, meter, times) = (limits.clone(), meter.clone(), times.clone());
            // Boxed: hyper moves it several times before it is polled.
            Box::pin(async move {
                let response = answer(&*service, request, downstream, limits, &times).await;
                meter.count_response(response.status().as_u16());
                Ok::<_, std::convert::Infallible>(response.map(|body| Counted {
                    body,
                    open,
                    is_taken: false,
                }))
            })
        })
    };
    let serving = hyper::server::conn::http2::Builder::new(OnThisLoop)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(Transport::new(conn, first), answer);
    let mut serving = pin!(serving);
    let act = || format!("talking HTTP/2 with {peer}");
    let timed_out = |why: String| Error::new(Kind::TimedOut, Side::Downstream, act()).because(why);
    let first_by = Tick::after(limits.head.saturating_sub(opened.elapsed()));
    let mut idle_since = Tick::now();
    // When the client was told that no more is taken.
    let mut told: Option<Tick> = None;
    let served = poll_fn(|cx| {
        loop {
            let asked = tally.asked.load(Relaxed);
            let is_enough = limits.requests > 0 && asked >= limits.requests;
            if told.is_none() && (is_enough || downstream.ending().is_begun()) {
                told = Some(Tick::now());
                serving.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(|e| explain(act(), e)));
            }
            if tally.open.load(Relaxed) > 0 {
                idle_since = Tick::now();
                let stalled = tally.stalled_at();
                let deadline = stalled.map(|at| at.plus(limits.send));
                if deadline.is_some_and(Tick::is_past) {
                    let why = format!("it took nothing of its responses for {:?}", limits.send);
                    return Poll::Ready(Err(timed_out(why)));
                }
                meter.wake_at(Some(deadline.unwrap_or_else(|| Tick::after(limits.send))));
                return Poll::Pending;
            }
            let deadline = match told {
                // What it has asked by then is answered; then it closes, or we do.
                Some(at) => Some(at.max(idle_since).plus(LINGER)),
                None if tally.asked.load(Relaxed) == 0 => Some(first_by),
                None => limits.keep_alive.map(|keep| idle_since.plus(keep)),
            };
            match deadline {
                Some(at) if at.is_past() && told.is_some() => {
                    let why = format!("it did not close within {LINGER:?} of being told to");
                    return Poll::Ready(Err(timed_out(why)));
                }
                Some(at) if at.is_past() => {
                    told = Some(Tick::now());
                    serving.as_mut().graceful_shutdown();
                }
                deadline => {
                    meter.wake_at(deadline);
                    return Poll::Pending;
                }
            }
        }
    });
    served.await
}

async fn answer<S>(
    service: &S,
    request: ::http::Request<hyper::body::Incoming>,
    downstream: Downstream,
    limits: Arc<HttpLimits>,
    times: &times::Streams,
) -> Response
where
    S: Service<Request, Out = Response>,
{
    let (parts, body) = request.into_parts();
    let body_bytes = limits.body_bytes;
    let mut request = Request::from_parts(parts, Body::empty());
    times.calls(&mut request);
    if let Err(problem) = gate(&mut request, &limits) {
        return problem.response();
    }
    let body = Body::h2(H2Body::new(body, downstream.clone(), limits));
    if body.len_hint().is_some_and(|len| len > body_bytes) {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE);
        return problem
            .detail(format!("at most {body_bytes} bytes are taken"))
            .response();
    }
    let is_head = request.method() == Method::HEAD;
    *request.body_mut() = body.at_most(body_bytes).that_came_over(downstream);
    let answered = Caught::call(service, request).await;
    let mut response = match answered.and_then(final_or_switch) {
        Ok((response, None)) => response,
        // Only HTTP/1.1 has them.
        Ok((_, Some(_))) => Problem::new(StatusCode::NOT_IMPLEMENTED).response(),
        Err(e) => {
            tracing::warn!(error = %e, "a request failed");
            Problem::from(&e).response()
        }
    };
    crate::wire::http1::strip_hop_by_hop(response.headers_mut());
    if is_head {
        let body = std::mem::take(response.body_mut());
        if let Some(len @ 1..) = body.len_hint() {
            // What GET would have got; of a body that is not sent hyper does not know it.
            let fields = response.headers_mut().entry(CONTENT_LENGTH);
            fields.or_insert_with(|| len.into());
        }
    }
    response
}

/// What h2 leaves to us of the laws: methods and targets as in HTTP/1.1, their bounds, one authority, whichever way it
/// is written, and an expectation that we know.
fn gate(request: &mut Request, limits: &HttpLimits) -> std::result::Result<(), Problem> {
    let bad = |why: &str| Err(Problem::new(StatusCode::BAD_REQUEST).detail(why));
    if request.method() == Method::CONNECT {
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED));
    }
    let uri = request.uri();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > limits.target_bytes {
        return Err(Problem::new(StatusCode::URI_TOO_LONG));
    }
    let is_asterisk = target == "*" && request.method() == Method::OPTIONS;
    if !is_valid_target(target) || !(target.starts_with('/') || is_asterisk) {
        return bad("the path is not one");
    }
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return bad("the scheme is not HTTP's");
    }
    if request.headers().len() > limits.fields {
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    one_host(request)?;
    match request.headers().get(EXPECT) {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(Problem::new(StatusCode::EXPECTATION_FAILED))
        }
        _ => Ok(()),
    }
}

fn one_host(request: &mut Request) -> std::result::Result<(), Problem> {
    let bad = |why: &str| Err(Problem::new(StatusCode::BAD_REQUEST).detail(why));
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().cloned();
    if hosts.next().is_some() {
        return bad("more than one host");
    }
    match (request.uri().authority(), &host) {
        (Some(authority), Some(host))
            if !authority
                .as_str()
                .as_bytes()
                .eq_ignore_ascii_case(host.as_bytes()) =>
        {
            return bad(":authority and host differ");
        }
        (Some(authority), None) => {
            if let Ok(host) = ::http::HeaderValue::from_str(authority.as_str()) {
                request.headers_mut().insert(HOST, host);
            }
        }
        (None, None) => return bad("no :authority"),
        _ => {}
    }
    if let Some(host) = request.headers().get(HOST)
        && !host.to_str().is_ok_and(is_valid_host)
    {
        return bad("the host is not one");
    }
    Ok(())
}

fn explain(act: String, cause: hyper::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&cause);
    while let Some(e) = source {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return Error::talking(
                Side::Downstream,
                act,
                std::io::Error::new(io.kind(), io.to_string()),
            );
        }
        source = e.source();
    }
    Error::new(Kind::Protocol, Side::Downstream, act).because(cause)
}

/// What is known of a connection's streams.
#[derive(Debug, Default)]
struct Tally {
    /// Requests so far.
    asked: AtomicU64,
    /// Requests that are not yet answered to their end.
    open: AtomicUsize,
    /// Responses of which some was handed over, and no more was asked for since.
    taken: AtomicUsize,
    /// When one of them last was asked for more, a [`Tick`]'s nanoseconds.
    moved: AtomicU64,
}

impl Tally {
    /// Since when the client has taken nothing of responses that it was being sent, if so.
    fn stalled_at(&self) -> Option<Tick> {
        (self.taken.load(Relaxed) > 0).then(|| Tick::from_nanos(self.moved.load(Relaxed)))
    }
}

/// A request that is being answered.
struct Open(Arc<Tally>);

impl Open {
    fn new(tally: &Arc<Tally>) -> Open {
        tally.asked.fetch_add(1, Relaxed);
        tally.open.fetch_add(1, Relaxed);
        Open(tally.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// A response's body, as it is taken.
struct Counted {
    body: Body,
    open: Open,
    /// Its last piece was handed over, and no more was asked for since.
    is_taken: bool,
}

impl Counted {
    fn taken(&mut self, is_taken: bool) {
        let tally = &self.open.0;
        tally.moved.store(Tick::now().as_nanos(), Relaxed);
        match (self.is_taken, is_taken) {
            (false, true) => tally.taken.fetch_add(1, Relaxed),
            (true, false) => tally.taken.fetch_sub(1, Relaxed),
            _ => 0,
        };
        self.is_taken = is_taken;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.taken(false);
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.taken(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame.map_ok(passed)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! A program for each request: CGI/1.1 (RFC 3875).
//!
//! The request is in the environment ([`variables`]) and its body is the program's input, as it comes and as fast as the
//! program reads; then comes the end of the input, also of a body in chunks, whose length nobody knows beforehand. The
//! program prints a header ([`head`]) and a document, which goes out as it comes and as fast as the client reads.
//!
//! It all happens in one future, [`talk::talk`], which is polled first by the call and then, once there is a header, by
//! the response's body. Whoever drops either of them (the client is gone, a deadline passed, the server ends) ends the
//! program and whatever it started.
//!
//! Left out: headers that are the whole response (`nph-`), and local redirects within the server: the client is sent to
//! the place.

mod head;
mod talk;
mod variables;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};

use super::Exec;
use super::family::{GRACE, Started};
use crate::error::{Error, Result};
use crate::http::router::Invited;
use crate::http::{
    Body, Downstream, HeaderValue, Method, Problem, Request, Response, StatusCode, header,
    same_origin,
};
use crate::service::Service;
use talk::{Ends, Fault, talk};
use variables::Variables;

impl Service<Request> for Exec {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        // Nothing has to be remembered for a site to let somebody start a program.
        if same_origin::changes_something(request.method())
            && !Invited::is(&request)
            && let Err(problem) =
                same_origin::check(&request).and_then(|()| same_origin::check_name(&request))
        {
            return Ok(problem.response());
        }
        let variables = match Variables::of(&request) {
            Ok(variables) => variables,
            Err(problem) => return Ok(problem.response()),
        };
        let waited = tokio::time::timeout(self.wait, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = waited else {
            tracing::warn!(error = %self.is_full(), "a request waited in vain");
            return Ok(busy());
        };
        let started = self.start(place, |command| put(command, &request, &variables))?;
        let is_head = request.method() == Method::HEAD;
        self.answer(started, request, is_head).await
    }
}

impl Exec {
    async fn answer(&self, started: Started, request: Request, is_head: bool) -> Result<Response> {
        let downstream = Downstream::of(&request).cloned();
        let (head, mut told) = oneshot::channel();
        let (pieces, received) = mpsc::channel(1);
        let ends = Ends {
            head,
            pieces,
            downstream,
            silence: self.silence,
        };
        let program = self.program.clone();
        let talking = talk(started, program, request.into_body(), ends);
        let mut talking: Option<Talking> = Some(Box::pin(talking));
        let told = std::future::poll_fn(|cx| {
            go_on(&mut talking, cx);
            Pin::new(&mut told).poll(cx)
        });
        let told = told.await;
        let head = match told {
            Ok(Ok(head)) => head,
            Ok(Err(fault)) => return refused(fault),
            Err(_) => return Ok(unusable()),
        };
        let document = Document {
            talking,
            received,
            left: head.length,
        };
        let is_bodiless = is_head || matches!(head.status.as_u16(), 204 | 304);
        let mut response = Response::new(match is_bodiless {
            true => {
                document.drop_what_is_printed().await;
                Body::empty()
            }
            false => Body::stream(document),
        });
        *response.status_mut() = head.status;
        *response.headers_mut() = head.fields;
        Ok(response)
    }
}

/// The environment of a request.
fn put(command: &mut Command, request: &Request, variables: &Variables) {
    if let Some(downstream) = Downstream::of(request) {
        let (peer, endpoint) = (downstream.peer(), downstream.endpoint());
        super::describe(command, peer, endpoint, downstream.tls());
    }
    variables.put(command);
}

/// What the client is told when there is no header. What the program printed instead is in the log.
fn refused(fault: Fault) -> Result<Response> {
    match fault {
        Fault::Request(error) => Err(error),
        Fault::Silent => Ok(Problem::new(StatusCode::GATEWAY_TIMEOUT)
            .detail("the program behind this did not answer in time")
            .response()),
        Fault::Unusable => Ok(unusable()),
    }
}

fn unusable() -> Response {
    Problem::new(StatusCode::BAD_GATEWAY)
        .detail("the program behind this gave no usable answer")
        .response()
}

fn busy() -> Response {
    let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE)
        .detail("too many are being answered")
        .response();
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

/// The conversation, on its way; `None` once it is over.
type Talking = Pin<Box<dyn Future<Output = ()> + Send>>;

fn go_on(talking: &mut Option<Talking>, cx: &mut Context<'_>) {
    let is_over = |talking: &mut Talking| talking.as_mut().poll(cx).is_ready();
    if talking.as_mut().is_some_and(is_over) {
        *talking = None;
    }
}

/// What a program prints behind its header.
struct Document {
    talking: Option<Talking>,
    received: mpsc::Receiver<Result<Bytes>>,
    /// What is still to come, where the program said how much there is.
    left: Option<u64>,
}

impl Document {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        go_on(&mut self.talking, cx);
        match ready!(self.received.poll_recv(cx)) {
            // The program has said everything, and has still to end.
            None if self.talking.is_some() => Poll::Pending,
            piece => Poll::Ready(piece),
        }
    }

    /// Lets the program end by itself, for a while, where nobody wants what it prints.
    async fn drop_what_is_printed(mut self) {
        let ended = async {
            while let Some(Ok(_)) = std::future::poll_fn(|cx| self.poll_piece(cx)).await {}
        };
        let _ = tokio::time::timeout(GRACE, ended).await;
    }
}

impl http_body::Body for Document {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let piece = ready!(self.poll_piece(cx));
        if let (Some(Ok(data)), Some(left)) = (&piece, self.left) {
            self.left = Some(left.saturating_sub(data.len() as u64));
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        // Also a document of which everything was told is read to its end, so that the program comes to its own.
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or(SizeHint::default(), SizeHint::with_exact)
    }
}

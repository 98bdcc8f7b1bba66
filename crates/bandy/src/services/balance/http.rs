//! A request to an answer: another server's.
//!
//! `Turn` is one request's way: a lease, an exchange with its backend, and, where the law allows and the pool's budget
//! pays, another. What goes on to the backend and back is in `head`, who stays with which backend in `sticky`, what is
//! written down of it in `log`. What most requests need, and no more, is in `forward`: those are passed on as they came, and a
//! `Turn` takes them over where that does not suffice.

mod attempt;
mod choice;
mod forward;
mod head;
mod log;
mod rules;
mod sticky;

use std::sync::Arc;
use std::time::Instant;

use ::http::request;

use self::attempt::{Attempt, Tried};
use self::choice::Choice;
pub use self::choice::Foreseen;
use self::head::Client;
use self::log::Record;
pub use self::rules::{Rules, Secret};
use super::Balance;
use crate::error::{Error, Kind, Result, Side};
use crate::http::upstream::{Heard, Outgoing, tunnel};
use crate::http::{Downstream, Method, Problem, Request, Response, StatusCode, Switch};
use crate::net::Tick;
use crate::pool::{Backend, Lease, Options, Outcome, Pool, Wanted};
use crate::service::Service;

impl Service<Request> for Balance {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let downstream = body.downstream().cloned();
        let downstream = downstream.or_else(|| parts.extensions.get::<Downstream>().cloned());
        let may_repeat = is_idempotent(&parts.method);
        let turn = Turn {
            pool: &self.pool,
            rules: &self.rules,
            options: self.pool.options(),
            client: Client::of(&parts.headers, downstream.as_ref(), &self.rules),
            upgrades: head::upgrades(&parts) && body.is_empty(),
            may_repeat,
            started: Instant::now(),
            began: Tick::now(),
            parts,
            downstream,
        };
        self.pool.budget().deposit();
        turn.run(First::Try(Outgoing::new(body, may_repeat))).await
    }
}

/// Whether asking twice comes to the same as asking once (RFC 9110, section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
    )
}

/// One request on its way.
struct Turn<'a> {
    pool: &'a Arc<Pool>,
    rules: &'a Arc<Rules>,
    options: Arc<Options>,
    parts: request::Parts,
    downstream: Option<Downstream>,
    client: Client,
    /// It offers another protocol.
    upgrades: bool,
    may_repeat: bool,
    started: Instant,
    began: Tick,
}

/// How a backend came to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chosen {
    Strategy,
    Cookie,
    /// Another one failed before.
    Retry,
    /// Another one was slow.
    Hedge,
}

/// How a turn begins.
enum First {
    Try(Outgoing),
    /// Of the one that is leased.
    Leased(Lease, Outgoing),
    /// With a try on a connection that stood, which began then and failed.
    Failed(Lease, Box<attempt::Failure>, Instant),
    NoLease(Error),
}

impl Turn<'_> {
    async fn run(self, first: First) -> Result<Response> {
        let mut retries = 0;
        match self.tries(first, &mut retries).await {
            Ok((tried, chosen)) => Ok(self.answer(tried, chosen, retries)),
            // What the client did wrong is told by whoever talks with it.
            Err(Unanswered::Failed(error)) if error.side() == Side::Downstream => Err(error),
            Err(unanswered) => {
                let (status, detail) = unanswered.explained();
                let (Unanswered::Failed(error) | Unanswered::NoLease(error)) = unanswered;
                tracing::warn!(pool = self.pool.name(), %error, "a request failed");
                if self.rules.log {
                    self.record(status).failed(&error, retries);
                }
                Ok(Problem::new(status).detail(detail).response())
            }
        }
    }

    /// Asks backends until one answers, or no more may be asked.
    async fn tries(
        &self,
        first: First,
        retries: &mut u32,
    ) -> std::result::Result<(Tried, Chosen), Unanswered> {
        let (mut body, mut leased, mut failed) = match first {
            First::Try(body) => (body, None, None),
            First::Leased(lease, body) => (body, Some(lease), None),
            First::Failed(lease, failure, began) => {
                (Outgoing::spent(), Some(lease), Some((failure, began)))
            }
            First::NoLease(error) => return Err(Unanswered::NoLease(error)),
        };
        let choice = Choice::of(
            self.pool,
            &self.options,
            self.rules,
            &self.parts,
            &self.client,
        );
        let mut avoid: Vec<Arc<Backend>> = Vec::new();
        let mut last = None;
        loop {
            let lease = match leased.take() {
                Some(lease) => Ok(lease),
                None => self.pool.lease(choice.wanted(&avoid)).await,
            };
            let lease = match (lease, last.take()) {
                (Ok(lease), _) => lease,
                (Err(_), Some(error)) => return Err(Unanswered::Failed(error)),
                (Err(error), None) => return Err(Unanswered::NoLease(error)),
            };
            let chosen = match &choice.stuck {
                _ if *retries > 0 => Chosen::Retry,
                Some(stuck) if Arc::ptr_eq(stuck, lease.backend()) => Chosen::Cookie,
                _ => Chosen::Strategy,
            };
            let backend = lease.backend().clone();
            let attempt = Attempt::new(self, lease);
            let failed = match (failed.take(), self.options.hedge) {
                (Some((failure, began)), _) => match Box::pin(attempt.go_on(*failure, began)).await
                {
                    Ok(tried) => return Ok((tried, chosen)),
                    Err(failed) => failed,
                },
                (None, Some(after)) if self.may_repeat && body.is_nothing() => {
                    match Box::pin(self.hedged(attempt, after, choice.key)).await {
                        Ok((tried, true)) => return Ok((tried, Chosen::Hedge)),
                        Ok((tried, false)) => return Ok((tried, chosen)),
                        Err(failed) => failed,
                    }
                }
                (None, _) => match attempt.run(body).await {
                    Ok(tried) => return Ok((tried, chosen)),
                    Err(failed) => failed,
                },
            };
            let (failed, back) = failed;
            body = back;
            let may_retry = (!failed.sent || self.may_repeat)
                && failed.error.side() != Side::Downstream
                && *retries < self.options.retry.times
                && self.has_time()
                && body.rewind()
                && self.pool.budget().withdraw();
            if !may_retry {
                return Err(Unanswered::Failed(failed.error));
            }
            tracing::debug!(pool = self.pool.name(), error = %failed.error, "trying another backend");
            last = Some(failed.error);
            *retries += 1;
            avoid.push(backend);
        }
    }

    /// Asks; and where no answer came for a while, asks another too. Whether it was that one that answered.
    async fn hedged(
        &self,
        first: Attempt<'_>,
        after: std::time::Duration,
        key: Option<crate::pool::Key>,
    ) -> std::result::Result<(Tried, bool), attempt::Failure> {
        let avoid = [first.backend().clone()];
        let mut first = Box::pin(first.run(Outgoing::nothing()));
        if let Ok(done) = tokio::time::timeout(after, first.as_mut()).await {
            return done.map(|tried| (tried, false));
        }
        let wanted = Wanted {
            key,
            avoid: &avoid,
            stick: None,
        };
        let second = match self.pool.try_lease(wanted) {
            Ok(Some(lease))
                if !Arc::ptr_eq(lease.backend(), &avoid[0]) && self.pool.budget().withdraw() =>
            {
                Attempt::new(self, lease)
            }
            _ => return first.await.map(|tried| (tried, false)),
        };
        let second = Box::pin(second.run(Outgoing::nothing()));
        use futures_util::future::{Either, select};
        // Whoever fails first leaves it to the other.
        match select(first, second).await {
            Either::Left((Ok(tried), _)) => Ok((tried, false)),
            Either::Left((Err(_), second)) => second.await.map(|tried| (tried, true)),
            Either::Right((Ok(tried), _)) => Ok((tried, true)),
            Either::Right((Err(_), first)) => first.await.map(|tried| (tried, false)),
        }
    }

    fn has_time(&self) -> bool {
        let total = self.options.deadlines.total;
        total.is_none_or(|total| !self.began.plus(total).is_past())
    }

    /// The answer as it goes to the client.
    fn answer(&self, tried: Tried, chosen: Chosen, retries: u32) -> Response {
        let latency = tried.latency;
        let status = match &tried.heard {
            Heard::Answer(answer) | Heard::Switch(answer, ..) => answer.status(),
        };
        let lease = tried.lease;
        lease.report(outcome(status, latency));
        let record = self.rules.log.then(|| {
            let mut record = self.record(status);
            record.backend(lease.backend(), chosen, retries, tried.connected, latency);
            record
        });
        // Who has come by its cookie keeps it.
        let sticky = self.options.sticky.as_ref();
        let cookie = sticky
            .filter(|_| chosen != Chosen::Cookie)
            .and_then(|sticky| {
                let is_secure = self.client.is_secure;
                sticky::cookie(self.pool, sticky, self.rules, lease.backend(), is_secure)
            });
        let mut response = match tried.heard {
            Heard::Switch(answer, upstream, first) => {
                let mut response = Switch::to(move |conn| async move {
                    let ended = tunnel(conn, upstream, first).await;
                    drop((lease, record));
                    ended
                });
                *response.headers_mut() = answer.into_parts().0.headers;
                response
            }
            Heard::Answer(mut answer) => {
                head::forget_connection(answer.headers_mut());
                ended(answer.body_mut(), lease, record);
                answer
            }
        };
        if let Some(cookie) = cookie {
            let fields = response.headers_mut();
            fields.append(crate::http::header::SET_COOKIE, cookie);
        }
        response
    }

    fn record(&self, status: StatusCode) -> Record {
        Record::new(self.pool, &self.parts, &self.client, status, self.started)
    }
}

/// What an answer says of its backend.
fn outcome(status: StatusCode, latency: std::time::Duration) -> Outcome {
    match status.is_server_error() {
        true => Outcome::ServerError(latency),
        false => Outcome::Done(latency),
    }
}

/// Keeps the lease, and what is written down, until the answer's body has ended.
fn ended(body: &mut crate::http::Body, lease: Lease, record: Option<Record>) {
    use crate::http::upstream::End;
    if !body.is_upstream() {
        if let Some(mut record) = record {
            record.ended(&End::Whole, body.len_hint().unwrap_or(0));
        }
        return;
    }
    body.on_end(Box::new(move |end, bytes| {
        if let End::Broken(error) = &end {
            if error.side() == Side::Upstream {
                lease.report(Outcome::Broken);
            }
            tracing::warn!(backend = lease.backend().name(), %error, "an answer broke off");
        }
        if let Some(mut record) = record {
            record.ended(&end, bytes);
        }
    }));
}

/// Why there is no answer.
enum Unanswered {
    /// No backend was ready, or had room.
    NoLease(Error),
    /// The last try failed.
    Failed(Error),
}

impl Unanswered {
    /// What a client is told: whose side it was, and nothing of what is inside.
    fn explained(&self) -> (StatusCode, &'static str) {
        let error = match self {
            Unanswered::NoLease(error) if error.kind() == Kind::Overload => {
                let detail = "upstream: all servers behind this one are busy";
                return (StatusCode::SERVICE_UNAVAILABLE, detail);
            }
            Unanswered::NoLease(_) => {
                let detail = "upstream: no server behind this one is ready";
                return (StatusCode::SERVICE_UNAVAILABLE, detail);
            }
            Unanswered::Failed(error) => error,
        };
        match (error.side(), error.kind()) {
            (Side::Local, _) => (
                StatusCode::BAD_GATEWAY,
                "local: this server could not pass the request on",
            ),
            (_, Kind::TimedOut) => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream: the server behind this one did not answer in time",
            ),
            (_, Kind::NotConnected | Kind::NotResolved | Kind::Tls | Kind::Untrusted) => (
                StatusCode::BAD_GATEWAY,
                "upstream: the server behind this one cannot be reached",
            ),
            (_, Kind::Closed) => (
                StatusCode::BAD_GATEWAY,
                "upstream: the server behind this one closed the connection without an answer",
            ),
            _ => (
                StatusCode::BAD_GATEWAY,
                "upstream: the server behind this one gave no answer that can be understood",
            ),
        }
    }
}

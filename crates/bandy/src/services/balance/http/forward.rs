//! Requests that are passed on as they came: those that go over a connection that stands, to an answer that comes whole.
//!
//! That is what most of them do, and what it costs is what a balancer costs. Where anything else happens (no connection
//! stands, the backend fails, the answer is long, a pool hedges or has cookies), a `Turn` takes over from where it is.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ::http::{request, response};
use bytes::Bytes;

use super::attempt::{self, Failure, Tried, asked_for, keep, standing_http1};
use super::head::{self, Asking, Client};
use super::log::Record;
use super::{Chosen, First, Turn, is_idempotent, outcome};
use crate::error::{Error, Kind, Result, Side};
use crate::http::server::forward::{AsItCame, Forward, Forwarding, OnItsWay, Take};
use crate::http::upstream::{Alarm, Ask, Came, End, Exchange, Outgoing};
use crate::http::{Downstream, Method, Response, StatusCode};
use crate::net::Tick;
use crate::pool::options::Options;
use crate::pool::strategy::KeyOf;
use crate::pool::{Key, Lease, Wanted};
use crate::service::Answer;
use crate::services::balance::Balance;
use crate::wire::http1::{self, Bounds, RequestHead, ResponseHead, parse_request};

/// One request on its way.
struct Way<'a> {
    balance: &'a Balance,
    /// As it came, for who makes a request of it.
    head: Bytes,
    client: Client,
    downstream: Downstream,
    may_repeat: bool,
    started: Instant,
    began: Tick,
    stage: Stage,
}

enum Stage {
    /// On a connection that stood.
    Asked(Lease, Exchange),
    /// No connection stood.
    Leased(Lease, Outgoing),
    NoLease(Error),
    Failed(Lease, Box<Failure>),
    /// The head of an answer that did not come whole, whether what follows is another protocol, and after how long.
    Head(Lease, Exchange, Box<(response::Parts, bool, Duration)>),
    Over,
}

impl Forward for Balance {
    fn forward<'a>(
        &'a self,
        came: AsItCame<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Option<Forwarding<'a>> {
        let AsItCame {
            head,
            body,
            downstream,
        } = came;
        let target = head.path_and_query()?;
        let (leased, (client, deadlines, http)) = self.pool.try_lease_as_told(|told| {
            let by_ip = by_ip(told)?;
            let client = Client::of(head, Some(downstream), &self.rules);
            let wanted = Wanted {
                key: client.ip.filter(|_| by_ip).map(Key::of_ip),
                ..Wanted::default()
            };
            Some((wanted, (client, told.deadlines.clone(), told.http)))
        })?;
        let leased = leased.transpose()?;
        self.pool.budget().deposit();
        let (started, began) = (Instant::now(), Tick::now());
        let may_repeat = is_repeatable(head);
        let body = Outgoing::new(body, may_repeat);
        let stage = match leased {
            Err(error) => Stage::NoLease(error),
            Ok(lease) => match standing_http1(lease.backend(), http, cx.waker()) {
                None => Stage::Leased(lease, body),
                Some(conn) => {
                    let asking = Asking {
                        method: head.method,
                        target,
                        fields: head,
                        client: &client,
                        rules: &self.rules,
                        peer: head::peer(Some(downstream)),
                        upgrades: false,
                    };
                    let ask = Ask {
                        asked: http1::Asked::by(head.method),
                        expects_continue: false,
                    };
                    let keep = keep(lease.backend(), &deadlines);
                    let times = attempt::times(&deadlines, began);
                    let alarm = Alarm::new(Some(downstream), true);
                    let length = body.length();
                    let exchange = Exchange::new(conn, keep, ask, body, alarm, times);
                    let mut exchange = exchange.watched();
                    let write = |out: &mut Vec<u8>| head::write(out, &asking, length, false);
                    match exchange.begin(write, cx) {
                        Ok(()) => Stage::Asked(lease, exchange),
                        Err(error) => Stage::Failed(lease, Box::new(exchange.failed(error))),
                    }
                }
            },
        };
        Some(Box::new(Way {
            balance: self,
            head: Bytes::new(),
            client,
            downstream: downstream.clone(),
            may_repeat,
            started,
            began,
            stage,
        }))
    }
}

/// Whether backends are chosen by the client's address, or by nothing of the request; `None` where this way is not theirs.
fn by_ip(told: &Options) -> Option<bool> {
    if told.hedge.is_some() || told.sticky.is_some() || told.proxy_protocol.is_some() {
        return None;
    }
    match told.strategy.key() {
        None => Some(false),
        Some(KeyOf::Ip) => Some(true),
        Some(_) => None,
    }
}

fn is_repeatable(head: &RequestHead<'_>) -> bool {
    Method::from_bytes(head.method.as_bytes()).is_ok_and(|method| is_idempotent(&method))
}

impl<'a> OnItsWay<'a> for Way<'a> {
    fn keep(&mut self, head: Bytes) {
        self.head = head;
    }

    fn poll(&mut self, take: &mut Take<'_>, cx: &mut Context<'_>) -> Poll<bool> {
        let (Stage::Asked(lease, exchange), started) = (&mut self.stage, self.started) else {
            return Poll::Ready(false);
        };
        let mut took = |head: &ResponseHead<'_>, body: &[u8]| {
            let latency = started.elapsed();
            take(head, body);
            (head.status, body.len(), latency)
        };
        let came = match ready!(exchange.poll_came(&mut took, cx)) {
            Ok(Came::Whole((status, len, latency))) => {
                exchange.finish();
                lease.report(outcome(status, latency));
                if self.balance.rules.log {
                    self.write_down(status, len, latency);
                }
                return Poll::Ready(true);
            }
            Ok(Came::Head(parts, upgrades)) => Ok((parts, upgrades, started.elapsed())),
            Err(error) => Err(error),
        };
        if let Stage::Asked(lease, exchange) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = match came {
                Ok((parts, upgrades, latency)) => {
                    let head = Box::new((parts, upgrades, latency));
                    Stage::Head(lease, exchange, head)
                }
                Err(error) => {
                    let (failed, body) = exchange.failed(error);
                    Stage::Failed(lease, Box::new((failed, body)))
                }
            };
        }
        Poll::Ready(false)
    }

    fn rest(self: Box<Self>) -> Answer<'a, Response> {
        let way = *self;
        Box::pin(async move {
            let stage = way.stage;
            let turn = Turn {
                pool: &way.balance.pool,
                rules: &way.balance.rules,
                options: way.balance.pool.options(),
                parts: parts(&way.head)?,
                downstream: Some(way.downstream),
                client: way.client,
                upgrades: false,
                may_repeat: way.may_repeat,
                started: way.started,
                began: way.began,
            };
            let first = match stage {
                Stage::Head(lease, exchange, head) => {
                    let (parts, upgrades, latency) = *head;
                    match asked_for(exchange.heard(parts, upgrades), false) {
                        Ok(heard) => {
                            let tried = Tried {
                                heard,
                                lease,
                                connected: None,
                                latency,
                            };
                            return Ok(turn.answer(tried, Chosen::Strategy, 0));
                        }
                        Err(error) => {
                            let failure = Box::new(attempt::nothing(error));
                            First::Failed(lease, failure, way.started)
                        }
                    }
                }
                Stage::Leased(lease, body) => First::Leased(lease, body),
                Stage::Failed(lease, failure) => First::Failed(lease, failure, way.started),
                Stage::NoLease(error) => First::NoLease(error),
                Stage::Asked(..) | Stage::Over => return Err(lost()),
            };
            turn.run(first).await
        })
    }
}

impl Way<'_> {
    /// Writes down what an answer was that came whole.
    fn write_down(&self, status: StatusCode, len: usize, latency: Duration) {
        let (Stage::Asked(lease, _), Ok(parts)) = (&self.stage, parts(&self.head)) else {
            return;
        };
        let (pool, client) = (&self.balance.pool, &self.client);
        let mut record = Record::new(pool, &parts, client, status, self.started);
        record.backend(lease.backend(), Chosen::Strategy, 0, None, latency);
        record.ended(&End::Whole, len as u64);
    }
}

/// A head that was taken once, as the parts of a request.
fn parts(head: &Bytes) -> Result<request::Parts> {
    let bounds = Bounds {
        head_bytes: usize::MAX,
        target_bytes: usize::MAX,
        fields: usize::MAX,
    };
    let parsed = parse_request(head, &bounds);
    let parsed =
        parsed.and_then(|parsed| parsed.map(|(parsed, _)| parsed.to_parts(head)).transpose());
    match parsed {
        Ok(Some(parts)) => Ok(parts),
        Ok(None) => Err(lost()),
        Err(reject) => Err(lost().because(reject)),
    }
}

/// What does not happen: a request of which something is missing.
fn lost() -> Error {
    Error::new(Kind::Other, Side::Local, "passing a request on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_passed_on_is_small() {
        // Each allocates this: allocators have what is up to 1 KiB at hand.
        assert!(size_of::<Way<'_>>() <= 1024, "{}", size_of::<Way<'_>>());
    }
}

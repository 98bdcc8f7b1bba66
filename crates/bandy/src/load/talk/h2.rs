//! HTTP/2 on our own codec: connections that each carry so many requests at once. Here a slot is a stream; what they
//! share is in `link`.
//!
//! A connection's task reads what came, which wakes the slots whose answers are whole. Each asks anew, and only then is
//! the task's turn again: what all of them ask goes out in one write.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::Mutex;

use super::{Answer, Failure, Line, Talk};
use crate::load::script::{Reader, Script};
use crate::load::tally::Cause;
use crate::wire::http1::Asked as Method;
use crate::wire::http2::{Asked, Room};
use link::{Ended, Link};

mod link;

/// A connection, shared by its slots. All of them are on one event loop, so nobody ever waits for the lock but while one
/// of them connects for all.
pub(in crate::load) type Shared = Arc<Mutex<Option<Link>>>;

/// A request after the other, on a connection that is shared.
pub(in crate::load) struct H2 {
    line: Line,
    script: Arc<Script>,
    reader: Reader,
    shared: Shared,
    link: Option<Link>,
    /// Which of the connection's slots this is, and the stream that its request is on.
    key: usize,
    stream: Option<u32>,
    /// After so many requests a connection takes no more.
    per_connection: Option<u64>,
}

impl H2 {
    /// The slot's number among all says where in the script it begins; `key` which of its connection's slots it is.
    pub(in crate::load) fn new(
        line: Line,
        script: Arc<Script>,
        shared: Shared,
        (slot, key): (usize, usize),
        per_connection: Option<u64>,
    ) -> H2 {
        H2 {
            line,
            reader: script.reader(slot),
            script,
            shared,
            link: None,
            key,
            stream: None,
            per_connection,
        }
    }

    /// Makes the request, once there is room for it.
    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let (Some(link), Some(step)) = (&self.link, self.script.step(&self.reader)) else {
            return Poll::Ready(Err(Ended::Unseen));
        };
        let mut link = link.lock();
        match link.room() {
            Room::Never => return Poll::Ready(Err(link.why_ended())),
            Room::Later => {
                link.wait(cx.waker());
                return Poll::Pending;
            }
            Room::Now => {}
        }
        let own;
        let (known, fields, body) = match (&step.http2, &step.plain) {
            (Some(fields), Some(plain)) => {
                (Some(self.script.at(&self.reader)), fields, &plain.body)
            }
            _ => match step.render(&self.reader) {
                Ok(made) => {
                    own = (made.http2(&self.line.to), made.body);
                    (None, &own.0, &own.1)
                }
                Err(failure) => return Poll::Ready(Err(Ended::Failed(failure))),
            },
        };
        let asked = Asked {
            key: self.key,
            known,
            fields,
            body,
            is_head: step.asked == Method::Head,
        };
        self.stream = link.ask(asked, step.keeps());
        Poll::Ready(match self.stream {
            Some(_) => Ok(()),
            None => Err(Ended::Unseen),
        })
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Ended>> {
        let Some(link) = &self.link else {
            return Poll::Ready(Err(Ended::Unseen));
        };
        let ended = std::task::ready!(link.lock().poll_answer(self.key, cx));
        self.stream = None;
        let (status, kept) = ended?;
        let next = self.script.next(&mut self.reader, Some(status), kept);
        Poll::Ready(match next {
            Ok(is_expected) => Ok(Answer {
                status: Some(status),
                is_expected,
            }),
            Err(failure) => Err(Ended::Failed(failure)),
        })
    }

    async fn ask(&mut self) -> Result<Answer, Ended> {
        poll_fn(|cx| self.poll_ask(cx)).await?;
        poll_fn(|cx| self.poll_answer(cx)).await
    }
}

impl Talk for H2 {
    fn is_connected(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let mut shared = shared.lock().await;
        if let Some(link) = shared.as_ref().filter(|link| link.is_open()) {
            // Another slot has connected.
            self.link = Some(link.clone());
            return Ok(());
        }
        let conn = self.line.connect().await?;
        let agreed = conn.tls().map(|tls| tls.alpn.as_deref());
        if agreed.is_some_and(|agreed| agreed != Some("h2")) {
            return Err(Failure::new(
                Cause::Protocol,
                "the server does not agree to HTTP/2",
            ));
        }
        let link = Link::begin(conn, self.script.wants_timing, self.per_connection);
        poll_fn(|cx| link.lock().poll_greeted(cx)).await?;
        *shared = Some(link.clone());
        self.link = Some(link);
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, Failure> {
        // A server that ends a connection names the requests that it has not looked at. They are made again on the next
        // one (RFC 9113, section 6.8), as any client does it.
        for _ in 0..UNSEEN_MAX {
            match self.ask().await {
                Ok(answer) => return Ok(answer),
                Err(Ended::Failed(failure)) => return Err(failure),
                Err(Ended::Unseen) => self.connect().await?,
            }
        }
        Err(Failure::new(
            Cause::Closed,
            "the server ends each connection before it looks at the request",
        ))
    }

    fn poll_idle(&mut self, _: &mut Context<'_>) {
        // The connection's task notices its end.
    }

    fn hang_up(&mut self) {
        if let (Some(link), Some(stream)) = (&self.link, self.stream.take()) {
            link.lock().give_up(self.key, stream);
        }
        self.link = None;
        self.script.restart(&mut self.reader);
    }

    fn take_bytes(&mut self) -> (u64, u64) {
        // The connection's task tells them.
        (0, 0)
    }
}

/// How often a request is made that no server looks at.
const UNSEEN_MAX: usize = 4;

//! A flow of datagrams to a backend, which it keeps.
//!
//! Nobody hears of a datagram that is lost, so all that is known of a backend is whether it answers, and whether the system
//! says that nobody is there (ICMP). Then the flow goes on with another one, beginning with what was not answered.

use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::connecting::{Connected, Search};
use super::message::Way;
use crate::error::{Result, Side};
use crate::net::{Conn, Message};
use crate::pool::{Lease, Outcome, Pool};

/// Leases a backend for the flow, and passes datagrams on until the flow is forgotten.
pub(super) async fn balance(pool: &Pool, mut near: Conn) -> Result<()> {
    let mut search = Search::begin(pool);
    let mut unanswered = None;
    loop {
        // Boxed: what connecting needs would be part of the flow for as long as it lives.
        let Connected { lease, conn, .. } = Box::pin(search.next(&near)).await?;
        let mut talk = Talk::new(lease, conn, unanswered);
        match std::future::poll_fn(|cx| talk.poll(cx, &mut near)).await {
            Err(error) if error.side() == Side::Upstream => {
                talk.lease.report(Outcome::Broken);
                if !search.goes_on(&talk.lease) {
                    return Err(error);
                }
                unanswered = talk.unanswered;
            }
            over => return over,
        }
    }
}

/// A flow with one backend.
struct Talk {
    lease: Lease,
    far: Conn,
    there: Way,
    back: Way,
    /// The last datagram, where nothing came back since.
    unanswered: Option<Message>,
    /// Since when the first answer is waited for, and until it has come.
    began: Option<Instant>,
}

impl Talk {
    fn new(lease: Lease, far: Conn, first: Option<Message>) -> Talk {
        Talk {
            lease,
            far,
            there: Way::beginning_with(first.clone()),
            back: Way::default(),
            unanswered: first,
            began: Some(Instant::now()),
        }
    }

    /// Ready when the flow is forgotten.
    fn poll(&mut self, cx: &mut Context<'_>, near: &mut Conn) -> Poll<Result<()>> {
        let unanswered = &mut self.unanswered;
        let asked = |message: &Message| *unanswered = Some(message.clone());
        if let Poll::Ready(over) = self.there.poll(cx, near, &mut self.far, asked) {
            return Poll::Ready(over);
        }
        let answered = |_: &Message| {
            self.unanswered = None;
            if let Some(began) = self.began.take() {
                self.lease.report(Outcome::Done(began.elapsed()));
            }
        };
        // A backend's flow has no end of its own.
        Poll::Ready(ready!(self.back.poll(cx, &mut self.far, near, answered)))
    }
}

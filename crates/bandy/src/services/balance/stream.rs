//! A stream to a stream: bytes there and back, each direction to its own end.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::connecting::{Connected, Search};
use crate::error::{Result, Side};
use crate::net::Conn;
use crate::net::relay::Relay;
use crate::pool::{Lease, Outcome, Pool};

/// Leases a backend, and passes on what either side says until both have ended. `said` was read of it already.
///
/// No `async fn`: that keeps a place for its arguments for as long as the conversation lives.
pub(super) fn balance(
    pool: &Pool,
    conn: Conn,
    said: Vec<u8>,
) -> impl Future<Output = Result<()>> + Send {
    // Boxed: and so would be what connecting needs.
    let beginning = Box::pin(Talk::begin(pool, conn, said));
    async move {
        let mut talk = beginning.await?;
        std::future::poll_fn(|cx| talk.poll(cx)).await
    }
}

/// A conversation with a backend.
struct Talk {
    relay: Relay,
    lease: Lease,
    took: Duration,
    is_reported: bool,
}

impl Talk {
    async fn begin(pool: &Pool, conn: Conn, said: Vec<u8>) -> Result<Talk> {
        let Connected {
            lease,
            conn: far,
            took,
        } = Search::begin(pool).next(&conn).await?;
        Ok(Talk {
            relay: Relay::new(conn, far, said),
            lease,
            took,
            is_reported: false,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let over = self.relay.poll(cx);
        if !self.is_reported {
            self.report(&over);
        }
        Poll::Ready(ready!(over))
    }

    /// A backend that goes away without a word is not well. Once it has said something it was, however long it talks.
    fn report(&mut self, over: &Poll<Result<()>>) {
        let outcome = match over {
            _ if self.relay.was_answered() => Outcome::Done(self.took),
            Poll::Ready(Err(e)) if e.side() == Side::Upstream => Outcome::Broken,
            Poll::Ready(_) => Outcome::Done(self.took),
            Poll::Pending => return,
        };
        self.is_reported = true;
        self.lease.report(outcome);
    }
}

//! WebSocket to WebSocket: messages there and back, and why it was closed.

use std::task::{Context, Poll, ready};

use super::connecting::{Connected, Search};
use crate::error::{Error, Result, Side};
use crate::net::conn::LINGER;
use crate::net::ws::Close;
use crate::net::{Conn, Message};
use crate::pool::{Outcome, Pool};

/// Messages that one direction passes on before others have their turn.
const TURN: usize = 64;

/// Leases a backend, and passes on each message until one side has closed; then the other is closed with the same code.
pub(super) async fn balance(pool: &Pool, mut near: Conn) -> Result<()> {
    let connected = Box::pin(async { Search::begin(pool).next(&near).await }).await;
    let Connected {
        lease,
        conn: mut far,
        took,
    } = match connected {
        Ok(connected) => connected,
        Err(error) => {
            close(near, Close::new(TRY_AGAIN, "no backend can be reached")).await;
            return Err(error);
        }
    };
    let (mut there, mut back) = (Way::default(), Way::default());
    let over = std::future::poll_fn(|cx| {
        if let Poll::Ready(over) = there.poll(cx, &mut near, &mut far, |_| {}) {
            return Poll::Ready(over.map_or_else(Over::Failed, |()| Over::Near));
        }
        let over = ready!(back.poll(cx, &mut far, &mut near, |_| {}));
        Poll::Ready(over.map_or_else(Over::Failed, |()| Over::Far))
    })
    .await;
    let is_backends = matches!(&over, Over::Failed(e) if e.side() == Side::Upstream);
    lease.report(match is_backends && far.meter().read() == 0 {
        true => Outcome::Broken,
        false => Outcome::Done(took),
    });
    match over {
        Over::Near => {
            let said = said(&near, GOING_AWAY);
            close(far, said).await;
            Ok(())
        }
        Over::Far => {
            let said = said(&far, INTERNAL);
            close(near, said).await;
            Ok(())
        }
        Over::Failed(error) => {
            match is_backends {
                true => close(near, Close::new(INTERNAL, "the backend went away")).await,
                false => close(far, Close::new(GOING_AWAY, "")).await,
            }
            Err(error)
        }
    }
}

/// Close codes (RFC 6455, section 7.4.1, and IANA's registry).
const GOING_AWAY: u16 = 1001;
const INTERNAL: u16 = 1011;
const TRY_AGAIN: u16 = 1013;

/// What an end said when it closed; `otherwise` where it went without a word.
fn said(conn: &Conn, otherwise: u16) -> Close {
    let close = conn.peer_close().cloned();
    close.unwrap_or_else(|| Close::new(otherwise, ""))
}

/// Closes one end, and waits a bounded time until it has closed too: what it still sends has nobody to go to.
async fn close(mut conn: Conn, close: Close) {
    let goodbye = async {
        // One that is gone already cannot be told.
        if conn.finish_with(close).await.is_ok() {
            while let Ok(Some(_)) = conn.recv().await {}
        }
    };
    drop(tokio::time::timeout(LINGER, goodbye).await);
}

/// How messages stopped being passed on.
enum Over {
    /// Who came has ended it.
    Near,
    /// The backend has ended it.
    Far,
    /// One of the two failed, as the error's side says.
    Failed(Error),
}

/// Messages in one direction, at the pace of whom they go to.
#[derive(Default)]
pub(super) struct Way {
    /// Received, and not yet taken by the other end.
    message: Option<Message>,
    is_sending: bool,
}

impl Way {
    /// A direction that begins with this message.
    pub(super) fn beginning_with(message: Option<Message>) -> Way {
        Way {
            is_sending: message.is_some(),
            message,
        }
    }

    /// Ready when `from` has ended. `heard` is told of each message before it is passed on.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Conn,
        to: &mut Conn,
        mut heard: impl FnMut(&Message),
    ) -> Poll<Result<()>> {
        for _ in 0..TURN {
            if self.is_sending {
                ready!(to.poll_send(cx, &mut self.message))?;
                self.is_sending = false;
            }
            self.message = ready!(from.poll_recv(cx))?;
            let Some(message) = &self.message else {
                return Poll::Ready(Ok(()));
            };
            heard(message);
            self.is_sending = true;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

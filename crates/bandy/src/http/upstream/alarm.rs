//! A deadline that costs a store where a connection's own timer can keep it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Sleep;

use crate::http::Downstream;
use crate::net::Tick;

/// Wakes the task that polls it, at a deadline.
///
/// A conversation over HTTP/1.1 has a timer already, and its task polls the service: setting that is a store. Elsewhere
/// there is a timer for each.
pub(crate) enum Alarm {
    Conversation(Downstream),
    Own(Option<Pin<Box<Sleep>>>),
}

impl Alarm {
    /// For a request that came over this connection, in its own task if `is_same_task`.
    pub(crate) fn new(downstream: Option<&Downstream>, is_same_task: bool) -> Alarm {
        match downstream {
            Some(downstream) if is_same_task => Alarm::Conversation(downstream.clone()),
            _ => Alarm::Own(None),
        }
    }

    /// Whether the deadline is past. If not, the task is woken then.
    pub(crate) fn poll(&mut self, deadline: Option<Tick>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = deadline else {
            return Poll::Pending;
        };
        if at.is_past() {
            return Poll::Ready(());
        }
        match self {
            Alarm::Conversation(downstream) => downstream.wake_by(at),
            Alarm::Own(timer) => {
                let when = tokio::time::Instant::now() + at.remaining() + Tick::STEP;
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(when)));
                if timer.is_elapsed() || timer.deadline() > when {
                    timer.as_mut().reset(when);
                }
                // One that is set earlier is looked at again then.
                if timer.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
            }
        }
        Poll::Pending
    }
}

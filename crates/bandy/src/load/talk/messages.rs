//! Messages and datagrams: each item is one, and each is answered by so many.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Answer, Failure, Line, Talk};
use crate::load::tally::Cause;
use crate::load::work::Said;
use crate::net::{Conn, Message};

/// A connection that carries messages.
pub(in crate::load) struct Messages {
    line: Line,
    said: Arc<Said>,
    at: usize,
    conn: Option<Conn>,
    bytes: (u64, u64),
}

impl Messages {
    pub(in crate::load) fn new(line: Line, said: Arc<Said>, slot: usize) -> Messages {
        Messages {
            line,
            at: slot,
            said,
            conn: None,
            bytes: (0, 0),
        }
    }
}

impl Talk for Messages {
    fn is_connected(&self) -> bool {
        self.conn.is_some()
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        self.conn = Some(self.line.connect().await?);
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, Failure> {
        let Some(conn) = &mut self.conn else {
            return Err(Failure::new(Cause::Closed, "the connection is gone"));
        };
        let data = self.said.item(self.at).clone();
        self.at = self.at.wrapping_add(1);
        self.bytes.0 += data.len() as u64;
        let is_text = self.said.is_text;
        let sent = conn.send(Message { data, is_text }).await;
        sent.map_err(|e| Failure::of(&e))?;
        for _ in 0..self.said.answers {
            match conn.recv().await {
                Ok(Some(message)) => self.bytes.1 += message.data.len() as u64,
                Ok(None) => {
                    return Err(Failure::new(
                        Cause::Closed,
                        "the server closed before its answer",
                    ));
                }
                Err(e) => return Err(Failure::of(&e)),
            }
        }
        Ok(Answer::PLAIN)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) {
        let Some(conn) = &mut self.conn else { return };
        loop {
            match conn.poll_recv(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(Some(message))) => self.bytes.1 += message.data.len() as u64,
                Poll::Ready(_) => {
                    self.conn = None;
                    return;
                }
            }
        }
    }

    fn hang_up(&mut self) {
        self.conn = None;
    }

    fn take_bytes(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.bytes)
    }
}

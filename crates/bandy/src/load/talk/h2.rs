//! HTTP/2, by the h2 crate: connections that each carry so many requests at once. Here a slot is a stream.

use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::sync::Mutex;

use super::{Answer, Failure, Line, Talk};
use crate::load::lane;
use crate::load::script::{Kept, Reader, Script};
use crate::load::tally::Cause;
use crate::load::timing;
use crate::net::Meter;

/// A connection, shared by its streams. All of them are on one event loop, so nobody ever waits for the lock but while
/// one of them connects for all.
pub(in crate::load) type Shared = Arc<Mutex<Option<Open>>>;

/// A connection that is open.
#[derive(Debug)]
pub(in crate::load) struct Open {
    sender: SendRequest<Bytes>,
    meter: Arc<Meter>,
    /// Bytes that were told of it: out, and in.
    told: (u64, u64),
}

/// What the server may send of one answer, and of all of them, before it is told that it was taken. Bytes.
const STREAM_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = 16 << 20;
/// The longest head of an answer, as HTTP/1.1's. Bytes.
const HEAD_BYTES: u32 = 64 << 10;

/// A stream after the other, on a connection that is shared.
pub(in crate::load) struct H2 {
    line: Line,
    script: Arc<Script>,
    reader: Reader,
    shared: Shared,
    sender: Option<SendRequest<Bytes>>,
}

impl H2 {
    pub(in crate::load) fn new(line: Line, script: Arc<Script>, shared: Shared, slot: usize) -> H2 {
        H2 {
            line,
            reader: script.reader(slot),
            script,
            shared,
            sender: None,
        }
    }

    async fn ask(&mut self) -> Result<(u16, Option<Kept>), Failure> {
        let (Some(sender), Some(step)) = (&self.sender, self.script.step(&self.reader)) else {
            return Err(Failure::new(Cause::Closed, "the connection is gone"));
        };
        let (head, body) = match (&step.http2, &step.plain) {
            (Some(head), Some(plain)) => (head.clone(), plain.body.clone()),
            _ => {
                let made = step.render(&self.reader)?;
                (made.http2(&self.line.to), made.body)
            }
        };
        let mut keeps = step.keeps().then(Kept::default);
        let mut sender = sender.clone().ready().await.map_err(failed)?;
        let (answer, mut stream) = sender.send_request(head, body.is_empty()).map_err(failed)?;
        self.sender = Some(sender);
        if !body.is_empty() {
            stream.send_data(body, true).map_err(failed)?;
        }
        let answer = answer.await.map_err(failed)?;
        let (head, mut body) = answer.into_parts();
        if self.script.wants_timing {
            for value in head.headers.get_all("server-timing") {
                timing::parse(value.as_bytes(), |name, took| {
                    lane::with(|lane| lane.recorder.server.record(name, took));
                });
            }
        }
        if let Some(kept) = &mut keeps {
            kept.fields = head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect();
        }
        while let Some(data) = body.data().await {
            let data = data.map_err(failed)?;
            if let Some(kept) = &mut keeps {
                kept.take(&data);
            }
            body.flow_control()
                .release_capacity(data.len())
                .map_err(failed)?;
        }
        Ok((head.status.as_u16(), keeps))
    }
}

impl Talk for H2 {
    fn is_connected(&self) -> bool {
        self.sender.is_some()
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let shared = self.shared.clone();
        let mut shared = shared.lock().await;
        if let Some(open) = shared.as_ref()
            && let Ok(ready) = open.sender.clone().ready().await
        {
            // Another stream has connected.
            self.sender = Some(ready);
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
        let meter = conn.meter().clone();
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(HEAD_BYTES);
        let (sender, connection) = builder.handshake(conn).await.map_err(failed)?;
        // Its end is seen by those who ask on it.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        *shared = Some(Open {
            sender: sender.clone(),
            meter,
            told: (0, 0),
        });
        self.sender = Some(sender);
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Answer, Failure> {
        let (status, kept) = self.ask().await?;
        let is_expected = self.script.next(&mut self.reader, Some(status), kept)?;
        Ok(Answer {
            status: Some(status),
            is_expected,
        })
    }

    fn poll_idle(&mut self, _: &mut Context<'_>) {
        // Whether the connection is still there is seen when it is asked on: it belongs to others too.
    }

    fn hang_up(&mut self) {
        self.sender = None;
        self.script.restart(&mut self.reader);
    }

    fn take_bytes(&mut self) -> (u64, u64) {
        // What the connection's other streams had of them is told here too, once.
        let Ok(mut shared) = self.shared.try_lock() else {
            return (0, 0);
        };
        let Some(open) = shared.as_mut() else {
            return (0, 0);
        };
        let now = (open.meter.written(), open.meter.read());
        let before = std::mem::replace(&mut open.told, now);
        (now.0 - before.0, now.1 - before.1)
    }
}

fn failed(error: h2::Error) -> Failure {
    let text = format!("HTTP/2: {error}");
    if error.is_io() {
        return match error.into_io() {
            Some(error) => Failure::io(error),
            None => Failure::new(Cause::Closed, text),
        };
    }
    let cause = match () {
        () if error.is_reset() => Cause::Reset,
        () if error.is_go_away() => Cause::Closed,
        () => Cause::Protocol,
    };
    Failure::new(cause, text)
}

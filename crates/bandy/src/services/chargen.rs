//! A source (RFC 864).

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::error::{Result, is_closed};
use crate::net::conn::{Conn, Framing, Message, poll_read_scratch};
use crate::service::Service;

/// The chargen service: on a stream the printable characters over and over, in lines of 72 that start one character
/// further each time, until the peer closes; to each datagram one of up to 512 characters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chargen;

/// Space to tilde.
const PRINTABLE: usize = 95;
const LINE_CHARS: usize = 72;
/// After this many bytes the pattern is where it began.
const PERIOD: usize = PRINTABLE * (LINE_CHARS + 2);
/// The longest answer to a datagram (RFC 864).
const DATAGRAM_MAX: usize = 512;

/// Some whole periods, so that one write carries a good deal.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let line = |start: usize| {
        let chars = (0..LINE_CHARS).map(move |i| b' ' + ((start + i) % PRINTABLE) as u8);
        chars.chain(*b"\r\n")
    };
    let period: Vec<u8> = (0..PRINTABLE).flat_map(line).collect();
    period.repeat(256 * 1024 / PERIOD).into()
});

impl Service<Conn> for Chargen {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        if conn.framing() == Framing::Message {
            return answer_datagrams(conn).await;
        }
        let mut source = Source {
            at: 0,
            peer_ended: false,
        };
        let ended = std::future::poll_fn(|cx| source.poll(cx, &mut conn)).await;
        match ended {
            // There is no other way to end this conversation than to leave it.
            Err(e) if is_closed(e.kind()) => Ok(()),
            other => other.map_err(|e| conn.failed("writing to", e)),
        }
    }
}

async fn answer_datagrams(mut conn: Conn) -> Result<()> {
    let mut count = 0usize;
    while conn.recv().await?.is_some() {
        // RFC 864 asks for a random length; one that walks through all of them serves tests better.
        let len = count * 37 % (DATAGRAM_MAX + 1);
        let start = count * (LINE_CHARS + 2) % PERIOD;
        conn.send(Message::binary(PATTERN.slice(start..start + len)))
            .await?;
        count = count.wrapping_add(1);
    }
    Ok(())
}

struct Source {
    at: usize,
    peer_ended: bool,
}

impl Source {
    /// Writes for as long as the peer takes it, and throws away what the peer says.
    fn poll(&mut self, cx: &mut Context<'_>, conn: &mut Conn) -> Poll<std::io::Result<()>> {
        while !self.peer_ended {
            match poll_read_scratch(Pin::new(conn), cx) {
                Poll::Ready(read) => self.peer_ended = read? == 0,
                Poll::Pending => break,
            }
        }
        loop {
            let rest = PATTERN.get(self.at..).unwrap_or_default();
            let n = ready!(Pin::new(&mut *conn).poll_write(cx, rest))?;
            self.at = (self.at + n) % PATTERN.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_the_rfcs() {
        assert!(PATTERN.starts_with(
            b" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n!\"#"
        ));
        assert_eq!(PATTERN.len() % PERIOD, 0);
        assert_eq!(PATTERN[..PERIOD], PATTERN[PERIOD..2 * PERIOD]);
    }
}

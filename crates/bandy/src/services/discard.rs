//! A sink (RFC 863).

use std::pin::Pin;

use crate::error::Result;
use crate::net::conn::{Conn, Framing, poll_read_scratch};
use crate::service::Service;

/// The discard service: takes everything and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Service<Conn> for Discard {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        loop {
            let is_end = match conn.framing() {
                Framing::Stream => {
                    let read =
                        std::future::poll_fn(|cx| poll_read_scratch(Pin::new(&mut conn), cx));
                    read.await.map_err(|e| conn.failed("reading from", e))? == 0
                }
                Framing::Message => conn.recv().await?.is_none(),
            };
            if is_end {
                conn.close().await;
                return Ok(());
            }
        }
    }
}

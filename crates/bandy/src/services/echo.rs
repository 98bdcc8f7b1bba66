//! What it received, byte for byte (RFC 862).

use crate::error::{Kind, Result};
use crate::net::conn::{Conn, Framing};
use crate::net::pump::{Around, Pump};
use crate::service::Service;

/// The echo service: on a stream every byte, on messages every message, marked as it was.
///
/// Streams of any length pass in bounded memory: what the peer does not read back is not read from it either.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Service<Conn> for Echo {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        match conn.framing() {
            Framing::Stream => {
                let mut pump = Pump::default();
                let echoed = std::future::poll_fn(|cx| pump.poll(cx, &mut Around(&mut conn))).await;
                let Err(failed) = echoed else {
                    return Ok(());
                };
                let error = failed.name(&conn);
                if error.kind() == Kind::Closed {
                    // Over TLS some clients half-close without a goodbye. All they said is answered: they get ours.
                    let _ = conn.finish().await;
                }
                Err(error)
            }
            Framing::Message => {
                while let Some(message) = conn.recv().await? {
                    conn.send(message).await?;
                }
                Ok(())
            }
        }
    }
}

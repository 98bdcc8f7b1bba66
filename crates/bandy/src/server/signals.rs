//! When the system asks a process to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Kind, Result, Side};

/// Requests to end: SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

impl Shutdown {
    /// Listens for both from now on; they no longer end the process by themselves.
    ///
    /// # Errors
    /// That the system does not let us.
    pub fn new() -> Result<Shutdown> {
        let listen = |kind| {
            signal(kind)
                .map_err(|e| Error::new(Kind::Io, Side::Local, "listening for signals").because(e))
        };
        Ok(Shutdown {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next request. Cancel-safe.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

//! Whether a client that sends a body is fast enough, whichever HTTP it speaks.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Kind, Side};
use crate::limits::HttpLimits;
use crate::net::Tick;

/// What came of a body, and how long that was waited for. The time in which nobody waits is the service's.
#[derive(Debug, Default)]
pub(super) struct Pace {
    received: u64,
    /// How long the client has been waited for, up to `since`.
    waited: Duration,
    since: Option<Tick>,
}

impl Pace {
    pub(super) fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The wait is over: something came.
    pub(super) fn came(&mut self) {
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
    }

    /// The client is waited for from now on, if it was not: until when it may be.
    pub(super) fn deadline(&mut self, limits: &HttpLimits) -> Option<Tick> {
        let since = *self.since.get_or_insert_with(Tick::now);
        Some(since.plus(self.allowed(limits)?.saturating_sub(self.waited)))
    }

    fn allowed(&self, limits: &HttpLimits) -> Option<Duration> {
        let millis = self
            .received
            .saturating_mul(1000)
            .checked_div(limits.body_rate)?;
        Some(
            limits
                .body_grace
                .saturating_add(Duration::from_millis(millis)),
        )
    }

    pub(super) fn too_slow(&self, limits: &HttpLimits, peer: impl fmt::Display) -> Error {
        let act = format!("reading a request's body from {peer}");
        let why = format!(
            "it came slower than {} bytes a second for {:?}",
            limits.body_rate,
            self.allowed(limits).unwrap_or_default()
        );
        Error::new(Kind::TimedOut, Side::Downstream, act).because(why)
    }
}

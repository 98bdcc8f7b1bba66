//! The clock that deadlines are kept by.

use std::time::Duration;

/// A moment on the monotonic clock as of the system's last tick: to within a few milliseconds, and a fifth of the price
/// of the exact clock, for what happens with every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

impl Tick {
    /// The clock's step: a look any earlier finds it where it was.
    pub const STEP: Duration = Duration::from_millis(4);

    /// Now.
    pub fn now() -> Tick {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        Tick::from_nanos(
            now.tv_sec
                .cast_unsigned()
                .wrapping_mul(1_000_000_000)
                .wrapping_add(now.tv_nsec.cast_unsigned()),
        )
    }

    /// This long from now.
    pub fn after(wait: Duration) -> Tick {
        Tick::now().plus(wait)
    }

    /// This much later.
    pub fn plus(self, wait: Duration) -> Tick {
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Tick(self.0.saturating_add(wait))
    }

    /// How long until then; nothing if it is past.
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(Tick::now().0))
    }

    /// How long since then.
    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(Tick::now().0.saturating_sub(self.0))
    }

    /// Whether it is now or was before.
    pub fn is_past(self) -> bool {
        self <= Tick::now()
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn from_nanos(nanos: u64) -> Tick {
        Tick(nanos)
    }
}

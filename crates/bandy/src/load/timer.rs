//! A timer that is exact to microseconds: what is due at a rate cannot wait for a tick of a millisecond.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Instant;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// See timerfd_create(2).
#[derive(Debug)]
pub(super) struct Timer {
    fd: AsyncFd<OwnedFd>,
    /// What it is set to.
    set: Option<Instant>,
}

/// Nothing is waited for more finely: a system call costs about as much.
const FINEST_NANOS: u128 = 20_000;

impl Timer {
    pub(super) fn new() -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Timer {
            fd: watched(fd)?,
            set: None,
        })
    }

    /// Ready once it is `when`.
    pub(super) fn poll_until(&mut self, when: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let wait = when.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            self.set = None;
            return Poll::Ready(());
        }
        if self.set != Some(when) {
            let nanos = wait.as_nanos().max(FINEST_NANOS);
            let spec = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec {
                    tv_sec: (nanos / 1_000_000_000) as i64,
                    tv_nsec: (nanos % 1_000_000_000) as i64,
                },
            };
            if timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &spec).is_err() {
                // Looking again at once is right, if costly.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.set = Some(when);
        }
        // What it was set to before may have come meanwhile: each setting is an event of its own.
        while let Poll::Ready(Ok(mut ready)) = self.fd.poll_read_ready(cx) {
            ready.clear_ready();
            if Instant::now() >= when {
                self.set = None;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for descriptors that close under it; this one is owned"
)]
fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}

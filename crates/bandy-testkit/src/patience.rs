//! Waiting for an event, for a bounded time.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen: far longer than it takes, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What `future` comes to.
///
/// # Panics
/// After [`PATIENCE`], saying `what` was waited for and where.
#[track_caller]
pub fn within<F: Future>(what: impl Display, future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{caller}: waited {PATIENCE:?} for {what}"),
        }
    }
}

/// What `look` finds, for what nobody tells us of. It is called again for as long as it fails.
///
/// # Panics
/// After [`PATIENCE`], saying `what` was waited for, and what was seen instead.
#[track_caller]
pub fn eventually<T, E: Display>(what: impl Display, mut look: impl FnMut() -> Result<T, E>) -> T {
    let since = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if since.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} for {what}; seen instead: {seen}")
            }
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}

//! The end of a server, as its connections hear of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a server has begun to end. All its connections share one.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Says that it has. `true` the first time.
    pub fn begin(&self) -> bool {
        !self.0.swap(true, Relaxed)
    }

    /// Whether it has.
    pub fn is_begun(&self) -> bool {
        self.0.load(Relaxed)
    }
}

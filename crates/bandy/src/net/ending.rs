//! What the connections of a server know of it: that it ends, and where they are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::tally::{Counted, Tally};

/// Whether a server has begun to end. All its connections share one.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    is_begun: AtomicBool,
    /// What is counted of the server. Connections that we made are not.
    tally: Option<Tally>,
}

impl Ending {
    /// The end of a server whose connections are counted.
    pub(crate) fn of_server() -> Ending {
        Ending(Arc::new(Known {
            is_begun: AtomicBool::new(false),
            tally: Some(Tally::default()),
        }))
    }

    pub(crate) fn tally(&self) -> Option<&Tally> {
        self.0.tally.as_ref()
    }

    /// What was counted of the server's connections.
    pub fn counted(&self) -> Counted {
        self.tally().map(Tally::counted).unwrap_or_default()
    }

    /// Says that it has. `true` the first time.
    pub fn begin(&self) -> bool {
        !self.0.is_begun.swap(true, Relaxed)
    }

    /// Whether it has.
    pub fn is_begun(&self) -> bool {
        self.0.is_begun.load(Relaxed)
    }
}

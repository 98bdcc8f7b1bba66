//! What answers at a server now, and what the conversations that it began share.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::drain::Drain;
use super::serve::OverloadLog;
use crate::limits::Limits;
use crate::net::conn::Conn;
use crate::service::BoxService;

/// What all conversations share that were begun while it was what answers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) service_name: String,
    pub(super) service: BoxService<Conn>,
    pub(super) limits: Limits,
    /// The places for connections: those of all generations.
    pub(super) places: Arc<Semaphore>,
    pub(super) drain: Arc<Drain>,
    pub(super) overload: OverloadLog,
}

impl Shared {
    /// As many places as the limit says.
    pub(super) fn places(limits: &Limits) -> usize {
        limits.connections.min(Semaphore::MAX_PERMITS)
    }
}

/// What answers now. Each connection is looked at once, when it is accepted.
#[derive(Debug)]
pub(super) struct Live {
    current: RwLock<Arc<Shared>>,
    pub(super) drain: Arc<Drain>,
}

impl Live {
    pub(super) fn new(shared: Shared) -> Live {
        Live {
            drain: shared.drain.clone(),
            current: RwLock::new(Arc::new(shared)),
        }
    }

    pub(super) fn current(&self) -> Arc<Shared> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Has something else answer the connections that are accepted from now on.
    pub(super) fn replace(&self, next: Shared, event_loop: &Handle) {
        let before = self.current();
        let (had, has) = (Shared::places(&before.limits), Shared::places(&next.limits));
        resize(&next.places, had, has, event_loop);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

/// Gives out as many places more or fewer as the limit has changed by. Places that are taken come in as they become free.
fn resize(places: &Arc<Semaphore>, before: usize, after: usize, event_loop: &Handle) {
    if after >= before {
        places.add_permits(after - before);
        return;
    }
    let owed = before - after;
    let left = owed - places.forget_permits(owed);
    // More than the system has connections cannot be owed.
    let Ok(left @ 1..) = u32::try_from(left) else {
        return;
    };
    let places = places.clone();
    event_loop.spawn(async move {
        // The semaphore is never closed.
        if let Ok(permits) = places.acquire_many_owned(left).await {
            permits.forget();
        }
    });
}

//! The one accept loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Shared;
use super::converse::{Conversation, Held};
use super::drain::Part;
use super::model::Run;
use crate::endpoint::Carries;
use crate::limits::Overload;
use crate::net::{Incoming, Listener};

/// Accepts from one listener until the server stops, and has each connection run as the server's model says.
///
/// Never waits for a handshake or a service, unless the model says to.
pub(super) async fn serve(server: Arc<Shared>, mut listener: Listener, run: Run, _part: Part) {
    let stopping = server.drain.stopping();
    tokio::pin!(stopping);
    let gate = Gate::of(&server, &listener);
    loop {
        let accept = async {
            let place = gate.wait(&server).await;
            (place, listener.accept().await)
        };
        let (place, incoming) = tokio::select! {
            biased;
            () = &mut stopping => return,
            accepted = accept => accepted,
        };
        let Some(place) = place.or_else(|| gate.try_enter(&server, &incoming)) else {
            continue;
        };
        let part = server.drain.part();
        let held = Held {
            _place: place,
            _part: part,
            _on_loop: None,
        };
        let conversation = Conversation {
            server: server.clone(),
            incoming,
            held,
        };
        run.run(conversation).await;
    }
}

/// A place among the server's connections.
pub(super) enum Place {
    /// One of a limited number.
    One(#[expect(dead_code, reason = "its drop is its use")] OwnedSemaphorePermit),
    /// UDP flows are limited by their listener.
    Unlimited,
}

/// The connection limit, as one listener meets it.
enum Gate {
    Open,
    Wait(Arc<Semaphore>),
    Refuse(Arc<Semaphore>),
}

impl Gate {
    fn of(server: &Shared, listener: &Listener) -> Gate {
        let places = server.places.clone();
        match (
            listener.endpoint().scheme().carries(),
            server.limits.overload,
        ) {
            (Carries::Datagram, _) => Gate::Open,
            (_, Overload::Wait) => Gate::Wait(places),
            (_, Overload::Refuse) => Gate::Refuse(places),
        }
    }

    /// Waits for a place before a connection is accepted: those beyond the limit stay in the system's backlog.
    async fn wait(&self, server: &Shared) -> Option<Place> {
        let places = match self {
            Gate::Open => return Some(Place::Unlimited),
            Gate::Refuse(_) => return None,
            Gate::Wait(places) => places,
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Some(Place::One(place));
        }
        server
            .overload
            .say(server, "at the connection limit; new connections wait");
        // The semaphore is never closed.
        places.clone().acquire_owned().await.ok().map(Place::One)
    }

    /// Gives an accepted connection a place, or refuses it.
    fn try_enter(&self, server: &Shared, incoming: &Incoming) -> Option<Place> {
        let Gate::Refuse(places) = self else {
            return None;
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Some(Place::One(place));
        }
        tracing::warn!(
            server = %server.name,
            endpoint = %incoming.endpoint(),
            peer = %incoming.peer(),
            connections = server.limits.connections,
            "refused: at the connection limit"
        );
        None
    }
}

/// Says that the server is overloaded, once for each doubling, so that a long overload does not fill the log.
#[derive(Debug, Default)]
pub(super) struct OverloadLog(AtomicUsize);

impl OverloadLog {
    fn say(&self, server: &Shared, what: &str) {
        let times = self.0.fetch_add(1, Relaxed) + 1;
        if times.is_power_of_two() {
            let connections = server.limits.connections;
            tracing::warn!(server = %server.name, connections, times, "{what}");
        }
    }
}

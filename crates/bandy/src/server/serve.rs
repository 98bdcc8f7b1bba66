//! The one accept loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};

use super::converse::{Conversation, Held};
use super::drain::Part;
use super::live::{Live, Shared};
use super::model::Run;
use crate::endpoint::Carries;
use crate::limits::Overload;
use crate::net::{Incoming, Listener};

/// Accepts from one listener until the server stops or the listener is closed, and has each connection run as the
/// server's model says.
///
/// Never waits for a handshake or a service, unless the model says to.
pub(super) async fn serve(
    live: Arc<Live>,
    mut listener: Listener,
    run: Run,
    mut is_open: watch::Receiver<()>,
    _part: Part,
) {
    let stopping = async {
        tokio::select! {
            () = live.drain.stopping() => {}
            // Nothing is ever sent: an error says that the sender is gone.
            _ = is_open.changed() => {}
        }
    };
    tokio::pin!(stopping);
    let carries = listener.endpoint().scheme().carries();
    loop {
        // Accepted first: a listener that nobody talks to holds no place and no turn that others wait for.
        let admit = async {
            let incoming = listener.accept().await;
            let server = live.current();
            let (place, incoming) = Gate::of(&server, carries).enter(&server, incoming).await?;
            let (turn, incoming) = run.turn(incoming).await;
            Some((server, place, turn, incoming))
        };
        let admitted = tokio::select! {
            biased;
            () = &mut stopping => break,
            admitted = admit => admitted,
        };
        let Some((server, place, turn, incoming)) = admitted else {
            continue;
        };
        let running = run.run(conversation(server, incoming, place), turn);
        tokio::pin!(running);
        tokio::select! {
            biased;
            () = &mut running => {}
            // Whoever runs its conversations here stops accepting too, and not after the last of them.
            () = &mut stopping => {
                drop(listener);
                return running.await;
            }
        }
    }
    if !run.is_in_turn() {
        last_call(&live, &mut listener, carries, &run).await;
    }
    // Before our part in the server ends: once it is drained, its port and its socket file are free.
    listener.close().await;
}

/// Takes those who connected before the server stopped and were not accepted yet: closing the socket would reset them.
async fn last_call(live: &Live, listener: &mut Listener, carries: Carries, run: &Run) {
    let end = Instant::now() + LAST_CALL;
    let next = Duration::from_millis(2);
    while let Ok(incoming) = timeout_at(end.min(Instant::now() + next), listener.accept()).await {
        let server = live.current();
        if let Some(place) = Gate::of(&server, carries).try_enter(&server) {
            run.run(conversation(server, incoming, place), None).await;
        } else {
            refuse(&server, &incoming);
        }
    }
}

/// How long the last call takes at most, however many come.
const LAST_CALL: Duration = Duration::from_millis(50);

fn conversation(server: Arc<Shared>, incoming: Incoming, place: Place) -> Conversation {
    let held = Held {
        _place: place,
        _part: server.drain.part(),
        _on_loop: None,
    };
    Conversation {
        server,
        incoming,
        held,
    }
}

/// A place among the server's connections.
pub(super) enum Place {
    /// One of a limited number.
    One(#[expect(dead_code, reason = "its drop is its use")] OwnedSemaphorePermit),
    /// UDP flows are limited by their listener.
    Unlimited,
}

/// The connection limit, as what one listener accepts meets it.
#[derive(Debug, Clone, Copy)]
enum Gate {
    Open,
    Wait,
    Refuse,
}

impl Gate {
    fn of(server: &Shared, carries: Carries) -> Gate {
        match (carries, server.limits.overload) {
            (Carries::Datagram, _) => Gate::Open,
            (_, Overload::Wait) => Gate::Wait,
            (_, Overload::Refuse) => Gate::Refuse,
        }
    }

    /// A place, if there is one now.
    fn try_enter(self, server: &Shared) -> Option<Place> {
        match self {
            Gate::Open => Some(Place::Unlimited),
            Gate::Wait | Gate::Refuse => server
                .places
                .clone()
                .try_acquire_owned()
                .ok()
                .map(Place::One),
        }
    }

    /// Gives an accepted connection a place: at once, when one becomes free, or not at all. While one waits here no
    /// other is accepted, and those stay in the system's backlog.
    async fn enter(self, server: &Shared, incoming: Incoming) -> Option<(Place, Incoming)> {
        if let Some(place) = self.try_enter(server) {
            return Some((place, incoming));
        }
        let Gate::Wait = self else {
            refuse(server, &incoming);
            return None;
        };
        server
            .overload
            .say(server, "at the connection limit; new connections wait");
        // The semaphore is never closed.
        let place = server.places.clone().acquire_owned().await.ok()?;
        Some((Place::One(place), incoming.counted_from_now()))
    }
}

fn refuse(server: &Shared, incoming: &Incoming) {
    if let Some(tally) = server.drain.ending().tally() {
        tally.refused();
    }
    tracing::warn!(
        server = %server.name,
        endpoint = %incoming.endpoint(),
        peer = %incoming.peer(),
        connections = server.limits.connections,
        "refused: at the connection limit"
    );
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

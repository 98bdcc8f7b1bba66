//! How a server runs its connections: on event loops, each on a thread, or one after the other.

use std::fmt;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::converse::Conversation;
use super::loops::{EventLoop, OnLoop};
use crate::net::Incoming;

/// How a server runs its connections. Services never know which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Model {
    /// One event loop per core, many connections on each.
    #[default]
    Async,
    /// An operating system thread for each connection, up to the connection limit.
    Threads,
    /// One connection at a time; the others wait in the backlog.
    Sequential,
}

impl Model {
    /// Every model, in the order that help texts list them.
    pub const ALL: [Model; 3] = [Model::Async, Model::Threads, Model::Sequential];

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Model::Async => "async",
            Model::Threads => "threads",
            Model::Sequential => "sequential",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How one accept loop has its connections run.
#[derive(Debug, Clone)]
pub(super) enum Run {
    /// As tasks on event loops, at best on the loop that accepts, which is number `home`.
    OnLoops {
        loops: Arc<[EventLoop]>,
        home: usize,
    },
    /// Each on a thread of its own.
    OnThreads,
    /// Here and now, one at a time among all the server's listeners.
    InTurn(Arc<Semaphore>),
}

/// The right to serve a connection, where only one has it.
pub(super) type Turn = Option<OwnedSemaphorePermit>;

impl Run {
    /// Whether one connection is served after the other.
    pub(super) fn is_in_turn(&self) -> bool {
        matches!(self, Run::InTurn(_))
    }

    /// Waits until this connection may be served.
    pub(super) async fn turn(&self, incoming: Incoming) -> (Turn, Incoming) {
        match self {
            Run::InTurn(turn) => {
                // Yields first: a listener that just had its turn lets the others try for it.
                tokio::task::yield_now().await;
                let turn = turn.clone().acquire_owned().await.ok();
                (turn, incoming.counted_from_now())
            }
            Run::OnLoops { .. } | Run::OnThreads => (None, incoming),
        }
    }

    /// Runs a conversation, or has it run.
    pub(super) async fn run(&self, conversation: Conversation, turn: Turn) {
        match self {
            Run::OnLoops { loops, home } => {
                on_loop(conversation, OnLoop::choose(loops, *home), *home)
            }
            Run::OnThreads => on_thread(conversation),
            Run::InTurn(_) => {
                conversation.run().await;
                drop(turn);
            }
        }
    }
}

fn on_loop(mut conversation: Conversation, place: OnLoop, home: usize) {
    if place.index() != home {
        let Some(loose) = conversation.loosen() else {
            return;
        };
        conversation = loose;
    }
    let Some(handle) = place.handle().cloned() else {
        return;
    };
    conversation.held._on_loop = Some(place);
    if conversation.incoming.has_handshake() {
        handle.spawn(conversation.run());
        return;
    }
    let _on_loop = handle.enter();
    if let Some(talk) = conversation.run_plain() {
        handle.spawn(talk);
    }
}

/// A thread with an event loop of its own: the service may wait the asynchronous way or block, and holds up nobody.
fn on_thread(conversation: Conversation) {
    let name = format!("bandy-{}", conversation.server.name);
    let Some(conversation) = conversation.loosen() else {
        return;
    };
    let body = move || match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(conversation.run()),
        Err(e) => {
            tracing::warn!(error = %e, "cannot start an event loop for a connection's thread; it is closed")
        }
    };
    if let Err(e) = thread::Builder::new().name(name).spawn(body) {
        tracing::warn!(error = %e, "cannot start a thread for a connection; it is closed");
    }
}

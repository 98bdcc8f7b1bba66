//! Connections inside one process: both ends. For tests, and for services that stand behind one another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// Connections that wait to be accepted.
const BACKLOG: usize = 1024;
/// Bytes that one end may write before the other reads.
const PIPE_BYTES: usize = 64 * 1024;

type Names = HashMap<String, mpsc::Sender<DuplexStream>>;

static LISTENING: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);

fn listening() -> MutexGuard<'static, Names> {
    // A map that somebody panicked beside is still a map.
    LISTENING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The listening end of a name.
#[derive(Debug)]
pub(super) struct Listener {
    name: String,
    incoming: mpsc::Receiver<DuplexStream>,
}

/// Takes a name, which must be free.
pub(super) fn listen(name: &str) -> io::Result<Listener> {
    let (sender, incoming) = mpsc::channel(BACKLOG);
    match listening().entry(name.to_owned()) {
        Entry::Occupied(_) => Err(io::ErrorKind::AddrInUse.into()),
        Entry::Vacant(free) => {
            free.insert(sender);
            Ok(Listener {
                name: name.to_owned(),
                incoming,
            })
        }
    }
}

impl Listener {
    /// The next connection. Cancel-safe.
    pub(super) async fn accept(&mut self) -> DuplexStream {
        match self.incoming.recv().await {
            Some(stream) => stream,
            // The sender lives in the table until this listener is dropped.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        listening().remove(&self.name);
    }
}

/// Connects to a name that something in this process listens on.
pub(super) async fn connect(name: &str) -> io::Result<DuplexStream> {
    let listener = listening().get(name).cloned();
    let Some(listener) = listener else {
        return Err(io::ErrorKind::ConnectionRefused.into());
    };
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    match listener.send(theirs).await {
        Ok(()) => Ok(ours),
        Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

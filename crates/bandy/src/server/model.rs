//! How a server runs its connections.

use std::fmt;

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

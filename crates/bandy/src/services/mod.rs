//! The services that come with Bandy, one a file, and what each can stand on.

pub mod admin;
pub mod answers;
pub mod api;
pub mod balance;
mod build;
pub mod chargen;
pub mod chat;
pub mod discard;
pub mod echo;
pub mod exec;
pub mod files;
pub mod greet;
pub mod reply;
pub mod template;

use std::fmt;
use std::time::Duration;

use crate::endpoint::Carries;
use crate::net::Messages;

pub use answers::{Answers, Route, To};
pub use build::{Built, Needs, build};

/// Which service, and what it was told: the value that a configuration's `service` key and the command line both
/// become.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spec {
    /// What it received, byte for byte.
    Echo,
    /// A text to whoever connects.
    Greet {
        /// What is said, as it stands; a line end is added where it has none.
        text: String,
    },
    /// A template for each message.
    Reply {
        /// The template, with its fields in braces. See [`template`].
        template: String,
        /// On a stream a message is a line. One that is not finished is taken as a message after this long a silence;
        /// `None` waits for its end.
        pause: Option<Duration>,
    },
    /// Takes everything and says nothing (RFC 863).
    Discard,
    /// Says the printable characters over and over (RFC 864).
    Chargen,
    /// A program for each connection, or for each request (CGI/1.1).
    Exec {
        /// The program and its arguments; no shell is between.
        command: Vec<String>,
        /// How many may run at once; a connection beyond that is closed with a line in the log, a request
        /// waits for a while and is then answered with 503.
        programs: usize,
    },
    /// A folder's files.
    Files(files::Options),
    /// The application server: sums, accounts, records, endpoints to test clients with.
    Api(api::Options),
    /// Another server's answer.
    Balance(Box<balance::Options>),
    /// Rooms that people talk in, whatever each of them speaks.
    Chat(chat::Options),
}

impl Spec {
    /// The default of `pause`.
    pub const PAUSE: Duration = Messages::PAUSE;
    /// The default of `programs`.
    pub const PROGRAMS: usize = 100;
    /// The name of every service, in the order that help texts list them.
    pub const NAMES: [&'static str; 10] = [
        "echo", "greet", "reply", "discard", "chargen", "exec", "files", "api", "chat", "balance",
    ];

    /// The service's name, as written.
    pub fn name(&self) -> &'static str {
        match self {
            Spec::Echo => "echo",
            Spec::Greet { .. } => "greet",
            Spec::Reply { .. } => "reply",
            Spec::Discard => "discard",
            Spec::Chargen => "chargen",
            Spec::Exec { .. } => "exec",
            Spec::Files(_) => "files",
            Spec::Api(_) => "api",
            Spec::Balance(_) => "balance",
            Spec::Chat(_) => "chat",
        }
    }

    /// Whether the service of this name answers requests.
    pub fn answers_requests(name: &str) -> bool {
        !matches!(name, "discard" | "chargen")
    }

    /// Whether the service needs a store.
    pub fn remembers(&self) -> bool {
        matches!(self, Spec::Api(_) | Spec::Chat(_))
    }

    /// Whether the service makes sense on what an endpoint's scheme carries.
    pub fn stands_on(&self, carries: Carries) -> bool {
        use Carries::{Datagram, Message, Request, Stream};
        match self {
            Spec::Echo | Spec::Reply { .. } | Spec::Balance(_) => {
                matches!(carries, Stream | Datagram | Message | Request)
            }
            Spec::Greet { .. } | Spec::Exec { .. } | Spec::Chat(_) => {
                matches!(carries, Stream | Message | Request)
            }
            Spec::Discard | Spec::Chargen => matches!(carries, Stream | Datagram),
            Spec::Files(_) | Spec::Api(_) => matches!(carries, Request),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

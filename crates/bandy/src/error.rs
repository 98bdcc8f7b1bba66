//! Errors that name the act, the endpoint, the cause and the side.
//!
//! `connecting to tcp://db:5432: connection refused` says more than `connection refused`: an [`Error`] always says what
//! was attempted, whose side failed, and, where there is something to try, what. Printing it gives one line; the hint
//! is apart, so that a program can put it where its users look.

use std::fmt;
use std::io;

/// The result of anything in this library that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose side failed: the operator's first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The peer that came to us.
    Downstream,
    /// This process, its configuration or its machine.
    Local,
    /// The peer that we went to.
    Upstream,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Downstream => "downstream",
            Side::Local => "local",
            Side::Upstream => "upstream",
        })
    }
}

/// What sort of failure it was: what a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request to this library was wrong: a bad address, a missing file, a service that cannot stand there.
    Usage,
    /// A name did not resolve.
    NotResolved,
    /// No connection came about.
    NotConnected,
    /// A deadline passed.
    TimedOut,
    /// The TLS handshake or record layer failed.
    Tls,
    /// The other end's certificate is not trusted.
    Untrusted,
    /// The peer closed or reset the conversation where it should have gone on.
    Closed,
    /// The peer did not keep to the protocol.
    Protocol,
    /// A limit was reached.
    Overload,
    /// What the peer sent is longer than is taken.
    TooLarge,
    /// Somebody else has changed what was to be changed.
    Conflict,
    /// What was asked for was there once, and is not any more.
    Gone,
    /// The operating system said no, in any other way.
    Io,
    /// Anything else: what a service of one's own reports.
    Other,
}

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What was attempted, whose side failed, and why.
pub struct Error(Box<Parts>);

struct Parts {
    act: String,
    side: Side,
    kind: Kind,
    cause: Option<Cause>,
    hint: Option<String>,
}

impl Error {
    /// A failure of `act`, a phrase such as `connecting to tcp://db:5432`.
    pub fn new(kind: Kind, side: Side, act: impl Into<String>) -> Error {
        Error(Box::new(Parts {
            act: act.into(),
            side,
            kind,
            cause: None,
            hint: None,
        }))
    }

    /// The same error with its cause, printed behind the act.
    pub fn because(mut self, cause: impl Into<Cause>) -> Error {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error with what to try next.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// What sort of failure it was.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whose side failed.
    pub fn side(&self) -> Side {
        self.0.side
    }

    /// What to try next, where there is something.
    pub fn next_step(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What was attempted.
    pub fn act(&self) -> &str {
        &self.0.act
    }

    /// An I/O failure while talking to a peer on `side`, sorted by what the system said.
    ///
    /// An [`Error`] that travelled inside the [`io::Error`] (a TLS or WebSocket step's) comes out as it went in.
    pub fn talking(side: Side, act: impl Into<String>, cause: io::Error) -> Error {
        match cause.downcast::<Error>() {
            Ok(inner) => inner,
            Err(cause) => {
                let kind = match cause.kind() {
                    io::ErrorKind::TimedOut => Kind::TimedOut,
                    io::ErrorKind::InvalidData => Kind::Protocol,
                    io::ErrorKind::ConnectionRefused => Kind::NotConnected,
                    kind if is_closed(kind) => Kind::Closed,
                    _ => Kind::Io,
                };
                Error::new(kind, side, act).because(Plain(cause))
            }
        }
    }

    /// The error as an [`io::Error`], for traits that only know those; [`Error::talking`] takes it out again.
    pub fn into_io(self) -> io::Error {
        let kind = match self.kind() {
            Kind::TimedOut => io::ErrorKind::TimedOut,
            Kind::Closed => io::ErrorKind::ConnectionReset,
            Kind::Protocol | Kind::Tls | Kind::Untrusted => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

/// For services: `?` on the reads and writes of a connection. The server's log names the peer.
impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Error {
        Error::talking(Side::Downstream, "talking with the peer", cause)
    }
}

/// Whether the peer is gone, in any of the ways that a system says so.
pub(crate) fn is_closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as K;
    matches!(
        kind,
        K::ConnectionReset
            | K::ConnectionAborted
            | K::BrokenPipe
            | K::NotConnected
            | K::UnexpectedEof
    )
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.act)?;
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?}, {} side)", self.0.kind, self.0.side)?;
        match &self.0.hint {
            Some(hint) => write!(f, "; try: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The cause is already in the line that `Display` prints: what lies below it is the source.
        self.0.cause.as_deref().and_then(|c| c.source())
    }
}

/// An I/O error that prints as a person reads it: `connection refused`, without `(os error 111)`.
pub(crate) struct Plain(pub(crate) io::Error);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = match text.find(" (os error") {
            Some(at) => &text[..at],
            None => &text,
        };
        let mut chars = text.chars();
        match chars.next() {
            // `Connection refused` stands behind a colon here; an acronym stays as it is.
            Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
                write!(f, "{}{}", first.to_lowercase(), chars.as_str())
            }
            _ => f.write_str(text),
        }
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Plain {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.get_ref().and_then(|e| e.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_act_and_cause() {
        let refused = io::Error::from_raw_os_error(111);
        let e = Error::new(
            Kind::NotConnected,
            Side::Upstream,
            "connecting to tcp://db:5432",
        )
        .because(Plain(refused))
        .hint("is the server running?");
        assert_eq!(
            e.to_string(),
            "connecting to tcp://db:5432: connection refused"
        );
        assert_eq!(e.next_step(), Some("is the server running?"));
    }

    #[test]
    fn an_error_survives_the_way_through_io() {
        let e = Error::new(
            Kind::Untrusted,
            Side::Upstream,
            "checking the certificate of a:1",
        )
        .into_io();
        let e = Error::talking(Side::Downstream, "reading", e);
        assert_eq!((e.kind(), e.side()), (Kind::Untrusted, Side::Upstream));
    }

    #[test]
    fn a_reset_is_the_peers_doing() {
        let e = Error::talking(
            Side::Downstream,
            "reading from 1.2.3.4:5",
            io::ErrorKind::ConnectionReset.into(),
        );
        assert_eq!(e.kind(), Kind::Closed);
        assert_eq!(e.to_string(), "reading from 1.2.3.4:5: connection reset");
    }
}

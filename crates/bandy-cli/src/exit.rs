//! Exit codes: what a script can tell apart.

use std::process::ExitCode;

use bandy::error::{Error, Kind};

/// An exit code; where curl has one for the same thing, it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Done = 0,
    Other = 1,
    Usage = 2,
    NotResolved = 6,
    NotConnected = 7,
    /// HTTP: the answer's status is 400 or more.
    Refused = 22,
    TimedOut = 28,
    Tls = 35,
    /// The peer closed without an answer.
    Empty = 52,
    Untrusted = 60,
    /// Fewer answers than were expected.
    Unmet = 110,
    /// A load threshold is not met.
    Threshold = 111,
    Interrupted = 130,
}

impl Code {
    /// The code for an error.
    pub fn of(error: &Error) -> Code {
        match error.kind() {
            Kind::Usage => Code::Usage,
            Kind::NotResolved => Code::NotResolved,
            Kind::NotConnected => Code::NotConnected,
            Kind::TimedOut => Code::TimedOut,
            Kind::Tls => Code::Tls,
            Kind::Untrusted => Code::Untrusted,
            _ => Code::Other,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

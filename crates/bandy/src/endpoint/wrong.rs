//! Why a text is not an endpoint, and what to write instead.

use std::fmt;
use std::net::Ipv6Addr;

use super::{Scheme, UNIX_PATH_MAX};
use crate::printable::printable;

/// Why a text is not an endpoint.
///
/// Its `Display` names the text and the cause; [`EndpointError::hint`] says what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointError {
    text: String,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    NoScheme,
    UnknownScheme(String),
    NoPort(Scheme),
    BadPort(String),
    BareV6(Scheme, Ipv6Addr, Option<u16>),
    BadV6(String),
    BadHost(String),
    EmptyPath,
    PathTooLong(usize),
    BadEscape,
    BadName(String),
    Unexpected(&'static str),
    BadTarget(char),
}

impl EndpointError {
    pub(super) fn new(text: &str, why: Why) -> EndpointError {
        EndpointError {
            text: text.to_owned(),
            why,
        }
    }

    /// What to write instead.
    pub fn hint(&self) -> String {
        let rest = self.text.trim_start_matches('/');
        match &self.why {
            Why::NoScheme => {
                let sample = if rest.is_empty() || !rest.contains(':') {
                    ":7000"
                } else {
                    rest
                };
                format!(
                    "put what is spoken in front, as in `tcp://{}`",
                    printable(sample)
                )
            }
            Why::UnknownScheme(scheme) => match nearest_scheme(scheme) {
                Some(near) => format!("did you mean `{near}://`?"),
                None => format!(
                    "the schemes are {}",
                    Scheme::ALL.map(Scheme::as_str).join(", ")
                ),
            },
            Why::NoPort(scheme) => {
                format!(
                    "write host and port, as in `{scheme}://127.0.0.1:7000` (0 takes a free port when listening)"
                )
            }
            Why::BadPort(_) => "a port is a number from 0 to 65535".to_owned(),
            Why::BareV6(scheme, ip, Some(port)) => format!("write `{scheme}://[{ip}]:{port}`"),
            Why::BareV6(scheme, ip, None) => format!("write `{scheme}://[{ip}]:PORT`"),
            Why::BadV6(_) => {
                "an IPv6 address stands in brackets, as in `tcp://[::1]:7000`; zones are not taken"
                    .to_owned()
            }
            Why::BadHost(_) => {
                "a host is an IPv4 address, an IPv6 address in brackets, or a DNS name".to_owned()
            }
            Why::EmptyPath => {
                "write the socket file's path, as in `unix:///run/app.sock`".to_owned()
            }
            Why::PathTooLong(_) => "use a shorter path, or a relative one".to_owned(),
            Why::BadEscape => "write a literal % as %25".to_owned(),
            Why::BadName(_) => "a name is letters, digits, `-`, `_` and `.`".to_owned(),
            Why::Unexpected(_) => "leave it out".to_owned(),
            Why::BadTarget(_) => "percent-encode it".to_owned(),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = printable(&self.text);
        write!(f, "`{text}` is not an endpoint: ")?;
        match &self.why {
            Why::NoScheme => write!(f, "it names no scheme"),
            Why::UnknownScheme(scheme) => write!(f, "there is no scheme `{}`", printable(scheme)),
            Why::NoPort(_) => write!(f, "it names no port"),
            Why::BadPort(port) => write!(f, "`{}` is not a port", printable(port)),
            Why::BareV6(..) => write!(f, "its IPv6 address is not in brackets"),
            Why::BadV6(host) => write!(f, "`{}` is not an IPv6 address", printable(host)),
            Why::BadHost(host) => write!(f, "`{}` is not a host", printable(host)),
            Why::EmptyPath => write!(f, "it names no socket file"),
            Why::PathTooLong(n) => write!(
                f,
                "its path has {n} bytes, and a socket's has at most {UNIX_PATH_MAX}"
            ),
            Why::BadEscape => write!(f, "a `%` in it is not followed by two hex digits"),
            Why::BadName(name) => write!(f, "`{}` is not a name", printable(name)),
            Why::Unexpected(what) => write!(f, "it cannot have {what}"),
            Why::BadTarget(c) => write!(f, "its path has {c:?}"),
        }
    }
}

impl std::error::Error for EndpointError {}

fn nearest_scheme(written: &str) -> Option<&'static str> {
    let lower = written.to_ascii_lowercase();
    match lower.as_str() {
        "ssl" => return Some("tls"),
        "websocket" => return Some("ws"),
        _ => {}
    }
    Scheme::ALL
        .map(Scheme::as_str)
        .into_iter()
        .find(|s| strsim::damerau_levenshtein(s, &lower) == 1)
}

//! The target of a request: its bytes, and which of four forms it has.

use super::{Reject, host};

/// What a target is (RFC 9112, section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form<'b> {
    /// `/path?query`: to this server.
    Origin,
    /// `http://host/path?query` or `https:`: to a proxy. Whatever Host says, `authority` is the host.
    Absolute {
        /// `host` or `host:port`.
        authority: &'b str,
        /// Begins with `/`, also where the target has no path.
        path_and_query: &'b str,
    },
    /// `host:port`, and the method is CONNECT.
    Authority,
    /// `*`, and the method is OPTIONS.
    Asterisk,
}

impl<'b> Form<'b> {
    /// The form of a target whose bytes are in order.
    pub(super) fn of(method: &str, target: &'b str) -> Result<Form<'b>, Reject> {
        if method == "CONNECT" {
            return match host::split(target.as_bytes()) {
                Some(Some(_port)) => Ok(Form::Authority),
                _ => Err(Reject::TargetForm),
            };
        }
        if target.starts_with('/') {
            return Ok(Form::Origin);
        }
        if target == "*" {
            return match method {
                "OPTIONS" => Ok(Form::Asterisk),
                _ => Err(Reject::TargetForm),
            };
        }
        absolute(target)
    }
}

fn absolute(target: &str) -> Result<Form<'_>, Reject> {
    let (scheme, rest) = target.split_once("://").ok_or(Reject::Target)?;
    let is_http = ["http", "https"]
        .iter()
        .any(|s| s.eq_ignore_ascii_case(scheme));
    let (authority, path_and_query) = match rest.find(['/', '?']) {
        None => (rest, "/"),
        Some(at) => rest.split_at(at),
    };
    // A query without a path could not be written in origin form as it stands.
    if is_http && path_and_query.starts_with('/') && host::is_valid_host(authority) {
        return Ok(Form::Absolute {
            authority,
            path_and_query,
        });
    }
    Err(Reject::Target)
}

/// Whether a target has only bytes that one may have, whatever its form: what came another way than over HTTP/1.1 could
/// be sent on over it.
pub fn is_valid_target(target: &str) -> bool {
    !target.is_empty() && length(target.as_bytes()) == target.len()
}

/// How many bytes from the start are of a target.
///
/// They are those that [`http::Uri`] takes: visible ASCII but for `#`, `<` and `>`, and also without a backtick in the
/// path and without a double quote in the query. Nothing that a browser leaves unescaped is missing.
#[inline]
pub(super) fn length(bytes: &[u8]) -> usize {
    let mut part = IN_PATH;
    for (at, &byte) in bytes.iter().enumerate() {
        if TARGET[usize::from(byte)] & part == 0 {
            return at;
        }
        if byte == b'?' {
            part = IN_QUERY;
        }
    }
    bytes.len()
}

const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

static TARGET: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = match byte {
            b'#' | b'<' | b'>' => 0,
            b'`' => IN_QUERY,
            b'"' => IN_PATH,
            _ => IN_PATH | IN_QUERY,
        };
        byte += 1;
    }
    table
};

//! Heads for a person: `-v`, and above the body on a terminal.

use bandy::error::{Error, Kind, Side};
use bandy::http::client::RawHead;
use bandy::http::{HeaderMap, Response, StatusCode};
use bandy::net::tls;

use crate::ask::visible;

const DIM: &str = "\x1b[2m";
const NAME: &str = "\x1b[36m";
const METHOD: &str = "\x1b[1;32m";
const OFF: &str = "\x1b[0m";

/// A head with its fields as lines, and nothing in it that a terminal obeys. The blank line behind it is not there.
pub fn head(raw: &[u8], colour: bool) -> String {
    let text = visible::show(raw).replace("\r\n", "\n");
    let text = text.trim_end_matches('\n');
    if !colour {
        return format!("{text}\n");
    }
    let mut out = String::new();
    for (i, line) in text.lines().enumerate() {
        match (i, line.split_once(if i == 0 { ' ' } else { ':' })) {
            (0, Some((first, rest))) => {
                let colour = match status(line) {
                    Some(status) => of_status(status),
                    None => METHOD,
                };
                match first.starts_with("HTTP/") {
                    true => out.push_str(&format!("{DIM}{first}{OFF} {colour}{rest}{OFF}\n")),
                    false => out.push_str(&format!("{colour}{first}{OFF} {rest}\n")),
                }
            }
            (_, Some((name, value))) => out.push_str(&format!("{NAME}{name}{OFF}:{value}\n")),
            (_, None) => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()
}

fn of_status(status: u16) -> &'static str {
    match status {
        0..=299 => "\x1b[1;32m",
        300..=399 => "\x1b[1;33m",
        _ => "\x1b[1;31m",
    }
}

/// An answer's head: as it came over HTTP/1.1, and written out for HTTP/2.
pub fn answer(answer: &Response) -> Vec<u8> {
    match answer.extensions().get::<RawHead>() {
        Some(RawHead(raw)) => raw.to_vec(),
        None => fields("HTTP/2", answer.status(), answer.headers()),
    }
}

/// A head that was not written by anybody.
pub fn fields(version: &str, status: StatusCode, fields: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut out = format!("{version} {} {reason}", status.as_u16())
        .trim_end()
        .to_owned()
        .into_bytes();
    out.extend_from_slice(b"\r\n");
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// What was agreed on under the exchange, on one line.
pub fn tls(info: &tls::Info) -> String {
    let mut out = format!("{}, {}", info.version, info.cipher);
    if let Some(alpn) = &info.alpn {
        out.push_str(&format!(", {}", alpn.escape_debug()));
    }
    if let Some(certificate) = &info.peer_certificate {
        out.push_str(&format!(
            "; certificate {}, issued by {}, good until {}",
            certificate.subject,
            certificate.issuer,
            certificate.not_after_day()
        ));
    }
    out
}

/// A status and what is usually said with it.
pub fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Writes to stderr. Whoever closed it does not want to know.
pub fn say(text: &[u8]) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(text);
}

/// Writes a head to stdout: as it is, or fit for a terminal.
///
/// # Errors
/// What the system says of it, but for a reader that left.
pub fn print(raw: &[u8]) -> Result<(), Error> {
    use std::io::{IsTerminal, Write, stdout};
    let shown = match stdout().is_terminal() {
        true => head(raw, crate::report::takes_colour(&stdout())).into_bytes(),
        false => raw.to_vec(),
    };
    let mut out = stdout().lock();
    match out.write_all(&shown).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Io, Side::Local, "writing to stdout").because(e))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_obeys_nobody() {
        let raw = b"HTTP/1.1 200 OK\r\nX-A: \x1b[2J\r\n\r\n";
        assert_eq!(head(raw, false), "HTTP/1.1 200 OK\nX-A: ^[[2J\n");
        let coloured = head(raw, true);
        assert!(
            coloured.contains("\x1b[36mX-A\x1b[0m: ^[[2J"),
            "{coloured:?}"
        );
    }
}

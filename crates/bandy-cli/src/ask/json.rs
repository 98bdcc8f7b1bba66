//! `--json`: the conversation as one object.

use bandy::Endpoint;
use bandy::client::{Ended, Outcome, Times};
use bandy::error::{Error, Kind, Side};
use bandy::net::tls;
use bandy::wire::line::Lines;
use serde::Serialize;
use serde_json::{Number, Value, json};

/// What is kept of the answers. Bytes.
const KEPT_MAX: usize = 16 << 20;
/// And how many: an answer without a byte costs memory too.
const ANSWERS_MAX: usize = 1 << 18;

/// Answers, kept up to a bound.
#[derive(Debug)]
pub struct Collected {
    answers: Vec<Value>,
    /// For a stream, whose answers are lines.
    lines: Option<Lines>,
    kept: usize,
    truncated: bool,
}

impl Collected {
    /// Nothing yet, of a stream or of messages.
    pub fn new(is_stream: bool) -> Collected {
        Collected {
            answers: Vec::new(),
            lines: is_stream.then(|| Lines::new(KEPT_MAX)),
            kept: 0,
            truncated: false,
        }
    }

    /// Some of a stream, or a message.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = match self.answers.len() < ANSWERS_MAX {
            true => KEPT_MAX - self.kept,
            false => 0,
        };
        if bytes.len() > room {
            self.truncated = true;
        }
        let Some(lines) = &mut self.lines else {
            if bytes.len() <= room {
                self.kept += bytes.len();
                self.answers.push(text_or_hex(bytes));
            }
            return;
        };
        let bytes = &bytes[..bytes.len().min(room)];
        self.kept += bytes.len();
        lines.feed(bytes);
        // A line is never too long: all of them together are not.
        while let Ok(Some(line)) = lines.take() {
            self.answers.push(text_or_hex(&line.text));
        }
    }

    /// A begun line is an answer as it is.
    pub fn silence(&mut self) {
        let line = self.lines.as_mut().and_then(Lines::take_open);
        self.answers
            .extend(line.map(|line| text_or_hex(&line.text)));
    }
}

/// The object's shape, in this order.
#[derive(Serialize)]
struct Object<'a> {
    endpoint: String,
    peer: Option<String>,
    tls: Option<Value>,
    answers: &'a [Value],
    truncated: bool,
    sent_bytes: u64,
    received_bytes: u64,
    phases_ms: Phases,
    ended: String,
    unsaid: bool,
    error: Option<Value>,
}

/// The conversation's parts in their order, in milliseconds.
pub struct Phases(Vec<(String, Value)>);

impl Phases {
    /// Of these times.
    pub fn of(times: &Times) -> Phases {
        let parts = times.parts().into_iter();
        let mut phases: Vec<_> = parts
            .map(|(name, span)| (name.to_lowercase(), ms(span.took)))
            .collect();
        phases.push(("total".to_owned(), ms(times.total)));
        Phases(phases)
    }
}

impl Serialize for Phases {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, ms)| (name, ms)))
    }
}

/// The whole object, on one line.
///
/// # Errors
/// None in practice: everything in it can be written as JSON.
pub fn object(
    endpoint: &Endpoint,
    outcome: &Outcome,
    mut collected: Collected,
) -> Result<String, Error> {
    // The server's end ended the line that was begun.
    collected.silence();
    let object = Object {
        endpoint: endpoint.to_string(),
        peer: outcome.peer.as_ref().map(ToString::to_string),
        tls: outcome.tls.as_ref().map(secured),
        answers: &collected.answers,
        truncated: collected.truncated,
        sent_bytes: outcome.sent_bytes,
        received_bytes: outcome.received_bytes,
        phases_ms: Phases::of(&outcome.times),
        ended: outcome.ended.to_string(),
        unsaid: outcome.unsaid,
        error: outcome.ended.error().map(|e| {
            let special = match &outcome.ended {
                Ended::Empty(_) => Some("empty"),
                Ended::Short(_) => Some("too-few-answers"),
                _ => None,
            };
            failure(e, special)
        }),
    };
    match serde_json::to_string(&object) {
        Ok(text) => Ok(text + "\n"),
        Err(e) => Err(Error::new(Kind::Other, Side::Local, "writing JSON").because(e)),
    }
}

/// Text as a string, anything else as its bytes in hex.
pub fn text_or_hex(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() }),
    }
}

fn ms(time: std::time::Duration) -> Value {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    Number::from_f64(f64::from(micros) / 1000.0).map_or(Value::Null, Value::Number)
}

/// What was agreed on in the TLS handshake.
pub fn secured(info: &tls::Info) -> Value {
    let certificate = info.peer_certificate.as_ref().map(|certificate| {
        json!({
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "names": certificate.sans,
            "not_after": certificate.not_after_day(),
        })
    });
    json!({
        "version": info.version,
        "cipher": info.cipher,
        "alpn": info.alpn,
        "certificate": certificate,
    })
}

/// A failure, and what sort it is: `special` where the exit code has one of its own.
pub fn failure(error: &Error, special: Option<&'static str>) -> Value {
    let kind = match error.kind() {
        Kind::Usage => "usage",
        Kind::NotResolved => "not-resolved",
        Kind::NotConnected => "not-connected",
        Kind::TimedOut => "timed-out",
        Kind::Tls => "tls",
        Kind::Untrusted => "untrusted",
        Kind::Closed => "closed",
        Kind::Protocol => "protocol",
        Kind::Overload => "overload",
        Kind::Io => "io",
        _ => "other",
    };
    let kind = special.unwrap_or(kind);
    json!({ "kind": kind, "message": error.to_string(), "hint": error.next_step() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_lines_and_bounded() {
        let mut collected = Collected::new(true);
        collected.feed(b"one\r\ntw");
        collected.feed(b"o\n\xff\nlogin: ");
        collected.silence();
        assert_eq!(
            collected.answers,
            [
                json!("one"),
                json!("two"),
                json!({"hex": "ff"}),
                json!("login: ")
            ]
        );
        collected.feed(&vec![b'x'; KEPT_MAX]);
        assert!(collected.truncated);
        assert_eq!(collected.kept, KEPT_MAX);
    }
}

//! An answer's body on its way to stdout: decoded, made fit for whoever reads it, written by a thread.
//!
//! Each piece is written as it comes. While nobody takes what is written, nothing is read from the server.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bandy::Endpoint;
use bandy::error::Error;
use bandy::http::{HeaderMap, header};
use bytes::Bytes;

use super::decode::{self, Encoding};
use super::media::{self, Sort};
use super::pretty::Json;
pub use super::pretty::Pretty;
use crate::ask::output::{self, Output};
use crate::ask::visible::Visible;

/// What is read from a decoder at once.
const PIECE: usize = 64 << 10;
/// What is kept of a body for `--json`. Bytes.
pub const KEPT_MAX: usize = 16 << 20;

/// What becomes of a body.
#[derive(Debug, Clone)]
pub enum Way {
    /// Stdout, byte for byte.
    Raw,
    /// Stdout, for someone to read.
    Shown { pretty: Pretty, is_screen: bool },
    /// Kept for a report.
    Kept(Kept),
}

/// A body that is kept, up to a bound.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<(Vec<u8>, bool)>>);

impl Kept {
    fn feed(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_MAX.saturating_sub(kept.0.len()).min(bytes.len());
        kept.0
            .extend_from_slice(bytes.get(..room).unwrap_or_default());
        kept.1 |= room < bytes.len();
    }

    /// The body, and whether it was longer.
    pub fn take(&self) -> (Vec<u8>, bool) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The value of a field, where it is text.
pub fn field(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// How an answer with these fields has to be decoded, if that is ours to do.
pub fn encodings(headers: &HeaderMap, decodes: bool) -> Vec<Encoding> {
    let fields = headers.get_all(header::CONTENT_ENCODING).iter();
    let fields = fields.filter_map(|value| value.to_str().ok());
    match decodes {
        true => Encoding::all(fields).unwrap_or_default(),
        false => Vec::new(),
    }
}

/// The place to send the pieces of this URL's body to.
///
/// # Errors
/// What the system says of stdout.
pub fn open(way: Way, of: &Endpoint, headers: &HeaderMap, decodes: bool) -> Result<Output, Error> {
    let encodings = encodings(headers, decodes);
    let of = of.to_string();
    let content_type = field(headers, header::CONTENT_TYPE).map(str::to_owned);
    let mut stdout = match way {
        Way::Kept(_) => None,
        Way::Raw | Way::Shown { .. } => Some(output::stdout()?),
    };
    Ok(Output::spawn(move |chunks| {
        let mut reader = decode::reader(&encodings, chunks, &of)?;
        let mut shape = Shape::of(way, content_type.as_deref());
        let mut piece = vec![0; PIECE];
        loop {
            let n = match reader.read(&mut piece) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read,
            };
            // What came before the failure is shown all the same.
            let bytes = match &n {
                Ok(0) | Err(_) => shape.end(),
                Ok(n) => shape.feed(piece.get(..*n).unwrap_or_default()),
            };
            if let Some(stdout) = &mut stdout {
                stdout.write_all(&bytes)?;
            }
            if n? == 0 || shape.is_over() {
                return Ok(());
            }
        }
    }))
}

/// How bytes become what is written.
enum Shape {
    /// The first bytes decide.
    Undecided {
        pretty: Pretty,
        is_screen: bool,
        content_type: Option<String>,
    },
    Raw,
    Json(Json, bool),
    Text {
        visible: Visible,
        in_line: bool,
    },
    /// It was said that nothing is shown.
    Over,
    Kept(Kept),
}

impl Shape {
    fn of(way: Way, content_type: Option<&str>) -> Shape {
        match way {
            Way::Raw => Shape::Raw,
            Way::Kept(kept) => Shape::Kept(kept),
            Way::Shown { pretty, is_screen } => Shape::Undecided {
                pretty,
                is_screen,
                content_type: content_type.map(str::to_owned),
            },
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Shape::Over)
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Shape::Undecided { .. } => {
                let note = self.decide(bytes);
                match note {
                    Some(note) => note.into_bytes(),
                    None => self.feed(bytes),
                }
            }
            Shape::Raw => bytes.to_vec(),
            Shape::Json(json, _) => json.feed(bytes),
            Shape::Text { visible, in_line } => {
                let text = visible.feed(bytes);
                if !text.is_empty() {
                    *in_line = !text.ends_with('\n');
                }
                text.into_bytes()
            }
            Shape::Kept(kept) => {
                kept.feed(bytes);
                Vec::new()
            }
            Shape::Over => Vec::new(),
        }
    }

    /// Chooses by the first bytes; gives what is to be said instead of them.
    fn decide(&mut self, first: &[u8]) -> Option<String> {
        let Shape::Undecided {
            pretty,
            is_screen,
            content_type,
        } = self
        else {
            return None;
        };
        let (pretty, is_screen) = (*pretty, *is_screen);
        let sort = media::sort(content_type.as_deref());
        if is_screen
            && sort != Sort::Json
            && !media::is_text(first)
            && !is_latin(content_type.as_deref())
        {
            let kind = content_type.as_deref().unwrap_or("unknown");
            let kind = crate::ask::visible::show(kind.as_bytes());
            *self = Shape::Over;
            return Some(format!(
                "(binary, {kind}: not shown on a terminal; --download saves it, and a pipe gets it as it is)\n"
            ));
        }
        // JSON that nobody calls so is JSON all the same; HTML is not.
        let begins = first.iter().find(|b| !b.is_ascii_whitespace());
        let looks_json = matches!(begins, Some(b'{' | b'['));
        let is_json = sort == Sort::Json || sort == Sort::Unknown && looks_json;
        *self = match is_json && (pretty.format || pretty.colour) {
            true => Shape::Json(Json::new(pretty, is_screen), is_screen),
            false if is_screen => Shape::Text {
                visible: Visible::default(),
                in_line: false,
            },
            false => Shape::Raw,
        };
        None
    }

    /// What is left at the end. A terminal's prompt begins on a new line.
    fn end(&mut self) -> Vec<u8> {
        match self {
            Shape::Json(json, is_screen) => json.end(*is_screen),
            Shape::Text { visible, in_line } => {
                let mut text = visible.flush();
                if text.is_empty() && *in_line || !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                text.into_bytes()
            }
            _ => Vec::new(),
        }
    }
}

/// Whether it says that it is text of one byte a character: shown, with what is not ASCII escaped.
fn is_latin(content_type: Option<&str>) -> bool {
    let kind = content_type.unwrap_or_default().to_ascii_lowercase();
    kind.starts_with("text/")
        && (kind.contains("charset=iso-8859") || kind.contains("charset=windows-"))
}

/// All of some bytes as they would be shown, for the request's own body.
pub fn shown(bytes: &[u8], content_type: Option<&str>, pretty: Pretty) -> Bytes {
    let way = Way::Shown {
        pretty,
        is_screen: true,
    };
    let mut shape = Shape::of(way, content_type);
    let mut out = shape.feed(bytes);
    out.extend(shape.end());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Pretty = Pretty {
        format: true,
        colour: false,
    };

    #[test]
    fn each_as_what_it_is() {
        let show = |bytes: &[u8], kind: Option<&str>| {
            String::from_utf8(shown(bytes, kind, ALL).to_vec()).expect("UTF-8")
        };
        assert_eq!(
            show(b"{\"a\":1}", Some("application/json")),
            "{\n  \"a\": 1\n}\n"
        );
        assert_eq!(show(b"[1]", None), "[\n  1\n]\n");
        assert_eq!(show(b"{not JSON}", Some("text/plain")), "{not JSON}\n");
        assert_eq!(show(b"a\x1b[2J", Some("text/plain")), "a^[[2J\n");
        assert!(show(b"\x89PNG\0", Some("image/png")).starts_with("(binary, image/png: not shown"));
        assert_eq!(show(b"", Some("image/png")), "");
    }
}

//! The header of a program's answer (RFC 3875, section 6).
//!
//! Programs print `\n`, and `\r\n` is taken too. A line is a name, a colon and a value, nothing else; whatever is not is
//! the program's mistake and no answer.

use std::fmt;

use crate::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use crate::wire::http1::strip_hop_by_hop;

/// The longest header, with its empty line. Bytes.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// The most fields.
const FIELDS_MAX: usize = 100;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    /// How long the document is, where the program says so.
    pub(super) length: Option<u64>,
}

/// Why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It has no end in the first [`BYTES_MAX`] bytes.
    TooLong,
    TooManyFields,
    /// A line is not a name, a colon and a value.
    Line,
    /// A field that stands once stands there twice.
    Twice,
    /// The status is not a number from 200 to 599.
    Status,
    /// The place is none on this server, and no URL.
    Location,
    /// The length is no number.
    Length,
    /// None of Content-Type, Status and Location is there.
    Nothing,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::TooLong => "its header is longer than 64 KiB, or has no empty line after it",
            Malformed::TooManyFields => "its header has more than 100 fields",
            Malformed::Line => "a line of its header is not a name, a colon and a value",
            Malformed::Twice => "a field of its header stands there twice",
            Malformed::Status => "its Status is not a number from 200 to 599",
            Malformed::Location => "its Location is neither a path of this server nor a URL",
            Malformed::Length => "its Content-Length is not a number",
            Malformed::Nothing => "its header has no Content-Type, Status or Location",
        })
    }
}

impl std::error::Error for Malformed {}

impl Head {
    /// Reads the header at the beginning of what was printed: what it says and how long it is, or `None` while its end
    /// has not come.
    pub(super) fn parse(printed: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        let mut fields = HeaderMap::new();
        let mut rest = printed.get(..BYTES_MAX).unwrap_or(printed);
        loop {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return match printed.len() >= BYTES_MAX {
                    true => Err(Malformed::TooLong),
                    false => Ok(None),
                };
            };
            let line = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                let len = printed.len().min(BYTES_MAX) - rest.len();
                return Ok(Some((Head::of(fields)?, len)));
            }
            if fields.len() >= FIELDS_MAX {
                return Err(Malformed::TooManyFields);
            }
            let (name, value) = field(line).ok_or(Malformed::Line)?;
            if stands_once(&name) && fields.contains_key(&name) {
                return Err(Malformed::Twice);
            }
            fields.append(name, value);
        }
    }

    fn of(mut fields: HeaderMap) -> Result<Head, Malformed> {
        let status = fields.remove("status");
        let location = fields.get(header::LOCATION);
        if status.is_none() && location.is_none() && !fields.contains_key(header::CONTENT_TYPE) {
            return Err(Malformed::Nothing);
        }
        let status = match (&status, location) {
            (Some(status), _) => code(status.as_bytes()).ok_or(Malformed::Status)?,
            (None, Some(to)) if is_elsewhere(to.as_bytes()) => return Err(Malformed::Location),
            // Section 6.2.2 would have the server answer with what is there. The client is sent instead: what it sees is
            // then what its address says.
            (None, Some(_)) => StatusCode::FOUND,
            (None, None) => StatusCode::OK,
        };
        let length = fields.get(header::CONTENT_LENGTH).map(decimal);
        let length = length.map(|l| l.ok_or(Malformed::Length)).transpose()?;
        strip_hop_by_hop(&mut fields);
        Ok(Head {
            status,
            fields,
            length,
        })
    }
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
    let value = line.get(colon + 1..)?.trim_ascii();
    // A CR that ends no line is refused here, like every other control character but the tab.
    Some((name, HeaderValue::from_bytes(value).ok()?))
}

fn stands_once(name: &HeaderName) -> bool {
    [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::LOCATION,
    ]
    .contains(name)
        || name == "status"
}

/// A status with or without its reason: `404 Not Found`.
fn code(text: &[u8]) -> Option<StatusCode> {
    let (code, reason) = text.split_at_checked(3)?;
    let is_whole = matches!(reason.first(), None | Some(b' ' | b'\t'));
    let code = StatusCode::from_bytes(code).ok().filter(|_| is_whole)?;
    (200..600).contains(&code.as_u16()).then_some(code)
}

/// Whether what looks like a path leads to another server: browsers take `//host` and `/\host` so.
fn is_elsewhere(to: &[u8]) -> bool {
    to.is_empty() || matches!(to, [b'/' | b'\\', b'/' | b'\\', ..])
}

fn decimal(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The status, the fields, and what follows; or why not.
    fn read(printed: &str) -> String {
        match Head::parse(printed.as_bytes()) {
            Ok(Some((head, len))) => {
                let mut said = head.status.as_str().to_owned();
                for (name, value) in &head.fields {
                    said += &format!("; {name}: {}", value.to_str().expect("text"));
                }
                format!("{said}|{}", &printed[len..])
            }
            Ok(None) => "more".to_owned(),
            Err(e) => format!("{e:?}"),
        }
    }

    #[test]
    fn headers() {
        for (printed, expected) in [
            (
                "Content-Type: text/plain\n\nHi",
                "200; content-type: text/plain|Hi",
            ),
            (
                "Content-Type:text/plain\r\n\r\n\nHi",
                "200; content-type: text/plain|\nHi",
            ),
            (
                "Status: 404 Not Found\nX-A: 1\nx-a: 2\r\n\n",
                "404; x-a: 1; x-a: 2|",
            ),
            ("status:204\n\n", "204|"),
            ("Location: /there?x\n\n", "302; location: /there?x|"),
            (
                "Location: https://a.example/\n\n",
                "302; location: https://a.example/|",
            ),
            (
                "Location: //cdn.example/\nStatus: 301 Moved\n\n",
                "301; location: //cdn.example/|",
            ),
            ("Location: //evil.example/\n\n", "Location"),
            ("Location: /\\evil.example/\n\n", "Location"),
            ("Location:\n\n", "Location"),
            (
                "Content-Type: a/b\nConnection: x-b\nX-B: 1\nUpgrade: h2\n\n",
                "200; content-type: a/b|",
            ),
            (
                "Content-Type: a/b\nContent-Length: 2\n\nHi",
                "200; content-type: a/b; content-length: 2|Hi",
            ),
            ("Content-Type: a/b\nContent-Length: +2\n\nHi", "Length"),
            ("Content-Type: a/b\n", "more"),
            ("Content-Type: a/b\nX", "more"),
            ("", "more"),
            ("\n", "Nothing"),
            ("X-A: 1\n\n", "Nothing"),
            ("Hello\n\n", "Line"),
            (": x\n\n", "Line"),
            ("Content-Type : a/b\n\n", "Line"),
            ("Content-Type: a/b\n folded\n\n", "Line"),
            ("Content-Type: a\rX-B: 1\n\n", "Line"),
            ("Content-Type: a\0b\n\n", "Line"),
            ("Content-Type: a/b\nContent-Type: a/b\n\n", "Twice"),
            ("Status: 200\nStatus: 404\n\n", "Twice"),
            ("Status: 101 Switching\n\n", "Status"),
            ("Status: 099\n\n", "Status"),
            ("Status: 600\n\n", "Status"),
            ("Status: 2000\n\n", "Status"),
            ("Status: OK\n\n", "Status"),
        ] {
            assert_eq!(read(printed), expected, "{printed:?}");
        }
    }

    #[test]
    fn a_header_is_bounded() {
        let long = "x".repeat(BYTES_MAX);
        assert_eq!(read(&format!("X-A: {long}")), "TooLong");
        assert_eq!(read(&format!("X-A: {long}\n\n")), "TooLong");
        assert_eq!(read(&"X-A: 1\n".repeat(FIELDS_MAX + 1)), "TooManyFields");
    }

    proptest! {
        #[test]
        fn nothing_panics(printed in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::parse(&printed);
        }

        /// However it came, it is the same header.
        #[test]
        fn a_part_is_never_a_whole(cut in 0_usize..60) {
            let whole = b"Status: 200 OK\r\nContent-Type: text/plain\nX-A: b\n\n";
            if let Some(part) = whole.get(..cut) && cut < whole.len() {
                prop_assert_eq!(Head::parse(part), Ok(None));
            }
        }
    }
}

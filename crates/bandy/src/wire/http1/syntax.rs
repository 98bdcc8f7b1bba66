//! Field lines: one strict pass that checks them, and an iterator over what was checked.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Reject;
use super::fields::{can_be_named, is_hop_by_hop};

/// One line of a head behind its first, or of trailers.
pub(super) enum FieldLine<'b> {
    /// A field; the next line begins at `next`.
    Field {
        name: &'b [u8],
        /// Without the white space around it.
        value: &'b [u8],
        next: usize,
    },
    /// The empty line, and where it ends.
    End { next: usize },
    /// Not whole yet.
    Partial,
}

/// The line that begins at `at`. What it says of a line does not change when more bytes come, so a head means the same
/// however it was cut.
#[inline]
pub(super) fn field_line(bytes: &[u8], at: usize) -> Result<FieldLine<'_>, Reject> {
    let line = bytes.get(at..).unwrap_or_default();
    let length = token_length(line);
    let (name, rest) = line.split_at(length);
    match rest.first() {
        None => return Ok(FieldLine::Partial),
        Some(b':') if !name.is_empty() => {}
        Some(b'\r') if name.is_empty() => {
            return Ok(match line_end(rest)? {
                true => FieldLine::End { next: at + 2 },
                false => FieldLine::Partial,
            });
        }
        Some(b'\n') => return Err(Reject::LineEnd),
        Some(b' ' | b'\t') if name.is_empty() => return Err(Reject::Folded),
        Some(_) => return Err(Reject::FieldName),
    }
    let rest = rest.get(1..).unwrap_or_default();
    let (value, end) = rest.split_at(text_length(rest));
    match end.first() {
        None => return Ok(FieldLine::Partial),
        Some(b'\r') => {}
        Some(b'\n') => return Err(Reject::LineEnd),
        Some(_) => return Err(Reject::FieldValue),
    }
    if !line_end(end)? {
        return Ok(FieldLine::Partial);
    }
    Ok(FieldLine::Field {
        name,
        value: trim(value),
        next: at + name.len() + 1 + value.len() + 2,
    })
}

/// Whether CRLF is all there; `bytes` begin with CR.
#[inline]
pub(super) fn line_end(bytes: &[u8]) -> Result<bool, Reject> {
    match bytes.get(1) {
        None => Ok(false),
        Some(b'\n') => Ok(true),
        Some(_) => Err(Reject::LineEnd),
    }
}

/// The fields of a head that was parsed, in their order: names as they were written, values without the white space
/// around them.
#[derive(Clone, Debug)]
pub struct Fields<'b> {
    /// Whole lines that were checked, without the empty one.
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    /// `lines` have passed [`field_line`].
    pub(super) fn new(lines: &'b [u8]) -> Fields<'b> {
        Fields { rest: lines }
    }

    /// Those that go on to the next hop. `looks` is whether to look for those that Connection names.
    pub(super) fn end_to_end(
        self,
        looks: bool,
    ) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'b> {
        let all = looks.then(|| self.clone());
        self.filter(move |(name, _)| {
            let is_named = |all: &Fields<'_>| {
                can_be_named(name.as_bytes()) && all.clone().name_in_connection(name)
            };
            !is_hop_by_hop(name) && !all.as_ref().is_some_and(is_named)
        })
    }

    /// The values of those of this name.
    pub(super) fn of<'n>(self, name: &'n [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.lines()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The same, names as bytes.
    pub(crate) fn lines(mut self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + use<'b> {
        std::iter::from_fn(move || self.line())
    }

    fn line(&mut self) -> Option<(&'b [u8], &'b [u8])> {
        let colon = memchr::memchr(b':', self.rest)?;
        let (name, rest) = self.rest.split_at(colon);
        let end = memchr::memchr(b'\r', rest)?;
        let value = rest.get(1..end)?;
        self.rest = rest.get(end + 2..).unwrap_or_default();
        Some((name, trim(value)))
    }

    fn name_in_connection(self, name: &str) -> bool {
        let mut connection = self.filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
        connection.any(|(_, value)| list(value).any(|m| m.eq_ignore_ascii_case(name.as_bytes())))
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (&'b str, &'b [u8]);

    fn next(&mut self) -> Option<(&'b str, &'b [u8])> {
        let (name, value) = self.line()?;
        Some((std::str::from_utf8(name).ok()?, value))
    }
}

/// The fields as a map, their values slices of `owned`, which has the same bytes as `head`.
pub(super) fn to_map(fields: Fields<'_>, head: &[u8], owned: &Bytes) -> Result<HeaderMap, Reject> {
    let mut map =
        HeaderMap::try_with_capacity(fields.clone().count()).map_err(|_| Reject::TooManyFields)?;
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Reject::FieldName)?;
        let value = HeaderValue::from_maybe_shared(slice(value, head, owned));
        let value = value.map_err(|_| Reject::FieldValue)?;
        map.try_append(name, value)
            .map_err(|_| Reject::TooManyFields)?;
    }
    Ok(map)
}

/// The bytes of `owned` that `part` is of `head`; empty if `owned` is shorter than it should be.
pub(super) fn slice(part: &[u8], head: &[u8], owned: &Bytes) -> Bytes {
    let at = (part.as_ptr() as usize).wrapping_sub(head.as_ptr() as usize);
    let end = at.checked_add(part.len()).filter(|end| *end <= owned.len());
    end.map(|end| owned.slice(at..end)).unwrap_or_default()
}

/// Without the spaces and tabs around it.
#[inline]
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a list (RFC 9110, section 5.6.1), empty ones left out.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let members = value.split(|&b| b == b',').map(trim);
    members.filter(|member| !member.is_empty())
}

/// How many bytes from the start are of a token: a name or a method (RFC 9110, section 5.6.2).
#[inline]
pub(super) fn token_length(bytes: &[u8]) -> usize {
    let end = bytes.iter().position(|&b| !TOKEN[usize::from(b)]);
    end.unwrap_or(bytes.len())
}

static TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// Letters, digits and these.
pub(super) const fn table(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
}

/// How many bytes from the start may stand in a value: all but control characters, of which the tab may.
#[inline]
pub(super) fn text_length(bytes: &[u8]) -> usize {
    let mut done = 0;
    loop {
        done += printable_length(bytes.get(done..).unwrap_or_default());
        match bytes.get(done) {
            Some(b'\t') => done += 1,
            _ => return done,
        }
    }
}

/// How many bytes from the start are no control characters. Eight at a time: this sees most bytes of a head.
#[inline]
fn printable_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let (words, tail) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest marked byte is exact: a borrow only runs upwards from a byte that is marked itself.
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = word ^ (ONES * 0x7f);
        let is_delete = delete.wrapping_sub(ONES) & !delete;
        let marked = (below_space | is_delete) & HIGH;
        if marked != 0 {
            return at * 8 + (marked.trailing_zeros() / 8) as usize;
        }
    }
    let in_tail = tail.iter().position(|b| b.is_ascii_control());
    words.len() * 8 + in_tail.unwrap_or(tail.len())
}

//! The fields behind a chunked body, line by line as they come.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::syntax::{self, FieldLine};
use super::{Bounds, Reject, is_forbidden_trailer};

/// A trailer section that is not over yet. Each line is looked at once, when all of it is there.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    map: HeaderMap,
    /// Fields so far, those that were dropped included.
    count: usize,
    /// Bytes of whole lines so far.
    bytes: usize,
    /// The line that is not whole yet.
    line: Vec<u8>,
}

impl Trailers {
    /// Takes the lines at the start of `input`: how many bytes were taken, and whether that was the end.
    pub(super) fn take(&mut self, input: &[u8], bounds: &Bounds) -> Result<(usize, bool), Reject> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            let used = self.bytes.saturating_add(self.line.len());
            let room = bounds.head_bytes.saturating_sub(used);
            let window = rest.get(..room).unwrap_or(rest);
            let Some(end) = memchr::memchr(b'\n', window).map(|lf| lf + 1) else {
                if window.len() == room {
                    return Err(Reject::HeadTooLarge);
                }
                self.line.extend_from_slice(rest);
                return Ok((input.len(), false));
            };
            let (line, _) = window.split_at(end);
            taken += end;
            self.bytes = used.saturating_add(end);
            let is_end = if self.line.is_empty() {
                self.line(line, bounds)?
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.line(&whole, bounds)?
            };
            if is_end {
                return Ok((taken, true));
            }
        }
    }

    /// Takes a line that ends with LF. Whether it was the empty one.
    fn line(&mut self, line: &[u8], bounds: &Bounds) -> Result<bool, Reject> {
        let (name, value) = match syntax::field_line(line, 0)? {
            FieldLine::Field { name, value, .. } => (name, value),
            FieldLine::End { .. } => return Ok(true),
            FieldLine::Partial => return Err(Reject::LineEnd),
        };
        self.count += 1;
        if self.count > bounds.fields {
            return Err(Reject::TooManyFields);
        }
        let name = HeaderName::from_bytes(name).map_err(|_| Reject::FieldName)?;
        if is_forbidden_trailer(name.as_str()) {
            return Ok(false);
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| Reject::FieldValue)?;
        let appended = self.map.try_append(name, value);
        appended.map_err(|_| Reject::TooManyFields)?;
        Ok(false)
    }

    /// The fields, if any are left.
    pub(super) fn into_map(self) -> Option<HeaderMap> {
        (!self.map.is_empty()).then_some(self.map)
    }
}

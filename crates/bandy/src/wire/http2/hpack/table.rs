//! HPACK's two tables (RFC 7541, section 2.3): one that everybody knows, and one that is built as fields go by.

use std::collections::VecDeque;

/// What the dynamic table may hold before anybody says otherwise (RFC 9113, section 6.5.2). Bytes, counted with
/// [`OVERHEAD`].
pub(super) const SIZE: usize = 4096;
/// What an entry counts beside its text. Bytes.
pub(super) const OVERHEAD: usize = 32;

/// Appendix A; the first has the index 1.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The dynamic table. Its text is in one buffer, so that an entry that comes and goes allocates nothing.
#[derive(Debug)]
pub(super) struct Table {
    text: Vec<u8>,
    /// How much was ever taken off the front of `text`.
    gone: usize,
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its text begins, counted from the beginning of all.
    start: usize,
    name: usize,
    value: usize,
}

impl Entry {
    fn size(&self) -> usize {
        self.name + self.value + OVERHEAD
    }
}

impl Table {
    pub(super) fn new() -> Table {
        Table {
            text: Vec::new(),
            gone: 0,
            entries: VecDeque::new(),
            size: 0,
            max: SIZE,
        }
    }

    /// What it may hold from now on, at most [`SIZE`].
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max.min(SIZE);
        self.make_room(0);
    }

    fn make_room(&mut self, size: usize) {
        while self.size + size > self.max
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }

    /// Adds a field. One that does not fit at all empties the table (section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + OVERHEAD;
        self.make_room(size);
        if size > self.max {
            return;
        }
        if self.text.len() > 4 * SIZE {
            let first = self.entries.back().map(|oldest| oldest.start - self.gone);
            let unused = first.unwrap_or(self.text.len());
            self.text.drain(..unused);
            self.gone += unused;
        }
        self.entries.push_front(Entry {
            start: self.gone + self.text.len(),
            name: name.len(),
            value: value.len(),
        });
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.size += size;
    }

    /// The field of an index, of either table.
    pub(super) fn field(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(index - STATIC.len())?;
        let start = entry.start - self.gone;
        let text = self.text.get(start..start + entry.name + entry.value)?;
        text.split_at_checked(entry.name)
    }

    /// The index of this field, and of one with this name.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> (Option<usize>, Option<usize>) {
        let mut named = None;
        for index in 1..=STATIC.len() + self.entries.len() {
            match self.field(index) {
                Some((own, text)) if own == name && text == value => return (Some(index), named),
                Some((own, _)) if own == name => named = named.or(Some(index)),
                _ => {}
            }
        }
        (None, named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_nothing_grows() {
        let mut table = Table::new();
        for i in 0..100_000 {
            table.insert(b"name", format!("value {i}").as_bytes());
            assert!(table.size <= SIZE && table.text.len() <= 5 * SIZE);
        }
        assert_eq!(table.field(62), Some((&b"name"[..], &b"value 99999"[..])));
        let kept = SIZE / (4 + 11 + OVERHEAD);
        let last = format!("value {}", 100_000 - kept);
        assert_eq!(
            table.field(61 + kept),
            Some((&b"name"[..], last.as_bytes()))
        );
        assert_eq!(table.field(62 + kept), None);
        table.resize(100);
        assert_eq!(table.entries.len(), 2);
        table.insert(b"long", &[b'x'; 100]);
        assert_eq!((table.entries.len(), table.size), (0, 0));
        assert_eq!(table.field(0), None);
    }
}

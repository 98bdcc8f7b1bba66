//! Which bytes a `Range` asks for (RFC 9110, section 14). No I/O.

use crate::http::{HeaderMap, header};

/// Bytes from `first` to `last`, both of them in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Span {
    pub(super) fn len(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it, since no part was asked for in a way that is followed.
    Whole,
    One(Span),
    Many(Vec<Span>),
    /// Parts that all lie behind the end.
    Nothing,
}

/// The most ranges in one request. Many small parts cost more than the file does, and nobody who reads a file needs
/// them; whoever asks for more gets all of it (section 14.2 lets us).
pub(super) const RANGES_MAX: usize = 32;

/// What a request wants of a file that is `size` bytes long. Malformed ranges, other units, ranges that overlap and too
/// many of them are passed over, as section 14.2 has it.
pub(super) fn wanted(fields: &HeaderMap, size: u64) -> Wanted {
    let mut lines = fields.get_all(header::RANGE).iter();
    match (lines.next().map(|line| line.to_str()), lines.next()) {
        (Some(Ok(line)), None) => parse(line, size).unwrap_or(Wanted::Whole),
        _ => Wanted::Whole,
    }
}

/// `None` where the line is to be passed over.
fn parse(line: &str, size: u64) -> Option<Wanted> {
    let (unit, members) = line.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut spans = Vec::new();
    let mut count = 0_usize;
    let mut is_all_of_nothing = false;
    let members = members.split(',').map(str::trim);
    for member in members.filter(|member| !member.is_empty()) {
        count += 1;
        if count > RANGES_MAX {
            return None;
        }
        spans.extend(span(member, size)?);
        let suffix = member.strip_prefix('-').and_then(number);
        is_all_of_nothing |= size == 0 && suffix.is_some_and(|len| len > 0);
    }
    if count == 0 || overlap(&spans) {
        return None;
    }
    match spans.as_slice() {
        // The last bytes of an empty file are all of it, and no Content-Range can say so.
        [] if is_all_of_nothing => Some(Wanted::Whole),
        [] => Some(Wanted::Nothing),
        [one] => Some(Wanted::One(*one)),
        _ => Some(Wanted::Many(spans)),
    }
}

/// One range: `None` if it is malformed, `Some(None)` if there is nothing of it.
fn span(member: &str, size: u64) -> Option<Option<Span>> {
    let (first, last) = member.split_once('-')?;
    if first.is_empty() {
        let len = number(last)?.min(size);
        let first = size.checked_sub(len)?;
        return Some(
            size.checked_sub(1)
                .filter(|_| len > 0)
                .map(|last| Span { first, last }),
        );
    }
    let first = number(first)?;
    let last = match last {
        "" => u64::MAX,
        last => number(last)?,
    };
    if first > last {
        return None;
    }
    let end = size.checked_sub(1).filter(|end| first <= *end);
    Some(end.map(|end| Span {
        first,
        last: last.min(end),
    }))
}

/// Digits and nothing else; what does not fit is beyond the end of any file.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn overlap(spans: &[Span]) -> bool {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .any(|(a, b)| b.first <= a.last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(first: u64, last: u64) -> Wanted {
        Wanted::One(Span { first, last })
    }

    fn many(spans: &[(u64, u64)]) -> Wanted {
        let span = |(first, last): &(u64, u64)| Span {
            first: *first,
            last: *last,
        };
        Wanted::Many(spans.iter().map(span).collect())
    }

    fn of(line: &str, size: u64) -> Wanted {
        let mut fields = HeaderMap::new();
        fields.insert(header::RANGE, line.parse().expect("a value"));
        wanted(&fields, size)
    }

    #[test]
    fn ranges_of_ten_bytes() {
        use Wanted::{Nothing, Whole};
        for (line, expected) in [
            ("bytes=0-0", one(0, 0)),
            ("bytes=0-9", one(0, 9)),
            ("bytes=0-99", one(0, 9)),
            ("Bytes=5-", one(5, 9)),
            ("bytes=-3", one(7, 9)),
            ("bytes=-99", one(0, 9)),
            ("bytes=-0", Nothing),
            ("bytes=10-", Nothing),
            ("bytes=10-20, 30-", Nothing),
            ("bytes=0-99999999999999999999999", one(0, 9)),
            ("bytes=99999999999999999999999-", Nothing),
            ("bytes=0-1, 10-, -1", many(&[(0, 1), (9, 9)])),
            ("bytes=4-5,0-1", many(&[(4, 5), (0, 1)])),
            ("bytes=,0-1,,", one(0, 1)),
            // Overlapping.
            ("bytes=0-5,3-7", Whole),
            ("bytes=0-,-1", Whole),
            // Malformed.
            ("bytes=5-4", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=0-1,x", Whole),
            ("lines=0-1", Whole),
            ("bytes", Whole),
        ] {
            assert_eq!(of(line, 10), expected, "{line}");
        }
    }

    #[test]
    fn ranges_of_nothing() {
        assert_eq!(of("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(of("bytes=0-0", 0), Wanted::Nothing);
        assert_eq!(of("bytes=-0", 0), Wanted::Nothing);
        assert_eq!(of("bytes=-5", 0), Wanted::Whole);
    }

    #[test]
    fn too_many_get_everything() {
        let line = |n: u64| {
            let ranges: Vec<_> = (0..n).map(|i| format!("{}-{}", 2 * i, 2 * i)).collect();
            format!("bytes={}", ranges.join(","))
        };
        assert!(matches!(of(&line(32), 1000), Wanted::Many(spans) if spans.len() == 32));
        assert_eq!(of(&line(33), 1000), Wanted::Whole);
    }

    /// The bytes of a range by definition: for each byte of the file, whether it is asked for.
    fn naive(first: Option<u64>, last: Option<u64>, size: u64) -> Vec<u64> {
        (0..size)
            .filter(|at| match (first, last) {
                (Some(first), last) => first <= *at && last.is_none_or(|last| *at <= last),
                (None, Some(len)) => size - at <= len,
                (None, None) => false,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_definition(
            size in 0..30_u64,
            ranges in prop::collection::vec((prop::option::of(0..40_u64), prop::option::of(0..40_u64)), 1..4),
        ) {
            let ranges: Vec<_> = ranges
                .into_iter()
                .filter(|(first, last)| match (first, last) {
                    (Some(first), Some(last)) => first <= last,
                    (first, last) => first.is_some() || last.is_some(),
                })
                .collect();
            prop_assume!(!ranges.is_empty());
            let text = |n: &Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
            let line: Vec<_> = ranges.iter().map(|(a, b)| format!("{}-{}", text(a), text(b))).collect();
            let expected: Vec<Vec<u64>> = ranges
                .iter()
                .map(|(first, last)| naive(*first, *last, size))
                .filter(|bytes| !bytes.is_empty())
                .collect();
            let mut every: Vec<u64> = expected.concat();
            let total = every.len();
            every.sort_unstable();
            every.dedup();
            let bytes = |span: &Span| (span.first..=span.last).collect::<Vec<_>>();
            match of(&format!("bytes={}", line.join(", ")), size) {
                Wanted::Whole => prop_assert!(every.len() < total || size == 0),
                Wanted::Nothing => prop_assert!(expected.is_empty()),
                Wanted::One(span) => {
                    prop_assert_eq!(span.len(), bytes(&span).len() as u64);
                    prop_assert_eq!(vec![bytes(&span)], expected);
                }
                Wanted::Many(spans) => prop_assert_eq!(spans.iter().map(bytes).collect::<Vec<_>>(), expected),
            }
        }

        #[test]
        fn no_line_panics(line in "[ -~]{0,40}", size in any::<u64>()) {
            let _ = of(&format!("bytes={line}"), size);
        }
    }
}

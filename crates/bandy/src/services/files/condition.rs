//! Conditional requests (RFC 9110, section 13). No I/O.

use std::time::SystemTime;

use crate::http::{HeaderMap, HeaderName, header};

/// What tells two states of a file apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// The entity tag with its quotes, without `W/`.
    pub(super) tag: String,
    /// Whether two states within the clock's grain could have this one tag.
    pub(super) is_weak: bool,
    /// Seconds since 1970.
    pub(super) modified: i64,
}

impl Validators {
    /// The tag as `ETag` says it.
    pub(super) fn etag(&self) -> String {
        match self.is_weak {
            true => format!("W/{}", self.tag),
            false => self.tag.clone(),
        }
    }
}

/// What becomes of a request under its conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Whether the request goes on, in the order of section 13.2.2. `is_read` is a GET's or HEAD's. Nothing `there` is a
/// file that does not exist.
pub(super) fn judge(fields: &HeaderMap, is_read: bool, there: Option<&Validators>) -> Verdict {
    use Verdict::{Failed, Go, NotModified};
    let unchanged_since = |name: &HeaderName| {
        let date = date(fields, name)?;
        Some(there?.modified <= date)
    };
    if fields.contains_key(header::IF_MATCH) {
        let is_it = |tag: &Tag<'_>| there.is_some_and(|v| tag.is_strongly(v));
        if !any(fields, &header::IF_MATCH, there, is_it) {
            return Failed;
        }
    } else if unchanged_since(&header::IF_UNMODIFIED_SINCE) == Some(false) {
        return Failed;
    }
    if fields.contains_key(header::IF_NONE_MATCH) {
        let is_it = |tag: &Tag<'_>| there.is_some_and(|v| tag.opaque == v.tag.as_bytes());
        return match any(fields, &header::IF_NONE_MATCH, there, is_it) {
            false => Go,
            true if is_read => NotModified,
            true => Failed,
        };
    }
    match is_read && unchanged_since(&header::IF_MODIFIED_SINCE) == Some(true) {
        true => NotModified,
        false => Go,
    }
}

/// Whether parts may be sent: `If-Range` (section 13.1.5) is absent, or names exactly this state. `now` is in seconds
/// since 1970.
pub(super) fn parts_fit(fields: &HeaderMap, there: &Validators, now: i64) -> bool {
    let Some(line) = fields.get(header::IF_RANGE) else {
        return true;
    };
    if let Some(tag) = tags(line.as_bytes()).next() {
        return tag.is_strongly(there);
    }
    // A date is a strong validator only when the second that it names is over (section 8.8.2.2).
    date(fields, &header::IF_RANGE) == Some(there.modified)
        && there.modified < now.saturating_sub(1)
}

/// Whether a list of tags has one that fits, or is `*` and there is anything.
fn any(
    fields: &HeaderMap,
    name: &HeaderName,
    there: Option<&Validators>,
    is_it: impl Fn(&Tag<'_>) -> bool,
) -> bool {
    fields.get_all(name).iter().any(|line| {
        let line = line.as_bytes().trim_ascii();
        match line {
            b"*" => there.is_some(),
            _ => tags(line).any(|tag| is_it(&tag)),
        }
    })
}

struct Tag<'a> {
    is_weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

impl Tag<'_> {
    /// The strong comparison (section 8.8.3.2).
    fn is_strongly(&self, there: &Validators) -> bool {
        !self.is_weak && !there.is_weak && self.opaque == there.tag.as_bytes()
    }
}

/// The tags of a list, up to the first that is malformed. A comma inside quotes belongs to its tag.
fn tags(line: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        while let Some((b' ' | b'\t' | b',', after)) = rest.split_first() {
            rest = after;
        }
        let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inside = quoted.strip_prefix(b"\"")?;
        let len = inside.iter().position(|b| *b == b'"')?.saturating_add(2);
        let (opaque, after) = quoted.split_at_checked(len)?;
        rest = after;
        Some(Tag { is_weak, opaque })
    })
}

/// An HTTP date in seconds since 1970; `None` if it is none, or there are several.
fn date(fields: &HeaderMap, name: &HeaderName) -> Option<i64> {
    let mut lines = fields.get_all(name).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let date = httpdate::parse_http_date(line.to_str().ok()?).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn there(is_weak: bool) -> Validators {
        Validators {
            tag: "\"a\"".to_owned(),
            is_weak,
            modified: 784_111_777,
        }
    }

    fn fields(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(name, value.parse().expect("a value"));
        }
        fields
    }

    #[test]
    fn conditions_in_their_order() {
        use Verdict::{Failed, Go, NotModified};
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        // What a read comes to, and what a change.
        type Case<'a> = (&'a [(HeaderName, &'a str)], Verdict, Verdict);
        let cases: &[Case<'_>] = &[
            (&[], Go, Go),
            (&[(IF_MATCH, "\"a\"")], Go, Go),
            (&[(IF_MATCH, "*")], Go, Go),
            (&[(IF_MATCH, "\"b\", \"a\"")], Go, Go),
            (&[(IF_MATCH, "\"b\"")], Failed, Failed),
            (&[(IF_MATCH, "W/\"a\"")], Failed, Failed),
            (&[(IF_MATCH, "\"b\""), (IF_MATCH, "\"a\"")], Go, Go),
            (&[(IF_MATCH, "nonsense")], Failed, Failed),
            (&[(IF_MATCH, "\"x,\"a\"")], Failed, Failed),
            (&[(IF_UNMODIFIED_SINCE, THEN)], Go, Go),
            (&[(IF_UNMODIFIED_SINCE, AFTER)], Go, Go),
            (&[(IF_UNMODIFIED_SINCE, BEFORE)], Failed, Failed),
            (&[(IF_UNMODIFIED_SINCE, "yesterday")], Go, Go),
            // If-Match is stronger than If-Unmodified-Since.
            (
                &[(IF_MATCH, "\"a\""), (IF_UNMODIFIED_SINCE, BEFORE)],
                Go,
                Go,
            ),
            (&[(IF_NONE_MATCH, "\"a\"")], NotModified, Failed),
            (&[(IF_NONE_MATCH, "W/\"a\"")], NotModified, Failed),
            (&[(IF_NONE_MATCH, "*")], NotModified, Failed),
            (&[(IF_NONE_MATCH, "\"b\" ,\t\"c\"")], Go, Go),
            (&[(IF_MODIFIED_SINCE, THEN)], NotModified, Go),
            (&[(IF_MODIFIED_SINCE, AFTER)], NotModified, Go),
            (&[(IF_MODIFIED_SINCE, BEFORE)], Go, Go),
            (&[(IF_MODIFIED_SINCE, "06-11-94")], Go, Go),
            // If-None-Match is stronger than If-Modified-Since.
            (
                &[(IF_NONE_MATCH, "\"b\""), (IF_MODIFIED_SINCE, THEN)],
                Go,
                Go,
            ),
            // What must be the same is looked at before what must not.
            (
                &[(IF_MATCH, "\"b\""), (IF_NONE_MATCH, "\"a\"")],
                Failed,
                Failed,
            ),
            (
                &[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"a\"")],
                NotModified,
                Failed,
            ),
        ];
        for (lines, read, change) in cases {
            let fields = fields(lines);
            let there = there(false);
            assert_eq!(judge(&fields, true, Some(&there)), *read, "read {lines:?}");
            assert_eq!(judge(&fields, false, Some(&there)), *change, "{lines:?}");
        }
    }

    #[test]
    fn conditions_on_what_is_not_there() {
        use header::{IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        for (name, value, expected) in [
            (IF_MATCH, "*", Verdict::Failed),
            (IF_MATCH, "\"a\"", Verdict::Failed),
            (IF_NONE_MATCH, "*", Verdict::Go),
            (IF_NONE_MATCH, "\"a\"", Verdict::Go),
            (IF_UNMODIFIED_SINCE, BEFORE, Verdict::Go),
        ] {
            let fields = fields(&[(name.clone(), value)]);
            assert_eq!(judge(&fields, false, None), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_weak_tag_is_good_enough_for_not_modified_only() {
        let weak = there(true);
        let none_match = fields(&[(header::IF_NONE_MATCH, "W/\"a\"")]);
        assert_eq!(judge(&none_match, true, Some(&weak)), Verdict::NotModified);
        let matching = fields(&[(header::IF_MATCH, "\"a\"")]);
        assert_eq!(judge(&matching, false, Some(&weak)), Verdict::Failed);
        let range = fields(&[(header::IF_RANGE, "W/\"a\"")]);
        assert!(!parts_fit(&range, &weak, i64::MAX));
    }

    #[test]
    fn parts_of_exactly_this_state() {
        let there = there(false);
        let later = there.modified + 2;
        for (value, now, expected) in [
            ("\"a\"", later, true),
            ("\"b\"", later, false),
            ("W/\"a\"", later, false),
            (THEN, later, true),
            (THEN, there.modified + 1, false),
            (BEFORE, later, false),
            (AFTER, later, false),
            ("nonsense", later, false),
        ] {
            let fields = fields(&[(header::IF_RANGE, value)]);
            assert_eq!(parts_fit(&fields, &there, now), expected, "{value}");
        }
        assert!(parts_fit(&HeaderMap::new(), &there, 0));
    }
}

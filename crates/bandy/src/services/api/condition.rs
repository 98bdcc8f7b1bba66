//! Conditional requests on revisions (RFC 9110, section 13): the entity tag of revision 17 is `"17"`.

use super::stop::Stop;
use crate::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// On what a request depends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Condition {
    is: Option<Tags>,
    is_not: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// Tags that are none of ours are left out: they match nothing.
    Of(Vec<Tag>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag {
    revision: u64,
    is_weak: bool,
}

impl Condition {
    /// What `If-Match` and `If-None-Match` say. What is no tag of ours matches nothing.
    pub(super) fn of(fields: &HeaderMap) -> Condition {
        Condition {
            is: tags(fields, header::IF_MATCH),
            is_not: tags(fields, header::IF_NONE_MATCH),
        }
    }

    /// Whether nothing depends on the revision that is to be changed.
    pub(super) fn names_no_revision(&self) -> bool {
        self.is.is_none() && self.is_not.is_none()
    }

    /// Whether what is to be changed may be, being at this revision; `None` where there is nothing.
    ///
    /// # Errors
    /// 412.
    pub(super) fn check(&self, revision: Option<u64>) -> Result<(), Stop> {
        let failed = |detail: String| Err(Stop::new(StatusCode::PRECONDITION_FAILED, detail));
        let now = match revision {
            Some(revision) => format!("is at revision \"{revision}\""),
            None => "is not there".to_owned(),
        };
        if let Some(tags) = &self.is
            && !tags.matches(revision, false)
        {
            return failed(format!("If-Match names another revision: it {now}"));
        }
        if let Some(tags) = &self.is_not
            && tags.matches(revision, true)
        {
            return failed(format!("If-None-Match names this revision: it {now}"));
        }
        Ok(())
    }

    /// Whether who asks has this revision already.
    pub(super) fn has(&self, revision: u64) -> bool {
        let tags = self.is_not.as_ref();
        tags.is_some_and(|tags| tags.matches(Some(revision), true))
    }
}

impl Tags {
    fn matches(&self, revision: Option<u64>, weakly: bool) -> bool {
        match (self, revision) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Of(tags), Some(revision)) => tags
                .iter()
                .any(|tag| tag.revision == revision && (weakly || !tag.is_weak)),
        }
    }
}

fn tags(fields: &HeaderMap, name: HeaderName) -> Option<Tags> {
    let mut found = None;
    for field in fields.get_all(&name) {
        let text = field.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Some(Tags::Any);
        }
        let found = found.get_or_insert_with(Vec::new);
        // A tag of ours has no comma in it; one of somebody else's that has falls apart into what is none.
        for tag in text.split(',').map(str::trim) {
            let (tag, is_weak) = match tag.strip_prefix("W/") {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            // Many forget the quotes.
            let revision = tag.trim_matches('"').parse().ok();
            found.extend(revision.map(|revision| Tag { revision, is_weak }));
        }
    }
    found.map(Tags::Of)
}

/// Notes in a response at which revision what it shows is.
pub(super) fn note_revision(response: &mut Response, revision: u64) {
    // A number in quotes always is a value.
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(name: HeaderName, value: &'static str) -> Condition {
        let mut fields = HeaderMap::new();
        fields.insert(name, HeaderValue::from_static(value));
        Condition::of(&fields)
    }

    #[test]
    fn conditions_hold_or_do_not() {
        use header::{IF_MATCH, IF_NONE_MATCH};
        for (name, value, revision, expected) in [
            (IF_MATCH, "\"17\"", Some(17), true),
            (IF_MATCH, "\"17\"", Some(18), false),
            (IF_MATCH, "\"17\"", None, false),
            (IF_MATCH, "W/\"17\"", Some(17), false),
            (IF_MATCH, "\"16\", \"17\"", Some(17), true),
            (IF_MATCH, "\"x\"", Some(17), false),
            (IF_MATCH, "17", Some(17), true),
            (IF_MATCH, "x", Some(17), false),
            (IF_MATCH, "*", Some(17), true),
            (IF_MATCH, "*", None, false),
            (IF_NONE_MATCH, "*", None, true),
            (IF_NONE_MATCH, "*", Some(1), false),
            (IF_NONE_MATCH, "W/\"17\"", Some(17), false),
            (IF_NONE_MATCH, "\"17\"", Some(18), true),
        ] {
            let condition = condition(name.clone(), value);
            let holds = condition.check(revision).is_ok();
            assert_eq!(holds, expected, "{name}: {value} at {revision:?}");
        }
    }
}

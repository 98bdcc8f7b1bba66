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
    /// What `If-Match` and `If-None-Match` say.
    ///
    /// # Errors
    /// 400 for a field that is no list of tags.
    pub(super) fn of(fields: &HeaderMap) -> Result<Condition, Stop> {
        Ok(Condition {
            is: tags(fields, header::IF_MATCH)?,
            is_not: tags(fields, header::IF_NONE_MATCH)?,
        })
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

fn tags(fields: &HeaderMap, name: HeaderName) -> Result<Option<Tags>, Stop> {
    let mut found = Vec::new();
    let mut is_there = false;
    for field in fields.get_all(&name) {
        let wrong = || {
            let detail = format!("{name} is not a list of entity tags such as \"17\"");
            Stop::new(StatusCode::BAD_REQUEST, detail)
        };
        let text = field.to_str().map_err(|_| wrong())?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        is_there = true;
        // A tag of ours has no comma in it; one of somebody else's that has falls apart into what is none.
        for tag in text.split(',').map(str::trim) {
            let (tag, is_weak) = match tag.strip_prefix("W/") {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            if !tag.contains('"') {
                return Err(wrong());
            }
            let inside = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let revision = inside.and_then(|inside| inside.parse().ok());
            found.extend(revision.map(|revision| Tag { revision, is_weak }));
        }
    }
    Ok(is_there.then_some(Tags::Of(found)))
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
        Condition::of(&fields).expect("a condition")
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
        let mut fields = HeaderMap::new();
        fields.insert(IF_MATCH, HeaderValue::from_static("17"));
        assert!(Condition::of(&fields).is_err());
    }
}

//! Answers without a service: somewhere else, or always the same.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::host::without_port;
use super::mount::Mount;
use crate::http::{
    Body, Downstream, HeaderValue, Problem, Request, Response, StatusCode, header, same_origin,
};

/// Somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// One of [`Redirect::STATUSES`].
    pub status: StatusCode,
    /// Where.
    pub to: Target,
}

impl Redirect {
    /// For good or for now; with 307 and 308 a client keeps method and body (RFC 9110, section 15.4).
    pub const STATUSES: [StatusCode; 5] = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];

    /// The answer to this request.
    pub fn answer(&self, request: &Request) -> Response {
        let location = self.to.render(request);
        match location.and_then(|to| HeaderValue::try_from(to).ok()) {
            Some(location) => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = self.status;
                response.headers_mut().insert(header::LOCATION, location);
                response
            }
            None => Problem::new(StatusCode::BAD_REQUEST)
                .detail("a Host is needed here")
                .response(),
        }
    }
}

/// A URL with what the request had in braces: `https://{host}{path_and_query}`.
///
/// | field | of `http://app.example:8080/a/b?c=d` |
/// |---|---|
/// | `{scheme}` | `http` |
/// | `{host}` | `app.example`: without a port, since another scheme has another |
/// | `{path}` | `/a/b`, as it was received and before anything was stripped |
/// | `{query}` | `c=d`, empty where there is none |
/// | `{path_and_query}` | `/a/b?c=d` |
///
/// It prints as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Scheme,
    Host,
    Path,
    Query,
    PathAndQuery,
}

const FIELDS: [(&str, Field); 5] = [
    ("scheme", Field::Scheme),
    ("host", Field::Host),
    ("path", Field::Path),
    ("query", Field::Query),
    ("path_and_query", Field::PathAndQuery),
];

impl Target {
    /// The URL for this request; `None` where it needs a host and the request has none.
    fn render(&self, request: &Request) -> Option<String> {
        let uri = Mount::original(request);
        let path = match uri.path() {
            // `OPTIONS *` asks about the server as a whole.
            "*" => "/",
            path => path,
        };
        let is_secure = Downstream::of(request).is_some_and(Downstream::is_secure);
        let mut out = String::new();
        for part in &self.0 {
            let field = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Field(field) => *field,
            };
            match field {
                Field::Scheme => out.push_str(if is_secure { "https" } else { "http" }),
                Field::Host => out.push_str(without_port(same_origin::authority(request)?)),
                Field::Query => out.push_str(uri.query().unwrap_or_default()),
                Field::Path | Field::PathAndQuery => {
                    match out.bytes().all(|b| b == b'/') {
                        // At the beginning `//evil.example` would be another host (RFC 3986, section 4.2), and for
                        // browsers `/\` too.
                        true => {
                            out.replace_range(.., "/");
                            out.push_str(path.trim_start_matches(['/', '\\']));
                        }
                        false => out.push_str(path),
                    }
                    if let (Field::PathAndQuery, Some(query)) = (field, uri.query()) {
                        out.push('?');
                        out.push_str(query);
                    }
                }
            }
        }
        Some(out)
    }
}

/// Why a text is not a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError(String);

impl TargetError {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        "write it as in `https://{host}{path_and_query}`; the fields are {scheme} {host} {path} {query} {path_and_query}"
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let fail = |what: &str| Err(TargetError(what.to_owned()));
        if text.is_empty() {
            return fail("it is empty");
        }
        if !text.bytes().all(|b| (b'!'..=b'~').contains(&b)) {
            return fail("a URL is printable ASCII without spaces");
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return fail("`{` is never closed");
            };
            let Some((_, field)) = FIELDS.into_iter().find(|(n, _)| *n == name) else {
                return Err(TargetError(format!("there is no field `{name}`")));
            };
            if before.contains('}') {
                return fail("`}` closes nothing");
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Field(field));
            rest = after;
        }
        if rest.contains('}') {
            return fail("`}` closes nothing");
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let is_absolute = match parts.first() {
            Some(Part::Text(text)) => text.starts_with('/') || text.contains(':'),
            Some(Part::Field(field)) => {
                matches!(field, Field::Scheme | Field::Path | Field::PathAndQuery)
            }
            None => false,
        };
        match is_absolute {
            true => Ok(Target(parts)),
            false => fail("it begins with neither a scheme nor `/`"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Field(field) => {
                    let name = FIELDS.into_iter().find(|(_, f)| f == field);
                    write!(f, "{{{}}}", name.map_or("", |(name, _)| name))?;
                }
            }
        }
        Ok(())
    }
}

/// Always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// From 200 to 599.
    pub status: StatusCode,
    /// The body's media type.
    pub media_type: String,
    /// The body.
    pub body: String,
}

impl Fixed {
    /// The default of `media_type`.
    pub const MEDIA_TYPE: &'static str = "text/plain; charset=utf-8";

    /// The answer.
    pub fn answer(&self) -> Response {
        let mut response = Response::new(Body::full(self.body.clone()));
        *response.status_mut() = self.status;
        if !self.body.is_empty()
            && let Ok(media_type) = HeaderValue::from_str(&self.media_type)
        {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, media_type);
        }
        response
    }
}

/// A text as one value of a query: every byte that means something elsewhere is encoded (RFC 3986, section 2.3).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b if b.is_ascii_alphanumeric() || b"-._~/".contains(&b) => out.push(char::from(b)),
            // Writing to a String cannot fail.
            b => drop(write!(out, "%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn location(to: &str, uri: &str, host: &str) -> String {
        let redirect = Redirect {
            status: StatusCode::FOUND,
            to: to.parse().expect("a target"),
        };
        let mut request = ::http::Request::builder().uri(uri);
        if !host.is_empty() {
            request = request.header("host", host);
        }
        let response = redirect.answer(&request.body(Body::empty()).expect("a request"));
        match response.headers().get("location") {
            Some(to) => to.to_str().expect("text").to_owned(),
            None => response.status().to_string(),
        }
    }

    #[test]
    fn where_it_leads() {
        for (to, uri, host, expected) in [
            (
                "https://{host}{path_and_query}",
                "/a/b?c=d",
                "app.example:8080",
                "https://app.example/a/b?c=d",
            ),
            (
                "https://{host}:8443{path}",
                "/a?b",
                "[::1]:80",
                "https://[::1]:8443/a",
            ),
            ("https://{host}/", "/", "", "400 Bad Request"),
            ("/new{path}?{query}", "/a?b=c", "h", "/new/a?b=c"),
            ("/new", "/a?b=c", "h", "/new"),
            ("{scheme}://www.{host}/", "/", "a", "http://www.a/"),
            ("https://a{path}", "*", "h", "https://a/"),
            // Never to another host than was written.
            ("{path}", "//evil.example/x", "h", "/evil.example/x"),
            (
                "{path_and_query}",
                "///evil.example?x",
                "h",
                "/evil.example?x",
            ),
            ("/{path}", "/evil.example", "h", "/evil.example"),
            (
                "https://a{path}",
                "//evil.example",
                "h",
                "https://a//evil.example",
            ),
        ] {
            assert_eq!(location(to, uri, host), expected, "{to} for {uri}");
        }
    }

    #[test]
    fn what_is_no_target() {
        for text in [
            "", "new", "{host}/", "/{x}", "/{", "/}", "/a b", "/é", "/}{path}",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_as_one_value() {
        assert_eq!(encoded("/a b?c=d&é"), "/a%20b%3Fc%3Dd%26%C3%A9");
    }

    proptest! {
        #[test]
        fn targets_print_as_they_were_written(text in "\\PC*|/?[a:/]{0,3}(\\{(host|path|query)\\}[a/]{0,2}){0,4}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert_eq!(target.to_string(), text);
            }
        }
    }
}

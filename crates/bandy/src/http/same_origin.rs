//! Whether a web page of somebody else's made a browser send a request.
//!
//! A browser sends along what it remembers for a site (cookies, a password, a client certificate), whichever page made
//! it ask. So what changes something, and was let in by one of these, must come from the site itself. Browsers say
//! where a request comes from: `Sec-Fetch-Site` (W3C Fetch Metadata), and those that do not yet send it, `Origin`
//! (RFC 6454). Programs send neither, and are not concerned.

use super::{Downstream, HeaderMap, Method, Problem, Request, StatusCode, header};
use crate::net::ws::is_this_machine;

/// Refuses a request that changes something, carries what a browser sends by itself, and was made by another site's
/// page.
///
/// # Errors
/// The 403 to answer with.
pub fn guard(request: &Request) -> Result<(), Problem> {
    match changes_something(request.method()) && carries_what_is_remembered(request) {
        true => check(request),
        false => Ok(()),
    }
}

/// Refuses a request that another site's page made, whatever it asks for and carries: for what logs somebody in.
///
/// # Errors
/// The 403 to answer with.
pub fn check(request: &Request) -> Result<(), Problem> {
    match is_foreign(request) {
        true => Err(Problem::new(StatusCode::FORBIDDEN)
            .detail("this request was made by a page of another site")),
        false => Ok(()),
    }
}

/// Refuses a browser's request at a loopback listener under a name that is not this machine's: one that an attacker owns
/// can be made to resolve there (DNS rebinding), and its pages are then of the same origin.
///
/// # Errors
/// The 403 to answer with.
pub fn check_name(request: &Request) -> Result<(), Problem> {
    let fields = request.headers();
    let is_browser = fields.contains_key(header::ORIGIN) || fields.contains_key("sec-fetch-site");
    let host = authority(request).unwrap_or_default();
    match is_browser && is_loopback(request) && !is_this_machine(host) {
        true => Err(Problem::new(StatusCode::FORBIDDEN)
            .detail("pages of other names than this machine's may change nothing here")),
        false => Ok(()),
    }
}

/// Whether a page of another origin made a browser send this.
pub fn is_foreign(request: &Request) -> bool {
    let fields = request.headers();
    if let Some(site) = fields.get("sec-fetch-site") {
        // `none` is a person: an address typed, a bookmark. A sibling domain (`same-site`) is somebody else.
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = fields.get(header::ORIGIN) else {
        return false;
    };
    let is_secure = Downstream::of(request).is_some_and(Downstream::is_secure);
    let same = origin.to_str().ok().zip(authority(request));
    !same.is_some_and(|(origin, host)| is_same(origin, host, is_secure))
}

/// Whether a method asks for more than to be shown something (RFC 9110, section 9.2.1).
pub fn changes_something(method: &Method) -> bool {
    !method.is_safe()
}

fn carries_what_is_remembered(request: &Request) -> bool {
    let fields = request.headers();
    let is_password = |value: &::http::HeaderValue| {
        let scheme = value.as_bytes().get(..6);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
    };
    let has_certificate = Downstream::of(request)
        .and_then(Downstream::tls)
        .is_some_and(|tls| tls.peer_certificate.is_some());
    has_certificate || has_cookies(fields) || has_any(fields, header::AUTHORIZATION, is_password)
}

fn has_cookies(fields: &HeaderMap) -> bool {
    fields.contains_key(header::COOKIE)
}

fn has_any(
    fields: &HeaderMap,
    name: header::HeaderName,
    is: impl Fn(&::http::HeaderValue) -> bool,
) -> bool {
    fields.get_all(name).iter().any(is)
}

/// The authority that a request is for: the target's, else its `Host` (RFC 9110, section 7.2).
pub fn authority(request: &Request) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}

/// Whether `https://app.example` is what `app.example:443` is. Over TLS only a page that came over TLS is the same; in
/// front of a plain listener something else may have done the TLS.
fn is_same(origin: &str, host: &str, is_secure: bool) -> bool {
    let (secure, from) = match origin.split_once("://") {
        Some(("https", from)) => (true, from),
        Some(("http", from)) if !is_secure => (false, from),
        _ => return false,
    };
    let default = if secure { ":443" } else { ":80" };
    let plain = |authority: &str| {
        let authority = authority.strip_suffix(default).unwrap_or(authority);
        authority.to_ascii_lowercase()
    };
    !from.is_empty() && plain(from) == plain(host)
}

fn is_loopback(request: &Request) -> bool {
    let address = Downstream::of(request).and_then(|d| d.endpoint().socket_addr());
    address.is_some_and(|address| address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    fn request(method: Method, fields: &[(&str, &str)]) -> Request {
        let mut request = ::http::Request::builder().method(method).uri("/change");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).expect("a request")
    }

    /// A method, its fields, and whether it may go on.
    type Case<'a> = (Method, &'a [(&'a str, &'a str)], bool);

    #[test]
    fn only_what_a_page_of_another_site_changes_is_refused() {
        let host = ("host", "app.example");
        let cookie = ("cookie", "a=b");
        let cases: &[Case<'_>] = &[
            // A program's.
            (Method::POST, &[host, cookie], true),
            // A page's own.
            (
                Method::POST,
                &[host, cookie, ("sec-fetch-site", "same-origin")],
                true,
            ),
            (
                Method::POST,
                &[host, cookie, ("sec-fetch-site", "none")],
                true,
            ),
            (
                Method::POST,
                &[host, cookie, ("origin", "https://app.example")],
                true,
            ),
            (
                Method::POST,
                &[host, cookie, ("origin", "http://APP.example:80")],
                true,
            ),
            // Another's.
            (
                Method::POST,
                &[host, cookie, ("sec-fetch-site", "cross-site")],
                false,
            ),
            (
                Method::DELETE,
                &[host, cookie, ("sec-fetch-site", "same-site")],
                false,
            ),
            (
                Method::POST,
                &[host, cookie, ("origin", "https://evil.example")],
                false,
            ),
            (
                Method::POST,
                &[host, cookie, ("origin", "https://app.example:8443")],
                false,
            ),
            (Method::POST, &[host, cookie, ("origin", "null")], false),
            (
                Method::POST,
                &[
                    host,
                    ("authorization", "Basic YTpi"),
                    ("origin", "https://x"),
                ],
                false,
            ),
            // `Sec-Fetch-Site` says more than `Origin`.
            (
                Method::POST,
                &[
                    host,
                    cookie,
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://app.example"),
                ],
                false,
            ),
            // Nothing is changed, or nothing was remembered.
            (
                Method::GET,
                &[host, cookie, ("sec-fetch-site", "cross-site")],
                true,
            ),
            (
                Method::POST,
                &[host, ("sec-fetch-site", "cross-site")],
                true,
            ),
            (
                Method::POST,
                &[
                    host,
                    ("authorization", "Bearer x"),
                    ("sec-fetch-site", "cross-site"),
                ],
                true,
            ),
        ];
        for (method, fields, expected) in cases {
            let request = request(method.clone(), fields);
            assert_eq!(guard(&request).is_ok(), *expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn over_tls_the_scheme_counts() {
        assert!(is_same("https://a:443", "a", true));
        assert!(is_same("http://a", "a:80", false));
        assert!(!is_same("http://a", "a", true));
        assert!(!is_same("https://a", "a:80", false));
        assert!(!is_same("https://", "", false));
    }
}

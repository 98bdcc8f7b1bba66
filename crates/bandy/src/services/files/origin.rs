//! Whether a browser was made to change files by a page that has no business here.
//!
//! Nothing has to be remembered for a site to let somebody write here, so every change is looked at. At a loopback listener the page's being from the same host
//! is not enough: a name that an attacker owns can be made to resolve there (DNS rebinding).

use super::stop::Stop;
use crate::http::{Request, header, same_origin};

/// Refuses a change that another site's page asks for. `allowed` are origins as browsers write them.
pub(super) fn check(request: &Request, allowed: &[String]) -> Result<(), Stop> {
    let fields = request.headers();
    let origin = fields.get(header::ORIGIN);
    if origin.is_none() && !fields.contains_key("sec-fetch-site") {
        return Ok(());
    }
    let origin = origin.map(|value| value.to_str().unwrap_or_default());
    let is = |a: &String| a == "*" || origin.is_some_and(|o| a.eq_ignore_ascii_case(o));
    if allowed.iter().any(is) {
        return Ok(());
    }
    same_origin::check(request)?;
    Ok(same_origin::check_name(request)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_change_files() {
        let host = ("host", "files.example:8000");
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[host], true),
            (&[host, ("sec-fetch-site", "same-origin")], true),
            (&[host, ("sec-fetch-site", "none")], true),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("sec-fetch-site", "cross-site")], false),
            (&[host, ("origin", "http://files.example:8000")], true),
            (&[host, ("origin", "https://FILES.example:8000")], true),
            (&[host, ("origin", "http://files.example")], false),
            (&[host, ("origin", "http://evil.example:8000")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "https://friend.example")], true),
            (
                &[
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://files.example:8000"),
                ],
                false,
            ),
            (&[("host", "a"), ("origin", "http://a:80")], true),
        ];
        for (fields, expected) in cases {
            let mut request = ::http::Request::builder().uri("/");
            for (name, value) in *fields {
                request = request.header(*name, *value);
            }
            let request = request.body(crate::http::Body::empty()).expect("a request");
            let allowed = ["https://friend.example".to_owned()];
            let is_ours = check(&request, &allowed).is_ok();
            assert_eq!(is_ours, *expected, "{fields:?}");
        }
    }
}

//! Whether a browser was made to change files by a page that has no business here.
//!
//! A browser sends a form to wherever a page says, and says where the page came from: in `Sec-Fetch-Site`, and in
//! `Origin`. Programs send neither and are not concerned. At a loopback listener the page's being from the same host
//! is not enough: a name that an attacker owns can be made to resolve there (DNS rebinding).

use std::net::IpAddr;

use ::http::request::Parts;

use super::stop::{Stop, problem};
use crate::http::{Downstream, StatusCode, header};

/// Refuses a change that another site's page asks for. `allowed` are origins as browsers write them.
pub(super) fn check(head: &Parts, allowed: &[String]) -> Result<(), Stop> {
    match is_ours(head, allowed) {
        true => Ok(()),
        false => Err(problem(
            StatusCode::FORBIDDEN,
            "a page of another site may not change files here",
        )),
    }
}

fn is_ours(head: &Parts, allowed: &[String]) -> bool {
    let site = head.headers.get("sec-fetch-site");
    let origin = head.headers.get(header::ORIGIN);
    if site.is_none() && origin.is_none() {
        return true;
    }
    let origin = origin.map(|value| value.to_str().unwrap_or_default());
    if origin.is_some_and(|o| {
        allowed
            .iter()
            .any(|a| a == "*" || a.eq_ignore_ascii_case(o))
    }) {
        return true;
    }
    let host = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => {
            let host = head.headers.get(header::HOST);
            host.and_then(|host| host.to_str().ok()).unwrap_or_default()
        }
    };
    let is_same_site = site.is_none_or(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    let is_same_host = origin.is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| is_same(authority, host))
    });
    is_same_site && is_same_host && (!is_loopback(head) || is_this_machine(host))
}

fn is_same(a: &str, b: &str) -> bool {
    let plain = |authority: &str| {
        let ports = [":80", ":443"];
        let shorter = ports.iter().find_map(|port| authority.strip_suffix(port));
        shorter.unwrap_or(authority).to_ascii_lowercase()
    };
    plain(a) == plain(b)
}

fn is_loopback(head: &Parts) -> bool {
    let downstream = head.extensions.get::<Downstream>();
    let address = downstream.and_then(|d| d.endpoint().socket_addr());
    address.is_some_and(|address| address.ip().is_loopback())
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((v6, _)) => v6,
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
            let (head, ()) = request.body(()).expect("a request").into_parts();
            let allowed = ["https://friend.example".to_owned()];
            assert_eq!(is_ours(&head, &allowed), *expected, "{fields:?}");
        }
    }
}

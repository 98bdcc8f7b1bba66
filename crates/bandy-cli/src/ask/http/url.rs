//! URLs as people type them and as servers redirect to them (RFC 3986), to endpoints.

use bandy::Endpoint;
use bandy::endpoint::{EndpointError, Host};

/// Whether a text has no scheme, and so means HTTP.
pub fn is_bare(typed: &str) -> bool {
    let scheme = typed.split(['/', '?', '#']).next().unwrap_or_default();
    // `host:80/a?b=http://c` has one further back only.
    let has_scheme = typed[scheme.len()..].starts_with("//") && scheme.ends_with(':');
    !(typed.starts_with("unix:") || has_scheme && scheme.len() > 1)
}

/// What was typed as a full URL: `:5000/x` and `localhost:8000/x` are `http`.
pub fn full(typed: &str) -> String {
    if !is_bare(typed) {
        return typed.to_owned();
    }
    let rest = typed.strip_prefix("//").unwrap_or(typed);
    let rest = match rest.strip_prefix(':') {
        // `:/x`: neither host nor port.
        Some(path) if path.is_empty() || path.starts_with(['/', '?']) => path,
        _ => rest,
    };
    format!("http://{rest}")
}

/// The endpoint of a full HTTP URL. What a target may not have is encoded, and the fragment, which is the client's own
/// business, is left out.
pub fn endpoint(full: &str) -> Result<Endpoint, EndpointError> {
    let url = full.split('#').next().unwrap_or_default();
    let authority = url.find("://").map_or(0, |at| at + 3);
    let target = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |at| authority + at);
    let (front, target) = url.split_at(target);
    let mut out = front.to_owned();
    for c in target.chars() {
        match c {
            c if c.is_ascii_graphic() && !"<>\"\\^`{|}".contains(c) => out.push(c),
            c => encode(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes(), |_| false),
        }
    }
    out.parse()
}

/// The same URL with one more pair in its query.
pub fn with_query(url: &mut String, name: &str, value: &str) {
    let (front, fragment) = match url.find('#') {
        Some(at) => url.split_at(at),
        None => (url.as_str(), ""),
    };
    let mut out = front.to_owned();
    let joint = match front.find('?') {
        None => "?",
        Some(_) if front.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    out.push_str(joint);
    pair(&mut out, name, value);
    out.push_str(fragment);
    *url = out;
}

/// Writes `name=value` as forms and queries have it (application/x-www-form-urlencoded).
pub fn pair(out: &mut String, name: &str, value: &str) {
    for (i, text) in [name, value].into_iter().enumerate() {
        if i == 1 {
            out.push('=');
        }
        for (j, word) in text.split(' ').enumerate() {
            if j > 0 {
                out.push('+');
            }
            encode(out, word.as_bytes(), |b| {
                b.is_ascii_alphanumeric() || b"-._~".contains(&b)
            });
        }
    }
}

fn encode(out: &mut String, bytes: &[u8], is_plain: impl Fn(u8) -> bool) {
    use std::fmt::Write;
    for &b in bytes {
        match is_plain(b) {
            true => out.push(char::from(b)),
            // Writing to a String cannot fail.
            false => drop(write!(out, "%{b:02X}")),
        }
    }
}

/// Scheme, host and port: what credentials belong to (RFC 6454).
pub fn is_same_origin(a: &Endpoint, b: &Endpoint) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port() == b.port()
}

/// The host and port as the Host field has them: without a port that goes without saying.
pub fn authority(url: &Endpoint) -> String {
    let host = url.host().map(Host::to_string).unwrap_or_default();
    let usual = if url.scheme().is_secure() { 443 } else { 80 };
    match url.port() {
        Some(port) if port != usual => format!("{host}:{port}"),
        _ => host,
    }
}

/// Whether it is on this machine, by its address or name.
pub fn is_here(url: &Endpoint) -> bool {
    match url.host() {
        Some(Host::Ip(ip)) => ip.is_loopback(),
        Some(Host::Name(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// The path, without the query.
pub fn path(url: &Endpoint) -> &str {
    let target = url.target();
    target.split('?').next().unwrap_or(target)
}

/// Where a reference leads from a URL (RFC 3986, section 5.2), as a full URL.
pub fn join(base: &Endpoint, reference: &str) -> String {
    let reference = reference.trim();
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = base.scheme();
    if has_scheme(reference) {
        return reference.to_owned();
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let origin = format!("{scheme}://{}", authority(base));
    if reference.is_empty() {
        return format!("{origin}{}", base.target());
    }
    if reference.starts_with('?') {
        return format!("{origin}{}{reference}", path(base));
    }
    let (reference_path, query) = match reference.find('?') {
        Some(at) => reference.split_at(at),
        None => (reference, ""),
    };
    let merged = match reference_path.starts_with('/') {
        true => reference_path.to_owned(),
        false => {
            let folder = path(base).rfind('/').map_or("/", |at| &path(base)[..=at]);
            format!("{folder}{reference_path}")
        }
    };
    format!("{origin}{}{query}", without_dots(&merged))
}

fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Takes `.` and `..` out of a path (section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut segments = path.trim_start_matches('/').split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    out.pop();
                }
                if is_last {
                    out.push("");
                }
            }
            segment => out.push(segment),
        }
    }
    format!("/{}", out.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(typed: &str) -> String {
        let endpoint = endpoint(&full(typed)).unwrap_or_else(|e| panic!("{typed}: {e}"));
        endpoint.to_string()
    }

    #[test]
    fn as_typed() {
        for (typed, url) in [
            (":5000/process", "http://127.0.0.1:5000/process"),
            (":5000", "http://127.0.0.1:5000"),
            (":", "http://127.0.0.1:80"),
            (":/x", "http://127.0.0.1:80/x"),
            ("localhost:8000/x?y=1#z", "http://localhost:8000/x?y=1"),
            ("example.org", "http://example.org:80"),
            ("//example.org/a", "http://example.org:80/a"),
            ("[::1]:8000/", "http://[::1]:8000"),
            ("https://example.org", "https://example.org:443"),
            (
                ":80/grün und/日?q=ä",
                "http://127.0.0.1:80/gr%C3%BCn%20und/%E6%97%A5?q=%C3%A4",
            ),
            ("host/a?b=http://c", "http://host:80/a?b=http://c"),
        ] {
            assert_eq!(parsed(typed), url, "{typed}");
        }
    }

    #[test]
    fn queries_are_added() {
        for (url, with) in [
            ("http://a", "http://a?q=x+y%26%C3%A4"),
            ("http://a/?b=1", "http://a/?b=1&q=x+y%26%C3%A4"),
            ("http://a/?", "http://a/?q=x+y%26%C3%A4"),
            ("http://a/#f", "http://a/?q=x+y%26%C3%A4#f"),
        ] {
            let mut url = url.to_owned();
            with_query(&mut url, "q", "x y&ä");
            assert_eq!(url, with);
        }
    }

    /// The examples of RFC 3986, section 5.4, without parameters and fragments.
    #[test]
    fn references_lead_where_they_should() {
        let base = endpoint("http://a/b/c/d?q").expect("a URL");
        for (reference, url) in [
            ("http://h/x", "http://h/x"),
            ("https://h", "https://h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("", "http://a/b/c/d?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g#s", "http://a/b/c/g"),
        ] {
            assert_eq!(join(&base, reference), url, "{reference}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(typed in ".{0,30}", reference in ".{0,30}") {
            if let Ok(base) = endpoint(&full(&typed)) {
                let _ = endpoint(&join(&base, &reference));
            }
        }
    }
}

//! Host patterns: `app.example`, `*.example.com`.

use std::fmt;
use std::str::FromStr;

/// Which hosts: one, or all below a name. Upper and lower case are the same, and a port does not count.
///
/// It prints as it was written, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: String,
    /// Whether it is what is below the name that matches, and not the name itself.
    is_below: bool,
}

impl Host {
    /// Whether an authority (`app.example:8443`) is one of them.
    pub fn matches(&self, authority: &str) -> bool {
        let host = without_port(authority);
        // A name may be written with the root's dot (RFC 1034, section 3.1).
        let host = host.strip_suffix('.').unwrap_or(host);
        if !self.is_below {
            return host.eq_ignore_ascii_case(&self.name);
        }
        let Some(at) = host.len().checked_sub(self.name.len()) else {
            return false;
        };
        let (Some(below), Some(name)) = (host.get(..at), host.get(at..)) else {
            return false;
        };
        below.len() > 1 && below.ends_with('.') && name.eq_ignore_ascii_case(&self.name)
    }
}

/// An authority's host: `[::1]:80` has `[::1]`.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError {
    what: &'static str,
    hint: &'static str,
}

impl HostError {
    /// What to write instead.
    pub fn hint(self) -> &'static str {
        self.hint
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for HostError {}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Host, HostError> {
        let fail = |what, hint| Err(HostError { what, hint });
        const NAME: &str = "write a name as in `app.example`, or `*.example.com` for all below it";
        if text.contains('/') {
            return fail("it is a URL and no host", NAME);
        }
        let (name, is_below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.contains('*') {
            return fail("`*` stands for the first part only", NAME);
        }
        let is_address = name.starts_with('[') && name.ends_with(']');
        if !is_address && name.contains(':') {
            return fail("ports do not count here", "leave the port out");
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_of_host = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let is_of_address = |b: u8| b.is_ascii_hexdigit() || b"[]:.".contains(&b);
        let is_host = match is_address {
            true => !is_below && name.bytes().all(is_of_address),
            false => name.bytes().all(is_of_host) && !name.starts_with('.') && !name.contains(".."),
        };
        if name.is_empty() || !is_host {
            return fail("it is not a host's name", NAME);
        }
        Ok(Host {
            name: name.to_ascii_lowercase(),
            is_below,
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_below {
            f.write_str("*.")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn which_hosts_match() {
        for (written, authority, expected) in [
            ("app.example", "app.example", true),
            ("app.example", "APP.example:8443", true),
            ("App.example", "app.example.", true),
            ("app.example", "xapp.example", false),
            ("app.example", "app.example.evil", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.Example.com:80", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("[::1]", "[::1]:80", true),
            ("[::1]", "[::1]", true),
            ("127.0.0.1", "127.0.0.1:80", true),
        ] {
            let host: Host = written.parse().expect("a host");
            assert_eq!(
                host.matches(authority),
                expected,
                "{written} on {authority}"
            );
        }
    }

    #[test]
    fn what_is_no_host() {
        for text in [
            "",
            "*",
            "*.",
            "a.*",
            "https://a",
            "a:80",
            "a b",
            "é",
            "a..b",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn hosts_print_as_they_were_written(text in "(\\*\\.)?[a-z]{1,3}(\\.[a-z]{1,3}){0,2}") {
            let host: Host = text.parse().expect("a host");
            prop_assert_eq!(host.to_string(), text);
        }

        #[test]
        fn nothing_panics(text in "\\PC*|[*.a:\\[\\]]{0,8}", authority in "\\PC*|[*.aé:\\[\\]]{0,8}") {
            if let Ok(host) = text.parse::<Host>() {
                let _ = host.matches(&authority);
            }
        }
    }
}

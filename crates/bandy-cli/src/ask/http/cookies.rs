//! Cookies, by the rules of RFC 6265: which are taken from an answer, which go with a request.
//!
//! Time is an argument. There is no list of public suffixes: a cookie for a whole `co.uk` would be taken, as by curl
//! without one, and is kept only in the session that one names.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bandy::Endpoint;
use bandy::endpoint::Host;
use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::url;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Jar {
    cookies: Vec<Cookie>,
}

/// One cookie (section 5.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Only for the very host that it came from.
    host_only: bool,
    path: String,
    secure: bool,
    http_only: bool,
    /// Seconds since 1970; `None` lasts as long as the session's file.
    expires: Option<i64>,
}

/// As many as browsers keep for one site; the oldest go first.
const COOKIES_MAX: usize = 300;
/// As section 6.1 has it.
const COOKIE_BYTES_MAX: usize = 4096;

impl Jar {
    /// Takes a `Set-Cookie` of an answer from this URL, if it may be taken.
    pub fn take(&mut self, set_cookie: &str, from: &Endpoint, now: SystemTime) {
        let Some(cookie) = Cookie::parse(set_cookie, from, now) else {
            return;
        };
        let is_same = |known: &Cookie| {
            (&known.name, &known.domain, &known.path)
                == (&cookie.name, &cookie.domain, &cookie.path)
        };
        // It stays where it was in the order.
        let at = self.cookies.iter().position(is_same);
        let is_over = cookie.is_over(now);
        match at {
            Some(at) if is_over => drop(self.cookies.remove(at)),
            Some(at) => {
                if let Some(known) = self.cookies.get_mut(at) {
                    *known = cookie;
                }
            }
            None if is_over => {}
            None => self.cookies.push(cookie),
        }
        if self.cookies.len() > COOKIES_MAX {
            self.cookies.remove(0);
        }
    }

    /// What goes with a request to this URL (section 5.4).
    pub fn header(&mut self, to: &Endpoint, now: SystemTime) -> Option<String> {
        self.cookies.retain(|cookie| !cookie.is_over(now));
        let mut found: Vec<&Cookie> = self.cookies.iter().filter(|c| c.goes_to(to)).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = found
            .iter()
            .map(|cookie| match cookie.name.is_empty() {
                true => cookie.value.clone(),
                false => format!("{}={}", cookie.name, cookie.value),
            })
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

impl Cookie {
    fn parse(set_cookie: &str, from: &Endpoint, now: SystemTime) -> Option<Cookie> {
        if set_cookie.len() > COOKIE_BYTES_MAX
            || set_cookie.contains(|c: char| c.is_control() && c != '\t')
        {
            return None;
        }
        let mut parts = set_cookie.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() && value.is_empty() {
            return None;
        }
        let host = host(from)?;
        let mut cookie = Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: host.clone(),
            host_only: true,
            path: default_path(url::path(from)),
            secure: false,
            http_only: false,
            expires: None,
        };
        let mut has_max_age = false;
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "secure" => cookie.secure = true,
                "httponly" => cookie.http_only = true,
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "path" => cookie.path = default_path(url::path(from)),
                "domain" => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    if domain.is_empty() {
                        continue;
                    }
                    if !domain_matches(&host, &domain) {
                        return None;
                    }
                    // `com` is nobody's; that it is this host's own name is fine.
                    if !domain.contains('.') && domain != host {
                        return None;
                    }
                    cookie.host_only = domain == host && !domain.contains('.');
                    cookie.domain = domain;
                }
                "max-age" => {
                    if let Some(at) = max_age(value, now) {
                        cookie.expires = Some(at);
                        has_max_age = true;
                    }
                }
                "expires" if !has_max_age => {
                    cookie.expires = date(value).or(cookie.expires);
                }
                _ => {}
            }
        }
        // RFC 6265bis: what anyone on the way can write is not secure.
        let needs_secure = cookie.secure
            || starts_with_ignoring_case(name, "__Secure-")
            || starts_with_ignoring_case(name, "__Host-");
        if needs_secure && !(from.scheme().is_secure() && cookie.secure) {
            return None;
        }
        let is_hosts = starts_with_ignoring_case(name, "__Host-");
        if is_hosts && !(cookie.host_only && cookie.path == "/") {
            return None;
        }
        Some(cookie)
    }

    fn goes_to(&self, to: &Endpoint) -> bool {
        let Some(host) = host(to) else { return false };
        let is_domain = match self.host_only {
            true => host == self.domain,
            false => domain_matches(&host, &self.domain),
        };
        is_domain
            && path_matches(url::path(to), &self.path)
            && (!self.secure || to.scheme().is_secure())
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|at| at <= seconds(now))
    }
}

fn starts_with_ignoring_case(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn host(of: &Endpoint) -> Option<String> {
    match of.host()? {
        Host::Name(name) => Some(name.trim_end_matches('.').to_owned()),
        Host::Ip(ip) => Some(ip.to_string()),
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Section 5.1.3.
fn domain_matches(host: &str, domain: &str) -> bool {
    if host == domain {
        return true;
    }
    let is_below = host
        .strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.'));
    is_below && host.parse::<IpAddr>().is_err()
}

/// Section 5.1.4.
fn path_matches(path: &str, cookie: &str) -> bool {
    match path.strip_prefix(cookie) {
        Some(rest) => rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// Section 5.1.4: the folder of the URL's path.
fn default_path(path: &str) -> String {
    match path.rfind('/') {
        Some(at) if at > 0 => path[..at].to_owned(),
        _ => "/".to_owned(),
    }
}

/// Section 5.2.2.
fn max_age(value: &str, now: SystemTime) -> Option<i64> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, value),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let age: i64 = digits.parse().unwrap_or(i64::MAX);
    Some(match sign {
        -1 => 0,
        _ if age == 0 => 0,
        _ => seconds(now).saturating_add(age),
    })
}

/// A date however it is written (section 5.1.1), in seconds since 1970.
pub fn date(value: &str) -> Option<i64> {
    let is_delimiter = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || !c.is_ascii());
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in value.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(match found {
                70..=99 => found + 1900,
                0..=69 => found + 2000,
                _ => found,
            });
        }
    }
    let year = year.filter(|year| *year >= 1601)?;
    let date = Date::from_calendar_date(i32::from(year), month?, u8::try_from(day?).ok()?).ok()?;
    Some(
        PrimitiveDateTime::new(date, time?)
            .assume_utc()
            .unix_timestamp(),
    )
    .filter(|at| *at >= OffsetDateTime::UNIX_EPOCH.unix_timestamp())
    .or(Some(0))
}

/// `token`'s leading digits, if they are this many.
fn number(token: &str, least: usize, most: usize) -> Option<u16> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    match (least..=most).contains(&digits) {
        true => token.get(..digits)?.parse().ok(),
        false => None,
    }
}

fn time_of(token: &str) -> Option<Time> {
    let mut parts = token.splitn(3, ':');
    let mut part = || number(parts.next()?, 1, 2);
    let (hour, minute, second) = (part()?, part()?, part()?);
    let byte = |n: u16| u8::try_from(n).ok();
    Time::from_hms(byte(hour)?, byte(minute)?, byte(second)?).ok()
}

fn month_of(token: &str) -> Option<Month> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let start = token.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == start)?;
    Month::try_from(u8::try_from(at).ok()? + 1).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn at(url: &str) -> Endpoint {
        url::endpoint(url).expect(url)
    }

    /// What comes back to `to` when `from` set this.
    fn back(set: &str, from: &str, to: &str) -> Option<String> {
        let mut jar = Jar::default();
        jar.take(set, &at(from), now());
        jar.header(&at(to), now())
    }

    #[test]
    fn who_gets_what() {
        const CAME: Option<&str> = Some("a=1");
        for (set, from, to, comes) in [
            ("a=1", "http://h/", "http://h/", CAME),
            ("a=1", "http://h/", "http://other/", None),
            ("a=1", "http://h/", "http://x.h/", None),
            ("a=1", "http://h:1/", "http://h:2/", CAME),
            // Domains.
            ("a=1; Domain=b.c", "http://x.b.c/", "http://y.b.c/", CAME),
            ("a=1; Domain=.b.c", "http://b.c/", "http://y.b.c/", CAME),
            ("a=1; Domain=b.c", "http://evil/", "http://b.c/", None),
            ("a=1; Domain=b.c", "http://xb.c/", "http://b.c/", None),
            ("a=1; Domain=c", "http://b.c/", "http://c/", None),
            (
                "a=1; Domain=0.0.1",
                "http://127.0.0.1/",
                "http://127.0.0.1/",
                None,
            ),
            (
                "a=1; Domain=localhost",
                "http://localhost/",
                "http://localhost/",
                CAME,
            ),
            // Paths.
            ("a=1", "http://h/x/y", "http://h/x/z", CAME),
            ("a=1", "http://h/x/y", "http://h/", None),
            ("a=1; Path=/x", "http://h/", "http://h/x/y", CAME),
            ("a=1; Path=/x", "http://h/", "http://h/xy", None),
            ("a=1; Path=/", "http://h/x/y", "http://h/", CAME),
            // Security.
            ("a=1; Secure", "https://h/", "https://h/", CAME),
            ("a=1; Secure", "https://h/", "http://h/", None),
            ("a=1; Secure", "http://h/", "https://h/", None),
            ("__Host-a=1", "https://h/", "https://h/", None),
            // Time.
            ("a=1; Max-Age=10", "http://h/", "http://h/", CAME),
            ("a=1; Max-Age=0", "http://h/", "http://h/", None),
            ("a=1; Max-Age=-5", "http://h/", "http://h/", None),
            ("a=1; Max-Age=x", "http://h/", "http://h/", CAME),
            (
                "a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
                "http://h/",
                "http://h/",
                None,
            ),
            (
                "a=1; Expires=Wed, 21-Oct-45 07:28:00 GMT",
                "http://h/",
                "http://h/",
                CAME,
            ),
            (
                "a=1; Max-Age=9; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
                "http://h/",
                "http://h/",
                CAME,
            ),
            ("a=1; Expires=soon", "http://h/", "http://h/", CAME),
            // No cookies.
            ("a", "http://h/", "http://h/", None),
            ("=", "http://h/", "http://h/", None),
            ("a=1\u{7}", "http://h/", "http://h/", None),
        ] {
            assert_eq!(
                back(set, from, to).as_deref(),
                comes,
                "{set} from {from} to {to}"
            );
        }
    }

    #[test]
    fn replaced_expired_and_ordered() {
        let mut jar = Jar::default();
        let here = at("http://h/x/y");
        jar.take("a=1; Path=/", &here, now());
        jar.take("b=2", &here, now());
        jar.take("a=3; Path=/", &here, now());
        assert_eq!(jar.header(&here, now()).as_deref(), Some("b=2; a=3"));
        jar.take("b=; Max-Age=0", &here, now());
        jar.take("c=4; Max-Age=10", &here, now());
        assert_eq!(jar.header(&here, now()).as_deref(), Some("c=4; a=3"));
        let later = now() + Duration::from_secs(11);
        assert_eq!(jar.header(&here, later).as_deref(), Some("a=3"));
    }

    #[test]
    fn dates_in_all_their_forms() {
        for text in [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wednesday, 21-Oct-15 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2015",
        ] {
            assert_eq!(date(text), Some(1_445_412_480), "{text}");
        }
        assert_eq!(date("31 Feb 2020 00:00:00"), None);
        assert_eq!(date("25:00:00 1 Jan 2020"), None);
    }

    proptest! {
        #[test]
        fn never_panics(set in ".{0,60}", when in "[A-Za-z0-9:, é-]{0,30}") {
            let mut jar = Jar::default();
            jar.take(&set, &at("http://h/x"), now());
            jar.take(&format!("a=1; Expires={when}; Domain={set}; Path={set}; Max-Age={when}"), &at("http://h/x"), now());
            let _ = jar.header(&at("http://h/x"), now());
        }
    }
}

//! How a session's token travels in HTTP: in a cookie, or behind `Authorization: Bearer`.
//!
//! Over TLS the cookie has the `__Host-` prefix (RFC 6265bis, section 4.1.3.2), so that neither a neighbouring host
//! nor a reader of plain HTTP can plant another one. It is `HttpOnly`, so that no script reads it, and `SameSite=Lax`, so
//! that other sites' forms do not carry it. A service that changes something for a request [`carried`] by a cookie
//! checks the request's origin besides: other sites' pages cannot set the field of a bearer token, but browsers send cookies
//! by themselves.

use std::time::SystemTime;

use super::secret::Token;
use super::session::Grant;
use crate::http::{Downstream, HeaderMap, HeaderValue, Request, header};

/// The cookie's name on plain connections.
pub const PLAIN: &str = "bandy_session";
/// The cookie's name over TLS.
pub const SECURE: &str = "__Host-bandy_session";

/// How a token came with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried<'a> {
    /// In a cookie, which a browser sends whether its user means to or not.
    Cookie(&'a str),
    /// As `Authorization: Bearer`, which somebody meant.
    Bearer(&'a str),
}

impl<'a> Carried<'a> {
    /// The token.
    pub fn token(self) -> &'a str {
        match self {
            Carried::Cookie(token) | Carried::Bearer(token) => token,
        }
    }
}

/// The token of a request, if it has exactly one: see [`carried`].
pub fn token(fields: &HeaderMap, secure: bool) -> Option<&str> {
    carried(fields, secure).map(Carried::token)
}

/// The token of a request and how it came. `secure` is as in [`set`].
///
/// A bearer token (RFC 6750, section 2.1) goes before a cookie, and `__Host-` before the plain name, which over TLS does
/// not count. What is there twice with two values, or is not made of a token's characters, is not there: an attacker
/// may have planted one of them.
pub fn carried(fields: &HeaderMap, secure: bool) -> Option<Carried<'_>> {
    if fields.contains_key(header::AUTHORIZATION) {
        return bearer(fields).map(Carried::Bearer);
    }
    match (cookie(fields, SECURE), secure) {
        (Found::One(token), _) => Some(Carried::Cookie(token)),
        (Found::Several, _) | (Found::None, true) => None,
        (Found::None, false) => match cookie(fields, PLAIN) {
            Found::One(token) => Some(Carried::Cookie(token)),
            Found::Several | Found::None => None,
        },
    }
}

/// Whether a request came over TLS to us. Behind a proxy that ends TLS, what it says in `Forwarded` decides instead.
pub fn is_secure(request: &Request) -> bool {
    Downstream::of(request).is_some_and(Downstream::is_secure)
}

/// `Set-Cookie` for a session that has begun. `secure` is whether the client speaks TLS, to us or to a proxy that is trusted.
pub fn set(grant: &Grant, secure: bool) -> HeaderValue {
    let left = grant.session.expires.duration_since(SystemTime::now());
    written(&grant.token, left.unwrap_or_default().as_secs(), secure)
}

/// `Set-Cookie` for a session that has ended.
pub fn clear(secure: bool) -> HeaderValue {
    let text = attributes("", 0, secure);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn written(token: &Token, max_age: u64, secure: bool) -> HeaderValue {
    // A token is base64url, and so always a value.
    let text = attributes(token.expose(), max_age, secure);
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn attributes(value: &str, max_age: u64, secure: bool) -> String {
    let (name, more) = match secure {
        true => (SECURE, "; Secure"),
        false => (PLAIN, ""),
    };
    format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{more}")
}

fn bearer(fields: &HeaderMap) -> Option<&str> {
    let mut values = fields.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && is_token(token)).then_some(token)
}

enum Found<'a> {
    None,
    One(&'a str),
    Several,
}

/// The value of the cookie of this name (RFC 6265, section 4.2.1), over all `Cookie` fields, which HTTP/2 divides.
fn cookie<'a>(fields: &'a HeaderMap, name: &str) -> Found<'a> {
    let mut found = Found::None;
    for field in fields.get_all(header::COOKIE) {
        // A field that is not text has no token of ours in it; others may.
        let Ok(field) = field.to_str() else { continue };
        for pair in field.split(';') {
            let Some((key, value)) = pair.split_once('=') else {
                continue;
            };
            if key.trim_matches([' ', '\t']) != name {
                continue;
            }
            let value = value.trim_matches([' ', '\t']);
            found = match found {
                Found::None if is_token(value) => Found::One(value),
                Found::One(same) if same == value => Found::One(same),
                _ => return Found::Several,
            };
        }
    }
    found
}

/// What a token can be made of, and how long anything that is looked up may be.
fn is_token(text: &str) -> bool {
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=256).contains(&text.len()) && text.bytes().all(is_base64url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(lines: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            let name = header::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            fields.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        fields
    }

    #[test]
    fn where_a_token_is_found() {
        use Carried::{Bearer, Cookie};
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Lines<'_>, Option<Carried<'_>>); 20] = [
            (&[], None),
            (&[("cookie", "bandy_session=abc")], Some(Cookie("abc"))),
            (
                &[("cookie", "a=1; bandy_session=abc; b=2")],
                Some(Cookie("abc")),
            ),
            (&[("cookie", "a=1;bandy_session=abc")], Some(Cookie("abc"))),
            (
                &[("cookie", "a=1"), ("cookie", "bandy_session=abc")],
                Some(Cookie("abc")),
            ),
            (
                &[("cookie", "bandy_session=abc; bandy_session=abc")],
                Some(Cookie("abc")),
            ),
            (&[("cookie", "bandy_session=abc; bandy_session=def")], None),
            (
                &[
                    ("cookie", "bandy_session=abc"),
                    ("cookie", "bandy_session=def"),
                ],
                None,
            ),
            (
                &[("cookie", "bandy_session=abc; __Host-bandy_session=def")],
                Some(Cookie("def")),
            ),
            (
                &[("cookie", "bandy_session=abc; __Host-bandy_session=")],
                None,
            ),
            (&[("cookie", "xbandy_session=abc")], None),
            (&[("cookie", "Bandy_Session=abc")], None),
            (&[("cookie", "bandy_session=a b")], None),
            (&[("cookie", "bandy_session=\"abc\"")], None),
            (&[("cookie", "bandy_session")], None),
            (&[("authorization", "Bearer abc")], Some(Bearer("abc"))),
            (&[("authorization", "bearer  abc")], Some(Bearer("abc"))),
            (
                &[
                    ("authorization", "Bearer abc"),
                    ("cookie", "bandy_session=def"),
                ],
                Some(Bearer("abc")),
            ),
            (&[("authorization", "Bearer a,b")], None),
            (
                &[
                    ("authorization", "Bearer abc"),
                    ("authorization", "Bearer abc"),
                ],
                None,
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(carried(&fields(lines), false), expected, "{lines:?}");
        }
        // Whoever authenticates otherwise does not fall back to what a browser adds.
        let basic = fields(&[
            ("authorization", "Basic YTpi"),
            ("cookie", "bandy_session=abc"),
        ]);
        assert_eq!(carried(&basic, false), None);
        // What was set on a plain connection, perhaps by somebody else, counts for nothing over TLS.
        let plain = fields(&[("cookie", "bandy_session=abc")]);
        assert_eq!(carried(&plain, true), None);
        let both = fields(&[("cookie", "bandy_session=abc; __Host-bandy_session=def")]);
        assert_eq!(carried(&both, true), Some(Cookie("def")));
    }

    #[test]
    fn what_is_set() {
        let token = Token::random().expect("a token");
        let text = token.expose();
        assert_eq!(
            written(&token, 60, true),
            format!(
                "__Host-bandy_session={text}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
            )
        );
        assert_eq!(
            written(&token, 60, false),
            format!("bandy_session={text}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
        );
        assert!(written(&token, 60, true).is_sensitive());
        assert_eq!(
            clear(true),
            "__Host-bandy_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_token_or_nothing(cookies in prop::collection::vec("[ -~]{0,60}", 0..4), bearer in "[ -~]{0,40}") {
            let mut lines: Vec<(&str, &str)> = cookies.iter().map(|c| ("cookie", c.as_str())).collect();
            if bearer.len() % 2 == 1 {
                lines.push(("authorization", &bearer));
            }
            if let Some(found) = token(&fields(&lines), false) {
                prop_assert!(is_token(found));
            }
        }

        #[test]
        fn what_is_set_is_found_among_others(before in "([a-z]{1,8}=[!#-+--:<-~]{0,8}; ){0,3}", after in "(; [a-z]{1,8}=[!#-+--:<-~]{0,8}){0,3}", secure: bool) {
            let token = Token::random().expect("a token");
            let set = written(&token, 1, secure);
            let pair = set.to_str().expect("text").split(';').next().expect("a pair");
            let sent = format!("{before}{pair}{after}");
            let fields = fields(&[("cookie", &sent)]);
            prop_assert_eq!(super::token(&fields, secure), Some(token.expose()));
        }
    }
}

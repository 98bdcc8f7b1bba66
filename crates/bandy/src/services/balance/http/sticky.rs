//! Cookies by which a client stays with its backend: signed, so that nobody can choose another, and without its address.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ::http::request;
use aws_lc_rs::hmac;

use super::Rules;
use crate::http::{HeaderValue, header};
use crate::pool::options::Sticky;
use crate::pool::{Backend, Pool};

/// The key that cookies are signed with.
#[derive(Clone)]
pub struct Secret(Arc<hmac::Key>);

impl Secret {
    /// The same for everyone who was told the same.
    pub fn of(secret: &[u8]) -> Secret {
        Secret(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }
}

/// One for each process, and another after each start.
impl Default for Secret {
    fn default() -> Secret {
        static OWN: OnceLock<Secret> = OnceLock::new();
        let made = || {
            let mut bytes = [0; 32];
            // A system without randomness cannot do TLS either; then cookies are only not secret.
            let _ = aws_lc_rs::rand::fill(&mut bytes);
            Secret::of(&bytes)
        };
        OWN.get_or_init(made).clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl PartialEq for Secret {
    /// As what they sign.
    fn eq(&self, other: &Secret) -> bool {
        hmac::sign(&self.0, b"").as_ref() == hmac::sign(&other.0, b"").as_ref()
    }
}

impl Eq for Secret {}

/// Characters of the backend's number, and of the signature.
const NUMBER: usize = 16;
const SIGNATURE: usize = 32;

/// The backend that the request's cookie names.
pub(super) fn named(
    pool: &Pool,
    sticky: &Sticky,
    rules: &Rules,
    parts: &request::Parts,
) -> Option<Arc<Backend>> {
    let value = sent(&sticky.cookie, parts)?;
    let (number, signature) = value.split_at_checked(NUMBER)?;
    if signature.len() != SIGNATURE {
        return None;
    }
    // In constant time: how much of it is right is nobody's business.
    let expected = signed(pool, rules, number);
    let same = aws_lc_rs::constant_time::verify_slices_are_equal(
        expected.as_bytes(),
        signature.as_bytes(),
    );
    same.ok()?;
    let number = u64::from_str_radix(number, 16).ok()?;
    pool.members()
        .into_iter()
        .find(|backend| backend.salt() == number)
}

/// The cookie for an answer of this backend.
pub(super) fn cookie(
    pool: &Pool,
    sticky: &Sticky,
    rules: &Rules,
    backend: &Backend,
    is_secure: bool,
) -> Option<HeaderValue> {
    let number = format!("{:016x}", backend.salt());
    let signature = signed(pool, rules, &number);
    let secure = if is_secure { "; Secure" } else { "" };
    let name = &sticky.cookie;
    let cookie = format!("{name}={number}{signature}; Path=/; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(cookie).ok()
}

/// What a cookie of this name says.
pub(super) fn sent<'a>(name: &str, parts: &'a request::Parts) -> Option<&'a str> {
    let lines = parts.headers.get_all(header::COOKIE).iter();
    let cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut values = cookies.filter_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        (found == name).then_some(value)
    });
    values.next()
}

/// The first half of HMAC-SHA256 (RFC 2104, section 5, on shortening).
fn signed(pool: &Pool, rules: &Rules, number: &str) -> String {
    let mut context = hmac::Context::with_key(&rules.secret.0);
    context.update(pool.name().as_bytes());
    context.update(b"\0");
    context.update(number.as_bytes());
    let tag = context.sign();
    let half = tag.as_ref().iter().take(SIGNATURE / 2);
    half.map(|byte| format!("{byte:02x}")).collect()
}

//! `/cookies`: cookies of the tester's own, apart from the session's.

use serde_json::{Map, Value, json};

use crate::accounts::cookie;
use crate::http::{HeaderValue, StatusCode, empty, header, typed};
use crate::services::api::call::Call;
use crate::services::api::query;
use crate::services::api::stop::{Reply, Stop};

/// The most cookies that are set at once.
const COOKIES_MAX: usize = 50;

pub(super) async fn show(call: Call<'_>) -> Reply {
    let mut cookies = Map::new();
    let fields = call.parts.headers.get_all(header::COOKIE).iter();
    for field in fields.filter_map(|field| field.to_str().ok()) {
        for (name, value) in field.split(';').filter_map(|pair| pair.split_once('=')) {
            let (name, value) = (name.trim(), value.trim());
            if !is_session(name) {
                cookies.insert(name.to_owned(), Value::from(value));
            }
        }
    }
    let body = json!({"cookies": cookies}).to_string();
    Ok(typed(StatusCode::OK, "application/json", body))
}

/// Set for `/cookies` only: what a link sets here means nothing elsewhere.
pub(super) async fn set(call: Call<'_>) -> Reply {
    let mut response = empty(StatusCode::FOUND);
    let fields = response.headers_mut();
    fields.insert(header::LOCATION, HeaderValue::from_static("/cookies"));
    let written = call.parts.uri.query().unwrap_or_default();
    for (name, value) in query::pairs(written).take(COOKIES_MAX) {
        let name = query::decode(name).unwrap_or_default();
        let value = query::decode(value.unwrap_or_default()).unwrap_or_default();
        if !is_name(&name) || is_session(&name) {
            return Err(Stop::field(
                name,
                "is not the name of a cookie that can be set here",
            ));
        }
        let is_value = value.len() <= 1024 && value.bytes().all(is_of_values);
        let cookie = HeaderValue::try_from(format!(
            "{name}={value}; Path={}/cookies; SameSite=Lax",
            call.prefix
        ));
        match cookie {
            Ok(cookie) if is_value => drop(fields.append(header::SET_COOKIE, cookie)),
            _ => return Err(Stop::field(name, "has a value that no cookie can have")),
        }
    }
    Ok(response)
}

fn is_session(name: &str) -> bool {
    name == cookie::PLAIN || name == cookie::SECURE
}

/// RFC 6265, section 4.1.1: a token.
fn is_name(name: &str) -> bool {
    let is_of_tokens = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(is_of_tokens)
}

fn is_of_values(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

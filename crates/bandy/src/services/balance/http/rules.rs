//! What of requests and answers is passed on, as it was told.

use ::http::request;

use super::head::Client;
pub use super::sticky::Secret;
use crate::http::router::Range;
use crate::pool::Key;
use crate::pool::strategy::{Choice, KeyOf};

/// What of requests and answers is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// From where X-Forwarded-* and Forwarded are believed: other balancers in front of this one.
    pub trust: Vec<Range>,
    /// The host that backends are asked for; without one, the one that the client asked for.
    pub host: Option<String>,
    /// Whether backends are told in Forwarded (RFC 7239) too.
    pub forwarded: bool,
    /// Whether each request has an X-Request-Id.
    pub request_id: bool,
    /// Whether each request has a line in the log.
    pub log: bool,
    /// What signs cookies. Several balancers side by side need the same.
    pub secret: Secret,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            trust: Vec::new(),
            host: None,
            forwarded: false,
            request_id: true,
            log: false,
            secret: Secret::default(),
        }
    }
}

impl Rules {
    /// What the strategy decides by, if it wants to know. Of a request that has none of it, nothing: then it decides as if
    /// nobody had asked twice.
    pub(super) fn key(
        &self,
        strategy: &Choice,
        parts: &request::Parts,
        client: &Client,
    ) -> Option<Key> {
        match strategy.key()? {
            KeyOf::Ip => client.ip.map(Key::of_ip),
            KeyOf::Header(name) => parts
                .headers
                .get(name)
                .map(|value| Key::of(value.as_bytes())),
            KeyOf::Cookie(name) => {
                super::sticky::sent(name, parts).map(|value| Key::of(value.as_bytes()))
            }
            KeyOf::Path => Some(Key::of(parts.uri.path().as_bytes())),
            KeyOf::Query(name) => {
                let mut pairs = parts.uri.query()?.split('&');
                let value = pairs.find_map(|pair| match pair.split_once('=') {
                    Some((found, value)) => (found == name).then_some(value),
                    None => (pair == name).then_some(""),
                });
                value.map(|value| Key::of(value.as_bytes()))
            }
        }
    }
}

//! What is asked: a request, as bytes or as what they say; and the items of streams and messages.

use bytes::Bytes;

use crate::endpoint::{Endpoint, Host};
use crate::http::{HeaderMap, Method, header};
use crate::wire::http1::{self, Connection, Length};

/// A request of HTTP, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpRequest {
    /// Its method.
    pub method: Method,
    /// Path and query, as they are sent.
    pub target: String,
    /// Its fields. Host is added where it is missing; what frames the body is written as the body needs it.
    pub fields: HeaderMap,
    /// Its body; may be empty.
    pub body: Bytes,
}

impl HttpRequest {
    /// GET for this endpoint's path, with no fields but Host.
    pub fn get(endpoint: &Endpoint) -> HttpRequest {
        HttpRequest {
            method: Method::GET,
            target: endpoint.target().to_owned(),
            fields: HeaderMap::new(),
            body: Bytes::new(),
        }
        .to(endpoint)
    }

    /// With Host, unless it is there.
    pub(super) fn to(mut self, endpoint: &Endpoint) -> HttpRequest {
        if !self.fields.contains_key(header::HOST)
            && let Ok(host) = authority(endpoint).try_into()
        {
            self.fields.insert(header::HOST, host);
        }
        self
    }

    /// Its bytes in HTTP/1.1, at the end of `out`.
    pub(super) fn write_http1(&self, out: &mut Vec<u8>) {
        let length = match self.body.len() {
            0 => Length::None,
            len => Length::Known(len as u64),
        };
        let asks_to_close = self
            .fields
            .get_all(header::CONNECTION)
            .iter()
            .any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let connection = match asks_to_close {
            true => Connection::Close,
            false => Connection::KeepAlive,
        };
        let method = self.method.as_str();
        http1::write_request_head(out, method, &self.target, &self.fields, length, connection);
        out.extend_from_slice(&self.body);
    }

    /// Its fields as HTTP/2 has them (RFC 9113, section 8.3.1): method, scheme, target and host first.
    pub(super) fn http2(&self, endpoint: &Endpoint) -> Vec<(Vec<u8>, Vec<u8>)> {
        let scheme = match endpoint.scheme().is_secure() {
            true => "https",
            false => "http",
        };
        let host = self.fields.get(header::HOST);
        let host = host.map_or_else(
            || authority(endpoint).into_bytes(),
            |host| host.as_bytes().to_vec(),
        );
        let pair = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
        let mut fields = vec![
            pair(":method", self.method.as_str().as_bytes()),
            pair(":scheme", scheme.as_bytes()),
            pair(":path", self.target.as_bytes()),
            (b":authority".to_vec(), host),
        ];
        // They are above, or HTTP/1.1's (section 8.2.2), or said of the body below.
        let left_out = [
            header::HOST,
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::CONTENT_LENGTH,
        ];
        let own = self.fields.iter();
        fields.extend(
            own.filter(|(name, _)| !left_out.contains(name))
                .map(|(name, value)| pair(name.as_str(), value.as_bytes())),
        );
        if !self.body.is_empty() {
            fields.push(pair(
                "content-length",
                self.body.len().to_string().as_bytes(),
            ));
        }
        fields
    }
}

/// Host and port, as the Host field has them: without a port that goes without saying.
fn authority(endpoint: &Endpoint) -> String {
    let host = endpoint
        .host()
        .map_or_else(|| "localhost".to_owned(), Host::to_string);
    let usual = match endpoint.scheme().is_secure() {
        true => 443,
        false => 80,
    };
    match endpoint.port() {
        Some(port) if port != usual => format!("{host}:{port}"),
        _ => host,
    }
}

/// What is said to streams and messages, one item after the other, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// As they go out; never empty.
    items: Vec<Bytes>,
    /// How many lines or messages answer each of them.
    pub(super) answers: usize,
    /// Whether WebSocket marks them as text.
    pub(super) is_text: bool,
}

impl Said {
    /// Lines of a stream: each item with a line feed behind it.
    pub fn lines(items: Vec<Bytes>, answers: usize) -> Said {
        let lines = items.into_iter().map(|item| {
            let mut line = item.to_vec();
            line.push(b'\n');
            line.into()
        });
        Said::new(lines.collect(), answers)
    }

    /// Messages or datagrams.
    pub fn messages(items: Vec<Bytes>, answers: usize) -> Said {
        Said::new(items, answers)
    }

    fn new(mut items: Vec<Bytes>, answers: usize) -> Said {
        if items.is_empty() {
            items.push(Bytes::from_static(b"\n"));
        }
        let is_text = items.iter().all(|item| std::str::from_utf8(item).is_ok());
        Said {
            items,
            answers,
            is_text,
        }
    }

    /// The item of this turn; they go round.
    pub(super) fn item(&self, turn: usize) -> &Bytes {
        // There is at least one.
        &self.items[turn % self.items.len()]
    }
}

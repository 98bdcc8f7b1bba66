//! `--json`: the exchange as one object.

use bandy::error::{Error, Kind, Side};
use bandy::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::course::Course;
use super::follow::Hop;
use super::media;
use crate::ask::json;
use crate::exit::Code;

/// The object's shape, in this order. Where streams have it too, it is named and means the same.
#[derive(Serialize)]
struct Object<'a> {
    endpoint: String,
    peer: Option<&'a str>,
    tls: Option<Value>,
    http: Option<String>,
    redirects: Vec<Value>,
    request: Value,
    status: Option<u16>,
    reason: Option<&'static str>,
    headers: Value,
    body: Body,
    truncated: bool,
    sent_bytes: u64,
    received_bytes: u64,
    phases_ms: json::Phases,
    ended: &'static str,
    error: Option<Value>,
}

/// JSON as it came, text, or bytes in hex.
#[derive(Serialize)]
#[serde(untagged)]
enum Body {
    Json(Box<RawValue>),
    Other(Value),
}

/// The whole object, on one line.
///
/// # Errors
/// None in practice: everything in it can be written as JSON.
pub fn object(
    course: &Course,
    hops: &[Hop],
    (body, truncated): (Vec<u8>, bool),
    error: Option<&Error>,
    code: Code,
) -> Result<String, Error> {
    let redirects = hops
        .iter()
        .map(|hop| json!({ "status": hop.status.as_u16(), "from": hop.from, "to": hop.to }));
    let none = HeaderMap::new();
    let headers = course.answer.as_ref().map_or(&none, |(_, headers)| headers);
    let status = course.answer.as_ref().map(|(status, _)| *status);
    let kind = super::output::field(headers, bandy::http::header::CONTENT_TYPE);
    let object = Object {
        endpoint: course.url.to_string(),
        peer: course.peer.as_deref(),
        tls: course.tls.as_ref().map(json::secured),
        http: course
            .version
            .map(|version| version.to_string().replace("HTTP/", "")),
        redirects: redirects.collect(),
        request: json!({
            "method": course.method.as_str(),
            "target": course.url.target(),
            "headers": fields(course.fields.iter().map(|(name, value)| (name, value))),
        }),
        status: status.map(|status| status.as_u16()),
        reason: status.and_then(|status| status.canonical_reason()),
        headers: fields(headers.iter()),
        body: of(body, truncated, kind),
        truncated,
        sent_bytes: course.sent_bytes,
        received_bytes: course.received_bytes,
        phases_ms: json::Phases::of(&course.times),
        ended: match (code, error.map(Error::kind)) {
            (Code::Interrupted, _) => "interrupted",
            (Code::Empty, _) => "empty",
            (_, Some(Kind::TimedOut)) => "timed out",
            (_, Some(_)) => "failed",
            (_, None) => "answered",
        },
        error: error.map(|error| json::failure(error, (code == Code::Empty).then_some("empty"))),
    };
    match serde_json::to_string(&object) {
        Ok(text) => Ok(text + "\n"),
        Err(e) => Err(Error::new(Kind::Other, Side::Local, "writing JSON").because(e)),
    }
}

/// Fields by name; those that came more than once as an array.
fn fields<'a>(all: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Value {
    let mut map = Map::new();
    for (name, value) in all {
        let value = Value::from(String::from_utf8_lossy(value.as_bytes()));
        match map.get_mut(name.as_str()) {
            None => drop(map.insert(name.as_str().to_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(map)
}

fn of(body: Vec<u8>, truncated: bool, kind: Option<&str>) -> Body {
    if body.is_empty() {
        return Body::Other(Value::Null);
    }
    let text = match String::from_utf8(body) {
        Ok(text) => text,
        Err(e) => return Body::Other(json::text_or_hex(e.as_bytes())),
    };
    if !truncated
        && media::sort(kind) == media::Sort::Json
        && let Ok(json) = serde_json::from_str::<&RawValue>(&text)
        // Its line ends would break the one line of the report.
        && let Ok(json) = RawValue::from_string(json.get().replace(['\n', '\r'], ""))
    {
        return Body::Json(json);
    }
    Body::Other(text.into())
}

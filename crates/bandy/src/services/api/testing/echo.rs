//! `/echo`: the request, as the server saw it.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::http::{Body, Method, StatusCode, header, typed};
use crate::services::api::call::Call;
use crate::services::api::endpoint::{Does, Endpoint, Tag, Takes};
use crate::services::api::json;
use crate::services::api::query;
use crate::services::api::stop::Reply;

pub(super) fn endpoint(path: &'static str) -> Result<Endpoint> {
    let text = json!({"type": "string"});
    let pairs = json!({"type": "array", "items": {"type": "array", "items": text, "minItems": 2, "maxItems": 2}});
    let schema = json!({
        "type": "object",
        "required": ["method", "target", "version", "headers", "query", "body"],
        "properties": {
            "method": text,
            "target": {"type": "string", "description": "As it came."},
            "version": text,
            "headers": {"type": "array", "description": "Names and values; those of one name stand together.", "items": pairs["items"]},
            "query": {"type": "array", "description": "Names and values, decoded, in order.", "items": pairs["items"]},
            "body": {
                "type": "object",
                "required": ["bytes"],
                "properties": {"bytes": {"type": "integer"}, "text": text, "base64": text},
            },
            "json": {"description": "The body, if it is JSON."},
            "form": {"type": "array", "description": "The body, if it is a form.", "items": pairs["items"]},
            "peer": {"type": "string", "description": "Whom the request came from."},
            "tls": {"type": ["string", "null"], "description": "The version of TLS."},
        },
    });
    let example = json!({
        "method": "GET", "target": "/echo?a=5", "version": "HTTP/1.1", "headers": [["host", "127.0.0.1:8000"]],
        "query": [["a", "5"]], "body": {"bytes": 0, "text": ""}, "peer": "127.0.0.1:50000", "tls": null,
    });
    let row = Endpoint::new(Method::GET, path, Tag::Testing, "See what was sent", Does::Later(|call, body| Box::pin(echo(call, body))));
    Ok(row
        .any_method()
        .about("Any method, any path below. The body comes back as text, or in base64 where it is none, and as what it means where that is known.")
        .takes(Takes::Anything, json!(true), Value::Null)?
        .json(200, "The request.", schema, example)
        .problem(413, "The body is too long."))
}

async fn echo(call: Call<'_>, body: Body) -> Reply {
    let body = call.bytes(body).await?;
    let parts = &call.parts;
    let mut seen = Map::new();
    let mut see = |name: &str, value: Value| drop(seen.insert(name.to_owned(), value));
    see("method", parts.method.as_str().into());
    see("target", parts.uri.to_string().into());
    see("version", format!("{:?}", parts.version).into());
    let fields = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        json!([name.as_str(), value])
    });
    see("headers", fields.collect());
    see("query", pairs(parts.uri.query().unwrap_or_default()));
    see(
        "body",
        match str::from_utf8(&body) {
            Ok(text) => json!({"bytes": body.len(), "text": text}),
            Err(_) => json!({"bytes": body.len(), "base64": BASE64_STANDARD.encode(&body)}),
        },
    );
    let media_type = call.field(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        see("form", pairs(&String::from_utf8_lossy(&body)));
    } else if media_type.ends_with("json")
        && let Ok(value) = json::parse(&body, call.api.options.depth)
    {
        see("json", value);
    }
    if let Some(downstream) = call.downstream() {
        see("peer", downstream.peer().to_string().into());
    }
    let tls = call.downstream().and_then(|downstream| downstream.tls());
    see("tls", tls.map(|tls| format!("{:?}", tls.version)).into());
    let mut response = typed(StatusCode::OK, "application/json", Value::Object(seen).to_string());
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, crate::http::HeaderValue::from_static("no-store"));
    Ok(response)
}

fn pairs(written: &str) -> Value {
    let decoded = |text: &str| query::decode(text).map_or_else(|| text.to_owned(), Into::into);
    let pairs = query::pairs(written);
    pairs.map(|(name, value)| json!([decoded(name), decoded(value.unwrap_or_default())])).collect()
}

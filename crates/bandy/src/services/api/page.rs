//! The page at `/` for people, and the document that it is made of.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::json;

use super::call::Call;
use super::endpoint::{Does, Endpoint, Tag};
use super::openapi;
use super::stop::Reply;
use crate::http::{HeaderValue, Method, StatusCode, header, typed};

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The page runs its own script and talks to its own server; nothing else, and inside no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let get = |path, summary, does| Endpoint::new(Method::GET, path, Tag::About, summary, does);
    let text = || json!({"type": "string"});
    vec![
        get(
            "/",
            "The page for people",
            Does::Later(|_, _| Box::pin(async { Ok(file("text/html; charset=utf-8", HTML)) })),
        )
        .says(200, "Every endpoint, to read about and to try.")
        .form("text/html", text(), None),
        get(
            "/openapi.json",
            "This document",
            Does::Later(|call, _| Box::pin(document(call))),
        )
        .json(
            200,
            "The endpoints, as OpenAPI 3.1.",
            json!({"type": "object"}),
            json!({"openapi": "3.1.0"}),
        ),
        get(
            "/healthz",
            "Is it there?",
            Does::Now(|_| Ok(typed(StatusCode::OK, "text/plain; charset=utf-8", "ok"))),
        )
        .about("For balancers and supervisors.")
        .text(200, "It is.", "ok"),
        get(
            "/page/style.css",
            "The page's style",
            Does::Later(|_, _| Box::pin(async { Ok(file("text/css; charset=utf-8", STYLE)) })),
        )
        .says(200, "CSS.")
        .form("text/css", text(), None),
        get(
            "/page/page.js",
            "The page's script",
            Does::Later(|_, _| {
                Box::pin(async { Ok(file("text/javascript; charset=utf-8", SCRIPT)) })
            }),
        )
        .says(200, "JavaScript.")
        .form("text/javascript", text(), None),
    ]
}

async fn document(call: Call<'_>) -> Reply {
    let document = call.api.document.get(&call.api.rows, &call.prefix);
    Ok(typed(StatusCode::OK, "application/json", document))
}

/// The OpenAPI document, written when it is first asked for, and where it stood then.
#[derive(Debug, Default)]
pub(super) struct Document(OnceLock<(String, Bytes)>);

impl Document {
    fn get(&self, rows: &[Endpoint], prefix: &str) -> Bytes {
        let write = || Bytes::from(openapi::document(rows, prefix).to_string());
        match self.0.get_or_init(|| (prefix.to_owned(), write())) {
            (known, document) if known == prefix => document.clone(),
            // One server at two places is rare, and not worth keeping both.
            _ => write(),
        }
    }
}

fn file(media_type: &'static str, text: &'static str) -> crate::http::Response {
    let mut response = typed(StatusCode::OK, media_type, text);
    let fields = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}

//! What a browser gets at `/`.
//!
//! The hook for the page: [`file`] answers every path that is none of the chat's own.

use crate::http::{HeaderValue, Response, StatusCode, header, typed};

const HTML: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Chat</title></head>\n\
    <body><h1>Chat</h1><p>Programs talk at <code>ws</code> here: WebSocket, JSON as <a href=\"schema.json\">schema.json</a> \
    describes it. People come with <code>bandy chat</code>, an IRC client or <code>nc</code>, at this server's other \
    addresses.</p></body></html>\n";

/// Nothing is loaded and nothing runs, inside no other page.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file at a path, for GET and HEAD; `None` where there is none.
pub(super) fn file(path: &str) -> Option<Response> {
    if path != "/" {
        return None;
    }
    let mut response = typed(StatusCode::OK, "text/html; charset=utf-8", HTML);
    let policy = HeaderValue::from_static(POLICY);
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    Some(response)
}

//! The live page: three files, which show what `/status` says. They say nothing themselves, and so need no token.

use crate::http::{HeaderValue, Response, StatusCode, header, typed};

/// The page runs its own script and asks its own server; nothing else, and inside no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// What is at this path of the page, if anything is.
pub(super) fn file(path: &str) -> Option<Response> {
    let (media_type, text) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("page/index.html")),
        "/page/style.css" => ("text/css; charset=utf-8", include_str!("page/style.css")),
        "/page/page.js" => (
            "text/javascript; charset=utf-8",
            include_str!("page/page.js"),
        ),
        "/page/plot.js" => (
            "text/javascript; charset=utf-8",
            include_str!("page/plot.js"),
        ),
        _ => return None,
    };
    let mut response = typed(StatusCode::OK, media_type, text);
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        let fields = response.headers_mut();
        fields.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

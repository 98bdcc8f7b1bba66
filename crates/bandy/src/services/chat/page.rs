//! What a browser gets at `/`: the page, whole in the program, with no other host in it.
//!
//! `page/client.js` is the client of the WebSocket, apart from what is seen; other pages may use it too. The files have
//! validators, so that a browser asks each time and gets them once.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::{HeaderMap, HeaderValue, Response, StatusCode, empty, header, typed};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, media type and content of each file.
const FILES: [(&str, &str, &str); 8] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/style.css", CSS, include_str!("page/style.css")),
    ("/page/page.js", SCRIPT, include_str!("page/page.js")),
    ("/page/parts.js", SCRIPT, include_str!("page/parts.js")),
    ("/page/rooms.js", SCRIPT, include_str!("page/rooms.js")),
    ("/page/client.js", SCRIPT, include_str!("page/client.js")),
    ("/page/dialogs.js", SCRIPT, include_str!("page/dialogs.js")),
    (
        "/page/commands.js",
        SCRIPT,
        include_str!("page/commands.js"),
    ),
];

/// The page runs its own scripts and talks to its own server; nothing else, and inside no other page. Texts cannot
/// become HTML: Trusted Types are asked for, and there are none.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The entity tag of each file of [`FILES`]: it is of the content, so that another version has another.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |(_, _, text): &(&str, &str, &str)| {
        let hash = digest(&SHA256, text.as_bytes());
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(hash.as_ref()))
    };
    FILES.iter().map(tag).collect()
});

/// The file at a path, for GET and HEAD; `None` where there is none.
pub(super) fn file(path: &str, fields: &HeaderMap) -> Option<Response> {
    let mut files = FILES.iter().zip(TAGS.iter());
    let ((_, media_type, text), tag) = files.find(|((at, ..), _)| *at == path)?;
    let mut response = match is_known(fields, tag) {
        true => empty(StatusCode::NOT_MODIFIED),
        false => typed(StatusCode::OK, media_type, *text),
    };
    let fields = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(tag) {
        fields.insert(header::ETAG, tag);
    }
    Some(response)
}

/// Whether the client has what this tag is of (RFC 9110, section 13.1.2): tags are compared weakly, as somebody between
/// may have compressed it.
fn is_known(fields: &HeaderMap, tag: &str) -> bool {
    let values = fields.get_all(header::IF_NONE_MATCH);
    let mut tags = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_that_a_file_names_is_there() {
        for (path, _, text) in FILES {
            let named = text
                .split('"')
                .filter_map(|word| {
                    word.strip_prefix("./")
                        .or_else(|| word.strip_prefix("page/"))
                })
                .filter(|word| word.ends_with(".js") || word.ends_with(".css"));
            for name in named {
                let at = format!("/page/{name}");
                assert!(
                    FILES.iter().any(|(file, ..)| *file == at),
                    "{path} names {at}"
                );
            }
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let first = file("/", &HeaderMap::new()).expect("the page");
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[header::ETAG].clone();
        let weak = format!("\"other\", W/{}", tag.to_str().expect("text"));
        for known in [tag, HeaderValue::from_str(&weak).expect("a value")] {
            let fields = HeaderMap::from_iter([(header::IF_NONE_MATCH, known)]);
            let again = file("/", &fields).expect("the page");
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        }
        let other =
            HeaderMap::from_iter([(header::IF_NONE_MATCH, "\"other\"".parse().expect("a value"))]);
        assert_eq!(
            file("/", &other).expect("the page").status(),
            StatusCode::OK
        );
        assert!(file("/page/", &other).is_none());
    }
}

//! Where a service stands: the part of the path that was taken away before it was asked.

use ::http::uri::{PathAndQuery, Uri};

use super::path::stripped;
use crate::http::Request;

/// What a route took away of a request's path: an extension of that request.
///
/// A service sees the path that is left. When it writes a link or a redirect to something of its own, it puts
/// [`Mount::prefix`] in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    prefix: String,
    original: Uri,
}

impl Mount {
    /// What was taken away, without a `/` at its end; empty where nothing was.
    pub fn prefix(request: &Request) -> &str {
        let mount = request.extensions().get::<Mount>();
        mount.map_or("", |mount| &mount.prefix)
    }

    /// The request's target as it was received.
    pub fn original(request: &Request) -> &Uri {
        let mount = request.extensions().get::<Mount>();
        mount.map_or(request.uri(), |mount| &mount.original)
    }

    /// Takes a prefix of whole segments away, where the path begins with it.
    pub(super) fn strip(request: &mut Request, prefix: &str) {
        let prefix = prefix.trim_end_matches('/');
        let Some(uri) = without(request.uri(), prefix) else {
            return;
        };
        let mount = Mount {
            prefix: format!("{}{prefix}", Mount::prefix(request)),
            original: Mount::original(request).clone(),
        };
        request.extensions_mut().insert(mount);
        *request.uri_mut() = uri;
    }
}

fn without(uri: &Uri, prefix: &str) -> Option<Uri> {
    let path = stripped(uri.path(), prefix)?;
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[test]
    fn a_service_sees_what_is_left() {
        for (uri, prefix, left) in [
            ("/api/users?x=1", "/api", "/users?x=1"),
            ("/api", "/api/", "/"),
            ("/api?x", "/api", "/?x"),
            ("/api//x/%2e%2e", "/api", "//x/%2e%2e"),
            ("https://a/api/x", "/api", "https://a/x"),
            ("/apis", "/api", "/apis"),
        ] {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = uri.parse().expect("a target");
            Mount::strip(&mut request, prefix);
            assert_eq!(request.uri().to_string(), left, "{uri} without {prefix}");
            assert_eq!(Mount::original(&request).to_string(), uri);
        }
    }

    #[test]
    fn mounts_nest() {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = "/a/b/c".parse().expect("a target");
        Mount::strip(&mut request, "/a");
        Mount::strip(&mut request, "/b");
        assert_eq!(request.uri(), "/c");
        assert_eq!(Mount::prefix(&request), "/a/b");
        assert_eq!(Mount::original(&request), "/a/b/c");
    }
}

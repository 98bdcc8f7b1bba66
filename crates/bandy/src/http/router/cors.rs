//! Which pages of other origins may read the answers: CORS (the Fetch standard, section 3.3).
//!
//! It opens what browsers keep closed, and closes nothing: a program reads every answer. Who may ask at all is
//! [`Access`](super::Access)'s.

use std::time::Duration;

use crate::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Problem, Request, Response, StatusCode, empty,
    header,
};

/// Which pages may read the answers, and with what they may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Origins as browsers write them (`https://app.example`), in lower case; `*` is every page.
    pub origins: Vec<String>,
    /// With which methods; none is whatever the route takes.
    pub methods: Vec<Method>,
    /// With which fields, beyond those that every page may send; none is whatever they ask for.
    pub headers: Vec<HeaderName>,
    /// Which fields of the answer they may read, beyond the usual ones.
    pub expose: Vec<HeaderName>,
    /// Whether the browser sends cookies along. Not with `*`.
    pub credentials: bool,
    /// How long a browser may remember all this.
    pub max_age: Option<Duration>,
}

/// An extension of a request that a page made whose origin the route's [`Cors`] names: for services that refuse pages of
/// other sites by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invited;

impl Invited {
    /// Whether a route has said so of this request.
    pub fn is(request: &Request) -> bool {
        request.extensions().get::<Invited>().is_some()
    }
}

impl Cors {
    /// Whether pages of an origin may read the answers.
    pub fn allows(&self, origin: &str) -> bool {
        let is = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(origin);
        self.origins.iter().any(is)
    }

    /// Whether the pages of the request's origin may also change things with somebody's cookies.
    pub(super) fn trusts(&self, request: &Request) -> bool {
        let is_named = |o: &str| self.origins.iter().any(|a| a.eq_ignore_ascii_case(o));
        self.credentials && origin(request.headers()).is_some_and(is_named)
    }

    /// The answer to a browser that asks whether it may ask.
    pub(super) fn preflight(&self, request: &Request) -> Response {
        let asked = request.headers();
        let method = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let is_method = method.and_then(|m| Method::from_bytes(m.as_bytes()).ok());
        let is_method =
            is_method.is_some_and(|m| self.methods.is_empty() || self.methods.contains(&m));
        let is_origin = origin(asked).is_some_and(|origin| self.allows(origin));
        let mut response = match is_method && is_origin {
            true => empty(StatusCode::NO_CONTENT),
            false => Problem::new(StatusCode::FORBIDDEN)
                .detail("pages of this origin may not ask this here")
                .response(),
        };
        let fields = response.headers_mut();
        if is_method && is_origin {
            // What is not named is what was asked for.
            if let Some(methods) = list(&self.methods, Method::as_str).or(method.cloned()) {
                fields.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            }
            let headers = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            if let Some(headers) = list(&self.headers, HeaderName::as_str).or(headers) {
                fields.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
            }
            if let Some(age) = self.max_age {
                fields.insert(header::ACCESS_CONTROL_MAX_AGE, age.as_secs().into());
            }
        }
        let depends = HeaderValue::from_static(
            "access-control-request-method, access-control-request-headers",
        );
        fields.append(header::VARY, depends);
        self.open(origin(asked), fields);
        response
    }

    /// Says in a response which page may read it.
    pub(super) fn open(&self, origin: Option<&str>, fields: &mut HeaderMap) {
        // The route decides, also where the service had something to say.
        fields.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        fields.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        let is_everybody = self.origins.iter().any(|o| o == "*") && !self.credentials;
        if is_everybody {
            let any = HeaderValue::from_static("*");
            fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        } else {
            fields.append(header::VARY, HeaderValue::from_static("origin"));
            let allowed = origin.filter(|origin| self.allows(origin));
            let Some(allowed) = allowed.and_then(|o| HeaderValue::from_str(o).ok()) else {
                return;
            };
            fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            if self.credentials {
                let yes = HeaderValue::from_static("true");
                fields.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
        if let Some(expose) = list(&self.expose, HeaderName::as_str) {
            fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose);
        }
    }
}

/// The method that a browser asks about before it uses it, if that is what a request is.
pub(super) fn asked_about(request: &Request) -> Option<Method> {
    let fields = request.headers();
    let is_preflight = request.method() == Method::OPTIONS && fields.contains_key(header::ORIGIN);
    let method = fields.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    method
        .filter(|_| is_preflight)
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
}

/// The origin of the page that asks.
pub(super) fn origin(fields: &HeaderMap) -> Option<&str> {
    fields.get(header::ORIGIN)?.to_str().ok()
}

fn list<T>(items: &[T], text: impl Fn(&T) -> &str) -> Option<HeaderValue> {
    let texts: Vec<&str> = items.iter().map(text).collect();
    match texts.is_empty() {
        true => None,
        false => HeaderValue::try_from(texts.join(", ")).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    fn preflight(origin: &str, method: &str) -> Request {
        ::http::Request::builder()
            .method("OPTIONS")
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "x-a, x-b")
            .body(Body::empty())
            .expect("a request")
    }

    /// The status, and the fields of CORS without their common beginning.
    fn said(response: &Response) -> String {
        let mut said = vec![response.status().as_u16().to_string()];
        for (name, value) in response.headers() {
            if let Some(name) = name.as_str().strip_prefix("access-control-") {
                said.push(format!("{name}={}", value.to_str().expect("text")));
            }
        }
        said[1..].sort();
        said.join("; ")
    }

    #[test]
    fn a_browser_asks_first() {
        let cors = Cors {
            origins: vec!["https://app.example".to_owned()],
            methods: vec![Method::GET, Method::PUT],
            credentials: true,
            max_age: Some(Duration::from_secs(60)),
            ..Cors::default()
        };
        assert_eq!(
            said(&cors.preflight(&preflight("https://app.example", "PUT"))),
            "204; allow-credentials=true; allow-headers=x-a, x-b; allow-methods=GET, PUT; \
             allow-origin=https://app.example; max-age=60"
        );
        assert_eq!(
            said(&cors.preflight(&preflight("https://evil.example", "PUT"))),
            "403"
        );
        assert_eq!(
            said(&cors.preflight(&preflight("https://app.example", "DELETE"))),
            "403; allow-credentials=true; allow-origin=https://app.example"
        );
    }

    #[test]
    fn answers_say_who_may_read_them() {
        let cors = |origins: &[&str], credentials| Cors {
            origins: origins.iter().map(|o| (*o).to_owned()).collect(),
            expose: vec![HeaderName::from_static("x-total")],
            credentials,
            ..Cors::default()
        };
        let opened = |cors: Cors, origin| {
            let mut response = empty(StatusCode::OK);
            let theirs = HeaderValue::from_static("https://evil.example");
            let fields = response.headers_mut();
            fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, theirs);
            cors.open(origin, fields);
            let varies = response.headers().contains_key(header::VARY);
            format!("{}; {varies}", said(&response))
        };
        assert_eq!(
            opened(cors(&["*"], false), Some("https://a")),
            "200; allow-origin=*; expose-headers=x-total; false"
        );
        assert_eq!(
            opened(cors(&["https://a"], true), Some("https://a")),
            "200; allow-credentials=true; allow-origin=https://a; expose-headers=x-total; true"
        );
        assert_eq!(
            opened(cors(&["https://a"], true), Some("https://b")),
            "200; true"
        );
        assert_eq!(opened(cors(&["https://a"], true), None), "200; true");
        assert_eq!(
            opened(cors(&["https://a"], true), Some("null")),
            "200; true"
        );
    }

    #[test]
    fn options_alone_are_no_preflight() {
        assert_eq!(
            asked_about(&preflight("https://a", "PUT")),
            Some(Method::PUT)
        );
        let mut request = preflight("https://a", "PUT");
        request.headers_mut().remove("origin");
        assert_eq!(asked_about(&request), None);
    }
}

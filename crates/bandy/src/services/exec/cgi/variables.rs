//! What a program is told of its request: CGI's meta-variables (RFC 3875, section 4.1).
//!
//! A request says nothing in the environment but through these names. Left out are PATH_TRANSLATED (there is no folder
//! of documents), REMOTE_HOST and REMOTE_IDENT (nobody is looked up), and a query without `=` as arguments (section
//! 4.4): what a client says never is an argument.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use tokio::process::Command;

use crate::accounts::cookie;
use crate::endpoint::Endpoint;
use crate::http::router::{Mount, without_port};
use crate::http::{
    Downstream, HeaderMap, HeaderName, Login, Problem, Request, StatusCode, header, same_origin,
};
use crate::net::Peer;
use crate::wire::http1::{is_hop_by_hop, strip_hop_by_hop};

/// The variables of one request, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, OsString>);

/// What CGI's programs look for, so that what was inherited under these names is not taken for a request's.
const NAMES: [&str; 21] = [
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "HTTPS",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "REQUEST_URI",
    "SCRIPT_FILENAME",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
];

impl Variables {
    /// Those of a request.
    ///
    /// # Errors
    /// 400 for a path that cannot be decoded, or has control characters in it.
    pub(super) fn of(request: &Request) -> Result<Variables, Problem> {
        let mut variables = Variables::default();
        variables.set("GATEWAY_INTERFACE", "CGI/1.1");
        variables.set(
            "SERVER_SOFTWARE",
            concat!("bandy/", env!("CARGO_PKG_VERSION")),
        );
        // `HTTP/2.0`: the grammar of section 4.1.16 wants both numbers.
        variables.set("SERVER_PROTOCOL", format!("{:?}", request.version()));
        variables.set("REQUEST_METHOD", request.method().as_str());
        variables.set("QUERY_STRING", request.uri().query().unwrap_or_default());
        variables.paths(request)?;
        variables.ends(request);
        if let Some(login) = Login::of(request) {
            variables.set("AUTH_TYPE", "session");
            variables.set("REMOTE_USER", &login.user);
        }
        variables.body(request);
        variables.fields(request.headers());
        Ok(variables)
    }

    /// Puts them into a program's environment, in the place of what was inherited under such names.
    pub(super) fn put(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let is_ours = |name: &str| name.starts_with("HTTP_") || NAMES.contains(&name);
            if name.to_str().is_some_and(is_ours) {
                command.env_remove(name);
            }
        }
        // A value with a NUL would stop the program from being started; there is none, but that is decided elsewhere.
        let is_whole = |value: &OsStr| !value.as_encoded_bytes().contains(&0);
        command.envs(self.0.iter().filter(|(_, value)| is_whole(value)));
    }

    fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.insert(name.to_owned(), value.as_ref().to_owned());
    }

    fn paths(&mut self, request: &Request) -> Result<(), Problem> {
        let original = Mount::original(request);
        let target = original.path_and_query();
        self.set("REQUEST_URI", target.map_or("", |target| target.as_str()));
        let prefix = Mount::prefix(request);
        self.set("SCRIPT_NAME", decode(prefix)?);
        // Behind `/app` the service sees `/` for both `/app` and `/app/`; both names together are what was asked for.
        let is_script_itself = !prefix.is_empty() && original.path() == prefix;
        let path = match is_script_itself {
            true => "",
            false => request.uri().path(),
        };
        self.set("PATH_INFO", decode(path)?);
        Ok(())
    }

    /// Who talks with whom.
    fn ends(&mut self, request: &Request) {
        let downstream = Downstream::of(request);
        let endpoint = downstream.map(Downstream::endpoint);
        let host = same_origin::authority(request).map(without_port);
        let host = host.filter(|host| !host.is_empty());
        let own = endpoint.and_then(Endpoint::socket_addr);
        let named = host.map(str::to_owned);
        let name = named.or_else(|| own.map(|address| address.ip().to_string()));
        self.set("SERVER_NAME", name.as_deref().unwrap_or("localhost"));
        let is_secure = downstream.is_some_and(Downstream::is_secure);
        if is_secure {
            self.set("HTTPS", "on");
        }
        let usual = if is_secure { 443 } else { 80 };
        let port = own.map_or(usual, |address| address.port());
        self.set("SERVER_PORT", port.to_string());
        // Section 4.1.8 wants it to be set; who comes over a Unix socket has none.
        self.set("REMOTE_ADDR", "");
        if let Some(Peer::Ip(address)) = downstream.map(Downstream::peer) {
            self.set("REMOTE_ADDR", address.ip().to_string());
            self.set("REMOTE_PORT", address.port().to_string());
        }
    }

    /// Of a body whose length is not known, it is not told: it lasts until the end of the input.
    fn body(&mut self, request: &Request) {
        let fields = request.headers();
        let is_told = fields.contains_key(header::CONTENT_LENGTH);
        if let Some(len) = request.body().len_hint()
            && (len > 0 || is_told)
        {
            self.set("CONTENT_LENGTH", len.to_string());
        }
        if let Some(value) = fields.get(header::CONTENT_TYPE) {
            self.set("CONTENT_TYPE", OsString::from_vec(value.as_bytes().into()));
        }
    }

    /// `HTTP_*`: the fields, those of one name as one.
    fn fields(&mut self, fields: &HeaderMap) {
        let mut fields = fields.clone();
        strip_hop_by_hop(&mut fields);
        for name in fields.keys().filter(|name| is_passed_on(name)) {
            let separator: &[u8] = if name == header::COOKIE { b"; " } else { b", " };
            let mut values: Vec<Vec<u8>> = Vec::new();
            for value in fields.get_all(name) {
                let value = match name == header::COOKIE {
                    true => without_session(value.as_bytes()),
                    false => value.as_bytes().to_vec(),
                };
                values.push(value);
            }
            values.retain(|value| name != header::COOKIE || !value.is_empty());
            if values.is_empty() {
                continue;
            }
            let variable = name.as_str().to_ascii_uppercase().replace('-', "_");
            let value = OsString::from_vec(values.join(separator));
            self.0.insert(format!("HTTP_{variable}"), value);
        }
    }
}

/// Whether a field may be in the environment.
///
/// - Not `Proxy`: `HTTP_PROXY` is how programs are told which proxy to use (CVE-2016-5385).
/// - Not passwords and tokens, which every program that this one starts would see: who is known is in REMOTE_USER.
/// - Not a name with anything but letters, digits and `-`: `X_User` would be taken for `X-User`, which a proxy may vouch
///   for.
/// - Not what the server has dealt with, or is told under a name of its own.
fn is_passed_on(name: &HeaderName) -> bool {
    const KEPT_BACK: [&str; 6] = [
        "authorization",
        "content-length",
        "content-type",
        "expect",
        "proxy",
        "proxy-authorization",
    ];
    let name = name.as_str();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    name.bytes().all(is_plain) && !is_hop_by_hop(name) && !KEPT_BACK.contains(&name)
}

/// Cookies but for our own session's, which is as good as a password.
fn without_session(cookies: &[u8]) -> Vec<u8> {
    let is_session = |cookie: &[u8]| {
        let name = cookie.split(|b| *b == b'=').next().unwrap_or_default();
        let name = name.trim_ascii();
        name == cookie::PLAIN.as_bytes() || name == cookie::SECURE.as_bytes()
    };
    let cookies = cookies.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = cookies
        .filter(|c| !c.is_empty() && !is_session(c))
        .collect();
    kept.join(&b"; "[..])
}

/// Undoes a path's percent-encoding, once (section 4.1.5). A program may find `..` in it, as ever.
///
/// A NUL cannot be in an environment, and other control characters are in no path that means well: a script that puts
/// its path into a field would let the client write the next one.
fn decode(path: &str) -> Result<OsString, Problem> {
    let bad = |why: &str| Problem::new(StatusCode::BAD_REQUEST).detail(why);
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte.unwrap_or_default()).to_digit(16);
                let pair = digit(bytes.next()).zip(digit(bytes.next()));
                let byte = pair.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
                byte.ok_or_else(|| bad("a `%` in the path is not followed by two digits"))?
            }
            byte => byte,
        };
        if byte.is_ascii_control() {
            return Err(bad("the path has a control character in it"));
        }
        out.push(byte);
    }
    Ok(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    fn of(fields: &[(&str, &str)]) -> Vec<String> {
        let mut request = ::http::Request::builder().uri("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let variables = Variables::of(&request).expect("variables");
        let fields = variables.0.iter().filter(|(n, _)| n.starts_with("HTTP_"));
        let text = |value: &OsString| value.to_string_lossy().into_owned();
        fields.map(|(n, v)| format!("{n}={}", text(v))).collect()
    }

    #[test]
    fn which_fields_are_told() {
        let told = of(&[
            ("host", "a.example"),
            ("x-one", "1"),
            ("X-One", "2, 3"),
            ("cookie", "a=1; bandy_session=secret"),
            ("cookie", "__Host-bandy_session=secret;b=2"),
            ("proxy", "http://evil.example"),
            ("x_user", "root"),
            ("x.user", "root"),
            ("authorization", "Bearer secret"),
            ("proxy-authorization", "Basic secret"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
        ]);
        assert_eq!(
            told,
            [
                "HTTP_COOKIE=a=1; b=2",
                "HTTP_HOST=a.example",
                "HTTP_X_ONE=1, 2, 3"
            ]
        );
        assert!(of(&[("cookie", "bandy_session=secret")]).is_empty());
    }

    #[test]
    fn paths_are_decoded_once() {
        for (path, expected) in [
            ("/a%20b/%2e%2e", Some("/a b/..")),
            ("/%252e", Some("/%2e")),
            ("/%e2%82%ac", Some("/€")),
            ("", Some("")),
            ("/%00", None),
            ("/%0d%0aSet-Cookie:x", None),
            ("/%7F", None),
            ("/%", None),
            ("/%4", None),
            ("/%4x", None),
            ("/%+4", None),
        ] {
            let decoded = decode(path).ok();
            assert_eq!(decoded.as_deref(), expected.map(OsStr::new), "{path}");
        }
    }
}

//! The heads of requests (RFC 9112, section 3).

use ::http::request::Parts;
use ::http::{Method, Request, Uri, Version};
use bytes::Bytes;
use httparse::{Header, Status};

use super::fields::is_host;
use super::head::{Bounds, Length, Said, Slots, check_line_ends, explain, map, slice};
use super::reject::Reject;

/// The head of a request, borrowed from the buffer that it was parsed in.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'b, 's> {
    /// As written; a token.
    pub method: &'b str,
    /// As written.
    pub target: &'b str,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// How long its body is.
    pub length: Length,
    /// Whether the client would keep the connection.
    pub keep_alive: bool,
    /// Whether it waits for a `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether it would go on in another protocol.
    pub upgrades: bool,
    form: Form<'b>,
    host: Option<&'b str>,
    fields: &'s [Header<'b>],
}

/// What a request target is (RFC 9112, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'b> {
    /// `/path?query`
    Origin,
    /// `http://authority/path?query`: its authority counts, and not Host's.
    Absolute {
        /// Host and port.
        authority: &'b str,
        /// From the path on; may be empty.
        path_and_query: &'b str,
    },
    /// `host:port`, of CONNECT.
    Authority,
    /// `*`, of OPTIONS.
    Asterisk,
}

/// The head at the start of `bytes`, and its length; `None` while it is not whole.
///
/// # Errors
/// Why it is not taken, as soon as that can be told.
pub fn parse_request<'b, 's>(
    bytes: &'b [u8],
    bounds: &Bounds,
    slots: &'s mut Slots<'b>,
) -> Result<Option<(RequestHead<'b, 's>, usize)>, Reject> {
    // One empty line may stand before it (RFC 9112, section 2.2).
    let (before, head) = match bytes.strip_prefix(b"\r\n") {
        Some(head) => (2, head),
        None => (0, bytes),
    };
    if head.first().is_some_and(|b| matches!(b, b'\r' | b'\n')) && head != b"\r" {
        return Err(Reject::StartLine);
    }
    let is_late = head.len() > bounds.head_bytes;
    let head = head.get(..bounds.head_bytes).unwrap_or(head);
    let parsed = slots.parse(bounds, head, |slots| {
        let mut request = httparse::Request::new(&mut []);
        let status = httparse::ParserConfig::default()
            .parse_request_with_uninit_headers(&mut request, head, slots)
            .map_err(explain)?;
        Ok((
            status,
            request.method,
            request.path,
            request.version,
            &*request.headers,
        ))
    });
    let (status, method, target, version, fields) = match parsed {
        // What is wrong with a line is said before what httparse takes a stray byte for.
        Err(e) => {
            check_line_ends(head)?;
            check_version(head)?;
            return Err(check_fold(head).err().unwrap_or(e));
        }
        Ok(parsed) => parsed,
    };
    if target.map_or_else(|| partial_target(head), str::len) > bounds.target_bytes {
        return Err(Reject::TargetTooLong);
    }
    let Status::Complete(len) = status else {
        check_line_ends(head)?;
        return match is_late {
            true => Err(Reject::HeadTooLong),
            false => Ok(None),
        };
    };
    check_line_ends(head.get(..len).unwrap_or(head))?;
    let (Some(method), Some(target), Some(version)) = (method, target, version) else {
        return Err(Reject::StartLine);
    };
    let version = match version {
        0 => Version::HTTP_10,
        1 => Version::HTTP_11,
        _ => return Err(Reject::Version),
    };
    let said = Said::read(fields, version)?;
    let form = form_of(method, target)?;
    let host = match said.host {
        Some(host) => {
            if !is_host(host) {
                return Err(Reject::BadHost);
            }
            Some(std::str::from_utf8(host).map_err(|_| Reject::BadHost)?)
        }
        None if version == Version::HTTP_11 => return Err(Reject::NoHost),
        None => None,
    };
    let expects_continue = match said.expects {
        Some(expected) if version == Version::HTTP_11 => {
            if !expected.eq_ignore_ascii_case(b"100-continue") {
                return Err(Reject::Expectation);
            }
            true
        }
        _ => false,
    };
    let length = match (said.is_chunked, said.length) {
        (true, _) => Length::Chunked,
        (false, Some(length)) => Length::Known(length),
        (false, None) => Length::None,
    };
    let head = RequestHead {
        method,
        target,
        version,
        keep_alive: said.keep_alive(version),
        expects_continue: expects_continue && !matches!(length, Length::None | Length::Known(0)),
        upgrades: said.upgrades && said.has_upgrade && version == Version::HTTP_11,
        length,
        form,
        host,
        fields,
    };
    Ok(Some((head, before + len)))
}

/// How long the target is so far, of a request line that is not whole.
fn partial_target(head: &[u8]) -> usize {
    let mut words = head.split(|b| matches!(b, b' ' | b'\r' | b'\n'));
    words.nth(1).map_or(0, <[u8]>::len)
}

/// A field line that begins with a space continues the one before it, or is none.
fn check_fold(head: &[u8]) -> Result<(), Reject> {
    let folds = |line: &[u8]| matches!(line, [b' ' | b'\t', ..]);
    let mut lines = head.split(|b| *b == b'\n').skip(1);
    match lines.any(folds) {
        true => Err(Reject::Fold),
        false => Ok(()),
    }
}

/// `HTTP/2.0`, `HTTP/0.9` and the like are versions, and not spoken here.
fn check_version(head: &[u8]) -> Result<(), Reject> {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let last = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    match last {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit()
                && minor.is_ascii_digit()
                && (*major != b'1' || !matches!(minor, b'0' | b'1')) =>
        {
            Err(Reject::Version)
        }
        _ => Ok(()),
    }
}

fn form_of<'b>(method: &str, target: &'b str) -> Result<Form<'b>, Reject> {
    let is_clean = |b: u8| b.is_ascii_graphic() && b != b'#';
    if target.is_empty() || !target.bytes().all(is_clean) {
        return Err(Reject::Target);
    }
    if method == "CONNECT" {
        let has_port = target
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty());
        return match has_port && is_host(target.as_bytes()) {
            true => Ok(Form::Authority),
            false => Err(Reject::Target),
        };
    }
    if target.starts_with('/') {
        return Ok(Form::Origin);
    }
    if target == "*" {
        return match method {
            "OPTIONS" => Ok(Form::Asterisk),
            _ => Err(Reject::Target),
        };
    }
    let (scheme, rest) = target.split_once("://").ok_or(Reject::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Reject::Target);
    }
    let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    match is_host(authority.as_bytes()) {
        true => Ok(Form::Absolute {
            authority,
            path_and_query,
        }),
        false => Err(Reject::BadHost),
    }
}

impl<'b, 's> RequestHead<'b, 's> {
    /// Names and values in the order in which they were sent.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'b str, &'b [u8])> + use<'b, 's> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// What the request is for: of an absolute target its authority, else Host.
    pub fn host(&self) -> Option<&'b str> {
        match self.form {
            Form::Absolute { authority, .. } => Some(authority),
            _ => self.host,
        }
    }

    /// What its target is.
    pub fn form(&self) -> Form<'b> {
        self.form
    }

    /// The head as the `http` crate has it. `owned` is what it was parsed in: values are slices of it. Of an absolute
    /// target the authority stands in Host, and the path is the target.
    ///
    /// # Errors
    /// What `http` does not take: more than 32,768 fields, a target beyond 65,534 bytes.
    pub fn to_parts(&self, owned: &Bytes) -> Result<Parts, Reject> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = Method::from_bytes(self.method.as_bytes()).map_err(|_| Reject::StartLine)?;
        parts.version = self.version;
        let target = match self.form {
            Form::Absolute { path_and_query, .. } if path_and_query.starts_with('/') => {
                slice(owned, path_and_query.as_bytes())
            }
            Form::Absolute { path_and_query, .. } => format!("/{path_and_query}").into(),
            _ => slice(owned, self.target.as_bytes()),
        };
        parts.uri = Uri::from_maybe_shared(target).map_err(|_| Reject::Target)?;
        parts.headers = map(self.fields(), owned)?;
        if let Form::Absolute { authority, .. } = self.form {
            let host = ::http::HeaderValue::from_str(authority).map_err(|_| Reject::BadHost)?;
            parts.headers.insert(::http::header::HOST, host);
        }
        Ok(parts)
    }
}

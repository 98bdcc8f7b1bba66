//! From arguments to a request: items are put where they belong, what goes without saying is added.

use bandy::Endpoint;
use bandy::error::Error;
use bandy::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::content::{self, Content};
use super::form::{self, Form, Part};
use super::item::{self, Item, Source, Value};
use super::options::HttpOptions;
use super::{media, nested, url};
use crate::report;

/// A request, before it is known to whom its last redirect leads.
#[derive(Debug)]
pub struct Question {
    pub method: Method,
    pub url: Endpoint,
    /// What the user wants of fields, in their order; `None` is one that is not to be sent.
    pub own: Vec<(HeaderName, Option<HeaderValue>)>,
    pub content: Content,
    /// What the body is, unless the user says it.
    pub kind: Option<String>,
    /// What a multipart body was made of.
    pub form: Option<Vec<Part>>,
    /// What is liked best as an answer.
    accept: &'static str,
    /// Whether encodings are offered. Not for a file, of which parts may be asked for.
    encodings: bool,
    authorization: Option<HeaderValue>,
}

/// What is decoded here, and so may come unless the user says otherwise.
pub const ENCODINGS: &str = "gzip, br, zstd";

/// What was typed: a method perhaps, a URL, items.
#[derive(Debug)]
pub struct Typed {
    pub method: Option<String>,
    pub url: String,
    pub items: Vec<String>,
}

/// Where a body comes from if not from items.
#[derive(Debug, PartialEq, Eq)]
enum Whole {
    Stdin,
    File(String),
}

impl Question {
    /// The request that was meant.
    ///
    /// # Errors
    /// What is wrong with an argument.
    pub async fn new(
        typed: Typed,
        options: &HttpOptions,
        has_input: bool,
    ) -> Result<Question, Error> {
        let mut items = Vec::new();
        let mut whole = None;
        for typed in &typed.items {
            if typed == "-" {
                whole = one_whole(whole, Whole::Stdin)?;
                continue;
            }
            let item = item::parse(typed)?;
            match &item.value {
                Value::Upload { path, .. } if item.name.is_empty() => {
                    whole = one_whole(whole, Whole::File(path.clone()))?;
                }
                _ => items.push(item),
            }
        }
        let has_data = items.iter().any(Item::is_data);
        if has_data && whole.is_some() {
            return Err(report::usage(
                "making the request's body",
                "it comes from items or as a whole, and not both",
                "leave out `-` or `@FILE`, or the items with =, := and @",
            ));
        }
        let method = method(typed.method.as_deref())?;
        // Redirected stdin is a body where one is usual.
        let may_have_body = !matches!(
            method.as_ref().map(Method::as_str),
            Some("GET" | "HEAD" | "DELETE" | "OPTIONS" | "TRACE")
        );
        if whole.is_none() && !has_data && has_input && may_have_body {
            whole = Some(Whole::Stdin);
        }

        let mut full = url::full(&typed.url);
        let mut own = Vec::new();
        let mut body = Fields::new(options);
        for item in items {
            take(item, &mut full, &mut own, &mut body)?;
        }
        let url = url::endpoint(&full).map_err(|e| {
            let act = format!("asking `{}`", typed.url.escape_debug());
            report::usage(act, e.to_string(), e.hint())
        })?;
        let form = body.multipart();
        let (content, kind) = match whole {
            None => body.content(has_data)?,
            // What is printed to be run elsewhere reads its own stdin.
            Some(Whole::Stdin) if options.curl => (Content::stdin_unread(), None),
            Some(Whole::Stdin) => stdin(options).await?,
            Some(Whole::File(path)) => (
                Content::file(&path)?,
                media::of_file(&path).map(str::to_owned),
            ),
        };
        let is_json = kind.as_deref() == Some("application/json");
        let usual = match content.is_some() {
            true => Method::POST,
            false => Method::GET,
        };
        Ok(Question {
            method: method.unwrap_or(usual),
            url,
            own,
            content,
            kind,
            form,
            accept: match is_json {
                true => "application/json, */*;q=0.5",
                false => "*/*",
            },
            encodings: !options.download,
            authorization: authorization(options)?,
        })
    }

    /// The fields to send, in order; `cookies` is what the jar has for this URL.
    pub fn fields(&self, cookies: Option<HeaderValue>) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::new();
        let mut add = |name, value: Option<HeaderValue>| fields.extend(value.map(|v| (name, v)));
        add(
            header::HOST,
            HeaderValue::try_from(url::authority(&self.url)).ok(),
        );
        let agent = concat!("bandy/", env!("CARGO_PKG_VERSION"));
        add(header::USER_AGENT, Some(HeaderValue::from_static(agent)));
        add(header::ACCEPT, Some(HeaderValue::from_static(self.accept)));
        if self.encodings {
            add(
                header::ACCEPT_ENCODING,
                Some(HeaderValue::from_static(ENCODINGS)),
            );
        }
        add(header::AUTHORIZATION, self.authorization.clone());
        add(header::COOKIE, cookies);
        if self.content.is_some() {
            let kind = self
                .kind
                .as_deref()
                .and_then(|kind| HeaderValue::try_from(kind).ok());
            add(header::CONTENT_TYPE, kind);
        }
        let is_chunked = |(name, value): &(HeaderName, Option<HeaderValue>)| {
            *name == header::TRANSFER_ENCODING && value.is_some()
        };
        let has_length = self.content.is_some() || wants_body(&self.method);
        match self.content.len() {
            Some(_) if self.own.iter().any(is_chunked) => {}
            Some(len) if has_length => add(header::CONTENT_LENGTH, Some(HeaderValue::from(len))),
            Some(_) => {}
            None => add(
                header::TRANSFER_ENCODING,
                Some(HeaderValue::from_static("chunked")),
            ),
        }
        // The user's own replace what would be sent by itself, where it would stand.
        let mut placed: Vec<&HeaderName> = Vec::new();
        for (name, value) in &self.own {
            let at = fields.iter().position(|(known, _)| known == name);
            match (value, at) {
                (None, _) => fields.retain(|(known, _)| known != name),
                (Some(value), Some(at)) if !placed.contains(&name) => {
                    if let Some(field) = fields.get_mut(at) {
                        field.1 = value.clone();
                    }
                    placed.push(name);
                }
                (Some(value), _) => {
                    fields.push((name.clone(), value.clone()));
                    placed.push(name);
                }
            }
        }
        fields
    }

    /// Whether what the answer is encoded with was our wish, so that decoding it is ours too.
    pub fn decodes(&self) -> bool {
        let is_own = |(name, _): &(HeaderName, _)| *name == header::ACCEPT_ENCODING;
        self.encodings && !self.own.iter().any(is_own)
    }

    /// Whether it may be sent twice, should nobody know if it arrived (RFC 9110, section 9.2.2).
    pub fn is_repeatable(&self) -> bool {
        let method = self.method.as_str();
        let is_idempotent = matches!(
            method,
            "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
        );
        is_idempotent && !matches!(self.content, Content::Once(_))
    }

    /// The same without a body: what a redirect makes of it.
    pub fn drop_body(&mut self) {
        self.content = Content::Nothing;
        self.form = None;
        self.own.retain(|(name, _)| {
            !name.as_str().starts_with("content-") && *name != header::TRANSFER_ENCODING
        });
    }

    /// Forgets what only the server it was meant for may know (RFC 9110, section 15.4).
    pub fn drop_credentials(&mut self) {
        self.authorization = None;
        const PRIVATE: [HeaderName; 4] = [
            header::AUTHORIZATION,
            header::PROXY_AUTHORIZATION,
            header::COOKIE,
            header::HOST,
        ];
        self.own.retain(|(name, _)| !PRIVATE.contains(name));
    }
}

/// The map of these fields.
pub fn map(fields: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        map.append(name, value.clone());
    }
    map
}

/// Whether a request of this method says that its body is empty (RFC 9110, section 8.6).
pub fn wants_body(method: &Method) -> bool {
    matches!(method.as_str(), "POST" | "PUT" | "PATCH")
}

fn one_whole(already: Option<Whole>, next: Whole) -> Result<Option<Whole>, Error> {
    match already {
        None => Ok(Some(next)),
        Some(_) => Err(report::usage(
            "making the request's body",
            "there is more than one",
            "give one of `-` and `@FILE`",
        )),
    }
}

fn method(typed: Option<&str>) -> Result<Option<Method>, Error> {
    let Some(typed) = typed else { return Ok(None) };
    match Method::from_bytes(typed.to_ascii_uppercase().as_bytes()) {
        Ok(method) if method != Method::CONNECT => Ok(Some(method)),
        Ok(_) => Err(report::usage(
            "asking with CONNECT",
            "it is for proxies, and has no answer to print",
            "ask the endpoint behind the proxy",
        )),
        // Letters only, as the caller looked.
        Err(e) => Err(report::usage(
            format!("asking with {typed}"),
            e.to_string(),
            "write GET, POST, ...",
        )),
    }
}

/// Puts an item where it belongs.
fn take(
    item: Item,
    full: &mut String,
    own: &mut Vec<(HeaderName, Option<HeaderValue>)>,
    body: &mut Fields,
) -> Result<(), Error> {
    match item.value {
        Value::Header(source) => {
            let value = read(source)?;
            let value = value.trim();
            own.push((
                field_name(&item.name)?,
                Some(field_value(&item.typed, value)?),
            ));
        }
        Value::NoHeader => own.push((field_name(&item.name)?, None)),
        Value::EmptyHeader => {
            own.push((field_name(&item.name)?, Some(HeaderValue::from_static(""))));
        }
        Value::Query(source) => url::with_query(full, &item.name, &read(source)?),
        Value::Text(source) => body.text(&item.name, read(source)?)?,
        Value::Json(source) => body.json(&item.name, &read(source)?)?,
        Value::Upload { path, kind } => body.file(&item.name, &path, kind)?,
    }
    Ok(())
}

fn read(source: Source) -> Result<String, Error> {
    match source {
        Source::Here(text) => Ok(text),
        Source::File(path) => content::text(&path),
    }
}

fn field_name(name: &str) -> Result<HeaderName, Error> {
    HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| {
        report::usage(
            format!("sending the header `{}`", name.escape_debug()),
            "a header's name is letters, digits and !#$%&'*+-.^_`|~",
            "to send text with a colon in its name, write name\\:more=text",
        )
    })
}

fn field_value(typed: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        report::usage(
            format!("sending the header `{}`", typed.escape_debug()),
            "a header's value is one line without control characters",
            "leave out the line ends, or send it in the body",
        )
    })
}

fn authorization(options: &HttpOptions) -> Result<Option<HeaderValue>, Error> {
    use base64::Engine;
    let text = match (&options.auth, &options.bearer) {
        (Some(auth), _) if auth.contains(':') => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(auth);
            format!("Basic {encoded}")
        }
        (Some(_), _) => {
            return Err(report::usage(
                "sending --auth",
                "it has no colon",
                "write --auth USER:PASSWORD, or USER: for an empty one; --bearer is for tokens",
            ));
        }
        (None, Some(token)) => format!("Bearer {token}"),
        (None, None) => return Ok(None),
    };
    match HeaderValue::try_from(text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Ok(Some(value))
        }
        Err(_) => Err(report::usage(
            "sending --bearer",
            "the token has control characters",
            "is there a line end in it?",
        )),
    }
}

async fn stdin(options: &HttpOptions) -> Result<(Content, Option<String>), Error> {
    let content = Content::stdin().await?;
    let kind = match &content {
        Content::Nothing => return Ok((content, None)),
        _ if options.form => form_type().to_owned(),
        content => media::of_bytes(&content.begins()).to_owned(),
    };
    Ok((content, Some(kind)))
}

fn form_type() -> &'static str {
    "application/x-www-form-urlencoded; charset=utf-8"
}

/// The items of the body, as JSON or as a form.
enum Fields {
    Json(nested::Body),
    Form { form: Form, is_multipart: bool },
}

impl Fields {
    fn new(options: &HttpOptions) -> Fields {
        match options.form || options.multipart {
            true => Fields::Form {
                form: Form::default(),
                is_multipart: options.multipart,
            },
            false => Fields::Json(nested::Body::default()),
        }
    }

    fn text(&mut self, name: &str, text: String) -> Result<(), Error> {
        match self {
            Fields::Json(json) => json.text(name, &text),
            Fields::Form { form, .. } => {
                form.text(name, text);
                Ok(())
            }
        }
    }

    fn json(&mut self, name: &str, json: &str) -> Result<(), Error> {
        match self {
            Fields::Json(body) => body.json(name, json),
            // As HTTPie: a form has no types, and 1 is `1`.
            Fields::Form { form, .. } => {
                form.text(name, json.to_owned());
                Ok(())
            }
        }
    }

    fn file(&mut self, name: &str, path: &str, kind: Option<String>) -> Result<(), Error> {
        match self {
            Fields::Form { form, .. } => form.file(name, path, kind),
            Fields::Json(_) => Err(report::usage(
                format!(
                    "sending the file `{}`",
                    form::base_name(path).escape_debug()
                ),
                "JSON has no place for files",
                "add --form; name=@file takes its text, and name\\@... is not a file",
            )),
        }
    }

    /// The parts of what will be multipart.
    fn multipart(&self) -> Option<Vec<Part>> {
        match self {
            Fields::Form { form, is_multipart } if *is_multipart || form.has_files() => {
                Some(form.parts())
            }
            _ => None,
        }
    }

    fn content(self, has_data: bool) -> Result<(Content, Option<String>), Error> {
        match self {
            _ if !has_data => Ok((Content::Nothing, None)),
            Fields::Json(body) => Ok((
                Content::bytes(body.written()),
                Some("application/json".to_owned()),
            )),
            Fields::Form { form, is_multipart } => match is_multipart || form.has_files() {
                true => {
                    let boundary = boundary();
                    let kind = format!("multipart/form-data; boundary={boundary}");
                    Ok((form.multipart(&boundary), Some(kind)))
                }
                false => Ok((
                    Content::bytes(form.urlencoded()),
                    Some(form_type().to_owned()),
                )),
            },
        }
    }
}

/// What stands between parts: nobody can guess it, so no file has it.
fn boundary() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = || RandomState::new().hash_one(0u8);
    format!("bandy-{:016x}{:016x}", random(), random())
}

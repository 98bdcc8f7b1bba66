//! Requests in an order, where what one answers may be used in those after it.
//!
//! As a file it is what editors know as `.http`: requests divided by `###`, each a line with method and target, fields,
//! an empty line, a body. `{{name}}` is a value; comments say where values come from and what is expected:
//!
//! ```text
//! ### log in
//! # @expect 200
//! # @capture token = json token
//! POST /login
//! Content-Type: application/json
//!
//! {"user": "ada", "password": "secret"}
//!
//! ### look around
//! GET /me
//! Authorization: Bearer {{token}}
//! ```
//!
//! A value is taken from the answer's JSON (`json a.b.0`), a field (`header Location`), a cookie (`cookie sid`) or the
//! whole body (`body`). Each connection goes through the requests by itself, with values of its own, and begins again
//! where a request failed. Without values it is a list of requests, and connections begin at different ones.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;

use super::talk::Failure;
use super::tally::Cause;
use super::work::HttpRequest;
use crate::Endpoint;
use crate::http::{HeaderMap, HeaderName, HeaderValue, Method};
use crate::wire::http1::{Asked, is_valid_target};

/// Requests in an order. See the module.
#[derive(Debug, Clone)]
pub struct Script {
    steps: Vec<Step>,
    /// Whether a request needs what one before it answered.
    is_session: bool,
    pub(super) wants_timing: bool,
}

/// A request of a script.
#[derive(Debug, Clone)]
pub(super) struct Step {
    template: Template,
    /// The request, if it is the same each time; and its bytes in HTTP/1.1.
    pub(super) plain: Option<HttpRequest>,
    pub(super) encoded: Option<Vec<u8>>,
    /// And its fields in HTTP/2.
    pub(super) http2: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    pub(super) asked: Asked,
    captures: Vec<Capture>,
    expect: Option<u16>,
}

#[derive(Debug, Clone)]
struct Template {
    method: Method,
    target: Text,
    fields: Vec<(HeaderName, Text)>,
    body: Text,
    to: Endpoint,
}

/// Text with values in it.
#[derive(Debug, Clone, PartialEq)]
struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Plain(String),
    Value(String),
}

#[derive(Debug, Clone)]
struct Capture {
    name: String,
    from: Source,
}

/// Where in an answer a value is.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// Keys and indices.
    Json(Vec<String>),
    Header(String),
    Cookie(String),
    Body,
}

/// Where one connection is in a script.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader {
    at: usize,
    values: Vec<(String, String)>,
}

/// What is kept of an answer for those who take values from it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// What is kept of a body at most. Bytes.
const BODY_MAX: usize = 1 << 20;
/// The longest value that is taken. Bytes.
const VALUE_MAX: usize = 64 << 10;

impl Kept {
    pub(super) fn take(&mut self, data: &[u8]) {
        let room = BODY_MAX.saturating_sub(self.body.len());
        let data = data.get(..room).unwrap_or(data);
        self.body.extend_from_slice(data);
    }
}

/// What is wrong with a script, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongScript {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for WrongScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for WrongScript {}

impl Script {
    /// One request, the same each time.
    pub fn one(request: HttpRequest, to: &Endpoint) -> Script {
        let plain = |text: &str| Text(vec![Part::Plain(text.to_owned())]);
        let template = Template {
            method: request.method.clone(),
            target: plain(&request.target),
            fields: Vec::new(),
            body: Text(Vec::new()),
            to: to.clone(),
        };
        let mut step = Step::new(template);
        step.take(request.to(to));
        Script::new(vec![step])
    }

    fn new(steps: Vec<Step>) -> Script {
        Script {
            is_session: steps.iter().any(|step| !step.captures.is_empty()),
            steps,
            wants_timing: false,
        }
    }

    /// Has what servers say of their own times recorded.
    pub fn with_timing(mut self, wants: bool) -> Script {
        self.wants_timing = wants;
        self
    }

    /// Reads a script. `fields` are sent with each request that does not have them itself.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, to: &Endpoint, fields: &HeaderMap) -> Result<Script, WrongScript> {
        let mut steps = Vec::new();
        let mut lines: Vec<(usize, &str)> = Vec::new();
        let mut known = Vec::new();
        let end = [(0, "###")];
        for (number, line) in (1..).zip(text.lines()).chain(end) {
            if !line.starts_with("###") {
                lines.push((number, line));
                continue;
            }
            let block = std::mem::take(&mut lines);
            if let Some(step) = step(&block, to, fields, &mut known)? {
                steps.push(step);
            }
        }
        match steps.is_empty() {
            true => Err(WrongScript {
                line: 1,
                why: "there is no request in it".to_owned(),
            }),
            false => Ok(Script::new(steps)),
        }
    }

    /// How many requests it has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn reader(&self, slot: usize) -> Reader {
        Reader {
            at: match self.is_session {
                true => 0,
                false => slot % self.steps.len().max(1),
            },
            values: Vec::new(),
        }
    }

    /// Which of its requests is next.
    pub(super) fn at(&self, reader: &Reader) -> usize {
        reader.at
    }

    pub(super) fn step(&self, reader: &Reader) -> Option<&Step> {
        self.steps.get(reader.at)
    }

    /// After an answer: checks it, takes values from it, and goes to the next request. Whether the script expects just
    /// this status.
    pub(super) fn next(
        &self,
        reader: &mut Reader,
        status: Option<u16>,
        kept: Option<Kept>,
    ) -> Result<bool, Failure> {
        let Some(step) = self.steps.get(reader.at) else {
            return Ok(false);
        };
        let is_expected = step.expect.is_some();
        let checked = step.check(reader, status, kept.as_ref());
        reader.at += 1;
        if reader.at >= self.steps.len() {
            reader.at = 0;
            reader.values.clear();
        }
        if !is_expected && status.is_some_and(|status| status >= 400) {
            // It is a failure, but the answer's own.
            self.restart(reader);
            return Ok(false);
        }
        checked.map(|()| is_expected)
    }

    /// After a failure: what follows may need what is missing now.
    pub(super) fn restart(&self, reader: &mut Reader) {
        if self.is_session {
            *reader = Reader::default();
        }
    }
}

impl Step {
    fn new(template: Template) -> Step {
        Step {
            asked: Asked::by(template.method.as_str()),
            template,
            plain: None,
            encoded: None,
            http2: None,
            captures: Vec::new(),
            expect: None,
        }
    }

    /// It is this request each time.
    fn take(&mut self, request: HttpRequest) {
        let mut encoded = Vec::new();
        request.write_http1(&mut encoded);
        self.encoded = Some(encoded);
        self.http2 = Some(request.http2(&self.template.to));
        self.plain = Some(request);
    }

    pub(super) fn keeps(&self) -> bool {
        !self.captures.is_empty()
    }

    /// The request with its values.
    pub(super) fn render(&self, reader: &Reader) -> Result<HttpRequest, Failure> {
        let template = &self.template;
        let mut fields = HeaderMap::new();
        for (name, text) in &template.fields {
            let value = HeaderValue::try_from(text.render(reader, str::to_owned)?);
            let value =
                value.map_err(|_| unexpected(format!("the value for {name} is not one line")))?;
            fields.append(name, value);
        }
        let target = template.target.render(reader, for_target)?;
        if !is_valid_target(&target) {
            return Err(unexpected(format!(
                "`{}` is no target",
                target.escape_debug()
            )));
        }
        let request = HttpRequest {
            method: template.method.clone(),
            target,
            fields,
            body: Bytes::from(template.body.render(reader, str::to_owned)?),
        };
        Ok(request.to(&template.to))
    }

    fn check(
        &self,
        reader: &mut Reader,
        status: Option<u16>,
        kept: Option<&Kept>,
    ) -> Result<(), Failure> {
        if let Some(wanted) = self.expect
            && status != Some(wanted)
        {
            let status = status.unwrap_or_default();
            return Err(unexpected(format!(
                "the status is {status}, and {wanted} is expected"
            )));
        }
        for capture in &self.captures {
            let value = kept.and_then(|kept| capture.from.find(kept));
            let Some(value) = value.filter(|value| value.len() <= VALUE_MAX) else {
                return Err(unexpected(format!(
                    "the answer has nothing for `{}`",
                    capture.name
                )));
            };
            reader.values.retain(|(name, _)| *name != capture.name);
            reader.values.push((capture.name.clone(), value));
        }
        Ok(())
    }
}

fn unexpected(text: String) -> Failure {
    Failure::new(Cause::Unexpected, text)
}

/// What a target may not have is encoded; what was taken may be a whole path, and stays one.
fn for_target(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte.is_ascii_graphic() && !b"<>\"\\^`{|}#".contains(&byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Text {
    /// Divides at `{{name}}`.
    fn parse(text: &str, line: usize, known: &[String]) -> Result<Text, WrongScript> {
        let wrong = |why: String| WrongScript { line, why };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let Some((name, after)) = behind.split_once("}}") else {
                return Err(wrong("`{{` has no `}}`".to_owned()));
            };
            let name = name.trim().to_owned();
            if !known.contains(&name) {
                return Err(wrong(format!(
                    "no request before this takes a value `{name}`: write `# @capture {name} = json PATH` above one"
                )));
            }
            if !before.is_empty() {
                parts.push(Part::Plain(before.to_owned()));
            }
            parts.push(Part::Value(name));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Plain(rest.to_owned()));
        }
        Ok(Text(parts))
    }

    fn is_plain(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Plain(_)))
    }

    fn render(&self, reader: &Reader, encode: fn(&str) -> String) -> Result<String, Failure> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(text) => out.push_str(text),
                Part::Value(name) => {
                    let mut values = reader.values.iter();
                    match values.find(|(known, _)| known == name) {
                        Some((_, value)) => out.push_str(&encode(value)),
                        None => return Err(unexpected(format!("`{name}` has no value yet"))),
                    }
                }
            }
        }
        Ok(out)
    }
}

impl Source {
    fn parse(text: &str) -> Option<Source> {
        let (kind, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        match (kind, rest.is_empty()) {
            ("json", false) => {
                let path = rest.trim_start_matches("$.");
                Some(Source::Json(path.split('.').map(str::to_owned).collect()))
            }
            ("header", false) => Some(Source::Header(rest.to_owned())),
            ("cookie", false) => Some(Source::Cookie(rest.to_owned())),
            ("body", true) => Some(Source::Body),
            _ => None,
        }
    }

    fn find(&self, kept: &Kept) -> Option<String> {
        let fields = |name: &str| {
            let name = name.to_owned();
            let named = kept.fields.iter();
            named.filter(move |(known, _)| known.eq_ignore_ascii_case(&name))
        };
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        match self {
            Source::Body => text(&kept.body),
            Source::Header(name) => text(&fields(name).next()?.1),
            Source::Cookie(name) => fields("set-cookie").find_map(|(_, value)| {
                let pair = text(value)?;
                let (known, value) = pair.split(';').next()?.split_once('=')?;
                (known.trim() == name).then(|| value.trim().to_owned())
            }),
            Source::Json(path) => {
                let json: Value = serde_json::from_slice(&kept.body).ok()?;
                let found = path.iter().try_fold(&json, |value, key| match value {
                    Value::Array(items) => items.get(key.parse::<usize>().ok()?),
                    value => value.get(key),
                })?;
                Some(match found {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
            }
        }
    }
}

/// One block of a file: its request, if there is one.
fn step(
    block: &[(usize, &str)],
    to: &Endpoint,
    common: &HeaderMap,
    known: &mut Vec<String>,
) -> Result<Option<Step>, WrongScript> {
    let (mut captures, mut expect) = (Vec::new(), None);
    let mut lines = block.iter().copied().peekable();
    // Comments, before the request.
    while let Some((number, line)) = lines.peek().copied() {
        let comment = line.strip_prefix('#').or_else(|| line.strip_prefix("//"));
        match comment {
            Some(comment) => said(comment, number, &mut captures, &mut expect)?,
            None if line.trim().is_empty() => {}
            None => break,
        }
        lines.next();
    }
    let Some((number, line)) = lines.next() else {
        return match (captures.is_empty(), block.first()) {
            (false, Some((line, _))) => Err(WrongScript {
                line: *line,
                why: "what is taken here has no request below it".to_owned(),
            }),
            _ => Ok(None),
        };
    };
    let wrong = |line: usize, why: &str| WrongScript {
        line,
        why: why.to_owned(),
    };
    let (method, target) = line.trim().split_once(' ').ok_or_else(|| {
        wrong(
            number,
            "a request begins with its method and target: GET /path",
        )
    })?;
    let target = target.trim().trim_end_matches("HTTP/1.1").trim_end();
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| wrong(number, "that is no method: write GET, POST, ..."))?;
    if !target.starts_with(['/', '{']) {
        return Err(wrong(
            number,
            "a target begins with `/`: the server is the command's URL",
        ));
    }
    let mut template = Template {
        method,
        target: Text::parse(target, number, known)?,
        fields: Vec::new(),
        body: Text(Vec::new()),
        to: to.clone(),
    };
    for (number, line) in lines.by_ref() {
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| {
            wrong(
                number,
                "a field is `Name: value`; a body comes behind an empty line",
            )
        })?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| wrong(number, "that is no field's name"))?;
        template
            .fields
            .push((name, Text::parse(value.trim(), number, known)?));
    }
    for (name, value) in common {
        if !template.fields.iter().any(|(own, _)| own == name) {
            let value = value.to_str().unwrap_or_default().to_owned();
            template
                .fields
                .push((name.clone(), Text(vec![Part::Plain(value)])));
        }
    }
    let body: Vec<&str> = lines.clone().map(|(_, line)| line).collect();
    let at = lines.peek().map_or(number, |(number, _)| *number);
    template.body = Text::parse(body.join("\n").trim_end(), at, known)?;

    let is_plain = template.target.is_plain()
        && template.body.is_plain()
        && template.fields.iter().all(|(_, text)| text.is_plain());
    let mut step = Step::new(template);
    if is_plain {
        let request = step.render(&Reader::default());
        step.take(request.map_err(|failure| wrong(number, &failure.text))?);
    }
    known.extend(captures.iter().map(|capture| capture.name.clone()));
    step.captures = captures;
    step.expect = expect;
    Ok(Some(step))
}

/// A comment, which may say something.
fn said(
    comment: &str,
    line: usize,
    captures: &mut Vec<Capture>,
    expect: &mut Option<u16>,
) -> Result<(), WrongScript> {
    let wrong = |why: &str| WrongScript {
        line,
        why: why.to_owned(),
    };
    let comment = comment.trim();
    if let Some(status) = comment.strip_prefix("@expect") {
        match status.trim().parse::<u16>() {
            Ok(status @ 100..=599) => *expect = Some(status),
            _ => return Err(wrong("`@expect` is followed by a status, as in 200")),
        }
    } else if let Some(capture) = comment.strip_prefix("@capture") {
        let form = "write `@capture NAME = json PATH`, or header NAME, cookie NAME, body";
        let (name, source) = capture.split_once('=').ok_or_else(|| wrong(form))?;
        let name = name.trim().to_owned();
        let is_name = !name.is_empty() && !name.contains(['{', '}', ' ']);
        let from = Source::parse(source).filter(|_| is_name);
        captures.push(Capture {
            name,
            from: from.ok_or_else(|| wrong(form))?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

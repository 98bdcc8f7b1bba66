//! A request on its way through an endpoint: its parts by name, its body as what the endpoint takes, and who asks.

use std::borrow::Cow;
use std::sync::Arc;

use ::http::request::Parts;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::Shared;
use super::endpoint::{Endpoint, Input, Takes, Who};
use super::json;
use super::paths::Open;
use super::query;
use super::shape::{self, Place};
use super::stop::Stop;
use crate::accounts::{User, cookie};
use crate::http::{Body, Downstream, HeaderName, HeaderValue, Login, Problem, StatusCode, header};

type Result<T> = crate::error::Result<T, Stop>;

/// What an endpoint is given, but for the body.
pub(super) struct Call<'a> {
    pub api: &'a Arc<Shared>,
    pub endpoint: &'a Endpoint,
    pub parts: Parts,
    pub open: Open,
    pub downstream: Option<Downstream>,
    /// What a route took away of the path.
    pub prefix: String,
    /// Who asks, where the endpoint is not for anyone.
    pub login: Option<Login>,
    /// Who asks, as of when their session was last looked at: in this process at most a moment ago.
    pub me: Option<Arc<User>>,
}

/// A JSON body, as it was sent and as it is understood.
#[derive(Default)]
pub(super) struct Sent {
    pub text: Bytes,
    pub value: Value,
}

impl Call<'_> {
    /// An open part of the path, decoded. What is no text is caught before.
    pub(super) fn path(&self, name: &str) -> Cow<'_, str> {
        let number = self.endpoint.of_path().position(|param| param.name == name);
        let part = self
            .open
            .part(self.parts.uri.path(), number.unwrap_or(usize::MAX));
        query::decode_path(part).unwrap_or_default()
    }

    /// A query parameter, decoded; the first where there are several, which is caught before.
    pub(super) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let (value, _) = query::find(self.parts.uri.query()?, name);
        query::decode(value?)
    }

    /// A query parameter that is a whole number, or this.
    pub(super) fn integer(&self, name: &str, default: u64) -> u64 {
        let value = self.query(name);
        value
            .and_then(|value| shape::integer(&value))
            .unwrap_or(default)
    }

    /// A query parameter in seconds, as milliseconds, or this.
    pub(super) fn milliseconds(&self, name: &str, default: u64) -> u64 {
        let value = self.query(name);
        value
            .and_then(|value| shape::milliseconds(&value))
            .unwrap_or(default)
    }

    /// A request field, if it is text.
    pub(super) fn field(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    pub(super) fn downstream(&self) -> Option<&Downstream> {
        self.downstream.as_ref()
    }

    /// The token of a session, if one came along.
    pub(super) fn token(&self) -> Option<&str> {
        cookie::token(&self.parts.headers, self.is_secure())
    }

    /// Whether nobody on the way can read along.
    pub(super) fn is_secure(&self) -> bool {
        self.downstream().is_some_and(Downstream::is_secure)
    }

    /// Everything that is declared of the parameters, all of what is wrong at once.
    pub(super) fn check_parameters(&self) -> Result<()> {
        let mut problem: Option<Problem> = None;
        let mut wrong = |name: &str, what: String| {
            let so_far = problem.take();
            let so_far = so_far.unwrap_or_else(|| Problem::new(StatusCode::UNPROCESSABLE_ENTITY));
            problem = Some(so_far.field(name, what));
        };
        let written = self.parts.uri.query().unwrap_or_default();
        let mut part = 0;
        for param in &self.endpoint.params {
            let value = match param.place {
                Place::Header => continue,
                Place::Path => {
                    part += 1;
                    let part = self.open.part(self.parts.uri.path(), part - 1);
                    query::decode_path(part)
                }
                Place::Query => match query::find(written, param.name) {
                    (None, _) if param.required => {
                        wrong(param.name, "is missing".to_owned());
                        continue;
                    }
                    (None, _) => continue,
                    (Some(_), true) => {
                        wrong(param.name, "is there twice".to_owned());
                        continue;
                    }
                    (Some(value), false) => query::decode(value),
                },
            };
            match value.as_deref().map(|value| param.shape.check(value)) {
                None => wrong(param.name, "is not text in UTF-8".to_owned()),
                Some(Err(misfit)) => wrong(param.name, misfit.to_string()),
                Some(Ok(())) => {}
            }
        }
        problem.map_or(Ok(()), |problem| Err(problem.into()))
    }

    /// Finds out who asks, and lets on whom the endpoint is for.
    pub(super) async fn check_who(&mut self) -> Result<()> {
        if self.endpoint.who == Who::Anyone {
            return Ok(());
        }
        self.login = self.find_login().await?;
        match (self.endpoint.who, &self.login) {
            (Who::Depends | Who::Anyone, _) | (Who::User, Some(_)) => Ok(()),
            (Who::Role(role), Some(login)) if login.has(role) => Ok(()),
            (Who::Role(role), Some(_)) => Err(Stop::new(
                StatusCode::FORBIDDEN,
                format!("this is for those with the role {role:?}"),
            )),
            (_, None) => Err(nobody()),
        }
    }

    /// What a route found out before, or whose session came along.
    async fn find_login(&mut self) -> Result<Option<Login>> {
        if let Some(login) = self.parts.extensions.get::<Login>() {
            return Ok(Some(login.clone()));
        }
        let Some(token) = self.token() else {
            return Ok(None);
        };
        let session = self.api.accounts.who(token).await?;
        self.me = session.map(|session| session.user);
        Ok(self.me.as_ref().map(|user| user.login()))
    }

    /// Who asks, where the endpoint is for users only.
    pub(super) fn user(&self) -> Result<&Login> {
        self.login.as_ref().ok_or_else(nobody)
    }

    /// The body, as the endpoint's schema wants it.
    pub(super) async fn json(&self, body: Body) -> Result<Value> {
        Ok(self.bytes_of_json(body).await?.value)
    }

    /// As [`Call::json`], with the text beside it.
    pub(super) async fn bytes_of_json(&self, body: Body) -> Result<Sent> {
        let Some(input) = &self.endpoint.input else {
            return Ok(Sent::default());
        };
        let is_form = self.check_media_type(input)?;
        let text = self.bytes(body).await?;
        let value = match is_form {
            true => form(&text)?,
            false => json::parse(&text, self.api.options.depth).map_err(|wrong| {
                Stop::new(
                    StatusCode::BAD_REQUEST,
                    format!("the body is not the JSON it should be: {wrong}"),
                )
            })?,
        };
        check(&input.validator, &value)?;
        Ok(Sent { text, value })
    }

    /// All of the body, whatever it is.
    pub(super) async fn bytes(&self, body: Body) -> Result<Bytes> {
        Ok(body.collect(self.api.options.body_bytes).await?)
    }

    /// Whether the body is a form, where one is taken.
    fn check_media_type(&self, input: &Input) -> Result<bool> {
        let taken = input.takes.media_types();
        let given = self.field(header::CONTENT_TYPE).unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        let found = taken
            .iter()
            .find(|taken| taken.eq_ignore_ascii_case(essence));
        match found {
            Some(found) => Ok(*found == "application/x-www-form-urlencoded"),
            None => {
                let accept = HeaderValue::from_static(match input.takes {
                    Takes::Json | Takes::Anything => "application/json",
                    Takes::JsonOrForm => "application/json, application/x-www-form-urlencoded",
                    Takes::Patch => "application/merge-patch+json, application/json",
                });
                let name = match self.parts.method == crate::http::Method::PATCH {
                    true => HeaderName::from_static("accept-patch"),
                    false => header::ACCEPT,
                };
                let detail = format!("the body's Content-Type should be {}", taken.join(" or "));
                Err(Stop::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).with(name, accept))
            }
        }
    }
}

/// Tells everything in which a value breaks a schema, each with its place.
pub(super) fn check(validator: &jsonschema::Validator, value: &Value) -> Result<()> {
    /// More help nobody.
    const TOLD: usize = 20;

    if validator.is_valid(value) {
        return Ok(());
    }
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY);
    let problem = validator
        .iter_errors(value)
        .take(TOLD)
        .fold(problem, |problem, wrong| {
            // What was sent may be a secret, and is not said back.
            problem.field(
                wrong.instance_path().to_string(),
                wrong.masked().to_string(),
            )
        });
    Err(problem.into())
}

/// The fields of a form, as an object of texts.
fn form(text: &[u8]) -> Result<Value> {
    let not_text = || Stop::new(StatusCode::BAD_REQUEST, "the form is not text in UTF-8");
    let text = str::from_utf8(text).map_err(|_| not_text())?;
    let mut fields = Map::new();
    for (name, value) in query::pairs(text) {
        let name = query::decode(name).ok_or_else(not_text)?;
        let value = query::decode(value.unwrap_or_default()).ok_or_else(not_text)?;
        let before = fields.insert(name.clone().into_owned(), Value::from(&*value));
        if before.is_some() {
            return Err(Stop::new(
                StatusCode::BAD_REQUEST,
                format!("the field {name:?} is there twice"),
            ));
        }
    }
    Ok(Value::Object(fields))
}

/// 401, with how to prove who one is.
pub(super) fn nobody() -> Stop {
    Stop::new(StatusCode::UNAUTHORIZED, "log in first").with(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"bandy\""),
    )
}

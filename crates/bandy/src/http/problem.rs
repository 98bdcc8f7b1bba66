//! Errors that a program can read: `application/problem+json` (RFC 9457).

use serde::Serialize;

use super::{Response, StatusCode, typed};
use crate::error::{Error, Kind};

/// What went wrong with a request, for whoever sent it. It never shows what goes on inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort of problem it is, in the words of the status code.
    title: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Where in what was sent, where it can be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Field>,
}

/// What is wrong with one field of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Field {
    field: String,
    detail: String,
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode) -> Problem {
        Problem {
            title: status.canonical_reason().unwrap_or("Unknown").to_owned(),
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
        }
    }

    /// The same problem with a sentence about this occurrence.
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.detail = Some(detail.into());
        self
    }

    /// The same problem with the field that it is about: a JSON pointer, a parameter's name.
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Problem {
        self.errors.push(Field {
            field: field.into(),
            detail: detail.into(),
        });
        self
    }

    /// The response that says so.
    pub fn response(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A structure of strings and numbers always is JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        typed(status, "application/problem+json", json)
    }
}

/// What a client is told of a service's failure: what the client did, and of anything else only that it happened.
impl From<&Error> for Problem {
    fn from(error: &Error) -> Problem {
        match error.kind() {
            Kind::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE),
            Kind::Protocol => Problem::new(StatusCode::BAD_REQUEST),
            Kind::TimedOut => Problem::new(StatusCode::REQUEST_TIMEOUT),
            Kind::Overload => Problem::new(StatusCode::SERVICE_UNAVAILABLE),
            _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Response {
        problem.response()
    }
}

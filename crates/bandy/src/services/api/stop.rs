//! An answer that is not what was asked for: what ends an endpoint's work early.

use crate::error::{Error, Kind};
use crate::http::{HeaderName, HeaderValue, Problem, Response, StatusCode};

/// What an endpoint comes to.
pub(super) type Reply = crate::error::Result<Response, Stop>;

/// Why an endpoint went no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client is told this.
    Said(Box<Response>),
    /// Something of ours failed; the client is told only that.
    Failed(Error),
}

impl Stop {
    /// A problem of this status, in a sentence.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Stop {
        Problem::new(status).detail(detail).into()
    }

    /// 422: something about what was sent is wrong; `field` is a parameter's name or a JSON pointer.
    pub(super) fn field(field: impl Into<String>, detail: impl Into<String>) -> Stop {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .field(field, detail)
            .into()
    }

    /// The same with a field in its head.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Stop {
        if let Stop::Said(response) = &mut self {
            response.headers_mut().insert(name, value);
        }
        self
    }

    /// The response, where there is one: what failed here is for the server to log.
    pub(super) fn into_response(self) -> crate::error::Result<Response> {
        match self {
            Stop::Said(response) => Ok(*response),
            Stop::Failed(error) => match error.kind() {
                // The client's doing, or its due.
                Kind::TooLarge | Kind::Protocol | Kind::TimedOut | Kind::Overload => {
                    Ok(Problem::from(&error).response())
                }
                _ => Err(error),
            },
        }
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Said(Box::new(problem.response()))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

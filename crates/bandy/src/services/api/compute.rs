//! `/add` and `/process`: answers that depend on the question alone.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::Call;
use super::endpoint::{Does, Endpoint, Tag, Takes};
use super::number::Number;
use super::query;
use super::shape::Shape;
use super::stop::{Reply, Stop};
use crate::error::Result;
use crate::http::{Body, HeaderMap, Method, Problem, Request, StatusCode, header, text, typed};

pub(super) fn endpoints() -> Result<Vec<Endpoint>> {
    let number = json!({"type": "number"});
    let result = json!({
        "type": "object",
        "required": ["result"],
        "properties": {"result": number},
    });
    let input = json!({
        "type": "object",
        "required": ["input"],
        "additionalProperties": false,
        "properties": {"input": {
            "type": "array",
            "items": {"type": "number", "minimum": -Number::MAX, "maximum": Number::MAX},
        }},
    });
    Ok(vec![
        Endpoint::new(Method::GET, "/add", Tag::Compute, "Add two numbers", Does::Now(add))
            .about("Whole numbers and decimals are added exactly, up to 37 digits. The sum is text, or JSON for `Accept: application/json`.")
            .needs("a", Shape::Number, "The first number.", "5")
            .needs("b", Shape::Number, "The second number.", "3")
            .text(200, "The sum.", "8")
            .form("application/json", result.clone(), Some(json!({"result": 8}))),
        Endpoint::new(Method::POST, "/process", Tag::Compute, "Add up a list of numbers", Does::Later(|call, body| Box::pin(process(call, body))))
            .about("Numbers as in `/add`. The sum of none is 0.")
            .takes(Takes::Json, input, json!({"input": [1, 2, 3]}))?
            .json(200, "The sum.", result, json!({"result": 6})),
    ])
}

/// The hot path: what it costs is its response.
fn add(request: &Request) -> Reply {
    let written = request.uri().query().unwrap_or_default();
    let (a, b) = match (parameter(written, "a"), parameter(written, "b")) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => {
            let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY);
            for (name, value) in [("a", a), ("b", b)] {
                if let Err(wrong) = value {
                    problem = problem.field(name, wrong);
                }
            }
            return Err(problem.into());
        }
    };
    let Some(sum) = a.plus(b) else {
        return Err(Stop::field("a", "and b have a sum that is too large"));
    };
    Ok(match wants_json(request.headers()) {
        false => text(StatusCode::OK, sum.to_string()),
        true => typed(StatusCode::OK, "application/json", result(sum)),
    })
}

fn parameter(written: &str, name: &str) -> Result<Number, &'static str> {
    match query::find(written, name) {
        (None, _) => Err("is missing"),
        (Some(_), true) => Err("is there twice"),
        (Some(value), false) => {
            let value = query::decode(value).ok_or("is not text in UTF-8")?;
            Number::parse(&value).map_err(|wrong| wrong.as_str())
        }
    }
}

fn result(sum: Number) -> String {
    format!("{{\"result\":{sum}}}")
}

/// Whether JSON is asked for and text is not.
fn wants_json(fields: &HeaderMap) -> bool {
    let accept = fields.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json") && !accept.contains("text/plain"))
}

async fn process(call: Call<'_>, body: Body) -> Reply {
    let sent = call.bytes_of_json(body).await?;
    let numbers = match sent.value.pointer("/input").and_then(Value::as_array) {
        // A double has forgotten how it was written.
        Some(numbers) if numbers.iter().any(Value::is_f64) => as_written(&sent.text)?,
        Some(numbers) => numbers.iter().map(|number| exact(&number.to_string())).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let sum = numbers.into_iter().try_fold(Number::ZERO, Number::plus);
    let sum = sum.ok_or_else(|| Stop::field("/input", "has a sum that is too large"))?;
    Ok(typed(StatusCode::OK, "application/json", result(sum)))
}

fn as_written(text: &[u8]) -> Result<Vec<Number>, Stop> {
    #[derive(Deserialize)]
    struct Sent<'a> {
        #[serde(borrow)]
        input: Vec<&'a RawValue>,
    }
    // It is JSON, and of this schema: that was checked.
    let sent: Sent<'_> = serde_json::from_slice(text).map_err(|_| Stop::field("/input", "is not a list of numbers"))?;
    sent.input.iter().map(|number| exact(number.get())).collect()
}

fn exact(text: &str) -> Result<Number, Stop> {
    Number::parse(text).map_err(|wrong| Stop::field("/input", format!("has a number that {}", wrong.as_str())))
}

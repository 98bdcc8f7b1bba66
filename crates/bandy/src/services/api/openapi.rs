//! The table of endpoints as OpenAPI 3.1 has it (<https://spec.openapis.org/oas/v3.1.0>).

use serde_json::{Map, Value, json};

use super::endpoint::{Endpoint, Form, Says, Tag, Takes, Who};
use super::shape::{Param, Place, Shape};
use crate::http::Method;

/// The document.
pub(super) fn document(rows: &[Endpoint], prefix: &str) -> Value {
    let mut paths = Map::new();
    for row in rows {
        let path = paths
            .entry(row.path.replace("...}", "}"))
            .or_insert_with(|| json!({}));
        for method in &row.methods {
            if let Value::Object(path) = path {
                path.insert(method.as_str().to_lowercase(), operation(row, method));
            }
        }
    }
    let tags: Vec<Value> = Tag::ALL
        .iter()
        .filter(|tag| rows.iter().any(|row| row.tag == **tag))
        .map(|tag| json!({"name": tag.name(), "description": tag.about()}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bandy",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "An application server: sums, accounts, records, and endpoints to test clients with.",
            "description": "HEAD is answered wherever GET is, OPTIONS everywhere. Errors are problems (RFC 9457).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": if prefix.is_empty() { "/" } else { prefix }}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": problem(),
                "User": super::people::user_schema(),
                "Record": super::records::record_schema(),
                "Collection": super::records::collection_schema(),
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The `token` that `POST /login` answers.",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": crate::accounts::cookie::PLAIN,
                    "description": "What `POST /login` sets; over TLS its name begins with `__Host-`.",
                },
            },
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["title", "status"],
        "properties": {
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "What is wrong with what was sent, where that can be told.",
                "items": {
                    "type": "object",
                    "required": ["field", "detail"],
                    "properties": {
                        "field": {"type": "string", "description": "A parameter's name, or a JSON pointer into the body."},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    })
}

fn operation(row: &Endpoint, method: &Method) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), id(row, method).into());
    operation.insert("tags".to_owned(), json!([row.tag.name()]));
    operation.insert("summary".to_owned(), row.summary.into());
    if !row.about.is_empty() {
        operation.insert("description".to_owned(), row.about.into());
    }
    if !row.params.is_empty() {
        let params: Vec<Value> = row.params.iter().map(param).collect();
        operation.insert("parameters".to_owned(), params.into());
    }
    if let Some(input) = &row.input
        && *method != Method::GET
    {
        let body = match input.takes {
            Takes::Anything => json!({"content": {"*/*": {}}}),
            takes => {
                let content: Map<String, Value> = takes
                    .media_types()
                    .iter()
                    .map(|name| {
                        (
                            (*name).to_owned(),
                            json!({"schema": input.schema, "example": input.example}),
                        )
                    })
                    .collect();
                json!({"required": true, "content": content})
            }
        };
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), responses(row));
    match row.who {
        Who::Anyone => {}
        Who::User | Who::Role(_) => {
            operation.insert(
                "security".to_owned(),
                json!([{"bearer": []}, {"cookie": []}]),
            );
        }
        Who::Depends => {
            operation.insert(
                "security".to_owned(),
                json!([{}, {"bearer": []}, {"cookie": []}]),
            );
        }
    }
    if let Who::Role(role) = row.who {
        operation.insert("x-role".to_owned(), role.into());
    }
    if row.is_endless {
        operation.insert("x-endless".to_owned(), true.into());
    }
    Value::Object(operation)
}

/// `GET /records/{collection}/{id}` is `get_records_collection_id`.
fn id(row: &Endpoint, method: &Method) -> String {
    let mut id = method.as_str().to_lowercase();
    let parts = row.path.split(|c: char| !c.is_ascii_alphanumeric());
    for part in parts.filter(|part| !part.is_empty()) {
        id.push('_');
        id.push_str(part);
    }
    id
}

fn param(param: &Param) -> Value {
    let place = match param.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let mut written = json!({
        "name": param.name,
        "in": place,
        "required": param.required,
        "description": param.about,
        "schema": param.shape.schema(),
    });
    if let Value::Object(written) = &mut written
        && !param.example.is_empty()
    {
        let example = match param.shape {
            Shape::Number | Shape::Integer(..) | Shape::Seconds(_) => {
                serde_json::from_str(param.example).unwrap_or_default()
            }
            _ => Value::from(param.example),
        };
        written.insert("example".to_owned(), example);
    }
    written
}

fn responses(row: &Endpoint) -> Value {
    let mut responses = Map::new();
    for says in &row.says {
        let status = match says.status {
            0 => "default".to_owned(),
            status => status.to_string(),
        };
        responses.insert(status, response(says));
    }
    for (status, about) in row.implied_problems() {
        responses.entry(status.to_string()).or_insert_with(|| {
            json!({
                "description": about,
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            })
        });
    }
    Value::Object(responses)
}

fn response(says: &Says) -> Value {
    let mut written = json!({"description": says.about});
    let Value::Object(fields) = &mut written else {
        return written;
    };
    if !says.fields.is_empty() {
        let headers: Map<String, Value> = says
            .fields
            .iter()
            .map(|(name, about)| {
                (
                    (*name).to_owned(),
                    json!({"description": about, "schema": {"type": "string"}}),
                )
            })
            .collect();
        fields.insert("headers".to_owned(), headers.into());
    }
    if !says.bodies.is_empty() {
        let content: Map<String, Value> = says.bodies.iter().map(form).collect();
        fields.insert("content".to_owned(), content.into());
    }
    written
}

fn form(form: &Form) -> (String, Value) {
    let mut content = json!({"schema": form.schema});
    if let (Value::Object(content), Some(example)) = (&mut content, &form.example) {
        content.insert("example".to_owned(), example.clone());
    }
    (form.media_type.to_owned(), content)
}

//! The OpenAPI document, and the page.

use serde_json::Value;

use crate::{Stage, ask};

/// Every value under this key, wherever it is.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_names_are_given_once() {
    let stage = Stage::new();
    let document = stage.get("/openapi.json").await.expect(200).json;
    assert_eq!(document["openapi"], "3.1.0");
    let (mut references, mut ids) = (Vec::new(), Vec::new());
    all(&document, "$ref", &mut references);
    all(&document["paths"], "operationId", &mut ids);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference
            .as_str()
            .and_then(|r| r.strip_prefix('#'))
            .expect("a reference");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let count = ids.len();
    ids.sort_by_key(|id| id.as_str());
    ids.dedup();
    assert_eq!(ids.len(), count);
}

/// What the document says of an endpoint holds: it is there, its parameters are those of its path, and its examples are of
/// its schemas.
#[tokio::test]
async fn every_endpoint_is_as_it_is_described() {
    let stage = Stage::new();
    let document = stage.get("/openapi.json").await.expect(200).json;
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        "/add",
        "/process",
        "/login",
        "/records/{collection}/{id}",
        "/echo/{path}",
        "/ws",
        "/",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, operations) in paths {
        let target = path.replace(['{', '}'], "");
        for (method, operation) in operations.as_object().expect("operations") {
            let name = format!("{method} {path}");
            let answer = stage.ask(ask("OPTIONS", &target)).await.expect(204);
            assert!(
                answer
                    .field("allow")
                    .split(", ")
                    .any(|m| m.eq_ignore_ascii_case(method)),
                "{name}"
            );
            let described = operation["parameters"].as_array().into_iter().flatten();
            let of_path: Vec<_> = described.clone().filter(|p| p["in"] == "path").collect();
            assert_eq!(of_path.len(), path.matches('{').count(), "{name}");
            for parameter in described {
                if let Some(example) = parameter.get("example") {
                    is_of(&document, &parameter["schema"], example, &name);
                }
            }
            let mut contents = Vec::new();
            all(operation, "content", &mut contents);
            for form in contents
                .iter()
                .filter_map(|content| content.as_object())
                .flat_map(|content| content.values())
            {
                if let Some(example) = form.get("example") {
                    is_of(&document, &form["schema"], example, &name);
                }
            }
        }
    }
}

#[track_caller]
fn is_of(document: &Value, schema: &Value, example: &Value, name: &str) {
    let mut schema = schema.clone();
    if let Value::Object(schema) = &mut schema {
        schema.insert("components".to_owned(), document["components"].clone());
    }
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    if let Err(wrong) = validator.validate(example) {
        panic!("{name}: {wrong}\n{example}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let stage = Stage::new();
    let page = stage.get("/").await.expect(200);
    let policy = page.field("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
        "{policy}"
    );
    for word in [
        "http://", "https://", "style=", "onclick", "<script>", "<style",
    ] {
        assert!(!page.text.contains(word), "{word}");
    }
    for (path, media_type) in [
        ("/page/style.css", "text/css"),
        ("/page/page.js", "text/javascript"),
    ] {
        assert!(page.text.contains(&path[1..]), "{path}");
        let file = stage.get(path).await.expect(200);
        assert!(file.field("content-type").starts_with(media_type));
        assert!(file.bytes > 1000);
    }
}

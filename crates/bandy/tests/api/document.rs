//! The OpenAPI document, and the page.

use bandy::Service;
use bandy::http::router::{Layers, Route, Router};
use serde_json::Value;

use crate::{Answer, Ask, Stage, ask, get};

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

/// Behind a route that takes a prefix away, everything that leads somewhere leads below it.
#[tokio::test]
async fn below_a_prefix_it_leads_to_itself() {
    let stage = Stage::new();
    let layers = Layers {
        strip: Some("/api".to_owned()),
        ..Layers::default()
    };
    let path = "/api/*".parse().expect("a pattern");
    let document = stage.get("/openapi.json").await.expect(200).json;
    assert_eq!(document["servers"][0]["url"], "/");
    let router = Router::new().route(Route::to(stage.api).path(path).layers(layers));
    let asked = async |asked: Ask| Answer::of(router.call(asked.0).await.expect("an answer")).await;

    let document = asked(get("/api/openapi.json")).await.expect(200).json;
    assert_eq!(document["servers"][0]["url"], "/api");

    // The page's own links are relative.
    assert_eq!(
        asked(get("/api")).await.expect(308).field("location"),
        "/api/"
    );
    asked(get("/api/")).await.expect(200);

    let jumped = asked(get("/api/redirect/1")).await.expect(302);
    assert_eq!(jumped.field("location"), "/api/redirect/0");
    let set = asked(get("/api/cookies/set?a=b")).await.expect(302);
    assert_eq!(set.field("location"), "/api/cookies");
    assert_eq!(
        set.field("set-cookie"),
        "a=b; Path=/api/cookies; SameSite=Lax"
    );
    let nothing = asked(get("/api/nowhere")).await.expect(404);
    assert_eq!(nothing.json["detail"], "there is nothing at /api/nowhere");
}

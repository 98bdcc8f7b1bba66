//! Conversations with a router.

use std::time::Duration;

use super::*;
use crate::http::{Body, Login, text};
use crate::service::service_fn;

/// Answers what it saw: method, path, prefix, who.
fn seer(name: &'static str) -> Route {
    Route::to(service_fn(move |request: Request| async move {
        let login = Login::of(&request).map_or("-", |login| &login.user);
        let params = request.extensions().get::<Params>().cloned();
        let id = params.as_ref().and_then(|p| p.get("id")).unwrap_or("-");
        let seen = format!(
            "{name} {} {} {} {login} {id}",
            request.method(),
            request.uri(),
            Mount::prefix(&request),
        );
        let body = request.into_body().collect(100).await;
        match body {
            Ok(body) => Ok(text(
                StatusCode::OK,
                format!("{seen} {}", String::from_utf8_lossy(&body)),
            )),
            Err(e) => Ok(Problem::from(&e).response()),
        }
    }))
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

/// `GET host/path`, with fields behind it.
fn request(line: &str, fields: &[(&str, &str)], body: &'static str) -> Request {
    let (method, rest) = line.split_once(' ').expect("a method");
    let (host, path) = rest.split_at(rest.find('/').expect("a path"));
    let mut request = ::http::Request::builder().method(method).uri(path);
    request = request.header("host", host);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body)).expect("a request")
}

async fn heard(router: &Router, request: Request) -> (Response, String) {
    let response = router.call(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = body.collect(1 << 20).await.expect("a body");
    let body = String::from_utf8_lossy(&body).trim_end().to_owned();
    (Response::from_parts(parts, Body::empty()), body)
}

async fn said(router: &Router, line: &str) -> String {
    let (response, body) = heard(router, request(line, &[], "")).await;
    match response.status() {
        StatusCode::OK => body,
        status => {
            let allow = response.headers().get("allow").map(|v| v.to_str());
            let allow = allow.and_then(Result::ok).unwrap_or_default();
            format!("{} {allow}", status.as_u16()).trim_end().to_owned()
        }
    }
}

#[tokio::test]
async fn the_first_route_that_takes_it_answers() {
    let of_host = |host: &str| Scope {
        hosts: vec![host.parse().expect("a host")],
        ..Scope::default()
    };
    let router = Router::new()
        .route(seer("wild").scope(of_host("*.example.com")))
        .route(seer("admin").scope(of_host("admin.example")))
        .route(
            seer("user")
                .path(pattern("/users/{id}"))
                .methods([Method::GET]),
        )
        .route(
            seer("users")
                .path(pattern("/users/*"))
                .methods([Method::POST]),
        )
        .route(seer("about").path(pattern("/about")));
    for (line, expected) in [
        ("GET a.example.com/about", "wild GET /about  - -"),
        ("GET Admin.Example:80/", "admin GET /  - -"),
        ("GET x/users/7", "user GET /users/7  - 7"),
        ("HEAD x/users/7", "user HEAD /users/7  - 7"),
        ("POST x/users/7", "users POST /users/7  - -"),
        ("GET x/about?a=b", "about GET /about?a=b  - -"),
        ("DELETE x/users/7", "405 GET, HEAD, POST"),
        ("GET x/users/", "405 POST"),
        ("GET x/", "404"),
        ("GET x/%61bout", "about GET /%61bout  - -"),
        ("GET x/b/../about", "400"),
        ("GET x/users/%2e%2E", "400"),
    ] {
        assert_eq!(said(&router, line).await, expected, "{line}");
    }
}

#[tokio::test]
async fn a_service_stands_below_a_prefix() {
    let layers = Layers {
        strip: Some("/api".to_owned()),
        ..Layers::default()
    };
    let inner = Router::new().route(seer("api").path(pattern("/v1/*")).layers(Layers {
        strip: Some("/v1".to_owned()),
        ..Layers::default()
    }));
    let router = Router::new().route(Route::to(inner).path(pattern("/api/*")).layers(layers));
    assert_eq!(
        said(&router, "GET x/api/v1/a%2F../b?c").await,
        "api GET /a%2F../b?c /api/v1 - -"
    );
    assert_eq!(said(&router, "GET x/api/v2").await, "404");
}

#[tokio::test]
async fn a_body_too_long_is_refused_before_and_while_it_is_read() {
    let layers = Layers {
        body_bytes: Some(4),
        ..Layers::default()
    };
    let router = Router::new().route(seer("s").layers(layers));
    let status = |fields: &'static [(&str, &str)], body| {
        let router = &router;
        async move {
            let (response, _) = heard(router, request("POST x/", fields, body)).await;
            response.status().as_u16()
        }
    };
    assert_eq!(status(&[], "four").await, 200);
    assert_eq!(status(&[], "fives").await, 413);
    assert_eq!(status(&[("content-length", "5")], "").await, 413);
    // One that does not say how long it is.
    let (sender, body) = Body::channel(2);
    sender.try_send(Ok("abc".into())).expect("room");
    sender.try_send(Ok("de".into())).expect("room");
    drop(sender);
    let mut long = request("POST x/", &[], "");
    *long.body_mut() = body;
    assert_eq!(heard(&router, long).await.0.status().as_u16(), 413);
}

#[tokio::test]
async fn fields_redirects_and_fixed_answers() {
    let layers = Layers {
        response: Fields::new()
            .set("X-Frame-Options", "DENY")
            .expect("a rule"),
        ..Layers::default()
    };
    let redirect = Redirect {
        status: StatusCode::PERMANENT_REDIRECT,
        to: "https://{host}{path_and_query}".parse().expect("a target"),
    };
    let fixed = Fixed {
        status: StatusCode::GONE,
        media_type: Fixed::MEDIA_TYPE.to_owned(),
        body: "gone".to_owned(),
    };
    let router = Router::new()
        .route(
            Route::new(Answers::Fixed(fixed))
                .path(pattern("/old"))
                .layers(layers),
        )
        .route(Route::new(Answers::Redirect(redirect)));
    let (response, body) = heard(&router, request("GET x/old", &[], "")).await;
    assert_eq!((response.status().as_u16(), body.as_str()), (410, "gone"));
    assert_eq!(response.headers()["x-frame-options"], "DENY");
    let (response, _) = heard(&router, request("GET x:80/a?b", &[], "")).await;
    assert_eq!(response.status().as_u16(), 308);
    assert_eq!(response.headers()["location"], "https://x/a?b");
}

fn with_password() -> Layers {
    Layers {
        access: Access {
            users: vec![User {
                name: "ada".to_owned(),
                secret: Secret::new("one"),
            }],
            ..Access::default()
        },
        ..Layers::default()
    }
}

const ADA: (&str, &str) = ("authorization", "Basic YWRhOm9uZQ==");

#[tokio::test]
async fn a_preflight_is_answered_before_the_login_and_refusals_can_be_read() {
    let layers = Layers {
        cors: Some(Cors {
            origins: vec!["https://app.example".to_owned()],
            ..Cors::default()
        }),
        ..with_password()
    };
    let router = Router::new().route(seer("s").methods([Method::PUT]).layers(layers));
    let app = ("origin", "https://app.example");
    let asks = ("access-control-request-method", "PUT");
    let (response, _) = heard(&router, request("OPTIONS x/", &[app, asks], "")).await;
    assert_eq!(response.status().as_u16(), 204);
    let (response, _) = heard(&router, request("PUT x/", &[app], "")).await;
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    let other = ("access-control-request-method", "DELETE");
    let (response, _) = heard(&router, request("OPTIONS x/", &[app, other], "")).await;
    assert_eq!(response.status().as_u16(), 405);
}

#[tokio::test]
async fn another_sites_page_changes_nothing_in_somebodys_name() {
    let router = Router::new()
        .route(seer("open").path(pattern("/open")))
        .route(seer("s").layers(with_password()));
    let evil = ("origin", "https://evil.example");
    let status = |line, fields: &'static [(&str, &str)]| {
        let router = &router;
        async move {
            let (response, _) = heard(router, request(line, fields, "")).await;
            response.status().as_u16()
        }
    };
    assert_eq!(status("POST x/", &[ADA]).await, 200);
    assert_eq!(
        status("POST x/", &[ADA, ("origin", "https://x")]).await,
        200
    );
    let _ = evil;
    assert_eq!(
        status("POST x/", &[ADA, ("origin", "https://evil.example")]).await,
        403
    );
    assert_eq!(
        status("GET x/", &[ADA, ("origin", "https://evil.example")]).await,
        200
    );
    // A route that knows nobody leaves it to its service.
    assert_eq!(
        status(
            "POST x/open",
            &[("cookie", "a"), ("origin", "https://evil.example")]
        )
        .await,
        200
    );
}

#[tokio::test]
async fn those_who_ask_too_often_wait() {
    let layers = Layers {
        rate: Some(Rate {
            requests: 1,
            every: Duration::from_secs(60),
            burst: 2,
            by: By::User,
        }),
        ..with_password()
    };
    let router = Router::new().route(seer("s").layers(layers));
    for expected in [200, 200, 429] {
        let (response, _) = heard(&router, request("GET x/", &[ADA], "")).await;
        assert_eq!(response.status().as_u16(), expected);
        let has_time = response.headers().contains_key("retry-after");
        assert_eq!(has_time, expected == 429);
    }
    // Who is nobody takes nothing from who is somebody, nor the other way round.
    let (response, _) = heard(&router, request("GET x/", &[], "")).await;
    assert_eq!(response.status().as_u16(), 401);
}

#[tokio::test]
async fn answers_get_smaller_on_the_way() {
    let layers = Layers {
        compression: Some(Compression { min_bytes: 1 }),
        ..Layers::default()
    };
    let router = Router::new().route(seer("s").layers(layers));
    let accepts = ("accept-encoding", "br");
    let (response, _) = heard(&router, request("GET x/", &[accepts], "")).await;
    assert_eq!(response.headers()["content-encoding"], "br");
    let (response, _) = heard(&router, request("HEAD x/", &[accepts], "")).await;
    assert!(!response.headers().contains_key("content-encoding"));
}

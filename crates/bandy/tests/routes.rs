//! A configuration's routes, asked over a real connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use bandy::app::App;
use bandy::net::Inherited;

/// Sends this and hears everything until the server closes.
fn said(app: &App, request: &str) -> String {
    let (endpoint, _) = app.listeners().next().expect("a listener");
    let address = endpoint.socket_addr().expect("an address");
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = request.replace('\n', "\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("text");
    heard
}

fn status_and_body(heard: &str) -> (&str, &str) {
    let status = heard.get(9..12).expect("a status");
    let (_, body) = heard.split_once("\r\n\r\n").expect("a body");
    (status, body)
}

#[test]
fn what_a_file_declares_answers() {
    let text = r#"
[state]
store = "memory:"

[server.edge]
listen = "http://127.0.0.1:0"

[[server.edge.route]]
path = "/app/*"
strip = "/app"
service = "api"

[[server.edge.route]]
path = "/secret"
users = { ada = "one" }
service.greet = "Hello, Ada"

[[server.edge.route]]
path = "/mine"
require = "login"
service.greet = "Hello"

[[server.edge.route]]
path = "/say"
method = "POST"
body = 5
service.reply = "You said {message}"

[[server.edge.route]]
path = "/local"
deny = "127.0.0.1"
respond = "never"

[[server.edge.route]]
path = "/old/*"
redirect = "https://{host}:8443{path_and_query}"
"#;
    let (plan, report) =
        bandy::config::parse("bandy.toml", text).unwrap_or_else(|r| panic!("{}", r.lines()));
    assert_eq!(report.lines(), "");
    let app = App::start(&plan, Inherited::none()).expect("started");
    let get = |path: &str, fields: &str| {
        said(
            &app,
            &format!("GET {path} HTTP/1.1\nHost: a.example\nConnection: close\n{fields}\n"),
        )
    };
    let post = |path: &str, body: &str| {
        let len = body.len();
        said(
            &app,
            &format!(
                "POST {path} HTTP/1.1\nHost: a\nConnection: close\nContent-Length: {len}\n\n{body}"
            ),
        )
    };
    assert_eq!(status_and_body(&get("/app/openapi.json", "")).0, "200");
    assert_eq!(status_and_body(&get("/secret", "")).0, "401");
    let ada = get("/secret", "Authorization: Basic YWRhOm9uZQ==\n");
    assert_eq!(status_and_body(&ada), ("200", "Hello, Ada\n"));
    assert_eq!(status_and_body(&get("/mine", "")).0, "401");
    assert_eq!(
        status_and_body(&post("/say", "Hello")),
        ("200", "You said Hello")
    );
    assert_eq!(status_and_body(&post("/say", "Hello!")).0, "413");
    let not_so = get("/say", "");
    assert!(
        not_so.starts_with("HTTP/1.1 405 ") && not_so.contains("\r\nallow: POST\r\n"),
        "{not_so}"
    );
    assert_eq!(status_and_body(&get("/local", "")).0, "403");
    let old = get("/old/a?b", "");
    assert!(
        old.contains("\r\nlocation: https://a.example:8443/old/a?b\r\n"),
        "{old}"
    );
    assert_eq!(status_and_body(&get("/nothing", "")).0, "404");
}

/// What a path is answered with over HTTP/2.
async fn said_h2(app: &App, path: &str) -> Option<(u16, String)> {
    let (endpoint, _) = app.listeners().next().expect("a listener");
    let address = endpoint.socket_addr().expect("an address");
    let stream = tokio::net::TcpStream::connect(address).await;
    let shaken = h2::client::handshake(stream.expect("connected")).await;
    let (sender, connection) = shaken.expect("HTTP/2");
    tokio::spawn(connection);
    // What the client's own types refuse is asked in HTTP/1.1 only.
    let request = http::Request::get(format!("http://a{path}"))
        .body(())
        .ok()?;
    let mut sender = sender.ready().await.expect("ready");
    let (response, _) = sender.send_request(request, true).expect("sent");
    let (head, mut body) = response.await.ok()?.into_parts();
    let mut text = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        text.extend_from_slice(&data);
    }
    Some((head.status.as_u16(), String::from_utf8(text).expect("text")))
}

#[tokio::test]
async fn no_spelling_goes_round_a_rule() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("secret/deep")).expect("made");
    for name in ["secret/index.html", "secret/a.txt", "secret/deep/b.txt"] {
        std::fs::write(folder.path().join(name), "THE SECRET").expect("written");
    }
    std::fs::write(folder.path().join("open.txt"), "open").expect("written");
    let text = format!(
        r#"
[server.edge]
listen = "http://127.0.0.1:0"

[[server.edge.route]]
path = "/secret/*"
users = {{ ada = "one" }}
service.files = {{ root = {root:?} }}

[[server.edge.route]]
path = "/talk/*"
users = {{ ada = "one" }}
service.greet = "THE SECRET"

[[server.edge.route]]
path = "/*"
service.files = {{ root = {root:?} }}
"#,
        root = folder.path()
    );
    let (plan, _) =
        bandy::config::parse("bandy.toml", &text).unwrap_or_else(|r| panic!("{}", r.lines()));
    let app = App::start(&plan, Inherited::none()).expect("started");
    let get = |target: &str, fields: &str| {
        let request = format!("GET {target} HTTP/1.1\nHost: a\nConnection: close\n{fields}\n");
        said(&app, &request)
    };
    assert!(get("/open.txt", "").ends_with("open"));
    let ada = "Authorization: Basic YWRhOm9uZQ==\n";
    assert!(get("/secret/a.txt", ada).ends_with("THE SECRET"));
    assert_eq!(status_and_body(&get("/secret/a.txt", "")).0, "401");

    let below = ["a.txt", "deep/b.txt", "index.html", ""];
    let spellings = [
        "/secret/",
        "//secret/",
        "/secret//",
        "///secret///",
        "/./secret/",
        "/secret/./",
        "/%2e/secret/",
        "/x/../secret/",
        "/x/%2e%2e/secret/",
        "/x/%2E./secret/",
        "/x/..%2fsecret/",
        "/%73ecret/",
        "/secre%74/",
        "/%73%65%63%72%65%74/",
        "/%2573ecret/",
        "/secret%2f",
        "/secret%2F",
        "/%2fsecret/",
        "/secret%5c",
        "/secret\\",
        "/SECRET/",
        "/Secret/",
        "/secret;/",
        "/secret;a=b/",
        "/;/secret/",
        "/secret%3b/",
        "/secret%00/",
        "/secret%20/",
        "/secret./",
        "/secret%2e/",
        "/secret?/",
        "/secret%3f/",
        "/secret/?",
        "/se%c0%afcret/",
        "/%c1%b3ecret/",
        "/talk/",
        "/%74alk/",
        "/tal%6b/",
        "//talk/",
        "/talk;/",
        "/TALK/",
        "/x/../talk/",
    ];
    for spelling in spellings {
        for name in below {
            let path = format!("{spelling}{name}");
            for target in [
                &path,
                &format!("http://a{path}"),
                &format!("HTTP://a:80{path}"),
            ] {
                let heard = get(target, "");
                assert!(!heard.contains("THE SECRET"), "{target}: {heard}");
                // Neither is what is there told from what is not by its name.
                assert!(!heard.starts_with("HTTP/1.1 20"), "{target}: {heard}");
            }
            if let Some((status, body)) = said_h2(&app, &path).await {
                assert!(!body.contains("THE SECRET"), "h2 {path}: {body}");
                assert!(!(200..300).contains(&status), "h2 {path}: {status}");
            }
        }
    }
    // Other methods are no way round either, nor is what only proxies believe.
    for (method, fields) in [
        ("HEAD", ""),
        ("OPTIONS", ""),
        ("GET", "X-Original-URL: /open.txt\n"),
        ("GET", "X-Rewrite-URL: /secret/a.txt\n"),
        ("GET", "X-HTTP-Method-Override: HEAD\n"),
        ("GET", "X-Forwarded-For: 127.0.0.1\n"),
        ("GET", "Authorization: Basic\n"),
        ("GET", "Authorization: Basic YWRhOg==\n"),
        (
            "GET",
            "Authorization: Basic YWRhOm9uZQ==, Basic YWRhOm9uZQ==\n",
        ),
    ] {
        let heard = said(
            &app,
            &format!("{method} /secret/a.txt HTTP/1.1\nHost: a\nConnection: close\n{fields}\n"),
        );
        assert!(
            heard.starts_with("HTTP/1.1 40"),
            "{method} {fields}: {heard}"
        );
    }
}

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

//! The admin endpoint: what it shows, what may be changed through it, and by whom.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use bandy::app::App;
use bandy::config;
use bandy::net::Inherited;
use bandy::services::admin::Reloaded;
use serde_json::{Value, json};

fn start(text: &str) -> App {
    let plan = config::parse("bandy.toml", text);
    let (plan, _) = plan.unwrap_or_else(|report| panic!("{}", report.lines()));
    App::start(&plan, Inherited::none()).expect("started")
}

/// The address of the server of this number; the admin endpoint is the last.
fn address(app: &App, server: usize) -> SocketAddr {
    let endpoint = app.listeners().nth(server).expect("a listener").0;
    endpoint.socket_addr().expect("an address")
}

fn admin(app: &App) -> SocketAddr {
    let (endpoint, service) = app.listeners().last().expect("a listener");
    assert_eq!(service, "admin");
    endpoint.socket_addr().expect("an address")
}

/// Says something on a connection of its own: the status, the head and the body of the answer.
fn say(mut stream: impl Read + Write, request: &str, body: &str) -> (u16, String, String) {
    let length = body.len();
    let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
    let host = match fields.contains("Host:") {
        true => "",
        false => "Host: localhost\r\n",
    };
    let fields = fields.replace('\n', "\r\n");
    let head = format!(
        "{line} HTTP/1.1\r\n{host}{fields}{}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}",
        if fields.is_empty() { "" } else { "\r\n" }
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("heard");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status");
    let status = status.parse().expect("a number");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn ask(to: SocketAddr, request: &str, body: &str) -> (u16, String, String) {
    say(TcpStream::connect(to).expect("connected"), request, body)
}

#[track_caller]
fn get(to: SocketAddr, target: &str) -> Value {
    let (status, _, body) = ask(to, &format!("GET {target}"), "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[track_caller]
fn change(to: SocketAddr, backend: &str, what: Value) -> (u16, Value) {
    let target = format!("POST /pools/api/backends/{backend}");
    let (status, _, body) = ask(to, &target, &what.to_string());
    (status, serde_json::from_str(&body).expect("JSON"))
}

/// Two servers that say who they are, a balancer before them, and the admin endpoint.
fn web(pool: &str) -> App {
    web_by("\"api\"", pool)
}

/// The same, with what the balancing service is told.
fn web_by(balance: &str, pool: &str) -> App {
    let ports: Vec<u16> = (0..2).map(|_| free_port()).collect();
    let (a, b) = (ports[0], ports[1]);
    start(&format!(
        "[admin]\nlisten = \"http://127.0.0.1:0\"\n\
         [server.edge]\nlisten = \"http://127.0.0.1:0\"\nservice.balance = {balance}\n\
         [server.a]\nlisten = \"http://127.0.0.1:{a}\"\nservice.greet = \"a\"\n\
         [server.b]\nlisten = \"http://127.0.0.1:{b}\"\nservice.greet = \"b\"\n\
         [pool.api]\n{pool}\nbackend = [\n\
         {{ url = \"http://127.0.0.1:{a}\", name = \"a\" }},\n\
         {{ url = \"http://127.0.0.1:{b}\", name = \"b/2\" }},\n]\n"
    ))
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    socket.local_addr().expect("an address").port()
}

#[test]
fn the_status_says_what_happened() {
    let app = web("");
    for _ in 0..4 {
        assert_eq!(ask(address(&app, 0), "GET /", "").0, 200);
    }
    assert_eq!(ask(address(&app, 0), "GET /bad\nHost: a b", "").0, 400);
    let status = get(admin(&app), "/status");
    assert_eq!(status["pid"], std::process::id());
    let edge = &status["servers"][0];
    assert_eq!(
        (&edge["name"], &edge["service"]),
        (&json!("edge"), &json!("balance"))
    );
    assert_eq!(edge["connections"]["total"], 5);
    let responses = json!({"1xx": 0, "2xx": 4, "3xx": 0, "4xx": 1, "5xx": 0});
    assert_eq!(edge["responses"], responses);
    let pool = &status["pools"][0];
    assert_eq!(
        (&pool["name"], &pool["strategy"]),
        (&json!("api"), &json!("round-robin"))
    );
    for (backend, name) in [(0, "a"), (1, "b/2")] {
        let backend = &pool["backends"][backend];
        assert_eq!(backend["name"], name);
        assert_eq!(
            (&backend["state"], &backend["ready"]),
            (&json!("up"), &json!(true))
        );
        assert_eq!(
            (&backend["total"], &backend["failed"]),
            (&json!(2), &json!(0))
        );
        assert_eq!(backend["latency"]["count"], 2);
        assert!(
            backend["since"].as_str().is_some_and(|s| s.ends_with('Z')),
            "{backend}"
        );
    }
}

#[test]
fn bytes_are_counted_while_a_conversation_goes_on() {
    let app = start(
        "[admin]\nlisten = \"http://127.0.0.1:0\"\n\
         [server.echo]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\n",
    );
    let mut peer = TcpStream::connect(address(&app, 0)).expect("connected");
    let mut heard = vec![0; 100_000];
    peer.write_all(&heard).expect("sent");
    peer.read_exact(&mut heard).expect("heard");
    let server = get(admin(&app), "/status")["servers"][0].clone();
    assert_eq!(
        server["connections"],
        json!({"open": 1, "total": 1, "refused": 0})
    );
    let received = server["bytes"]["received"].as_u64().expect("a number");
    assert!(
        (100_000 - 16_384..=100_000).contains(&received),
        "{received}"
    );
    // At its end it is exact.
    drop(peer);
    let over = || {
        let server = get(admin(&app), "/status")["servers"][0].clone();
        match server["connections"]["open"] == 0 {
            true => Ok(server),
            false => Err(server),
        }
    };
    let server = bandy_testkit::eventually("the conversation is over", over);
    assert_eq!(
        server["bytes"],
        json!({"received": 100_000, "sent": 100_000})
    );
}

#[test]
fn a_backend_is_drained_and_comes_back() {
    let app = web("");
    let (edge, admin) = (address(&app, 0), admin(&app));
    let (status, said) = change(admin, "b%2F2", json!({"drain": true}));
    assert_eq!(
        (status, &said["draining"], &said["ready"]),
        (200, &json!(true), &json!(false))
    );
    for _ in 0..3 {
        assert_eq!(ask(edge, "GET /", "").2, "a\n");
    }
    let said = get(admin, "/explain?pool=api");
    assert_eq!(said["backend"], "a");
    assert_eq!(
        said["out"],
        json!([{"backend": "b/2", "why": "draining", "since_s": null}])
    );
    // Of both there is none left: that is said at once.
    assert_eq!(change(admin, "a", json!({"ready": false})).0, 200);
    assert_eq!(ask(edge, "GET /", "").0, 503);
    let said = get(admin, "/explain");
    assert_eq!(said["backend"], Value::Null);
    let (status, said) = change(admin, "b%2F2", json!({"ready": true, "weight": 7}));
    assert_eq!(
        (status, &said["ready"], &said["weight"]),
        (200, &json!(true), &json!(7))
    );
    assert_eq!(ask(edge, "GET /", "").2, "b\n");
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let app = web("");
    let admin = admin(&app);
    for wrong in [
        json!({}),
        json!({"weight": 0}),
        json!({"weight": 1001}),
        json!({"weight": -1}),
        json!({"drain": "yes"}),
        json!({"drain": true, "ready": true}),
        json!({"drain": true, "unknown": 1}),
        json!([]),
    ] {
        let (status, said) = change(admin, "a", wrong.clone());
        assert_eq!((status, &said["status"]), (422, &json!(422)), "{wrong}");
    }
    let (status, said) = change(admin, "c", json!({"drain": true}));
    let detail = said["detail"].as_str().expect("a detail");
    assert!(status == 404 && detail.ends_with("it has a, b/2"), "{said}");
    let target = "POST /pools/none/backends/a";
    assert_eq!(ask(admin, target, "{\"drain\": true}").0, 404);
    assert_eq!(
        ask(admin, "POST /pools/api/backends/a", &"x".repeat(5_000)).0,
        413
    );
    let a = get(admin, "/status")["pools"][0]["backends"][0].clone();
    assert_eq!((&a["weight"], &a["draining"]), (&json!(1), &json!(false)));
}

#[test]
fn only_its_own_pages_change_something() {
    let app = web("");
    let admin = admin(&app);
    let drain = |fields: &str| {
        let request = format!("POST /pools/api/backends/a\n{fields}");
        ask(admin, &request, "{\"drain\": true}").0
    };
    assert_eq!(drain("Sec-Fetch-Site: cross-site"), 403);
    assert_eq!(drain("Sec-Fetch-Site: same-site"), 403);
    assert_eq!(drain("Origin: http://evil.example"), 403);
    assert_eq!(drain("Origin: null"), 403);
    // A name that somebody else owns and that resolves to this machine: nothing is shown to its pages either.
    assert_eq!(drain("Host: evil.example"), 403);
    assert_eq!(ask(admin, "GET /status\nHost: evil.example", "").0, 403);
    let a = || get(admin, "/status")["pools"][0]["backends"][0]["draining"].clone();
    assert_eq!(a(), false);
    assert_eq!(
        drain("Sec-Fetch-Site: same-origin\nOrigin: http://localhost"),
        200
    );
    assert_eq!(a(), true);
}

#[test]
fn a_token_is_asked_for() {
    let app = start(
        "[admin]\nlisten = \"http://127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n\
         [server.echo]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\n",
    );
    let admin = admin(&app);
    for request in [
        "GET /status",
        "GET /metrics",
        "GET /explain",
        "POST /reload",
        "GET /none",
    ] {
        let (status, head, body) = ask(admin, request, "");
        assert_eq!(status, 401, "{request}: {body}");
        assert!(head.contains("www-authenticate: bearer"), "{head}");
    }
    for token in [
        "0123456789abcdeF",
        "0123456789abcde",
        "0123456789abcdef0",
        "",
    ] {
        let request = format!("GET /status\nAuthorization: Bearer {token}");
        assert_eq!(ask(admin, &request, "").0, 401, "{token}");
    }
    let request = "GET /status\nAuthorization: bearer 0123456789abcdef\nHost: a.example";
    assert_eq!(ask(admin, request, "").0, 200);
    // The page says nothing by itself, and asks for the token.
    let (status, head, _) = ask(admin, "GET /", "");
    assert_eq!(status, 200);
    let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'";
    assert!(head.contains(policy), "{head}");
}

#[test]
fn a_request_is_explained() {
    let app = web("strategy = \"consistent-hash\"\nkey = \"header:x-user\"");
    let admin = admin(&app);
    let mut picked = std::collections::BTreeSet::new();
    for user in 0..20 {
        let target = format!("/explain?pool=api&path=%2Fx&client=10.0.0.1&header=x-user%3Au{user}");
        let said = get(admin, &target);
        assert_eq!(
            (&said["key"], &said["note"]),
            (&json!("header:x-user"), &Value::Null)
        );
        picked.insert(said["backend"].as_str().expect("one").to_owned());
        // The same again: asking changes nothing.
        assert_eq!(get(admin, &target)["backend"], said["backend"]);
    }
    assert_eq!(picked.len(), 2, "{picked:?}");
    let said = get(admin, "/explain?pool=api");
    assert!(said["note"].is_string(), "{said}");
    for (target, status) in [
        ("/explain?pool=none", 404),
        ("/explain?pool=api&client=ten", 422),
        ("/explain?pool=api&header=x", 422),
        ("/explain?pool=api&what=x", 422),
    ] {
        assert_eq!(
            ask(admin, &format!("GET {target}"), "").0,
            status,
            "{target}"
        );
    }
}

#[test]
fn what_is_explained_is_what_happens() {
    let app = web_by(
        "{ pool = \"api\", trust = [\"127.0.0.1\"] }",
        "strategy = \"ip-hash\"\nsticky = \"who\"",
    );
    let (edge, admin) = (address(&app, 0), admin(&app));
    let explained = |field: &str| get(admin, &format!("/explain?client=127.0.0.1&header={field}"));
    let mut cookies = std::collections::BTreeMap::new();
    // A trusted hop says who asks.
    for n in 0..20 {
        let said = explained(&format!("x-forwarded-for%3A10.0.0.{n}"));
        assert_eq!(said["client"], format!("10.0.0.{n}"), "{said}");
        let (_, head, body) = ask(edge, &format!("GET /\nX-Forwarded-For: 10.0.0.{n}"), "");
        let backend = match body.trim() {
            "a" => "a",
            _ => "b/2",
        };
        assert_eq!(said["backend"], backend, "{said}");
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        cookies.insert(backend, cookie.expect("a cookie").to_owned());
    }
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    // A cookie of ours is believed, whoever brings it; one that nobody signed is not.
    for (backend, cookie) in &cookies {
        let said = explained(&format!("cookie%3A{cookie}"));
        assert_eq!(
            (&said["backend"], &said["why"]),
            (&json!(backend), &json!("its cookie names it"))
        );
        let (rest, last) = cookie.split_at(cookie.len() - 1);
        let other = if last == "0" { "1" } else { "0" };
        let forged = explained(&format!("cookie%3A{rest}{other}"));
        assert_eq!(forged["cookie"], Value::Null, "{forged}");
    }
    let said = get(admin, "/explain?server=edge&client=127.0.0.1");
    assert_eq!(said["client"], "127.0.0.1", "{said}");
    assert_eq!(ask(admin, "GET /explain?server=none", "").0, 404);
}

#[test]
fn metrics_are_the_same_numbers() {
    let app = web("");
    assert_eq!(ask(address(&app, 0), "GET /", "").0, 200);
    let (status, head, body) = ask(admin(&app), "GET /metrics", "");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    for line in [
        "# TYPE bandy_connections_total counter",
        "bandy_connections_total{server=\"edge\"} 1",
        "bandy_responses_total{server=\"edge\",class=\"2xx\"} 1",
        "bandy_backend_ready{pool=\"api\",backend=\"b/2\"} 1",
        "bandy_backend_state{pool=\"api\",backend=\"a\",state=\"up\"} 1",
        "bandy_backend_state{pool=\"api\",backend=\"a\",state=\"ejected\"} 0",
        "bandy_backend_outcomes_total{pool=\"api\",backend=\"a\",outcome=\"done\"} 1",
        "bandy_backend_latency_seconds_bucket{pool=\"api\",backend=\"a\",le=\"+Inf\"} 1",
        "bandy_backend_latency_seconds_count{pool=\"api\",backend=\"b/2\"} 0",
    ] {
        assert!(body.lines().any(|l| l == line), "{line}\n{body}");
    }
}

#[test]
fn each_has_its_method() {
    let app = web("");
    let admin = admin(&app);
    for (request, status) in [
        ("POST /status", 405),
        ("POST /", 405),
        ("GET /reload", 405),
        ("GET /pools/api/backends/a", 405),
        ("GET /pools", 404),
        ("GET /status/", 404),
        ("GET /page/../status", 404),
    ] {
        assert_eq!(ask(admin, request, "").0, status, "{request}");
    }
    let (status, _, body) = ask(admin, "HEAD /status", "");
    assert_eq!((status, &*body), (200, ""));
}

#[tokio::test]
async fn whoever_runs_it_reloads() {
    let app = web("");
    let at = admin(&app);
    let asked = || tokio::task::spawn_blocking(move || ask(at, "POST /reload", ""));
    // Nobody reads anything again.
    assert_eq!(asked().await.expect("asked").0, 409);
    let mut wishes = app.wishes();
    for (came, status) in [
        (Reloaded::Done("changed web".to_owned()), 200),
        (Reloaded::Refused("bandy.toml is wrong".to_owned()), 422),
    ] {
        let answer = asked();
        let wish = wishes.recv().await.expect("a wish");
        wish.answer(came.clone());
        let (found, _, body) = answer.await.expect("asked");
        let (Reloaded::Done(said) | Reloaded::Refused(said)) = came;
        assert!(found == status && body.contains(&said), "{found} {body}");
    }
    drop(wishes);
    assert_eq!(asked().await.expect("asked").0, 409);
}

#[test]
fn it_moves_and_goes_with_the_configuration() {
    let text = |admin: &str| {
        format!("{admin}[server.echo]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\n")
    };
    let plan = |admin: &str| config::parse("a", &text(admin)).expect("a plan").0;
    let mut app = start(&text(""));
    assert_eq!(app.listeners().count(), 1);
    app.reload(&plan("[admin]\nlisten = \"http://127.0.0.1:0\"\n"))
        .expect("reloaded");
    let before = admin(&app);
    get(before, "/status");
    // Another token holds at once, at the same place.
    let with = "[admin]\nlisten = \"http://127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n";
    app.reload(&plan(with)).expect("reloaded");
    assert_eq!(admin(&app), before);
    assert_eq!(ask(before, "GET /status", "").0, 401);
    // A server that is new is shown.
    let more = "[server.more]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"discard\"\n";
    app.reload(&plan(&format!(
        "[admin]\nlisten = \"http://127.0.0.1:0\"\n{more}"
    )))
    .expect("reloaded");
    assert_eq!(
        get(before, "/status")["servers"].as_array().map(Vec::len),
        Some(2)
    );
    app.reload(&plan("")).expect("reloaded");
    assert_eq!(app.listeners().count(), 1);
    bandy_testkit::eventually("nobody listens", || match TcpStream::connect(before) {
        Err(_) => Ok(()),
        Ok(_) => Err("somebody does"),
    });
}

#[test]
fn it_stands_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("admin.sock");
    let _app = start(&format!(
        "[admin]\nlisten = \"unix://{}\"\n\
         [server.echo]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\n",
        path.display()
    ));
    let stream = UnixStream::connect(&path).expect("connected");
    let (status, _, body) = say(stream, "GET /status\nHost: anything", "");
    assert!(status == 200 && body.contains("\"echo\""), "{body}");
}

#[test]
fn what_everybody_reaches_has_a_token() {
    let server = "[server.echo]\nlisten = \"tcp://127.0.0.1:7000\"\nservice = \"echo\"\n";
    for (admin, wrong) in [
        (
            "listen = \"http://0.0.0.0:9901\"",
            "could change what runs here",
        ),
        (
            "listen = \"https://admin.example\"",
            "could change what runs here",
        ),
        (
            "listen = \"https://0.0.0.0:9901\"\ntoken = \"short\"",
            "`token` is no token",
        ),
        (
            "listen = \"http://127.0.0.1:9901\"\ntoken = \"sixteen with space\"",
            "`token` is no token",
        ),
        ("listen = \"tcp://127.0.0.1:9901\"", "cannot stand on tcp"),
        (
            "listen = \"http://127.0.0.1:7000\"",
            "are both TCP 127.0.0.1:7000",
        ),
        ("listen = \"http://127.0.0.1:9901/x\"", "has a path"),
        ("token = \"0123456789abcdef\"", "listens nowhere"),
        (
            "listen = \"http://127.0.0.1:9901\"\nport = 1",
            "has no key `port`",
        ),
    ] {
        let report = config::parse("a", &format!("[admin]\n{admin}\n{server}"));
        let lines = report.expect_err(admin).lines();
        assert!(lines.contains(wrong), "{admin}\n{lines}");
    }
    // In plain text it could be read on the way: that is a warning.
    let told = "[admin]\nlisten = \"http://0.0.0.0:9901\"\ntoken = \"0123456789abcdef\"\n";
    let (_, report) = config::parse("a", &format!("{told}{server}")).expect("a plan");
    assert_eq!(report.warnings(), 1, "{}", report.lines());
    let told = "[admin]\nlisten = \"https://0.0.0.0:9901\"\ntoken = \"0123456789abcdef\"\n";
    let (plan, report) = config::parse("a", &format!("{told}{server}")).expect("a plan");
    assert_eq!(report.warnings(), 0, "{}", report.lines());
    // Nobody sees it by accident.
    assert!(!format!("{plan:?}").contains("0123456789abcdef"));
}

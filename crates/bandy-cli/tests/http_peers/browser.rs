//! Chromium: the pages as people use them. The conversations are in `browser.py`; `TEST_PICTURES` names a folder
//! where it is wanted to be seen what they look like.

use bandy_testkit::{Program, Stage};

use super::{BANDY, Site, peer, python, run};

#[track_caller]
fn drive(stage: &Stage, conversation: &str, arguments: &[&str]) {
    let Some(mut python) = python() else { return };
    peer("chromium", "chromium");
    peer("certutil", "libnss3-tools");
    let home = stage.folder().join("home");
    std::fs::create_dir(&home).expect("created");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http_peers/browser.py");
    python.args(["-B", script]).arg(&home);
    python.arg(stage.folder().join("bandy/ca.pem"));
    let said = run({
        python.arg(conversation).args(arguments);
        python
    });
    if let Some(folder) = std::env::var_os("TEST_PICTURES") {
        for file in home.read_dir().expect("a folder").flatten() {
            if file.path().extension().is_some_and(|ext| ext == "png") {
                let to = std::path::Path::new(&folder).join(file.file_name());
                std::fs::copy(file.path(), to).expect("copied");
            }
        }
    }
    assert_eq!(said.ok(), "done\n");
}

#[test]
fn the_page_of_the_application_server() {
    let site = Site::start(&["api"]);
    drive(&site.stage, "api", &[&site.http, &site.https]);
}

#[test]
fn listings() {
    let site = Site::start(&["files", "--upload"]);
    site.file("small", "small");
    site.file("big", vec![b'b'; 100_000]);
    std::fs::create_dir(site.stage.folder().join("root/folder")).expect("created");
    drive(&site.stage, "files", &[&site.http, &site.https]);
}

#[test]
fn websockets() {
    // What a page may do depends on where it is from: not on the service that it talks to.
    let pages = Site::start(&["greet", "Hello"]);
    let stage = Stage::new();
    let echo = Program::new(BANDY, &stage).args(["serve", "echo", "ws://:0", "wss://:0"]);
    let echo = echo.start();
    let at = |i: usize| echo.endpoint(i).port().expect("a port");
    let ws = format!("ws://127.0.0.1:{}/", at(0));
    let wss = format!("wss://localhost:{}/", at(1));
    drive(
        &stage,
        "websocket",
        &[&ws, &wss, &pages.http, "data:text/html,elsewhere"],
    );
}

#[test]
fn the_page_of_the_chat() {
    let site = Site::start(&["greet", "the authority's certificate"]);
    drive(&site.stage, "chat", &[BANDY]);
}

#[test]
fn the_live_page() {
    let pages = Site::start(&["greet", "Hello"]);
    let stage = &pages.stage;
    let to = |name| format!("{},name={name}", pages.http);
    let edge = Program::new(BANDY, stage).args(["balance", "http://:0"]);
    let edge = edge.args(["--to", &to("one"), "--to", &to("two")]);
    let edge = edge.args(["--admin", "http://127.0.0.1:0"]).start();
    let at = |i: usize| {
        format!(
            "http://127.0.0.1:{}",
            edge.endpoint(i).port().expect("a port")
        )
    };
    drive(stage, "admin", &[&at(1), &at(0)]);
}

#[test]
fn the_live_page_and_a_token() {
    // For the folder's authority, which the browser is told of.
    let pages = Site::start(&["greet", "Hello"]);
    let token = "a token of some length";
    let token = token.replace(' ', "-");
    let echo = Program::new(BANDY, &pages.stage).args(["serve", "echo", "tcp://:0"]);
    let echo = echo.args(["--admin", "http://127.0.0.1:0"]);
    let echo = echo.env("BANDY_ADMIN_TOKEN", &token).start();
    let port = echo.endpoint(1).port().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    drive(&pages.stage, "token", &[&url, &token]);
}

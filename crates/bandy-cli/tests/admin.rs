//! The admin endpoint and `bandy top`, as their users run them.

use bandy_testkit::{Program, Running, Stage};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

fn top(stage: &Stage, args: &[&str]) -> (i32, String, String) {
    Program::new(BANDY, stage).args(["top"]).args(args).output()
}

fn admin(running: &Running, listeners: usize) -> String {
    let port = running.endpoint(listeners).port().expect("a port");
    format!("http://127.0.0.1:{port}")
}

#[test]
fn what_goes_on_is_printed_where_there_is_no_terminal() {
    let stage = Stage::new();
    let edge = [
        "balance",
        "http://:0",
        "--to",
        "http://127.0.0.1:9,name=nobody",
    ];
    let edge = Program::new(BANDY, &stage).args(edge);
    let edge = edge.args(["--admin", "http://127.0.0.1:0"]).start();
    let url = admin(&edge, 1);
    let (code, out, err) = top(&stage, &[&url]);
    assert_eq!(code, 0, "{err}");
    for said in [
        "SERVER",
        "balance",
        "pool balance: round-robin, 0 waiting",
        "nobody",
        "up",
    ] {
        assert!(out.contains(said), "{said}\n{out}");
    }
    let (code, out, _) = top(&stage, &[&url, "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (code, &status["servers"][0]["service"]),
        (0, &"balance".into())
    );
    // Without its scheme, as it is read aloud.
    let (code, _, err) = top(&stage, &[url.trim_start_matches("http://")]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_token_is_sent_and_asked_for() {
    let stage = Stage::new();
    let token = "0123456789abcdef";
    let echo = Program::new(BANDY, &stage).args(["serve", "echo", "tcp://:0"]);
    let echo = echo.args(["--admin", "http://127.0.0.1:0", "--admin-token", token]);
    let echo = echo.start();
    let url = admin(&echo, 1);
    let (code, _, err) = top(&stage, &[&url]);
    assert!(code == 2 && err.contains("--token"), "{code} {err}");
    let (code, out, err) = top(&stage, &[&url, "--token", token]);
    assert!(code == 0 && out.contains("echo"), "{err}");
    let by_name = Program::new(BANDY, &stage).args(["top", &url]);
    let (code, _, err) = by_name.env("BANDY_ADMIN_TOKEN", token).output();
    assert_eq!(code, 0, "{err}");
}

#[test]
fn where_nobody_answers_it_says_what_to_start() {
    let stage = Stage::new();
    let (code, out, err) = top(&stage, &["http://127.0.0.1:9"]);
    assert_eq!((code, &*out), (7, ""));
    assert!(err.contains("--admin http://127.0.0.1:9901"), "{err}");
}

#[test]
fn the_file_is_read_again() {
    let stage = Stage::new();
    let says = |what: &str| {
        let text =
            format!("[server.web]\nlisten = \"http://127.0.0.1:0\"\nservice.greet = {what}\n");
        stage.file("bandy.toml", text);
    };
    says("\"one\"");
    let run = Program::new(BANDY, &stage).args(["run", "--admin", "http://127.0.0.1:0"]);
    let run = run.start();
    let reload = || {
        let url = format!("{}/reload", admin(&run, 1));
        let (_, out, _) = Program::new(BANDY, &stage)
            .args(["ask", "POST", &url])
            .output();
        out
    };
    says("\"two\"");
    let said = reload();
    assert!(said.contains("reloaded: changed web"), "{said}");
    says("2");
    let said = reload();
    assert!(said.contains("nothing has changed"), "{said}");
    // What the command line said still holds.
    let (code, _, err) = top(&stage, &[&admin(&run, 1)]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn what_everybody_reaches_is_refused_without_a_token() {
    let stage = Stage::new();
    let serve = ["serve", "echo", "tcp://:0", "--admin", "http://0.0.0.0:0"];
    let (code, _, err) = Program::new(BANDY, &stage).args(serve).output();
    assert!(
        code == 2 && err.contains("could change what runs here"),
        "{code} {err}"
    );
}

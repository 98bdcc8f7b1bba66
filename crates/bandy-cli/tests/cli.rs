//! What the program prints, as its users see it.
//!
//! After a change that is meant: `cargo insta review`, or run with `INSTA_UPDATE=always` and read the difference.

use std::fs;
use std::process::{Command, Output};

/// Runs `bandy` in a folder with these files, and writes down everything that came out.
fn bandy(files: &[(&str, &str)], args: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let out = Command::new(env!("CARGO_BIN_EXE_bandy"))
        .args(args)
        .current_dir(folder.path())
        .env_remove("BANDY_LOG")
        .env_remove("COLUMNS")
        .output()
        .expect("run");
    written_down(args, &out)
}

fn written_down(args: &[&str], out: &Output) -> String {
    let quoted = |arg: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
        match arg.chars().all(is_plain) && !arg.is_empty() {
            true => (*arg).to_owned(),
            false => format!("'{arg}'"),
        }
    };
    let args: Vec<String> = args.iter().map(quoted).collect();
    let mut text = format!("$ bandy {}\n", args.join(" "));
    text.push_str(&String::from_utf8_lossy(&out.stdout));
    if !out.stderr.is_empty() {
        text.push_str("--- stderr\n");
        text.push_str(&String::from_utf8_lossy(&out.stderr));
    }
    let code = out.status.code().expect("an exit code");
    text.push_str(&format!("--- exit {code}\n"));
    text
}

fn check(toml: &str) -> String {
    bandy(&[("bandy.toml", toml)], &["check"])
}

fn all(runs: &[&[&str]]) -> String {
    let runs: Vec<String> = runs.iter().map(|args| bandy(&[], args)).collect();
    runs.join("\n")
}

#[test]
fn help() {
    insta::assert_snapshot!("help", bandy(&[], &["--help"]));
    for command in [
        "run",
        "check",
        "serve",
        "balance",
        "ask",
        "trust",
        "untrust",
        "user",
        "backup",
        "completions",
        "man",
    ] {
        insta::assert_snapshot!(format!("help-{command}"), bandy(&[], &[command, "--help"]));
    }
    let of_user = ["add", "list", "role", "password"].map(|c| bandy(&[], &["user", c, "--help"]));
    insta::assert_snapshot!("help-user-commands", of_user.join("\n"));
}

#[test]
fn the_example_is_right() {
    let example = include_str!("../../../bandy.toml");
    let files = [("bandy.toml", example)];
    insta::assert_snapshot!("example", bandy(&files, &["check"]));
    insta::assert_snapshot!("example-print", bandy(&files, &["check", "--print"]));
}

#[test]
fn wrong_endpoints() {
    insta::assert_snapshot!(check(
        r#"
[server.echo]
listen = ["tcp://127.0.0.1:7000", "tpc://:7001", "tcp://::1:7002", "http://:80", ":7003", 7004]
service = "echo"
"#
    ));
}

#[test]
fn names_and_keys() {
    insta::assert_snapshot!(check(
        r#"
[server.echo]
listne = "tcp://:7000"
listen = "tcp://:7000"
service = "ecko"
model = "thread"
idle = "5m"
route = []

[server."my server"]
listen = "tcp://:7001"
service = "files"

[pool.api]

[srever.b]
"#
    ));
}

#[test]
fn listeners_twice() {
    insta::assert_snapshot!(check(
        r#"
[server.echo]
listen = ["tcp://:7000", "udp://:7000", "tcp://:0", "tcp://:0"]
service = "echo"

[server.greet]
listen = ["tcp://127.0.0.1:7000", "ws://:7000/chat"]
service.greet = "Hello"
"#
    ));
}

#[test]
fn services_on_the_wrong_scheme() {
    insta::assert_snapshot!(check(
        r#"
[server.greet]
listen = ["tcp://:7000", "udp://:7000"]
service.greet = "Hello"

[server.chargen]
listen = "ws://:7001"
service = "chargen"
"#
    ));
}

#[test]
fn limits() {
    insta::assert_snapshot!(check(
        r#"
[server.echo]
listen = "udp://:7000"
service = "echo"

[server.echo.limits]
connections = 0
overload = "drop"
handshake = "0s"
idle = 300
lifetime = "1.5h"
drain = "none"
message = "64K"
flows = "many"
flow_queue = 5000000000
flow_idel = "3s"
"#
    ));
}

#[test]
fn options_of_services() {
    insta::assert_snapshot!(check(
        r#"
[server.reply]
listen = "tcp://:7000"
service.reply = { template = "You said: {mesage}", pause = "2 s", text = "x" }

[server.exec]
listen = "tcp://:7001"
service.exec = "./handler.py --verbose"

[server.both]
listen = "tcp://:7002"
service.greet = "Hello"
service.text = "Bye"

[server.echo]
listen = "tcp://:7003"
service.echo = { pause = "1s" }

[server.none]
listen = "tcp://:7004"
service = "exec"
"#
    ));
}

#[test]
fn routes() {
    insta::assert_snapshot!(check(
        r#"
[state]
store = "postgres://db"
backup = { every = "1h" }

[server.edge]
listen = ["http://:8080", "tcp://:7000"]

[[server.edge.route]]
host = "https://app.example"
path = "api/*"
method = "get"
strip = "/api"
service = "chargen"

[[server.edge.route]]
path = "/a/*"
strip = "/b"
allow = "10.1.2.3/8"
certificate = "required"
users = { "a:b" = "" }
roles = ["admin"]
rate = { every = "1s" }
cors = { origins = "*", credentials = true }
request = { set = { Host = "a", X-A = "é" }, headers = {} }
redirect = { to = "{hots}/", status = 200 }

[[server.edge.route]]
require = "password"
compres = true
service.files = { root = "public", upload_max = "1GB", listing = "no" }
respond = 404

[[server.edge.route]]
path = "/late"
respond = { status = 204, body = "x" }

[[server.edge.route]]
"#
    ));
}

#[test]
fn tls_and_origins() {
    insta::assert_snapshot!(check(
        r#"
[server.a]
listen = "tls://:7000"
service = "echo"
tls = { cert = "cert.pem", clients = "maybe" }

[server.b]
listen = "ws://:7001"
service = "echo"
origins = ["app.example", "https://app.example/chat"]
"#
    ));
}

#[test]
fn what_is_missing() {
    insta::assert_snapshot!(check(
        "[server.echo]\n\n[server.b]\nlisten = []\nservice = {}\n"
    ));
    insta::assert_snapshot!("nothing", check(""));
    insta::assert_snapshot!(
        "no-name",
        check("[server]\nlisten = \"tcp://:7000\"\nservice = \"echo\"\n")
    );
}

#[test]
fn syntax_errors_and_the_others_at_once() {
    insta::assert_snapshot!(check(
        r#"
[server.echo]
listen = ["tcp://127.0.0.1:7000]
service = echo
model = "sequental"
service = "echo"

[server.greet]
listen "tcp://:7001"
service.greet = "Hello
limits = { idle = "5m"
drain = "1s"
"#
    ));
}

#[test]
fn warnings_do_not_stop() {
    let toml = r#"
[server.echo]
listen = "tcp://:7000"
service = "echo"
origins = ["*"]
tls = { cert = "cert.pem", key = "key.pem" }
limits.flows = 10
"#;
    let files = [("bandy.toml", toml)];
    insta::assert_snapshot!("warnings", bandy(&files, &["check"]));
    insta::assert_snapshot!("warnings-json", bandy(&files, &["check", "--json"]));
}

#[test]
fn errors_as_json() {
    let toml = "[server.é]\nlisten = [\"tcp://:1\", \"tcp://:1\"]\nservice = \"ecko\"\n";
    let files = [("bandy.toml", toml)];
    insta::assert_snapshot!(bandy(&files, &["check", "--json"]));
}

#[test]
fn files_that_are_not_there() {
    insta::assert_snapshot!(all(&[&["run"], &["check", "prod.toml"], &["check", "."]]));
}

#[test]
fn balance_prints_the_file_that_means_the_same() {
    let runs: &[&[&str]] = &[
        &[
            "balance",
            "http://:8080",
            "--to",
            "http://:5001",
            "--to",
            "http://:5002,weight=2",
            "--print-config",
        ],
        &[
            "balance",
            "tcp://:7000",
            "tls://:7443",
            "--to",
            "unix:a.sock,max=5",
            "--health",
            "connect",
            "--every",
            "1s",
            "--name",
            "db",
            "--connections",
            "10",
            "--print-config",
        ],
        &[
            "balance",
            "http://:8080",
            "--to",
            "https://app.example",
            "--strategy",
            "consistent-hash",
            "--hash-key",
            "header:x-user",
            "--load",
            "150%",
            "--health",
            "/healthz",
            "--fall",
            "2",
            "--retries",
            "0",
            "--slow-start",
            "30s",
            "--to-ca",
            "ca.pem",
            "--to-server-name",
            "app.internal",
            "--print-config",
        ],
    ];
    let printed = all(runs);
    insta::assert_snapshot!(printed);
    // And it is a file that means the same.
    for args in runs {
        let out = bandy(&[], args);
        let toml = out.split_once('\n').expect("lines").1;
        let toml = toml.split("---").next().expect("the first");
        let checked = bandy(&[("bandy.toml", toml)], &["check"]);
        assert!(checked.ends_with("--- exit 0\n"), "{checked}");
    }
}

#[test]
fn balance_says_what_is_wrong() {
    insta::assert_snapshot!(all(&[
        &["balance"],
        &["balance", "http://:8080"],
        &["balance", "http://:8080", "http://:5001"],
        &["balance", "http://:8080", "--to", "http://:5001,wieght=2"],
        &["balance", "http://:8080", "--to", "tcp://:5001"],
        &["balance", "http://:8080", "--to", "http://:5001/x"],
        &[
            "balance",
            "tcp://:8080",
            "--to",
            "tcp://:1",
            "--strategy",
            "fastest"
        ],
        &[
            "balance",
            "tcp://:8080",
            "--to",
            "tcp://:1",
            "--health",
            "/up"
        ],
        &[
            "balance",
            "tcp://:8080",
            "--to",
            "tcp://:1",
            "--to-insecure"
        ],
        &["serve", "balance", "http://:8080"],
    ]));
}

#[test]
fn serve_prints_the_file_that_means_the_same() {
    let runs: &[&[&str]] = &[
        &["serve", "echo", "tcp://:7000", "--print-config"],
        &[
            "serve",
            "echo",
            "tcp://:7000",
            "udp://:7000",
            "wss://:0",
            "--print-config",
            "--name",
            "e1",
            "--model",
            "threads",
            "--idle",
            "none",
            "--connections",
            "10",
            "--message",
            "64KiB",
            "--flow-idle",
            "1m",
            "--cert",
            "c.pem",
            "--key",
            "k.pem",
            "--client-ca",
            "ca.pem",
            "--clients",
            "optional",
            "--origin",
            "https://a.example",
            "--origin",
            "https://b.example",
        ],
        &[
            "serve",
            "greet",
            "Hello: a://b",
            "tcp://:7000",
            "--print-config",
        ],
        &[
            "serve",
            "reply",
            "unix:a.sock",
            "Got {message}",
            "--pause",
            "none",
            "--print-config",
        ],
        &[
            "serve",
            "exec",
            "tcp://:1",
            "--print-config",
            "--",
            "sh",
            "-c",
            "echo \"$BANDY_PEER\"",
        ],
        &[
            "serve",
            "files",
            "http://:8000",
            "--root",
            "public",
            "--no-listing",
            "--upload",
            "--upload-max",
            "2GiB",
            "--body-rate",
            "none",
            "--print-config",
        ],
        &[
            "serve",
            "files",
            "http://:8000",
            "--root",
            ".",
            "--print-config",
        ],
        &[
            "serve",
            "api",
            "http://:8000",
            "--store",
            "sqlite:bandy.db",
            "--no-registration",
            "--no-testing",
            "--print-config",
        ],
    ];
    let printed = all(runs);
    insta::assert_snapshot!(printed);
    // And it is a file that means the same.
    for args in runs {
        let out = bandy(&[], args);
        let toml = out.split_once('\n').expect("lines").1;
        let toml = toml.split("---").next().expect("the first");
        let checked = bandy(&[("bandy.toml", toml)], &["check"]);
        assert!(checked.ends_with("--- exit 0\n"), "{checked}");
    }
}

#[test]
fn serve_says_what_is_wrong() {
    insta::assert_snapshot!(all(&[
        &["serve"],
        &["serve", "echo"],
        &["serve", "echo", ":7000"],
        &["serve", "tcp://:7000"],
        &["serve", "grete", "Hello", "tcp://:7000"],
        &["serve", "greet", "tcp://:7000"],
        &["serve", "greet", "Hello", "world", "tcp://:7000"],
        &["serve", "greet", "Hello"],
        &["serve", "greet", "Hello", "udp://:7000"],
        &["serve", "reply", "tcp://:7000", "Got {mesage}"],
        &["serve", "exec", "tcp://:7000"],
        &["serve", "files"],
        &["serve", "files", "http://:8000"],
        &[
            "serve",
            "files",
            "tcp://:8000",
            "--root",
            "public",
            "--body",
            "1MB"
        ],
        &[
            "serve",
            "echo",
            "http://:8000",
            "--store",
            "memory:",
            "--root",
            "public"
        ],
        &["serve", "echo", "tcp://:7000", "--", "cat"],
        &[
            "serve",
            "echo",
            "tcp://:7000",
            "tcp://:7000",
            "--idle",
            "5",
            "--model",
            "thread",
            "--pause",
            "1s",
            "--flows",
            "9",
            "--cert",
            "c.pem",
            "--connections",
            "1e9",
            "--name",
            "my echo",
        ],
    ]));
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = bandy(&[], &["completions", shell]);
        assert!(script.contains("flow-queue"), "{script}");
    }
    assert!(bandy(&[], &["man"]).contains(".TH bandy 1"));
    assert!(bandy(&[], &["man", "serve"]).contains(".TH bandy-serve 1"));
    insta::assert_snapshot!(bandy(&[], &["man", "nope"]));
}

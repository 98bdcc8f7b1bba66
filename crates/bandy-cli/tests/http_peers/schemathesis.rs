//! Schemathesis: everything that `/openapi.json` allows, and some of what it does not, is answered as it says.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{BANDY, Site, curl, python, run};

/// How many requests are made up for each endpoint, and where making them up begins: the same ones every time.
const EXAMPLES: &str = "10";
const SEED: &str = "1";
const PASSWORD: &str = "correct horse";

const CONFIG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../bandy/tests/api/schemathesis.toml"
);

/// Asks for everything, with these options.
#[track_caller]
fn asks_for_everything(mut schemathesis: Command, site: &Site, options: &[&str]) {
    // It keeps what it found in the folder where it runs.
    schemathesis.current_dir(site.stage.folder());
    schemathesis.args(["-m", "schemathesis.cli", "--config-file", CONFIG, "run"]);
    schemathesis.arg(format!("{}/openapi.json", site.http));
    schemathesis.args(["--max-examples", EXAMPLES, "--seed", SEED]);
    schemathesis.args(["--continue-on-failure", "--request-timeout", "30"]);
    schemathesis.args(options);
    let said = run(schemathesis).ok();
    assert!(said.contains("Test cases:"), "{said}");
}

#[test]
fn a_stranger() {
    let Some(python) = python() else { return };
    let site = Site::start(&["api"]);
    asks_for_everything(python, &site, &[]);
}

#[test]
fn an_admin() {
    let Some(python) = python() else { return };
    let site = Site::start(&["api", "--store", "sqlite:bandy.db"]);
    let mut user = Command::new(BANDY);
    user.current_dir(site.stage.folder());
    user.args(["user", "add", "root", "--role", "admin", "--password-stdin"]);
    let mut child = user.stdin(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(PASSWORD.as_bytes()).expect("taken");
    drop(stdin);
    assert!(child.wait().expect("ended").success());
    let token = curl::token(&site, "root", PASSWORD);
    // It also sets schemas for collections, which then refuse what the document allows.
    let except = ["--exclude-checks", "positive_data_acceptance"];
    let who = format!("Authorization: Bearer {token}");
    asks_for_everything(python, &site, &[&["--header", &who], &except[..]].concat());
}

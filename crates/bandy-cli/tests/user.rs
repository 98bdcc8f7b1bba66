//! `bandy user` and `bandy backup`, beside another process on the same store.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bandy::accounts::{Accounts, Admission, Credentials, Options, Token};

/// What came of a run: its exit code, and both of its outputs.
fn bandy(folder: &Path, args: &[&str], stdin: &str) -> (i32, String) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_bandy"))
        .args(args)
        .current_dir(folder)
        .env_remove("BANDY_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run");
    // Who does not read a password may be gone before it is written.
    let _ = run.stdin.take().expect("stdin").write_all(stdin.as_bytes());
    let out = run.wait_with_output().expect("ended");
    let both = [out.stdout, out.stderr].concat();
    let text = String::from_utf8(both).expect("UTF-8");
    (out.status.code().expect("an exit code"), text)
}

const PASSWORD: &str = "correct horse";

#[test]
fn users_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let user =
        |args: &[&str], stdin: &str| bandy(folder.path(), &[&["user"], args].concat(), stdin);
    let says = |args: &[&str], stdin: &str, code: i32, text: &str| {
        assert_eq!(user(args, stdin), (code, text.to_owned()), "{args:?}");
    };
    says(
        &["list"],
        "",
        2,
        "bandy: opening the store sqlite:bandy.db: there is no such file\n  try: --store sqlite:PATH names another one\n",
    );
    says(
        &["add", "Ada", "--password-stdin", "--role", "admin"],
        PASSWORD,
        0,
        "added Ada (admin)\n",
    );
    says(
        &["add", "grace", "--password-stdin"],
        "correct horse\r\n",
        0,
        "added grace\n",
    );
    says(
        &["add", "ada", "--password-stdin"],
        PASSWORD,
        1,
        "bandy: adding the user \"ada\": this name is taken\n  try: `bandy user password` and `bandy user role` change those there are\n",
    );
    says(
        &["add", "alan", "--password-stdin"],
        "short\n",
        2,
        "bandy: adding the user \"alan\": a password has at least 8 characters\n",
    );
    says(
        &["add", "alan", "--password-stdin"],
        "first line\nsecond line\n",
        2,
        "bandy: reading the password: stdin has more than one line\n  try: give it the password alone\n",
    );
    says(
        &["add", "alan"],
        PASSWORD,
        2,
        "bandy: reading the password: stdin is not a terminal\n  try: --password-stdin reads it from there\n",
    );
    says(
        &["role", "ada", "--add", "editor", "--remove", "admin"],
        "",
        0,
        "changed Ada (editor)\n",
    );
    says(
        &["disable", "grace"],
        "",
        0,
        "disabled grace: their sessions have ended\n",
    );
    says(&["list"], "", 0, "Ada    editor\ngrace    (disabled)\n");
    let (_, json) = user(&["list", "--json", "--role", "editor"], "");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["users"][0]["name"], "Ada");
    assert_eq!(json["users"].as_array().map(Vec::len), Some(1));
    says(&["enable", "grace"], "", 0, "enabled grace\n");
    says(&["remove", "grace"], "", 0, "removed grace\n");
    says(
        &["password", "grace", "--password-stdin"],
        PASSWORD,
        1,
        "bandy: giving a password to the user \"grace\": there is no such user\n  try: `bandy user list` shows who there is\n",
    );
    says(
        &["list", "--store", "memory:"],
        "",
        2,
        "bandy: opening the store memory:: what is in memory ends with this command\n  try: --store sqlite:PATH names one in a file\n",
    );

    assert_eq!(
        bandy(folder.path(), &["backup", "copy.db"], ""),
        (0, "wrote copy.db\n".to_owned())
    );
    says(
        &["list", "--store", "sqlite:copy.db"],
        "",
        0,
        "Ada  editor\n",
    );
}

/// A server has the store open while an operator changes it: sessions follow, and outlast the server.
#[tokio::test]
async fn beside_a_server_and_after_its_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = format!("sqlite:{}", folder.path().join("bandy.db").display());
    let open = || {
        let store = bandy::state::open(&location).expect("a store");
        let accounts = Accounts::open(store.clone(), Options::default()).expect("accounts");
        (store, accounts)
    };
    let (store, server) = open();
    let ran = bandy(
        folder.path(),
        &["user", "add", "ada", "--password-stdin"],
        PASSWORD,
    );
    assert_eq!(ran, (0, "added ada\n".to_owned()));
    let login = server.login(Credentials::new("ada", PASSWORD), None).await;
    let Ok(Admission::Granted(grant)) = login else {
        panic!("not let in: {login:?}");
    };

    drop(server);
    store.close().await.expect("closed");
    let (_store, server) = open();
    assert!(
        roles(&server, &grant.token).await.is_some(),
        "outlasts a restart"
    );

    let ran = bandy(
        folder.path(),
        &["user", "role", "ada", "--add", "admin"],
        "",
    );
    assert_eq!(ran, (0, "changed ada (admin)\n".to_owned()));
    let is_admin = |roles: Option<Vec<String>>| roles == Some(vec!["admin".to_owned()]);
    soon(&server, &grant.token, is_admin).await;
    let ran = bandy(folder.path(), &["user", "disable", "ada"], "");
    assert_eq!(ran.0, 0);
    soon(&server, &grant.token, |roles| roles.is_none()).await;
}

async fn roles(accounts: &Accounts, token: &Token) -> Option<Vec<String>> {
    let session = accounts.who(token.expose()).await.expect("an answer");
    session.map(|session| session.user.roles.clone())
}

/// Waits until the session is as expected: a few seconds at most, which is what is promised.
async fn soon(accounts: &Accounts, token: &Token, is: impl Fn(Option<Vec<String>>) -> bool) {
    let began = Instant::now();
    while !is(roles(accounts, token).await) {
        assert!(began.elapsed() < Duration::from_secs(20), "it never comes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

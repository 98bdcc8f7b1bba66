//! `bandy.toml` at the root of the repository: it runs as it is, and answers what its comments say.

use std::fs;
use std::path::{Path, PathBuf};

use bandy_testkit::{Program, Stage};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

/// What each command of its comments prints, in their order; a port that is told is `…`.
const ANSWERS: [(&str, &str); 13] = [
    (r#"bandy ask tcp://:7000 "Hello""#, "Hello"),
    (r#"bandy ask udp://:7000 "Hello""#, "Hello"),
    (r#"bandy ask tls://:7443 "Hello""#, "Hello"),
    (r#"bandy ask ws://:7080 "Hello""#, "Hello"),
    ("bandy ask tcp://:7001 < /dev/null", "Hello from bandy"),
    (r#"bandy ask tcp://:7002 "Hello""#, "Server received: Hello"),
    (
        r#"bandy ask tcp://:7003 "Ada""#,
        "You are 127.0.0.1:…. Say something.\nYou said: Ada",
    ),
    ("bandy ask https://:8443/hello.txt", "Hello from a file"),
    ("bandy ask https://:8443/api/add a==5 b==3", "8"),
    (
        "bandy ask https://:8443/api/process input:='[1,2,3]'",
        r#"{"result":6}"#,
    ),
    (
        "bandy ask https://:8443/api/register user=ada password=correct-horse",
        r#"{"user":"ada",…"#,
    ),
    (
        "bandy ask https://:8443/api/login user=ada password=correct-horse --session ada",
        r#"{"user":"ada",…"#,
    ),
    (
        "bandy ask https://:8443/members/secret.txt --session ada",
        "Only members read this",
    ),
];

#[test]
fn the_example_answers_as_its_comments_say() {
    let text = fs::read_to_string(root().join("bandy.toml")).expect("it is there");
    let commands: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .map(|line| line.split("   ").next().unwrap_or_default())
        .collect();
    assert_eq!(commands, ANSWERS.map(|(command, _)| command));

    let stage = Stage::new();
    copy(&root().join("examples"), &stage.folder().join("examples"));
    let listeners = listeners(&text);
    let mut free = text.clone();
    for (url, port) in &listeners {
        free = free.replace(url, &url.replace(port, "0"));
    }
    stage.file("bandy.toml", free);
    let mut server = Program::new(BANDY, &stage).args(["run"]).start();
    let real = |command: &str| {
        let mut command = command.replacen("bandy", BANDY, 1);
        for (i, (url, _)) in listeners.iter().enumerate() {
            let written = url.replace("127.0.0.1", "");
            command = command.replace(&written, &server.endpoint(i).to_string());
        }
        command
    };
    let ask = |command: &str| {
        let asking = Program::by(&["sh", "-c", &real(command)], "", &stage);
        asking
            .env("XDG_STATE_HOME", stage.folder().join("state"))
            .output()
    };

    let (code, said, _) = ask("bandy ask https://:8443/members/secret.txt");
    assert_eq!(code, 22, "before the login: {said}");
    for (command, answer) in ANSWERS {
        let (code, said, why) = ask(command);
        assert_eq!(code, 0, "{command}: {why}");
        let (begin, end) = answer.split_once('…').unwrap_or((answer, ""));
        let is_as_told = said.starts_with(begin) && said.ends_with(end);
        let is_whole = answer.contains('…') || said == answer;
        assert!(is_as_told && is_whole, "{command}: {said:?}");
    }

    // As a browser: a page that needs a login leads to the one where one logs in.
    let (_, head, _) = ask("bandy ask https://:8443/members/ Accept:text/html --head");
    assert!(head.contains("303"), "{head}");
    assert!(head.contains("/login.html?next=/members/"), "{head}");
    assert_eq!(server.stop(), 0);
    assert!(stage.folder().join("bandy.db").exists());
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("two up").to_owned()
}

/// The listeners of the text in their order, each with its port.
fn listeners(text: &str) -> Vec<(String, String)> {
    let quoted = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split('"').skip(1).step_by(2));
    quoted
        .filter(|text| text.contains("://"))
        .map(|url| {
            let (_, port) = url.rsplit_once(':').expect("a port");
            (url.to_owned(), port.to_owned())
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).expect("copied")),
        }
    }
}

//! `bandy load` and `bandy models` as their users run them: the verdict, the numbers, the page, the exit codes.
#![allow(
    clippy::print_stderr,
    reason = "a test that looks at less than it could says so"
)]

use std::fs;
use std::process::{Command, Stdio};

use bandy_testkit::{Program, Running, Stage};
use serde_json::Value;

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

fn serve(stage: &Stage, args: &[&str]) -> Running {
    Program::new(BANDY, stage)
        .args(["serve"])
        .args(args)
        .start()
}

fn bandy(stage: &Stage, args: &[&str]) -> (i32, String, String) {
    let out = Command::new(BANDY)
        .args(args)
        .current_dir(stage.folder())
        .env("XDG_DATA_HOME", stage.folder())
        .env_remove("BANDY_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        out.status.code().expect("an exit code"),
        text(&out.stdout),
        text(&out.stderr),
    )
}

/// What `--json` printed, held against the schema that the program publishes.
fn json(stage: &Stage, args: &[&str]) -> Value {
    let (code, out, err) = bandy(stage, &[args, &["--json"]].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    let value: Value =
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"));
    let (_, schema, _) = bandy(stage, &["load", "--schema"]);
    let schema = serde_json::from_str(&schema).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0], "{args:?}: {out}");
    value
}

fn url(server: &Running, target: &str) -> String {
    let endpoint = server.endpoint(0).to_string();
    format!("{}{target}", endpoint.trim_end_matches('/'))
}

#[test]
fn the_verdict_comes_first_and_the_totals_reconcile() {
    let stage = Stage::new();
    let server = serve(&stage, &["api", "http://127.0.0.1:0"]);
    let to = url(&server, "/add?a=5&b=3");

    let (code, out, err) = bandy(&stage, &["load", &to, "-c", "3", "-n", "300"]);
    assert_eq!(code, 0, "{err}");
    let first = out
        .lines()
        .find(|line| !line.starts_with("INVALID"))
        .expect("a line");
    assert!(
        first.starts_with("Closed model") && first.contains("not what users see"),
        "{out}"
    );
    assert!(
        out.contains(
            "300 due = 300 done + 0 failed + 0 timed out + 0 in flight at the end + 0 never sent"
        ),
        "{out}"
    );
    assert!(
        !out.contains('\u{1b}') && err.is_empty(),
        "no colours and nothing live in a pipe: {err}"
    );

    let closed = json(&stage, &["load", &to, "-c", "3", "-n", "300"]);
    assert_eq!(closed["model"], "closed");
    assert_eq!(closed["requests"]["done"], 300);
    assert_eq!(closed["status"]["2xx"], 300);
    assert_eq!(closed["service_ms"], Value::Null);

    let open = json(
        &stage,
        &[
            "load",
            &to,
            "-c",
            "3",
            "--rate",
            "200",
            "--poisson",
            "--seed",
            "7",
            "-d",
            "500ms",
        ],
    );
    assert_eq!(open["model"], "open");
    assert!(
        open["requests"]["scheduled"]
            .as_u64()
            .is_some_and(|n| (50..200).contains(&n)),
        "{open}"
    );
    assert!(open["lag_ms"]["p50"].is_number());
}

#[test]
fn thresholds_have_an_exit_code() {
    let stage = Stage::new();
    let server = serve(&stage, &["api", "http://127.0.0.1:0"]);
    let good = url(&server, "/add?a=5&b=3");
    let none = url(&server, "/nothing");
    let (code, out, _) = bandy(
        &stage,
        &[
            "load",
            &good,
            "-n",
            "50",
            "--expect",
            "errors<0.1%",
            "--expect",
            "p99<30s",
        ],
    );
    assert_eq!((code, out.matches("met ").count()), (0, 2), "{out}");
    let (code, out, _) = bandy(&stage, &["load", &good, "-n", "50", "--expect", "p50<1ns"]);
    assert_eq!(code, 111, "{out}");
    assert!(out.contains("NOT MET"), "{out}");
    let (code, _, err) = bandy(
        &stage,
        &["load", &none, "-n", "50", "--expect", "errors<1%", "--json"],
    );
    assert_eq!(code, 111);
    assert!(err.contains("expected errors<1%: 100.000%"), "{err}");
    // A run that is to last for ever ends as soon as it is lost.
    for (to, rate, expect) in [(&none, "200", "errors<1%"), (&good, "20", "rate>1000")] {
        let stopped = [
            "load",
            to,
            "-c",
            "2",
            "--rate",
            rate,
            "-d",
            "10m",
            "--expect",
            expect,
            "--stop-early",
        ];
        let (code, _, err) = bandy(&stage, &stopped);
        assert_eq!(code, 111, "{expect}: {err}");
        assert!(err.contains("ended early"), "{expect}: {err}");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_asked() {
    let stage = Stage::new();
    for (args, code, says) in [
        (&["load"][..], 2, "URL"),
        (
            &["load", "tcp://127.0.0.1:1", "--http", "2"],
            2,
            "--http is about HTTP",
        ),
        (
            &["load", "http://127.0.0.1:1", "--size", "5"],
            2,
            "--size is about streams and messages",
        ),
        (
            &["load", "http://127.0.0.1:1", "--streams", "5"],
            2,
            "--http 2",
        ),
        (
            &["load", "http://127.0.0.1:1", "--rate", "1..5", "-n", "5"],
            2,
            "-d",
        ),
        (
            &["load", "http://127.0.0.1:1", "--expect", "p99=5ms"],
            2,
            "p99<50ms",
        ),
        (&["load", "http://127.0.0.1:1", "-c", "0"], 2, "1 to"),
        (
            &["load", "http://127.0.0.1:1", "--requests", "missing.http"],
            2,
            "missing.http",
        ),
        (&["load", "mem://x"], 2, "mem://"),
        (
            &["load", "http://127.0.0.1:1", "--members", "5"],
            2,
            "bandy load chat",
        ),
        (
            &["load", "http://127.0.0.1:1", "--expect", "misordered<1"],
            2,
            "about a chat",
        ),
        (&["load", "chat"], 2, "no URL"),
        (&["load", "chat", "tcp://127.0.0.1:1"], 2, "WebSocket"),
        (
            &["load", "chat", "ws://127.0.0.1:1", "-c", "5"],
            2,
            "--members",
        ),
        (
            &["load", "chat", "ws://127.0.0.1:1", "--sweep", "1,2"],
            2,
            "makes no sense with a chat",
        ),
        (&["load", "chat", "ws://127.0.0.1:1", "hello"], 2, "made up"),
        (
            &["load", "chat", "ws://127.0.0.1:1", "--size", "5"],
            2,
            "96 bytes",
        ),
        (
            &["load", "chat", "ws://127.0.0.1:1", "--room", "a room"],
            2,
            "no name of a room",
        ),
        (&["load", "compare", "a.json"], 2, "compare A.json B.json"),
        (
            &["load", "http://no-such-host.invalid", "-n", "1"],
            6,
            "resolving",
        ),
        (&["models", "files"], 2, "echo, reply"),
        (&["models", "api", "--udp"], 2, "--udp"),
    ] {
        let (got, _, err) = bandy(&stage, args);
        assert_eq!(got, code, "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let (code, _, err) = bandy(&stage, &["load", &format!(":{port}"), "-n", "1"]);
    assert_eq!(code, 7, "{err}");
}

#[test]
fn a_session_of_requests_out_of_a_file() {
    let stage = Stage::new();
    let server = serve(&stage, &["api", "http://127.0.0.1:0"]);
    stage.file(
        "session.http",
        "### add\n# @capture sum = body\nGET /add?a=5&b=3\n\n### and once more\n# @expect 200\nPOST /process\nContent-Type: application/json\n\n{\"input\": [{{sum}}, 1]}\n",
    );
    let run = json(
        &stage,
        &[
            "load",
            &url(&server, ""),
            "--requests",
            "session.http",
            "-c",
            "2",
            "-n",
            "100",
        ],
    );
    assert_eq!(run["requests"]["done"], 100, "{run}");
}

#[test]
fn both_views_of_one_run() {
    let stage = Stage::new();
    let server = serve(&stage, &["api", "http://127.0.0.1:0"]);
    let to = url(&server, "/add?a=5&b=3");
    let run = json(
        &stage,
        &["load", &to, "-c", "2", "-n", "100", "--server-times"],
    );
    for phase in ["accept", "queue", "handler", "write"] {
        assert!(run["server_ms"][phase]["p50"].is_number(), "{phase}: {run}");
    }
    let of = |value: &Value| value["mean"].as_f64().expect("a number");
    assert!(
        of(&run["server_ms"]["handler"]) <= of(&run["latency_ms"]),
        "the part is no more than the whole"
    );
    // When HTTP/2's frames came and went is not seen.
    let args = ["load", &to, "-c", "2", "-n", "100", "--server-times"];
    let run = json(&stage, &[&args[..], &["--http", "2"]].concat());
    for phase in ["accept", "handler"] {
        assert!(run["server_ms"][phase]["p50"].is_number(), "{phase}: {run}");
    }
    // Who does not ask is not told.
    let run = json(&stage, &["load", &to, "-c", "2", "-n", "20"]);
    assert_eq!(run["server_ms"], serde_json::json!({}));
    let (_, head, _) = bandy(&stage, &["ask", &to, "--head"]);
    assert!(
        !head.to_ascii_lowercase().contains("server-timing"),
        "{head}"
    );
}

#[test]
fn a_chat_and_its_page() {
    let stage = Stage::new();
    let server = serve(&stage, &["chat", "http://127.0.0.1:0"]);
    let to = url(&server, "");
    let args = [
        "load",
        "chat",
        &to,
        "--members",
        "12",
        "--rate",
        "100",
        "-n",
        "60",
    ];
    let (code, out, err) = bandy(&stage, &args);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("All 12 members heard every message, once and in order."),
        "{out}"
    );
    assert!(
        out.contains("60 due = 60 in the log") && out.contains("720 due = 720 done"),
        "{out}"
    );
    let more = [
        "--report",
        "chat.html",
        "--expect",
        "errors<1",
        "--expect",
        "misordered<1",
        "--expect",
        "p99<30s",
    ];
    let told = json(&stage, &[&args[..], &more].concat());
    assert_eq!(told["requests"]["done"], 720);
    assert_eq!(told["chat"]["messages"]["done"], 60);
    assert_eq!(told["chat"]["faulty"], serde_json::json!([]));
    see(&stage, "chat.html");
    // Nobody there, and nobody who talks like this.
    let (code, _, err) = bandy(&stage, &["load", "chat", "ws://127.0.0.1:1", "-n", "1"]);
    assert_eq!(code, 7, "{err}");
    let echo = serve(&stage, &["echo", "ws://127.0.0.1:0"]);
    let to = url(&echo, "");
    let (code, _, err) = bandy(&stage, &["load", "chat", &to, "--members", "2", "-n", "1"]);
    assert!(
        code != 0 && err.contains("no chat of bandy's"),
        "{code}: {err}"
    );
}

#[test]
fn a_sweep_its_page_its_log_and_comparing() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "tcp://127.0.0.1:0"]);
    let to = url(&server, "");
    let sweep = json(
        &stage,
        &[
            "load",
            &to,
            "--sweep",
            "1,3",
            "-n",
            "200",
            "--report",
            "sweep.html",
            "--hdr",
            "run.hdr",
        ],
    );
    assert_eq!(sweep["sweep"].as_array().map(Vec::len), Some(2));
    let page = fs::read_to_string(stage.folder().join("sweep.html")).expect("a page");
    // One file, without a script, that fetches nothing.
    assert!(page.contains("Throughput and latency") && page.contains("Latency by percentile"));
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    let log = fs::read_to_string(stage.folder().join("run.hdr")).expect("a log");
    assert_eq!(
        log.lines().filter(|line| line.starts_with("Tag=")).count(),
        2,
        "{log}"
    );
    assert!(
        log.contains("HISTFAAA"),
        "histograms are V2, deflated: {log}"
    );

    for name in ["a.json", "b.json"] {
        let (_, out, _) = bandy(&stage, &["load", &to, "-c", "1", "-n", "100", "--json"]);
        stage.file(name, out);
    }
    let (code, out, err) = bandy(&stage, &["load", "compare", "a.json", "b.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.starts_with("Nothing changed by more than noise."),
        "{out}"
    );
    see(&stage, "sweep.html");
}

/// Opens a page as people do, where there is a browser; `./test` sees to it that there is.
fn see(stage: &Stage, name: &str) {
    let page = stage.folder().join(name);
    let profile = stage.folder().join("profile");
    let opened = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null())
        .output();
    match opened {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("not looked at: no chromium")
        }
        Err(e) => panic!("starting chromium: {e}"),
        Ok(out) => {
            let seen = String::from_utf8_lossy(&out.stdout);
            let drawn = seen.matches("<svg").count();
            assert!(
                drawn >= 5 && seen.contains("</footer>"),
                "{drawn} plots of {name}"
            );
        }
    }
}

#[test]
fn ctrl_c_ends_a_run_and_tells_what_there_is() {
    let stage = Stage::new();
    let server = serve(&stage, &["echo", "tcp://127.0.0.1:0"]);
    let run = Command::new(BANDY)
        .args(["load", &url(&server, ""), "-c", "2", "-d", "10m", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    bandy_testkit::eventually("its event loops", || {
        let threads = fs::read_dir(format!("/proc/{}/task", run.id()))
            .map_err(|e| e.to_string())?
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        let names: Vec<String> = threads.collect();
        match names.iter().any(|name| name.starts_with("bandy-load-")) {
            true => Ok(()),
            false => Err(format!("{names:?}")),
        }
    });
    let pid = i32::try_from(run.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    let out = run.wait_with_output().expect("its end");
    assert_eq!(out.status.code(), Some(130));
    let told: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert!(told["requests"]["scheduled"].is_u64());
}

#[test]
fn models_side_by_side() {
    let stage = Stage::new();
    let args = [
        "models",
        "--clients",
        "1,3",
        "-d",
        "200ms",
        "--rounds",
        "1",
        "--udp",
        "--report",
        "models.html",
    ];
    let (code, out, err) = bandy(&stage, &args);
    assert_eq!(code, 0, "{err}");
    for model in ["sequential", "threads", "async"] {
        assert_eq!(
            out.lines()
                .filter(|line| line.trim_start().starts_with(model))
                .count(),
            4,
            "{out}"
        );
    }
    assert!(out.starts_with("With 3 clients, "), "{out}");
    let (code, out, err) = bandy(
        &stage,
        &[
            "models",
            "reply",
            "Got: {message}",
            "--models",
            "async",
            "--clients",
            "2",
            "-d",
            "200ms",
            "--rounds",
            "1",
            "--json",
        ],
    );
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    let row = &told["rows"][0];
    assert!(
        row["rate"].as_f64().is_some_and(|rate| rate > 0.0)
            && row["threads"].as_f64().is_some_and(|n| n >= 1.0),
        "{row}"
    );
    see(&stage, "models.html");
}

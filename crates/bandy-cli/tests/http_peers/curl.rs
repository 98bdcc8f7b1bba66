//! curl: what a shell script asks.

use std::io::Write;
use std::process::{Command, Stdio};

use bandy_testkit::{eventually, noise};

use super::{Ran, Site, peer, run};

/// curl in the stage's folder, told what a script tells it.
fn curl(site: &Site, args: &[&str]) -> Ran {
    run(command(site, args))
}

fn command(site: &Site, args: &[&str]) -> Command {
    let mut curl = peer("curl", "curl");
    curl.current_dir(site.stage.folder());
    // `--disable` is the first or it is nothing: no settings of whoever runs this.
    curl.args(["--disable", "--silent", "--show-error"]);
    curl.args(["--noproxy", "*", "--max-time", "30"]);
    curl.args(["--cacert", &site.ca()]).args(args);
    curl
}

/// The status, and a field of the head of its answer, the last if there are more.
fn field(head: &str, name: &str) -> String {
    let value = |line: &str| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    };
    head.lines().rev().find_map(value).unwrap_or_default()
}

/// What `-w` writes of an exchange, whose body is dropped.
#[track_caller]
fn told(site: &Site, what: &str, args: &[&str]) -> String {
    let args = [args, &["-o", "/dev/null", "-w", what]].concat();
    curl(site, &args).ok()
}

/// A session of this user, for programs.
#[track_caller]
pub(crate) fn token(site: &Site, user: &str, password: &str) -> String {
    let (user, password) = (format!("user={user}"), format!("password={password}"));
    let url = format!("{}/login", site.http);
    let login = curl(
        site,
        &["--fail", "-d", &user, "--data-urlencode", &password, &url],
    )
    .ok();
    token_in(&login)
}

fn token_in(login: &str) -> String {
    let login: serde_json::Value = serde_json::from_str(login).expect("JSON");
    login["token"].as_str().expect("a token").to_owned()
}

#[test]
fn files_are_read() {
    let site = Site::start(&["files"]);
    let http = &site.http;
    site.file("words", "hello world");
    let data = noise(1, 3 << 20);
    site.file("data", &data);
    let get = |args: &[&str]| {
        let url = format!("{http}/words");
        curl(&site, &[args, &[&url]].concat()).ok()
    };
    assert_eq!(get(&[]), "hello world");
    assert_eq!(get(&["--http1.0"]), "hello world");
    let head = get(&["--head"]);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(field(&head, "content-length"), "11");
    assert_eq!(field(&head, "accept-ranges"), "bytes");

    for (range, expected) in [("0-3", "hell"), ("6-", "world"), ("-4", "orld")] {
        assert_eq!(get(&["--range", range]), expected, "{range}");
    }
    let parts = get(&["--range", "0-1,4-5"]);
    for part in [
        "content-range: bytes 0-1/11\r\n\r\nhe\r\n",
        "content-range: bytes 4-5/11\r\n\r\no \r\n",
    ] {
        assert!(parts.contains(part), "{parts}");
    }
    let words = format!("{http}/words");
    let status = |args: &[&str]| told(&site, "%{http_code}", &[args, &[&words]].concat());
    assert_eq!(status(&["--range", "11-"]), "416");
    assert_eq!(status(&["--range", "5-2"]), "200", "not a range");

    // A download that broke off goes on.
    site.stage.file("copy", &data[..1_000_000]);
    let url = format!("{http}/data");
    curl(&site, &["--continue-at", "-", "--output", "copy", &url]).ok();
    let copy = std::fs::read(site.stage.folder().join("copy")).expect("written");
    assert!(copy == data, "{} bytes", copy.len());
}

#[test]
fn files_are_read_again_only_if_they_changed() {
    let site = Site::start(&["files", "--upload"]);
    let url = format!("{}/words", site.http);
    let status = |args: &[&str]| told(&site, "%{http_code}", &[args, &[&url]].concat());
    site.stage.file("words", "hello world");
    curl(&site, &["--upload-file", "words", &url]).ok();

    curl(
        &site,
        &[
            "--etag-save",
            "tag",
            "--remote-time",
            "--output",
            "copy",
            &url,
        ],
    )
    .ok();
    assert_eq!(status(&["--etag-compare", "tag"]), "304");
    assert_eq!(status(&["--time-cond", "copy"]), "304");
    assert_eq!(
        status(&["--time-cond", "Thu, 01 Jan 2015 00:00:00 GMT"]),
        "200"
    );
    assert_eq!(
        status(&["--time-cond", "-Thu, 01 Jan 2015 00:00:00 GMT"]),
        "412"
    );

    site.stage.file("words", "good bye");
    curl(&site, &["--upload-file", "words", &url]).ok();
    assert_eq!(status(&["--etag-compare", "tag"]), "200");
    // Only the first state may be replaced, and it was.
    let tag = std::fs::read_to_string(site.stage.folder().join("tag")).expect("saved");
    let condition = format!("If-Match: {}", tag.trim());
    assert_eq!(status(&["-T", "words", "-H", &condition]), "412");
    assert_eq!(status(&["-T", "words", "-H", "If-None-Match: *"]), "412");
    assert_eq!(site.has("words").expect("there"), b"good bye");
}

#[test]
fn files_are_compressed_beside_themselves() {
    let site = Site::start(&["files"]);
    let url = format!("{}/page.js", site.http);
    let script = "let x = 1;\n".repeat(1000);
    site.file("page.js", &script);
    let mut gzip = Command::new("gzip");
    gzip.arg("--keep")
        .arg(site.stage.folder().join("root/page.js"));
    run(gzip).ok();
    assert_eq!(curl(&site, &["--compressed", &url]).ok(), script);
    let sent = told(&site, "%{size_download}", &["--compressed", &url]);
    assert!(sent.parse::<usize>().expect("a number") < 1000, "{sent}");
    let sent = told(&site, "%{size_download}", &[&url]);
    assert_eq!(sent, script.len().to_string());
}

#[test]
fn files_are_uploaded() {
    let site = Site::start(&["files", "--upload", "--delete", "--upload-max", "2MiB"]);
    let http = &site.http;
    let data = noise(1, 1 << 20);
    site.stage.file("data", &data);
    let status = |args: &[&str]| told(&site, "%{http_code}", args);
    // Two names for one thing: a folder's URL gets the file's name.
    assert_eq!(status(&["-T", "data", &format!("{http}/")]), "201");
    assert_eq!(status(&["-T", "data", &format!("{http}/data")]), "204");
    assert!(site.has("data").expect("put") == data);
    // Of a length that nobody knows before.
    let mut cat = command(&site, &["-T", "-", &format!("{http}/cat")]);
    let mut child = cat.stdin(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&data).expect("taken");
    drop(stdin);
    assert!(child.wait().expect("ended").success());
    assert!(site.has("cat").expect("put") == data);

    let secret = told(
        &site,
        "%{http_code} %{http_version}",
        &["-T", "data", &format!("{}/tls", site.https)],
    );
    assert_eq!(secret, "201 2");
    assert!(site.has("tls").expect("put") == data);

    // As the form on the page sends them.
    site.stage.file("other", "other");
    let form = ["-F", "replace=yes", "-F", "file=@data", "-F", "file=@other"];
    assert_eq!(status(&[&form[..], &[&format!("{http}/")]].concat()), "303");
    assert_eq!(site.has("other").expect("put"), b"other");

    assert_eq!(status(&["-X", "DELETE", &format!("{http}/other")]), "204");
    assert_eq!(site.has("other"), None);
    assert_eq!(status(&["-X", "DELETE", &format!("{http}/other")]), "404");
}

#[test]
fn what_will_be_refused_is_not_sent() {
    let site = Site::start(&["files", "--upload", "--upload-max", "1MiB"]);
    let url = format!("{}/data", site.http);
    // curl asks before it sends more than a mebibyte, and here wherever it is told to.
    let expecting = |size: usize| {
        site.stage.file("data", noise(1, size));
        let args = ["-T", "data", "-H", "Expect: 100-continue", &url, "-v"];
        let write = [
            "-w",
            "%{http_code} %{size_upload}",
            "--expect100-timeout",
            "30",
        ];
        curl(&site, &[&args[..], &write].concat())
    };
    let taken = expecting(1 << 20);
    assert!(taken.err.contains("HTTP/1.1 100 Continue"), "{}", taken.err);
    assert_eq!(taken.ok(), "201 1048576");
    let refused = expecting((1 << 20) + 1);
    assert!(!refused.err.contains("100 Continue"), "{}", refused.err);
    let out = refused.ok();
    assert!(out.ends_with("413 0"), "{out}");
}

#[test]
fn an_upload_that_broke_off_goes_on() {
    let site = Site::start(&["files", "--upload"]);
    let url = format!("{}/data", site.http);
    let data = noise(1, 3 << 20);
    let half = data.len() / 2;
    site.stage.file("data", &data);
    let offset = || {
        let head = curl(&site, &["--head", &url]).ok();
        field(&head, "upload-offset")
    };
    assert_eq!(offset(), "0");
    // curl is killed when it has sent half of it, or nearly so.
    let range = format!("Content-Range: bytes 0-{}/{}", data.len() - 1, data.len());
    let mut broken = command(&site, &["-T", "-", "-H", &range, &url]);
    let mut child = broken.stdin(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&data[..half]).expect("taken");
    eventually("much of it to arrive", || match offset() {
        there if there.parse().is_ok_and(|n: usize| n > half / 2) => Ok(()),
        there => Err(there),
    });
    child.kill().expect("a child");
    child.wait().expect("a child");
    assert_eq!(site.has("data"), None);

    let status = |from: &str| told(&site, "%{http_code}", &["-T", "data", "-C", from, &url]);
    assert_eq!(status("7"), "409", "that is not where it goes on");
    // Until the server has noticed that curl is gone, it is another upload of the same file.
    eventually("the rest to be taken", || {
        match status(&offset()).as_str() {
            "201" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    assert!(site.has("data").expect("put") == data);
    // From the beginning, it replaces what is there.
    assert_eq!(status("-"), "204");
    assert!(site.has("data").expect("put") == data);
}

#[test]
fn both_versions() {
    let site = Site::start(&["api"]);
    let version = |args: &[&str]| told(&site, "%{http_version}", args);
    let (http, https) = (
        format!("{}/add?a=5&b=3", site.http),
        format!("{}/add?a=5&b=3", site.https),
    );
    assert_eq!(version(&[&https]), "2", "agreed on by itself");
    assert_eq!(version(&["--http2", &https]), "2");
    assert_eq!(version(&["--http1.1", &https]), "1.1");
    assert_eq!(version(&["--http1.0", &https]), "1.1");
    assert_eq!(version(&["--no-alpn", &https]), "1.1");
    assert_eq!(version(&["--http2-prior-knowledge", &http]), "2");
    // `Upgrade: h2c` is gone from HTTP (RFC 9113, section 3.1), and passed over.
    assert_eq!(version(&["--http2", &http]), "1.1");
    assert_eq!(version(&[&http]), "1.1");
    for args in [&[][..], &["--http2-prior-knowledge"]] {
        assert_eq!(curl(&site, &[args, &[&http]].concat()).ok(), "8");
    }
    let untrusted = curl(&site, &["--cacert", "/etc/hostname", &https]);
    assert_eq!(untrusted.code, Some(77), "{untrusted:?}");
}

#[test]
fn connections_are_used_again() {
    let site = Site::start(&["api"]);
    // Not with prior knowledge: curl 7.88 fails there, whatever the server (curl's issue 10634).
    for (base, version) in [
        (&site.http, "--http1.1"),
        (&site.https, "--http1.1"),
        (&site.https, "--http2"),
    ] {
        let urls = format!("{base}/bytes/[1000-1009]");
        let one_by_one = curl(
            &site,
            &[version, &urls, "-o", "/dev/null", "-w", "%{num_connects} "],
        );
        assert_eq!(one_by_one.ok(), "1 0 0 0 0 0 0 0 0 0 ", "{version} {base}");
    }
    // All at once, on one connection.
    let urls = format!("{}/delay/0.1?[1-40]", site.https);
    let args = [
        "--parallel",
        "--parallel-max",
        "40",
        &urls,
        "-o",
        "/dev/null",
    ];
    let codes = curl(&site, &[&args[..], &["-w", "%{http_code} "]].concat()).ok();
    assert_eq!(codes, "200 ".repeat(40));
}

#[test]
fn a_session_in_a_cookie_jar() {
    let site = Site::start(&["api"]);
    for base in [&site.http, &site.https] {
        let jar = ["--cookie", "jar", "--cookie-jar", "jar"];
        let ask = |args: &[&str], path: &str| {
            let url = format!("{base}{path}");
            let args = [&jar[..], args, &[&url, "-w", " %{http_code}"]].concat();
            curl(&site, &args).ok()
        };
        let name = if base.starts_with("https") {
            "grace"
        } else {
            "ada"
        };
        let (user, password) = (format!("user={name}"), "password=correct horse");
        let json = format!(r#"{{"user": "{name}", "password": "correct horse"}}"#);
        let registered = ask(&["--json", &json], "/register");
        assert!(registered.ends_with(" 201"), "{registered}");
        assert!(ask(&[], "/profile").ends_with(" 401"));
        let wrong = ask(&["-d", &user, "-d", "password=wrong horse"], "/login");
        assert!(wrong.ends_with(" 401"), "{wrong}");
        let login = ask(&["-d", &user, "--data-urlencode", password], "/login");
        assert!(login.ends_with(" 200"), "{login}");
        let profile = ask(&[], "/profile");
        assert!(
            profile.contains(name) && profile.ends_with(" 200"),
            "{profile}"
        );
        let changed = ask(
            &["-X", "PATCH", "--json", r#"{"city": "London"}"#],
            "/profile",
        );
        assert!(
            changed.contains("London") && changed.ends_with(" 200"),
            "{changed}"
        );
        // The same by its token.
        let token = token_in(login.trim_end_matches(" 200"));
        let url = format!("{base}/profile");
        let bearer = told(&site, "%{http_code}", &["--oauth2-bearer", &token, &url]);
        assert_eq!(bearer, "200");
        assert_eq!(ask(&["-X", "POST"], "/logout"), " 204");
        assert!(ask(&[], "/profile").ends_with(" 401"));
        assert_eq!(
            told(&site, "%{http_code}", &["--oauth2-bearer", &token, &url]),
            "401"
        );
        let jar = std::fs::read_to_string(site.stage.folder().join("jar")).expect("a jar");
        assert!(!jar.contains(&token), "taken back: {jar}");
    }
}

#[test]
fn what_clients_are_tested_with() {
    let site = Site::start(&["api"]);
    let url = |path: &str| format!("{}{path}", site.http);
    let what = "%{http_code} %{num_redirects}";
    assert_eq!(told(&site, what, &["-L", &url("/redirect/5")]), "200 5");
    let code = |args: &[&str]| told(&site, "%{http_code}", args);
    let basic = url("/basic-auth/ada/secret");
    assert_eq!(code(&[&basic]), "401");
    assert_eq!(code(&["-u", "ada:secret", &basic]), "200");
    // It asks without, is asked for, and asks again.
    assert_eq!(
        told(
            &site,
            "%{http_code} %{num_connects}",
            &["--anyauth", "-u", "ada:secret", &basic]
        ),
        "200 1"
    );
    assert_eq!(code(&["--fail-with-body", &url("/status/204")]), "204");
    assert_eq!(curl(&site, &["--fail", &url("/status/503")]).code, Some(22));
    let body = curl(&site, &["--json", r#"{"a": [1, 2]}"#, &url("/echo")]).ok();
    assert!(body.contains(r#""json":{"a":[1,2]}"#), "{body}");
    let events = curl(&site, &["--no-buffer", &url("/sse?count=3&interval=0.01")]);
    assert!(events.err.is_empty(), "{events:?}");
    let trace = curl(&site, &["-X", "TRACE", &url("/"), "-w", "%{http_code}"]).ok();
    assert!(trace.ends_with("405") || trace.ends_with("501"), "{trace}");
}

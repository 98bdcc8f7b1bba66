//! `bandy ask` over HTTP: what goes over the wire to the byte, and what comes of each answer.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use bandy::endpoint::Scheme;
use bandy::http::{Http, Request, Response};
use bandy::{Server, service_fn};
use bandy_testkit::{PATIENCE, Stage};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bandy"));
    command.arg("ask").args(args).env_remove("BANDY_LOG");
    command
}

fn ask(args: &[&str]) -> (i32, String, String) {
    outcome(program(args).stdin(Stdio::null()).output().expect("run"))
}

fn ask_in(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = program(args);
    command
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"));
    outcome(command.stdin(Stdio::null()).output().expect("run"))
}

fn spawn(args: &[&str]) -> Child {
    program(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run")
}

fn ask_with_input(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = spawn(args);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("taken");
    drop(stdin);
    outcome(child.wait_with_output().expect("run"))
}

fn outcome(out: Output) -> (i32, String, String) {
    (
        out.status.code().expect("no signal"),
        String::from_utf8_lossy(&out.stdout).into_owned(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

/// A server that knows nothing: it hears a request and says bytes.
struct Raw {
    url: String,
    requests: Receiver<String>,
}

impl Raw {
    /// Says these, one for each connection, and closes.
    fn saying<S: AsRef<[u8]> + Send + 'static>(answers: impl IntoIterator<Item = S>) -> Raw {
        let answers: Vec<S> = answers.into_iter().collect();
        Raw::with(answers.len(), move |n, _, stream| {
            stream.write_all(answers[n].as_ref()).expect("taken");
        })
    }

    /// As many connections, each with what it is about after the request was heard.
    fn with(
        connections: usize,
        talk: impl Fn(usize, &str, &mut TcpStream) + Send + 'static,
    ) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (tell, requests) = mpsc::channel();
        thread::spawn(move || {
            for n in 0..connections {
                let (mut stream, _) = listener.accept().expect("a client");
                let request = hear(&mut stream);
                let _ = tell.send(request.clone());
                talk(n, &request, &mut stream);
            }
        });
        Raw {
            url: format!("http://{address}"),
            requests,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    fn heard(&self) -> String {
        self.requests.recv_timeout(PATIENCE).expect("a request")
    }
}

/// A request to its end.
fn hear(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    if let Some((_, rest)) = head.split_once("\r\ncontent-length: ") {
        let len = rest
            .split("\r\n")
            .next()
            .expect("a value")
            .parse()
            .expect("a number");
        let mut body = vec![0; len];
        stream.read_exact(&mut body).expect("a body");
        bytes.extend(body);
    } else if head.contains("\r\ntransfer-encoding: chunked") {
        while !bytes.ends_with(b"\r\n0\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a body");
            bytes.push(byte[0]);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn redirect(status: &str, to: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

/// What a server hears of these arguments behind its URL; `{h}` is its address in what is expected.
#[track_caller]
fn hears(args: &[&str], expected: &str) {
    let raw = Raw::saying([OK]);
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.replace("{url}", &raw.url))
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = ask(&args);
    assert_eq!((code, &stdout[..], &stderr[..]), (0, "ok", ""), "{args:?}");
    let expected = expected
        .replace('\n', "\r\n")
        .replace("{h}", raw.authority());
    assert_eq!(raw.heard(), expected.replace("\r\n|", "\n"), "{args:?}");
}

#[test]
fn what_a_server_hears() {
    const AGENT: &str = concat!("User-Agent: bandy/", env!("CARGO_PKG_VERSION"));
    let usual = format!("Host: {{h}}\n{AGENT}\nAccept: */*\nAccept-Encoding: gzip, br, zstd\n");
    let json = usual.replace("*/*", "application/json, */*;q=0.5");
    hears(
        &["{url}/a?b=1", "c==x y", "d==&"],
        &format!("GET /a?b=1&c=x+y&d=%26 HTTP/1.1\n{usual}\n"),
    );
    hears(
        &[
            "{url}/users",
            "name=Ada",
            "age:=36",
            "tags[]=a",
            "tags[]=b",
            "X-My-Id:7",
        ],
        &format!(
            "POST /users HTTP/1.1\n{json}Content-Type: application/json\nContent-Length: 40\nX-My-Id: 7\n\n\
             {{\"name\":\"Ada\",\"age\":36,\"tags\":[\"a\",\"b\"]}}"
        ),
    );
    hears(
        &["put", "{url}", "--form", "a=1 2", "b=&"],
        &format!(
            "PUT / HTTP/1.1\n{usual}Content-Type: application/x-www-form-urlencoded; charset=utf-8\nContent-Length: 11\n\n\
             a=1+2&b=%26"
        ),
    );
    // Removed, empty, replaced, repeated.
    hears(
        &[
            "{url}",
            "Accept:",
            "X-A;",
            "User-Agent:me",
            "Accept-Encoding:",
            "X-B:1",
            "X-B:2",
        ],
        "GET / HTTP/1.1\nHost: {h}\nUser-Agent: me\nX-A: \nX-B: 1\nX-B: 2\n\n",
    );
    hears(
        &["DELETE", "{url}/x", "--auth", "ada:pass word"],
        &format!("DELETE /x HTTP/1.1\n{usual}Authorization: Basic YWRhOnBhc3Mgd29yZA==\n\n"),
    );
    hears(
        &["POST", "{url}", "--bearer", "t0k"],
        &format!("POST / HTTP/1.1\n{usual}Authorization: Bearer t0k\nContent-Length: 0\n\n"),
    );
}

#[test]
fn bodies_from_files_and_stdin() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.json");
    fs::write(&file, "[1]").expect("written");
    let file = file.to_str().expect("UTF-8");
    let body = |request: &str| request.split_once("\r\n\r\n").expect("a body").1.to_owned();

    let raw = Raw::saying([OK; 6]);
    ask(&[&raw.url, &format!("@{file}")]);
    let heard = raw.heard();
    assert!(
        heard.contains("Content-Type: application/json\r\nContent-Length: 3\r\n"),
        "{heard}"
    );
    assert_eq!(body(&heard), "[1]");

    ask(&[
        &raw.url,
        &format!("text=@{file}"),
        &format!("json:=@{file}"),
    ]);
    assert_eq!(body(&raw.heard()), r#"{"text":"[1]","json":[1]}"#);

    ask(&[&raw.url, "--form", "a=1", &format!("f@{file}")]);
    let heard = raw.heard();
    let boundary = heard
        .split("boundary=")
        .nth(1)
        .expect("one")
        .lines()
        .next()
        .expect("one");
    let parts = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"f\"; filename=\"a.json\"\r\n\
         Content-Type: application/json\r\n\r\n[1]\r\n--{boundary}--\r\n"
    );
    assert_eq!(body(&heard), parts);
    assert!(
        heard.contains(&format!("Content-Length: {}\r\n", parts.len())),
        "{heard}"
    );

    assert_eq!(ask_with_input(&[&raw.url], b"hello").0, 0);
    let heard = raw.heard();
    assert!(heard.starts_with("POST / "), "{heard}");
    assert!(
        heard.contains("Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"),
        "{heard}"
    );
    assert_eq!(body(&heard), "hello");
    // What can be longer than memory has its length told piece by piece.
    let _ = ask_with_input(&["PUT", &raw.url, "@/dev/stdin"], b"hello");
    let heard = raw.heard();
    assert!(heard.contains("Transfer-Encoding: chunked\r\n"), "{heard}");
    assert_eq!(body(&heard), "5\r\nhello\r\n0\r\n\r\n");

    // An empty stdin is none.
    assert_eq!(ask_with_input(&[&raw.url], b"").0, 0);
    assert!(raw.heard().starts_with("GET / "));
}

#[test]
fn what_comes_of_answers() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xf3H\xcd\xc9\xc9\x07\x00\x82\x89\xd1\xf7\x05\x00\x00\x00";
    let zipped = |len: usize| {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len}\r\n\r\n");
        [head.as_bytes(), &gzip[..]].concat()
    };
    let cases: [(&[u8], i32, &str); 11] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello", 0, "Hello"),
        (b"HTTP/1.0 200\r\n\r\nto the end", 0, "to the end"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nHel\r\n2;x=y\r\nlo\r\n0\r\nT: 1\r\n\r\n", 0, "Hello"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0, "ok"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 0, ""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 0, ""),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nno", 0, "no"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", 22, "gone"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 22, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\x00\x1b", 0, "\u{fffd}\0\u{1b}"),
        (&zipped(gzip.len()), 0, "Hello"),
    ];
    for (answer, code, body) in cases {
        let raw = Raw::saying([answer.to_vec()]);
        let (was, stdout, stderr) = ask(&[&raw.url]);
        let answer = String::from_utf8_lossy(answer);
        assert_eq!((was, &stdout[..]), (code, body), "{answer}: {stderr}");
        let is_told = code != 0 || answer.contains("Location");
        assert_eq!(stderr.is_empty(), !is_told, "{answer}: {stderr}");
    }
    // What was not asked for is not undone.
    let raw = Raw::saying([zipped(gzip.len())]);
    let out = program(&[&raw.url, "Accept-Encoding:gzip"])
        .stdin(Stdio::null())
        .output();
    assert_eq!(out.expect("run").stdout, gzip);
    // Nothing of HEAD's body is waited for.
    let raw = Raw::with(1, |_, _, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .expect("taken");
        let _ = stream.read(&mut [0]);
    });
    let (code, stdout, _) = ask(&["HEAD", &raw.url, "--timeout", "5s"]);
    assert_eq!(
        (code, &stdout[..]),
        (0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    );
}

#[test]
fn each_failure_says_what_was_wrong() {
    let cases: [(&[u8], i32, &str, &str); 9] = [
        (b"", 52, "", "without one"),
        (
            b"220 smtp.example ESMTP\r\n",
            1,
            "",
            "it is not HTTP, and begins `220 smtp.example",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Len",
            1,
            "",
            "breaks off in its head",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHel",
            1,
            "Hel",
            "2 bytes are missing",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            1,
            "",
            "Content-Length",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            1,
            "",
            "Transfer-Encoding",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nHel\r\nxx",
            1,
            "Hel",
            "chunk",
        ),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 1, "", "line"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
            1,
            "",
            "not gzip as it says",
        ),
    ];
    for (answer, code, body, says) in cases {
        let raw = Raw::saying([answer.to_vec()]);
        let (was, stdout, stderr) = ask(&[&raw.url]);
        let answer = String::from_utf8_lossy(answer);
        assert_eq!((was, &stdout[..]), (code, body), "{answer}: {stderr}");
        assert!(stderr.contains(says), "{answer}: {stderr}");
        assert!(
            stderr.starts_with("bandy: ") && stderr.contains(&raw.url),
            "{stderr}"
        );
    }
    let raw = Raw::with(1, |_, _, stream| drop(stream.read(&mut [0])));
    let (code, _, stderr) = ask(&[&raw.url, "--timeout", "100ms"]);
    assert_eq!(code, 28, "{stderr}");
    assert!(
        stderr.contains("waiting for the answer of http://"),
        "{stderr}"
    );
    // Secrets are in no message.
    let raw = Raw::saying([""]);
    let (_, _, stderr) = ask(&[&raw.url, "--auth", "ada:s3cret", "Cookie:k=s3cret"]);
    assert!(
        !stderr.contains("s3cret") && !stderr.contains("YWRh"),
        "{stderr}"
    );
}

#[test]
fn usage() {
    for (args, says) in [
        (&["POST"][..], "a URL is missing"),
        (&["http://:0/"], "port 0"),
        (&[":1", "nonsense"], "no separator"),
        (&[":1", "a:=nonsense"], "reading the JSON of `a`"),
        (&[":1", "a=1", "@f"], "not both"),
        (&[":1", "f@file"], "JSON has no place for files"),
        (&[":1", "@no-such-file"], "No such file"),
        (&[":1", "--answers", "1"], "--answers is about streams"),
        (&["tcp://:1", "--follow"], "--follow is about HTTP"),
        (&["GET", "tcp://:1"], "is not HTTP"),
        (&[":1", "--auth", "ada"], "it has no colon"),
        (&[":1", "--session", "../x"], "it is no name"),
        (&[":1", "--insecure"], "did you mean https://?"),
        (&["http://u:p@h/"], "it cannot have a user name"),
        (&[":1", "a[b=1"], "a `[` is not closed"),
        (
            &[":1", "Content-Length:5", "a=1"],
            "Content-Length is not the body's length",
        ),
    ] {
        let raw = Raw::saying([OK]);
        let args: Vec<&str> = args
            .iter()
            .map(|arg| if *arg == ":1" { &raw.url[..] } else { arg })
            .collect();
        let (code, stdout, stderr) = ask(&args);
        assert_eq!((code, &stdout[..]), (2, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
}

#[test]
fn redirects_and_what_they_take_along() {
    for (status, method, body) in [
        ("301", "GET", ""),
        ("302", "GET", ""),
        ("303", "GET", ""),
        ("307", "POST", "{\"a\":\"1\"}"),
        ("308", "POST", "{\"a\":\"1\"}"),
    ] {
        let raw = Raw::saying([redirect(status, "../y?z"), OK.to_owned()]);
        let (code, stdout, stderr) = ask(&[&raw.at("/x/"), "a=1", "--follow", "--auth", "u:p"]);
        assert_eq!((code, &stdout[..]), (0, "ok"), "{status}: {stderr}");
        raw.heard();
        let second = raw.heard();
        assert!(
            second.starts_with(&format!("{method} /y?z HTTP/1.1\r\n")),
            "{second}"
        );
        assert!(second.ends_with(&format!("\r\n\r\n{body}")), "{second}");
        assert_eq!(second.contains("Content-"), !body.is_empty(), "{second}");
        assert!(
            second.contains("Authorization: "),
            "the same origin: {second}"
        );
    }
    // Another origin hears no secrets.
    let other = Raw::saying([OK]);
    let raw = Raw::saying([redirect("307", &other.url)]);
    let (code, _, stderr) = ask(&[
        &raw.url,
        "-F",
        "--bearer",
        "s3cret",
        "Cookie:a=s3cret",
        "X-A:kept",
    ]);
    assert_eq!(code, 0, "{stderr}");
    assert!(raw.heard().contains("Bearer s3cret"));
    let heard = other.heard();
    assert!(
        !heard.contains("s3cret") && heard.contains("X-A: kept"),
        "{heard}"
    );
    assert!(
        heard.contains(&format!("Host: {}\r\n", other.authority())),
        "{heard}"
    );
    // Without --follow it is an answer like any.
    let raw = Raw::saying([redirect("302", "/x")]);
    assert_eq!(ask(&[&raw.url]).0, 0);
    // In a circle, too far, out of HTTP.
    let raw = Raw::saying([redirect("302", "/b"), redirect("302", "/a")]);
    let (code, _, stderr) = ask(&[&raw.at("/a"), "-F"]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("in a circle") && stderr.contains("/b -> http"),
        "{stderr}"
    );
    let far: Vec<String> = (0..11).map(|n| redirect("302", &format!("/{n}"))).collect();
    let (code, _, stderr) = ask(&[&Raw::saying(far).url, "-F"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("would be the 11th"), "{stderr}");
    let (code, _, stderr) = ask(&[&Raw::saying([redirect("302", "tcp://:1")]).url, "-F"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("which is not HTTP"), "{stderr}");
    // What could be read only once.
    let raw = Raw::saying([redirect("307", "/x")]);
    let (code, _, stderr) = ask_with_input(&["POST", &raw.url, "-F", "@/dev/stdin"], b"once");
    assert_eq!(code, 2);
    assert!(stderr.contains("could be read only once"), "{stderr}");
}

#[test]
fn one_connection_is_used_again() {
    let raw = Raw::with(1, |_, _, stream| {
        stream
            .write_all(redirect("302", "/b").as_bytes())
            .expect("taken");
        assert!(hear(stream).starts_with("GET /b "));
        stream.write_all(OK.as_bytes()).expect("taken");
    });
    let (code, stdout, stderr) = ask(&[&raw.at("/a"), "-F", "--trace"]);
    assert_eq!((code, &stdout[..]), (0, "ok"), "{stderr}");
    assert_eq!(stderr.matches("connect ").count(), 1, "{stderr}");
}

#[test]
fn a_session_keeps_cookies() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = "HTTP/1.1 200 OK\r\nSet-Cookie: id=7; HttpOnly\r\nSet-Cookie: gone=1; Max-Age=0\r\nContent-Length: 0\r\n\r\n";
    let raw = Raw::saying([set, OK, OK, OK]);
    let asks = |args: &[&str]| {
        let (code, _, stderr) = ask_in(folder.path(), args);
        assert_eq!(code, 0, "{stderr}");
        raw.heard()
    };
    assert!(!asks(&[&raw.url, "--session", "ada"]).contains("Cookie"));
    assert!(asks(&[&raw.url, "--session", "ada"]).contains("Cookie: id=7\r\n"));
    assert!(!asks(&[&raw.url, "--session", "bob"]).contains("Cookie"));
    assert!(!asks(&[&raw.url]).contains("Cookie"));
    let file = folder.path().join("state/bandy/sessions/ada.json");
    let mode = fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Within one call they are kept without a name.
    let raw = Raw::saying([
        "HTTP/1.1 303 See Other\r\nSet-Cookie: a=b\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        OK,
    ]);
    assert_eq!(ask(&[&raw.at("/login"), "user=ada", "-F"]).0, 0);
    raw.heard();
    assert!(raw.heard().contains("Cookie: a=b\r\n"));
}

#[test]
fn downloads() {
    let folder = tempfile::tempdir().expect("a folder");
    let there = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
    let whole = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n";
    let raw = Raw::saying([
        format!("{whole}01234"),
        "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789".to_owned(),
        format!("{whole}0123456789"),
        "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"../../evil\"\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone".to_owned(),
        format!("{whole}012"),
        "HTTP/1.1 200 OK\r\nETag: \"v2\"\r\nContent-Length: 3\r\n\r\nnew".to_owned(),
    ]);
    let get = |args: &[&str]| {
        let url = raw.at("/dir/a.txt");
        ask_in(
            folder.path(),
            &[&[url.as_str(), "--download"], args].concat(),
        )
    };
    // It breaks off, and goes on where it did.
    let (code, stdout, stderr) = get(&[]);
    assert_eq!((code, &stdout[..]), (1, ""), "{stderr}");
    assert!(
        stderr.contains("5 bytes are missing") && stderr.contains("goes on"),
        "{stderr}"
    );
    assert_eq!(there("a.txt.part").as_deref(), Some("01234"));
    let (code, _, stderr) = get(&[]);
    assert_eq!((code, &stderr[..]), (0, "saved a.txt (10 bytes)\n"));
    assert_eq!(there("a.txt").as_deref(), Some("0123456789"));
    assert_eq!(
        (there("a.txt.part"), there("a.txt.part.json")),
        (None, None)
    );
    assert!(!raw.heard().contains("Range"));
    let second = raw.heard();
    assert!(
        second.contains("Range: bytes=5-\r\nIf-Range: \"v1\"\r\n"),
        "{second}"
    );
    assert!(!second.contains("Accept-Encoding"), "{second}");
    // Nothing is replaced.
    assert_eq!(get(&[]).2, "saved a-1.txt (10 bytes)\n");
    let (code, _, stderr) = get(&["-o", "a.txt"]);
    assert_eq!(code, 2, "{stderr}");
    // The server's name leads nowhere else; what is no file is printed.
    assert_eq!(get(&[]).2, "saved evil (1 bytes)\n");
    let (code, stdout, _) = get(&["-o", "b.txt"]);
    assert_eq!((code, &stdout[..]), (22, "gone"));
    assert_eq!(there("b.txt.part"), None);
    // It changed meanwhile: from the beginning.
    assert_eq!(get(&["-o", "c.txt"]).0, 1);
    assert_eq!(get(&["-o", "c.txt"]).2, "saved c.txt (3 bytes)\n");
    assert_eq!(there("c.txt").as_deref(), Some("new"));
}

#[test]
fn pieces_are_printed_as_they_come() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let raw = Raw::with(1, move |_, _, stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).expect("taken");
        for piece in ["9\r\ndata: 1\n\n\r\n", "9\r\ndata: 2\n\n\r\n0\r\n\r\n"] {
            stream.write_all(piece.as_bytes()).expect("taken");
            wait.lock()
                .expect("not poisoned")
                .recv_timeout(PATIENCE)
                .expect("it was read");
        }
    });
    let mut child = program(&[&raw.url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    for n in 1..=2 {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, format!("data: {n}\n"));
        stdout.read_line(&mut line).expect("a line");
        go_on.send(()).expect("it waits");
    }
    assert!(child.wait().expect("ended").success());
}

#[test]
fn an_early_answer_is_heard() {
    let raw_listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", raw_listener.local_addr().expect("bound"));
    thread::spawn(move || {
        let (mut stream, _) = raw_listener.accept().expect("a client");
        let mut some = [0; 1000];
        stream.read_exact(&mut some).expect("the beginning");
        stream
            .write_all(
                b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much",
            )
            .expect("taken");
        // Nothing more is read: the rest cannot be sent.
        thread::sleep(PATIENCE);
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("big");
    fs::write(&file, vec![b'x'; 32 << 20]).expect("written");
    let (code, stdout, stderr) = ask(&[&url, &format!("@{}", file.display()), "--timeout", "20s"]);
    assert_eq!((code, &stdout[..]), (22, "too much"), "{stderr}");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let raw = Raw::with(1, |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"line\n").is_ok() {}
    });
    let mut child = program(&[&raw.url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    drop(stdout);
    let out = child.wait_with_output().expect("ended");
    assert_eq!(line, "line\n");
    assert_eq!((out.status.code(), &out.stderr[..]), (Some(0), &b""[..]));
}

#[test]
fn the_whole_exchange() {
    let answer = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":7}";
    let hint = format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{answer}");
    let raw = Raw::saying([hint, answer.to_owned(), answer.to_owned()]);
    let (code, stdout, stderr) = ask(&[&raw.url, "name=Ada", "-v", "--auth", "a:b"]);
    assert_eq!((code, &stdout[..]), (0, "{\"id\":7}"));
    insta::assert_snapshot!("verbose", stderr.replace(raw.authority(), "127.0.0.1:PORT"));
    let (_, stdout, stderr) = ask(&[&raw.url, "--pretty=format", "--trace"]);
    assert_eq!(stdout, "{\n  \"id\": 7\n}\n");
    let rows: Vec<_> = stderr
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        rows,
        ["connect", "send", "wait", "receive", "total"],
        "{stderr}"
    );
    let (_, stdout, stderr) = ask(&[&raw.url, "--head"]);
    assert_eq!(stdout, answer.replace("{\"id\":7}", ""), "{stderr}");
}

#[test]
fn one_object() {
    let raw = Raw::saying([
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 22\r\n\r\n{\"n\": 1234567890.1234}",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nH\u{e9}i",
    ]);
    let (code, stdout, _) = ask(&[&raw.at("/x?y"), "--json"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("1234567890.1234"), "{stdout}");
    let object: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    for (key, value) in [
        ("endpoint", serde_json::json!(raw.at("/x?y"))),
        ("http", serde_json::json!("1.1")),
        ("status", serde_json::json!(200)),
        ("reason", serde_json::json!("OK")),
        ("truncated", serde_json::json!(false)),
        ("ended", serde_json::json!("answered")),
        ("error", serde_json::json!(null)),
    ] {
        assert_eq!(object[key], value, "{key}");
    }
    assert_eq!(
        object["headers"]["set-cookie"],
        serde_json::json!(["a=1", "b=2"])
    );
    assert_eq!(object["request"]["target"], "/x?y");
    for phase in ["connect", "send", "wait", "receive", "total"] {
        assert!(object["phases_ms"][phase].is_number(), "{phase}");
    }
    let (_, stdout, _) = ask(&[&raw.url, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(object["body"], "H\u{e9}i");
    let (code, stdout, _) = ask(&[&Raw::saying([""]).url, "--json"]);
    let object: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, object["ended"].as_str()), (52, Some("empty")));
    assert_eq!(object["error"]["kind"], "empty");
}

/// A request without what each client says of itself.
fn essence(request: &str) -> (String, Vec<String>, String) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a line").to_owned();
    let is_own = |line: &&str| {
        let line = line.to_ascii_lowercase();
        ["user-agent:", "accept-encoding:", "host:"]
            .iter()
            .all(|name| !line.starts_with(name))
    };
    let boundary = head
        .split("boundary=")
        .nth(1)
        .map(|rest| rest.lines().next().expect("one").to_owned());
    let plain = |text: &str| match &boundary {
        Some(boundary) => text.replace(boundary, "BOUNDARY"),
        None => text.to_owned(),
    };
    let mut fields: Vec<String> = lines
        .filter(is_own)
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a field");
            let value = match name.eq_ignore_ascii_case("content-length") && boundary.is_some() {
                true => "",
                false => value.trim(),
            };
            plain(&format!("{}: {value}", name.to_ascii_lowercase()))
        })
        .collect();
    fields.sort();
    (first, fields, plain(body))
}

#[test]
fn curl_asks_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("it's a.txt"), "file's text").expect("written");
    for args in [
        &["a?b=1", "c==x y", "X-A:b c", "X-E;"][..],
        &["", "name=it's", "q=\"$HOME\" `x`", "n:=[1]"],
        &["PUT", "", "--form", "a=1 2", "b=\u{e4}&"],
        &["DELETE", "x", "--auth", "ada:it's"],
        &["", "Accept:text/plain", "--bearer", "t"],
        &["", "@it's a.txt"],
        &["", "--form", "a=1", "f@it's a.txt"],
        &["POST", "x[1]{2}/../y"],
        &["OPTIONS", ""],
        &["HEAD", ""],
    ] {
        let raw = Raw::saying([OK, OK]);
        let url_at =
            usize::from(args[0].bytes().all(|b| b.is_ascii_uppercase()) && !args[0].is_empty());
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args[url_at] = raw.at(&format!("/{}", args[url_at]));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, _, stderr) = ask_in(folder.path(), &args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        let ours = essence(&raw.heard());
        let (code, command, stderr) = ask_in(folder.path(), &[&args[..], &["--curl"]].concat());
        assert_eq!(code, 0, "{args:?}: {stderr}");
        let done = Command::new("sh")
            .args(["-c", &format!("{} -s -o /dev/null", command.trim_end())])
            .current_dir(folder.path())
            .env_remove("http_proxy")
            .status();
        assert!(done.expect("sh").success(), "{command}");
        assert_eq!(essence(&raw.heard()), ours, "{command}");
    }
}

#[test]
fn the_curl_command_with_everything() {
    let (_, stdout, _) = ask(&[
        "https://example.org/x",
        "a=1",
        "-v",
        "-F",
        "--http",
        "2",
        "--auth",
        "ada:pw",
        "--curl",
    ]);
    insta::assert_snapshot!("curl", stdout);
}

#[test]
fn our_own_server_in_both_versions() {
    let stage = Stage::new();
    let echo = async |request: Request| Ok(Response::new(request.into_body()));
    let server = Server::new(Http::new(service_fn(echo)));
    stage.ca();
    let server = stage.start(server, &[Scheme::Http, Scheme::Https]);
    let ask = |data: &Path, args: &[&str]| {
        let mut command = program(args);
        command.env("XDG_DATA_HOME", data).stdin(Stdio::null());
        outcome(command.output().expect("run"))
    };
    for endpoint in server.endpoints() {
        let url = endpoint.to_string();
        let is_secure = endpoint.scheme() == Scheme::Https;
        let usual = if is_secure { "2" } else { "1.1" };
        for (wish, version) in [(None, usual), (Some("1.1"), "1.1"), (Some("2"), "2")] {
            let mut args = vec![url.as_str(), "name=Ada", "--json"];
            args.extend(wish.into_iter().flat_map(|wish| ["--http", wish]));
            let (code, stdout, stderr) = ask(stage.folder(), &args);
            assert_eq!(code, 0, "{args:?}: {stderr}");
            let object: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
            assert_eq!(object["http"], version, "{args:?}");
            assert_eq!(object["status"], 200);
            assert_eq!(object["tls"].is_object(), is_secure);
            assert_eq!(ask(stage.folder(), &args[..2]).1, r#"{"name":"Ada"}"#);
        }
        let (_, _, stderr) = ask(stage.folder(), &[&url, "-v", "--http", "2", "a=1"]);
        assert!(
            stderr.contains("POST / HTTP/2\nhost: ") && stderr.contains("HTTP/2 200 OK"),
            "{stderr}"
        );
        assert_eq!(
            stderr.contains("TLSv1.3") && stderr.contains(", h2;"),
            is_secure,
            "{stderr}"
        );
    }
    let stranger = tempfile::tempdir().expect("a folder");
    let url = server.endpoints().last().expect("https").to_string();
    let (code, stdout, stderr) = ask(stranger.path(), &[&url]);
    assert_eq!((code, &stdout[..]), (60, ""), "{stderr}");
    let (code, _, stderr) = ask(
        stage.folder(),
        &[&url.replace("https", "http"), "--timeout", "5s"],
    );
    assert!(matches!(code, 1 | 52), "{stderr}");
}

proptest::proptest! {
    // Each case runs the program.
    #![proptest_config(proptest::test_runner::Config { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_built_is_what_is_sent(
        fields in proptest::collection::vec(("[a-z\u{e4} ][a-z0-9 .]{0,5}", "[^\u{0}]{0,8}"), 1..5),
        n in proptest::num::i64::ANY,
        query in "[^\u{0}]{0,8}",
    ) {
        let protected = |text: &str| -> String {
            let plain = |c: char| match c {
                ':' | ';' | '=' | '@' => format!("\\{c}"),
                c => c.to_string(),
            };
            text.chars().map(plain).collect()
        };
        let raw = Raw::saying([OK]);
        let mut args = vec![raw.url.clone(), format!("q=={}", protected(&query)), format!("n:={n}")];
        let mut expected = serde_json::Map::from_iter([("n".to_owned(), n.into())]);
        for (name, text) in &fields {
            args.push(format!("{name}={}", protected(text)));
            expected.insert(name.clone(), text.as_str().into());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, _, stderr) = ask(&[&["--"], &args[..]].concat());
        proptest::prop_assert_eq!(code, 0, "{:?}: {}", args, stderr);
        let heard = raw.heard();
        let (head, body) = heard.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        proptest::prop_assert_eq!(body, serde_json::Value::Object(expected));
        let target = head.split(' ').nth(1).expect("a target");
        let value = target.strip_prefix("/?q=").expect("a query").replace('+', " ");
        let mut bytes = Vec::new();
        let mut rest = value.as_bytes();
        while let [first, more @ ..] = rest {
            rest = more;
            if *first == b'%' {
                let hex = std::str::from_utf8(&rest[..2]).expect("hex");
                bytes.push(u8::from_str_radix(hex, 16).expect("hex"));
                rest = &rest[2..];
            } else {
                bytes.push(*first);
            }
        }
        proptest::prop_assert_eq!(String::from_utf8(bytes).expect("UTF-8"), query);
    }
}

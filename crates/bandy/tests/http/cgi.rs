//! A program for each request: CGI/1.1 over connections, and nothing of it left behind.

use std::io::Write;
use std::net::Shutdown;
use std::path::PathBuf;
use std::time::Duration;

use bandy::http::Router;
use bandy::http::router::{Cors, Layers, Route};
use bandy::services::exec::Exec;
use bandy_testkit::{eventually, is_alive, within};

use super::*;

fn sh(script: &str) -> Exec {
    let command = ["sh", "-c", script].map(str::to_owned);
    Exec::new(&command, 10).expect("a shell")
}

fn runs(stage: &Stage, exec: Exec) -> Running {
    serve(stage, exec, HttpLimits::default())
}

fn get(server: &Running, target: &str) -> Came {
    let mut client = Raw::to(server);
    client.say(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    client.hear()
}

const TABLE: &str = r#"
    printf 'Content-Type: text/plain\n\n'
    env | grep -E '^(AUTH_|CONTENT_|GATEWAY_|HTTP_|HTTPS=|PATH_|QUERY_|REMOTE_|REQUEST_|SCRIPT_|SERVER_|BANDY_(PEER|SCHEME|ENDPOINT))' | sort
"#;

#[test]
fn the_program_knows_its_request() {
    let stage = Stage::new();
    let route = Route::to(sh(TABLE)).layers(Layers {
        strip: Some("/app".to_owned()),
        ..Layers::default()
    });
    let server = serve(&stage, Router::new().route(route), HttpLimits::default());
    let mut client = Raw::to(&server);
    let here = client.0.get_ref().local_addr().expect("bound");
    let endpoint = server.endpoint().clone();
    let port = raw::address(&endpoint).port();
    client.say(
        "POST /app/a%20b/%2e%2e?x=%31&y HTTP/1.1\r\nHost: cgi.example:81\r\n\
         Content-Type: text/csv\r\nContent-Length: 5\r\nX-Several: 1\r\nx-several: 2\r\n\
         Cookie: a=1; bandy_session=secret\r\nAuthorization: Bearer secret\r\n\
         Proxy: http://evil.example\r\nX_Underscored: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nhello",
    );
    let came = client.hear();
    assert_eq!(came.status, 200, "{came:?}");
    let expected = format!(
        "BANDY_ENDPOINT={endpoint}\nBANDY_PEER={here}\nBANDY_PEER_IP=127.0.0.1\nBANDY_PEER_PORT={}\n\
         BANDY_SCHEME=http\nCONTENT_LENGTH=5\nCONTENT_TYPE=text/csv\nGATEWAY_INTERFACE=CGI/1.1\n\
         HTTP_COOKIE=a=1\nHTTP_HOST=cgi.example:81\nHTTP_X_SEVERAL=1, 2\nPATH_INFO=/a b/..\n\
         QUERY_STRING=x=%31&y\nREMOTE_ADDR=127.0.0.1\nREMOTE_PORT={}\nREQUEST_METHOD=POST\n\
         REQUEST_URI=/app/a%20b/%2e%2e?x=%31&y\nSCRIPT_NAME=/app\nSERVER_NAME=cgi.example\n\
         SERVER_PORT={port}\nSERVER_PROTOCOL=HTTP/1.1\nSERVER_SOFTWARE=bandy/{}\n",
        here.port(),
        here.port(),
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(came.body, expected);

    for (target, script, path) in [
        ("/app", "/app", ""),
        ("/app/", "/app", "/"),
        ("/x", "", "/x"),
    ] {
        let told = get(&server, target).body;
        let says = |line: &str| told.lines().any(|l| l == line);
        assert!(says(&format!("SCRIPT_NAME={script}")), "{target}: {told}");
        assert!(says(&format!("PATH_INFO={path}")), "{target}: {told}");
        assert!(says("QUERY_STRING="), "{target}: {told}");
        assert!(!told.contains("CONTENT_LENGTH"), "{target}: {told}");
    }
}

#[test]
fn no_line_end_comes_through() {
    let stage = Stage::new();
    let server = runs(&stage, sh(TABLE));
    for head in [
        "GET /%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\nX-Evil: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r X-Evil: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\0\r\n\r\n",
    ] {
        let came = Raw::to(&server).say(head).hear();
        assert_eq!(came.status, 400, "{head:?}: {came:?}");
    }
}

#[test]
fn a_page_of_another_site_starts_no_program() {
    let stage = Stage::new();
    let exec = sh("printf 'Content-Type: a/b\n\n'");
    let cors = Cors {
        origins: vec!["http://friend.example".to_owned()],
        ..Cors::default()
    };
    let route = Route::to(exec).layers(Layers {
        cors: Some(cors),
        ..Layers::default()
    });
    let server = serve(&stage, Router::new().route(route), HttpLimits::default());
    for (host, origin, status) in [
        ("localhost", "http://evil.example", 403),
        ("localhost", "http://localhost", 200),
        ("localhost", "http://friend.example", 200),
        // A name of somebody else's that leads here.
        ("evil.example", "http://evil.example", 403),
    ] {
        let mut client = Raw::to(&server);
        client.say(format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Length: 0\r\n\r\n"
        ));
        assert_eq!(client.hear().status, status, "{origin}");
    }
}

/// A body goes in while what comes of it goes out, in bounded memory on the way.
#[test]
fn a_body_goes_both_ways() {
    let stage = Stage::new();
    let script = "printf 'Content-Type: text/plain\r\n\r\n'; echo \"${CONTENT_LENGTH-none}\"; cat";
    let server = runs(&stage, sh(script));
    let text: String = ('a'..='z').cycle().take(1 << 20).collect();
    let known = format!("Content-Length: {}\r\n\r\n{text}", text.len());
    let chunk = |part: &[u8]| format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part));
    let chunks: String = text.as_bytes().chunks(10_000).map(chunk).collect();
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    for (body, told) in [
        (known, text.len().to_string()),
        (chunked, "none".to_owned()),
    ] {
        let mut client = Raw::to(&server);
        let mut writing = client.0.get_ref().try_clone().expect("another handle");
        let writer = std::thread::spawn(move || {
            let said = format!("POST / HTTP/1.1\r\nHost: a\r\n{body}");
            writing.write_all(said.as_bytes()).expect("taken");
        });
        let came = client.hear();
        writer.join().expect("all said");
        assert!(came.body == format!("{told}\n{text}"), "{told}");
    }
}

#[test]
fn a_program_need_not_read_its_input() {
    let stage = Stage::new();
    let server = runs(&stage, sh("printf 'Content-Type: text/plain\n\nenough'"));
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    client.say("x".repeat(200_000));
    assert_eq!(client.hear().body, "enough");
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.hear().body, "enough");
}

#[test]
fn what_a_program_prints_is_the_answer() {
    let stage = Stage::new();
    let server = runs(
        &stage,
        sh(r"case $PATH_INFO in
            /status) printf 'Status: 404 Not here\nContent-Type: text/plain\nX-A: 1\n\ngone' ;;
            /local) printf 'Location: /there?x=1\n\n' ;;
            /absolute) printf 'Location: https://a.example/\r\n\r\n' ;;
            /moved) printf 'Status: 301 Moved\nLocation: /there\nContent-Type: text/plain\n\nthere' ;;
            /nothing) printf 'Status: 204\n\n' ;;
            /length) printf 'Content-Type: text/plain\nContent-Length: 2\nConnection: x-a\nX-A: 1\n\nHi' ;;
            /failing) printf 'Content-Type: text/plain\n\nall'; exit 3 ;;
        esac"),
    );
    for (target, status, field, body) in [
        ("/status", 404, ("x-a", Some("1")), "gone"),
        ("/local", 302, ("location", Some("/there?x=1")), ""),
        (
            "/absolute",
            302,
            ("location", Some("https://a.example/")),
            "",
        ),
        ("/moved", 301, ("location", Some("/there")), "there"),
        ("/nothing", 204, ("content-length", None), ""),
        ("/length", 200, ("content-length", Some("2")), "Hi"),
        ("/length", 200, ("x-a", None), "Hi"),
        ("/failing", 200, ("content-type", Some("text/plain")), "all"),
    ] {
        let came = get(&server, target);
        assert_eq!(came.status, status, "{target}: {came:?}");
        assert_eq!(came.field(field.0), field.1, "{target}: {came:?}");
        assert_eq!(came.body, body, "{target}");
        assert_eq!(came.field("status"), None, "{target}: {came:?}");

        let mut client = Raw::to(&server);
        for _ in 0..2 {
            client.say(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(client.hear_of("HEAD").status, status, "HEAD {target}");
        }
    }
}

#[test]
fn a_program_without_an_answer_is_not_shown() {
    let stage = Stage::new();
    let long = "head -c 100000 /dev/zero | tr '\\0' x; sleep 1000";
    for script in [
        "echo secret; echo; echo secret",
        "echo 'Content-Type: secret'",
        "echo 'X-Secret: secret'; echo",
        "echo secret >&2; exit 1",
        "true",
        long,
    ] {
        let server = runs(&stage, sh(script));
        let came = get(&server, "/");
        assert_eq!(came.status, 502, "{script}: {came:?}");
        assert_eq!(came.field("content-type"), Some("application/problem+json"));
        assert!(!came.body.contains("secret"), "{script}: {came:?}");
    }
    let server = runs(&stage, sh("sleep 1000").silence(Duration::from_millis(150)));
    assert_eq!(get(&server, "/").status, 504);
}

/// A document goes out as it comes: the client hears of the first part while the second is not there.
#[test]
fn a_document_is_not_waited_for() {
    let stage = Stage::new();
    let flag = stage.folder().join("flag");
    let script = format!(
        "printf 'Content-Type: text/plain\n\none'; until [ -e {0} ]; do sleep 0.01; done; printf two",
        flag.display()
    );
    let server = runs(&stage, sh(&script));
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    // This is all there will be to say; the answer comes all the same.
    client
        .0
        .get_ref()
        .shutdown(Shutdown::Write)
        .expect("half-closed");
    assert_eq!(Raw::status(&client.head()), 200);
    let mut one = [0; 3];
    client.0.read_exact(&mut one).expect("the first part");
    assert_eq!(&one, b"one");
    std::fs::write(&flag, "").expect("written");
    assert_eq!(raw::rest(&mut client.0), b"two");
}

/// A program with a child in the background, which says their numbers in a file.
struct Family {
    told: PathBuf,
}

impl Family {
    /// The script that begins it; what `then` is follows.
    fn script(stage: &Stage, name: &str, then: &str) -> (Family, String) {
        let told = stage.folder().join(name);
        let path = told.display();
        let script = format!("sleep 1000 & echo $$ $! >{path}.new; mv {path}.new {path}; {then}");
        (Family { told }, script)
    }

    fn pids(&self) -> Vec<u32> {
        let told = eventually("a family", || std::fs::read_to_string(&self.told));
        let pid = |n: &str| n.parse().expect("a number");
        told.split_whitespace().map(pid).collect()
    }

    fn ends(&self) {
        let pids = self.pids();
        assert_eq!(pids.len(), 2);
        eventually("the family to be gone", || {
            match pids.iter().any(|pid| is_alive(*pid)) {
                true => Err(format!("one of {pids:?} runs")),
                false => Ok(()),
            }
        });
    }
}

const HEADER: &str = "printf 'Content-Type: text/plain\n\none'";

#[test]
fn a_client_takes_the_whole_family_along() {
    let stage = Stage::new();
    let models = [Model::Async, Model::Threads, Model::Sequential];
    for (n, model) in models.into_iter().enumerate() {
        for (when, then) in [
            ("before", "wait".to_owned()),
            (
                "stubborn",
                "trap '' TERM; while :; do wait; sleep 1000; done".to_owned(),
            ),
            ("behind", format!("{HEADER}; wait")),
        ] {
            let (family, script) = Family::script(&stage, &format!("{when}-{n}"), &then);
            let server = serve_as(&stage, sh(&script), HttpLimits::default(), model);
            let mut client = Raw::to(&server);
            client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(family.pids().into_iter().all(is_alive));
            if when == "behind" {
                client.head();
            }
            raw::reset(client.0.into_inner());
            family.ends();
        }
    }
}

/// Without a reset, the client is missed once it is written to.
#[test]
fn a_client_that_closed_is_missed() {
    let stage = Stage::new();
    let then = format!("{HEADER}; while echo more; do sleep 0.01; done");
    let (family, script) = Family::script(&stage, "closed", &then);
    let server = runs(&stage, sh(&script));
    let mut client = Raw::to(&server);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head();
    drop(client);
    family.ends();
}

#[test]
fn a_body_that_breaks_off_never_looks_whole() {
    let stage = Stage::new();
    let whole = stage.folder().join("whole");
    let then = format!("cat >/dev/null; touch {}; wait", whole.display());
    let (family, script) = Family::script(&stage, "broken", &then);
    let server = runs(&stage, sh(&script));
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    family.pids();
    client
        .0
        .get_ref()
        .shutdown(Shutdown::Write)
        .expect("closed");
    family.ends();
    assert!(!whole.exists());
}

#[test]
fn a_programs_end_is_its_childrens() {
    let stage = Stage::new();
    let then = format!("exec 2>/dev/null; {HEADER}");
    let (family, script) = Family::script(&stage, "orphans", &then);
    // What holds the pipe open is not waited for longer than for a moment.
    let server = runs(&stage, sh(&script));
    assert_eq!(get(&server, "/").body, "one");
    family.ends();
}

#[test]
fn no_more_programs_run_than_may() {
    let stage = Stage::new();
    let command = [
        "sh",
        "-c",
        &format!("{HEADER}; [ $PATH_INFO = /quick ] || sleep 1000"),
    ];
    let exec = |wait| {
        let exec = Exec::new(&command.map(str::to_owned), 1).expect("a shell");
        runs(&stage, exec.wait(wait))
    };
    let impatient = exec(Duration::from_millis(50));
    let mut first = Raw::to(&impatient);
    first.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    let refused = get(&impatient, "/quick");
    assert_eq!(
        (refused.status, refused.field("retry-after")),
        (503, Some("1"))
    );
    raw::reset(first.0.into_inner());
    eventually("a place", || match get(&impatient, "/quick").status {
        200 => Ok(()),
        status => Err(status),
    });

    let patient = exec(bandy_testkit::PATIENCE);
    let mut first = Raw::to(&patient);
    first.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    let mut second = Raw::to(&patient);
    second.say("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
    raw::reset(first.0.into_inner());
    assert_eq!(second.hear().status, 200);
}

#[tokio::test]
async fn a_stream_that_is_reset_takes_its_family_along() {
    let stage = Stage::new();
    let then = "printf 'Content-Type: text/plain\n\n'; echo $SERVER_PROTOCOL; wait";
    let (family, script) = Family::script(&stage, "h2", then);
    let server = runs(&stage, sh(&script));
    let sender = h2::connect(&server).await;
    let mut ready = sender.clone().ready().await.expect("ready");
    let request = ::http::Request::get("http://a.example/").body(());
    let (response, _) = ready
        .send_request(request.expect("a request"), true)
        .expect("sent");
    let mut body = within("a response", response)
        .await
        .expect("a response")
        .into_body();
    let data = within("data", body.data()).await.expect("some");
    assert_eq!(&data.expect("data")[..], b"HTTP/2.0\n");
    drop(body);
    let ended = tokio::task::spawn_blocking(move || family.ends());
    ended.await.expect("its end is seen");
}

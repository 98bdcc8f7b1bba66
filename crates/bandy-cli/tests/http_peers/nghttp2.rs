//! nghttp and h2load: HTTP/2 by those who know every corner of it, and many requests at once.

use std::process::Command;

use bandy_testkit::noise;
use rustix::process::Signal;

use super::{Site, peer, run, run_while};

fn command(site: &Site, program: &str, args: &[&str]) -> Command {
    let mut command = peer(program, "nghttp2-client");
    command.current_dir(site.stage.folder()).args(args);
    command
}

/// What nghttp prints when it asks for all of these at once.
#[track_caller]
fn nghttp(site: &Site, args: &[&str]) -> String {
    run(command(site, "nghttp", args)).ok()
}

/// Loads a server; every request must succeed.
#[track_caller]
fn loads(site: &Site, requests: u32, args: &[&str]) {
    let n = requests.to_string();
    let args = [&["-n", &n], args].concat();
    let said = run(command(site, "h2load", &args)).ok();
    let all = format!(
        "requests: {n} total, {n} started, {n} done, {n} succeeded, 0 failed, 0 errored, 0 timeout"
    );
    assert!(said.contains(&all), "{args:?}: {said}");
}

#[test]
fn many_requests() {
    let site = Site::start(&["api"]);
    for base in [&site.http, &site.https] {
        let at = |path: &str| format!("{base}{path}");
        let add = at("/add?a=5&b=3");
        loads(&site, 5000, &["-c10", "-m32", &add]);
        loads(&site, 1000, &["-c1", "-m100", &add]);
        loads(&site, 2000, &["--h1", "-c10", "-m4", &add]);
        // Many streams, each with more than a window holds.
        loads(
            &site,
            100,
            &["-c2", "-m25", "-w", "12", "-W", "16", &at("/bytes/100000")],
        );
        // From one to the other.
        loads(
            &site,
            500,
            &[
                "-c5",
                "-m10",
                &add,
                &at("/bytes/10"),
                &at("/redirect/0"),
                &at("/delay/0.01"),
            ],
        );
    }
}

#[test]
fn many_uploads() {
    let site = Site::start(&["echo"]);
    site.stage.file("data", noise(1, 300_000));
    for base in [&site.http, &site.https] {
        loads(&site, 200, &["-c4", "-m8", "-d", "data", base]);
        loads(&site, 50, &["--h1", "-c4", "-d", "data", base]);
    }
}

#[test]
fn what_is_allowed_and_rare() {
    let site = Site::start(&["files", "--upload"]);
    let data = noise(1, 1 << 20);
    site.stage.file("data", &data);
    let url = format!("{}/data", site.http);
    let put = |args: &[&str]| {
        let args = [
            &["-d", "data", "-H", ":method: PUT", "-v", "-n"],
            args,
            &[&url],
        ]
        .concat();
        nghttp(&site, &args)
    };
    assert!(put(&[]).contains(":status: 201"));
    assert!(site.has("data").expect("put") == data);
    let long = format!("x-long: {}", "x".repeat(20_000));
    let rare: [&[&str]; 6] = [
        &["--no-content-length"],
        &["--padding", "255"],
        &["--header-table-size", "0"],
        &["--continuation"],
        &["--trailer", "x-sum: 1"],
        // A head in two frames.
        &["-H", &long],
    ];
    for args in rare {
        let said = put(args);
        assert!(said.contains(":status: 204"), "{args:?}: {said}");
    }
    // Through windows of 255 bytes.
    site.file("data", &data[..20_000]);
    let small = ["--window-bits", "8", "--multiply", "10", "-ns", &url];
    let said = nghttp(&site, &small);
    assert_eq!(said.matches(" 200  19K /data").count(), 10, "{said}");
}

#[test]
fn who_is_being_answered_is_answered_to_the_end() {
    const STREAMS: usize = 20;
    let site = Site::start(&["api"]);
    let url = format!("{}/drip?bytes=10&duration=1", site.http);
    let many = STREAMS.to_string();
    // Its output is seen as it comes.
    let mut nghttp = Command::new("stdbuf");
    peer("nghttp", "nghttp2-client");
    nghttp.args(["-o0", "nghttp", "--multiply", &many, &url]);
    let mut is_told = false;
    let ran = run_while(nghttp, |said| {
        if !is_told && said.len() >= STREAMS {
            site.server.signal(Signal::TERM);
            is_told = true;
        }
    });
    assert!(is_told, "{ran:?}");
    assert_eq!(ran.ok().len(), STREAMS * 10);
    assert_eq!(site.connections_at_the_end(), 1);
}

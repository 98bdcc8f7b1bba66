//! requests and httpx: what a program in Python asks. The conversations are in `client.py`, the same for both.

use super::{Site, python, run};

/// The conversations, by a client of this library and version, each over a connection of its own. What it says at the
/// end is how many.
fn converse(client: &str, secure: bool) {
    let Some(mut python) = python() else { return };
    let (api, files) = (
        Site::start(&["api"]),
        Site::start(&["files", "--upload", "--delete"]),
    );
    let echo = Site::start(&["echo"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http_peers/client.py");
    python.args(["-B", script, client]);
    for site in [&api, &files, &echo] {
        python.arg(if secure { &site.https } else { &site.http });
        // Each service has an authority of its own.
        python.arg(site.ca());
    }
    python.env_remove("SSL_CERT_FILE").env("NO_PROXY", "*");
    let said = run(python).ok();
    let expected: Vec<usize> = said
        .split_whitespace()
        .map(|n| n.parse().expect(&said))
        .collect();
    let connections = [api, files, echo].map(Site::connections);
    assert_eq!(connections[..], expected, "connections to api, files, echo");
}

#[test]
fn requests() {
    converse("requests", false);
    converse("requests", true);
}

#[test]
fn httpx_1() {
    converse("httpx1", false);
    converse("httpx1", true);
}

#[test]
fn httpx_2() {
    // Without TLS that is by prior knowledge.
    converse("httpx2", false);
    converse("httpx2", true);
}

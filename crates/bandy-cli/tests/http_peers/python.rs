//! requests and httpx: what a program in Python asks. The conversations are in `client.py`, the same for both.

use bandy_testkit::Program;

use super::{BANDY, Site, python, run};

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

/// Prometheus' own parser reads what is said to it, and finds each sort of what is measured.
#[test]
fn prometheus() {
    let Some(mut python) = python() else { return };
    let site = Site::start(&["greet", "Hello"]);
    let to = format!("{},name=a\"b\\c", site.http);
    let edge = Program::new(BANDY, &site.stage).args(["balance", "http://:0", "--to", &to]);
    let edge = edge.args(["--admin", "http://127.0.0.1:0"]).start();
    let at = |i: usize| {
        format!(
            "http://127.0.0.1:{}",
            edge.endpoint(i).port().expect("a port")
        )
    };
    const READ: &str = r#"
import sys, urllib.request
from prometheus_client.parser import text_string_to_metric_families
edge, admin = sys.argv[1:]
for _ in range(3):
    urllib.request.urlopen(edge).read()
text = urllib.request.urlopen(admin + "/metrics").read().decode()
found = {family.name: family for family in text_string_to_metric_families(text)}
value = lambda family, **labels: [s.value for s in found[family].samples if all(s.labels.get(k) == v for k, v in labels.items())]
assert value("bandy_responses", server="balance", **{"class": "2xx"}) == [3.0], text
assert found["bandy_connections"].type == "counter" and found["bandy_connections_open"].type == "gauge"
assert found["bandy_backend_latency_seconds"].type == "histogram"
buckets = value("bandy_backend_latency_seconds", backend=BACKEND)
assert buckets[-1] == 3.0 and len(buckets) == 17, buckets
assert value("bandy_backend_ready", pool="balance", backend=BACKEND) == [1.0]
for family in found.values():
    assert family.documentation.endswith("."), family
print("done")
"#;
    let name = r#"'a"b\\c'"#;
    python.args(["-c", &READ.replace("BACKEND", name)]);
    python.args([at(0), at(1)]).env("NO_PROXY", "*");
    assert_eq!(run(python).ok(), "done\n");
}

//! Over a network that delays and loses.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::process::Command;

use bandy::Model;
use bandy::endpoint::Scheme;
use bandy::services::Spec;
use bandy_testkit::{Stage, noise};

use super::{balancing, have, pool_of};

/// What the shell says where this machine has no such network to give.
const NOT_HERE: i32 = 77;

/// Runs [`inside`] in a network namespace of its own, whose loopback delays, reorders and loses.
#[test]
fn a_network_that_loses_loses_nothing() {
    let own = std::env::current_exe().expect("the test's own path");
    let script = format!(
        "ip link set lo up && tc qdisc add dev lo root netem delay 4ms 3ms loss 1% reorder 5% || exit {NOT_HERE}\n\
         exec \"$0\" --exact netem::inside --ignored"
    );
    let run = Command::new("unshare")
        .args(["--net", "sh", "-c", &script])
        .arg(own)
        .output();
    let output = match run {
        Ok(output) => output,
        Err(e) => {
            eprintln!("SKIPPED, nothing was tested: no unshare here (Debian: util-linux): {e}");
            return;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {}
        // unshare itself fails with 1 where this user may not, and says why.
        Some(NOT_HERE) => {
            eprintln!("SKIPPED, nothing was tested: no `tc netem` in this kernel: {said}")
        }
        Some(1) if said.starts_with("unshare:") => eprintln!("SKIPPED, nothing was tested: {said}"),
        _ => panic!("{}\n{said}", String::from_utf8_lossy(&output.stdout)),
    }
}

#[tokio::test]
#[ignore = "the test above runs it in a network of its own"]
async fn inside() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Tcp], Model::Async);
    let pool = pool_of(&stage, &[echo.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Tcp, Scheme::Tls]);
    for endpoint in server.endpoints() {
        let talks = (0..6).map(|seed| {
            let data = noise(seed, 300_000);
            let connecting = stage.connect(endpoint);
            async move {
                let answer = connecting.await.exchange(seed, &data).await;
                assert!(answer == data, "{} of {}", answer.len(), data.len());
            }
        });
        futures_util::future::join_all(talks).await;
    }
    have(&pool, &[0]);
}

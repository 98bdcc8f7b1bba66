//! Logging in over a connection: how often it may fail, and what a stopwatch sees.

use std::time::{Duration, Instant};

use bandy::accounts::{Accounts, AttemptLimits, Bucket, Cost, Credentials, Options};
use bandy::services::api::{self, Api};
use bandy::state;

use super::*;

/// An application server with one user, and the server that it runs on.
fn start(stage: &Stage, options: Options) -> Running {
    let store = state::open("memory:").expect("a store");
    let accounts = Accounts::open(store.clone(), options).expect("accounts");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let ada = Credentials::new("ada", "correct horse");
    let added = runtime
        .expect("a runtime")
        .block_on(accounts.add(ada, Vec::new()));
    added.expect("a store").expect("a user");
    let api = Api::new(api::Options::default(), store, accounts).expect("a service");
    serve(stage, api, HttpLimits::default())
}

fn log_in(client: &mut Raw, user: &str, password: &str) -> Came {
    let proof = format!(r#"{{"user":"{user}","password":"{password}"}}"#);
    let len = proof.len();
    client.say(format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n{proof}"
    ));
    client.hear()
}

#[test]
fn guessing_is_limited_and_says_until_when() {
    let stage = Stage::new();
    let cost = Cost {
        memory_kib: 8,
        passes: 1,
        ..Cost::default()
    };
    let options = Options {
        cost,
        ..Options::default()
    };
    let server = start(&stage, options);
    for user in ["ada", "nobody"] {
        let mut client = Raw::to(&server);
        let answers: Vec<Came> = (0..40)
            .map(|_| log_in(&mut client, user, "wrong horse"))
            .collect();
        let first = answers.iter().position(|answer| answer.status == 429);
        let first = first.unwrap_or_else(|| panic!("{user}: never limited"));
        assert!(first >= 3, "{user}: after {first}");
        for (n, answer) in answers.iter().enumerate() {
            let expected = if n < first { 401 } else { 429 };
            assert_eq!(answer.status, expected, "{user}: answer {n}");
        }
        let wait = answers[first].field("retry-after").expect("Retry-After");
        assert!(wait.parse::<u64>().expect("seconds") > 0);
        // Another connection of the same client is no way round, and neither is the right password.
        let again = log_in(&mut Raw::to(&server), user, "correct horse");
        assert_eq!(again.status, 429, "{user}");
    }
}

#[test]
fn a_stopwatch_cannot_tell_who_is_a_user() {
    let stage = Stage::new();
    let open = Bucket {
        burst: u32::MAX,
        every: Duration::from_nanos(1),
    };
    let options = Options {
        cost: Cost {
            memory_kib: 2048,
            ..Cost::default()
        },
        attempts: AttemptLimits {
            pair: open,
            account: open,
            address: open,
            ..AttemptLimits::default()
        },
        ..Options::default()
    };
    let server = start(&stage, options);
    let mut client = Raw::to(&server);
    // Interleaved, and compared by their medians: what else runs on the machine meets both. Several tries, since it may not.
    let mut ratios = Vec::new();
    for _ in 0..6 {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..15 {
            for (user, took) in ["ada", "nobody"].iter().zip(&mut took) {
                let since = Instant::now();
                assert_eq!(log_in(&mut client, user, "wrong horse").status, 401);
                took.push(since.elapsed());
            }
        }
        let [known, unknown] = took.map(|mut took| {
            took.sort_unstable();
            took[took.len() / 2].as_secs_f64()
        });
        let ratio = unknown / known;
        if (0.75..1.33).contains(&ratio) {
            return;
        }
        ratios.push(ratio);
    }
    panic!("a stopwatch can tell: {ratios:?}");
}

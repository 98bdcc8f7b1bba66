//! Pools as they are written: what is said of slips, and that what is printed means the same.

use std::time::Duration;

use crate::config::{Plan, parse};
use crate::net::tls::{ClientTls, Identity};
use crate::pool::health::{Check, Expect, Panic, Passive, Policy, Probe, Rules};
use crate::pool::options::{Deadlines, Member, Options, Retry, Sticky, Waiting};
use crate::pool::strategy::{Choice, KeyOf};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What is said of a pool with these lines, behind a server of requests.
fn said(lines: &str) -> String {
    let text = format!(
        "[server.s]\nlisten = \"http://:1\"\nservice.balance = \"api\"\n[pool.api]\n{lines}"
    );
    match parse("c", &text) {
        Ok((_, report)) | Err(report) => report.lines(),
    }
}

/// The pool with these lines, which are right.
fn pool(lines: &str) -> Options {
    assert_eq!(said(lines), "", "{lines}");
    let text = format!(
        "[server.s]\nlisten = \"http://:1\"\nservice.balance.pool = \"api\"\n[pool.api]\n{lines}"
    );
    let (plan, _) = parse("c", &text).unwrap_or_else(|r| panic!("{lines}: {}", r.lines()));
    plan.pools[0].clone()
}

const BACKEND: &str = "backend = \"http://:5001\"\n";

#[test]
fn the_pool_of_the_manual() {
    let pool = pool(
        "strategy = \"least-connections\"\n\
         backend = [\"http://127.0.0.1:5001\", { url = \"http://127.0.0.1:5002\", weight = 2 }]\n\
         health = { path = \"/healthz\", every = \"2s\", fall = 3, rise = 2 }\n",
    );
    assert_eq!(pool.name, "api");
    assert_eq!(pool.strategy, Choice::LeastConnections);
    let members: Vec<_> = pool.members.iter().map(|m| (&*m.name, m.weight)).collect();
    let wanted = [("http://127.0.0.1:5001", 1), ("http://127.0.0.1:5002", 2)];
    assert_eq!(members, wanted);
    let probe = pool.health.probe.expect("a probe");
    assert_eq!(probe.every, Duration::from_secs(2));
    let Check::Http { path, .. } = probe.check else {
        panic!("{probe:?}");
    };
    assert_eq!(path, "/healthz");
}

#[test]
fn a_server_that_would_ask_itself_is_told_of() {
    let warning =
        "c:3:19: pool `api` has `http://127.0.0.1:1` in it, where this server itself listens";
    assert_eq!(said("backend = [\"http://:5001\", \"http://:1\"]"), warning);
    // Another family is another socket, and so is another port.
    assert_eq!(said("backend = [\"http://[::1]:1\", \"http://:2\"]"), "");
}

#[test]
fn every_way_to_write_a_probe() {
    let check = |health: &str| {
        let pool = pool(&format!("{BACKEND}health = {health}\n"));
        pool.health.probe.map(|probe| probe.check)
    };
    let at_healthz = |expect| Check::Http {
        path: "/healthz".to_owned(),
        expect,
        host: None,
    };
    assert_eq!(check("\"none\""), None);
    assert_eq!(check("{}"), Some(Check::Connect));
    assert_eq!(check("\"/healthz\""), Some(at_healthz(Expect::default())));
    let status = |status| {
        Some(at_healthz(Expect {
            status,
            ..Expect::default()
        }))
    };
    let with = |status: &str| check(&format!("{{ path = \"/healthz\", status = {status} }}"));
    assert_eq!(with("204"), status((204, 204)));
    assert_eq!(with("\"200-299\""), status((200, 299)));
    let grpc = Check::Grpc {
        service: "chat".to_owned(),
    };
    assert_eq!(check("{ grpc = \"chat\" }"), Some(grpc));
}

#[test]
fn every_way_to_write_the_rest() {
    let written = pool(&format!(
        "{BACKEND}retries = 0\nbudget = 50\nqueue = \"none\"\npanic = \"fail\"\npassive = \"none\"\n\
         deadlines = {{ try = \"1s\", total = \"none\" }}\nhedge = \"50ms\"\nslow_start = \"30s\"\nhttp = \"2\"\n\
         sticky = \"backend\"\nstrategy = \"consistent-hash\"\nkey = \"cookie:sid\"\nload = \"none\"\nmax = 7\n"
    ));
    assert_eq!((written.retry.times, written.retry.budget), (0, 50));
    assert_eq!(written.queue.length, 0);
    assert_eq!(written.health.panic.policy, Policy::Fail);
    assert_eq!(
        (
            written.health.passive.failures,
            written.health.passive.share
        ),
        (0, 0)
    );
    assert_eq!(written.deadlines.per_try, Some(Duration::from_secs(1)));
    assert_eq!(written.deadlines.total, None);
    assert_eq!(written.members[0].max, Some(7));
    let key = KeyOf::Cookie("sid".to_owned());
    assert_eq!(written.strategy, Choice::ConsistentHash { key, load: 0 });
}

#[test]
fn slips_are_told_with_their_place() {
    for (lines, wanted) in [
        ("", "c:4:7: pool `api` has no backend"),
        ("backend = []\n", "c:5:11: pool `api` has no backend"),
        (
            "backend = \"http://:5001/api\"\n",
            "c:5:11: `http://:5001/api` has a path, which a backend cannot have",
        ),
        (
            "backend = [\"http://:5001\", \"http://127.0.0.1:5001\"]\n",
            "c:5:28: `http://127.0.0.1:5001` is in the pool twice",
        ),
        (
            "backend = [\"http://:5001\", \"tcp://:5002\"]\n",
            "c:5:28: tcp (stream) cannot stand in for http (request)\n\
             c:3:19: pool `api` cannot answer what comes in here (request): its backends are tcp (stream)",
        ),
        (
            "backend = \"udp://:5001\"\n",
            "c:3:19: pool `api` cannot answer what comes in here (request): its backends are udp (datagram)",
        ),
        (
            "backend = { url = \"http://:5001\", weight = 0 }\n",
            "c:5:44: `weight` cannot be 0",
        ),
        (
            "backend = { srv = \"_a._tcp.test\" }\n",
            "c:5:13: `srv` stands without `scheme`",
        ),
        (
            "backend = \"http://:5001\"\nstrategy = \"round-robbin\"\n",
            "c:6:12: there is no strategy `round-robbin`",
        ),
        (
            "backend = \"http://:5001\"\nstrategy = \"consistent-hash\"\n",
            "c:6:12: `consistent-hash` has no key",
        ),
        (
            "backend = \"http://:5001\"\nkey = \"ip\"\n",
            "c:6:1: `key` has no effect: it belongs to `consistent-hash`",
        ),
        (
            "backend = \"http://:5001\"\nhealth = { send = \"x\" }\n",
            "c:6:10: `send` cannot be probed on http (request)",
        ),
        (
            "backend = \"http://:5001\"\nhealth = { expect = \"x\" }\n",
            "c:6:12: `expect` stands without `send`",
        ),
        (
            "backend = \"http://:5001\"\nbudget = \"120%\"\n",
            "c:6:10: `budget` takes a share",
        ),
        (
            "backend = \"http://:5001\"\ntls = { insecure = true }\n",
            "c:6:1: `tls` has no effect: this pool has no backend that speaks TLS",
        ),
        (
            "backend = \"http://:5001\"\nresolver = \"127.0.0.1\"\n",
            "c:6:1: `resolver` has no effect: no backend of this pool is a name",
        ),
    ] {
        let found = said(lines);
        let mut found: Vec<&str> = found.lines().collect();
        let mut wanted: Vec<&str> = wanted.lines().map(str::trim_start).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{lines}");
    }
}

#[test]
fn names_that_dangle_are_told() {
    let heard = |text: &str| match parse("c", text) {
        Ok((_, report)) | Err(report) => report.lines(),
    };
    let server = "[server.s]\nlisten = \"http://:1\"\nservice.balance = \"apo\"\n";
    assert_eq!(heard(server), "c:3:19: there is no pool `apo`");
    let pool = "[pool.api]\nbackend = \"http://:5001\"\n";
    assert_eq!(
        heard(&format!("{server}{pool}")),
        "c:3:19: there is no pool `apo`"
    );
    let echo = "[server.s]\nlisten = \"http://:1\"\nservice = \"echo\"\n";
    assert_eq!(
        heard(&format!("{echo}{pool}")),
        "c:4:7: pool `api` has no effect: no server asks it"
    );
    assert_eq!(
        heard("[server.s]\nlisten = \"http://:1\"\nservice = \"balance\"\n"),
        "c:3:11: `balance` names no pool"
    );
}

fn any_duration() -> impl Strategy<Value = Duration> {
    (1..10_000_000u64).prop_map(Duration::from_millis)
}

fn any_choice() -> impl Strategy<Value = Choice> {
    let keys = ["ip", "path", "header:x-user", "cookie:sid", "query:user"];
    let hashes = (select(keys.to_vec()), prop_oneof![Just(0), 100..=10_000u32]);
    prop_oneof![
        select(vec![
            Choice::RoundRobin,
            Choice::LeastConnections,
            Choice::IpHash,
            Choice::Random,
            Choice::P2c,
            Choice::PeakEwma,
        ]),
        hashes.prop_map(|(key, load)| Choice::ConsistentHash {
            key: key.parse().expect("a key"),
            load,
        }),
    ]
}

fn any_member(n: usize) -> impl Strategy<Value = Member> {
    let names = select(vec!["127.0.0.1", "app.test", "localhost"]);
    let rest = (1..=Options::WEIGHT_MAX, option::of(1..10_000usize));
    let named = (option::of(Just(format!("b{n}"))), any::<bool>());
    (names, rest, named).prop_map(move |(host, (weight, max), (name, is_srv))| {
        let is_srv = is_srv && host == "app.test";
        let (host, port) = match is_srv {
            true => (format!("_a{n}._tcp.test"), 0),
            false => (host.to_owned(), 5_000 + n),
        };
        let endpoint = format!("https://{host}:{port}").parse();
        let member = Member::new(endpoint.expect("an endpoint"));
        let usual = if is_srv { host } else { member.name.clone() };
        Member {
            name: name.unwrap_or(usual),
            is_srv,
            weight,
            max,
            ..member
        }
    })
}

fn any_check() -> impl Strategy<Value = Check> {
    let status = (100..600u16, 100..600u16).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let http = (
        "/[!-~]{0,9}",
        status,
        "\\PC{0,9}",
        option::of("[a-z.]{1,9}"),
    );
    prop_oneof![
        Just(Check::Connect),
        http.prop_map(|(path, status, body, host)| Check::Http {
            path,
            expect: Expect { status, body },
            host,
        }),
        "[a-z.]{0,9}".prop_map(|service| Check::Grpc { service }),
    ]
}

fn any_health() -> impl Strategy<Value = crate::pool::health::Options> {
    let rules = (1..100u32, 1..100u32).prop_map(|(fall, rise)| Rules { fall, rise });
    let times = (any_duration(), any_duration(), option::of(1..=u16::MAX));
    let probe = (any_check(), times).prop_map(|(check, (every, timeout, port))| Probe {
        check,
        every,
        timeout,
        port,
    });
    let passive = (
        (0..100u32, 0..=100u32, 1..1_000u64),
        (any_duration(), any_duration(), any_duration()),
    );
    let panic = (0..=100u32, select(Policy::ALL.to_vec()));
    (option::of((probe, rules)), passive, panic).prop_map(|(probe, passive, panic)| {
        let ((failures, share, requests), (window, pause, more)) = passive;
        let (probe, rules) = probe.unzip();
        crate::pool::health::Options {
            probe,
            rules: rules.unwrap_or_default(),
            passive: Passive {
                failures,
                share,
                window,
                requests,
                pause,
                pause_max: pause + more,
            },
            panic: Panic {
                below: panic.0,
                policy: panic.1,
            },
        }
    })
}

fn any_pool() -> impl Strategy<Value = Options> {
    let members = (
        any_member(1),
        vec(any_member(2), 0..=1),
        vec(any_member(3), 0..=1),
    );
    let times = vec(any_duration(), 6);
    let numbers = (0..=100u32, 0..=100u32, 0..1_000_000usize);
    let tls = (any::<bool>(), any::<bool>(), option::of("[a-z.]{1,9}"));
    let switches = vec(any::<bool>(), 6);
    (
        any_choice().boxed(),
        members,
        any_health().boxed(),
        (times, numbers, tls, switches),
    )
        .prop_map(|(strategy, (one, two, three), health, rest)| {
            let (times, (tries, budget, length), (insecure, shows, server_name), is) = rest;
            let mut options = Options::new("p", []);
            options.strategy = strategy;
            options.members = [vec![one], two, three].concat();
            options.health = health;
            options.retry = Retry {
                times: tries,
                budget,
            };
            options.deadlines = Deadlines {
                connect: times[0],
                per_try: is[0].then_some(times[1]),
                total: is[1].then_some(times[2]),
                keep: times[3],
            };
            options.queue = Waiting {
                length,
                wait: times[4],
            };
            options.sticky = is[2].then(|| Sticky {
                cookie: "at".to_owned(),
            });
            options.hedge = is[3].then_some(times[5]);
            options.slow_start = is[4].then_some(times[5]);
            options.resolver = is[5].then(|| ([127, 0, 0, 1], 53).into());
            options.tls = ClientTls {
                ca: shows.then(|| "ca.pem".into()),
                identity: shows.then(|| Identity {
                    cert: "c.pem".into(),
                    key: "k.pem".into(),
                }),
                insecure,
                server_name,
            };
            options
        })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_pool(pool in any_pool()) {
        let server = "[server.s]\nlisten = \"http://:1\"\nservice.balance = \"p\"\n[pool.p]\nbackend = \"http://:2\"\n";
        let (plan, _) = parse("c", server).expect("a plan");
        let plan = Plan { pools: vec![pool], ..plan };
        let text = plan.to_toml();
        match parse("printed", &text) {
            Ok((again, _)) => prop_assert_eq!(again, plan, "{}", text),
            Err(report) => prop_assert!(false, "{}\n{}", report.lines(), text),
        }
    }
}

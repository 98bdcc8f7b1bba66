//! What a hash is made of: the same field, cookie, path or parameter, the same backend, whatever else is another.

use std::collections::{BTreeMap, BTreeSet};

use bandy::http::Http;
use bandy::pool::strategy::{Choice, KeyOf};
use bandy::services::greet::Greet;

use super::*;

/// Three backends that say who they are, and a balancer that decides by this.
struct Three {
    stage: Stage,
    fars: Vec<Running>,
    server: Running,
}

fn three(choice: Choice) -> Three {
    let stage = Stage::new();
    let far = |name| {
        let server = Server::new(Http::new(Greet::new(name)));
        stage.start(server, &[Scheme::Http])
    };
    let fars: Vec<Running> = ["a", "b", "c"].into_iter().map(far).collect();
    let endpoints = fars.iter().map(|far| far.endpoint().clone());
    let mut options = Options::new("far", endpoints);
    options.strategy = choice;
    let server = before(&stage, options);
    Three {
        stage,
        fars,
        server,
    }
}

/// Who answers such a request, on a connection of its own.
fn who(three: &Three, target: &str, fields: &str) -> String {
    let mut client = Raw::to(&three.server);
    client.say(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let (head, body) = client.hear();
    assert_eq!(status(&head), 200, "{head}");
    body.trim().to_owned()
}

/// One key after the other, each with other things beside it: always the same backend, and all of them in use.
#[track_caller]
fn decides(key: &str, request: impl Fn(usize, usize) -> (String, String)) {
    let three = three(Choice::ConsistentHash {
        key: key.parse::<KeyOf>().expect("a key"),
        load: 0,
    });
    assert!(three.fars.len() == 3 && three.stage.folder().exists());
    let mut all = BTreeSet::new();
    for one in 0..24 {
        let answers: BTreeSet<String> = (0..3)
            .map(|other| request(one, other))
            .map(|(target, fields)| who(&three, &target, &fields))
            .collect();
        assert_eq!(answers.len(), 1, "{key} {one}: {answers:?}");
        all.extend(answers);
    }
    assert_eq!(all.len(), 3, "{key}: {all:?}");
}

#[test]
fn a_field() {
    decides("header:x-user", |one, other| {
        let fields = format!("X-User: u{one}\r\nCookie: user=u{other}\r\n");
        (format!("/{other}?user={other}"), fields)
    });
}

#[test]
fn a_cookie() {
    decides("cookie:user", |one, other| {
        let fields = format!("X-User: u{other}\r\nCookie: other={other}; user=u{one}\r\n");
        (format!("/{other}"), fields)
    });
}

#[test]
fn a_path_without_its_query() {
    decides("path", |one, other| {
        (
            format!("/x/{one}?q={other}"),
            format!("X-User: u{other}\r\n"),
        )
    });
}

#[test]
fn a_parameter_of_the_query() {
    decides("query:user", |one, other| {
        (format!("/{other}?a={other}&user=u{one}&z=1"), String::new())
    });
}

#[test]
fn a_request_without_it_is_answered_all_the_same() {
    let three = three(Choice::ConsistentHash {
        key: KeyOf::Query("user".to_owned()),
        load: 0,
    });
    let mut answers = BTreeMap::<String, usize>::new();
    for n in 0..12 {
        *answers
            .entry(who(&three, &format!("/{n}?users=1"), ""))
            .or_default() += 1;
    }
    assert_eq!(answers.values().sum::<usize>(), 12);
}

//! As the configuration says: hedging, cookies and deadlines out of a file.

use std::time::Instant;

use bandy::app::App;
use bandy::config;
use bandy::net::Inherited;

use super::*;

/// A balancer in front of these, whose pool is told this besides.
fn told(fars: &[Far], pool: &str) -> App {
    let urls: Vec<String> = fars
        .iter()
        .map(|far| format!("{:?}", far.endpoint().to_string()))
        .collect();
    let text = format!(
        "[server.edge]\nlisten = \"http://127.0.0.1:0\"\nservice.balance = \"far\"\n\
         [pool.far]\nbackend = [{}]\n{pool}\n",
        urls.join(", ")
    );
    let plan = config::parse("bandy.toml", &text);
    let (plan, _) = plan.unwrap_or_else(|report| panic!("{}", report.lines()));
    App::start(&plan, Inherited::none()).expect("started")
}

fn client(app: &App) -> Raw {
    let (endpoint, _) = app.listeners().next().expect("a listener");
    Raw(BufReader::new(raw::tcp(endpoint)))
}

#[test]
fn a_slow_answer_is_asked_for_elsewhere_too() {
    let fars = [Far::new(), Far::new()];
    let app = told(&fars, "hedge = \"30ms\"");
    let mut client = client(&app);
    client.say(GET);
    let mut slow = fars[0].accept();
    slow.head();
    fars[1].accept().serve("the second");
    assert_eq!(client.hear().1, "the second");
    // Nobody waits for the first any more.
    slow.closed();
}

#[test]
fn what_may_not_be_asked_twice_is_not() {
    let fars = [Far::new(), Far::new()];
    let app = told(&fars, "hedge = \"30ms\"");
    let mut client = client(&app);
    let began = Instant::now();
    client.say(post("once"));
    let mut only = fars[0].accept();
    only.head();
    assert_eq!(only.exactly(4), b"once");
    bandy_testkit::eventually("the hedge's time to pass", || match began.elapsed() {
        long if long > MS * 120 => Ok(()),
        short => Err(format!("{short:?}")),
    });
    fars[1].unasked();
    only.say(ok("done"));
    assert_eq!(client.hear().1, "done");
}

#[test]
fn a_cookie_says_where_to_stay() {
    let fars = [Far::new(), Far::new()];
    let app = told(&fars, "sticky = \"stay\"");
    let mut client = client(&app);
    client.say(GET);
    let mut one = fars[0].accept();
    one.serve("one");
    let (head, _) = client.hear();
    let cookie = field(&head, "set-cookie").and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.expect("a cookie").to_owned();
    assert!(cookie.starts_with("stay="), "{cookie}");
    for _ in 0..3 {
        client.say(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"
        ));
        one.serve("again");
        assert_eq!(client.hear().1, "again");
    }
    fars[1].unasked();
}

#[test]
fn a_try_has_its_time_and_another_backend_gets_the_next() {
    let fars = [Far::new(), Far::new()];
    let app = told(&fars, "deadlines = { try = \"50ms\", total = \"20s\" }");
    let mut client = client(&app);
    client.say(GET);
    let mut hangs = fars[0].accept();
    hangs.head();
    fars[1].accept().serve("in time");
    assert_eq!(client.hear().1, "in time");
    hangs.closed();
}

#[test]
fn all_tries_together_have_theirs() {
    let fars = [Far::new(), Far::new()];
    let app = told(
        &fars,
        "deadlines = { try = \"10s\", total = \"80ms\" }\nretries = 5",
    );
    let mut client = client(&app);
    let began = Instant::now();
    client.say(GET);
    let mut hangs = fars[0].accept();
    hangs.head();
    let (head, body) = client.hear();
    assert_eq!(status(&head), 504, "{body}");
    assert!(began.elapsed() < MS * 5_000, "{:?}", began.elapsed());
    // There was no time left for another.
    fars[1].unasked();
    hangs.closed();
}

const MS: std::time::Duration = std::time::Duration::from_millis(1);

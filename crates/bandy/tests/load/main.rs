//! Load on servers that behave and on servers that do not: whatever they do, each request is accounted for, and what
//! their users would have felt is in the numbers.

mod accounting;
mod chat;
mod faults;
mod http2;
mod transports;

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bandy::Endpoint;
use bandy::load::{
    Arrivals, HttpRequest, Outcome, Pace, Plan, Rate, Report, Run, Script, Stop, Work,
};
use bandy::net::Dialer;
use bandy_testkit::PATIENCE;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that does this with each connection, on a thread of its own; the number is the connection's, from 0.
fn server(each: impl Fn(u64, TcpStream) + Send + Sync + 'static) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let each = Arc::new(each);
    thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
            let each = each.clone();
            thread::spawn(move || {
                stream.set_nodelay(true).expect("an option");
                stream.set_read_timeout(Some(PATIENCE)).expect("an option");
                each(number, stream);
            });
        }
    });
    format!("http://{address}").parse().expect("an endpoint")
}

/// Reads a request without a body; whether there was one.
fn hear(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0; 512];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) | Err(_) => return false,
            Ok(n) => seen.extend_from_slice(&byte[..n]),
        }
    }
    true
}

fn plan(to: &Endpoint, connections: usize) -> Plan {
    Plan {
        work: Work::Http1(Script::one(HttpRequest::get(to), to)),
        to: to.clone(),
        dialer: Dialer::plain(),
        pace: Pace::Closed,
        stop: Stop::default(),
        connections,
        per_connection: None,
        timeout: PATIENCE,
        loops: Some(2),
    }
}

fn open(rate: f64) -> Pace {
    Pace::Open {
        rate: Rate::constant(rate),
        arrivals: Arrivals::Constant,
    }
}

fn run(plan: Plan) -> Outcome {
    let outcome = Run::start(plan)
        .and_then(Run::finish)
        .unwrap_or_else(|e| panic!("{e}"));
    let requests = outcome.requests();
    assert!(requests.reconcile(), "{requests:?}");
    assert_eq!(
        outcome.tally.causes.iter().sum::<u64>(),
        requests.failed + requests.timed_out
    );
    assert_eq!(
        outcome.latency.len(),
        requests.done,
        "errors are not in the latency"
    );
    let in_slices: u64 = outcome.slices.iter().map(|slice| slice.done).sum();
    assert_eq!(in_slices, requests.done);
    // What is told is what was counted.
    let report = Report::of(&outcome);
    let text = serde_json::to_string(&report).expect("JSON");
    let schema = serde_json::from_str(bandy::load::report::SCHEMA).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let value = serde_json::from_str(&text).expect("JSON");
    let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0], "{text}");
    assert_eq!(
        serde_json::from_str::<Report>(&text).expect("read again"),
        report
    );
    outcome
}

fn of(requests: u64) -> Stop {
    Stop {
        after: None,
        requests: Some(requests),
    }
}

fn after(millis: u64) -> Stop {
    Stop {
        after: Some(Duration::from_millis(millis)),
        requests: None,
    }
}

//! `balance` over HTTP: its laws as conversations, with backends that say what a test tells them to, byte for byte.

mod bodies;
mod chaos;
mod fields;
mod forward;
mod gate;
mod h2;
mod keys;
mod plan;
mod proxied;
mod retries;
mod sticky;
mod switch;
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bandy::endpoint::{Endpoint, Scheme};
use bandy::pool::{Options, Pool};
use bandy::server::Running;
use bandy::services::balance::Balance;
use bandy::services::balance::http::Rules;
use bandy::{Model, Server};
use bandy_testkit::{PATIENCE, Stage, raw};

/// Another server, which says what the test tells it to.
struct Far(TcpListener);

impl Far {
    fn new() -> Far {
        Far(TcpListener::bind("127.0.0.1:0").expect("a free port"))
    }

    fn endpoint(&self) -> Endpoint {
        let address = self.0.local_addr().expect("bound");
        Endpoint::at(Scheme::Http, address).expect("has a port")
    }

    /// The next connection that comes.
    fn accept(&self) -> Raw {
        let (stream, _) = self.0.accept().expect("a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_nodelay(true))
            .expect("a socket takes options");
        Raw(BufReader::new(stream))
    }

    /// Nobody has connected, and nobody waits to be accepted.
    fn unasked(&self) {
        self.0
            .set_nonblocking(true)
            .expect("a socket takes options");
        let came = self.0.accept();
        assert!(came.is_err(), "somebody connected");
    }
}

/// An end of a connection, in bytes.
struct Raw(BufReader<TcpStream>);

impl Raw {
    fn to(server: &Running) -> Raw {
        Raw(BufReader::new(raw::tcp(server.endpoint())))
    }

    #[track_caller]
    fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Raw {
        let written = self.0.get_mut().write_all(bytes.as_ref());
        written.expect("the other end takes it");
        self
    }

    /// A head, with its empty line, and nothing behind it.
    #[track_caller]
    fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            let n = self.0.read_line(&mut head).expect("a line in time");
            assert!(n > 0, "the connection ended in a head: {head:?}");
            if head.ends_with("\r\n\r\n") {
                return head;
            }
        }
    }

    #[track_caller]
    fn exactly(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).expect("so much in time");
        bytes
    }

    /// A head and the body that its Content-Length says.
    #[track_caller]
    fn hear(&mut self) -> (String, String) {
        let head = self.head();
        let len = field(&head, "content-length").map_or(0, |len| len.parse().expect("a length"));
        let body = String::from_utf8(self.exactly(len)).expect("text");
        (head, body)
    }

    /// The other end has closed, and nothing more came.
    #[track_caller]
    fn closed(&mut self) {
        raw::closed(&mut self.0);
    }

    /// Takes a request, and answers with this body.
    #[track_caller]
    fn serve(&mut self, body: &str) -> String {
        let head = self.head();
        self.say(ok(body));
        head
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (n, value) = line.split_once(": ")?;
        n.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn status(head: &str) -> u16 {
    let code = head.get(9..12).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no status: {head:?}"))
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const GET: &str = "GET /a%2Fb?c HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn post(body: &str) -> String {
    let len = body.len();
    format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len}\r\n\r\n{body}")
}

/// A pool of these, one asked after the other.
fn pool<'a>(fars: impl IntoIterator<Item = &'a Far>) -> Options {
    Options::new("far", fars.into_iter().map(Far::endpoint))
}

/// A balancer in front of a pool, and the pool.
fn balancer(stage: &Stage, options: Options, rules: Rules) -> (Running, Arc<Pool>) {
    let pool = Pool::new(options).expect("a pool");
    let service = Balance::of(pool.clone()).rules(rules).http();
    // Sequentially nothing shares a loop, and `async` may put each connection on another.
    let server = Server::new(service).model(Model::Async);
    (stage.start(server, &[Scheme::Http]), pool)
}

fn before(stage: &Stage, options: Options) -> Running {
    balancer(stage, options, Rules::default()).0
}

#[test]
fn one_connection_serves_one_request_after_the_other() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    let head = backend.serve("one");
    // Byte for byte, as it was asked.
    assert!(
        head.starts_with("GET /a%2Fb?c HTTP/1.1\r\nhost: a.test\r\n"),
        "{head}"
    );
    assert_eq!(client.hear().1, "one");
    for body in ["two", "three"] {
        client.say(GET);
        backend.serve(body);
        assert_eq!(client.hear().1, body);
    }
    far.unasked();
}

#[test]
fn with_no_backend_ready_the_answer_is_503_at_once() {
    let (stage, far) = (Stage::new(), Far::new());
    let (server, pool) = balancer(&stage, pool([&far]), Rules::default());
    pool.members().iter().for_each(|backend| backend.drain());
    let mut client = Raw::to(&server);
    let (head, body) = client.say(GET).hear();
    assert_eq!(status(&head), 503);
    assert_eq!(
        field(&head, "content-type"),
        Some("application/problem+json")
    );
    assert!(body.contains("upstream"), "{body}");
    far.unasked();
}

#[test]
fn a_drained_backend_keeps_what_it_has() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let (server, pool) = balancer(&stage, pool(&fars), Rules::default());
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut first = fars[0].accept();
    first.head();
    pool.members()[0].drain();
    first.say(ok("kept"));
    assert_eq!(client.hear().1, "kept");
    for _ in 0..2 {
        client.say(GET);
    }
    let mut second = fars[1].accept();
    for _ in 0..2 {
        second.serve("new");
        assert_eq!(client.hear().1, "new");
    }
}

#[test]
fn one_after_the_other_is_asked() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let server = before(&stage, pool(&fars));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut one = fars[0].accept();
    one.serve("1");
    assert_eq!(client.hear().1, "1");
    client.say(GET);
    let mut two = fars[1].accept();
    two.serve("2");
    assert_eq!(client.hear().1, "2");
    for (backend, body) in [(&mut one, "3"), (&mut two, "4")] {
        client.say(GET);
        backend.serve(body);
        assert_eq!(client.hear().1, body);
    }
}

#[test]
fn where_all_are_at_their_bound_the_next_waits() {
    let (stage, far) = (Stage::new(), Far::new());
    let mut options = pool([&far]);
    options.members[0].max = Some(1);
    let server = before(&stage, options);
    let (mut one, mut two) = (Raw::to(&server), Raw::to(&server));
    one.say(GET);
    let mut backend = far.accept();
    backend.head();
    two.say(GET);
    far.unasked();
    far.0
        .set_nonblocking(false)
        .expect("a socket takes options");
    backend.say(ok("one"));
    assert_eq!(one.hear().1, "one");
    drop((one, backend));
    // On another event loop it is another connection.
    far.accept().serve("two");
    assert_eq!(two.hear().1, "two");
}

#[test]
fn a_request_on_its_way_is_small() {
    let balance = Balance::of(Pool::new(pool([&Far::new()])).expect("a pool"));
    let request = bandy::http::Request::new(bandy::http::Body::empty());
    let size = size_of_val(&bandy::Service::call(&balance, request));
    // Connecting, TLS and HTTP/2 are not in it: each request allocates this.
    assert!(size <= 5 << 10, "{size}");
}

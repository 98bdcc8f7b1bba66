//! Requests that are passed on as they came: what they and their answers are when a connection stands already.

use bandy::limits::HttpLimits;

use super::*;

/// A client and a backend, between which a request was passed on before, so that a connection stands.
fn standing(stage: &Stage, far: &Far) -> (Running, Raw, Raw) {
    let server = before(stage, pool([far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    backend.serve("first");
    assert_eq!(client.hear().1, "first");
    (server, client, backend)
}

/// The next request on the same two connections.
#[track_caller]
fn still_stands(client: &mut Raw, backend: &mut Raw) {
    client.say(GET);
    backend.serve("next");
    assert_eq!(client.hear().1, "next");
}

#[test]
fn heads_are_what_they_are_on_the_other_way() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    client.say("GET http://B.test/a%2Fb?c HTTP/1.1\r\nHOST: a.test\r\nX-One:  1 \r\nx-two:\r\nExpect: 100-continue\r\n\r\n");
    let head = backend.head();
    let (lines, rest) = head
        .split_once("x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: B.test\r\nx-request-id: ")
        .expect("what is said beside");
    assert_eq!(
        lines,
        "GET /a%2Fb?c HTTP/1.1\r\nhost: B.test\r\nx-one: 1\r\nx-two: \r\n"
    );
    assert_eq!(rest.len(), "0123456789abcdef0123456789abcdef\r\n\r\n".len());
    backend.say("HTTP/1.1 299 Odd\r\nDATE: long ago\r\nX-One:  1 \r\nKeep-Alive: timeout=5\r\nConnection: x-mine\r\nX-Mine: 1\r\nContent-Length: 2\r\n\r\nok");
    let (head, body) = client.hear();
    assert_eq!(
        head,
        "HTTP/1.1 299 \r\ndate: long ago\r\nx-one: 1\r\ncontent-length: 2\r\n\r\n"
    );
    assert_eq!(body, "ok");
    still_stands(&mut client, &mut backend);
}

#[test]
fn what_asks_for_the_servers_own_times_goes_no_further() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    client.say("GET / HTTP/1.1\r\nHost: a.test\r\nBandy-Timing: 1\r\n\r\n");
    assert_eq!(field(&backend.head(), "bandy-timing"), None);
    backend.say(ok(""));
    let (head, _) = client.hear();
    assert!(field(&head, "server-timing").is_some(), "{head}");
}

#[test]
fn a_body_that_is_whole_goes_along() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    // And what is behind it is the next request.
    client.say(post("hello") + GET);
    let (head, body) = backend.hear();
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
    assert_eq!(body, "hello");
    backend.say(ok("heard"));
    assert_eq!(client.hear().1, "heard");
    backend.serve("next");
    assert_eq!(client.hear().1, "next");
    client.say("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(field(&backend.serve(""), "content-length"), Some("0"));
    client.hear();
}

#[test]
fn an_answer_means_the_same_however_it_is_cut() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 5\r\n\r\nhello";
    for cut in [1, 30, 44, 60, 80, answer.len() - 5, answer.len() - 1] {
        client.say(GET);
        backend.head();
        let (first, second) = answer.split_at(cut);
        backend.say(first);
        // Not a promise of two reads, but of one meaning.
        std::thread::yield_now();
        backend.say(second);
        let (head, body) = client.hear();
        assert_eq!((status(&head), body.as_str()), (200, "hello"), "{cut}");
        assert_eq!(field(&head, "x-one"), Some("1"));
    }
    still_stands(&mut client, &mut backend);
}

#[test]
fn what_has_no_body_has_none() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    client.say("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    backend.head();
    backend.say("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    assert_eq!(field(&client.head(), "content-length"), Some("7"));
    for line in ["204 No Content", "304 Not Modified"] {
        client.say(GET);
        backend.head();
        backend.say(format!("HTTP/1.1 {line}\r\nETag: \"a\"\r\n\r\n"));
        let head = client.head();
        assert!(head.starts_with(&format!("HTTP/1.1 {line}\r\n")), "{head}");
        assert_eq!(field(&head, "content-length"), None);
    }
    still_stands(&mut client, &mut backend);
}

#[test]
fn a_backend_that_closes_does_not_close_the_client() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast";
    client.say(GET);
    backend.head();
    backend.say(last);
    let (head, body) = client.hear();
    assert_eq!(field(&head, "connection"), None, "{head}");
    assert_eq!(body, "last");
    backend.closed();
    // Nor on a connection that is new.
    client.say(GET);
    let mut backend = far.accept();
    backend.head();
    backend.say(last);
    assert_eq!(field(&client.hear().0, "connection"), None);
    backend.closed();
    client.say(GET);
    far.accept().serve("again");
    assert_eq!(client.hear().1, "again");
}

#[test]
fn what_cannot_be_understood_is_502_and_the_connection_gone() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    let wrongs = [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "nonsense\r\n\r\n",
    ];
    for wrong in wrongs {
        // What is asked for with POST is not asked for again.
        client.say(post(""));
        backend.hear();
        backend.say(wrong);
        assert_eq!(status(&client.hear().0), 502, "{wrong}");
        backend.closed();
        client.say(GET);
        backend = far.accept();
        backend.serve("well");
        assert_eq!(client.hear().1, "well");
    }
}

#[test]
fn a_client_that_leaves_is_not_answered_for() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    client.say(GET);
    backend.head();
    raw::reset(client.0.into_inner());
    backend.closed();
}

#[test]
fn who_wants_to_go_is_let_go() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = standing(&stage, &far);
    client.say("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    assert_eq!(field(&backend.serve("bye"), "connection"), None);
    let (head, body) = client.hear();
    assert_eq!(
        (field(&head, "connection"), body.as_str()),
        (Some("close"), "bye")
    );
    client.closed();
}

#[test]
fn so_is_the_last_of_as_many_as_may_be_asked() {
    let (stage, far) = (Stage::new(), Far::new());
    let limits = HttpLimits {
        requests: 2,
        ..HttpLimits::default()
    };
    let balance = Balance::of(Pool::new(pool([&far])).expect("a pool"));
    let server = Server::new(balance.http().limits(limits));
    let server = stage.start(server.model(Model::Async), &[Scheme::Http]);
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    backend.serve("one");
    assert_eq!(field(&client.hear().0, "connection"), None);
    client.say(GET);
    backend.serve("two");
    assert_eq!(field(&client.hear().0, "connection"), Some("close"));
    client.closed();
}

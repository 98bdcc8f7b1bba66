//! What is tried again, and what never is.

use std::time::Duration;

use super::*;

#[test]
fn what_could_not_connect_goes_to_another_whatever_it_is() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let options = pool(&fars);
    let [gone, there] = fars;
    drop(gone);
    let server = before(&stage, options);
    let mut client = Raw::to(&server);
    client.say(post("intact"));
    let mut backend = there.accept();
    let (head, body) = backend.hear();
    assert!(head.starts_with("POST / "), "{head}");
    assert_eq!(body, "intact");
    backend.say(ok("done"));
    assert_eq!(client.hear().1, "done");
}

#[test]
fn a_body_that_is_still_coming_is_intact_after_a_failure_to_connect() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let options = pool(&fars);
    let [gone, there] = fars;
    drop(gone);
    let server = before(&stage, options);
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
    let mut backend = there.accept();
    backend.head();
    client.say("intact");
    assert_eq!(backend.exactly(6), b"intact");
    backend.say(ok("done"));
    assert_eq!(client.hear().1, "done");
}

#[test]
fn what_may_be_repeated_is_after_bytes_were_sent() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let server = before(&stage, pool(&fars));
    for ask in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut client = Raw::to(&server);
        client.say(ask);
        let mut first = fars[0].accept();
        let sent = first.hear();
        drop(first);
        let mut second = fars[1].accept();
        assert_eq!(second.hear().1, sent.1);
        second.say(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\n{}",
            &ok("done")[17..]
        ));
        assert_eq!(client.hear().1, "done");
    }
}

#[test]
fn what_may_not_be_repeated_is_not_once_bytes_were_sent() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let server = before(&stage, pool(&fars));
    let mut client = Raw::to(&server);
    client.say(post("once"));
    let mut first = fars[0].accept();
    first.hear();
    drop(first);
    let (head, body) = client.hear();
    assert_eq!(status(&head), 502);
    assert!(body.contains("upstream"), "{body}");
    fars[1].unasked();
}

#[test]
fn nothing_is_repeated_once_an_answer_has_begun() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let server = before(&stage, pool(&fars));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut first = fars[0].accept();
    first.head();
    first.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    drop(first);
    // It breaks off for the client as well: nobody takes it for whole.
    let said = String::from_utf8(raw_rest(&mut client)).expect("text");
    assert!(said.ends_with("\r\n\r\nhalf"), "{said}");
    fars[1].unasked();
}

/// All that comes, whatever the end.
fn raw_rest(end: &mut Raw) -> Vec<u8> {
    let mut rest = Vec::new();
    drop(end.0.read_to_end(&mut rest));
    rest
}

/// A client and a backend's connection to which its next request goes.
fn warm(stage: &Stage, far: &Far) -> (Running, Raw, Raw) {
    let server = before(stage, pool([far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    backend.serve("warm");
    assert_eq!(client.hear().1, "warm");
    (server, client, backend)
}

#[test]
fn a_kept_connection_that_is_closed_under_a_request_is_replaced() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = warm(&stage, &far);
    client.say(GET);
    backend.head();
    drop(backend);
    far.accept().serve("fresh");
    assert_eq!(client.hear().1, "fresh");
}

#[test]
fn one_that_is_reset_is_too() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = warm(&stage, &far);
    client.say(GET);
    backend.head();
    raw::reset(backend.0.into_inner());
    far.accept().serve("fresh");
    assert_eq!(client.hear().1, "fresh");
}

#[test]
fn but_not_under_what_may_not_be_repeated() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = warm(&stage, &far);
    client.say(post("once"));
    backend.hear();
    drop(backend);
    assert_eq!(status(&client.hear().0), 502);
    far.unasked();
}

#[test]
fn a_kept_connection_that_was_closed_is_not_used() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = warm(&stage, &far);
    backend
        .0
        .get_mut()
        .shutdown(std::net::Shutdown::Write)
        .expect("open");
    // The balancer closes its end of it by itself.
    backend.closed();
    client.say(post("once"));
    let mut fresh = far.accept();
    assert_eq!(fresh.hear().1, "once");
    fresh.say(ok("done"));
    assert_eq!(client.hear().1, "done");
}

#[test]
fn a_connection_with_something_left_on_it_is_never_used_again() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut backend = far.accept();
    backend.head();
    backend.say(format!(
        "{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ok("good")
    ));
    assert_eq!(client.hear().1, "good");
    backend.closed();
    client.say(GET);
    far.accept().serve("fresh");
    assert_eq!(client.hear().1, "fresh");
}

#[test]
fn nor_one_on_which_something_comes_unasked() {
    let (stage, far) = (Stage::new(), Far::new());
    let (_server, mut client, mut backend) = warm(&stage, &far);
    backend.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    backend.closed();
    client.say(GET);
    far.accept().serve("fresh");
    assert_eq!(client.hear().1, "fresh");
}

#[test]
fn retries_stay_within_their_budget_with_every_backend_failing() {
    const REQUESTS: usize = 200;
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let mut options = pool(&fars);
    // Nobody is taken out: all of them fail for as long as it takes.
    options.health.passive.failures = 0;
    options.health.passive.share = 0;
    let server = before(&stage, options);
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for far in fars {
        let asked = asked.clone();
        std::thread::spawn(move || {
            loop {
                let mut came = far.accept();
                asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                came.head();
            }
        });
    }
    let mut client = Raw::to(&server);
    for _ in 0..REQUESTS {
        client.say(GET);
        assert_eq!(status(&client.hear().0), 502);
    }
    let asked = asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!(asked > REQUESTS, "nothing was tried again: {asked}");
    let reserve = bandy::pool::Budget::RESERVE as usize;
    assert!(
        asked <= REQUESTS + REQUESTS / 5 + reserve,
        "{asked} of {REQUESTS}"
    );
}

#[test]
fn a_backend_that_does_not_answer_is_given_up_and_another_asked() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let mut options = pool(&fars);
    options.deadlines.per_try = Some(Duration::from_millis(100));
    let server = before(&stage, options);
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut silent = fars[0].accept();
    silent.head();
    fars[1].accept().serve("there");
    assert_eq!(client.hear().1, "there");
    silent.closed();
}

#[test]
fn where_nobody_answers_in_time_it_is_504() {
    let (stage, far) = (Stage::new(), Far::new());
    let mut options = pool([&far]);
    options.deadlines.total = Some(Duration::from_millis(100));
    let server = before(&stage, options);
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut silent = far.accept();
    silent.head();
    let (head, body) = client.hear();
    assert_eq!(status(&head), 504);
    assert!(body.contains("upstream"), "{body}");
}

#[test]
fn an_answers_time_begins_with_the_end_of_the_request() {
    let (stage, far) = (Stage::new(), Far::new());
    let mut options = pool([&far]);
    options.deadlines.total = Some(Duration::from_secs(2));
    options.deadlines.per_try = Some(Duration::from_secs(2));
    let server = before(&stage, options);
    let mut client = Raw::to(&server);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let mut backend = far.accept();
    backend.head();
    // Each byte arrives before the next is sent; all of them take longer than an answer may.
    for byte in "0123456789".chars() {
        std::thread::sleep(Duration::from_millis(250));
        client.say(byte.to_string());
        backend.exactly(1);
    }
    backend.say(ok("done"));
    assert_eq!(client.hear().1, "done");
}

#[test]
fn what_is_no_answer_is_502() {
    let (stage, far) = (Stage::new(), Far::new());
    let server = before(&stage, pool([&far]));
    for nonsense in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let mut client = Raw::to(&server);
        client.say(post(""));
        let mut backend = far.accept();
        backend.hear();
        backend.say(nonsense);
        assert_eq!(status(&client.hear().0), 502, "{nonsense:?}");
        backend.closed();
    }
}

#[test]
fn a_slow_backend_is_overtaken_by_another_where_that_is_wanted() {
    let (stage, fars) = (Stage::new(), [Far::new(), Far::new()]);
    let mut options = pool(&fars);
    options.hedge = Some(Duration::from_millis(50));
    let server = before(&stage, options);
    let mut client = Raw::to(&server);
    client.say(GET);
    let mut slow = fars[0].accept();
    slow.head();
    let mut quick = fars[1].accept();
    quick.serve("quick");
    assert_eq!(client.hear().1, "quick");
    slow.closed();
    // What may not be repeated waits.
    client.say(post("once"));
    let mut slow = fars[0].accept();
    slow.hear();
    slow.say(ok("slow"));
    assert_eq!(client.hear().1, "slow");
}

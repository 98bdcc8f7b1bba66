//! HTTP/2 on our own codec, with a server of other people's that does as it is told.

use bandy::Model;
use bandy::endpoint::{Endpoint, Scheme};
use bandy::error::Kind;
use bandy::http::Method;
use bandy::load::tally::Cause;
use bandy::load::{HttpRequest, Plan, Run, Script, Work};
use bandy::services::Spec;
use bandy_testkit::Stage;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::TcpListener;

use super::{after, of, plan, run};

/// A server that answers each request like this; `at_most` of them on a connection.
fn server<F>(
    at_most: Option<usize>,
    answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Copy + Send + 'static,
) -> Endpoint
where
    F: Future<Output = ()> + Send + 'static,
{
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("an event loop");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            tell.send(address).expect("somebody waits");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    builder.max_concurrent_streams(3).initial_window_size(16);
                    let Ok(mut connection) = builder.handshake(stream).await else {
                        return;
                    };
                    let mut count = 0;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond));
                        count += 1;
                        if at_most == Some(count) {
                            connection.graceful_shutdown();
                        }
                    }
                });
            }
        });
    });
    let address = told.recv().expect("an address");
    format!("http://{address}").parse().expect("an endpoint")
}

fn asking(to: &Endpoint, streams: usize) -> Plan {
    let script = Script::one(
        HttpRequest {
            method: Method::POST,
            body: Bytes::from(vec![b'x'; 1000]),
            ..HttpRequest::get(to)
        },
        to,
    );
    Plan {
        work: Work::Http2 { script, streams },
        ..plan(to, 2)
    }
}

/// Takes all of a request, and answers with so much, and with trailers.
async fn whole(mut request: Request<RecvStream>, mut respond: SendResponse<Bytes>, length: usize) {
    let mut taken = 0;
    while let Some(data) = request.body_mut().data().await {
        let Ok(data) = data else { return };
        taken += data.len();
        let flow = request.body_mut().flow_control();
        flow.release_capacity(data.len()).expect("what was taken");
    }
    let status = if taken == 1000 { 200 } else { 400 };
    let response = Response::builder()
        .status(status)
        .header("x-taken", taken)
        .header("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let response = response.body(()).expect("a response");
    let Ok(mut stream) = respond.send_response(response, false) else {
        return;
    };
    let _ = stream.send_data(Bytes::from(vec![b'y'; length]), false);
    let _ = stream.send_trailers(
        [(
            "x-sum".parse().expect("a name"),
            "1".parse().expect("a value"),
        )]
        .into_iter()
        .collect(),
    );
}

#[test]
fn bodies_and_answers_of_any_length() {
    // The server takes three at a time, and sixteen bytes of a body before it has read them.
    for length in [0, 1, 70_000, 3_000_000] {
        let to = match length {
            0 => server(None, |request, respond| whole(request, respond, 0)),
            1 => server(None, |request, respond| whole(request, respond, 1)),
            70_000 => server(None, |request, respond| whole(request, respond, 70_000)),
            _ => server(None, |request, respond| whole(request, respond, 3_000_000)),
        };
        let outcome = run(Plan {
            stop: of(40),
            ..asking(&to, 8)
        });
        assert_eq!(outcome.requests().done, 40, "{length}: {:?}", outcome.tally);
        assert_eq!(outcome.tally.status[2], 40);
        assert_eq!(outcome.tally.connected, 2);
        assert!(outcome.tally.sent_bytes > 40_000);
        assert!(outcome.tally.received_bytes > 40 * length as u64);
    }
}

/// A server that says goodbye after every few requests: those that it did not look at are made again.
#[test]
fn goodbyes_cost_no_request() {
    let to = server(Some(5), |request, respond| whole(request, respond, 10));
    let outcome = run(Plan {
        stop: of(60),
        ..asking(&to, 4)
    });
    assert_eq!(outcome.requests().done, 60, "{:?}", outcome.tally);
    assert!(outcome.tally.connected >= 12, "{:?}", outcome.tally);
}

#[test]
fn resets_and_silence() {
    let to = server(None, |_, mut respond: SendResponse<Bytes>| async move {
        respond.send_reset(Reason::ENHANCE_YOUR_CALM);
    });
    let outcome = run(Plan {
        stop: of(20),
        ..asking(&to, 2)
    });
    assert_eq!(outcome.tally.of(Cause::Reset), 20, "{:?}", outcome.tally);
    let example = outcome.tally.examples[Cause::Reset as usize].as_deref();
    assert!(
        example.is_some_and(|text| text.contains("ENHANCE_YOUR_CALM")),
        "{example:?}"
    );

    let to = server(None, |request, respond| async move {
        std::future::pending::<()>().await;
        drop((request, respond));
    });
    let outcome = run(Plan {
        stop: after(600),
        timeout: std::time::Duration::from_millis(100),
        ..asking(&to, 2)
    });
    let requests = outcome.requests();
    assert!(
        requests.timed_out >= 4 && requests.done == 0,
        "{requests:?}"
    );
    // A connection on which nothing comes is given up with its requests.
    assert!(outcome.tally.connected > 2, "{:?}", outcome.tally);
}

#[test]
fn a_server_that_speaks_something_else() {
    use std::io::Write as _;
    let to = super::server(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        while super::hear(&mut stream) {}
    });
    let asked = Plan {
        stop: of(5),
        ..asking(&to, 1)
    };
    let told = Run::start(asked)
        .and_then(Run::finish)
        .expect_err("no HTTP/2");
    assert_eq!(told.kind(), Kind::Protocol);
    assert!(told.to_string().contains("does not speak HTTP/2"), "{told}");
}

#[test]
fn connections_are_for_so_many_requests() {
    let to = server(None, |request, respond| whole(request, respond, 1));
    let outcome = run(Plan {
        stop: of(60),
        per_connection: Some(6),
        ..asking(&to, 3)
    });
    assert_eq!(outcome.requests().done, 60, "{:?}", outcome.tally);
    assert!(outcome.tally.connected >= 10, "{:?}", outcome.tally);
}

#[test]
fn http2_has_many_at_a_time() {
    let stage = Stage::new();
    for scheme in [Scheme::Http, Scheme::Https] {
        let server = stage.serve(&Spec::Echo, &[scheme], Model::Async);
        let to = server.endpoint().clone();
        let script = Script::one(
            HttpRequest {
                method: Method::POST,
                body: Bytes::from_static(b"hello"),
                ..HttpRequest::get(&to)
            },
            &to,
        );
        let outcome = run(Plan {
            work: Work::Http2 { script, streams: 4 },
            stop: of(400),
            dialer: stage.dialer().alpn(&["h2"]),
            ..plan(&to, 2)
        });
        assert_eq!(
            outcome.requests().done,
            400,
            "{scheme}: {:?}",
            outcome.tally
        );
        assert_eq!(outcome.tally.status[2], 400);
        assert_eq!(
            outcome.tally.connected, 2,
            "streams share their connections"
        );
        assert!(outcome.tally.sent_bytes > 400 * 5);
    }
}

//! Every service over every transport it can stand on, under every server model: a conversation each.

use bandy::endpoint::{Carries, Endpoint, Scheme};
use bandy::services::{Needs, Spec};
use bandy::{Model, Server, services};
use bandy_testkit::{Client, Stage, noise};

fn specs() -> [Spec; 6] {
    [
        Spec::Echo,
        Spec::Greet {
            text: "Hello".to_owned(),
        },
        Spec::Reply {
            template: "{n}: {message} at {local}".to_owned(),
            pause: None,
        },
        Spec::Discard,
        Spec::Chargen,
        Spec::Exec {
            // On HTTP a head comes first, as CGI wants it.
            command: [
                "sh",
                "-c",
                "read line; [ -z \"$GATEWAY_INTERFACE\" ] || printf 'Content-Type: text/plain\\n\\n'; echo \"$BANDY_SCHEME: $line\"",
            ]
                .map(str::to_owned)
                .into(),
            programs: 10,
        },
    ]
}

/// A place of each scheme, and an IPv6 one where there is IPv6.
fn places(stage: &Stage) -> Vec<Endpoint> {
    let mut places: Vec<Endpoint> = Scheme::ALL.iter().map(|s| stage.place(*s)).collect();
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        places.extend(["tcp", "udp"].map(|s| format!("{s}://[::1]:0").parse().expect("a URL")));
    }
    places
}

async fn matrix(model: Model) {
    let stage = Stage::new();
    let mut cells = 0;
    for spec in specs() {
        // All the transports at one server: under the sequential model they take turns.
        let stands = |place: &Endpoint| spec.stands_on(place.scheme().carries());
        let built = services::build(&spec.clone().into(), &Needs::default()).expect("a service");
        let places = places(&stage).into_iter().filter(stands);
        let server = Server::new(built.service())
            .named(spec.name(), spec.name())
            .model(model);
        let server = stage.start_at(server, places);
        for endpoint in server.endpoints() {
            converse(&spec, stage.connect(endpoint).await, endpoint).await;
            cells += 1;
        }
    }
    assert!(cells >= 40, "{cells} conversations");
}

async fn converse(spec: &Spec, mut client: Client, endpoint: &Endpoint) {
    let carries = endpoint.scheme().carries();
    let is_stream = carries == Carries::Stream;
    if carries == Carries::Request {
        return request(spec, client, endpoint).await;
    }
    match spec {
        Spec::Echo => {
            let data = noise(1, 1000);
            for _ in 0..3 {
                client.say(&data).await;
                assert_eq!(client.hear(data.len()).await, data, "{endpoint}");
            }
            if carries != Carries::Datagram {
                client.finish().await;
                assert_eq!(client.rest().await, "", "{endpoint}");
            }
        }
        Spec::Greet { .. } => {
            let greeting = if is_stream { "Hello\n" } else { "Hello" };
            assert_eq!(client.rest().await, greeting, "{endpoint}");
        }
        Spec::Reply { .. } => {
            let end = if is_stream { "\r\n" } else { "" };
            for n in 1..=2 {
                // A datagram's flow is forgotten between two of them where only one may be served.
                let expected = |n| format!("{n}: ping at {endpoint}{end}");
                client.say(format!("ping{end}")).await;
                let answer = client.hear(expected(n).len()).await;
                let is_new = carries == Carries::Datagram && answer == expected(1);
                assert!(answer == expected(n) || is_new, "{endpoint}: {answer:?}");
            }
        }
        Spec::Discard => {
            client.say(noise(2, 1000)).await;
            if is_stream {
                client.finish().await;
                assert_eq!(client.rest().await, "", "{endpoint}");
            }
        }
        Spec::Chargen => {
            if is_stream {
                let lines = client.hear(10 * 74).await;
                assert!(lines.starts_with(b" !\"#$%&'()*+,-./0123"), "{endpoint}");
                assert!(lines.chunks(74).all(|l| l.ends_with(b"\r\n")), "{endpoint}");
            } else {
                client.say("more").await;
                let answer = client.hear_some().await.expect("a datagram");
                assert!(answer.len() <= 512, "{endpoint}");
            }
        }
        Spec::Exec { .. } => {
            client.say(if is_stream { "ping\n" } else { "ping" }).await;
            let end = if is_stream { "\n" } else { "" };
            let expected = format!("{}: ping{end}", endpoint.scheme());
            assert_eq!(client.rest().await, expected, "{endpoint}");
        }
        other => panic!("no conversation for {other}"),
    }
}

/// One request, and what its response ends with.
async fn request(spec: &Spec, mut client: Client, endpoint: &Endpoint) {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\n";
    client.say(format!("{head}ping")).await;
    let response = client.rest().await;
    let response = String::from_utf8_lossy(&response);
    let end = match spec {
        Spec::Echo => "ping".to_owned(),
        Spec::Greet { .. } => "Hello\n".to_owned(),
        Spec::Exec { .. } => format!("{}: ping\n", endpoint.scheme()),
        _ => format!(": ping at {endpoint}"),
    };
    let is_done = response.starts_with("HTTP/1.1 200 OK\r\n") && response.contains(&end);
    assert!(is_done, "{spec} at {endpoint}: {response}");
}

#[tokio::test]
async fn event_loops() {
    matrix(Model::Async).await;
}

#[tokio::test]
async fn threads() {
    matrix(Model::Threads).await;
}

#[tokio::test]
async fn sequential() {
    matrix(Model::Sequential).await;
}

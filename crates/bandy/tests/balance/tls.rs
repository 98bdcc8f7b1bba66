//! Backends that are asked over TLS: by which name, whom they are believed to be, and as whom the balancer appears.

use bandy::http::client::Version;
use bandy::http::{Body, Downstream, Http, Request, Response};
use bandy::net::tls::{ClientAuth, ClientTls, ServerTls};
use bandy::{Endpoint, Result, service_fn};

use super::*;

/// Says what it was asked for, as whom, and in which version of HTTP.
async fn who(request: Request) -> Result<Response> {
    let tls = Downstream::of(&request).and_then(Downstream::tls).cloned();
    let said = tls.map(|tls| {
        let certificate = tls.peer_certificate.map(|certificate| certificate.subject);
        format!(
            "{:?} {certificate:?} {:?}",
            tls.server_name,
            request.version()
        )
    });
    Ok(Response::new(Body::from(said.unwrap_or_default())))
}

/// A backend with a certificate of the stage's authority that wants to see its clients' ones.
fn far(stage: &Stage) -> Running {
    let tls = ServerTls {
        clients: ClientAuth::Optional(stage.ca().path()),
        ..stage.server_tls()
    };
    let server = Server::new(Http::new(service_fn(who))).tls(tls);
    let server = server.listen_at(stage.place(Scheme::Https));
    server.start().expect("a server that starts")
}

/// What a client hears through a balancer whose pool is told this of TLS.
fn heard(stage: &Stage, far: Endpoint, tls: ClientTls, http: Option<Version>) -> (u16, String) {
    let mut options = Options::new("far", [far]);
    options.tls = tls;
    options.http = http;
    let server = before(stage, options);
    let mut client = Raw::to(&server);
    let (head, body) = client.say(GET).hear();
    (status(&head), body)
}

#[test]
fn a_backend_is_asked_by_name_and_told_who_asks() {
    let stage = Stage::new();
    let far = far(&stage);
    let port = far.endpoint().port().expect("a port");
    let own = stage.client_identity("edge");
    let named: Endpoint = format!("https://localhost:{port}")
        .parse()
        .expect("an endpoint");
    for (http, version) in [(Some(Version::Http1), "HTTP/1.1"), (None, "HTTP/2.0")] {
        // An address is no name to ask for (RFC 6066, section 3).
        let answer = heard(&stage, far.endpoint().clone(), stage.client_tls(), http);
        assert_eq!(answer, (200, format!("None None {version}")));
        let answer = heard(&stage, named.clone(), stage.client_tls(), http);
        assert_eq!(answer, (200, format!("Some(\"localhost\") None {version}")));
        // By another name than its address, and with a certificate to show.
        let known = ClientTls {
            server_name: Some("localhost".to_owned()),
            identity: Some(own.clone()),
            ..stage.client_tls()
        };
        let (status, said) = heard(&stage, far.endpoint().clone(), known, http);
        assert!(
            said.starts_with("Some(\"localhost\") Some(\"CN=edge"),
            "{status} {said}"
        );
    }
}

#[test]
fn a_backend_that_is_not_believed_is_not_asked() {
    let (ours, theirs) = (Stage::new(), Stage::new());
    let far = far(&ours);
    let wrong_name = ClientTls {
        server_name: Some("elsewhere.example".to_owned()),
        ..ours.client_tls()
    };
    for tls in [theirs.client_tls(), wrong_name] {
        let (status, body) = heard(&ours, far.endpoint().clone(), tls, None);
        assert_eq!(status, 502, "{body}");
        // Whose side it was, and nothing of what is inside.
        assert!(
            body.contains("upstream") && !body.contains("elsewhere"),
            "{body}"
        );
    }
    let careless = ClientTls {
        insecure: true,
        ..theirs.client_tls()
    };
    assert_eq!(heard(&ours, far.endpoint().clone(), careless, None).0, 200);
}

#[test]
fn a_backend_that_wants_a_certificate_gets_one_or_no_request() {
    let stage = Stage::new();
    let tls = ServerTls {
        clients: ClientAuth::Required(stage.ca().path()),
        ..stage.server_tls()
    };
    let server = Server::new(Http::new(service_fn(who))).tls(tls);
    let far = server.listen_at(stage.place(Scheme::Https));
    let far = far.start().expect("a server that starts");
    // In TLS 1.3 it says so only after the handshake: the request is not answered, whatever was sent of it.
    let (status, _) = heard(&stage, far.endpoint().clone(), stage.client_tls(), None);
    assert_eq!(status, 502);
    let shows = ClientTls {
        identity: Some(stage.client_identity("edge")),
        ..stage.client_tls()
    };
    assert_eq!(heard(&stage, far.endpoint().clone(), shows, None).0, 200);
}

//! TLS through a real server and a real dialer: whom either end trusts, and certificates that are replaced.

use bandy::endpoint::{Endpoint, Scheme};
use bandy::error::{Error, Kind, Side};
use bandy::net::tls::{ClientAuth, ClientTls, Identity, ServerTls};
use bandy::net::{Dialer, Phases};
use bandy::services::echo::Echo;
use bandy::{Conn, Server, service_fn};
use bandy_testkit::{Stage, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server with an authority's certificate that says who its client is.
fn who(clients: ClientAuth, stage: &Stage) -> bandy::server::Running {
    let server = Server::new(service_fn(async |mut conn: Conn| {
        let certificate = conn.tls().and_then(|tls| tls.peer_certificate.clone());
        let name = certificate.map_or("nobody".to_owned(), |c| format!("{c:?}"));
        conn.write_all(name.as_bytes()).await?;
        conn.close().await;
        Ok(())
    }));
    let tls = ServerTls {
        clients,
        ..stage.server_tls()
    };
    let server = server.tls(tls).listen_at(stage.place(Scheme::Tls));
    server.start().expect("a server that starts")
}

/// Connects and reads to the end: in TLS 1.3 a client learns only then that it was refused.
async fn hear(dialer: &Dialer, to: &Endpoint) -> Result<String, Error> {
    let heard = async {
        let mut conn = dialer.connect(to, &mut Phases::default()).await?;
        let mut text = String::new();
        match conn.read_to_string(&mut text).await {
            Ok(_) => Ok(text),
            Err(e) => Err(bandy::net::tls::explain(Side::Upstream, "reading", e)),
        }
    };
    within("the server's word", heard).await
}

#[tokio::test]
async fn only_those_who_trust_the_authority_are_talked_to() {
    let (ours, theirs) = (Stage::new(), Stage::new());
    let server = who(ClientAuth::None, &ours);
    let to = server.endpoint();
    assert_eq!(hear(&ours.dialer(), to).await.expect("trusted"), "nobody");
    let refused = hear(&theirs.dialer(), to)
        .await
        .expect_err("another's authority");
    assert_eq!(
        (refused.kind(), refused.side()),
        (Kind::Untrusted, Side::Upstream)
    );

    let careless = theirs.dialer_as(&ClientTls {
        insecure: true,
        ..ClientTls::default()
    });
    assert_eq!(hear(&careless, to).await.expect("not checked"), "nobody");

    // The right authority, but a name that is not in the certificate.
    let mistaken = ours.dialer_as(&ClientTls {
        server_name: Some("elsewhere.example".to_owned()),
        ..ours.client_tls()
    });
    let refused = hear(&mistaken, to).await.expect_err("another's name");
    assert_eq!(refused.kind(), Kind::Untrusted);

    let refused = hear(&Dialer::plain(), to).await.expect_err("no TLS at all");
    assert_eq!((refused.kind(), refused.side()), (Kind::Usage, Side::Local));
}

#[tokio::test]
async fn clients_show_who_they_are() {
    let (ours, theirs) = (Stage::new(), Stage::new());
    let shows = |identity: Identity| ClientTls {
        identity: Some(identity),
        ..ours.client_tls()
    };
    let ada = ours.dialer_as(&shows(ours.client_identity("ada")));
    let mallory = ours.dialer_as(&shows(theirs.client_identity("mallory")));
    let nobody = ours.dialer();

    let required = who(ClientAuth::Required(ours.ca().path()), &ours);
    let said = hear(&ada, required.endpoint()).await.expect("let in");
    assert!(said.contains("ada"), "{said}");
    for dialer in [&mallory, &nobody] {
        let refused = hear(dialer, required.endpoint())
            .await
            .expect_err("kept out");
        assert_eq!(refused.side(), Side::Upstream, "{refused}");
    }

    let optional = who(ClientAuth::Optional(ours.ca().path()), &ours);
    let said = hear(&ada, optional.endpoint()).await.expect("let in");
    assert!(said.contains("ada"), "{said}");
    assert_eq!(
        hear(&nobody, optional.endpoint()).await.expect("let in"),
        "nobody"
    );
    hear(&mallory, optional.endpoint())
        .await
        .expect_err("shows another's");
}

#[tokio::test]
async fn a_certificate_is_replaced_and_no_connection_is_cut() {
    let stage = Stage::new();
    let (old, new) = (stage.identity("old"), stage.identity("new"));
    let live = Identity {
        cert: stage.file("live.pem", std::fs::read(&old.cert).expect("written")),
        key: stage.file("live-key.pem", std::fs::read(&old.key).expect("written")),
    };
    let tls = ServerTls {
        identity: Some(live),
        ..ServerTls::default()
    };
    let server = Server::new(Echo)
        .tls(tls)
        .listen_at(stage.place(Scheme::Tls));
    let server = server.start().expect("a server that starts");
    let mut before = stage.connect(server.endpoint()).await;
    before.say("one").await;
    assert_eq!(before.hear(3).await, "one");
    let shown = |conn: &Conn| conn.tls().expect("TLS").peer_chain[0].clone();
    let first = shown(before.conn());

    stage.file("live.pem", std::fs::read(&new.cert).expect("written"));
    stage.file("live-key.pem", std::fs::read(&new.key).expect("written"));
    // The files are looked at once a second.
    within("the new certificate", async {
        while shown(stage.connect(server.endpoint()).await.conn()) == first {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    before.say("two").await;
    assert_eq!(before.hear(3).await, "two");
}

//! WebSocket to WebSocket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bandy::endpoint::Scheme;
use bandy::net::Message;
use bandy::net::ws::Close;
use bandy::services::Spec;
use bandy::{Conn, Model, Server, service_fn};
use bandy_testkit::{Stage, noise, within};

use super::{balancing, have, ms, nobody, pool_of};

#[tokio::test]
async fn messages_stay_what_they_are() {
    let stage = Stage::new();
    let echo = stage.serve(&Spec::Echo, &[Scheme::Ws, Scheme::Wss], Model::Async);
    for backend in echo.endpoints() {
        let pool = pool_of(&stage, &[backend], |_| {});
        let server = balancing(&stage, &pool, &[Scheme::Ws, Scheme::Wss]);
        for endpoint in server.endpoints() {
            let mut client = stage.connect(endpoint).await.into_conn();
            for message in [
                Message::text("Hello"),
                Message::binary(&b"Hello"[..]),
                Message::text(""),
                Message::binary(noise(1, 700_000)),
            ] {
                client.send(message.clone()).await.expect("sent");
                let answer = within("an answer", client.recv()).await.expect("an answer");
                assert!(answer == Some(message), "{endpoint} to {backend}");
            }
            client.finish().await.expect("closed");
            assert_eq!(
                within("the end", client.recv()).await.expect("an end"),
                None
            );
        }
        have(&pool, &[0]);
    }
}

/// Reads one message, and closes with what it says as the code.
fn closing() -> Server {
    Server::new(service_fn(|mut conn: Conn| async move {
        let Some(message) = conn.recv().await? else {
            // The client's code comes as it was said.
            let close = conn.peer_close().cloned();
            tracing::debug!(?close, "closed");
            return Ok(());
        };
        let code = String::from_utf8_lossy(&message.data).parse().ok();
        let close = Close {
            code,
            reason: code.map_or_else(String::new, |code| format!("because of {code}")),
        };
        conn.finish_with(close).await?;
        while conn.recv().await?.is_some() {}
        Ok(())
    }))
}

#[tokio::test]
async fn a_backends_close_code_reaches_the_client() {
    let stage = Stage::new();
    let backend = stage.start(closing(), &[Scheme::Ws]);
    let pool = pool_of(&stage, &[backend.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Ws]);
    for code in ["1000", "1008", "3001", "4999", "no code"] {
        let mut client = stage.connect(server.endpoint()).await.into_conn();
        client.send(Message::text(code)).await.expect("sent");
        assert_eq!(
            within("the end", client.recv()).await.expect("an end"),
            None
        );
        let close = client.peer_close().expect("a close frame");
        assert_eq!(close.code, code.parse().ok());
        match close.code {
            Some(code) => assert_eq!(close.reason, format!("because of {code}")),
            None => assert_eq!(close.reason, ""),
        }
    }
}

#[tokio::test]
async fn a_clients_close_code_reaches_the_backend() {
    let stage = Stage::new();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Server::new(service_fn(move |mut conn: Conn| {
        let tell = tell.clone();
        async move {
            while conn.recv().await?.is_some() {}
            tell.send(conn.peer_close().cloned())
                .expect("the test listens");
            Ok(())
        }
    }));
    let backend = stage.start(backend, &[Scheme::Ws]);
    let pool = pool_of(&stage, &[backend.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Ws]);
    let close = Close::new(4321, "enough");
    let mut client = stage.connect(server.endpoint()).await.into_conn();
    client.finish_with(close.clone()).await.expect("closed");
    let heard = within("what the backend heard", told.recv()).await;
    assert_eq!(heard.expect("it tells"), Some(close));
    assert_eq!(
        within("the end", client.recv()).await.expect("an end"),
        None
    );

    // One who goes without a word has gone away.
    let client = stage.connect(server.endpoint()).await;
    have(&pool, &[1]);
    drop(client);
    let heard = within("what the backend heard", told.recv()).await;
    let heard = heard.expect("it tells").expect("a close frame");
    assert_eq!(heard.code, Some(1001));
}

#[tokio::test]
async fn a_backend_that_dies_is_told_of_by_code() {
    let stage = Stage::new();
    let backend = Server::new(service_fn(|mut conn: Conn| async move {
        // Gone at the first word, with no goodbye.
        conn.recv().await?;
        Ok(())
    }));
    let backend = stage.start(backend, &[Scheme::Ws]);
    let pool = pool_of(&stage, &[backend.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Ws]);
    let mut client = stage.connect(server.endpoint()).await.into_conn();
    client.send(Message::text("Hello")).await.expect("sent");
    assert_eq!(
        within("the end", client.recv()).await.expect("an end"),
        None
    );
    assert_eq!(client.peer_close().and_then(|close| close.code), Some(1011));
}

#[tokio::test]
async fn with_no_backend_it_says_to_try_again() {
    let stage = Stage::new();
    let dead = nobody(Scheme::Ws);
    let pool = pool_of(&stage, &[&dead], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Ws]);
    let mut client = stage.connect(server.endpoint()).await.into_conn();
    assert_eq!(
        within("the end", client.recv()).await.expect("an end"),
        None
    );
    assert_eq!(client.peer_close().and_then(|close| close.code), Some(1013));
}

/// A reader that does not read stops the writer, at a bound, and loses nothing of what was written.
#[tokio::test]
async fn a_slow_reader_stops_the_writer() {
    let stage = Stage::new();
    let sent = Arc::new(AtomicU32::new(0));
    let counted = sent.clone();
    let chatter = Server::new(service_fn(move |mut conn: Conn| {
        let sent = counted.clone();
        async move {
            loop {
                let number = sent.fetch_add(1, Relaxed).to_be_bytes();
                conn.send(Message::binary(number.repeat(15_000))).await?;
            }
        }
    }));
    let chatter = stage.start(chatter, &[Scheme::Ws]);
    let pool = pool_of(&stage, &[chatter.endpoint()], |_| {});
    let server = balancing(&stage, &pool, &[Scheme::Ws]);
    let mut client = stage.connect(server.endpoint()).await.into_conn();
    let mut before = 0;
    // Until everything between the two is full.
    loop {
        tokio::time::sleep(ms(200)).await;
        let now = sent.load(Relaxed);
        if now == before && now > 0 {
            break;
        }
        before = now;
        assert!(now < 2_000, "no bound: {now} messages of 60,000 bytes");
    }
    for number in 0..before {
        let message = within("a message", client.recv()).await.expect("one");
        assert!(message.expect("one").data == number.to_be_bytes().repeat(15_000));
    }
    drop(client);
    have(&pool, &[0]);
}

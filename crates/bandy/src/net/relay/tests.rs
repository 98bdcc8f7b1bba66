use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bandy_testkit::{noise, within};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::conn::Peer;
use super::super::ending::Ending;
use super::super::io::Io;
use super::super::meter::Meter;
use super::*;
use crate::endpoint::Endpoint;

fn near(io: Io) -> Conn {
    Conn::new(
        io,
        Meter::accepted(Peer::Mem, &endpoint(), &Ending::default()),
        1024,
    )
}

fn far(io: Io) -> Conn {
    Conn::new(io, Meter::asked(Peer::Mem, endpoint()), 1024)
}

fn endpoint() -> Arc<Endpoint> {
    Arc::new("mem://x".parse().expect("an endpoint"))
}

async fn sockets() -> (TcpStream, TcpStream) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let listener = TcpListener::bind(any).await.expect("bound");
    let there = listener.local_addr().expect("an address");
    let (asked, accepted) = tokio::join!(TcpStream::connect(there), listener.accept());
    (asked.expect("connected"), accepted.expect("accepted").0)
}

type Relaying = JoinHandle<(Relay, Result<()>)>;

fn run(mut relay: Relay) -> Relaying {
    tokio::spawn(async move {
        let ended = std::future::poll_fn(|cx| relay.poll(cx)).await;
        (relay, ended)
    })
}

/// The client's socket, the server's, and what is between them.
async fn over_tcp() -> (TcpStream, TcpStream, Relaying) {
    let ((client, a), (b, server)) = (sockets().await, sockets().await);
    let relay = Relay::new(near(Io::Tcp(a)), far(Io::Tcp(b)), Vec::new());
    (client, server, run(relay))
}

async fn rest(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    within("everything", from.read_to_end(&mut all))
        .await
        .expect("read");
    all
}

/// Bulk both ways at once, through the system's pipes, and then a few bytes again.
#[tokio::test]
async fn every_byte_of_a_bulk_arrives_in_order() {
    let (client, server, relay) = over_tcp().await;
    let data = [noise(1, (32 << 20) + 77), noise(2, (16 << 20) + 5)];
    let say = |stream: TcpStream, data: Vec<u8>| {
        let (reader, mut writer) = stream.into_split();
        let saying = tokio::spawn(async move {
            writer.write_all(&data).await.expect("written");
            for byte in &data[..64] {
                tokio::task::yield_now().await;
                writer.write_all(&[*byte]).await.expect("written");
            }
        });
        (reader, saying)
    };
    let (from_relay, saying) = say(client, data[0].clone());
    let (at_server, answering) = say(server, data[1].clone());
    let (answer, heard) = tokio::join!(rest(from_relay), rest(at_server));
    saying.await.expect("said");
    answering.await.expect("answered");
    for (heard, said) in [(heard, &data[0]), (answer, &data[1])] {
        assert!(heard[..said.len()] == said[..]);
        assert_eq!(heard[said.len()..], said[..64]);
    }
    let (relay, ended) = within("its end", relay).await.expect("no panic");
    ended.expect("a good end");
    // Counted as what they are.
    assert_eq!(relay.near.meter().read(), relay.far.meter().written());
    assert_eq!(relay.near.meter().read(), (32 << 20) + 77 + 64);
    assert_eq!(relay.near.meter().written(), (16 << 20) + 5 + 64);
}

/// A reader that does not read stops the writer, at a bound, and loses nothing.
#[tokio::test]
async fn a_slow_reader_stops_the_writer() {
    let (mut client, server, relay) = over_tcp().await;
    let data = noise(3, 1 << 20);
    let mut written = 0;
    // Until nothing is taken any more: sockets, pipe and spill are full.
    let mut is_taken = true;
    while is_taken {
        let write = client.write(&data[written % data.len()..]);
        let taken = tokio::time::timeout(Duration::from_millis(300), write).await;
        is_taken = taken.is_ok();
        written += taken.map_or(0, |n| n.expect("written"));
        assert!(written < 64 << 20, "no bound");
    }
    client.shutdown().await.expect("shut");
    let heard = rest(server).await;
    assert_eq!(heard.len(), written);
    assert!(
        heard
            .chunks(data.len())
            .all(|part| part == &data[..part.len()])
    );
    assert_eq!(rest(client).await, b"");
    let (_, ended) = within("its end", relay).await.expect("no panic");
    ended.expect("a good end");
}

/// Each direction ends by itself, whichever ends first.
#[tokio::test]
async fn half_closed_is_half_open() {
    for is_client_first in [true, false] {
        let (client, server, relay) = over_tcp().await;
        let (mut first, mut second) = match is_client_first {
            true => (client, server),
            false => (server, client),
        };
        first.write_all(b"all that I say").await.expect("written");
        first.shutdown().await.expect("shut");
        let mut heard = Vec::new();
        within("the end", second.read_to_end(&mut heard))
            .await
            .expect("read");
        assert_eq!(heard, b"all that I say");
        second.write_all(b"and the answer").await.expect("written");
        drop(second);
        assert_eq!(rest(first).await, b"and the answer");
        let (_, ended) = within("its end", relay).await.expect("no panic");
        ended.expect("a good end");
    }
}

#[tokio::test]
async fn a_reset_reaches_the_other_end() {
    for is_client_reset in [true, false] {
        let (client, server, relay) = over_tcp().await;
        let (reset, mut other) = match is_client_reset {
            true => (client, server),
            false => (server, client),
        };
        other.write_all(b"to nobody").await.expect("written");
        socket2::SockRef::from(&reset)
            .set_linger(Some(Duration::ZERO))
            .expect("set");
        drop(reset);
        let (relay, ended) = within("its end", relay).await.expect("no panic");
        let side = match is_client_reset {
            true => crate::error::Side::Downstream,
            false => crate::error::Side::Upstream,
        };
        assert_eq!(ended.expect_err("a failure").side(), side);
        drop(relay);
        let read = within("the reset", other.read(&mut [0; 16])).await;
        let error = read.expect_err("a reset, and no end");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

/// A server that answers before it has heard everything, and goes away, was heard all the same; the client is not told that
/// this was a good end.
#[tokio::test]
async fn an_early_answer_arrives_before_the_reset() {
    let (client, mut server, relay) = over_tcp().await;
    let (mut reader, mut writer) = client.into_split();
    let saying = tokio::spawn(async move {
        let data = noise(4, 1 << 20);
        while writer.write_all(&data).await.is_ok() {}
    });
    within("a beginning", server.read_exact(&mut [0; 1000]))
        .await
        .expect("read");
    server.write_all(b"too large").await.expect("written");
    let mut answer = [0; 9];
    within("the answer", reader.read_exact(&mut answer))
        .await
        .expect("read");
    assert_eq!(&answer, b"too large");
    // With bytes that it never read: the system makes it a reset.
    drop(server);
    let (relay, ended) = within("its end", relay).await.expect("no panic");
    assert_eq!(
        ended.expect_err("a failure").side(),
        crate::error::Side::Upstream
    );
    drop(relay);
    assert!(
        within("the reset", reader.read(&mut [0; 16]))
            .await
            .is_err()
    );
    within("its writer", saying).await.expect("no panic");
}

/// What is left over when nothing is in flight.
#[tokio::test]
async fn nothing_is_owned_while_nothing_is_said() {
    let data = noise(5, 24 << 20);
    let ((mut asker, a), (b, mut answerer)) = (sockets().await, sockets().await);
    let mut relay = Relay::new(near(Io::Tcp(a)), far(Io::Tcp(b)), Vec::new());
    let talk = async {
        let mut heard = vec![0; data.len()];
        let (wrote, read) = tokio::join!(asker.write_all(&data), answerer.read_exact(&mut heard));
        wrote.expect("written");
        read.expect("read");
        assert!(heard == data);
    };
    tokio::select! {
        () = talk => {}
        ended = std::future::poll_fn(|cx| relay.poll(cx)) => panic!("it ended: {ended:?}"),
    }
    let splice = relay.there.splice.as_ref();
    assert!(splice.is_some(), "so much came, and was not taken for bulk");
    for direction in [&relay.there, &relay.back] {
        assert_eq!(direction.spill.capacity(), 0);
        assert!(direction.splice.as_ref().is_none_or(Splice::is_empty));
    }
}

fn mem() -> (DuplexStream, DuplexStream, Relaying) {
    let ((client, a), (b, server)) = (duplex(7), duplex(11));
    let relay = Relay::new(near(Io::Mem(a)), far(Io::Mem(b)), b"said before: ".to_vec());
    (client, server, run(relay))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Through the narrowest pipes, whatever the chunks: every byte, in order, what was said before it first.
    #[test]
    fn in_any_chunks(
        asked in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
        answered in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a loop");
        runtime.block_on(async {
            let (client, server, relay) = mem();
            let say = |stream: DuplexStream, chunks: Vec<Vec<u8>>| async move {
                let (reader, mut writer) = tokio::io::split(stream);
                let saying = async {
                    for chunk in &chunks {
                        writer.write_all(chunk).await.expect("written");
                        tokio::task::yield_now().await;
                    }
                    writer.shutdown().await.expect("shut");
                };
                tokio::join!(saying, rest(reader)).1
            };
            let both = async { tokio::join!(say(client, asked.clone()), say(server, answered.clone())) };
            let (answer, heard) = within("both", both).await;
            assert_eq!(heard, [&b"said before: "[..], &asked.concat()].concat());
            assert_eq!(answer, answered.concat());
            within("its end", relay).await.expect("no panic").1.expect("a good end");
        });
    }
}

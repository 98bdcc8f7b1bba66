//! The asking end, conversation by conversation.

use std::future::pending;
use std::io;
use std::time::Duration;

use bandy::client::{Ask, Ended, Event, Outcome, Rules, Script, Sink};
use bandy::error::Kind;
use bandy::net::{Conn, Dialer, Framing};
use bandy::{Endpoint, Server, service_fn};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// Everything that came, as the sink was told.
#[derive(Default)]
struct Heard(Vec<Bytes>);

impl Sink for Heard {
    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        if let Event::Received(bytes) = event {
            self.0.push(bytes.clone());
        }
        Ok(())
    }
}

impl Heard {
    fn text(&self) -> String {
        String::from_utf8(self.0.concat()).expect("text")
    }
}

async fn ask(endpoint: &Endpoint, rules: Rules, script: Script) -> (Outcome, Heard) {
    let mut heard = Heard::default();
    let ask = Ask::new(endpoint.clone(), Dialer::plain(), rules);
    let outcome = ask.run(script, &mut heard, pending()).await;
    (outcome, heard)
}

/// A server that has one conversation.
async fn once<F>(talk: impl FnOnce(TcpStream) -> F + Send + 'static) -> Endpoint
where
    F: Future<Output = io::Result<()>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        talk(stream).await
    });
    format!("tcp://{address}").parse().expect("an endpoint")
}

fn answers(n: usize) -> Rules {
    Rules {
        answers: Some(n),
        ..Rules::default()
    }
}

/// Closes so that the peer is sent a reset.
fn reset(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

#[tokio::test]
async fn items_are_lines_and_the_end_is_a_half_close() {
    let server = once(async |mut stream| {
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        stream.write_all(format!("{said:?}").as_bytes()).await
    })
    .await;
    let (outcome, heard) = ask(&server, Rules::default(), Script::items(["one", "two"])).await;
    assert!(matches!(outcome.ended, Ended::PeerClosed), "{outcome:?}");
    assert_eq!(heard.text(), r#""one\ntwo\n""#);
    assert_eq!((outcome.sent_bytes, outcome.received_bytes), (8, 12));
    assert_eq!(outcome.answers, 1, "a line that the stream's end ended");
    assert!(!outcome.unsaid);
}

#[tokio::test]
async fn half_open_keeps_our_direction_open() {
    let server = once(async |mut stream| {
        let mut line = [0; 3];
        stream.read_exact(&mut line).await?;
        let end = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        let word = if end.is_err() { "open" } else { "closed" };
        stream.write_all(word.as_bytes()).await
    })
    .await;
    let rules = Rules {
        half_open: true,
        ..Rules::default()
    };
    let (_, heard) = ask(&server, rules, Script::items(["hi"])).await;
    assert_eq!(heard.text(), "open");
}

#[tokio::test]
async fn answers_end_it_at_exactly_that_byte() {
    let server = once(async |mut stream| {
        stream.write_all(b"one\ntwo\nthree\n").await?;
        stream.read_u8().await.map(drop)
    })
    .await;
    let (outcome, heard) = ask(&server, answers(2), Script::items([""; 0])).await;
    assert!(matches!(outcome.ended, Ended::Answers), "{outcome:?}");
    assert_eq!(heard.text(), "one\ntwo\n");
}

#[tokio::test]
async fn silence_ends_an_answer_without_a_line_end() {
    let server = once(async |mut stream| {
        stream.write_all(b"login: ").await?;
        // It waits for us; we do not.
        stream.read_to_end(&mut Vec::new()).await?;
        pending().await
    })
    .await;
    let (outcome, heard) = ask(&server, answers(1), Script::items([""; 0])).await;
    assert!(matches!(outcome.ended, Ended::Answers), "{outcome:?}");
    assert_eq!(heard.text(), "login: ");
}

#[tokio::test]
async fn no_answers_are_wanted() {
    let (tell, told) = oneshot::channel();
    let server = once(async |mut stream: TcpStream| {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        tell.send(said).map_err(|_| io::ErrorKind::Other.into())
    })
    .await;
    let (outcome, _) = ask(&server, answers(0), Script::items(["for the record"])).await;
    assert!(matches!(outcome.ended, Ended::Said), "{outcome:?}");
    assert_eq!(told.await.expect("told"), b"for the record\n");
}

#[tokio::test]
async fn too_few_answers_are_no_success() {
    let server = once(async |mut stream| stream.write_all(b"one\n").await).await;
    let (outcome, heard) = ask(&server, answers(2), Script::items([""; 0])).await;
    let Ended::Short(error) = outcome.ended else {
        panic!("{outcome:?}")
    };
    assert!(
        error.to_string().ends_with("after 1 of 2 answers"),
        "{error}"
    );
    assert_eq!(heard.text(), "one\n");
}

#[tokio::test]
async fn a_close_without_a_word_and_a_reset_without_a_word_are_empty() {
    for resets in [false, true] {
        let server = once(async move |mut stream: TcpStream| {
            stream.read_u8().await?;
            if resets { reset(&stream) } else { Ok(()) }
        })
        .await;
        let (outcome, _) = ask(&server, Rules::default(), Script::items(["x"])).await;
        assert!(matches!(outcome.ended, Ended::Empty(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_reset_cuts_an_answer() {
    let server = once(async |mut stream| {
        stream.write_all(b"half an ans").await?;
        stream.read_to_end(&mut Vec::new()).await?;
        reset(&stream)
    })
    .await;
    let (outcome, heard) = ask(&server, Rules::default(), Script::items(["x"])).await;
    let Ended::Failed(error) = &outcome.ended else {
        panic!("{outcome:?}")
    };
    assert_eq!(error.kind(), Kind::Closed);
    assert_eq!(heard.text(), "half an ans");
}

#[tokio::test]
async fn a_peer_may_close_before_it_took_everything() {
    let server = once(async |mut stream| {
        stream.read_u8().await?;
        stream.write_all(b"enough\n").await?;
        stream.shutdown().await?;
        // Nothing more is taken, and nothing is thrown away: the end is a proper one.
        pending().await
    })
    .await;
    // More than the two sockets hold, so that most of it is still to be said, however fast the client is.
    let (sender, source) = mpsc::channel(1);
    let more_than_fits = Bytes::from(vec![b'x'; 32 << 20]);
    sender
        .send(Ok(more_than_fits))
        .await
        .expect("there is room");
    let (outcome, heard) = ask(&server, Rules::default(), Script::chunks(source)).await;
    assert!(matches!(outcome.ended, Ended::PeerClosed), "{outcome:?}");
    assert!(outcome.unsaid);
    assert_eq!(heard.text(), "enough\n");
}

#[tokio::test]
async fn a_silent_peer_is_left_in_time() {
    let server = once(async |stream| {
        let _open = stream;
        pending().await
    })
    .await;
    let rules = Rules {
        timeout: Some(Duration::from_millis(50)),
        ..Rules::default()
    };
    let (outcome, _) = ask(&server, rules, Script::items(["x"])).await;
    let error = outcome.ended.error().expect("it failed");
    assert_eq!(error.kind(), Kind::TimedOut, "{outcome:?}");
    assert!(outcome.times.wait.expect("it waited").took >= Duration::from_millis(45));
}

#[tokio::test]
async fn a_slow_source_is_not_the_peers_fault() {
    let server = once(async |mut stream| {
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.map(drop)
    })
    .await;
    let (sender, source) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sender.send(Ok(Bytes::from_static(b"at last"))).await
    });
    let rules = Rules {
        timeout: Some(Duration::from_millis(100)),
        ..Rules::default()
    };
    let (outcome, heard) = ask(&server, rules, Script::chunks(source)).await;
    assert!(matches!(outcome.ended, Ended::PeerClosed), "{outcome:?}");
    assert_eq!(heard.text(), "at last");
}

/// Takes one chunk, then nothing more.
struct Full(usize);

impl Sink for Full {
    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        if let Event::Received(bytes) = event {
            self.0 += bytes.len();
        }
        Ok(())
    }

    async fn ready(&mut self) -> io::Result<()> {
        match self.0 {
            0 => Ok(()),
            _ => pending().await,
        }
    }
}

#[tokio::test]
async fn a_full_sink_holds_the_peer_up_and_not_us() {
    let (tell, told) = oneshot::channel();
    let server = once(async |mut stream| {
        let (mut read, mut write) = stream.split();
        let send = async {
            // Until the buffers between are full.
            let chunk = vec![b'x'; 64 * 1024];
            let pause = Duration::from_millis(200);
            while let Ok(Ok(())) = tokio::time::timeout(pause, write.write_all(&chunk)).await {}
        };
        let mut said = Vec::new();
        let (_, said) = tokio::join!(send, read.read_to_end(&mut said));
        tell.send(said?).map_err(|_| io::ErrorKind::Other)?;
        Ok(())
    })
    .await;
    let (sender, source) = mpsc::channel(4);
    tokio::spawn(async move {
        for _ in 0..512 {
            let chunk = Bytes::from(vec![b'y'; 64 * 1024]);
            sender.send(Ok(chunk)).await.expect("taken");
        }
    });
    let rules = Rules {
        timeout: Some(Duration::from_secs(5)),
        ..Rules::default()
    };
    let mut sink = Full(0);
    let ask = Ask::new(server, Dialer::plain(), rules);
    let (stop, stopped) = oneshot::channel();
    let server_is_done = async {
        let said = told.await.expect("told");
        stop.send(()).expect("still asking");
        said
    };
    let stopped = async { stopped.await.expect("sent") };
    let run = ask.run(Script::chunks(source), &mut sink, stopped);
    let (outcome, said) = tokio::join!(run, server_is_done);
    assert_eq!(
        said,
        512 * 64 * 1024,
        "all was said, while nothing was read"
    );
    assert!(matches!(outcome.ended, Ended::Interrupted), "{outcome:?}");
    assert!(sink.0 <= 64 * 1024);
}

/// A server that says back what it is told, and tells us whether each conversation ended with a goodbye.
fn echo(scheme: &str) -> (bandy::server::Running, mpsc::UnboundedReceiver<bool>) {
    let (tell, ends) = mpsc::unbounded_channel();
    let service = service_fn(move |mut conn: Conn| {
        let tell = tell.clone();
        async move {
            assert_eq!(conn.framing(), Framing::Message);
            let end = loop {
                match conn.recv().await {
                    Ok(Some(message)) => conn.send(message).await?,
                    end => break end,
                }
            };
            tell.send(end.is_ok()).expect("somebody wants to know");
            end.map(drop)
        }
    });
    let server = Server::new(service)
        .listen(&format!("{scheme}://127.0.0.1:0"))
        .and_then(Server::start)
        .expect("a free port");
    (server, ends)
}

#[tokio::test]
async fn a_websocket_gets_a_message_an_item_and_a_goodbye() {
    let (server, mut ends) = echo("ws");
    let items = [Bytes::from_static(b"one"), Bytes::from_static(b"\xff")];
    let script = Script::items(items.clone());
    let (outcome, heard) = ask(server.endpoint(), Rules::default(), script).await;
    assert!(matches!(outcome.ended, Ended::Answers), "{outcome:?}");
    assert_eq!(heard.0, items);
    assert_eq!(ends.recv().await, Some(true), "a proper close");
}

#[tokio::test]
async fn a_websocket_is_full_duplex() {
    let (server, _ends) = echo("ws");
    let script = Script::items(vec![Bytes::from(vec![b'x'; 1 << 20]); 32]);
    let (outcome, _) = ask(server.endpoint(), Rules::default(), script).await;
    assert!(matches!(outcome.ended, Ended::Answers), "{outcome:?}");
    assert_eq!((outcome.answers, outcome.received_bytes), (32, 32 << 20));
}

#[tokio::test]
async fn a_datagram_has_one_answer_unless_told_otherwise() {
    let (server, _ends) = echo("udp");
    let (outcome, heard) = ask(server.endpoint(), Rules::default(), Script::items(["a"])).await;
    assert!(matches!(outcome.ended, Ended::Answers), "{outcome:?}");
    assert_eq!(heard.text(), "a");
    let (outcome, heard) = ask(server.endpoint(), answers(2), Script::items(["a", "", "c"])).await;
    assert_eq!((outcome.answers, heard.text()), (2, "a".to_owned()));
}

#[tokio::test]
async fn a_datagram_to_nobody_is_not_connected() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let nobody = format!("udp://{address}").parse().expect("an endpoint");
    let (outcome, _) = ask(&nobody, Rules::default(), Script::items(["hello?"])).await;
    let error = outcome.ended.error().expect("it failed");
    assert_eq!(error.kind(), Kind::NotConnected, "{outcome:?}");
}

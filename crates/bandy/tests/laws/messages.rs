//! A conversation in messages over a stream: what is said does not depend on how it was cut on its way.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bandy::net::{Doors, Inherited, Messages, bind};
use bandy::{Conn, Endpoint, Limits, connect};
use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{cut, cuts, stream};

/// Both ends of a connection inside this process: the asker's, and the answerer's as messages with no pause.
async fn pair(message_bytes: usize) -> (Conn, Messages) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("laws-{}", NEXT.fetch_add(1, Relaxed));
    let endpoint = Endpoint::mem(name);
    let doors = Doors {
        limits: Limits {
            message_bytes,
            ..Limits::default()
        },
        ..Doors::default()
    };
    let bound = bind(&endpoint, &mut Inherited::none()).expect("a free name");
    let bound = bound.into_iter().next().expect("one listener");
    let mut listener = bound.listen(&doors).expect("listening");
    let (asker, incoming) = tokio::join!(connect(&endpoint), listener.accept());
    let answerer = incoming.establish().await.expect("no handshake");
    (asker.expect("connected"), answerer.messages().pause(None))
}

/// Writes a chunk at a time, each only once the reader saw the one before.
async fn say(asker: &mut (impl AsyncWriteExt + Unpin), chunks: &[&[u8]]) {
    for chunk in chunks {
        asker.write_all(chunk).await.expect("the other end reads");
        tokio::task::yield_now().await;
    }
    asker.shutdown().await.expect("the other end reads");
}

fn run<T>(conversation: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event loop")
        .block_on(conversation)
}

/// The messages of a stream that comes in these chunks.
fn heard(chunks: &[&[u8]]) -> Vec<Bytes> {
    run(async {
        let (mut asker, mut answerer) = pair(1 << 20).await;
        let hear = async {
            let mut out = Vec::new();
            while let Some(message) = answerer.next().await.expect("within the limit") {
                out.push(message);
            }
            out
        };
        tokio::join!(say(&mut asker, chunks), hear).1
    })
}

/// What comes back where every message is sent back.
fn echoed(chunks: &[&[u8]]) -> Vec<u8> {
    run(async {
        let (asker, mut answerer) = pair(1 << 20).await;
        let (mut read, mut write) = tokio::io::split(asker);
        let answer = async {
            while let Some(message) = answerer.next().await.expect("within the limit") {
                answerer.send(&message).await.expect("the asker reads");
            }
            answerer.close().await;
        };
        let mut back = Vec::new();
        let (_, _, read) =
            tokio::join!(say(&mut write, chunks), answer, read.read_to_end(&mut back));
        read.expect("the answer");
        back
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chunking_is_the_same_conversation(stream in stream(), cuts in cuts()) {
        prop_assert_eq!(heard(&cut(&stream, &cuts)), heard(&[&stream]));
    }

    #[test]
    fn an_answer_ends_as_what_it_answers(stream in stream(), cuts in cuts()) {
        prop_assert_eq!(echoed(&cut(&stream, &cuts)), stream);
    }
}

#[test]
fn messages_before_one_that_is_too_long_are_heard() {
    run(async {
        let (mut asker, mut answerer) = pair(4).await;
        let hear = async {
            let first = answerer.next().await.expect("within the limit");
            (first, answerer.next().await)
        };
        let (_, (first, second)) = tokio::join!(say(&mut asker, &[b"four\nfi", b"ver\n"]), hear);
        assert_eq!(first.as_deref(), Some(&b"four"[..]));
        let error = second.expect_err("five bytes are too long");
        assert_eq!(
            error.to_string(),
            "reading from mem: a line is longer than 4 bytes"
        );
        assert!(error.next_step().is_some());
    });
}

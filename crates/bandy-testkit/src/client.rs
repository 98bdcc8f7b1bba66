//! A client of any scheme.

use bandy::Conn;
use bandy::net::{Framing, Message};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{chunks, within};

/// The asking end of a conversation, over any scheme: on a stream it speaks bytes, elsewhere messages.
///
/// Every wait is bounded by [`PATIENCE`](crate::PATIENCE), and fails the test.
#[derive(Debug)]
pub struct Client(pub(crate) Conn);

impl Client {
    /// The connection under it.
    pub fn conn(&self) -> &Conn {
        &self.0
    }

    /// The connection by itself.
    pub fn into_conn(self) -> Conn {
        self.0
    }

    /// Sends bytes, or one message, marked as text if it is text.
    #[track_caller]
    pub fn say(&mut self, what: impl AsRef<[u8]>) -> impl Future<Output = ()> {
        let what = Bytes::copy_from_slice(what.as_ref());
        within("the peer to take what we say", async move {
            match self.0.framing() {
                Framing::Stream => {
                    self.0.write_all(&what).await.expect("taken");
                    self.0.flush().await.expect("taken");
                }
                Framing::Message => {
                    let is_text = std::str::from_utf8(&what).is_ok();
                    let message = Message {
                        data: what,
                        is_text,
                    };
                    self.0.send(message).await.expect("taken");
                }
            }
        })
    }

    /// The next `len` bytes, or the next message, which must have as many.
    #[track_caller]
    pub fn hear(&mut self, len: usize) -> impl Future<Output = Bytes> {
        within(format!("an answer of {len} bytes"), async move {
            match self.0.framing() {
                Framing::Stream => {
                    let mut answer = vec![0; len];
                    self.0.read_exact(&mut answer).await.expect("an answer");
                    answer.into()
                }
                Framing::Message => {
                    let message = self.0.recv().await.expect("an answer");
                    let data = message.expect("an answer before the end").data;
                    assert_eq!(data.len(), len, "{data:?}");
                    data
                }
            }
        })
    }

    /// Whatever comes next: `None` at the end.
    #[track_caller]
    pub fn hear_some(&mut self) -> impl Future<Output = Option<Bytes>> {
        within("an answer", async move {
            match self.0.framing() {
                Framing::Stream => {
                    let mut answer = Vec::with_capacity(1 << 16);
                    let n = self.0.read_buf(&mut answer).await.expect("an answer");
                    (n > 0).then(|| answer.into())
                }
                Framing::Message => {
                    let message = self.0.recv().await.expect("an answer or the end");
                    message.map(|message| message.data)
                }
            }
        })
    }

    /// Everything up to the peer's end, which must be a proper one; messages one after the other.
    #[track_caller]
    pub fn rest(&mut self) -> impl Future<Output = Bytes> {
        within("the peer's end", async move {
            let mut rest = Vec::new();
            match self.0.framing() {
                Framing::Stream => {
                    self.0.read_to_end(&mut rest).await.expect("a proper end");
                }
                Framing::Message => {
                    while let Some(message) = self.0.recv().await.expect("a proper end") {
                        rest.extend_from_slice(&message.data);
                    }
                }
            }
            rest.into()
        })
    }

    /// Ends our direction.
    #[track_caller]
    pub fn finish(&mut self) -> impl Future<Output = ()> {
        within("our end to be taken", async move {
            self.0.finish().await.expect("taken");
        })
    }

    /// Waits until the peer has ended the conversation, in whatever way, without a word more.
    #[track_caller]
    pub fn ended(&mut self) -> impl Future<Output = ()> {
        within("the peer to end the conversation", async move {
            match self.0.framing() {
                Framing::Stream => {
                    let mut rest = Vec::new();
                    // A reset is an end too.
                    drop(self.0.read_to_end(&mut rest).await);
                    assert!(rest.is_empty(), "said {:?}", String::from_utf8_lossy(&rest));
                }
                Framing::Message => {
                    let more = self.0.recv().await.ok().flatten();
                    assert_eq!(more, None);
                }
            }
        })
    }

    /// On a stream: says all of `data` in random pieces and half-closes, while listening. Gives all that came back.
    #[track_caller]
    pub fn exchange(self, seed: u64, data: &[u8]) -> impl Future<Output = Vec<u8>> {
        within("an exchange", async move {
            let (mut read, mut write) = tokio::io::split(self.0);
            let say = async {
                for piece in chunks(seed, data) {
                    write.write_all(piece).await.expect("taken");
                }
                write.shutdown().await.expect("taken");
            };
            let mut answer = Vec::with_capacity(data.len());
            let hear = async {
                read.read_to_end(&mut answer).await.expect("a proper end");
            };
            tokio::join!(say, hear);
            answer
        })
    }
}

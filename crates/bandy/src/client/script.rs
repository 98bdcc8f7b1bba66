//! What is said: a few items, or a source that goes on as long as it likes.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::wire::line::Lines;

/// The longest line of a source that is sent as one message. Bytes.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;

/// What to say, in order.
#[derive(Debug)]
pub struct Script(Source);

#[derive(Debug)]
enum Source {
    Items(VecDeque<Bytes>),
    Chunks(mpsc::Receiver<io::Result<Bytes>>),
}

impl Script {
    /// Each item is one message.
    pub fn items<I>(items: I) -> Script
    where
        I: IntoIterator,
        I::Item: Into<Bytes>,
    {
        Script(Source::Items(items.into_iter().map(Into::into).collect()))
    }

    /// Bytes that come over time, cut anywhere. A stream gets them as they are; where there are messages, each line is
    /// one. The channel's capacity bounds what waits; its end is the end of input.
    pub fn chunks(source: mpsc::Receiver<io::Result<Bytes>>) -> Script {
        Script(Source::Chunks(source))
    }
}

/// A script, cut as the endpoint carries it.
#[derive(Debug)]
pub(super) struct Prompter {
    source: Source,
    cut: Cut,
    /// The source gave its last.
    ended: bool,
}

#[derive(Debug)]
enum Cut {
    /// As it is, with a line feed behind each item or none.
    Stream { newline: bool },
    /// A message for each item or line.
    Messages(Lines),
}

impl Prompter {
    pub(super) fn new(script: Script, carries: Carries, newline: bool) -> Prompter {
        let cut = match carries {
            Carries::Stream => Cut::Stream { newline },
            _ => Cut::Messages(Lines::new(LINE_BYTES_MAX)),
        };
        Prompter {
            source: script.0,
            cut,
            ended: false,
        }
    }

    /// What to send next; `None` at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        let source = match &mut self.source {
            Source::Items(items) => {
                let item = items.pop_front();
                self.ended = item.is_none();
                return Ok(item.map(|item| match self.cut {
                    Cut::Stream { newline: true } => [&item[..], b"\n"].concat().into(),
                    _ => item,
                }));
            }
            Source::Chunks(source) => source,
        };
        loop {
            if let Cut::Messages(lines) = &mut self.cut {
                if let Some(line) = lines.take().map_err(reading)? {
                    return Ok(Some(line.text));
                }
                if self.ended {
                    return Ok(lines.take_open().map(|line| line.text));
                }
            } else if self.ended {
                return Ok(None);
            }
            match (source.recv().await, &mut self.cut) {
                (None, _) => self.ended = true,
                (Some(Err(e)), _) => return Err(reading(e)),
                (Some(Ok(chunk)), Cut::Stream { .. }) if chunk.is_empty() => {}
                (Some(Ok(chunk)), Cut::Stream { .. }) => return Ok(Some(chunk)),
                (Some(Ok(chunk)), Cut::Messages(lines)) => lines.feed(&chunk),
            }
        }
    }

    /// Whether something is known to be left. What a source will still give is not known.
    pub(super) fn has_more(&self) -> bool {
        match (&self.source, &self.cut) {
            (Source::Items(items), _) => !items.is_empty(),
            (Source::Chunks(source), Cut::Messages(lines)) => !source.is_empty() || lines.is_open(),
            (Source::Chunks(source), _) => !source.is_empty(),
        }
    }
}

fn reading(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Io, Side::Local, "reading the input").because(cause)
}

/// The room that chunks are read into: its spare part is used up before more is allocated.
#[derive(Debug, Default)]
pub(super) struct Room(pub(super) BytesMut);

impl Room {
    const BYTES: usize = 64 * 1024;

    pub(super) fn make(&mut self) -> &mut BytesMut {
        if self.0.capacity() < Room::BYTES / 4 {
            self.0.reserve(Room::BYTES);
        }
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut prompter: Prompter) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(said) = prompter.next().await.expect("readable") {
            out.push(String::from_utf8(said.to_vec()).expect("text"));
        }
        out
    }

    fn chunks(chunks: &[&'static str]) -> Script {
        let (sender, source) = mpsc::channel(chunks.len());
        for chunk in chunks {
            sender
                .try_send(Ok(Bytes::from_static(chunk.as_bytes())))
                .expect("room");
        }
        Script::chunks(source)
    }

    #[tokio::test]
    async fn items_end_as_the_transport_needs() {
        let script = || Script::items(["a", ""]);
        let stream = Prompter::new(script(), Carries::Stream, true);
        assert_eq!(all(stream).await, ["a\n", "\n"]);
        let exact = Prompter::new(script(), Carries::Stream, false);
        assert_eq!(all(exact).await, ["a", ""]);
        let messages = Prompter::new(script(), Carries::Message, true);
        assert_eq!(all(messages).await, ["a", ""]);
    }

    #[tokio::test]
    async fn a_source_is_cut_into_lines_only_where_there_are_messages() {
        let parts = ["on", "e\r\ntwo\n", "\nla", "st"];
        let stream = Prompter::new(chunks(&parts), Carries::Stream, true);
        assert_eq!(all(stream).await, parts);
        let messages = Prompter::new(chunks(&parts), Carries::Datagram, true);
        assert_eq!(all(messages).await, ["one", "two", "", "last"]);
    }
}

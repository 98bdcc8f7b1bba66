//! What a server sends, frame by frame.

use super::{
    Client, Code, Event, HEAD_BYTES, Head, OUT_MAX, Partial, STREAM_WINDOW, Stream, WINDOW,
    WINDOW_MAX, Why, Wrong, flag, kind, setting, write_head, write_reset, write_window_update,
};
use crate::wire::http2::frame;
use crate::wire::http2::hpack::WrongHead;

impl Client {
    /// Takes what came. `found` hears of each request's events by the request's key.
    ///
    /// # Errors
    /// What is not HTTP/2 in it, or more than is taken; the connection is of no use then.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        found: &mut impl FnMut(usize, Event<'_>),
    ) -> Result<(), Wrong> {
        if self.partial.is_empty() {
            let left = self.frames(bytes, found)?;
            self.partial.extend_from_slice(left);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        let left = self.frames(&whole, found)?.len();
        whole.drain(..whole.len() - left);
        self.partial = whole;
        Ok(())
    }

    /// All frames that are whole; what is left of one that is not.
    fn frames<'a>(
        &mut self,
        mut bytes: &'a [u8],
        found: &mut impl FnMut(usize, Event<'_>),
    ) -> Result<&'a [u8], Wrong> {
        while let Some(head) = Head::parse(bytes) {
            if !self.has_settings && (head.kind != kind::SETTINGS || head.length > 600) {
                return Err(Wrong::protocol("the server does not speak HTTP/2"));
            }
            if head.length > frame::LENGTH {
                return Err(Wrong::size("a frame is longer than any may be"));
            }
            let Some(whole) = bytes.get(..frame::HEAD + head.length) else {
                break;
            };
            bytes = bytes.get(whole.len()..).unwrap_or_default();
            self.frame(head, whole.get(frame::HEAD..).unwrap_or_default(), found)?;
        }
        Ok(bytes)
    }

    fn frame(
        &mut self,
        head: Head,
        body: &[u8],
        found: &mut impl FnMut(usize, Event<'_>),
    ) -> Result<(), Wrong> {
        let is_continued = head.kind == kind::CONTINUATION;
        if let Some(partial) = &self.head
            && (!is_continued || partial.stream != head.stream)
        {
            return Err(Wrong::protocol("a head is interrupted"));
        }
        let of_stream = matches!(
            head.kind,
            kind::DATA | kind::HEADERS | kind::RST_STREAM | kind::CONTINUATION
        );
        if of_stream && (head.stream.is_multiple_of(2) || head.stream >= self.next) {
            return Err(Wrong::protocol(
                "something came for a request that was never made",
            ));
        }
        match head.kind {
            kind::DATA => self.data(head, body, found),
            kind::HEADERS => {
                let block = unpadded(head, body)?;
                let block = match head.has(flag::PRIORITY) {
                    true => block.get(5..).ok_or(Wrong::size("a head is too short"))?,
                    false => block,
                };
                match head.has(flag::END_HEADERS) {
                    true => self.head(head.stream, head.has(flag::END_STREAM), block, found),
                    false => {
                        self.head = Some(Partial {
                            stream: head.stream,
                            is_end: head.has(flag::END_STREAM),
                            block: block.to_vec(),
                        });
                        Ok(())
                    }
                }
            }
            kind::CONTINUATION => {
                let Some(mut partial) = self.head.take() else {
                    return Err(Wrong::protocol("a head goes on that did not begin"));
                };
                if partial.block.len() + body.len() > HEAD_BYTES {
                    return Err(Wrong {
                        code: Code::CALM,
                        why: "a head is too long",
                    });
                }
                partial.block.extend_from_slice(body);
                if head.has(flag::END_HEADERS) {
                    return self.head(partial.stream, partial.is_end, &partial.block, found);
                }
                self.head = Some(partial);
                Ok(())
            }
            kind::RST_STREAM => {
                let code = frame::number(body).ok_or(Wrong::size("a reset is too short"))?;
                if let Some(stream) = self.streams.remove(&head.stream) {
                    found(stream.key, Event::Lost(Why::Reset(Code(code))));
                }
                Ok(())
            }
            kind::SETTINGS => self.settings(head, body),
            kind::PUSH_PROMISE => Err(Wrong::protocol("something is pushed that may not be")),
            kind::PING if body.len() != 8 => Err(Wrong::size("a ping has not its length")),
            kind::PING if head.has(flag::ACK) => Ok(()),
            kind::PING => {
                write_head(&mut self.out, 8, kind::PING, flag::ACK, 0);
                self.out.extend_from_slice(body);
                self.bounded()
            }
            kind::GOAWAY => {
                let last = frame::number(body).ok_or(Wrong::size("a goodbye is too short"))?;
                self.is_ending = true;
                let numbers = self.streams.keys().copied();
                let mut unseen: Vec<u32> = numbers.filter(|n| *n > last & 0x7fff_ffff).collect();
                // They are told in the order in which they were asked.
                unseen.sort_unstable();
                for stream in unseen.iter().filter_map(|n| self.streams.remove(n)) {
                    found(stream.key, Event::Lost(Why::Unseen));
                }
                Ok(())
            }
            kind::WINDOW_UPDATE => self.window(head, body),
            // PRIORITY, and what is not known, says nothing to us (section 5.5).
            _ => Ok(()),
        }
    }

    /// What is answered to what comes is bounded, however little the server reads.
    fn bounded(&self) -> Result<(), Wrong> {
        match self.out.len() > OUT_MAX {
            false => Ok(()),
            true => Err(Wrong {
                code: Code::CALM,
                why: "the server asks much, and reads nothing",
            }),
        }
    }

    fn data(
        &mut self,
        head: Head,
        body: &[u8],
        found: &mut impl FnMut(usize, Event<'_>),
    ) -> Result<(), Wrong> {
        let text = unpadded(head, body)?;
        // Padding takes room, too.
        let length = body.len() as u32;
        self.taken += length;
        if self.taken >= WINDOW / 2 {
            write_window_update(&mut self.out, 0, self.taken);
            self.taken = 0;
        }
        let is_end = head.has(flag::END_STREAM);
        // Of one that was given up.
        let Some(stream) = self.streams.get_mut(&head.stream) else {
            return Ok(());
        };
        let is_malformed = match &mut stream.left {
            _ if stream.status.is_none() => Some("its body came before its head"),
            Some(left) => match left.checked_sub(text.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    (is_end && rest > 0).then_some("its body is shorter than it says")
                }
                None => Some("its body is longer than it says"),
            },
            None => None,
        };
        if let Some(why) = is_malformed {
            self.lose(head.stream, why, found);
            return Ok(());
        }
        if !text.is_empty() {
            found(stream.key, Event::Data(text));
        }
        if is_end {
            self.finish(head.stream, found);
            return Ok(());
        }
        stream.taken += length;
        if stream.taken >= STREAM_WINDOW / 2 {
            write_window_update(&mut self.out, head.stream, stream.taken);
            stream.taken = 0;
        }
        Ok(())
    }

    /// A head that is whole: an answer's, one before it, or trailers.
    fn head(
        &mut self,
        number: u32,
        is_end: bool,
        block: &[u8],
        found: &mut impl FnMut(usize, Event<'_>),
    ) -> Result<(), Wrong> {
        let wrong = |wrong| match wrong {
            WrongHead::TooLong => Wrong {
                code: Code::CALM,
                why: "a head is too long",
            },
            _ => Wrong {
                code: Code::COMPRESSION,
                why: "a head cannot be read",
            },
        };
        let stream = self.streams.get_mut(&number);
        let Some(stream) = stream.filter(|stream| stream.status.is_none()) else {
            // Trailers, or of one that was given up: read all the same, since what follows builds on it.
            self.decoder
                .decode(block, HEAD_BYTES, |_, _| {})
                .map_err(wrong)?;
            if is_end {
                self.finish(number, found);
            } else if self.streams.contains_key(&number) {
                self.lose(number, "it has a second head", found);
            }
            return Ok(());
        };
        let (key, mut status, mut left) = (stream.key, None, None);
        let read = self
            .decoder
            .decode(block, HEAD_BYTES, |name, value| match name {
                b":status" => status = digits(value).filter(|n| (100..=999).contains(n)),
                b"content-length" => {
                    left = digits(value);
                    found(key, Event::Field(name, value));
                }
                _ => found(key, Event::Field(name, value)),
            });
        read.map_err(wrong)?;
        let Some(status) = status.map(|status| status as u16) else {
            self.lose(number, "it has no status", found);
            return Ok(());
        };
        found(key, Event::Head(status));
        if status < 200 {
            if is_end {
                self.lose(number, "it ends before it begins", found);
            }
            return Ok(());
        }
        stream.status = Some(status);
        stream.left = match stream.is_head_only || matches!(status, 204 | 304) {
            true => None,
            false => left,
        };
        if is_end {
            match stream.left {
                Some(1..) => self.lose(number, "its body is shorter than it says", found),
                _ => self.finish(number, found),
            }
        }
        Ok(())
    }

    /// A request's answer is whole.
    fn finish(&mut self, number: u32, found: &mut impl FnMut(usize, Event<'_>)) {
        let Some(stream) = self.streams.remove(&number) else {
            return;
        };
        match stream {
            Stream {
                left: Some(1..), ..
            } => found(
                stream.key,
                Event::Lost(Why::Malformed("its body is shorter than it says")),
            ),
            // The server wants no more of the request (section 8.1).
            _ => {
                if !stream.body.is_empty() {
                    write_reset(&mut self.out, number, Code::CANCEL);
                }
                found(stream.key, Event::End);
            }
        }
    }

    fn lose(&mut self, number: u32, why: &'static str, found: &mut impl FnMut(usize, Event<'_>)) {
        if let Some(stream) = self.streams.remove(&number) {
            write_reset(&mut self.out, number, Code::PROTOCOL);
            found(stream.key, Event::Lost(Why::Malformed(why)));
        }
    }

    fn settings(&mut self, head: Head, body: &[u8]) -> Result<(), Wrong> {
        if head.stream != 0 {
            return Err(Wrong::protocol("settings belong to no stream"));
        }
        self.has_settings = true;
        if head.has(flag::ACK) {
            return Ok(());
        }
        if !body.len().is_multiple_of(6) {
            return Err(Wrong::size("settings have not their length"));
        }
        for (name, value) in body.chunks_exact(6).filter_map(|one| {
            let name = one.first_chunk().map(|two| u16::from_be_bytes(*two))?;
            Some((name, frame::number(one.get(2..)?)?))
        }) {
            match name {
                setting::HEADER_TABLE_SIZE if value as usize != self.peer.table => {
                    self.peer.table = value as usize;
                    self.encoder.resize(self.peer.table);
                }
                setting::MAX_CONCURRENT_STREAMS => self.peer.streams = value as usize,
                setting::INITIAL_WINDOW_SIZE => {
                    let window = i64::from(value);
                    if window > WINDOW_MAX {
                        return Err(Wrong {
                            code: Code::FLOW_CONTROL,
                            why: "a window is too large",
                        });
                    }
                    for stream in self.streams.values_mut() {
                        stream.window += window - self.peer.window;
                    }
                    self.peer.window = window;
                }
                // Longer ones bring nothing, so within its bounds it is all the same (section 6.5.2).
                setting::MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return Err(Wrong::protocol("a frame's length is not what it may be"));
                }
                _ => {}
            }
        }
        write_head(&mut self.out, 0, kind::SETTINGS, flag::ACK, 0);
        self.write_bodies();
        self.bounded()
    }

    fn window(&mut self, head: Head, body: &[u8]) -> Result<(), Wrong> {
        let by = frame::number(body).ok_or(Wrong::size("a window's update is too short"))?;
        let by = i64::from(by & 0x7fff_ffff);
        let window = match head.stream {
            0 => &mut self.window,
            number => match self.streams.get_mut(&number) {
                Some(stream) => &mut stream.window,
                None => return Ok(()),
            },
        };
        *window += by;
        if by == 0 || *window > WINDOW_MAX {
            return Err(Wrong {
                code: Code::FLOW_CONTROL,
                why: "a window is opened by nothing, or too far",
            });
        }
        self.write_bodies();
        Ok(())
    }
}

/// A frame's content without its padding (section 6.1).
fn unpadded(head: Head, body: &[u8]) -> Result<&[u8], Wrong> {
    if !head.has(flag::PADDED) {
        return Ok(body);
    }
    let unpadded = body.split_first().and_then(|(padding, rest)| {
        let length = rest.len().checked_sub(usize::from(*padding))?;
        rest.get(..length)
    });
    unpadded.ok_or(Wrong::protocol("a frame has more padding than content"))
}

fn digits(text: &[u8]) -> Option<u64> {
    let is_number = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        text.iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    })
}

//! A connection, from the client's end: requests become bytes, bytes become [`Event`]s. No socket and no clock.
//!
//! A request has a key of its maker's, and its events carry that. Answers are not kept: what comes is handed on as it
//! comes, and so the windows are opened again at once.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};
use foldhash::{HashMap, HashMapExt as _};

use super::frame::{
    self, Code, Head, WINDOW_MAX, Wrong, flag, kind, setting, write_head, write_reset,
    write_window_update,
};
use super::hpack::{Decoder, Encoder};

mod receive;

/// What a server may send of one answer, and of all of them, before it is told that it was taken. Bytes.
const STREAM_WINDOW: u32 = 1 << 20;
const WINDOW: u32 = 16 << 20;
/// The window before anybody says otherwise (RFC 9113, section 6.9.2). Bytes.
const FIRST_WINDOW: i64 = 65_535;
/// The longest head of an answer, as it is counted and as it is sent. Bytes.
pub const HEAD_BYTES: usize = 64 << 10;
/// What is written ahead of the socket of bodies, and what of everything. Bytes.
const AHEAD: usize = 256 << 10;
const OUT_MAX: usize = 16 << 20;
/// Requests whose fields are worth a place in the table.
const LEARNED: usize = 16;
/// Beyond it there are no more streams on a connection.
const LAST_STREAM: u32 = (1 << 31) - 3;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A field of its answer's head; `:status` is not among them.
    Field(&'a [u8], &'a [u8]),
    /// The head is whole: its status. The fields of one below 200 were not the answer's, which is still to come.
    Head(u16),
    /// Of its body.
    Data(&'a [u8]),
    /// The answer is whole; nothing comes after it.
    End,
    /// No whole answer comes any more.
    Lost(Why),
}

/// Why no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The server ends the connection, and has not looked at the request: it may be made again, elsewhere.
    Unseen,
    /// It was reset.
    Reset(Code),
    /// What came is no answer.
    Malformed(&'static str),
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    out: Vec<u8>,
    /// How much of `out` is sent.
    sent: usize,
    /// Of a frame that is not whole.
    partial: Vec<u8>,
    encoder: Encoder,
    decoder: Decoder,
    /// Heads that are the same each time: as they were written last, and at which age of the encoder.
    written: Vec<(u64, Vec<u8>)>,
    streams: HashMap<u32, Stream>,
    /// The next stream's number.
    next: u32,
    /// Streams whose request's body waits for a window.
    blocked: VecDeque<u32>,
    /// What may be sent before the server has taken some of it.
    window: i64,
    /// What came since the server was last told that it was taken.
    taken: u32,
    peer: Peer,
    has_settings: bool,
    /// A head whose other parts are still to come.
    head: Option<Partial>,
    is_ending: bool,
}

/// What the server has said of itself.
#[derive(Debug)]
struct Peer {
    streams: usize,
    window: i64,
    table: usize,
}

#[derive(Debug)]
struct Stream {
    key: usize,
    /// What is still to be sent of the request's body.
    body: Bytes,
    window: i64,
    taken: u32,
    /// The status of the answer, once it is there.
    status: Option<u16>,
    /// What is to come of its body, if that was said.
    left: Option<u64>,
    is_head_only: bool,
}

#[derive(Debug)]
struct Partial {
    stream: u32,
    is_end: bool,
    block: Vec<u8>,
}

/// Whether a request can be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It can.
    Now,
    /// Once another one has ended.
    Later,
    /// Not on this connection.
    Never,
}

impl Default for Client {
    fn default() -> Client {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame::write_settings(
            &mut out,
            &[
                (setting::ENABLE_PUSH, 0),
                (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
                (setting::MAX_HEADER_LIST_SIZE, HEAD_BYTES as u32),
            ],
        );
        write_window_update(&mut out, 0, WINDOW - FIRST_WINDOW as u32);
        Client {
            out,
            sent: 0,
            partial: Vec::new(),
            encoder: Encoder::default(),
            decoder: Decoder::default(),
            written: Vec::new(),
            streams: HashMap::new(),
            next: 1,
            blocked: VecDeque::new(),
            window: FIRST_WINDOW,
            taken: 0,
            peer: Peer {
                // Any number, until it says otherwise (section 6.5.2).
                streams: usize::MAX,
                window: FIRST_WINDOW,
                table: 4096,
            },
            has_settings: false,
            head: None,
            is_ending: false,
        }
    }
}

/// A request, as it is sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What its events carry.
    pub key: usize,
    /// Which of the requests that are the same each time it is; `None` for one of its own.
    pub known: Option<usize>,
    /// Its fields, `:method` and the others first.
    pub fields: &'a [(Vec<u8>, Vec<u8>)],
    /// Its body.
    pub body: &'a Bytes,
    /// HEAD has no body in its answer, whatever that says.
    pub is_head: bool,
}

impl Client {
    /// Whether a request can be made now.
    pub fn room(&self) -> Room {
        match () {
            () if self.is_ending() => Room::Never,
            // How many it takes at a time is not known before.
            () if !self.has_settings => Room::Later,
            () if self.streams.len() >= self.peer.streams || self.out.len() > AHEAD => Room::Later,
            () => Room::Now,
        }
    }

    /// Whether the server has said hello, in HTTP/2.
    pub fn is_greeted(&self) -> bool {
        self.has_settings
    }

    /// Whether no more requests are to be made.
    pub fn is_ending(&self) -> bool {
        self.is_ending || self.next > LAST_STREAM
    }

    /// No more requests are to be made here.
    pub fn end(&mut self) {
        self.is_ending = true;
    }

    /// How many requests have no whole answer yet.
    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// Makes a request: the number of its stream. `None` if there is no room.
    pub fn ask(&mut self, asked: Asked<'_>) -> Option<u32> {
        if self.room() != Room::Now {
            return None;
        }
        let stream = self.next;
        self.next += 2;
        let end = match asked.body.is_empty() {
            true => flag::END_STREAM,
            false => 0,
        };
        self.write_head(stream, end, asked.known, asked.fields);
        self.streams.insert(
            stream,
            Stream {
                key: asked.key,
                body: asked.body.clone(),
                window: self.peer.window,
                taken: 0,
                status: None,
                left: None,
                is_head_only: asked.is_head,
            },
        );
        if !asked.body.is_empty() {
            self.blocked.push_back(stream);
            self.write_bodies();
        }
        Some(stream)
    }

    fn write_head(
        &mut self,
        stream: u32,
        end: u8,
        known: Option<usize>,
        fields: &[(Vec<u8>, Vec<u8>)],
    ) {
        let at = known.filter(|known| *known < 4096);
        if let Some((age, block)) = at.and_then(|at| self.written.get(at))
            && *age == self.encoder.age()
            && !block.is_empty()
        {
            // A known head fits into a frame, or it would not have been kept.
            let flags = flag::END_HEADERS | end;
            write_head(&mut self.out, block.len(), kind::HEADERS, flags, stream);
            self.out.extend_from_slice(block);
            return;
        }
        let mut block = Vec::new();
        let learn = known.is_some_and(|known| known < LEARNED);
        let before = self.encoder.age();
        let pairs = fields.iter().map(|(name, value)| (&**name, &**value));
        self.encoder.encode(pairs, learn, &mut block);
        let mut parts = block.chunks(frame::LENGTH).peekable();
        let mut frame = (kind::HEADERS, end);
        while let Some(part) = parts.next() {
            let last = match parts.peek() {
                None => flag::END_HEADERS,
                Some(_) => 0,
            };
            write_head(&mut self.out, part.len(), frame.0, frame.1 | last, stream);
            self.out.extend_from_slice(part);
            frame = (kind::CONTINUATION, 0);
        }
        if let Some(at) = at
            && before == self.encoder.age()
            && block.len() <= frame::LENGTH
        {
            if self.written.len() <= at {
                self.written.resize_with(at + 1, Default::default);
            }
            if let Some(place) = self.written.get_mut(at) {
                *place = (before, block);
            }
        }
    }

    /// Gives a request up.
    pub fn cancel(&mut self, stream: u32) {
        if self.streams.remove(&stream).is_some() {
            write_reset(&mut self.out, stream, Code::CANCEL);
        }
    }

    /// What is to be sent.
    pub fn out(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// So much of it is sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
            self.write_bodies();
        }
    }

    /// The goodbye, at the end of what is to be sent.
    pub fn say_goodbye(&mut self, code: Code) {
        frame::write_go_away(&mut self.out, code);
        self.is_ending = true;
    }

    /// The goodbye of somebody who is done.
    pub fn leave(&mut self) {
        self.say_goodbye(Code::NO_ERROR);
    }

    /// As much of the bodies as the windows let through.
    fn write_bodies(&mut self) {
        for _ in 0..self.blocked.len() {
            if self.window <= 0 || self.out.len() >= AHEAD {
                return;
            }
            let Some(number) = self.blocked.pop_front() else {
                return;
            };
            let Some(stream) = self.streams.get_mut(&number) else {
                continue;
            };
            while !stream.body.is_empty() && self.out.len() < AHEAD {
                let room = self.window.min(stream.window).max(0) as usize;
                let length = stream.body.len().min(room).min(frame::LENGTH);
                if length == 0 {
                    break;
                }
                let end = match length == stream.body.len() {
                    true => flag::END_STREAM,
                    false => 0,
                };
                write_head(&mut self.out, length, kind::DATA, end, number);
                self.out
                    .extend_from_slice(stream.body.get(..length).unwrap_or_default());
                stream.body.advance(length);
                self.window -= length as i64;
                stream.window -= length as i64;
            }
            if !stream.body.is_empty() {
                self.blocked.push_back(number);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! An HTTP/2 client that writes its frames by hand (RFC 9113, section 4.1).

use std::io::{Read, Write};
use std::net::TcpStream;

use bandy::Endpoint;
use bandy_testkit::raw;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM and GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let code = self.payload.get(at..at + 4).expect("a code");
        u32::from_be_bytes(code.try_into().expect("four bytes"))
    }

    /// The status of a response's HEADERS: an index of the static table, or a literal.
    pub fn status(&self) -> u16 {
        let known = [200, 204, 206, 304, 400, 404, 500];
        match self.payload.as_slice() {
            [index @ 0x88..=0x8e, ..] => known[usize::from(index - 0x88)],
            // `:status` by its index, and its value's three digits, as they are or in Huffman's code.
            [0x08 | 0x48, 3, value @ ..] => {
                let digits = value.get(..3).expect("three digits");
                let digits = std::str::from_utf8(digits).expect("digits");
                digits.parse().expect("a status")
            }
            [0x08 | 0x48, 0x82, a, b, ..] => huffman_digits([*a, *b, 0]),
            [0x08 | 0x48, 0x83, a, b, c, ..] => huffman_digits([*a, *b, *c]),
            other => panic!("no status: {other:02x?}"),
        }
    }
}

/// Three digits in two or three bytes (RFC 7541, appendix B): `0` to `2` have five bits, the others six.
fn huffman_digits([a, b, c]: [u8; 3]) -> u16 {
    let mut left = u32::from_be_bytes([a, b, c, 0]);
    let mut number = 0;
    for _ in 0..3 {
        let (digit, len) = match left >> 27 {
            short @ 0..=2 => (short, 5),
            _ => ((left >> 26) - 0x19 + 3, 6),
        };
        left <<= len;
        number = number * 10 + digit;
    }
    u16::try_from(number).expect("three digits")
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Fields as literals that are not indexed (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "one byte of length");
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A request's pseudo-fields.
pub fn asking<'a>(method: &'a str, path: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
    ]
}

/// The HEADERS of a GET.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let block = block(&asking("GET", path));
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// The HEADERS of a POST; its body follows.
pub fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&asking("POST", path)))
}

pub struct Frames(pub TcpStream);

impl Frames {
    /// Says the preface, with these settings.
    pub fn to(endpoint: &Endpoint, settings: &[(u16, u32)]) -> Frames {
        let mut client = Frames(raw::tcp(endpoint));
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        client.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.say(&frame(SETTINGS, 0, 0, &payload));
        client
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the server takes it");
    }

    /// Writes this for as long as the server takes it; whether all of it was.
    pub fn pour(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame, or the end.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing came in time"),
            Err(_) => return None,
        }
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; len];
        self.0.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The first frame that is one of these kinds, and not only an acknowledgement.
    pub fn until(&mut self, kinds: &[u8]) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            let is_ack = matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK != 0;
            if kinds.contains(&frame.kind) && !is_ack {
                return Some(frame);
            }
        }
    }

    /// Waits for the connection's end: the code of the last GOAWAY before it, if there was one.
    pub fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next() {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }
}

//! HTTP/2's frames (RFC 9113, sections 4 and 6): their heads, and how the short ones are written.

use std::fmt;

/// What every frame begins with. Bytes.
pub(super) const HEAD: usize = 9;
/// The longest frame that anybody takes who has not said otherwise. Bytes, without its head.
pub(super) const LENGTH: usize = 16_384;
/// The largest window (section 6.9.1). Bytes.
pub(super) const WINDOW_MAX: i64 = (1 << 31) - 1;

/// The kinds of frames (section 6).
pub(super) mod kind {
    pub(in crate::wire::http2) const DATA: u8 = 0;
    pub(in crate::wire::http2) const HEADERS: u8 = 1;
    pub(in crate::wire::http2) const RST_STREAM: u8 = 3;
    pub(in crate::wire::http2) const SETTINGS: u8 = 4;
    pub(in crate::wire::http2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::wire::http2) const PING: u8 = 6;
    pub(in crate::wire::http2) const GOAWAY: u8 = 7;
    pub(in crate::wire::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::wire::http2) const CONTINUATION: u8 = 9;
}

/// Flags of frames. The first two are the same bit, of different kinds.
pub(super) mod flag {
    pub(in crate::wire::http2) const ACK: u8 = 0x1;
    pub(in crate::wire::http2) const END_STREAM: u8 = 0x1;
    pub(in crate::wire::http2) const END_HEADERS: u8 = 0x4;
    pub(in crate::wire::http2) const PADDED: u8 = 0x8;
    pub(in crate::wire::http2) const PRIORITY: u8 = 0x20;
}

/// Settings (section 6.5.2).
pub(super) mod setting {
    pub(in crate::wire::http2) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in crate::wire::http2) const ENABLE_PUSH: u16 = 2;
    pub(in crate::wire::http2) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in crate::wire::http2) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(in crate::wire::http2) const MAX_FRAME_SIZE: u16 = 5;
    pub(in crate::wire::http2) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Why a stream or a connection ends before its time (section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

impl Code {
    pub(super) const NO_ERROR: Code = Code(0);
    pub(super) const PROTOCOL: Code = Code(1);
    pub(super) const FLOW_CONTROL: Code = Code(3);
    pub(super) const FRAME_SIZE: Code = Code(6);
    pub(super) const CANCEL: Code = Code(8);
    pub(super) const COMPRESSION: Code = Code(9);
    pub(super) const CALM: Code = Code(11);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        match NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}

/// What a server said that is not HTTP/2; nothing after it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// What it is told.
    pub code: Code,
    /// In words.
    pub why: &'static str,
}

impl Wrong {
    pub(super) fn protocol(why: &'static str) -> Wrong {
        Wrong {
            code: Code::PROTOCOL,
            why,
        }
    }

    pub(super) fn size(why: &'static str) -> Wrong {
        Wrong {
            code: Code::FRAME_SIZE,
            why,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why)
    }
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Of the bytes that begin with it; `None` if they do not reach.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Option<Head> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<HEAD>()?;
        Some(Head {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            // The first bit says nothing (section 4.1).
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Writes a frame's head.
pub(super) fn write_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, l0, l1, l2] = (length as u32).to_be_bytes();
    out.extend_from_slice(&[l0, l1, l2, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

pub(super) fn write_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    write_head(out, settings.len() * 6, kind::SETTINGS, 0, 0);
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn write_window_update(out: &mut Vec<u8>, stream: u32, by: u32) {
    write_head(out, 4, kind::WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&by.to_be_bytes());
}

pub(super) fn write_reset(out: &mut Vec<u8>, stream: u32, code: Code) {
    write_head(out, 4, kind::RST_STREAM, 0, stream);
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub(super) fn write_go_away(out: &mut Vec<u8>, code: Code) {
    write_head(out, 8, kind::GOAWAY, 0, 0);
    // No stream of the server's was ever opened.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// A number of four bytes.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|four| u32::from_be_bytes(*four))
}

//! What heads of both roles have in common: bounds, line ends, lengths, the Connection field.

use std::fmt;
use std::mem::MaybeUninit;

use ::http::{HeaderMap, HeaderName, HeaderValue, Version};
use bytes::Bytes;
use httparse::Header;

use super::reject::Reject;

/// How long a body is (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    None,
    /// So many bytes.
    Known(u64),
    /// As its chunks say.
    Chunked,
    /// To the end of the connection; responses only.
    UntilClose,
}

/// What a head may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// First line and fields. Bytes.
    pub head_bytes: usize,
    /// The request target. Bytes.
    pub target_bytes: usize,
    /// Fields.
    pub fields: usize,
}

/// Whether bytes that came since are worth another parse. A client that sends byte by byte costs a parse a line, and
/// not one a byte.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scan {
    seen: usize,
}

impl Scan {
    /// Looks at all that has come of a head so far.
    pub fn is_worth_parsing(&mut self, bytes: &[u8]) -> bool {
        let fresh = bytes.get(self.seen..).unwrap_or(bytes);
        let is_first = self.seen == 0 && !bytes.is_empty();
        self.seen = bytes.len();
        is_first || fresh.contains(&b'\n')
    }
}

/// Room for a head's fields, on the caller's stack unless there are very many.
pub struct Slots<'b> {
    few: [MaybeUninit<Header<'b>>; SLOTS],
    many: Vec<MaybeUninit<Header<'b>>>,
}

const SLOTS: usize = 64;

impl<'b> Slots<'b> {
    /// Empty room.
    pub fn new() -> Slots<'b> {
        Slots {
            few: [const { MaybeUninit::uninit() }; SLOTS],
            many: Vec::new(),
        }
    }

    /// Parses with room for as many fields as the bounds allow.
    pub(super) fn parse<'s, T>(
        &'s mut self,
        bounds: &Bounds,
        head: &'b [u8],
        parse: impl FnOnce(&'s mut [MaybeUninit<Header<'b>>]) -> T,
    ) -> T {
        let at_most = bounds.fields.min(memchr::memchr_iter(b'\n', head).count());
        if at_most <= SLOTS {
            let (few, _) = self.few.split_at_mut(at_most);
            return parse(few);
        }
        self.many.resize(at_most, const { MaybeUninit::uninit() });
        parse(&mut self.many)
    }
}

impl Default for Slots<'_> {
    fn default() -> Self {
        Slots::new()
    }
}

impl fmt::Debug for Slots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slots")
    }
}

/// Line ends are CRLF, and there is neither CR nor NUL elsewhere. httparse takes more.
pub(super) fn check_line_ends(head: &[u8]) -> Result<(), Reject> {
    let mut last = None;
    for at in memchr::memchr3_iter(b'\r', b'\n', 0, head) {
        match head.get(at) {
            Some(b'\n') if at == 0 || last != Some(at - 1) => return Err(Reject::BareLf),
            Some(b'\r') => match head.get(at + 1) {
                // The rest is still to come.
                None | Some(b'\n') => last = Some(at),
                Some(_) => return Err(Reject::BareCr),
            },
            Some(0) => return Err(Reject::Nul),
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn explain(error: httparse::Error) -> Reject {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Reject::Field,
        httparse::Error::NewLine => Reject::StartLine,
        httparse::Error::TooManyHeaders => Reject::TooManyFields,
        httparse::Error::Version => Reject::Version,
        _ => Reject::StartLine,
    }
}

/// What the fields say about the message itself.
#[derive(Debug, Default)]
pub(super) struct Said<'b> {
    pub(super) length: Option<u64>,
    pub(super) is_chunked: bool,
    pub(super) host: Option<&'b [u8]>,
    pub(super) closes: bool,
    pub(super) keeps_alive: bool,
    pub(super) upgrades: bool,
    pub(super) has_upgrade: bool,
    pub(super) expects: Option<&'b [u8]>,
}

impl<'b> Said<'b> {
    /// One pass over the fields. Rejects what could be read in two ways.
    pub(super) fn read(fields: &[Header<'b>], version: Version) -> Result<Said<'b>, Reject> {
        let mut said = Said::default();
        let mut lengths = 0;
        let mut encodings = 0;
        let mut hosts = 0;
        let mut expectations = 0;
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                4 if is("host") => {
                    hosts += 1;
                    said.host = Some(field.value);
                }
                6 if is("expect") => {
                    expectations += 1;
                    said.expects = Some(field.value);
                }
                7 if is("upgrade") => said.has_upgrade = true,
                10 if is("connection") => said.connection(field.value),
                14 if is("content-length") => {
                    lengths += 1;
                    said.length = Some(parse_length(field.value)?);
                }
                17 if is("transfer-encoding") => {
                    encodings += 1;
                    if !field.value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Reject::BadEncoding);
                    }
                }
                _ => {}
            }
        }
        if hosts > 1 {
            return Err(Reject::TwoHosts);
        }
        if expectations > 1 {
            return Err(Reject::Expectation);
        }
        match (lengths, encodings) {
            (0 | 1, 0) => {}
            (0, 1) if version == Version::HTTP_10 => return Err(Reject::EncodingInHttp10),
            (0, 1) => said.is_chunked = true,
            (0, _) => return Err(Reject::BadEncoding),
            (_, 0) => return Err(Reject::BadLength),
            _ => return Err(Reject::TwoLengths),
        }
        Ok(said)
    }

    fn connection(&mut self, value: &[u8]) {
        for token in value.split(|b| *b == b',') {
            let token = token.trim_ascii();
            self.closes |= token.eq_ignore_ascii_case(b"close");
            self.keeps_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            self.upgrades |= token.eq_ignore_ascii_case(b"upgrade");
        }
    }

    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.closes && (version == Version::HTTP_11 || self.keeps_alive)
    }
}

/// Digits only: no sign, no list, no space inside.
fn parse_length(value: &[u8]) -> Result<u64, Reject> {
    if value.is_empty() {
        return Err(Reject::BadLength);
    }
    value.iter().try_fold(0u64, |length, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Reject::BadLength);
        }
        length
            .checked_mul(10)
            .and_then(|length| length.checked_add(u64::from(digit)))
            .ok_or(Reject::BadLength)
    })
}

/// A map of fields whose values are slices of the bytes that they were parsed in.
pub(super) fn map<'b>(
    fields: impl ExactSizeIterator<Item = (&'b str, &'b [u8])>,
    owned: &Bytes,
) -> Result<HeaderMap, Reject> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Reject::Field)?;
        let value =
            HeaderValue::from_maybe_shared(slice(owned, value)).map_err(|_| Reject::Field)?;
        map.append(name, value);
    }
    Ok(map)
}

/// `part` as a slice of `owned`, which it is a part of; a copy, should it not be.
pub(super) fn slice(owned: &Bytes, part: &[u8]) -> Bytes {
    let start = (part.as_ptr() as usize).wrapping_sub(owned.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= owned.len() => owned.slice(start..end),
        _ => Bytes::copy_from_slice(part),
    }
}

//! What a TLS client says first, as far as a balancer that does not terminate TLS wants to know it: which server it
//! means (SNI, RFC 6066, section 3) and what it would speak with it (ALPN, RFC 7301).
//!
//! The hello is read however it was cut into records and segments, and never changed: what was read goes to the chosen
//! server as it came. Source: RFC 8446, sections 4.1.2, 4.2 and 5.1. Nothing is decided here about versions, ciphers or
//! keys; that is between the two ends. With Encrypted Client Hello the outer name is what is seen.

use std::fmt;

use super::cursor::Cursor;

#[cfg(test)]
mod tests;

/// The longest hello that is read, its records' headers included. Bytes. Browsers send some two thousand.
pub const LENGTH_MAX: usize = 16 << 10;

/// The longest DNS name.
const NAME_MAX: usize = 253;
/// A record's type for handshakes.
const HANDSHAKE: u8 = 22;
/// The longest fragment in a record (RFC 8446, section 5.1).
const FRAGMENT_MAX: usize = 1 << 14;
/// A handshake message's type for the client's hello.
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
/// The one type of server name.
const HOST_NAME: u8 = 0;

/// What a client's hello says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// The host that the client means, in lower case and without a final dot.
    pub server_name: Option<String>,
    /// The protocols that it offers, the best first.
    pub alpn: Vec<Vec<u8>>,
}

/// Bytes that begin no TLS conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong(&'static str);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a TLS client's hello: {}", self.0)
    }
}

impl std::error::Error for Wrong {}

/// Reads the hello that a connection begins with. `None` where more bytes are needed.
///
/// # Errors
/// That it is none, as soon as that is sure, or longer than [`LENGTH_MAX`].
pub fn parse(bytes: &[u8]) -> Result<Option<ClientHello>, Wrong> {
    match whole(bytes.get(..LENGTH_MAX).unwrap_or(bytes))? {
        Some(message) => hello(Cursor(&message)).map(Some),
        None if bytes.len() >= LENGTH_MAX => Err(Wrong("it is longer than is taken")),
        None => Ok(None),
    }
}

/// The handshake message without its header, put together from its records.
fn whole(bytes: &[u8]) -> Result<Option<Vec<u8>>, Wrong> {
    let mut records = Cursor(bytes);
    let mut message = Vec::new();
    loop {
        match records.byte() {
            None => return Ok(None),
            Some(HANDSHAKE) => {}
            Some(_) => return Err(Wrong("it is not in handshake records")),
        }
        match records.byte() {
            None => return Ok(None),
            // What follows is 0 to 4, and of no meaning any more.
            Some(3) => {}
            Some(_) => return Err(Wrong("its records are of no version of TLS")),
        }
        let (Some(_), Some(length)) = (records.byte(), records.u16()) else {
            return Ok(None);
        };
        let length = usize::from(length);
        if length == 0 || length > FRAGMENT_MAX {
            return Err(Wrong("a record has no length that it may have"));
        }
        let here = length.min(records.0.len());
        message.extend_from_slice(records.take(here).unwrap_or_default());

        let mut header = Cursor(&message);
        if header.byte().is_some_and(|kind| kind != CLIENT_HELLO) {
            return Err(Wrong("it is another handshake message"));
        }
        if let Some(announced) = header.u24() {
            if announced > LENGTH_MAX {
                return Err(Wrong("it is longer than is taken"));
            }
            if let Some(body) = header.take(announced) {
                // A client has nothing to say behind its hello before it was answered.
                if !header.0.is_empty() || here < length {
                    return Err(Wrong("something follows it in its record"));
                }
                return Ok(Some(body.to_vec()));
            }
        }
        if here < length {
            return Ok(None);
        }
    }
}

fn hello(mut body: Cursor<'_>) -> Result<ClientHello, Wrong> {
    const CUT: Wrong = Wrong("it ends in the middle of a field");
    // Version and random.
    body.take(2 + 32).ok_or(CUT)?;
    let session = body.short_vector().ok_or(CUT)?;
    let ciphers = body.vector().ok_or(CUT)?;
    let compressions = body.short_vector().ok_or(CUT)?;
    if session.len() > 32 || ciphers.is_empty() || ciphers.len() % 2 == 1 || compressions.is_empty()
    {
        return Err(Wrong("a field has no length that it may have"));
    }
    let mut found = ClientHello::default();
    // A hello of TLS 1.2 may have none at all.
    if body.0.is_empty() {
        return Ok(found);
    }
    let mut extensions = Cursor(body.vector().ok_or(CUT)?);
    if !body.0.is_empty() {
        return Err(Wrong("something follows its extensions"));
    }
    let (mut has_name, mut has_alpn) = (false, false);
    while !extensions.0.is_empty() {
        let kind = extensions.u16().ok_or(CUT)?;
        let content = Cursor(extensions.vector().ok_or(CUT)?);
        match kind {
            // Two readings of one hello are what smuggling is made of (RFC 8446, section 4.2).
            SERVER_NAME if std::mem::replace(&mut has_name, true) => return Err(TWICE),
            ALPN if std::mem::replace(&mut has_alpn, true) => return Err(TWICE),
            SERVER_NAME => found.server_name = Some(server_name(content)?),
            ALPN => found.alpn = protocols(content)?,
            _ => {}
        }
    }
    Ok(found)
}

const TWICE: Wrong = Wrong("it has an extension twice");

fn server_name(mut content: Cursor<'_>) -> Result<String, Wrong> {
    const WRONG: Wrong = Wrong("its server name is malformed");
    let mut names = Cursor(content.vector().ok_or(WRONG)?);
    let kind = names.byte().ok_or(WRONG)?;
    let name = names.vector().ok_or(WRONG)?;
    // One name of one type: RFC 6066 forbids two of a type, and there is no other type.
    if kind != HOST_NAME || !names.0.is_empty() || !content.0.is_empty() {
        return Err(WRONG);
    }
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if name.is_empty() || name.len() > NAME_MAX || !name.iter().all(is_plain) {
        return Err(WRONG);
    }
    let name = std::str::from_utf8(name).map_err(|_| WRONG)?;
    Ok(name.to_ascii_lowercase())
}

fn protocols(mut content: Cursor<'_>) -> Result<Vec<Vec<u8>>, Wrong> {
    const WRONG: Wrong = Wrong("its list of protocols is malformed");
    let mut list = Cursor(content.vector().ok_or(WRONG)?);
    if list.0.is_empty() || !content.0.is_empty() {
        return Err(WRONG);
    }
    let mut protocols = Vec::new();
    while !list.0.is_empty() {
        let name = list.short_vector().filter(|name| !name.is_empty());
        protocols.push(name.ok_or(WRONG)?.to_vec());
    }
    Ok(protocols)
}

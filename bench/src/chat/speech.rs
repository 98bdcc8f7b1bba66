//! What is spoken to a chat server, as far as a member and a sender need it: coming in, saying something, and where one thing that
//! is heard ends and the next begins.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// Bandy's WebSocket, in JSON.
    Json,
    Irc,
    /// Redis's, for SUBSCRIBE and PUBLISH.
    Resp,
}

/// The length of everything that is said.
pub const TEXT: usize = 100;
/// How much of it says who said it, and as which of their messages.
pub const STAMP: usize = 16;
/// How it begins: with what no protocol here has elsewhere.
pub const MARK: &[u8] = b"%%";

pub type Stamp = [u8; STAMP];

/// `%%SSNNNNNNNNNNNN`, in decimal.
pub fn stamp(sender: usize, number: u64) -> Stamp {
    let text = format!("%%{sender:02}{number:012}");
    let mut stamp = [b'0'; STAMP];
    for (to, from) in stamp.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    stamp
}

/// Who said it, and their how many-th message it is.
pub fn read_stamp(stamp: &Stamp) -> Option<(usize, u64)> {
    let digits = std::str::from_utf8(stamp.strip_prefix(MARK)?).ok()?;
    let (sender, number) = digits.split_at_checked(2)?;
    Some((sender.parse().ok()?, number.parse().ok()?))
}

impl Speech {
    /// Comes in under this name; blocks until that is so. What has come behind it is left in `heard`.
    pub fn enter(self, stream: &mut TcpStream, nick: &str, heard: &mut Vec<u8>) -> Result<()> {
        match self {
            Speech::Json => {
                let upgrade = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
                stream.write_all(upgrade.as_bytes()).context("upgrading")?;
                let end = wait_for(stream, heard, |heard| find(heard, b"\r\n\r\n"))?;
                ensure!(
                    heard.starts_with(b"HTTP/1.1 101 "),
                    "upgrading: the server said {:?}",
                    String::from_utf8_lossy(heard.get(..end).unwrap_or_default())
                );
                heard.drain(..end + 4);
                let enter = format!(r#"{{"ref":1,"do":"enter","nick":"{nick}"}}"#);
                self.ask(stream, heard, &enter, 1)
            }
            Speech::Irc => {
                let hello = format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n");
                stream
                    .write_all(hello.as_bytes())
                    .context("registering at IRC")?;
                // The end of the message of the day, or that there is none.
                self.hear(stream, heard, |line| {
                    is_reply(line, b"376") || is_reply(line, b"422")
                })
            }
            Speech::Resp => Ok(()),
        }
    }

    /// Joins a room, to hear all that is said there; blocks until that is so.
    pub fn join(self, stream: &mut TcpStream, room: &str, heard: &mut Vec<u8>) -> Result<()> {
        match self {
            Speech::Json => {
                let join = format!(r#"{{"ref":2,"do":"join","room":"{room}"}}"#);
                self.ask(stream, heard, &join, 2)
            }
            Speech::Irc => {
                let join = format!("JOIN #{room}\r\n");
                stream.write_all(join.as_bytes()).context("joining")?;
                self.hear(stream, heard, |line| is_reply(line, b"366"))
            }
            Speech::Resp => {
                let subscribe = command(&["SUBSCRIBE", room]);
                stream.write_all(&subscribe).context("subscribing")?;
                self.hear(stream, heard, |unit| find(unit, b"subscribe").is_some())
            }
        }
    }

    /// Appends what says this text in a room.
    pub fn say(self, out: &mut Vec<u8>, room: &str, text: &[u8], number: u64) {
        match self {
            Speech::Json => {
                let head =
                    format!(r#"{{"ref":{number},"do":"say","room":"{room}","text":""#).into_bytes();
                frame(out, &[&head, text, br#""}"#]);
            }
            Speech::Irc => {
                out.extend_from_slice(format!("PRIVMSG #{room} :").as_bytes());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Speech::Resp => {
                let text = String::from_utf8_lossy(text);
                out.extend_from_slice(&command(&["PUBLISH", room, &text]));
            }
        }
    }

    /// The length of the first whole thing that was heard; None where it has not come whole yet.
    pub fn unit(self, heard: &[u8]) -> Result<Option<usize>> {
        Ok(match self {
            Speech::Json => ws_unit(heard)?,
            Speech::Irc => heard
                .iter()
                .position(|&byte| byte == b'\n')
                .map(|at| at + 1),
            Speech::Resp => resp_unit(heard, 0)?,
        })
    }

    /// Sends a request over JSON and waits for its answer, which must be a good one.
    fn ask(
        self,
        stream: &mut TcpStream,
        heard: &mut Vec<u8>,
        request: &str,
        number: u64,
    ) -> Result<()> {
        let mut out = Vec::new();
        frame(&mut out, &[request.as_bytes()]);
        stream.write_all(&out).context("asking")?;
        let answer = format!(r#"{{"re":{number},"#);
        let good = format!(r#"{{"re":{number},"ok""#);
        let mut is_good = Ok(());
        self.hear(stream, heard, |unit| {
            if find(unit, answer.as_bytes()).is_none() {
                return false;
            }
            if find(unit, good.as_bytes()).is_none() {
                is_good = Err(anyhow::anyhow!(
                    "asking {request}: the server said {}",
                    String::from_utf8_lossy(unit)
                ));
            }
            true
        })?;
        is_good
    }

    /// Hears one thing after the other until `is_it`. Those, and it, are taken out of `heard`.
    pub fn hear(
        self,
        stream: &mut TcpStream,
        heard: &mut Vec<u8>,
        mut is_it: impl FnMut(&[u8]) -> bool,
    ) -> Result<()> {
        loop {
            while let Some(length) = self.unit(heard)? {
                let found = is_it(heard.get(..length).unwrap_or_default());
                heard.drain(..length);
                if found {
                    return Ok(());
                }
            }
            read_more(stream, heard)?;
        }
    }
}

fn wait_for(
    stream: &mut TcpStream,
    heard: &mut Vec<u8>,
    look: impl Fn(&[u8]) -> Option<usize>,
) -> Result<usize> {
    loop {
        if let Some(at) = look(heard) {
            return Ok(at);
        }
        read_more(stream, heard)?;
    }
}

fn read_more(stream: &mut TcpStream, heard: &mut Vec<u8>) -> Result<()> {
    let mut buffer = [0; 16 << 10];
    let got = stream.read(&mut buffer).context("reading")?;
    if got == 0 {
        bail!(
            "reading: the server closed; it said {:?}",
            String::from_utf8_lossy(heard)
        );
    }
    heard.extend_from_slice(buffer.get(..got).unwrap_or_default());
    Ok(())
}

/// Where something is in something longer.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// `:server 366 nick ...`
fn is_reply(line: &[u8], numeric: &[u8]) -> bool {
    line.split(|&byte| byte == b' ').nth(1) == Some(numeric)
}

/// A text frame of a client (RFC 6455, section 5.2). The mask is of zeros, which leaves the text as it is.
pub fn frame(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x81);
    match u8::try_from(length) {
        Ok(short @ ..=125) => out.push(0x80 | short),
        // Nothing that is sent here is longer than 64 KiB.
        _ => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// A server's frame: its length with the head.
fn ws_unit(heard: &[u8]) -> Result<Option<usize>> {
    let (Some(&first), Some(&second)) = (heard.first(), heard.get(1)) else {
        return Ok(None);
    };
    ensure!(
        first != 0x88,
        "reading: the server closed with {:?}",
        String::from_utf8_lossy(heard.get(2..).unwrap_or_default())
    );
    ensure!(second & 0x80 == 0, "reading: a server's frame was masked");
    let long = |bytes: usize| {
        let field = heard.get(2..2 + bytes)?;
        let length = field
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        Some(2 + bytes + length)
    };
    let length = match second {
        126 => long(2),
        127 => long(8),
        short => Some(2 + usize::from(short)),
    };
    Ok(length.filter(|&length| length <= heard.len()))
}

/// `*3\r\n` and so many things, `$5\r\nhello\r\n`, `:1\r\n`, `+OK\r\n`.
fn resp_unit(heard: &[u8], from: usize) -> Result<Option<usize>> {
    let Some(&kind) = heard.get(from) else {
        return Ok(None);
    };
    let mut at = from + 1;
    let mut number = 0;
    loop {
        match heard.get(at) {
            None => return Ok(None),
            Some(b'\r') => break,
            Some(&digit) => {
                number = number * 10 + usize::from(digit.wrapping_sub(b'0'));
                number &= 0xff_ffff;
            }
        }
        at += 1;
    }
    let end = at + 2;
    let whole = |end: usize| (end <= heard.len()).then_some(end);
    match kind {
        b'*' => {
            let mut at = end;
            for _ in 0..number {
                match resp_unit(heard, at)? {
                    Some(end) => at = end,
                    None => return Ok(None),
                }
            }
            Ok(whole(at))
        }
        b'$' => Ok(whole(end + number + 2)),
        b':' | b'+' => Ok(whole(end)),
        _ => bail!(
            "reading: the server said {:?}",
            String::from_utf8_lossy(heard.get(from..).unwrap_or_default())
        ),
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len());
    for word in words {
        out += &format!("${}\r\n{word}\r\n", word.len());
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        assert_eq!(&stamp(3, 41), b"%%03000000000041");
        assert_eq!(read_stamp(&stamp(3, 41)), Some((3, 41)));
        assert_eq!(read_stamp(b"0003000000000041"), None);
    }

    #[test]
    fn things_end_where_they_end() -> Result<()> {
        let frame = [b"\x81\x7e\x00\x80".as_slice(), &[b'x'; 128], b"\x81"].concat();
        assert_eq!(Speech::Json.unit(&frame)?, Some(132));
        assert_eq!(Speech::Json.unit(&frame[..131])?, None);
        assert!(Speech::Json.unit(b"\x88\x02\x03\xe8").is_err());
        let message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n:1\r\n";
        assert_eq!(Speech::Resp.unit(message)?, Some(message.len() - 4));
        for cut in 0..message.len() - 4 {
            assert_eq!(Speech::Resp.unit(&message[..cut])?, None, "{cut}");
        }
        assert!(Speech::Resp.unit(b"-ERR no\r\n").is_err());
        assert_eq!(Speech::Irc.unit(b":a PING\r\n:b")?, Some(9));
        Ok(())
    }
}

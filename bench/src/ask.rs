//! One request at a time, by hand: to see that an answer is right before it is counted, to log in, to speak once.
//!
//! HTTP/1.1 with Content-Length is all it knows. What is measured is sent by wrk and h2load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(10);
const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 64 << 20;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// What it says, in a line, for a message that it was not what was wanted.
    pub fn words(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(300)
            .collect();
        format!("{} {}", self.status, text.trim())
    }
}

/// A request and its answer on a connection of their own.
pub fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &[String],
    body: &[u8],
) -> Result<Answer> {
    let mut stream = connect(address)?;
    let request = request(address, method, target, fields, body);
    exchange(&mut stream, &request).with_context(|| format!("asking {method} {target}"))
}

pub fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, WAIT)
        .with_context(|| format!("connecting to {address}"))?;
    stream
        .set_read_timeout(Some(WAIT))
        .and_then(|()| stream.set_nodelay(true))
        .context("setting up a connection")?;
    Ok(stream)
}

/// The bytes of a request.
pub fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    fields: &[String],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n");
    for field in fields {
        head += &format!("{field}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    [head.as_bytes(), body].concat()
}

/// Sends `request` and reads its answer, to the last byte and none more.
pub fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Answer> {
    stream.write_all(request).context("sending")?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = parse(&received)? {
            return Ok(answer);
        }
        match stream.read(&mut buffer).context("reading the answer")? {
            0 => bail!("reading the answer: the server closed the connection"),
            got => received.extend_from_slice(&buffer[..got]),
        }
    }
}

/// Makes an account, logs in, and answers the field that proves it.
pub fn log_in(address: SocketAddr) -> Result<String> {
    let who = json!({ "user": "ada", "password": "correct horse battery" }).to_string();
    let json = ["Content-Type: application/json".to_owned()];
    let made = ask(address, "POST", "/register", &json, who.as_bytes())?;
    ensure!(
        made.status == 201,
        "making an account: the server says {}",
        made.words()
    );
    let session = ask(address, "POST", "/login", &json, who.as_bytes())?;
    ensure!(
        session.status == 200,
        "logging in: the server says {}",
        session.words()
    );
    let session: Value =
        serde_json::from_slice(&session.body).context("understanding the session")?;
    let token = session["token"]
        .as_str()
        .context("understanding the session: there is no token in it")?;
    Ok(format!("Authorization: Bearer {token}"))
}

/// None while there is more to come.
fn parse(received: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        ensure!(
            received.len() <= HEAD_MAX,
            "understanding the answer: its head does not end"
        );
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&received[..end]);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .context("understanding the answer: its first line is not HTTP/1.1")?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    let length: usize = match length {
        Some(length) => length,
        None if status == 204 || status == 304 => 0,
        None => bail!("understanding the answer: it has no Content-Length"),
    };
    ensure!(
        length <= BODY_MAX,
        "understanding the answer: {length} bytes are too many"
    );
    let body = &received[end + 4..];
    ensure!(
        body.len() <= length,
        "reading the answer: more came than its {length} bytes"
    );
    Ok((body.len() == length).then(|| Answer {
        status,
        body: body.to_vec(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_whole_or_not_there() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX: y\r\n\r\n8\n";
        for length in 0..text.len() {
            assert_eq!(parse(&text[..length]).ok(), Some(None), "{length} bytes");
        }
        let answer = Answer {
            status: 200,
            body: b"8\n".to_vec(),
        };
        assert_eq!(parse(text).ok(), Some(Some(answer)));
    }

    #[test]
    fn what_is_no_answer_is_said_so() {
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n8").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n88").is_err());
    }

    #[test]
    fn requests_say_how_long_they_are() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let bytes = request(address, "POST", "/x", &["A: b".to_owned()], b"{}");
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "POST /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"
        );
    }
}

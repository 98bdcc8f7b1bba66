//! WebSocket (RFC 6455): the step from a stream to messages, in both roles.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, Message as WsMessage, Role, WebSocketConfig,
};

use super::conn::{Conn, Message};
use super::io::Io;
use super::meter::Meter;
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result, Side};

/// Which pages of a browser may connect.
///
/// A browser lets any page that its user looks at connect to `ws://127.0.0.1`, and names the page in `Origin`. So
/// a page is let in only from this machine, from the same host and port, or from where the operator says. At a
/// loopback listener the same host is not enough: a name that an attacker owns can be made to resolve to 127.0.0.1
/// (DNS rebinding). Programs send no `Origin` and are not concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins {
    /// Origins allowed beyond those, as browsers write them (`https://app.example`); `*` is any.
    pub allowed: Vec<String>,
}

impl Origins {
    fn allow(&self, headers: &HeaderMap, listener: &Endpoint) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        if self
            .allowed
            .iter()
            .any(|a| a == "*" || a.eq_ignore_ascii_case(origin))
        {
            return true;
        }
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        let is_same = headers
            .get(header::HOST)
            .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()));
        let is_local = listener
            .socket_addr()
            .is_some_and(|address| address.ip().is_loopback());
        is_this_machine(authority) || (is_same && !is_local)
    }
}

/// Whether a host, with its port if it has one, is this machine whatever names resolve to.
pub(crate) fn is_this_machine(authority: &str) -> bool {
    let host = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((v6, _)) => v6,
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// What may be spoken over a WebSocket, by the names that clients ask for in `Sec-WebSocket-Protocol` (RFC 6455, section
/// 1.9). A client that asks for none of them, or for nothing, is not refused: its service does without.
pub type Subprotocols = &'static [&'static str];

/// The first of those that a client asks for that there is.
pub(crate) fn subprotocol(headers: &HeaderMap, known: Subprotocols) -> Option<&'static str> {
    let asked = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    names.find_map(|name| known.iter().copied().find(|known| *known == name.trim()))
}

/// An established WebSocket over a stream.
pub(crate) struct Socket<S> {
    stream: WebSocketStream<S>,
    /// What is left of a frame that [`Socket::poll_send_frames`] began. Nothing else is written before it.
    begun: Bytes,
    /// The peer's close frame has come, and says this.
    peer_close: Option<Close>,
    /// What was agreed on to be spoken.
    pub(super) subprotocol: Option<&'static str>,
}

/// Why a WebSocket is closed (RFC 6455, section 7.4): what a close frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code; `None` where the frame has none.
    pub code: Option<u16>,
    /// The reason; at most 123 bytes.
    pub reason: String,
}

impl Close {
    /// With a code and a reason, as much of it as there is room for.
    pub fn new(code: u16, reason: &str) -> Close {
        // A close frame has room for 123 bytes of reason (RFC 6455, section 5.5).
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Close {
            code: Some(code),
            reason: reason.get(..end).unwrap_or_default().to_owned(),
        }
    }

    /// All was said.
    pub fn normal() -> Close {
        Close::new(1000, "")
    }

    fn of(frame: Option<CloseFrame>) -> Close {
        Close {
            code: frame.as_ref().map(|frame| frame.code.into()),
            reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
        }
    }

    fn frame(self) -> Option<CloseFrame> {
        Some(CloseFrame {
            code: self.code?.into(),
            reason: self.reason.into(),
        })
    }
}

fn config(message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes))
        // Kept for as long as the connection lives, so an idle one should own little.
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        // A message is written at once, so this only bounds what one send may add while the peer does not read.
        .max_write_buffer_size(message_bytes.saturating_add(64 * 1024))
}

/// The answering role. The handshake's deadline is the caller's.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    meter: &Meter,
    origins: &Origins,
    subprotocols: Subprotocols,
    message_bytes: usize,
) -> Result<Socket<S>> {
    let target = meter.endpoint.target();
    let mut spoken = None;
    // The refusal's type is tungstenite's.
    #[allow(clippy::result_large_err)]
    let check = |request: &Request, mut response: Response| {
        if !origins.allow(request.headers(), &meter.endpoint) {
            let what = "this page's origin may not connect here (see `origins`)\n";
            return Err(refusal(StatusCode::FORBIDDEN, what));
        }
        if request.uri().path_and_query().map_or("/", |t| t.as_str()) != target && target != "/" {
            return Err(refusal(
                StatusCode::NOT_FOUND,
                "nothing is served at this path\n",
            ));
        }
        spoken = subprotocol(request.headers(), subprotocols);
        if let Some(name) = spoken {
            let name = HeaderValue::from_static(name);
            response
                .headers_mut()
                .insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        Ok(response)
    };
    let config = Some(config(message_bytes));
    match tokio_tungstenite::accept_hdr_async_with_config(stream, check, config).await {
        Ok(stream) => Ok(Socket {
            subprotocol: spoken,
            ..Socket::new(stream)
        }),
        Err(e) => Err(handshake_failed(e, Side::Downstream, meter.peer())),
    }
}

fn refusal(status: StatusCode, what: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(what.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(what.len()));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The step for a connection whose handshake was done by HTTP: from behind its 101 on, it carries messages.
///
/// # Errors
/// None of its own.
pub async fn upgraded(conn: Conn, subprotocol: Option<&'static str>) -> Result<Conn> {
    let message_bytes = conn.message_bytes();
    let upgrade = async |io, _: Arc<Meter>| {
        let config = Some(config(message_bytes));
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, config).await;
        let socket = Socket {
            subprotocol,
            ..Socket::new(stream)
        };
        Ok((Io::Ws(Box::new(socket)), None))
    };
    conn.step(upgrade).await
}

/// What answers a handshake's `Sec-WebSocket-Key` (RFC 6455, section 4.2.2).
pub fn accept_key(key: &[u8]) -> String {
    derive_accept_key(key)
}

/// The asking role. The handshake's deadline is the caller's.
pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    endpoint: &Endpoint,
    message_bytes: usize,
) -> Result<Socket<S>> {
    let config = Some(config(message_bytes));
    match tokio_tungstenite::client_async_with_config(endpoint.to_string(), stream, config).await {
        Ok((stream, _)) => Ok(Socket::new(stream)),
        Err(e) => Err(handshake_failed(e, Side::Upstream, endpoint)),
    }
}

fn handshake_failed(cause: WsError, side: Side, with: &dyn fmt::Display) -> Error {
    let act = format!("WebSocket handshake with {with}");
    match cause {
        WsError::Io(e) => Error::talking(side, act, e),
        WsError::Http(response) => {
            let status = response.status();
            let error = Error::new(Kind::Protocol, side, act);
            match side {
                Side::Upstream => error
                    .because(format!("the server answered {status}"))
                    .hint("is there a WebSocket at this path, and may this client use it?"),
                _ => error.because(format!("refused with {status}")),
            }
        }
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            Error::new(Kind::Closed, side, act).because("the connection ended in the middle of it")
        }
        WsError::Protocol(ProtocolError::HttparseError(_)) => Error::new(Kind::Protocol, side, act)
            .because("what came is not HTTP")
            .hint("does the other end speak WebSocket?"),
        other => Error::new(Kind::Protocol, side, act)
            .because(other)
            .hint("does the other end speak WebSocket?"),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// What it is spoken over.
    pub(super) fn transport(&self) -> &S {
        self.stream.get_ref()
    }

    fn new(stream: WebSocketStream<S>) -> Socket<S> {
        Socket {
            stream,
            peer_close: None,
            begun: Bytes::new(),
            subprotocol: None,
        }
    }

    /// The next message, `None` after the peer's close. Pings are answered, and count as a sign of life.
    pub(crate) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        meter: &Meter,
    ) -> Poll<io::Result<Option<Message>>> {
        loop {
            // Reading may answer a ping, which must not stand in the middle of another frame.
            ready!(self.poll_begun(cx))?;
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) | None => {
                    return self.poll_end(cx);
                }
                // All was said: how the transport under it ends does not matter any more.
                Some(Err(_)) if self.peer_close.is_some() => return self.poll_end(cx),
                Some(Err(e)) => {
                    self.tell_why(cx, &e);
                    return Poll::Ready(Err(to_io(e)));
                }
            };
            return Poll::Ready(Ok(match message {
                WsMessage::Text(text) => Some(Message {
                    data: text.into(),
                    is_text: true,
                }),
                WsMessage::Binary(data) => Some(Message {
                    data,
                    is_text: false,
                }),
                WsMessage::Ping(data) | WsMessage::Pong(data) => {
                    meter.count_read(data.len().max(1));
                    continue;
                }
                // The next poll gives `None`, once our half of the closing handshake is written.
                WsMessage::Close(frame) => {
                    self.peer_close = Some(Close::of(frame));
                    continue;
                }
                WsMessage::Frame(_) => continue,
            }));
        }
    }

    /// After the closing handshake the transport ends too, over TLS with its own goodbye.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        // Where that fails the peer has ended it already.
        let _ = ready!(Pin::new(self.stream.get_mut()).poll_shutdown(cx));
        Poll::Ready(Ok(None))
    }

    /// A peer that did wrong is told so by the close code (RFC 6455, section 7.4.1), as far as it still listens.
    fn tell_why(&mut self, cx: &mut Context<'_>, why: &WsError) {
        let code = match why {
            WsError::Capacity(_) => CloseCode::Size,
            WsError::Utf8(_) => CloseCode::Invalid,
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return,
            WsError::Protocol(_) => CloseCode::Protocol,
            _ => return,
        };
        let close = WsMessage::Close(Some(CloseFrame {
            code,
            reason: "".into(),
        }));
        let mut socket = Pin::new(&mut self.stream);
        if socket.as_mut().start_send(close).is_ok() {
            // What the socket does not take now is lost with the connection, which has failed anyway.
            let _ = socket.as_mut().poll_flush(cx);
        }
    }

    pub(crate) async fn send(&mut self, message: Message) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_begun(cx)).await?;
        self.stream.send(to_ws(message)?).await.map_err(to_io)
    }

    /// As [`Socket::send`], but can be polled between two receives: see `Conn::poll_send`.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_begun(cx))?;
        let mut socket = Pin::new(&mut self.stream);
        if message.is_some() {
            ready!(socket.as_mut().poll_ready(cx)).map_err(to_io)?;
        }
        if let Some(message) = message.take() {
            let message = to_ws(message)?;
            socket.as_mut().start_send(message).map_err(to_io)?;
        }
        socket.poll_flush(cx).map_err(to_io)
    }

    /// What the peer's close frame says, once it has come.
    pub(crate) fn peer_close(&self) -> Option<&Close> {
        self.peer_close.as_ref()
    }

    /// Sends frames as they are, made by [`text_frame`] or [`ping_frame`]: one that many hear is made once, and what
    /// waits goes in one write. Takes them out as they go; how many bytes were written so far is added to `written`.
    pub(crate) fn poll_send_frames(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut VecDeque<Bytes>,
        written: &mut usize,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_begun(cx))?;
        // What was to be said before, as the answer to a ping.
        ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(to_io)?;
        while !frames.is_empty() {
            let n = ready!(poll_write_some(Pin::new(self.stream.get_mut()), cx, frames))?;
            *written = written.saturating_add(n);
            self.begun = take_written(frames, n);
            ready!(self.poll_begun(cx))?;
        }
        // TLS may hold some of it still.
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.begun.is_empty() {
            let n = ready!(Pin::new(self.stream.get_mut()).poll_write(cx, &self.begun))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.begun.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends our close frame. The peer's answer comes as the end of [`Socket::poll_recv`].
    pub(crate) async fn finish(&mut self, close: Close) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_begun(cx)).await?;
        match self.stream.close(close.frame()).await {
            Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => Ok(()),
            Err(e) => Err(to_io(e)),
        }
    }
}

/// The most pieces of one write.
const PIECES: usize = 64;

/// Writes the first of these pieces, as many as the transport takes at once: how many bytes.
pub(super) fn poll_write_some<W: AsyncWrite>(
    to: Pin<&mut W>,
    cx: &mut Context<'_>,
    pieces: &VecDeque<Bytes>,
) -> Poll<io::Result<usize>> {
    if let (Some(one), 1) = (pieces.front(), pieces.len()) {
        return match ready!(to.poll_write(cx, one))? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => Poll::Ready(Ok(n)),
        };
    }
    let empty = io::IoSlice::new(&[]);
    let mut slices = [empty; PIECES];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        *slice = io::IoSlice::new(piece);
        count += 1;
    }
    match ready!(to.poll_write_vectored(cx, slices.get(..count).unwrap_or_default()))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        n => Poll::Ready(Ok(n)),
    }
}

/// Takes out of the pieces what was written: what is left of the one that it ended in.
pub(super) fn take_written(pieces: &mut VecDeque<Bytes>, written: usize) -> Bytes {
    let mut left = written;
    while let Some(mut piece) = pieces.pop_front() {
        if piece.len() > left {
            piece.advance(left);
            if left > 0 {
                return piece;
            }
            pieces.push_front(piece);
            break;
        }
        left -= piece.len();
    }
    Bytes::new()
}

/// A whole frame of text, as a server sends it (RFC 6455, section 5.2): not masked, so that all hear the same bytes.
pub fn text_frame(text: &[u8]) -> Bytes {
    frame(0x81, text)
}

/// A ping without anything in it.
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[0x89, 0])
}

fn frame(first: u8, payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..=125), _) => frame.push(short),
        (_, Ok(middle)) => {
            frame.push(126);
            frame.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame.into()
}

fn to_ws(Message { data, is_text }: Message) -> io::Result<WsMessage> {
    if !is_text {
        return Ok(WsMessage::Binary(data));
    }
    match data.try_into() {
        Ok(text) => Ok(WsMessage::Text(text)),
        Err(_) => Err(invalid("a text message must be UTF-8".to_owned())),
    }
}

fn to_io(cause: WsError) -> io::Error {
    match cause {
        WsError::Io(e) => e,
        WsError::ConnectionClosed | WsError::AlreadyClosed => io::ErrorKind::NotConnected.into(),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it ended without a closing handshake",
        ),
        WsError::Capacity(CapacityError::MessageTooLong { size, max_size }) => invalid(format!(
            "a message of {size} bytes is over the limit of {max_size}"
        )),
        other => invalid(other.to_string()),
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_elsewhere_is_not_let_in() {
        let origins = Origins {
            allowed: vec!["https://app.example".to_owned()],
        };
        let any = Origins {
            allowed: vec!["*".to_owned()],
        };
        for (origin, expected) in [
            (None, true),
            (Some("http://127.0.0.1:3000"), true),
            (Some("http://localhost:3000"), true),
            (Some("http://[::1]"), true),
            (Some("https://app.example"), true),
            (Some("http://box:7000"), true),
            (Some("http://box:7001"), false),
            (Some("https://evil.example"), false),
            (Some("http://localhost.evil.example"), false),
            (Some("http://127.0.0.1.evil.example"), false),
            (Some("null"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("box:7000"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let everywhere = "ws://0.0.0.0:7000".parse().expect("an endpoint");
            assert_eq!(
                origins.allow(&headers, &everywhere),
                expected,
                "for {origin:?}"
            );
            assert!(any.allow(&headers, &everywhere));
            let loopback = "ws://127.0.0.1:7000".parse().expect("an endpoint");
            let rebound = origin == Some("http://box:7000");
            assert_eq!(
                origins.allow(&headers, &loopback),
                expected && !rebound,
                "for {origin:?}"
            );
        }
    }
}

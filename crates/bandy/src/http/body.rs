//! Bodies: what a request or a response carries, in whatever form is cheapest to pass on.

use std::fmt;
use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::Downstream;
use super::server::{H2Body, Incoming};
use super::upstream::{OnEnd, Upstream};
use crate::error::{Error, Kind, Result, Side};

mod file;

pub use file::Piece;

/// A body, whole or still to come. Data comes in [`Bytes`]; reading it is an [`http_body::Body`]'s `poll_frame`, or
/// [`Body::data`] and [`Body::collect`] here.
pub struct Body {
    inner: Inner,
    /// How many bytes may still be read.
    left: u64,
    /// Of a request: the connection that it came over.
    downstream: Option<Downstream>,
}

enum Inner {
    Empty,
    Full(Bytes),
    File(Piece),
    /// Comes over an HTTP/1.1 connection that the server reads.
    Incoming(Incoming),
    /// Comes over an HTTP/2 connection.
    H2(Box<H2Body>),
    /// Comes from a backend.
    Upstream(Box<Upstream>),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

/// A body in the form in which a connection sends it best.
pub(crate) enum Form {
    Full(Bytes),
    File(Piece),
    Stream(Body),
}

impl Body {
    /// Nothing.
    pub fn empty() -> Body {
        Inner::Empty.into()
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Body {
        let bytes = bytes.into();
        match bytes.is_empty() {
            true => Body::empty(),
            false => Inner::Full(bytes).into(),
        }
    }

    /// A part of a file. Over plain TCP the system sends it without a copy through this process.
    pub fn file(file: Arc<File>, offset: u64, len: u64) -> Body {
        match len {
            0 => Body::empty(),
            _ => Inner::File(Piece::new(file, offset, len)).into(),
        }
    }

    /// Any other body.
    pub fn stream<B>(body: B) -> Body
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let failed = |e: B::Error| match e.into().downcast::<Error>() {
            Ok(error) => *error,
            Err(e) => Error::new(Kind::Other, Side::Local, "making a body").because(e),
        };
        let body = http_body_util::BodyExt::map_err(body, failed);
        Inner::Stream(Box::pin(body)).into()
    }

    /// A body that another task writes, at most `ahead` pieces ahead of the peer, and the end to write it at.
    pub fn channel(ahead: usize) -> (tokio::sync::mpsc::Sender<Result<Bytes>>, Body) {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Result<Bytes>>(ahead.max(1));
        let frames = futures_util::stream::poll_fn(move |cx| {
            receiver
                .poll_recv(cx)
                .map(|data| Some(data?.map(Frame::data)))
        });
        (
            sender,
            Body::stream(http_body_util::StreamBody::new(frames)),
        )
    }

    pub(crate) fn incoming(incoming: Incoming) -> Body {
        Inner::Incoming(incoming).into()
    }

    pub(crate) fn h2(body: H2Body) -> Body {
        match body.is_end_stream() {
            true => Body::empty(),
            false => Inner::H2(Box::new(body)).into(),
        }
    }

    /// Whether it is in memory.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self.inner, Inner::Empty | Inner::Full(_))
    }

    /// Whether it is still to come from a backend.
    pub(crate) fn is_upstream(&self) -> bool {
        matches!(self.inner, Inner::Upstream(_))
    }

    pub(crate) fn upstream(body: Upstream) -> Body {
        Inner::Upstream(Box::new(body)).into()
    }

    /// Has `tell` hear how it ended, where it is still to come from a backend.
    pub(crate) fn on_end(&mut self, tell: OnEnd) {
        if let Inner::Upstream(upstream) = &mut self.inner {
            upstream.on_end(tell);
        }
    }

    /// The same body, of which no more than `max` bytes are read: then it fails with [`Kind::TooLarge`].
    pub fn at_most(mut self, max: u64) -> Body {
        self.left = max;
        self
    }

    /// The same body, as one that came over this connection.
    pub(crate) fn that_came_over(mut self, downstream: Downstream) -> Body {
        self.downstream = Some(downstream);
        self
    }

    /// The connection that it came over, if it is a request's.
    pub fn downstream(&self) -> Option<&Downstream> {
        self.downstream.as_ref()
    }

    /// Its length, where it is known before it is read.
    pub fn len_hint(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// Whether there is nothing in it, as far as can be told before reading.
    pub fn is_empty(&self) -> bool {
        self.len_hint() == Some(0)
    }

    /// The next piece, or `None` at the end. Trailers are passed over. Cancel-safe.
    ///
    /// # Errors
    /// What the transport reports, a body that breaks off or is too long.
    pub async fn data(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame =
                std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *self), cx));
            match frame.await.transpose()?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
            }
        }
    }

    /// All of it, if it is at most `max` bytes.
    ///
    /// # Errors
    /// As [`Body::data`]; [`Kind::TooLarge`] for more than `max`.
    pub async fn collect(self, max: usize) -> Result<Bytes> {
        let mut body = match self.inner {
            Inner::Full(bytes) if bytes.len() <= max && bytes.len() as u64 <= self.left => {
                return Ok(bytes);
            }
            _ => {
                let left = self.left.min(max as u64);
                self.at_most(left)
            }
        };
        let Some(first) = body.data().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = body.data().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(data) = body.data().await? {
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    pub(crate) fn into_form(self) -> Form {
        match self.inner {
            Inner::Empty => Form::Full(Bytes::new()),
            Inner::Full(bytes) => Form::Full(bytes),
            Inner::File(piece) => Form::File(piece),
            _ => Form::Stream(self),
        }
    }

    fn take_from_limit(&mut self, read: usize) -> Result<()> {
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(too_large()),
        }
    }
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, Side::Downstream, "reading a body")
        .because("it is longer than is taken here")
}

impl From<Inner> for Body {
    fn from(inner: Inner) -> Body {
        Body {
            inner,
            left: u64::MAX,
            downstream: None,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        // What is known to be too long is not begun.
        if self.size_hint().lower() > self.left {
            return Poll::Ready(Some(Err(too_large())));
        }
        let frame = match &mut self.inner {
            Inner::Empty => None,
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.inner = Inner::Empty;
                Some(Ok(Frame::data(bytes)))
            }
            Inner::File(piece) => ready!(piece.poll_read(cx)).map(|read| read.map(Frame::data)),
            Inner::Incoming(incoming) => ready!(incoming.poll_frame(cx)),
            Inner::H2(body) => ready!(body.poll_frame(cx)),
            Inner::Upstream(body) => ready!(body.poll_frame(cx)),
            Inner::Stream(stream) => ready!(stream.as_mut().poll_frame(cx)),
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let read = data.len();
            self.take_from_limit(read)?;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(_) | Inner::File(_) => false,
            Inner::Incoming(incoming) => incoming.is_at_end(),
            Inner::H2(body) => body.is_end_stream(),
            Inner::Upstream(_) => false,
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::File(piece) => SizeHint::with_exact(piece.len()),
            Inner::Incoming(incoming) => incoming.size_hint(),
            Inner::H2(body) => body.size_hint(),
            Inner::Upstream(body) => body.size_hint(),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

impl From<Piece> for Body {
    fn from(piece: Piece) -> Body {
        Inner::File(piece).into()
    }
}

impl Default for Body {
    fn default() -> Body {
        Body::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::full(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::full(text)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Body::full(text)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::full(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Body");
        if let Some(len) = self.len_hint() {
            out.field("len", &len);
        }
        out.finish_non_exhaustive()
    }
}

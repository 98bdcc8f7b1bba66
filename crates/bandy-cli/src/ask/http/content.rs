//! A request's body on this machine: bytes, files, or stdin.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bandy::error::{Error, Kind, Result, Side};
use bandy::http::Body;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::Receiver;

use crate::ask::input;
use crate::report;

/// A body, as often as it is needed.
#[derive(Debug)]
pub enum Content {
    /// There is none.
    Nothing,
    /// One piece after the other, their length known.
    Pieces(Vec<Piece>),
    /// What can be read only once.
    Once(Option<Once>),
}

/// A part of a body.
#[derive(Debug, Clone)]
pub enum Piece {
    Bytes(Bytes),
    File {
        name: String,
        file: Arc<File>,
        len: u64,
    },
}

/// Stdin, or a file that is none (`@/dev/fd/3`).
#[derive(Debug)]
pub struct Once {
    /// What was read of it already.
    first: Bytes,
    rest: Receiver<io::Result<Bytes>>,
}

/// What is read of a body at a time may be this many pieces ahead of the server.
const AHEAD: usize = 2;
/// How long stdin may be silent before it is said that it is waited for.
const NOTICE: std::time::Duration = std::time::Duration::from_secs(2);
/// An input that ends within this, and is no longer than this, is sent as a whole: many small servers know no chunks.
const SOON: std::time::Duration = std::time::Duration::from_millis(200);
const WHOLE_MAX: usize = 4 << 20;
/// What is shown of a request's body.
const SHOWN_MAX: u64 = 64 << 10;

impl Content {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Content {
        Content::Pieces(vec![Piece::Bytes(bytes.into())])
    }

    /// A file as it is.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn file(name: &str) -> Result<Content> {
        let file = open(name)?;
        let metadata = file.metadata().map_err(|e| unreadable(name, e))?;
        if metadata.is_file() {
            return Ok(Content::Pieces(vec![Piece::File {
                name: name.to_owned(),
                file: Arc::new(file),
                len: metadata.len(),
            }]));
        }
        if metadata.is_dir() {
            return Err(unreadable(name, io::ErrorKind::IsADirectory.into()));
        }
        Ok(Content::Once(Some(Once {
            first: Bytes::new(),
            rest: input::chunks(file),
        })))
    }

    /// Stdin: whole if it soon comes to its end, so that its length can be told; else as it comes. Nothing if it is empty.
    ///
    /// # Errors
    /// What the system says of stdin.
    pub async fn stdin() -> Result<Content> {
        let mut rest = input::stdin()?;
        let first = match tokio::time::timeout(NOTICE, rest.recv()).await {
            Ok(first) => first,
            Err(_) => {
                report::note(
                    "waiting for stdin, which is the body; with `< /dev/null` there is none",
                );
                rest.recv().await
            }
        };
        let Some(first) = first else {
            return Ok(Content::Nothing);
        };
        let mut whole = BytesMut::from(first.map_err(|e| unreadable("stdin", e))?);
        let soon = tokio::time::Instant::now() + SOON;
        while whole.len() < WHOLE_MAX {
            match tokio::time::timeout_at(soon, rest.recv()).await {
                Ok(Some(more)) => {
                    whole.extend_from_slice(&more.map_err(|e| unreadable("stdin", e))?)
                }
                Ok(None) => return Ok(Content::bytes(whole)),
                Err(_) => break,
            }
        }
        let first = whole.freeze();
        Ok(Content::Once(Some(Once { first, rest })))
    }

    /// Stdin without a look at it, for those who only tell of it.
    pub fn stdin_unread() -> Content {
        Content::Once(None)
    }

    /// The first bytes, where they are known.
    pub fn begins(&self) -> Bytes {
        match self {
            Content::Once(Some(once)) => once.first.clone(),
            Content::Pieces(pieces) => pieces.first().map(Piece::known).unwrap_or_default(),
            _ => Bytes::new(),
        }
    }

    /// That it can be sent once more.
    ///
    /// # Errors
    /// It could be read only once, and was.
    pub fn again(&self) -> Result<()> {
        match self {
            Content::Once(None) => Err(spent()),
            _ => Ok(()),
        }
    }

    /// Whether there is a body at all, if an empty one.
    pub fn is_some(&self) -> bool {
        !matches!(self, Content::Nothing)
    }

    /// Its length in bytes, where it is known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Content::Nothing => Some(0),
            Content::Pieces(pieces) => Some(pieces.iter().map(Piece::len).sum()),
            Content::Once(_) => None,
        }
    }

    /// The body to send.
    ///
    /// # Errors
    /// That it can be sent only once, and was.
    pub fn open(&mut self) -> Result<Body> {
        let pieces = match self {
            Content::Nothing => return Ok(Body::empty()),
            Content::Once(once) => {
                let once = once.take().ok_or_else(spent)?;
                let (to, body) = Body::channel(AHEAD);
                tokio::spawn(once.pour(to));
                return Ok(body);
            }
            Content::Pieces(pieces) => pieces.clone(),
        };
        let mut bodies: Vec<Body> = pieces.into_iter().map(Piece::body).collect();
        if bodies.len() <= 1 {
            return Ok(bodies.pop().unwrap_or_default());
        }
        let (to, body) = Body::channel(AHEAD);
        tokio::spawn(async move {
            for mut body in bodies {
                while let Some(data) = body.data().await.transpose() {
                    let is_last = data.is_err();
                    if to.send(data).await.is_err() || is_last {
                        return;
                    }
                }
            }
        });
        Ok(body)
    }

    /// What there is to see of it, for a person: its text, and of what is long or not text only that it is there.
    pub fn shown(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Content::Nothing => {}
            Content::Pieces(pieces) => pieces.iter().for_each(|piece| piece.show(&mut out)),
            Content::Once(_) => out.extend_from_slice(b"(what is read from stdin)"),
        }
        out
    }
}

impl Once {
    async fn pour(mut self, to: tokio::sync::mpsc::Sender<Result<Bytes>>) {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() && to.send(Ok(first)).await.is_err() {
            return;
        }
        while let Some(read) = self.rest.recv().await {
            let read = read.map_err(|e| unreadable("stdin", e));
            if to.send(read).await.is_err() {
                return;
            }
        }
    }
}

impl Piece {
    /// A file as a part of a body.
    ///
    /// # Errors
    /// That it cannot be read, or is no regular file.
    pub fn file(name: &str) -> Result<Piece> {
        match Content::file(name)? {
            Content::Pieces(mut pieces) if pieces.len() == 1 => Ok(pieces.remove(0)),
            _ => Err(report::usage(
                format!("reading `{}`", name.escape_debug()),
                "its length is not known before it is read",
                "a part of a form is a regular file",
            )),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { len, .. } => *len,
        }
    }

    fn body(self) -> Body {
        match self {
            Piece::Bytes(bytes) => Body::full(bytes),
            Piece::File { file, len, .. } => Body::file(file, 0, len),
        }
    }

    /// Its bytes, where they are in memory.
    pub fn known(&self) -> Bytes {
        match self {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::File { .. } => Bytes::new(),
        }
    }

    fn show(&self, out: &mut Vec<u8>) {
        match self {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::File { name, file, len } => {
                if let Some(text) = text_of(file, *len) {
                    out.extend_from_slice(&text);
                } else {
                    out.extend_from_slice(format!("({name}, {len} bytes)").as_bytes());
                }
            }
        }
    }
}

/// A short file's text.
fn text_of(file: &File, len: u64) -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    if len > SHOWN_MAX {
        return None;
    }
    let mut text = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut text, 0).ok()?;
    super::media::is_text(&text).then_some(text)
}

/// The text of a file whose contents an item asked for.
///
/// # Errors
/// That it cannot be read, is too long or no text.
pub fn text(name: &str) -> Result<String> {
    use std::io::Read;
    /// Longer than any field that a server takes, and than what one wants to see in JSON.
    const EMBEDDED_MAX: u64 = 16 << 20;
    let mut text = String::new();
    let read = open(name)?.take(EMBEDDED_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| unreadable(name, e))?;
    if text.len() as u64 > EMBEDDED_MAX {
        let why = format!("it is longer than {EMBEDDED_MAX} bytes");
        let act = format!("reading `{}`", name.escape_debug());
        return Err(report::usage(act, why, "send it as the whole body: @FILE"));
    }
    Ok(text)
}

fn open(name: &str) -> Result<File> {
    // `~` behind a separator is not the shell's business any more.
    let path = match (name.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => name.into(),
    };
    File::open(path).map_err(|e| unreadable(name, e))
}

fn unreadable(name: &str, cause: io::Error) -> Error {
    let act = format!("reading `{}`", name.escape_debug());
    let hint = match cause.kind() {
        io::ErrorKind::NotFound => "is the path right? A leading @ of a text is written \\@",
        io::ErrorKind::InvalidData => "only text can be part of an item; send it as a file",
        _ => "see the system's message",
    };
    Error::new(Kind::Usage, Side::Local, act)
        .because(cause)
        .hint(hint)
}

fn spent() -> Error {
    Error::new(Kind::Usage, Side::Local, "sending the body again")
        .because("the redirect wants it a second time, and it could be read only once")
        .hint("send it from a file: @FILE")
}

//! The side that asks: `bandy reload`, and a bandy that takes over.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bandy::error::{Error, Kind, Side};
use bandy::net::Inherited;

use super::{Answer, Asked, place, sockets};

/// How long the other one may take: a new process opens its store and its sockets in that time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the bandy that runs this file, and waits for what comes of it.
///
/// # Errors
/// That none runs it, or none answers.
pub fn ask(file: &Path, what: Asked) -> Result<Answer, Error> {
    let stream = connect(file)?;
    let failed = |e| broken(file, e);
    say(&stream, &serde_json::json!({ "ask": what }).to_string()).map_err(failed)?;
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .map_err(failed)?;
    serde_json::from_str(&line).map_err(|e| broken(file, e.into()))
}

/// The place of another bandy, which goes on until this one answers.
#[derive(Debug)]
pub struct TakeOver(UnixStream);

/// Takes the listening sockets of the bandy that runs this file. `None`: none runs it.
///
/// # Errors
/// That it does not hand them over.
pub fn take_over(file: &Path) -> Result<Option<(TakeOver, Inherited)>, Error> {
    let stream = match connect(file) {
        Ok(stream) => stream,
        Err(e) if e.kind() == Kind::NotConnected => return Ok(None),
        Err(e) => return Err(e),
    };
    let ask = serde_json::json!({ "ask": Asked::Sockets }).to_string();
    let taken = say(&stream, &ask).and_then(|()| sockets::take(&stream));
    let taken = taken.map_err(|e| broken(file, e))?;
    Ok(Some((TakeOver(stream), Inherited::from_bandy(taken))))
}

impl TakeOver {
    /// Says that this one answers now, and waits until the other one has let go of its name.
    ///
    /// # Errors
    /// That it is gone, or does not let go.
    pub fn done(self) -> Result<(), Error> {
        let mut line = String::new();
        let heard =
            say(&self.0, "ready").and_then(|()| BufReader::new(self.0).read_line(&mut line));
        match heard {
            Ok(1..) => Ok(()),
            Ok(0) => Err(gone(io::ErrorKind::UnexpectedEof.into())),
            Err(e) => Err(gone(e)),
        }
    }
}

fn gone(cause: io::Error) -> Error {
    Error::new(Kind::Closed, Side::Local, "taking over from another bandy").because(cause)
}

fn say(mut to: &UnixStream, line: &str) -> io::Result<()> {
    to.write_all(format!("{line}\n").as_bytes())
}

fn connect(file: &Path) -> Result<UnixStream, Error> {
    let stream = UnixStream::connect(place(file)?).map_err(|e| {
        let kind = match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Kind::NotConnected,
            _ => Kind::Io,
        };
        let act = format!("talking to the bandy that runs {}", file.display());
        let hint = format!("is it running? `bandy run {}` starts it", file.display());
        match kind {
            Kind::NotConnected => Error::new(kind, Side::Local, act).because("there is none"),
            _ => Error::new(kind, Side::Local, act).because(e),
        }
        .hint(hint)
    })?;
    let set = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    set.map(|()| stream).map_err(|e| broken(file, e))
}

fn broken(file: &Path, cause: io::Error) -> Error {
    let act = format!("talking to the bandy that runs {}", file.display());
    let error = Error::new(Kind::Closed, Side::Local, act).because(cause);
    error.hint("its log may say why")
}

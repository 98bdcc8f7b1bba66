//! How answering a request ends early: with an answer that says what is wrong, or a failure for the log.

use rustix::io::Errno;

use crate::error::{Error, Kind, Plain, Result, Side};
use crate::http::{Problem, Response, StatusCode};

/// Why there is no more to do.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client is told this.
    Answer(Box<Response>),
    /// The server's own failure.
    Failed(Error),
}

impl Stop {
    /// What `call` gives back.
    pub(super) fn into_result(self) -> Result<Response> {
        match self {
            Stop::Answer(response) => Ok(*response),
            Stop::Failed(error) => Err(error),
        }
    }
}

/// A problem in one sentence.
pub(super) fn problem(status: StatusCode, detail: &str) -> Stop {
    Problem::new(status).detail(detail).into()
}

pub(super) fn missing() -> Stop {
    Problem::new(StatusCode::NOT_FOUND).into()
}

impl From<Response> for Stop {
    fn from(response: Response) -> Stop {
        Stop::Answer(Box::new(response))
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        problem.response().into()
    }
}

/// Of what the client did wrong it hears; anything else is a failure.
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        match error.kind() {
            Kind::TooLarge | Kind::Protocol => Problem::from(&error).into(),
            _ => Stop::Failed(error),
        }
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        use StatusCode as S;
        let status = match errno {
            // A name that is too long, or a link that leaves the root, is no name of anything here.
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::XDEV
            | Errno::NAMETOOLONG
            | Errno::NXIO
            | Errno::INVAL
            | Errno::NODEV => S::NOT_FOUND,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => S::FORBIDDEN,
            Errno::NOSPC | Errno::DQUOT => S::INSUFFICIENT_STORAGE,
            Errno::FBIG => S::PAYLOAD_TOO_LARGE,
            Errno::MFILE | Errno::NFILE | Errno::AGAIN => S::SERVICE_UNAVAILABLE,
            other => {
                let failed = Error::new(Kind::Io, Side::Local, "reading or writing files");
                return Stop::Failed(failed.because(Plain(other.into())));
            }
        };
        if matches!(status, S::INSUFFICIENT_STORAGE | S::SERVICE_UNAVAILABLE) {
            tracing::warn!(error = %Plain(errno.into()), "files");
        }
        Problem::new(status).into()
    }
}

/// Runs what may wait for a disk where that holds up nobody.
pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Stop> + Send + 'static,
) -> Result<T, Stop> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => {
            let failed = Error::new(Kind::Other, Side::Local, "reading or writing files");
            Err(Stop::Failed(failed.because(e)))
        }
    }
}

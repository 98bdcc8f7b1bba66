//! A program that runs, and whatever it starts: a process group, which ends as a whole.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{Error, Kind, Plain, Result, Side};

/// How long a program may take to end after SIGTERM, before SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How long to read what a program that has ended wrote to its standard error.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// A longer line of standard error is logged in pieces. Bytes.
const LOG_LINE_MAX: u64 = 4096;

/// A program that has just started, and its pipes.
pub(super) struct Started {
    pub(super) family: Family,
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: Errors,
}

impl Started {
    pub(super) fn spawn(
        mut command: Command,
        program: Arc<str>,
        place: OwnedSemaphorePermit,
    ) -> Result<Started> {
        let failed = |doing: &str, cause: io::Error| {
            Error::new(Kind::Io, Side::Local, format!("{doing} {program}")).because(Plain(cause))
        };
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| failed("starting", e))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let pid = child.id().unwrap_or_default();
        let family = Family {
            group: Pid::from_raw(pid.cast_signed()),
            child,
            pid,
            program: program.clone(),
            is_over: false,
            _place: place,
        };
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(failed("talking with", io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Started {
            family,
            input,
            output,
            errors: Errors {
                pipe: errors,
                program,
                pid,
            },
        })
    }
}

/// A program and all that it started. Dropping it kills them at once.
pub(super) struct Family {
    pub(super) child: Child,
    group: Option<Pid>,
    pid: u32,
    program: Arc<str>,
    /// The program has ended, and that is in the log.
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Family {
    /// Ends it: politely, then not. A program that has ended leaves only its children to be ended.
    pub(super) async fn end(&mut self) -> Ended {
        let status = match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => {
                self.signal(Signal::TERM);
                match tokio::time::timeout(GRACE, self.child.wait()).await {
                    Ok(status) => status,
                    Err(_) => {
                        self.signal(Signal::KILL);
                        self.child.wait().await
                    }
                }
            }
        };
        self.signal(Signal::KILL);
        Ended(status)
    }

    /// Ends it at once: it must not come to an end of its input.
    pub(super) async fn kill(&mut self) -> Ended {
        self.signal(Signal::KILL);
        Ended(self.child.wait().await)
    }

    /// Writes the program's line in the log.
    pub(super) fn log(&mut self, ended: &Ended, peer: &dyn fmt::Display) {
        self.is_over = true;
        tracing::info!(program = &*self.program, pid = self.pid, %peer, status = %ended, "program ended");
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // The only failure there is: nobody is left in the group.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.signal(Signal::KILL);
        tracing::info!(
            program = &*self.program,
            pid = self.pid,
            status = "killed: nobody is there for whom it ran",
            "program ended"
        );
    }
}

/// How a program ended.
pub(super) struct Ended(io::Result<ExitStatus>);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(status) => write!(f, "{status}"),
            Err(e) => write!(f, "unknown ({e})"),
        }
    }
}

/// What a program writes to its standard error.
pub(super) struct Errors {
    pipe: ChildStderr,
    program: Arc<str>,
    pid: u32,
}

impl Errors {
    /// Does something with the program, which ends its family; meanwhile the log is written.
    pub(super) async fn log_beside<T>(self, talking: impl Future<Output = T>) -> T {
        let mut logging = std::pin::pin!(self.log());
        let mut is_logged = false;
        let done = {
            let mut talking = std::pin::pin!(talking);
            loop {
                tokio::select! {
                    biased;
                    done = &mut talking => break done,
                    () = &mut logging, if !is_logged => is_logged = true,
                }
            }
        };
        if !is_logged {
            // The group is gone, so this is what it left in the pipe; only one that fled the group keeps it open.
            let _ = tokio::time::timeout(LAST_WORDS, logging).await;
        }
        done
    }

    async fn log(self) {
        let (program, pid) = (&*self.program, self.pid);
        let mut errors = BufReader::new(self.pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut limited = (&mut errors).take(LOG_LINE_MAX);
            match limited.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let line = String::from_utf8_lossy(line.trim_ascii_end());
                    tracing::warn!(program, pid, "{}", line.escape_debug());
                }
            }
        }
    }
}

//! A program for each connection, its standard input and output being what is said.
//!
//! On a stream bytes pass as they are; on WebSocket a message is a line of the program's input, and a line of its
//! output a message. What it writes to standard error goes to the log. The program runs in a process group of its own,
//! and the whole group ends with the connection.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::Sleep;

use crate::error::{Error, Kind, Plain, Result, Side};
use crate::net::conn::{Conn, Framing, Message, Peer};
use crate::net::pump::{Failed, Pump};
use crate::service::Service;
use crate::wire::line::Lines;

/// The exec service.
#[derive(Debug)]
pub struct Exec {
    program: String,
    arguments: Vec<String>,
    places: Arc<Semaphore>,
    programs: usize,
}

/// How long a program may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// The longest line of a program's output on WebSocket, and of its standard error. Bytes.
const LINE_MAX: usize = 1 << 20;

impl Exec {
    /// Runs `command` (a program and its arguments; no shell is between) for each connection, at most `programs` at
    /// once.
    ///
    /// # Errors
    /// That the command is empty, or there is no such program.
    pub fn new(command: &[String], programs: usize) -> Result<Exec> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::new(
                Kind::Usage,
                Side::Local,
                "the exec service needs a command",
            ));
        };
        find(program)?;
        let places = Arc::new(Semaphore::new(programs));
        Ok(Exec {
            program: program.clone(),
            arguments: arguments.to_owned(),
            places,
            programs,
        })
    }

    fn spawn(&self, conn: &Conn) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        describe(&mut command, conn);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command.spawn().map_err(|e| self.failed("starting", e))
    }

    fn failed(&self, doing: &str, cause: io::Error) -> Error {
        Error::new(Kind::Io, Side::Local, format!("{doing} {}", self.program)).because(Plain(cause))
    }
}

/// Looks where the system will look, so that a missing program is said at start and not to the first client.
fn find(program: &str) -> Result<()> {
    let is_runnable = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let found = if program.contains('/') {
        is_runnable(Path::new(program))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| is_runnable(&folder.join(program)))
    };
    if found {
        return Ok(());
    }
    let missing = !program.contains('/') || !Path::new(program).exists();
    Err(Error::new(
        Kind::Usage,
        Side::Local,
        format!("looking for the program {program}"),
    )
    .because(if missing {
        "there is none"
    } else {
        "it is not executable"
    })
    .hint(if missing {
        "give a path (./handler.py), or a program that PATH leads to"
    } else {
        "make it executable (chmod +x) and give it a first line such as #!/usr/bin/env python3"
    }))
}

/// What the program may want to know of whom it talks to.
fn describe(command: &mut Command, conn: &Conn) {
    command.env("BANDY_PEER", conn.peer().to_string());
    command.env("BANDY_ENDPOINT", conn.endpoint().to_string());
    command.env("BANDY_SCHEME", conn.endpoint().scheme().as_str());
    if let Peer::Ip(address) = conn.peer() {
        command.env("BANDY_PEER_IP", address.ip().to_string());
        command.env("BANDY_PEER_PORT", address.port().to_string());
    }
    if let Peer::Unix { pid: Some(pid), .. } = conn.peer() {
        command.env("BANDY_PEER_PID", pid.to_string());
    }
    if let Some(tls) = conn.tls() {
        command.env("BANDY_TLS_VERSION", tls.version);
        if let Some(certificate) = &tls.peer_certificate {
            command.env("BANDY_TLS_SUBJECT", &certificate.subject);
        }
    }
    if !conn.endpoint().target().is_empty() {
        command.env("BANDY_TARGET", conn.endpoint().target());
    }
}

impl Service<Conn> for Exec {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Error::new(
                Kind::Overload,
                Side::Local,
                format!("starting {}", self.program),
            )
            .because(format!("{} of them run already", self.programs))
            .hint("raise the service's `programs`"));
        };
        let mut child = self.spawn(&conn)?;
        let group = Group::of(&child);
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(self.failed("talking with", io::ErrorKind::BrokenPipe.into()));
        };
        let pid = child.id().unwrap_or_default();
        let logging = log_errors(errors, &self.program, pid);
        let talking = async {
            let ended = match conn.framing() {
                Framing::Stream => Stream::new(input, output).talk(&mut conn, &mut child).await,
                Framing::Message => talk_in_messages(input, output, &mut conn, &mut child).await,
            };
            let status = group.end(&mut child).await;
            tracing::info!(program = self.program, pid, peer = %conn.peer(), status = %Status(&status), "program ended");
            ended
        };
        // The log ends with the last process that has the program's standard error open, which may be later.
        let ended = tokio::select! {
            ended = talking => ended,
            () = async { logging.await; std::future::pending().await } => Ok(()),
        };
        ended?;
        conn.close().await;
        Ok(())
    }
}

/// A program's process group. Dropping it kills the group at once.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        Group(child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())))
    }

    /// Ends the group: politely, then not. A program that has ended leaves only its children to be ended.
    async fn end(mut self, child: &mut Child) -> io::Result<ExitStatus> {
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(status);
        }
        self.signal(Signal::TERM);
        match tokio::time::timeout(GRACE, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.signal(Signal::KILL);
                child.wait().await
            }
        }
    }

    fn signal(&mut self, signal: Signal) {
        if let Some(pid) = self.0 {
            // The only failure there is: nobody is left in the group.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

struct Status<'a>(&'a io::Result<ExitStatus>);

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(status) => write!(f, "{status}"),
            Err(e) => write!(f, "unknown ({e})"),
        }
    }
}

async fn log_errors(errors: ChildStderr, program: &str, pid: u32) {
    let mut errors = BufReader::new(errors.take(u64::MAX));
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

/// A longer line of standard error is logged in pieces. Bytes.
const LOG_LINE_MAX: u64 = 4096;

/// A stream on both sides: two pumps and the program's end.
struct Stream {
    input: Option<ChildStdin>,
    output: ChildStdout,
    inward: Pump,
    outward: Pump,
    output_ended: bool,
    exited: bool,
    /// Runs once the program has ended and its output has not.
    grace: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    fn new(input: ChildStdin, output: ChildStdout) -> Stream {
        let (inward, outward) = (Pump::default(), Pump::default());
        let input = Some(input);
        Stream {
            input,
            output,
            inward,
            outward,
            output_ended: false,
            exited: false,
            grace: None,
        }
    }

    async fn talk(mut self, conn: &mut Conn, child: &mut Child) -> Result<()> {
        let exit = async {
            child.wait().await.ok();
        };
        let mut exit = Box::pin(exit);
        let ended = std::future::poll_fn(|cx| self.poll(cx, conn, exit.as_mut())).await;
        ended.map_err(|failed| failed.name(conn))
    }

    /// Ready when the program has ended and all it said is sent.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        conn: &mut Conn,
        exit: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<Result<(), Failed>> {
        if let Some(input) = &mut self.input {
            match self.inward.poll(cx, &mut (&mut *conn, input)) {
                Poll::Pending => {}
                // The peer said all it had to say: so was the program told. Or the program does not listen any more,
                // which is its right: `head -1` answers all the same.
                Poll::Ready(Ok(()) | Err(Failed::Writing(_))) => self.input = None,
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
            }
        }
        if !self.output_ended {
            match self.outward.poll(cx, &mut (&mut self.output, conn)) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.output_ended = true,
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
            }
        }
        if !self.exited {
            ready!(exit.poll(cx));
            self.exited = true;
        }
        if self.output_ended {
            return Poll::Ready(Ok(()));
        }
        // What it wrote before it ended is on its way; a child of its that holds the pipe open is not waited for.
        let grace = self
            .grace
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(GRACE)));
        grace.as_mut().poll(cx).map(Ok)
    }
}

/// Messages on one side, lines on the other.
async fn talk_in_messages(
    mut input: ChildStdin,
    mut output: ChildStdout,
    conn: &mut Conn,
    child: &mut Child,
) -> Result<()> {
    let mut lines = Lines::new(LINE_MAX);
    let mut buffer = Vec::new();
    let mut input = Some(&mut input);
    loop {
        while let Some(line) = lines.take().map_err(|e| too_long(conn, e))? {
            conn.send(as_message(line.text)).await?;
        }
        buffer.clear();
        tokio::select! {
            message = conn.recv(), if input.is_some() => match message? {
                Some(message) => {
                    let line = [&message.data[..], b"\n"].concat();
                    if let Some(pipe) = &mut input
                        && pipe.write_all(&line).await.is_err()
                    {
                        input = None;
                    }
                }
                // A WebSocket's close ends both directions.
                None => return Ok(()),
            },
            read = output.read_buf(&mut buffer) => match read {
                Ok(n) if n > 0 => lines.feed(&buffer),
                _ => break,
            },
        }
    }
    if let Some(line) = lines.take_open() {
        conn.send(as_message(line.text)).await?;
    }
    // Its output is closed: it has nothing more to say, and so the conversation is over.
    let _ = tokio::time::timeout(GRACE, child.wait()).await;
    Ok(())
}

fn as_message(text: bytes::Bytes) -> Message {
    let is_text = std::str::from_utf8(&text).is_ok();
    Message {
        data: text,
        is_text,
    }
}

fn too_long(conn: &Conn, cause: crate::wire::line::TooLong) -> Error {
    let act = format!("reading the program's output for {}", conn.peer());
    Error::new(Kind::Overload, Side::Local, act).because(cause)
}

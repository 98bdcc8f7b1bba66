//! A program as its users run it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bandy::Endpoint;
use rustix::process::Signal;
use serde_json::Value;

use crate::{PATIENCE, Process, Stage};

/// A program that prints `listening on URL (SERVICE)` for each of its listeners on stdout, and its log as JSON lines on
/// stderr, as `bandy run` and `bandy serve` do.
#[derive(Debug)]
pub struct Program {
    command: Command,
}

impl Program {
    /// The program at `path`, told to log JSON, with the stage's certificate authority as its local one, and with none
    /// of its settings from this process's environment.
    pub fn new(path: impl AsRef<Path>, stage: &Stage) -> Program {
        let mut command = Command::new(path.as_ref());
        command.current_dir(stage.folder());
        command.env("XDG_DATA_HOME", stage.folder());
        command.env("XDG_RUNTIME_DIR", stage.folder());
        for name in ["BANDY_LOG", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command.args(["--log", "json"]);
        Program { command }
    }

    /// A program that another one is to start: `python3 script.py PROGRAM ARGS…`.
    pub fn by(wrapper: &[&str], path: impl AsRef<Path>, stage: &Stage) -> Program {
        let (first, more) = wrapper.split_first().expect("a program that starts ours");
        let mut program = Program::new(first, stage);
        let mut command = Command::new(first);
        command.args(more).arg(path.as_ref());
        command.args(program.command.get_args());
        command.current_dir(stage.folder());
        for (name, value) in program.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        program.command = command;
        program
    }

    /// With these arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Program {
        self.command.args(args);
        self
    }

    /// With this in its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Program {
        self.command.env(name, value);
        self
    }

    /// With something else than our pipe as its stderr; its log is then not seen.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Program {
        self.command.stderr(stderr);
        self
    }

    /// The command as it stands, for what is not offered here.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it, and waits for its first ready line.
    ///
    /// # Panics
    /// When it ends instead, with what it said.
    #[track_caller]
    pub fn start(self) -> Running {
        let running = self.spawn(true);
        running.endpoint(0);
        running
    }

    /// Starts it without a pipe to its stderr: [`Program::stderr`] has one.
    #[track_caller]
    pub fn start_unlogged(self) -> Running {
        let running = self.spawn(false);
        running.endpoint(0);
        running
    }

    /// Runs it to its end, which must come by itself: its exit code, its stdout and its stderr.
    #[track_caller]
    pub fn output(self) -> (i32, String, String) {
        let mut running = self.spawn(true);
        let status = running.wait();
        let (out, log) = (running.out.all(), running.log.all());
        (status.code().expect("an exit code"), out, log)
    }

    #[track_caller]
    fn spawn(mut self, is_logged: bool) -> Running {
        let name = self.command.get_program().to_string_lossy().into_owned();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        if is_logged {
            self.command.stderr(Stdio::piped());
        }
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|e| panic!("starting {name}: {e}"));
        let out = Lines::read(child.stdout.take().expect("a pipe"));
        let log = match child.stderr.take() {
            Some(stderr) => Lines::read(stderr),
            None => Lines::none(),
        };
        Running {
            process: Process(child.id()),
            child,
            out,
            log,
        }
    }
}

/// A program that runs. Dropping it ends it, and what it has started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    process: Process,
    out: Lines,
    log: Lines,
}

impl Running {
    /// Where its listener number `i` is.
    #[track_caller]
    pub fn endpoint(&self, i: usize) -> Endpoint {
        let ready = |lines: &[String]| {
            let line = lines
                .iter()
                .filter_map(|l| l.strip_prefix("listening on "))
                .nth(i)?;
            let url = line.split_once(' ').map_or(line, |(url, _)| url);
            Some(url.parse().expect("a ready line has a URL"))
        };
        let found = self.out.wait(ready);
        found.unwrap_or_else(|seen| self.fail(format_args!("ready line number {i}"), &seen))
    }

    /// The first line of its log that is as wanted, waited for if it is not there yet.
    #[track_caller]
    pub fn log(&self, what: &str, wanted: impl Fn(&LogLine) -> bool) -> LogLine {
        self.log_lines(what, 1, wanted).remove(0)
    }

    /// The first `n` lines of its log that are as wanted.
    #[track_caller]
    pub fn log_lines(
        &self,
        what: &str,
        n: usize,
        wanted: impl Fn(&LogLine) -> bool,
    ) -> Vec<LogLine> {
        let find = |lines: &[String]| {
            let all = lines.iter().filter_map(|line| LogLine::parse(line));
            let found: Vec<LogLine> = all.filter(&wanted).take(n).collect();
            (found.len() == n).then_some(found)
        };
        let found = self.log.wait(find);
        found.unwrap_or_else(|seen| self.fail(format_args!("{n} log lines: {what}"), &seen))
    }

    /// The line of its log about a conversation that has ended, which `wanted` picks.
    #[track_caller]
    pub fn conversation(&self, wanted: impl Fn(&LogLine) -> bool) -> LogLine {
        self.log("of a conversation", |line| {
            line.says("conversation") && wanted(line)
        })
    }

    /// Everything that it has logged so far.
    pub fn log_so_far(&self) -> String {
        self.log.all()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        match self.wait_for(PATIENCE) {
            Some(status) => {
                self.out.wait_for_end();
                self.log.wait_for_end();
                status
            }
            None => self.fail(format_args!("its end"), &self.log.all()),
        }
    }

    /// Asks it to end (SIGTERM), and gives its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait().code().expect("an exit code")
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child to kill");
        self.child.wait().expect("a child to wait for");
    }

    fn wait_for(&mut self, patience: Duration) -> Option<ExitStatus> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child to wait for") {
                return Some(status);
            }
            if since.elapsed() > patience {
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[track_caller]
    fn fail(&self, what: std::fmt::Arguments<'_>, seen: &str) -> ! {
        panic!("waited for {what}; it said:\n{seen}\n{}", self.log.all());
    }
}

/// As `/proc` shows it.
impl Deref for Running {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Drop for Running {
    /// Asks before it kills, so that the program can end what it has started.
    fn drop(&mut self) {
        for patience in [100, 2000].map(Duration::from_millis) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            self.signal(Signal::TERM);
            if self.wait_for(patience).is_some() {
                return;
            }
        }
        // It is gone already, or will be now.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A line of a program's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine(Value);

impl LogLine {
    fn parse(line: &str) -> Option<LogLine> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.is_object().then_some(LogLine(value))
    }

    /// Whether this is its message.
    pub fn says(&self, message: &str) -> bool {
        self.text("message") == message
    }

    /// A field as text; empty where there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or("")
    }

    /// A field as a number; 0 where there is none.
    pub fn number(&self, field: &str) -> u64 {
        self.0.get(field).and_then(Value::as_u64).unwrap_or(0)
    }
}

/// Lines as they come from a pipe.
#[derive(Debug, Clone)]
struct Lines(Arc<(Mutex<Said>, Condvar)>);

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn none() -> Lines {
        let read = Said {
            lines: Vec::new(),
            ended: true,
        };
        Lines(Arc::new((Mutex::new(read), Condvar::new())))
    }

    fn read(pipe: impl Read + Send + 'static) -> Lines {
        let lines = Lines(Arc::default());
        let filling = lines.clone();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                filling.lock().lines.push(text);
                filling.0.1.notify_all();
                line.clear();
            }
            filling.lock().ended = true;
            filling.0.1.notify_all();
        });
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `find` finds in the lines, as soon as it does; all lines, where it does not.
    fn wait<T>(&self, find: impl Fn(&[String]) -> Option<T>) -> Result<T, String> {
        let until = Instant::now() + PATIENCE;
        let mut read = self.lock();
        loop {
            if let Some(found) = find(&read.lines) {
                return Ok(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if read.ended || left.is_zero() {
                return Err(read.lines.join("\n"));
            }
            let waited = self.0.1.wait_timeout(read, left);
            read = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// For a moment: somebody else may have the pipe open.
    fn wait_for_end(&self) {
        let until = Instant::now() + Duration::from_secs(1);
        let mut read = self.lock();
        while !read.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.1.wait_timeout(read, left);
            read = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn all(&self) -> String {
        self.lock().lines.join("\n")
    }
}

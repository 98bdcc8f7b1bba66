//! A server as a process of its own: started, looked at through /proc, ended.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bandy::Endpoint;
use bandy::error::Error;
use rustix::process::{Pid, Signal, kill_process};

use super::{ModelsArgs, failed};

/// What a server has used.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    pub cpu: Option<Duration>,
    /// Anonymous memory at its highest, in bytes.
    pub memory: Option<u64>,
    pub threads: Option<u64>,
}

/// A server that runs; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub endpoint: Endpoint,
}

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a server is looked at, and how often it is seen whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Server {
    /// Starts this program as a server on a free port.
    ///
    /// # Errors
    /// That it did not come to listen, and what it said.
    pub fn start(args: &ModelsArgs, model: &str, transport: &str) -> Result<Server, Error> {
        let act = format!("starting {} under the model {model}", args.service);
        let program = std::env::current_exe().map_err(|e| failed(&act, e))?;
        let mut command = Command::new(program);
        command
            .args(["serve", &args.service])
            .args(&args.words)
            .arg(format!("{transport}://127.0.0.1:0"))
            .args(["--model", model, "--log-level", "error"]);
        if !args.command.is_empty() {
            command.arg("--").args(&args.command);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| failed(&act, e))?;
        let (tell, told) = mpsc::channel();
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        // Kept by what ends it from now on, whatever fails next.
        let mut server = Server {
            child,
            endpoint: Endpoint::mem("models"),
        };
        // They end with the server, whose end closes the pipes; and read on, so that it never waits for them.
        thread::spawn(move || {
            let Some(out) = out else { return };
            let mut out = BufReader::new(out);
            let mut line = String::new();
            let _ = out.read_line(&mut line);
            let _ = tell.send(line);
            let _ = std::io::copy(&mut out, &mut std::io::sink());
        });
        let words = thread::spawn(move || {
            let mut words = Vec::new();
            if let Some(mut errors) = errors {
                let _ = errors.by_ref().take(WORDS_MAX).read_to_end(&mut words);
                let _ = std::io::copy(&mut errors, &mut std::io::sink());
            }
            String::from_utf8_lossy(&words).trim().to_owned()
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_default();
        let endpoint = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|url| match transport {
                "http" => format!("{}/add?a=5&b=3", url.trim_end_matches('/'))
                    .parse()
                    .ok(),
                _ => url.parse().ok(),
            });
        match endpoint {
            Some(endpoint) => {
                server.endpoint = endpoint;
                Ok(server)
            }
            None => {
                drop(server);
                let words = words.join().unwrap_or_default();
                Err(failed(&act, words))
            }
        }
    }

    /// Processor time so far, its own and that of children it has seen end (proc_pid_stat(5)).
    pub fn cpu(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
        let per_second = rustix::param::clock_ticks_per_second();
        Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
    }

    /// Looks at its memory and threads, over and over.
    pub fn look(&self) -> Look {
        let path = format!("/proc/{}/status", self.child.id());
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = thread::spawn(move || {
            let mut most = (None, None);
            while !over.load(Relaxed) {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let number = |name: &str| {
                    let line = text
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                    line.split_whitespace().next()?.parse::<u64>().ok()
                };
                most.0 = most.0.max(number("RssAnon").map(|kib| kib * 1024));
                most.1 = most.1.max(number("Threads"));
                thread::sleep(LOOK_EVERY);
            }
            most
        });
        Look { is_over, thread }
    }

    /// Ends it in an orderly way; it is not waited for longer than it takes to measure the next.
    ///
    /// # Errors
    /// What the system says.
    pub fn end(mut self) -> Result<(), Error> {
        let act = "ending a server";
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(act, "it has no number"))?;
        // Twice: its connections are gone, and who still waits is not served any more.
        for signal in [Signal::TERM, Signal::TERM] {
            let _ = kill_process(pid, signal);
            let since = Instant::now();
            while since.elapsed() < PATIENCE / 10 {
                if self.child.try_wait().map_err(|e| failed(act, e))?.is_some() {
                    return Ok(());
                }
                thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }
}

/// What is kept of what a server said on its standard error. Bytes.
const WORDS_MAX: u64 = 4096;

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who looks at a server.
#[derive(Debug)]
pub struct Look {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<(Option<u64>, Option<u64>)>,
}

impl Look {
    /// The most memory and threads that were seen.
    pub fn end(self) -> (Option<u64>, Option<u64>) {
        self.is_over.store(true, Relaxed);
        self.thread.join().unwrap_or((None, None))
    }
}

//! Load from another program: wrk for HTTP/1.1, h2load for HTTP/2, each one thread on the generator's core.
//!
//! The program inherits the core from the thread that starts it. It is waited for, within bounds, and ended whatever happens; what it
//! printed is for its own module to understand.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::machine::Interrupt;

/// What a load generator did in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub requests: u64,
    /// How long it sent, by its own clock.
    pub seconds: f64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// Of the answers: at least the bodies.
    pub bytes: u64,
}

/// What it takes over the time it was given, at most: connecting, and printing.
const GRACE: Duration = Duration::from_secs(20);
/// Often enough to be nothing beside a second, seldom enough to be nothing to the core that is shared with it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command`, which should end after `time`, and returns what it printed.
pub fn run(command: &mut Command, time: Duration, interrupt: &Interrupt) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let deadline = Instant::now() + time + GRACE;
    // Both programs print less than a pipe holds, so they can be read when they have ended.
    let mut running = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Guard)
        .with_context(|| format!("starting {name}"))?;
    let status = loop {
        let ended = running.0.try_wait();
        if let Some(status) = ended.with_context(|| format!("waiting for {name}"))? {
            break status;
        }
        interrupt.check()?;
        if Instant::now() > deadline {
            bail!("waiting for {name}: it did not end in {:?}", time + GRACE);
        }
        thread::sleep(LOOK_EVERY);
    };
    let mut said = String::new();
    let mut errors = String::new();
    if let (Some(out), Some(err)) = (&mut running.0.stdout, &mut running.0.stderr) {
        out.read_to_string(&mut said)
            .and_then(|_| err.read_to_string(&mut errors))
            .with_context(|| format!("reading what {name} said"))?;
    }
    ensure!(
        status.success(),
        "running {name}: {status}; it said: {} {}",
        said.trim().replace('\n', " | "),
        errors.trim().replace('\n', " | ")
    );
    Ok(said)
}

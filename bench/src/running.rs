//! A server that runs: waiting until it listens, and ending it whatever happens.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::proc;

const START_WAIT: Duration = Duration::from_secs(15);

/// How a server is known to listen.
pub enum Ready {
    /// It prints the line that Bandy prints: `listening on tcp://127.0.0.1:7000 (echo)`.
    SaysSo,
    /// It was given this port and says nothing.
    AcceptsAt(u16),
}

/// A server that runs; dropping it ends it and everything it started.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
}

impl Running {
    /// Its address is not known before [`Running::wait`].
    pub fn new(child: Child) -> Running {
        Running {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// Until it listens, for a bounded time.
    pub fn wait(&mut self, ready: Ready) -> Result<()> {
        match ready {
            Ready::SaysSo => self.address = self.read_ready_line()?,
            Ready::AcceptsAt(port) => {
                self.address.set_port(port);
                self.drop_what_it_prints();
                self.wait_until_it_accepts()?;
            }
        }
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn read_ready_line(&mut self) -> Result<SocketAddr> {
        let stdout = self
            .child
            .stdout
            .take()
            .context("its standard output is gone")?;
        let (said, heard) = mpsc::channel();
        // The thread ends with the child, whose end closes the pipe. It reads on, so that the child never blocks on a full one.
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            let outcome = reader.read_line(&mut line).map(|_| line);
            let _ = said.send(outcome);
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
        });
        let line = heard
            .recv_timeout(START_WAIT)
            .context("no ready line in time")??;
        parse_ready_line(&line).with_context(|| format!("understanding the ready line {line:?}"))
    }

    /// A program that logs there would wait for a reader once the pipe is full.
    fn drop_what_it_prints(&mut self) {
        if let Some(mut stdout) = self.child.stdout.take() {
            thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        }
    }

    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            match TcpStream::connect(self.address) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("connecting to {}", self.address));
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
            if let Some(status) = self
                .child
                .try_wait()
                .context("asking whether it still runs")?
            {
                bail!("it ended: {status}");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Listed first: once the parent is gone, nothing tells whose children they were.
        let family = proc::tree(self.child.id()).unwrap_or_default();
        let _ = self.child.kill();
        for pid in family.into_iter().filter(|&pid| pid != self.child.id()) {
            if let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// The end of what a server wrote to its standard error, for the message that says it failed.
pub fn last_words(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), "") | (Err(_), _) => "nothing".to_owned(),
        (Ok(_), words) => words
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

fn parse_ready_line(line: &str) -> Option<SocketAddr> {
    let rest = line.strip_prefix("listening on ")?;
    let (_scheme, rest) = rest.split_once("://")?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lines() {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 7000)));
        assert_eq!(
            parse_ready_line("listening on tcp://127.0.0.1:7000 (echo)\n"),
            address
        );
        assert_eq!(
            parse_ready_line("listening on udp://127.0.0.1:7000\n"),
            address
        );
        assert_eq!(parse_ready_line("error: address in use\n"), None);
        assert_eq!(parse_ready_line(""), None);
    }
}

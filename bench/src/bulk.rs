//! Much through one connection: does memory stay flat, is every byte right, and how fast is it?
//!
//! One thread writes while another reads and checks each byte against its position, so neither side of the server waits for the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::machine::Interrupt;
use crate::pattern::{Pattern, SLICE_MAX};
use crate::proc;
use crate::running::Running;

/// A server that moves nothing for so long has failed.
const STALL_MAX: Duration = Duration::from_secs(10);
/// Before the base is taken: enough for every buffer to have been made.
const WARM_UP: u64 = 1 << 20;
/// What flat allows: an allocator's arena, a first large buffer. The stream is thousands of times as long.
pub const GROWTH_MAX: u64 = 4 << 20;

#[derive(Clone, Debug, Serialize)]
pub struct Bulk {
    pub bytes: u64,
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// The server's peak resident size after the first MiB, and at the end.
    pub peak_before: u64,
    pub peak_after: u64,
}

impl Bulk {
    pub fn mib_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds / f64::from(1 << 20)
    }

    pub fn growth(&self) -> u64 {
        self.peak_after.saturating_sub(self.peak_before)
    }
}

pub fn measure(server: &Running, bytes: u64, interrupt: &Interrupt) -> Result<Bulk> {
    let pattern = Arc::new(Pattern::new());
    let stream = TcpStream::connect_timeout(&server.address, STALL_MAX)
        .with_context(|| format!("connecting to {}", server.address))?;
    stream
        .set_read_timeout(Some(STALL_MAX))
        .and_then(|()| stream.set_write_timeout(Some(STALL_MAX)))
        .context("setting deadlines")?;

    pass(&stream, &pattern, 0, WARM_UP, interrupt).context("warming up")?;
    let peak_before = proc::memory(server.pid())?.peak_bytes;
    let cpu_before = proc::cpu(server.pid())?;
    let begun = Instant::now();
    pass(&stream, &pattern, WARM_UP, bytes, interrupt)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = (proc::cpu(server.pid())?.saturating_sub(cpu_before)).as_secs_f64();
    let peak_after = proc::memory(server.pid())?.peak_bytes;
    close(stream).context("closing")?;
    Ok(Bulk {
        bytes,
        seconds,
        cpu_seconds,
        peak_before,
        peak_after,
    })
}

/// Sends `bytes` of the pattern from `start` on, and takes as many back.
fn pass(
    stream: &TcpStream,
    pattern: &Arc<Pattern>,
    start: u64,
    bytes: u64,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut writing = stream
        .try_clone()
        .context("sharing the connection with the writer")?;
    let source = Arc::clone(pattern);
    let writer = thread::spawn(move || -> Result<()> {
        let mut sent = 0;
        while sent < bytes {
            let slice = source.at(start + sent, (bytes - sent).min(SLICE_MAX as u64) as usize);
            writing
                .write_all(slice)
                .with_context(|| format!("sending byte {sent} of {bytes}"))?;
            sent += slice.len() as u64;
        }
        Ok(())
    });
    let read = take(stream, pattern, start, bytes, interrupt);
    if read.is_err() {
        // The writer may be waiting for room that the reader no longer makes.
        let _ = stream.shutdown(Shutdown::Both);
    }
    let wrote = writer.join();
    read?;
    match wrote {
        Ok(outcome) => outcome,
        Err(_) => bail!("sending: the writer panicked"),
    }
}

fn take(
    mut stream: &TcpStream,
    pattern: &Pattern,
    start: u64,
    bytes: u64,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut buffer = vec![0; SLICE_MAX];
    let mut received = 0;
    while received < bytes {
        interrupt.check()?;
        let got = match stream.read(&mut buffer) {
            Ok(0) => bail!("reading byte {received} of {bytes}: the server closed the connection"),
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("reading byte {received} of {bytes}"));
            }
        };
        ensure!(
            pattern.matches(start + received, &buffer[..got]),
            "reading byte {received} of {bytes}: wrong bytes"
        );
        received += got as u64;
    }
    ensure!(
        received == bytes,
        "reading: {received} bytes came back, {bytes} were sent"
    );
    Ok(())
}

/// The end of writing is echoed as the end of reading, with nothing after the last byte.
fn close(mut stream: TcpStream) -> Result<()> {
    stream
        .shutdown(Shutdown::Write)
        .context("ending the writing half")?;
    let mut rest = [0; 1];
    ensure!(
        stream.read(&mut rest).context("reading to the end")? == 0,
        "reading to the end: more came back than was sent"
    );
    Ok(())
}

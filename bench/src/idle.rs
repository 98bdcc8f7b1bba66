//! What a connection costs while nobody speaks: the server's anonymous memory (RssAnon) over many idle connections.
//!
//! Measured twice: when they have just been opened, and after each has asked once, was answered and fell silent again, for a server
//! may keep the buffer it answered from. What is asked is a message to be echoed, or a sum over HTTP. The kernel's own memory for
//! sockets is not in it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::local::{WAIT, open};
use crate::machine::Interrupt;
use crate::pattern::Pattern;
use crate::proc;
use crate::running::Running;
use crate::{ask, http};

const MESSAGE: usize = 64;
/// Fewer than any server's listen backlog here, so that no connection waits for a repeated SYN.
const STEP: usize = 250;
/// Files of its own that a server may have closed meanwhile: a connection to a backend that nobody needed.
const OTHERS: u64 = 10;

#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    pub connections: usize,
    pub base_bytes: u64,
    /// Bytes above the base for each connection that was opened and never spoke.
    pub opened: f64,
    /// The same after each was answered once.
    pub answered: f64,
}

/// What is said on a connection before it falls silent.
#[derive(Clone, Copy)]
pub enum Speech {
    Echo,
    Http,
}

pub fn measure(
    server: &Running,
    speech: Speech,
    connections: usize,
    interrupt: &Interrupt,
) -> Result<Idle> {
    let message = match speech {
        Speech::Echo => Pattern::new().at(0, MESSAGE).to_vec(),
        Speech::Http => ask::request(server.address, "GET", http::ADD, &[], b""),
    };
    let exchange = |stream: &mut TcpStream, message: &[u8]| match speech {
        Speech::Echo => echo(stream, message),
        Speech::Http => add(stream, message),
    };
    // One connection first: what a server allocates once, for its first, is not any connection's.
    exchange(&mut open(server.address, 0)?, &message).context("warming up")?;
    let files_before = settled_files(server)?;
    let base_bytes = settled_memory(server)?;

    let mut streams = Vec::with_capacity(connections);
    while streams.len() < connections {
        interrupt.check()?;
        for _ in 0..STEP.min(connections - streams.len()) {
            let id = streams.len();
            streams.push(
                open(server.address, id)
                    .with_context(|| format!("opening idle connection {id}"))?,
            );
        }
        wait_for_files(server, files_before + streams.len() as u64)?;
    }
    let opened_bytes = settled_memory(server)?;

    for (id, stream) in streams.iter_mut().enumerate() {
        exchange(stream, &message)
            .with_context(|| format!("speaking once on idle connection {id}"))?;
        if id % STEP == 0 {
            interrupt.check()?;
        }
    }
    let answered_bytes = settled_memory(server)?;
    let kept = proc::open_files(server.pid())?.saturating_sub(files_before);
    ensure!(
        kept + OTHERS >= connections as u64,
        "counting connections: the server kept {kept} of {connections}"
    );
    let each = |bytes: u64| bytes.saturating_sub(base_bytes) as f64 / connections as f64;
    Ok(Idle {
        connections,
        base_bytes,
        opened: each(opened_bytes),
        answered: each(answered_bytes),
    })
}

fn echo(stream: &mut TcpStream, message: &[u8]) -> Result<()> {
    stream.write_all(message).context("sending")?;
    let mut answer = [0; MESSAGE];
    stream
        .read_exact(&mut answer)
        .context("reading the answer")?;
    ensure!(answer == message, "reading the answer: wrong bytes");
    Ok(())
}

fn add(stream: &mut TcpStream, request: &[u8]) -> Result<()> {
    let answer = ask::exchange(stream, request)?;
    ensure!(
        answer.status == 200 && answer.body.trim_ascii() == b"8",
        "reading the answer: not 8, but {}",
        answer.words()
    );
    Ok(())
}

/// A connection is in the server's hands when the server has a file for it, not when the kernel shook hands for it.
fn wait_for_files(server: &Running, count: u64) -> Result<()> {
    let deadline = Instant::now() + WAIT;
    while proc::open_files(server.pid())? < count {
        if Instant::now() > deadline {
            bail!(
                "waiting for the server to accept: it has {} of {count} files open",
                proc::open_files(server.pid())?
            );
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The number of files, once it has stopped changing: the warm-up's connection is closed in its own time.
fn settled_files(server: &Running) -> Result<u64> {
    settled(|| proc::open_files(server.pid()))
}

/// Memory, once two looks agree: what the last connection set off may still be going on.
fn settled_memory(server: &Running) -> Result<u64> {
    settled(|| proc::anon_of_all(server.pid()))
}

/// The first value that two looks, 100 ms apart, agree on; the last one after five seconds.
fn settled<T: PartialEq>(look: impl Fn() -> Result<T>) -> Result<T> {
    let mut last = look()?;
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(100));
        let now = look()?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

//! What a connection costs while nobody speaks: the server's anonymous memory (RssAnon) over many idle connections.
//!
//! Measured twice: when they have just been opened, and after each has sent one message, was answered and fell silent again, for
//! a server may keep the buffer it answered from. The kernel's own memory for sockets is not in it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

use crate::machine::Interrupt;
use crate::pattern::Pattern;
use crate::proc;
use crate::running::Running;

const MESSAGE: usize = 64;
/// Source addresses are changed after so many, for one address has some 28,000 ports to lend and other connections hold some.
const PER_SOURCE: usize = 5_000;
/// Fewer than any server's listen backlog here, so that no connection waits for a repeated SYN.
const STEP: usize = 250;
const WAIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    pub connections: usize,
    pub base_bytes: u64,
    /// Bytes above the base for each connection that was opened and never spoke.
    pub opened: f64,
    /// The same after each was answered once.
    pub answered: f64,
}

pub fn measure(server: &Running, connections: usize, interrupt: &Interrupt) -> Result<Idle> {
    let message = Pattern::new().at(0, MESSAGE).to_vec();
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
        wait_for_files(server, files_before + streams.len())?;
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
    let each = |bytes: u64| bytes.saturating_sub(base_bytes) as f64 / connections as f64;
    Ok(Idle {
        connections,
        base_bytes,
        opened: each(opened_bytes),
        answered: each(answered_bytes),
    })
}

fn open(address: SocketAddr, id: usize) -> Result<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 0, 1 + (id / PER_SOURCE) as u8);
    let socket =
        Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).context("making a socket")?;
    socket
        .bind(&SocketAddr::from((source, 0)).into())
        .with_context(|| format!("binding to {source}"))?;
    socket
        .connect_timeout(&address.into(), WAIT)
        .with_context(|| format!("connecting from {source} to {address}"))?;
    let stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(WAIT))
        .and_then(|()| stream.set_nodelay(true))
        .context("setting up a connection")?;
    Ok(stream)
}

fn exchange(stream: &mut TcpStream, message: &[u8]) -> Result<()> {
    stream.write_all(message).context("sending")?;
    let mut answer = [0; MESSAGE];
    stream
        .read_exact(&mut answer)
        .context("reading the answer")?;
    ensure!(answer == message, "reading the answer: wrong bytes");
    Ok(())
}

/// A connection is in the server's hands when the server has a file for it, not when the kernel shook hands for it.
fn wait_for_files(server: &Running, count: usize) -> Result<()> {
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
fn settled_files(server: &Running) -> Result<usize> {
    settled(|| proc::open_files(server.pid()))
}

/// Memory, once two looks agree: what the last connection set off may still be going on.
fn settled_memory(server: &Running) -> Result<u64> {
    settled(|| Ok(proc::memory(server.pid())?.anon_bytes))
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

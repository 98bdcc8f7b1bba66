//! TCP ping-pong: each connection sends one message, waits for all of it, and sends the next.
//!
//! One thread, one epoll, buffers shared by all connections: the generator must cost less than the server it measures. Every
//! message begins with a stamp of connection and number, so an answer that went to the wrong connection is found.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::machine::Interrupt;
use crate::pattern::Pattern;
use crate::running::Running;
use crate::sample::{Counting, Latencies, Sample, Window};

const STAMP: usize = 8;
const BUFFER: usize = 256 * 1024;
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A server that answers nobody for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How many talk, and how long each message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub connections: usize,
    pub bytes: usize,
}

/// One round against one running server.
pub fn measure(
    server: &Running,
    setting: Setting,
    window: Window,
    interrupt: &Interrupt,
) -> Result<Sample> {
    ensure!(
        setting.bytes >= STAMP && setting.bytes <= BUFFER,
        "a message has {STAMP} to {BUFFER} bytes"
    );
    let mut poll = Poll::new().context("making an epoll")?;
    let mut talks = connect_all(server.address, setting.connections, &poll)?;
    let mut wire = Wire::new(setting.bytes);
    let now = Instant::now();
    for talk in &mut talks {
        talk.begin(&mut wire, now)
            .context("sending the first message")?;
    }
    let warm_until = Instant::now() + window.warm_up;
    run_until(warm_until, &mut poll, &mut talks, &mut wire, interrupt).context("warming up")?;
    wire.answers = 0;
    wire.latencies.clear();
    let counting = Counting::open(server.pid())?;
    let until = Instant::now() + window.count;
    run_until(until, &mut poll, &mut talks, &mut wire, interrupt).context("counting")?;
    counting.close(wire.answers, 0, &mut wire.latencies)
}

fn connect_all(address: SocketAddr, count: usize, poll: &Poll) -> Result<Vec<Talk>> {
    let mut talks = Vec::with_capacity(count);
    for id in 0..count {
        let stream = StdStream::connect_timeout(&address, CONNECT_WAIT)
            .and_then(|stream| {
                stream
                    .set_nodelay(true)
                    .and_then(|()| stream.set_nonblocking(true))
                    .map(|()| stream)
            })
            .with_context(|| format!("opening connection {id} to {address}"))?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry()
            .register(
                &mut stream,
                Token(id),
                Interest::READABLE | Interest::WRITABLE,
            )
            .context("registering a connection")?;
        talks.push(Talk {
            stream,
            id: id as u32,
            number: 0,
            sent: 0,
            received: 0,
            head: [0; STAMP],
            since: Instant::now(),
        });
    }
    Ok(talks)
}

fn run_until(
    until: Instant,
    poll: &mut Poll,
    talks: &mut [Talk],
    wire: &mut Wire,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut heard = Instant::now();
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(());
        }
        interrupt.check()?;
        let before = wire.answers;
        match poll.poll(
            &mut events,
            Some((until - now).min(Duration::from_millis(100))),
        ) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.context("waiting for answers")?,
        }
        for event in &events {
            talks[event.token().0].advance(wire)?;
        }
        if wire.answers > before {
            heard = now;
        }
        if now.duration_since(heard) > SILENCE_MAX {
            bail!("waiting for answers: none for {SILENCE_MAX:?}");
        }
    }
}

/// What all connections share.
struct Wire {
    /// The message to send; its stamp is overwritten by whoever sends.
    message: Vec<u8>,
    read: Vec<u8>,
    answers: u64,
    latencies: Latencies,
}

impl Wire {
    fn new(bytes: usize) -> Wire {
        let message = Pattern::new().at(0, bytes).to_vec();
        Wire {
            message,
            read: vec![0; BUFFER],
            answers: 0,
            latencies: Latencies::new(),
        }
    }
}

struct Talk {
    stream: TcpStream,
    id: u32,
    number: u32,
    sent: usize,
    received: usize,
    head: [u8; STAMP],
    since: Instant,
}

impl Talk {
    fn stamp(&self) -> [u8; STAMP] {
        (u64::from(self.id) << 32 | u64::from(self.number)).to_le_bytes()
    }

    fn begin(&mut self, wire: &mut Wire, now: Instant) -> Result<()> {
        self.number = self.number.wrapping_add(1);
        self.sent = 0;
        self.received = 0;
        self.since = now;
        self.send(wire)
    }

    fn send(&mut self, wire: &mut Wire) -> Result<()> {
        wire.message[..STAMP].copy_from_slice(&self.stamp());
        while self.sent < wire.message.len() {
            match self.stream.write(&wire.message[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("sending on connection {}", self.id));
                }
            }
        }
        Ok(())
    }

    /// Takes what has come and sends what is due. epoll is edge-triggered here: a read that did not fill the buffer has emptied
    /// the socket, and the next bytes raise a new edge, so the read that would only find nothing is spared.
    fn advance(&mut self, wire: &mut Wire) -> Result<()> {
        if self.sent < wire.message.len() {
            self.send(wire)?;
        }
        loop {
            let got = match self.stream.read(&mut wire.read) {
                Ok(0) => bail!("reading connection {}: the server closed it", self.id),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("reading connection {}", self.id));
                }
            };
            self.take(got, wire)?;
            if self.received == wire.message.len() {
                let now = Instant::now();
                wire.latencies.record(now.duration_since(self.since));
                wire.answers += 1;
                return self.begin(wire, now);
            }
            if got < wire.read.len() {
                return Ok(());
            }
        }
    }

    /// Checks the stamp and each piece's last byte: enough to catch a misdirected, shifted or short answer at little cost. Every
    /// byte is checked in the bulk measurement.
    fn take(&mut self, got: usize, wire: &Wire) -> Result<()> {
        let at = self.received;
        self.received += got;
        ensure!(
            self.received <= wire.message.len(),
            "reading connection {}: more came back than was sent",
            self.id
        );
        for byte in at..self.received.min(STAMP) {
            self.head[byte] = wire.read[byte - at];
        }
        if at < STAMP && self.received >= STAMP {
            ensure!(
                self.head == self.stamp(),
                "reading connection {}: another message's answer",
                self.id
            );
        }
        let last = self.received - 1;
        ensure!(
            last < STAMP || wire.read[got - 1] == wire.message[last],
            "reading connection {}: wrong bytes",
            self.id
        );
        Ok(())
    }
}

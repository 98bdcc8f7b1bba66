//! Messages that are acknowledged when they are on disk: so many senders, each in a room of its own and with one message at a time,
//! so that what is measured is the appending and not who hears it.
//!
//! The server is then killed, and another one started on what is left: every message that was acknowledged must be there.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as StdStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::speech::{self, STAMP, Speech, TEXT, find};
use super::subject;
use crate::durable::{self, Durable};
use crate::local::{WAIT, open};
use crate::machine::{Interrupt, Placement};
use crate::running::Running;
use crate::sample::{Counting, Latencies, Window};
use crate::stable::Stable;

pub const SENDERS: usize = 100;
/// What each sender has asked before its first message: to come in, and to join.
const ASKED: u64 = 2;

/// One round: against a server on a new store, and then what is left when it is killed.
pub fn measure(stable: &Stable, window: Window, interrupt: &Interrupt) -> Result<Durable> {
    let mut store = None;
    let server = stable.start_with("bandy-appends", Placement::OneCore, |dir, _| {
        let new = subject::new_store(dir)?;
        let command = subject::bandy(stable, "ws", Some(&new))?;
        store = Some(new);
        Ok(command)
    })?;
    let store = store.context("the store's place")?;
    let dir = store.parent().unwrap_or(Path::new("."));
    let syncs_per_second = durable::syncs_per_second(dir, interrupt)?;
    let mut senders = Senders::open(&server)?;
    senders
        .run(window.warm_up, interrupt)
        .context("warming up")?;
    senders.acknowledged = 0;
    senders.latencies.clear();
    let before = durable::commits(&store);
    let (counting, since) = (Counting::open(server.pid())?, Instant::now());
    senders.run(window.count, interrupt)?;
    let sample = counting.close(senders.acknowledged, 0, &mut senders.latencies)?;
    let committed = before
        .zip(durable::commits(&store))
        .map(|(before, after)| after.wrapping_sub(before));
    let commits_per_second =
        committed.map(|count| f64::from(count) / since.elapsed().as_secs_f64());
    // Killed while messages are underway.
    drop(server);
    let server = stable.start_with("bandy-appends", Placement::OneCore, |_, _| {
        subject::bandy(stable, "ws", Some(&store))
    })?;
    senders.check_what_is_left(&server)?;
    Ok(Durable {
        sample,
        commits_per_second,
        syncs_per_second,
    })
}

struct Senders {
    poll: Poll,
    all: Vec<Sender>,
    buffer: Vec<u8>,
    acknowledged: u64,
    latencies: Latencies,
}

struct Sender {
    stream: TcpStream,
    room: String,
    rest: Vec<u8>,
    /// The message that is underway: all before it were acknowledged.
    number: u64,
    since: Instant,
}

impl Senders {
    fn open(server: &Running) -> Result<Senders> {
        let poll = Poll::new().context("making an epoll")?;
        let mut all = Vec::with_capacity(SENDERS);
        for id in 0..SENDERS {
            let room = format!("room{id:02}");
            let (stream, rest) =
                enter(server, id, &room).with_context(|| format!("bringing in sender {id}"))?;
            stream
                .set_nonblocking(true)
                .context("setting up a connection")?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(id), Interest::READABLE)
                .context("registering a connection")?;
            let mut sender = Sender {
                stream,
                room,
                rest,
                number: 0,
                since: Instant::now(),
            };
            sender.say(id)?;
            all.push(sender);
        }
        Ok(Senders {
            poll,
            all,
            buffer: vec![0; 64 << 10],
            acknowledged: 0,
            latencies: Latencies::new(),
        })
    }

    fn run(&mut self, time: Duration, interrupt: &Interrupt) -> Result<()> {
        let until = Instant::now() + time;
        let mut events = Events::with_capacity(1024);
        let (mut count, mut heard) = (self.acknowledged, Instant::now());
        while Instant::now() < until {
            interrupt.check()?;
            match self.poll.poll(&mut events, Some(Duration::from_millis(50))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.context("waiting for acknowledgements")?,
            }
            for event in &events {
                let id = event.token().0;
                let done = self.all[id].listen(id, &mut self.buffer, &mut self.latencies);
                self.acknowledged += done.with_context(|| format!("sender {id}"))?;
            }
            if self.acknowledged > count {
                (count, heard) = (self.acknowledged, Instant::now());
            }
            ensure!(
                heard.elapsed() < WAIT,
                "waiting for acknowledgements: none for {WAIT:?}"
            );
        }
        Ok(())
    }

    /// The last message of each room is one that was acknowledged, or the one that was underway.
    fn check_what_is_left(&self, server: &Running) -> Result<()> {
        let mut left = HashMap::new();
        for (id, sender) in self.all.iter().enumerate() {
            let (mut stream, mut rest) = enter(server, id, &sender.room)?;
            let mut out = Vec::new();
            let history = format!(
                r#"{{"ref":3,"do":"history","room":"{}","limit":1}}"#,
                sender.room
            );
            speech::frame(&mut out, &[history.as_bytes()]);
            stream.write_all(&out).context("asking for history")?;
            Speech::Json.hear(&mut stream, &mut rest, |unit| {
                let found = find(unit, speech::MARK)
                    .and_then(|at| unit.get(at..at + STAMP)?.try_into().ok())
                    .and_then(|stamp| speech::read_stamp(&stamp));
                left.insert(id, found);
                find(unit, br#"{"re":3,"#).is_some()
            })?;
            let last = left.get(&id).copied().flatten().map(|(_, number)| number);
            ensure!(
                last >= Some(sender.number - 1),
                "looking what is left after a kill: of sender {id} {} messages were acknowledged, and the last one there is {last:?}",
                sender.number - 1
            );
        }
        Ok(())
    }
}

impl Sender {
    fn say(&mut self, id: usize) -> Result<()> {
        self.number += 1;
        let mut text = [b'x'; TEXT];
        text[..STAMP].copy_from_slice(&speech::stamp(id, self.number));
        let mut out = Vec::with_capacity(256);
        Speech::Json.say(&mut out, &self.room, &text, ASKED + self.number);
        self.since = Instant::now();
        // One message at a time is nothing to the socket's buffer.
        self.stream.write_all(&out).context("saying something")
    }

    /// Takes what has come, and says the next thing once the last one was acknowledged: how many were.
    fn listen(&mut self, id: usize, buffer: &mut [u8], latencies: &mut Latencies) -> Result<u64> {
        let mut acknowledged = 0;
        loop {
            let got = match self.stream.read(buffer) {
                Ok(0) => bail!("reading: the server closed"),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(acknowledged),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading"),
            };
            self.rest.extend_from_slice(&buffer[..got]);
            while let Some(length) = Speech::Json.unit(&self.rest)? {
                let good = format!(r#"{{"re":{},"ok""#, ASKED + self.number);
                let unit = &self.rest[..length];
                let (is_answer, is_good) = (
                    find(unit, br#"{"re":"#).is_some(),
                    find(unit, good.as_bytes()).is_some(),
                );
                ensure!(
                    is_good || !is_answer,
                    "saying something: the server said {}",
                    String::from_utf8_lossy(unit)
                );
                self.rest.drain(..length);
                if is_good {
                    latencies.record(self.since.elapsed());
                    acknowledged += 1;
                    self.say(id)?;
                }
            }
            if got < buffer.len() {
                return Ok(acknowledged);
            }
        }
    }
}

/// Somebody in a room of their own.
fn enter(server: &Running, id: usize, room: &str) -> Result<(StdStream, Vec<u8>)> {
    let mut stream = open(server.address, id)?;
    let mut heard = Vec::new();
    Speech::Json.enter(&mut stream, &format!("m{id:05}"), &mut heard)?;
    Speech::Json.join(&mut stream, room, &mut heard)?;
    Ok((stream, heard))
}

//! One room full of members who listen, and a few who speak: the generator of the fan-out.
//!
//! One thread, one epoll, one buffer for all that is read. Every delivery is checked: the first member to hear a message settles its
//! place, and all others must hear the same one there; what one sender says must come in the order in which it was said. A member
//! costs the generator one read for all that has come, and a comparison of 16 bytes for each message.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::speech::{self, MARK, STAMP, Speech, Stamp, TEXT};
use crate::local::{WAIT, open};
use crate::machine::Interrupt;
use crate::sample::Latencies;

pub const ROOM: &str = "lobby";
const BUFFER: usize = 256 << 10;
/// While members come, what the others hear of it is read as often.
const LOOK_EVERY: usize = 50;

/// How what is said is spaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many messages are underway at any time: the next one is said once one has reached everybody.
    Underway(u64),
    /// So many a second, whatever becomes of them.
    PerSecond(f64),
}

pub struct Crowd {
    speech: Speech,
    poll: Poll,
    members: Vec<Member>,
    senders: Vec<Sender>,
    text: Vec<u8>,
    said: u64,
    heard: Heard,
    buffer: Vec<u8>,
    events: Events,
}

/// What came of what was said.
struct Heard {
    /// The order in which everybody has to hear it: each message, when it was due, and how many have heard it.
    order: Vec<Place>,
    /// Messages of each sender: when they were due, and how many of them have a place.
    senders: Vec<(Vec<Instant>, u64)>,
    deliveries: u64,
    /// Messages that everybody has heard.
    complete: u64,
    members: usize,
    latencies: Option<Latencies>,
    /// Where the text begins, from the end of what it comes in.
    from_end: usize,
}

struct Place {
    stamp: Stamp,
    due: Instant,
    by: usize,
}

struct Member {
    stream: TcpStream,
    /// The beginning of something that has not come whole.
    rest: Vec<u8>,
    /// How many messages it has heard.
    count: usize,
}

struct Sender {
    stream: TcpStream,
    waiting: Vec<u8>,
}

impl Crowd {
    /// So many members, all in the room, and so many who speak there too.
    pub fn gather(
        speech: Speech,
        address: SocketAddr,
        members: usize,
        senders: usize,
        interrupt: &Interrupt,
    ) -> Result<Crowd> {
        let mut crowd = Crowd {
            speech,
            poll: Poll::new().context("making an epoll")?,
            members: Vec::with_capacity(members),
            senders: Vec::new(),
            text: vec![b'x'; TEXT],
            said: 0,
            heard: Heard {
                order: Vec::new(),
                senders: vec![(Vec::new(), 0); senders],
                deliveries: 0,
                complete: 0,
                members,
                latencies: None,
                from_end: 0,
            },
            buffer: vec![0; BUFFER],
            events: Events::with_capacity(1024),
        };
        for id in 0..members + senders {
            let (stream, rest) = enter(speech, address, id, id < members)
                .with_context(|| format!("bringing in number {id}"))?;
            let mut stream = TcpStream::from_std(stream);
            crowd
                .poll
                .registry()
                .register(&mut stream, Token(id), Interest::READABLE)
                .context("registering a connection")?;
            match id < members {
                true => crowd.members.push(Member {
                    stream,
                    rest,
                    count: 0,
                }),
                false => crowd.senders.push(Sender {
                    stream,
                    waiting: Vec::new(),
                }),
            }
            if id % LOOK_EVERY == 0 {
                interrupt.check()?;
                while crowd.listen(Some(Duration::ZERO))? {}
            }
        }
        Ok(crowd)
    }

    /// Deliveries so far.
    pub fn deliveries(&self) -> u64 {
        self.heard.deliveries
    }

    /// Keeps from now on how long each delivery takes.
    pub fn measure(&mut self) {
        self.heard.latencies = Some(Latencies::new());
    }

    /// What was kept.
    pub fn latencies(&mut self) -> Latencies {
        self.heard.latencies.take().unwrap_or_else(Latencies::new)
    }

    /// Speaks at this pace for so long.
    pub fn speak(&mut self, pace: Pace, time: Duration, interrupt: &Interrupt) -> Result<()> {
        let (since, said) = (Instant::now(), self.said);
        let mut progress = (self.heard.deliveries, since);
        loop {
            let now = Instant::now();
            if now.duration_since(since) >= time {
                return Ok(());
            }
            interrupt.check()?;
            let wait = match pace {
                Pace::Underway(count) => {
                    while self.said - self.heard.complete < count {
                        self.say(now)?;
                    }
                    Duration::from_millis(100)
                }
                Pace::PerSecond(rate) => {
                    let due = |n: u64| since + Duration::from_secs_f64(n as f64 / rate);
                    while due(self.said - said) <= now {
                        self.say(due(self.said - said))?;
                    }
                    due(self.said - said).saturating_duration_since(now)
                }
            };
            self.flush()?;
            // The system waits for whole milliseconds: what is due before that is looked for at once.
            let wait = if wait < Duration::from_millis(1) {
                Duration::ZERO
            } else {
                wait.min(Duration::from_millis(100)) - Duration::from_micros(500)
            };
            self.listen(Some(wait))?;
            if self.heard.deliveries > progress.0 {
                progress = (self.heard.deliveries, now);
            }
            self.check_progress(progress.1)?;
        }
    }

    /// Until everybody has heard all that was said.
    pub fn settle(&mut self, interrupt: &Interrupt) -> Result<()> {
        let mut progress = (self.heard.deliveries, Instant::now());
        while self.heard.complete < self.said {
            interrupt.check()?;
            self.flush()?;
            self.listen(Some(Duration::from_millis(100)))?;
            if self.heard.deliveries > progress.0 {
                progress = (self.heard.deliveries, Instant::now());
            }
            self.check_progress(progress.1)?;
        }
        Ok(())
    }

    fn check_progress(&self, last: Instant) -> Result<()> {
        ensure!(
            last.elapsed() < WAIT || self.said == self.heard.complete,
            "waiting for deliveries: {} of {} messages have reached everybody, and nobody heard anything for {WAIT:?}",
            self.heard.complete,
            self.said
        );
        Ok(())
    }

    fn say(&mut self, due: Instant) -> Result<()> {
        let by = (self.said % self.senders.len() as u64) as usize;
        self.said += 1;
        let (times, _) = &mut self.heard.senders[by];
        times.push(due);
        let stamp = speech::stamp(by, times.len() as u64);
        self.text[..STAMP].copy_from_slice(&stamp);
        let number = 10 + times.len() as u64;
        let waiting = &mut self.senders[by].waiting;
        self.speech.say(waiting, ROOM, &self.text, number);
        ensure!(
            waiting.len() < 64 << 20,
            "saying something: the server takes no more"
        );
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        for sender in &mut self.senders {
            while !sender.waiting.is_empty() {
                match sender.stream.write(&sender.waiting) {
                    Ok(written) => drop(sender.waiting.drain(..written)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error).context("saying something"),
                }
            }
        }
        Ok(())
    }

    /// Takes what has come, or comes in that time; whether there was something.
    fn listen(&mut self, wait: Option<Duration>) -> Result<bool> {
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            polled => polled.context("waiting for what is said")?,
        }
        for event in &self.events {
            let id = event.token().0;
            match id.checked_sub(self.members.len()) {
                None => self.members[id].listen(self.speech, &mut self.buffer, &mut self.heard),
                Some(sender) => drop_all(&mut self.senders[sender].stream, &mut self.buffer),
            }
            .with_context(|| format!("number {id}"))?;
        }
        Ok(!self.events.is_empty())
    }
}

impl Member {
    /// Takes all that has come. epoll is edge-triggered here: a read that did not fill the buffer has emptied the socket.
    fn listen(&mut self, speech: Speech, buffer: &mut [u8], heard: &mut Heard) -> Result<()> {
        loop {
            let begun = self.rest.len();
            buffer[..begun].copy_from_slice(&self.rest);
            let got = match self.stream.read(&mut buffer[begun..]) {
                Ok(0) => bail!("reading: the server closed"),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading"),
            };
            let (end, now) = (begun + got, Instant::now());
            let mut at = 0;
            while let Some(length) = speech.unit(&buffer[at..end])? {
                let unit = &buffer[at..at + length];
                if let Some(stamp) = heard.stamp(unit) {
                    heard.take(self.count, &stamp, now)?;
                    self.count += 1;
                }
                at += length;
            }
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[at..end]);
            ensure!(
                self.rest.len() < buffer.len() / 2,
                "reading: something longer than {} bytes",
                buffer.len() / 2
            );
            if end < buffer.len() {
                return Ok(());
            }
        }
    }
}

impl Heard {
    /// The stamp of a message; None of anything else that is heard. It stands as far from the end as it stood the last time.
    fn stamp(&mut self, unit: &[u8]) -> Option<Stamp> {
        let at = unit.len().checked_sub(self.from_end)?;
        if let Some(stamp) = unit.get(at..at + STAMP)
            && stamp.starts_with(MARK)
        {
            return stamp.try_into().ok();
        }
        let at = speech::find(unit, MARK)?;
        self.from_end = unit.len() - at;
        unit.get(at..at + STAMP)?.try_into().ok()
    }

    /// A member heard this as its `count`-th message.
    fn take(&mut self, count: usize, stamp: &Stamp, now: Instant) -> Result<()> {
        if count == self.order.len() {
            let place = self.place(stamp)?;
            self.order.push(place);
        }
        let place = &mut self.order[count];
        ensure!(
            place.stamp == *stamp,
            "hearing {} as number {count}: others heard {} there",
            String::from_utf8_lossy(stamp),
            String::from_utf8_lossy(&place.stamp)
        );
        place.by += 1;
        if place.by == self.members {
            self.complete += 1;
        }
        self.deliveries += 1;
        if let Some(latencies) = &mut self.latencies {
            latencies.record(now.saturating_duration_since(place.due));
        }
        Ok(())
    }

    /// The next message of all: it must be its sender's next one.
    fn place(&mut self, stamp: &Stamp) -> Result<Place> {
        let known = speech::read_stamp(stamp).and_then(|(sender, number)| {
            let (times, placed) = self.senders.get_mut(sender)?;
            *placed += 1;
            let due = (number == *placed).then(|| times.get(number as usize - 1))??;
            Some(*due)
        });
        let due = known.with_context(|| {
            format!(
                "hearing {}: not what its sender said next",
                String::from_utf8_lossy(stamp)
            )
        })?;
        Ok(Place {
            stamp: *stamp,
            due,
            by: 0,
        })
    }
}

/// What a sender hears is of no matter.
fn drop_all(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    loop {
        match stream.read(buffer) {
            Ok(0) => bail!("reading: the server closed"),
            Ok(got) if got < buffer.len() => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("reading"),
        }
    }
}

/// Somebody new, in the room if they are to be; with what they have heard already.
fn enter(
    speech: Speech,
    address: SocketAddr,
    id: usize,
    is_member: bool,
) -> Result<(StdStream, Vec<u8>)> {
    let mut stream = open(address, id)?;
    let mut heard = Vec::new();
    speech.enter(&mut stream, &format!("m{id:05}"), &mut heard)?;
    // Who publishes to Redis need not listen, and cannot.
    if is_member || speech != Speech::Resp {
        speech.join(&mut stream, ROOM, &mut heard)?;
    }
    stream
        .set_nonblocking(true)
        .context("setting up a connection")?;
    Ok((stream, heard))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &[usize]) -> Heard {
        let now = Instant::now();
        Heard {
            order: Vec::new(),
            senders: said.iter().map(|&count| (vec![now; count], 0)).collect(),
            deliveries: 0,
            complete: 0,
            members: 2,
            latencies: None,
            from_end: 0,
        }
    }

    #[test]
    fn everybody_must_hear_the_same_order() -> Result<()> {
        let now = Instant::now();
        let mut heard = heard(&[2, 1]);
        heard.take(0, &speech::stamp(0, 1), now)?;
        heard.take(1, &speech::stamp(1, 1), now)?;
        heard.take(0, &speech::stamp(0, 1), now)?;
        assert_eq!((heard.deliveries, heard.complete), (3, 1));
        assert!(heard.take(1, &speech::stamp(0, 2), now).is_err());
        Ok(())
    }

    #[test]
    fn what_nobody_said_or_came_twice_is_noticed() {
        let now = Instant::now();
        assert!(heard(&[1]).take(0, &speech::stamp(0, 2), now).is_err());
        assert!(heard(&[1]).take(0, &speech::stamp(7, 1), now).is_err());
        let mut twice = heard(&[1]);
        assert!(twice.take(0, &speech::stamp(0, 1), now).is_ok());
        assert!(twice.take(1, &speech::stamp(0, 1), now).is_err());
    }

    #[test]
    fn a_stamp_is_found_again_where_it_was() {
        let mut heard = heard(&[]);
        let of = |text: &str| text.as_bytes().to_vec();
        let first = of("{\"seq\":9,\"text\":\"%%00000000000001xx\"}");
        let second = of("{\"seq\":10,\"text\":\"%%00000000000002xx\"}");
        assert_eq!(heard.stamp(&of("{\"event\":\"joined\"}")), None);
        assert_eq!(heard.stamp(&first), Some(speech::stamp(0, 1)));
        assert_eq!(heard.stamp(&second), Some(speech::stamp(0, 2)));
    }
}

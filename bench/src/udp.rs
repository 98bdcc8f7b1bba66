//! UDP echo: each socket keeps a window of datagrams in flight. A window of 1 is ping-pong; 16 keeps the server's queue full.
//!
//! The generator receives and sends a socket's whole window in one system call each, so that the server's core is the one that is
//! busy. A datagram that nobody answers in time counts as lost and its place in the window is used again.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg};

use crate::machine::Interrupt;
use crate::pattern::Pattern;
use crate::running::Running;
use crate::sample::{Counting, Latencies, Sample, Window};

pub const BYTES: usize = 64;
const STAMP: usize = 8;
const WINDOW_MAX: usize = 16;
/// Many times the longest queue's delay, so that what is late is lost.
const LOST_AFTER: Duration = Duration::from_millis(50);
const LOOK_FOR_LOST_EVERY: Duration = Duration::from_millis(10);
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How many sockets, and how many datagrams each keeps in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub sockets: usize,
    pub in_flight: usize,
}

/// One round against one running server.
pub fn measure(
    server: &Running,
    setting: Setting,
    window: Window,
    interrupt: &Interrupt,
) -> Result<Sample> {
    ensure!(
        (1..=WINDOW_MAX).contains(&setting.in_flight),
        "a window has 1 to {WINDOW_MAX} datagrams"
    );
    let mut poll = Poll::new().context("making an epoll")?;
    let mut flows = open_all(server.address, setting, &poll)?;
    let mut wire = Wire::new();
    let now = Instant::now();
    for flow in &mut flows {
        wire.due.extend(0..setting.in_flight);
        flow.send_due(&mut wire, now)?;
    }
    run_until(
        Instant::now() + window.warm_up,
        &mut poll,
        &mut flows,
        &mut wire,
        interrupt,
    )
    .context("warming up")?;
    wire.answers = 0;
    wire.lost = 0;
    wire.latencies.clear();
    let counting = Counting::open(server.pid())?;
    run_until(
        Instant::now() + window.count,
        &mut poll,
        &mut flows,
        &mut wire,
        interrupt,
    )
    .context("counting")?;
    counting.close(wire.answers, wire.lost, &mut wire.latencies)
}

fn open_all(address: SocketAddr, setting: Setting, poll: &Poll) -> Result<Vec<Flow>> {
    let mut flows = Vec::with_capacity(setting.sockets);
    for id in 0..setting.sockets {
        let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .context("binding a UDP socket")?;
        socket
            .connect(address)
            .with_context(|| format!("connecting a UDP socket to {address}"))?;
        poll.registry()
            .register(&mut socket, Token(id), Interest::READABLE)
            .context("registering a socket")?;
        let slots = vec![
            Slot {
                number: 0,
                since: Instant::now()
            };
            setting.in_flight
        ];
        flows.push(Flow {
            socket,
            id: u16::try_from(id).context("numbering the sockets")?,
            slots,
        });
    }
    Ok(flows)
}

fn run_until(
    until: Instant,
    poll: &mut Poll,
    flows: &mut [Flow],
    wire: &mut Wire,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut heard = Instant::now();
    let mut looked = heard;
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(());
        }
        interrupt.check()?;
        let before = wire.answers;
        match poll.poll(&mut events, Some((until - now).min(LOOK_FOR_LOST_EVERY))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.context("waiting for answers")?,
        }
        for event in &events {
            flows[event.token().0].advance(wire)?;
        }
        if now.duration_since(looked) >= LOOK_FOR_LOST_EVERY {
            looked = now;
            for flow in flows.iter_mut() {
                flow.replace_lost(wire, now)?;
            }
        }
        if wire.answers > before {
            heard = now;
        }
        if now.duration_since(heard) > SILENCE_MAX {
            bail!("waiting for answers: none for {SILENCE_MAX:?}");
        }
    }
}

/// What all flows share: buffers for one window each way, and the count.
struct Wire {
    outgoing: [[u8; BYTES]; WINDOW_MAX],
    incoming: [[u8; BYTES]; WINDOW_MAX],
    receive_headers: MultiHeaders<SockaddrIn>,
    /// Places in the window of the flow at hand that may send.
    due: Vec<usize>,
    answers: u64,
    lost: u64,
    latencies: Latencies,
}

impl Wire {
    fn new() -> Wire {
        let mut datagram = [0; BYTES];
        datagram.copy_from_slice(Pattern::new().at(0, BYTES));
        Wire {
            outgoing: [datagram; WINDOW_MAX],
            incoming: [[0; BYTES]; WINDOW_MAX],
            receive_headers: MultiHeaders::preallocate(WINDOW_MAX, None),
            due: Vec::with_capacity(WINDOW_MAX),
            answers: 0,
            lost: 0,
            latencies: Latencies::new(),
        }
    }
}

struct Flow {
    socket: UdpSocket,
    id: u16,
    slots: Vec<Slot>,
}

/// One place in a flow's window: the number of the datagram that holds it, and since when.
#[derive(Clone, Copy)]
struct Slot {
    number: u32,
    since: Instant,
}

impl Flow {
    fn advance(&mut self, wire: &mut Wire) -> Result<()> {
        loop {
            let got = self.receive(wire)?;
            let now = Instant::now();
            for index in 0..got {
                let (flow, slot, number) = read_stamp(&wire.incoming[index]);
                ensure!(
                    flow == self.id,
                    "reading socket {}: an answer to socket {flow}",
                    self.id
                );
                let rest_is_right = wire.incoming[index][STAMP..] == wire.outgoing[0][STAMP..];
                ensure!(rest_is_right, "reading socket {}: wrong bytes", self.id);
                let held = self
                    .slots
                    .get(usize::from(slot))
                    .with_context(|| format!("reading socket {}: no place {slot}", self.id))?;
                // Another number: it came after it was given up, and its place is taken.
                if held.number == number {
                    wire.answers += 1;
                    wire.latencies.record(now.duration_since(held.since));
                    wire.due.push(usize::from(slot));
                }
            }
            self.send_due(wire, now)?;
            // Fewer than asked for: the queue is empty, and the next datagram raises a new edge.
            if got < WINDOW_MAX {
                return Ok(());
            }
        }
    }

    fn replace_lost(&mut self, wire: &mut Wire, now: Instant) -> Result<()> {
        for (place, slot) in self.slots.iter().enumerate() {
            if now.saturating_duration_since(slot.since) > LOST_AFTER {
                wire.lost += 1;
                wire.due.push(place);
            }
        }
        self.send_due(wire, now)
    }

    /// Sends one datagram for each place that is due. What the socket does not take is left to be found lost.
    fn send_due(&mut self, wire: &mut Wire, now: Instant) -> Result<()> {
        let count = wire.due.len();
        if count == 0 {
            return Ok(());
        }
        for (place, datagram) in wire.due.drain(..).zip(&mut wire.outgoing) {
            let slot = &mut self.slots[place];
            slot.number = slot.number.wrapping_add(1);
            slot.since = now;
            write_stamp(datagram, self.id, place as u16, slot.number);
        }
        // One message that the system cuts into datagrams: a generator that pays for each of them is slower than the servers, and
        // then they are measured with next to nothing to do.
        let slices: [IoSlice<'_>; WINDOW_MAX] =
            std::array::from_fn(|index| IoSlice::new(&wire.outgoing[index]));
        let cut = [ControlMessage::UdpGsoSegments(&(BYTES as u16))];
        let cut = if count > 1 { &cut[..] } else { &[] };
        let fd = self.socket.as_raw_fd();
        match sendmsg::<SockaddrIn>(fd, &slices[..count], cut, MsgFlags::MSG_DONTWAIT, None) {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("sending on socket {}", self.id)),
        }
    }

    /// How many of `wire.incoming` were filled.
    fn receive(&mut self, wire: &mut Wire) -> Result<usize> {
        let mut buffers = wire.incoming.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; WINDOW_MAX] = std::array::from_fn(|_| {
            [IoSliceMut::new(
                buffers.next().map_or(&mut [], |buffer| buffer),
            )]
        });
        let fd = self.socket.as_raw_fd();
        match recvmmsg(
            fd,
            &mut wire.receive_headers,
            &mut slices,
            MsgFlags::MSG_DONTWAIT,
            None,
        ) {
            Ok(messages) => {
                let mut got = 0;
                for message in messages {
                    ensure!(
                        message.bytes == BYTES,
                        "reading socket {}: {} bytes, not {BYTES}",
                        self.id,
                        message.bytes
                    );
                    got += 1;
                }
                Ok(got)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            Err(error) => Err(error).with_context(|| format!("reading socket {}", self.id)),
        }
    }
}

fn write_stamp(datagram: &mut [u8; BYTES], flow: u16, slot: u16, number: u32) {
    let stamp = u64::from(flow) | u64::from(slot) << 16 | u64::from(number) << 32;
    datagram[..STAMP].copy_from_slice(&stamp.to_le_bytes());
}

fn read_stamp(datagram: &[u8; BYTES]) -> (u16, u16, u32) {
    let mut stamp = [0; STAMP];
    stamp.copy_from_slice(&datagram[..STAMP]);
    let stamp = u64::from_le_bytes(stamp);
    (stamp as u16, (stamp >> 16) as u16, (stamp >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_round_trip() {
        let mut datagram = [0; BYTES];
        write_stamp(&mut datagram, 49, 15, u32::MAX - 1);
        assert_eq!(read_stamp(&datagram), (49, 15, u32::MAX - 1));
    }
}

//! What drives a UDP listener on one event loop: batches in, flows, batches out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::mmsg::{self, BATCH, ReceiveBatch, Received};
use super::udp::{Flow, FlowKey, FlowLimits, Inbox, Outbox, would_loop};
use crate::wire::flow::Flows;

/// Batches received before other tasks get their turn.
const BATCHES_A_TURN: usize = 4;
/// Drops are logged at most this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long runs are left out after one could not be sent.
const RUNS_REST: Duration = Duration::from_secs(10);
/// Expiry is looked at no more often than this: nobody notices, and a timer is not free.
const EXPIRY_GRAIN: Duration = Duration::from_millis(10);

/// The driver: a future that ends once its listener was dropped and what the flows had to say is sent.
pub(super) struct Driver {
    socket: UdpSocket,
    batch: ReceiveBatch,
    flows: Flows<FlowKey, Arc<Inbox>>,
    outbox: Arc<Outbox>,
    new: mpsc::Sender<(Flow, SocketAddr)>,
    limits: FlowLimits,
    expiry: Option<Pin<Box<Sleep>>>,
    dropped: Dropped,
    is_closing: bool,
    /// Whether datagrams to one peer are sent as runs: see [`mmsg::send`].
    runs: bool,
    runs_again: Instant,
}

impl Driver {
    pub(super) fn new(
        socket: UdpSocket,
        limits: FlowLimits,
        outbox: Arc<Outbox>,
        new: mpsc::Sender<(Flow, SocketAddr)>,
    ) -> Driver {
        Driver {
            socket,
            batch: ReceiveBatch::new(),
            flows: Flows::new(limits.flows, limits.idle),
            outbox,
            new,
            limits,
            expiry: None,
            dropped: Dropped::default(),
            is_closing: false,
            runs: true,
            runs_again: Instant::now(),
        }
    }

    /// Sends until nothing is left or the socket takes no more. Ready if nothing is left.
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let outbox = self.outbox.clone();
        outbox.work(|state| {
            for (key, inbox) in state.ended.drain(..) {
                self.flows
                    .remove_if(&key, |current| Arc::ptr_eq(current, &inbox));
            }
            self.is_closing = state.closed;
            while !state.queue.is_empty() {
                let socket = &self.socket;
                let send = || mmsg::send(socket.as_fd(), state.queue.iter(), self.runs);
                match socket.try_io(Interest::WRITABLE, send) {
                    Ok(n) => drop(state.queue.drain(..n.min(state.queue.len()))),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        // Now that the readiness is known to be stale, this waits for the next.
                        if socket.poll_send_ready(cx).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    // Perhaps only the run cannot be sent: its interface has no segmentation, or its path a smaller
                    // frame. Nobody notices but by the cost, so it is not tried again for a while.
                    Err(_) if self.runs => self.rest_from_runs(),
                    Err(_) => {
                        // One datagram that cannot be sent (its peer is unreachable, say) must not hold up the rest.
                        state.queue.pop_front();
                        self.outbox.unsent.fetch_add(1, Relaxed);
                    }
                }
            }
            Poll::Ready(())
        })
    }

    fn rest_from_runs(&mut self) {
        self.runs = false;
        self.runs_again = Instant::now() + RUNS_REST;
    }

    /// Receives a few batches. Ready if there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCHES_A_TURN {
            if self.socket.poll_recv_ready(cx).is_pending() {
                return Poll::Pending;
            }
            let (socket, batch) = (&self.socket, &mut self.batch);
            let mut received = 0;
            let receive = || {
                received = batch.receive(socket.as_fd())?;
                // A batch that is not full emptied the socket: saying so makes the next poll wait for the system
                // instead of asking it again.
                if received < BATCH {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            };
            // Other errors are ICMP's, about an earlier answer, or a signal: being reported takes them off the socket.
            let _: io::Result<()> = socket.try_io(Interest::READABLE, receive);
            self.deliver(received);
        }
        Poll::Ready(())
    }

    fn deliver(&mut self, received: usize) {
        let now = Instant::now();
        self.runs |= now >= self.runs_again;
        for i in 0..received {
            let Some(datagram) = self.batch.get(i) else {
                continue;
            };
            if datagram.truncated || datagram.data.len() > self.limits.message_bytes {
                self.dropped.too_long += 1;
                continue;
            }
            let key = FlowKey {
                peer: datagram.peer,
                to: datagram.to,
            };
            let known = match self.flows.touch(&key, now) {
                Some(inbox) => inbox.push(datagram.data),
                None => {
                    let begun = begin(
                        &mut self.flows,
                        &self.outbox,
                        &self.new,
                        &self.limits,
                        key,
                        &datagram,
                        now,
                    );
                    self.dropped.count(begun);
                    continue;
                }
            };
            if !known {
                self.dropped.queue_full += 1;
            }
        }
    }

    fn poll_expiry(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(due) = self.flows.next_due() else {
                self.expiry = None;
                return;
            };
            let at = (due + EXPIRY_GRAIN).into();
            let sleep = self
                .expiry
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.expiry = None;
            self.flows.expire(Instant::now(), |_, inbox| inbox.expire());
        }
    }
}

/// What became of a datagram that belongs to no flow yet.
enum Begun {
    Yes,
    WouldLoop,
    TooMany,
}

fn begin(
    flows: &mut Flows<FlowKey, Arc<Inbox>>,
    outbox: &Arc<Outbox>,
    new: &mpsc::Sender<(Flow, SocketAddr)>,
    limits: &FlowLimits,
    key: FlowKey,
    datagram: &Received<'_>,
    now: Instant,
) -> Begun {
    if would_loop(key.peer) {
        return Begun::WouldLoop;
    }
    let Ok(place) = new.try_reserve() else {
        return Begun::TooMany;
    };
    let inbox = Inbox::new(limits.queue);
    inbox.push(datagram.data);
    if flows.insert(key, inbox.clone(), now).is_err() {
        return Begun::TooMany;
    }
    let one_at_a_time = limits.one_at_a_time;
    place.send((
        Flow {
            key,
            inbox,
            outbox: outbox.clone(),
            one_at_a_time,
        },
        key.peer,
    ));
    Begun::Yes
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Registered first: what a flow on another thread puts in from here on wakes us again.
        this.outbox.wait(cx);
        let is_flushed = this.flush(cx).is_ready();
        this.dropped.report(&this.outbox);
        if this.is_closing {
            // What was asked before is still answered: each flow gives out what it has, and ends.
            this.flows.values().for_each(|inbox| inbox.expire());
            return if is_flushed && this.flows.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        let more = this.receive(cx).is_ready();
        this.poll_expiry(cx);
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Datagrams that were not delivered, by cause.
#[derive(Debug, Default)]
struct Dropped {
    too_long: u64,
    queue_full: u64,
    too_many_flows: u64,
    would_loop: u64,
    unsent: u64,
    reported: Option<(Instant, u64)>,
}

impl Dropped {
    fn count(&mut self, begun: Begun) {
        match begun {
            Begun::Yes => {}
            Begun::WouldLoop => self.would_loop += 1,
            Begun::TooMany => self.too_many_flows += 1,
        }
    }

    /// Says what was dropped, with its sums, when there is news and not too often.
    fn report(&mut self, outbox: &Outbox) {
        self.unsent = outbox.unsent.load(Relaxed);
        let sum =
            self.too_long + self.queue_full + self.too_many_flows + self.would_loop + self.unsent;
        let (last, before) = self.reported.unzip();
        if sum == before.unwrap_or(0) || last.is_some_and(|last| last.elapsed() < REPORT_EVERY) {
            return;
        }
        self.reported = Some((Instant::now(), sum));
        tracing::warn!(
            too_long = self.too_long,
            queue_full = self.queue_full,
            too_many_flows = self.too_many_flows,
            would_loop = self.would_loop,
            unsent = self.unsent,
            "datagrams dropped (totals)"
        );
    }
}

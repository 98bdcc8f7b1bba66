//! What drives a UDP listener on one event loop: batches in, flows, batches out.

use std::future::Future;
use std::io;
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
use super::udp::{Flow, FlowKey, FlowLimits, Inbox, Outbox, WaitingBytes, would_loop};
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
    table: Table,
    outbox: Arc<Outbox>,
    expiry: Option<Pin<Box<Sleep>>>,
    /// Runs while there is news of drops that is too early to tell.
    report: Option<Pin<Box<Sleep>>>,
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
        new: mpsc::Sender<Flow>,
    ) -> Driver {
        Driver {
            socket,
            batch: ReceiveBatch::new(),
            table: Table {
                flows: Flows::new(limits.flows, limits.idle),
                limits,
                outbox: outbox.clone(),
                waiting_bytes: WaitingBytes::default(),
                new,
                dropped: Dropped::default(),
            },
            outbox,
            expiry: None,
            report: None,
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
                self.table
                    .flows
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
        for datagram in (0..received).filter_map(|i| self.batch.get(i)) {
            self.table.deliver(&datagram, now);
        }
    }

    fn poll_expiry(&mut self, cx: &mut Context<'_>) {
        loop {
            let Some(due) = self.table.flows.next_due() else {
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
            let now = Instant::now();
            self.table.flows.expire(now, |_, inbox| inbox.expire());
        }
    }

    /// Says what was dropped, soon, also when nothing else happens.
    fn poll_report(&mut self, cx: &mut Context<'_>) {
        while let Some(wait) = self.table.dropped.report(&self.outbox) {
            let sleep = self
                .report
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
            if sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.report = None;
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        // Registered first: what a flow on another thread puts in from here on wakes us again.
        this.outbox.wait(cx);
        let is_flushed = this.flush(cx).is_ready();
        if this.is_closing {
            // What was asked before is still answered: each flow gives out what it has, and ends.
            this.table.flows.values().for_each(|inbox| inbox.expire());
            if is_flushed && this.table.flows.is_empty() {
                this.table.dropped.say_news(&this.outbox);
                return Poll::Ready(());
            }
            return Poll::Pending;
        }
        let more = this.receive(cx).is_ready();
        this.poll_expiry(cx);
        this.poll_report(cx);
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Which flow a datagram belongs to, and what becomes of one that belongs to none.
struct Table {
    flows: Flows<FlowKey, Arc<Inbox>>,
    limits: FlowLimits,
    outbox: Arc<Outbox>,
    waiting_bytes: WaitingBytes,
    new: mpsc::Sender<Flow>,
    dropped: Dropped,
}

impl Table {
    /// Gives a datagram to its flow, or drops and counts it.
    fn deliver(&mut self, datagram: &Received<'_>, now: Instant) {
        if datagram.truncated || datagram.data.len() > self.limits.message_bytes {
            self.dropped.too_long += 1;
            return;
        }
        let key = FlowKey {
            peer: datagram.peer,
            to: datagram.to,
        };
        let Some(inbox) = self.flows.touch(&key, now) else {
            return self.begin(key, datagram.data, now);
        };
        if !inbox.push(datagram.data) {
            self.dropped.queue_full += 1;
        }
    }

    fn begin(&mut self, key: FlowKey, first: &[u8], now: Instant) {
        if would_loop(key.peer) {
            self.dropped.would_loop += 1;
            return;
        }
        let inbox = Inbox::new(self.limits.queue, self.waiting_bytes.clone());
        if !inbox.push(first) {
            self.dropped.queue_full += 1;
            return;
        }
        let Ok(place) = self.new.try_reserve() else {
            self.dropped.too_many_flows += 1;
            return;
        };
        if self.flows.insert(key, inbox.clone(), now).is_err() {
            self.dropped.too_many_flows += 1;
            return;
        }
        let (outbox, one_at_a_time) = (self.outbox.clone(), self.limits.one_at_a_time);
        place.send(Flow {
            key,
            inbox,
            outbox,
            one_at_a_time,
        });
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
    /// Says what was dropped, with its sums, when there is news and not too often: then gives how long to wait.
    fn report(&mut self, outbox: &Outbox) -> Option<Duration> {
        if !self.has_news(outbox) {
            return None;
        }
        let since = self.reported.map(|(last, _)| last.elapsed());
        let wait = since.map_or(Duration::ZERO, |since| REPORT_EVERY.saturating_sub(since));
        if !wait.is_zero() {
            return Some(wait);
        }
        self.say_news(outbox);
        None
    }

    fn has_news(&mut self, outbox: &Outbox) -> bool {
        self.unsent = outbox.unsent.load(Relaxed);
        self.sum() != self.reported.map_or(0, |(_, sum)| sum)
    }

    fn sum(&self) -> u64 {
        self.too_long + self.queue_full + self.too_many_flows + self.would_loop + self.unsent
    }

    fn say_news(&mut self, outbox: &Outbox) {
        if !self.has_news(outbox) {
            return;
        }
        self.reported = Some((Instant::now(), self.sum()));
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

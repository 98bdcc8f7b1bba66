//! UDP: both ends. A flow (one peer's datagrams) is a connection with message framing.
//!
//! The listening end is a driver task for each event loop: it receives datagrams in batches, gives each to its flow,
//! and sends what the flows answered, in batches too. Flows live in their own tasks (or threads) and meet the driver
//! in two bounded places: a flow's inbox and the listener's outbox. A full inbox drops and counts; a full outbox makes
//! the flow wait.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::bind::bind_port;
use super::conn::Message;
use super::driver;
use super::mmsg::{self, Outgoing};

mod asker;

/// Datagrams that wait to be sent by one listener on one event loop.
pub(super) const OUTBOX: usize = 1024;
/// New flows that wait to be accepted.
pub(super) const BACKLOG: usize = 1024;
/// What the system may hold for us between two batches. It gives what it allows.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// The longest payload: 65,535 less the IPv4 and UDP headers.
const PAYLOAD_MAX: usize = 65_507;

/// What a listener remembers, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlowLimits {
    pub(super) flows: usize,
    pub(super) idle: Duration,
    pub(super) queue: usize,
    pub(super) message_bytes: usize,
    /// A flow ends as soon as it has nothing to say: how one flow at a time can serve many peers.
    pub(super) one_at_a_time: bool,
}

/// A bound socket at `address`. See `bind_port` for `beside`.
pub(super) fn listen(address: SocketAddr, beside: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    bind_port(&socket, address, beside)?;
    prepare(&socket, address)?;
    Ok(socket)
}

/// What a socket needs whether we bound it or were given it.
pub(super) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // A burst between two turns of the loop must fit. The system caps this by itself; less is no failure.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    if address.ip().is_unspecified() {
        // On every interface: ask which address each datagram was sent to, so that the answer leaves from there.
        mmsg::ask_for_packet_info(socket.as_fd(), address)?;
    }
    Ok(())
}

/// One peer, as asked at one of our addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FlowKey {
    pub(super) peer: SocketAddr,
    pub(super) to: Option<IpAddr>,
}

/// The listening end. When it is dropped no datagram is taken any more; flows give out what they have, and end.
#[derive(Debug)]
pub(super) struct Listener {
    new: mpsc::Receiver<Flow>,
    outbox: Arc<Outbox>,
    driver: JoinHandle<()>,
    _port: OwnPort,
}

impl Listener {
    /// Starts the driver on this thread's event loop.
    pub(super) fn start(socket: Socket, limits: FlowLimits) -> io::Result<Listener> {
        let port = local_port(&socket)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let (sender, new) = mpsc::channel(BACKLOG);
        let outbox = Arc::<Outbox>::default();
        let driver = driver::Driver::new(socket, limits, outbox.clone(), sender);
        let driver = tokio::spawn(driver);
        Ok(Listener {
            new,
            outbox,
            driver,
            _port: OwnPort::new(port),
        })
    }

    /// The next flow. Cancel-safe.
    pub(super) async fn accept(&mut self) -> Flow {
        match self.new.recv().await {
            Some(flow) => flow,
            // The driver lives as long as this listener; without it there is nothing to accept.
            None => std::future::pending().await,
        }
    }

    /// Takes no more datagrams, and waits until every flow has ended and its answers are sent.
    pub(super) async fn close(mut self) {
        self.stop();
        // Flows that nobody accepted end here.
        self.new.close();
        while self.new.try_recv().is_ok() {}
        // A driver that was ended with its event loop has nothing more to send.
        let _ = (&mut self.driver).await;
    }

    fn stop(&self) {
        let mut state = lock(&self.outbox.state);
        state.closed = true;
        wake_driver(state);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

fn local_port(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    Ok(address.map_or(0, |address| address.port()))
}

/// What a flow and the driver share: datagrams on their way to the service.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    max: usize,
    waiting_bytes: WaitingBytes,
}

/// Bytes that wait in all inboxes of a listener. Sources are easily forged, so a bound for each flow is none for all.
pub(super) type WaitingBytes = Arc<AtomicUsize>;

/// The most of them.
const WAITING_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
struct InboxState {
    queue: VecDeque<Bytes>,
    waiting: Option<Waker>,
    expired: bool,
}

impl Inbox {
    pub(super) fn new(max: usize, waiting_bytes: WaitingBytes) -> Arc<Inbox> {
        Arc::new(Inbox {
            state: Mutex::default(),
            max,
            waiting_bytes,
        })
    }

    /// Puts a datagram in, if there is room.
    pub(super) fn push(&self, data: &[u8]) -> bool {
        let mut state = lock(&self.state);
        let waiting_bytes = self.waiting_bytes.load(Relaxed) + data.len();
        if state.queue.len() >= self.max || waiting_bytes > WAITING_BYTES_MAX {
            return false;
        }
        self.waiting_bytes.fetch_add(data.len(), Relaxed);
        state.queue.push_back(Bytes::copy_from_slice(data));
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        true
    }

    /// No more will come.
    pub(super) fn expire(&self) {
        let mut state = lock(&self.state);
        state.expired = true;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let left = lock(&self.state).queue.iter().map(Bytes::len).sum();
        self.waiting_bytes.fetch_sub(left, Relaxed);
    }
}

/// What the flows of a listener share with its driver: datagrams on their way out, and flows that ended.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<OutboxState>,
    /// Datagrams that could not be answered: too long to send, or refused by the system.
    pub(super) unsent: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct OutboxState {
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) ended: Vec<(FlowKey, Arc<Inbox>)>,
    /// The listener is gone.
    pub(super) closed: bool,
    /// The driver, where it waits for work.
    driver: Option<Waker>,
    /// Flows that wait for room.
    waiting: Vec<Waker>,
}

impl Outbox {
    /// Notes that the driver waits, unless there is work already.
    pub(super) fn wait(&self, cx: &mut Context<'_>) {
        let mut state = lock(&self.state);
        if !state
            .driver
            .as_ref()
            .is_some_and(|w| w.will_wake(cx.waker()))
        {
            state.driver = Some(cx.waker().clone());
        }
    }

    /// Lets the driver work on the state, then wakes the flows that waited for room, if there is some.
    pub(super) fn work<R>(&self, f: impl FnOnce(&mut OutboxState) -> R) -> R {
        let mut state = lock(&self.state);
        let result = f(&mut state);
        if state.queue.len() < OUTBOX {
            state.waiting.drain(..).for_each(Waker::wake);
        }
        result
    }

    fn poll_push(&self, cx: &mut Context<'_>, outgoing: &mut Option<Outgoing>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.queue.len() >= OUTBOX {
            state.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.queue.extend(outgoing.take());
        wake_driver(state);
        Poll::Ready(())
    }

    fn end(&self, key: FlowKey, inbox: Arc<Inbox>) {
        let mut state = lock(&self.state);
        state.ended.push((key, inbox));
        wake_driver(state);
    }
}

fn wake_driver(mut state: MutexGuard<'_, OutboxState>) {
    let driver = state.driver.take();
    drop(state);
    if let Some(driver) = driver {
        driver.wake();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One peer's datagrams: the transport under a server's UDP connection.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(super) key: FlowKey,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) one_at_a_time: bool,
}

impl Flow {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = lock(&self.inbox.state);
        if let Some(data) = state.queue.pop_front() {
            self.inbox.waiting_bytes.fetch_sub(data.len(), Relaxed);
            return Poll::Ready(Some(data));
        }
        if state.expired || self.one_at_a_time {
            return Poll::Ready(None);
        }
        // Freed, not cleared: a flow that had a burst does not keep room for the next.
        if state.queue.capacity() > 16 {
            state.queue = VecDeque::new();
        }
        if !state
            .waiting
            .as_ref()
            .is_some_and(|w| w.will_wake(cx.waker()))
        {
            state.waiting = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    async fn send(&self, data: Bytes) {
        let mut outgoing = self.outgoing(data);
        if outgoing.is_some() {
            std::future::poll_fn(|cx| self.outbox.poll_push(cx, &mut outgoing)).await;
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, data: &Bytes) -> Poll<()> {
        match self.outgoing(data.clone()) {
            Some(outgoing) => self.outbox.poll_push(cx, &mut Some(outgoing)),
            None => Poll::Ready(()),
        }
    }

    fn outgoing(&self, data: Bytes) -> Option<Outgoing> {
        if data.len() > PAYLOAD_MAX {
            self.outbox.unsent.fetch_add(1, Relaxed);
            return None;
        }
        Some(Outgoing {
            data,
            peer: self.key.peer,
            from: self.key.to,
        })
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.outbox.end(self.key, self.inbox.clone());
    }
}

/// Either end of a UDP conversation.
#[derive(Debug)]
pub(crate) enum Talk {
    /// A server's flow.
    Flow(Flow),
    /// A client's connected socket.
    Asker(asker::Asker),
}

impl Talk {
    /// A client's end of a conversation with one address.
    pub(super) async fn connect(address: SocketAddr) -> io::Result<Talk> {
        asker::Asker::connect(address).await.map(Talk::Asker)
    }

    /// The next datagram; `None` when the flow has expired. A client's conversation has no end.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        Poll::Ready(match self {
            Talk::Flow(flow) => Ok(ready!(flow.poll_recv(cx)).map(Message::binary)),
            Talk::Asker(asker) => ready!(asker.poll_recv(cx)).map(Some),
        })
    }

    pub(super) async fn send(&mut self, data: Bytes) -> io::Result<()> {
        match self {
            Talk::Flow(flow) => {
                flow.send(data).await;
                Ok(())
            }
            Talk::Asker(asker) => asker.send(&data).await,
        }
    }

    /// See `Conn::poll_send`.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<io::Result<()>> {
        let Some(Message { data, .. }) = message else {
            return Poll::Ready(Ok(()));
        };
        match self {
            Talk::Flow(flow) => ready!(flow.poll_send(cx, data)),
            Talk::Asker(asker) => ready!(asker.poll_send(cx, data))?,
        }
        *message = None;
        Poll::Ready(Ok(()))
    }
}

/// UDP ports that this process listens on, each once for every listener.
static OWN_PORTS: LazyLock<Mutex<Vec<u16>>> = LazyLock::new(Mutex::default);

/// Keeps a port among [`OWN_PORTS`] while its listener lives.
#[derive(Debug)]
struct OwnPort(u16);

impl OwnPort {
    fn new(port: u16) -> OwnPort {
        lock(&OWN_PORTS).push(port);
        OwnPort(port)
    }
}

impl Drop for OwnPort {
    fn drop(&mut self) {
        let mut ports = lock(&OWN_PORTS);
        if let Some(at) = ports.iter().position(|port| *port == self.0) {
            ports.swap_remove(at);
        }
    }
}

/// Ports whose services answer whatever comes: echo, daytime, quotd, chargen, time (RFC 862 to 868).
const ANSWERERS: [u16; 5] = [7, 13, 17, 19, 37];

/// Whether an answer to this source could be answered in turn, for ever: a datagram with a forged source would start
/// it. The ports of our own listeners count at any address, since another machine may run the same services.
pub(super) fn would_loop(peer: SocketAddr) -> bool {
    peer.port() == 0 || ANSWERERS.contains(&peer.port()) || lock(&OWN_PORTS).contains(&peer.port())
}

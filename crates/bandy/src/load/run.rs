//! A run: threads with an event loop each, and who gathers what they recorded.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Barrier;

use super::chat;
use super::chat::account::{self, Attended};
use super::chat::board::Shared;
use super::lane::{self, Lane, Pacing};
use super::outcome::{Generator, Outcome};
use super::pace::{Pace, Schedule, share};
use super::plan::{CONNECTIONS_MAX, Plan, Work};
use super::record::{Recorder, Slice};
use super::talk::h1::H1;
use super::talk::h2::{self, H2};
use super::talk::lines::Lines;
use super::talk::messages::Messages;
use super::talk::{Failure, Line, drive};
use super::tally::{Cause, Requests};
use super::timer::Timer;
use crate::error::{Error, Kind, Result, Side};
use crate::net::Dialer;

/// How often deadlines are looked at, and what was recorded is told: how late a request can be found too late.
pub(super) const SWEEP: Duration = Duration::from_millis(50);
/// What may wait to be heard of a run by whoever follows it.
const TOLD_MAX: usize = 256;
/// How long a run waits for its connections before it begins without those that are missing.
const WARM_UP: Duration = Duration::from_secs(1);

/// A run that was started. Dropped, it is stopped.
#[derive(Debug)]
pub struct Run {
    stopped: Arc<AtomicBool>,
    told: Receiver<Told>,
    threads: Vec<JoinHandle<Result<Part>>>,
    plan: Plan,
    slots: usize,
    began: SystemTime,
    is_done: bool,
    chat: Arc<Shared>,
}

/// What a run tells while it goes on.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which event loop tells it.
    pub lane: usize,
    /// Slices of its time that are over.
    pub slices: Vec<Slice>,
    /// Its requests so far.
    pub requests: Requests,
    /// How far the run is.
    pub elapsed: Duration,
}

/// What stops a run from outside.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<AtomicBool>);

impl Stopper {
    /// Ends the run within a fraction of a second.
    pub fn stop(&self) {
        self.0.store(true, Relaxed);
    }
}

/// What one event loop comes to.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) recorder: Recorder,
    pub(super) ended: u64,
    pub(super) generator: Generator,
    /// Of a chat.
    pub(super) chat: Option<Attended>,
}

/// What the event loops of a run share, at its beginning and end.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) plan: Plan,
    /// Has resolved the name.
    pub(super) dialer: Dialer,
    pub(super) loops: usize,
    /// All are ready to begin.
    pub(super) ready: Barrier,
    pub(super) origin: OnceLock<Instant>,
    pub(super) connected: AtomicUsize,
    /// How the first connection failed that did.
    failed: Mutex<Option<Failure>>,
    pub(super) stopped: Arc<AtomicBool>,
    /// What tells this run's messages from those of others, and what is known of them.
    pub(super) run: u32,
    pub(super) chat: Arc<Shared>,
}

impl Run {
    /// Starts a run.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a plan without connections or with too many; what the system says of threads.
    pub fn start(plan: Plan) -> Result<Run> {
        if plan.connections == 0 || plan.connections > CONNECTIONS_MAX {
            let why = format!("a run has 1 to {CONNECTIONS_MAX} connections");
            return Err(Error::new(Kind::Usage, Side::Local, "starting a run")
                .because(why)
                .hint(match plan.connections {
                    0 => "choose one or more",
                    _ => "choose fewer",
                }));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let loops = plan.loops.unwrap_or(cores).clamp(1, plan.connections);
        let stopped = Arc::new(AtomicBool::new(false));
        let common = Arc::new(Common {
            dialer: resolved(&plan)?,
            plan: plan.clone(),
            ready: Barrier::new(loops),
            origin: OnceLock::new(),
            connected: AtomicUsize::new(0),
            failed: Mutex::new(None),
            stopped: stopped.clone(),
            loops,
            run: fastrand::u32(..),
            chat: Arc::default(),
        });
        let chat = common.chat.clone();
        let (tell, told) = sync_channel(TOLD_MAX);
        let mut threads = Vec::with_capacity(loops);
        for index in 0..loops {
            let (common, tell) = (common.clone(), tell.clone());
            let thread = std::thread::Builder::new()
                .name(format!("bandy-load-{index}"))
                .spawn(move || event_loop(&common, index, loops, &tell));
            let thread = thread.map_err(|e| {
                // Those that are there wait for the ones that are not.
                stopped.store(true, Relaxed);
                Error::new(Kind::Io, Side::Local, "starting a thread").because(e)
            })?;
            threads.push(thread);
        }
        Ok(Run {
            slots: plan.connections * plan.work.streams(),
            plan,
            stopped,
            told,
            threads,
            began: SystemTime::now(),
            is_done: false,
            chat,
        })
    }

    /// What stops it from outside.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stopped.clone())
    }

    /// Waits for what is told next; `Ok(None)` after `patience` without, and `Err` once there is nothing more to tell.
    pub fn next(&mut self, patience: Duration) -> std::result::Result<Option<Told>, Over> {
        match self.told.recv_timeout(patience) {
            Ok(told) => Ok(Some(told)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Over),
        }
    }

    /// Waits for its end: what it came to.
    ///
    /// # Errors
    /// That no connection came about, and why; what the system said of an event loop.
    pub fn finish(mut self) -> Result<Outcome> {
        self.is_done = true;
        // Slices are gathered from the parts as well as told, so that nobody has to listen.
        let mut slices: Vec<Slice> = Vec::new();
        let mut whole: Option<Outcome> = None;
        let mut failure = None;
        let mut attended = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            let part = match thread.join() {
                Ok(Ok(part)) => part,
                Ok(Err(e)) => {
                    failure.get_or_insert(e);
                    continue;
                }
                Err(_) => {
                    let error = Error::new(Kind::Other, Side::Local, "running an event loop");
                    failure.get_or_insert(error.because("it panicked"));
                    continue;
                }
            };
            let Part {
                recorder,
                ended,
                generator,
                chat,
            } = part;
            attended.extend(chat);
            for slice in recorder.over.iter().chain([&recorder.slice]) {
                gather(&mut slices, slice);
            }
            let outcome = whole.get_or_insert_with(|| {
                Outcome::new(
                    self.plan.clone(),
                    self.slots,
                    self.began,
                    recorder.open.is_some(),
                )
            });
            outcome.add(recorder, Duration::from_nanos(ended), generator);
        }
        match (whole, failure) {
            (_, Some(failure)) => Err(failure),
            (None, None) => {
                Err(Error::new(Kind::Other, Side::Local, "running").because("no event loop ran"))
            }
            (Some(mut outcome), None) => {
                outcome.slices = slices;
                if let Work::Chat(room) = self.plan.work.clone() {
                    account::settle(&mut outcome, &room.name, attended, &self.chat);
                }
                Ok(outcome)
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_done {
            self.stopped.store(true, Relaxed);
        }
    }
}

/// Its dialer with the name resolved, once for all connections.
fn resolved(plan: &Plan) -> Result<Dialer> {
    let resolve = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
        runtime.block_on(plan.dialer.clone().resolve(&plan.to))
    };
    // On a thread of its own, since the caller may be on an event loop.
    match std::thread::scope(|scope| scope.spawn(resolve).join()) {
        Ok(resolved) => resolved,
        Err(_) => {
            Err(Error::new(Kind::Other, Side::Local, "resolving a name").because("it panicked"))
        }
    }
}

/// There is nothing more to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over;

/// Adds a slice to those of its time.
pub(super) fn gather(slices: &mut Vec<Slice>, slice: &Slice) {
    // Bounded by the run's length: a slice lasts a hundredth of it, or a second.
    while slices.len() <= slice.index {
        slices.push(Slice::new(slices.len()));
    }
    if let Some(all) = slices.get_mut(slice.index) {
        all.add(slice);
    }
}

fn event_loop(
    common: &Arc<Common>,
    index: usize,
    loops: usize,
    tell: &SyncSender<Told>,
) -> Result<Part> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
    let done = match &common.plan.work {
        Work::Chat(room) => {
            runtime.block_on(chat::govern::govern(common, room, index, loops, tell))
        }
        _ => runtime.block_on(govern(common, index, loops, tell)),
    };
    // A name that is still being resolved, in a thread, is not waited for.
    runtime.shutdown_background();
    done
}

async fn govern(
    common: &Arc<Common>,
    index: usize,
    loops: usize,
    tell: &SyncSender<Told>,
) -> Result<Part> {
    let plan = &common.plan;
    let connections = share(plan.connections as u64, index, loops) as usize;
    let streams = plan.work.streams();
    let max = plan.stop.requests;
    let pacing = match &plan.pace {
        Pace::Closed => Pacing::Closed {
            left: max.map(|max| share(max, index, loops)),
        },
        Pace::Open { rate, arrivals } => {
            Pacing::Open(Schedule::new(rate, *arrivals, index, loops, max))
        }
    };
    let recorder = Recorder::new(matches!(pacing, Pacing::Open(_)), plan.slice());
    let slots = connections * streams;
    lane::put(Lane::new(
        pacing,
        plan.stop.after,
        plan.timeout,
        slots,
        recorder,
    ));
    let mut timer =
        Timer::new().map_err(|e| Error::new(Kind::Io, Side::Local, "making a timer").because(e))?;
    // So that loops which share a list of requests begin at different ones.
    let first = index * slots;
    let line = Line {
        to: plan.to.clone(),
        dialer: common.dialer.clone(),
    };
    spawn(common, &line, slots, streams, first);
    let warm = Instant::now() + WARM_UP;
    std::future::poll_fn(|cx| {
        let is_warm = lane::with(|lane| {
            lane.deliver(0, cx.waker());
            lane.tried >= slots
        });
        match is_warm || common.stopped.load(Relaxed) {
            true => Poll::Ready(()),
            false => timer.poll_until(warm, cx),
        }
    })
    .await;
    let stopped = async {
        while !common.stopped.load(Relaxed) {
            tokio::time::sleep(SWEEP).await;
        }
    };
    tokio::select! {
        _ = common.ready.wait() => {}
        () = stopped => return Err(Error::new(Kind::Other, Side::Local, "starting a run").because("it was stopped before it began")),
    }
    if common.connected.load(Relaxed) == 0
        && let Some(failure) = common.first_failure()
    {
        return Err(nobody(plan, &failure));
    }

    let origin = *common.origin.get_or_init(Instant::now);
    let (cpu, waited) = (cpu_time(), run_queue());
    lane::with(|lane| lane.begin(origin));
    let mut sweep = 0;
    let ended =
        std::future::poll_fn(|cx| turn(common, index, tell, origin, &mut sweep, &mut timer, cx));
    let ended = ended.await;

    let generator = Generator {
        loops: 1,
        wall: Duration::from_nanos(ended),
        cpu: cpu_time().saturating_sub(cpu),
        waited: run_queue().saturating_sub(waited),
        busiest: 0.0,
    };
    let Some(mut lane) = lane::take() else {
        return Err(Error::new(
            Kind::Other,
            Side::Local,
            "running an event loop",
        ));
    };
    lane.settle(ended);
    Ok(Part {
        recorder: lane.recorder,
        ended,
        generator: generator.rated(),
        chat: None,
    })
}

/// One turn of a lane: what is due is delivered, deadlines are looked at. Ready when the run is over: when that was.
fn turn(
    common: &Common,
    index: usize,
    tell: &SyncSender<Told>,
    origin: Instant,
    sweep: &mut u64,
    timer: &mut Timer,
    cx: &mut Context<'_>,
) -> Poll<u64> {
    loop {
        let now = lane::now();
        let next = lane::with(|lane| {
            if now >= *sweep {
                *sweep = now + SWEEP.as_nanos() as u64;
                if common.stopped.load(Relaxed) {
                    lane.finish();
                }
                lane.sweep(now);
                let told = Told {
                    lane: index,
                    slices: lane.recorder.over[lane.told..].to_vec(),
                    requests: lane.recorder.tally.requests,
                    elapsed: Duration::from_nanos(now),
                };
                // Nobody may listen, and nobody is waited for: what was not taken is told the next time.
                if tell.try_send(told).is_ok() {
                    lane.told = lane.recorder.over.len();
                }
            }
            let due = lane.deliver(now, cx.waker());
            if lane.tasks == 0 {
                return None;
            }
            let end = common.plan.stop.after.map(|end| end.as_nanos() as u64);
            let times = [due, Some(*sweep), end.filter(|end| *end > now)];
            times.into_iter().flatten().min()
        });
        let Some(next) = next else {
            return Poll::Ready(now);
        };
        if common
            .plan
            .stop
            .after
            .is_some_and(|end| now >= end.as_nanos() as u64)
        {
            lane::with(|lane| lane.finish());
        }
        match timer.poll_until(origin + Duration::from_nanos(next), cx) {
            Poll::Ready(()) => {}
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Starts a lane's connections.
fn spawn(common: &Arc<Common>, line: &Line, slots: usize, streams: usize, first: usize) {
    let mut shared = h2::Shared::default();
    // Scripts are shared by the connections of an event loop.
    let http = match &common.plan.work {
        Work::Http1(script) | Work::Http2 { script, .. } => Some(Arc::new(script.clone())),
        _ => None,
    };
    let said = match &common.plan.work {
        Work::Lines(said) | Work::Messages(said) => Some(Arc::new(said.clone())),
        _ => None,
    };
    for slot in 0..slots {
        if slot % streams == 0 {
            shared = h2::Shared::default();
        }
        let common = common.clone();
        let tried = {
            let common = common.clone();
            move |tried: std::result::Result<(), Failure>| common.tried(tried)
        };
        let (line, turn) = (line.clone(), first + slot);
        let most = common.plan.per_connection;
        match (&common.plan.work, &http, &said) {
            (Work::Http1(_), Some(script), _) => {
                tokio::spawn(drive(
                    slot,
                    H1::new(line, script.clone(), turn),
                    most,
                    tried,
                ));
            }
            (Work::Http2 { .. }, Some(script), _) => {
                let place = (turn, slot % streams);
                let talk = H2::new(line, script.clone(), shared.clone(), place, most);
                // The connection counts its own requests.
                tokio::spawn(drive(slot, talk, None, tried));
            }
            (Work::Lines(_), _, Some(said)) => {
                tokio::spawn(drive(
                    slot,
                    Lines::new(line, said.clone(), turn),
                    most,
                    tried,
                ));
            }
            (_, _, Some(said)) => {
                tokio::spawn(drive(
                    slot,
                    Messages::new(line, said.clone(), turn),
                    most,
                    tried,
                ));
            }
            _ => {}
        }
    }
}

impl Common {
    /// How the first connection failed that did.
    pub(super) fn first_failure(&self) -> Option<Failure> {
        let failed = self.failed.lock();
        failed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tried(&self, tried: std::result::Result<(), Failure>) {
        match tried {
            Ok(()) => drop(self.connected.fetch_add(1, Relaxed)),
            Err(failure) => {
                let mut first = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(failure);
            }
        }
    }
}

/// No connection came about at all.
pub(super) fn nobody(plan: &Plan, failure: &Failure) -> Error {
    let kind = match failure.cause {
        Cause::Resolve => Kind::NotResolved,
        Cause::Tls if failure.text.contains("trust") => Kind::Untrusted,
        Cause::Tls => Kind::Tls,
        Cause::Connect | Cause::Local => Kind::NotConnected,
        _ => Kind::Protocol,
    };
    Error::new(kind, Side::Upstream, format!("measuring {}", plan.to))
        .because(failure.text.clone())
        .hint(match plan.work {
            Work::Chat(_) => "is that a chat of bandy's? At an http listener its path is /ws",
            _ => "does `bandy ask` get an answer there?",
        })
}

/// What this thread has had of a processor.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// How long this thread was ready to run and had no processor, where the system tells (proc(5), schedstat).
pub(super) fn run_queue() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().nth(1);
    Duration::from_nanos(nanos.and_then(|n| n.parse().ok()).unwrap_or(0))
}

//! A backend: another server, as it is seen from here.

mod reach;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::health::{Census, Fault, Health, Passive, State, Totals};
use super::options::{Member, Options};
use super::{Key, Pool};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::http::client::Version;
use crate::net::{Tick, tls};
use crate::tally::{Histogram, Latencies};
use reach::Told;

/// Another server. Everything that a pick looks at is read without a lock.
pub struct Backend {
    endpoint: Endpoint,
    address: Option<SocketAddr>,
    name: String,
    /// The name as a number, for strategies that hash.
    salt: u64,
    told: ArcSwap<Told>,
    pub(super) load: Load,
    weight: AtomicU32,
    /// The most at once; `usize::MAX` is no bound.
    max: AtomicUsize,
    /// [`State`], and whether it drains: what `health` and the operator say.
    state: AtomicU8,
    is_draining: AtomicBool,
    /// When it began to warm up, in the clock's nanoseconds; 0 when it is warm.
    warming: AtomicU64,
    /// What it takes until an answer begins: a moving mean that goes up at once, and down slowly. Nanoseconds.
    latency: AtomicU64,
    /// When that was last changed.
    measured: AtomicU64,
    /// The sum of the smooth weighted order; only round robin touches it, and only under its own lock.
    pub(super) turn: AtomicI64,
    /// All of what [`Backend::latency`] is the mean of.
    latencies: Histogram,
    health: Mutex<Health>,
    /// What was last found wrong with it, for people.
    trouble: Mutex<Option<String>>,
    home: Weak<Pool>,
    id: u64,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// What every lease counts: together on a line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Load {
    /// Leases out.
    active: AtomicUsize,
    /// Leases ever.
    leased: AtomicU64,
    /// Leases that came to an end, and of these those that failed.
    ended: AtomicU64,
    failed: AtomicU64,
    in_a_row: AtomicU32,
    /// Of those that failed: no connection, and answers of 5xx.
    unconnected: AtomicU64,
    server_errors: AtomicU64,
}

/// What was counted of a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Leases ever.
    pub leased: u64,
    /// Those that came to an end that was told of.
    pub ended: u64,
    /// Of these, the ones that failed in any way.
    pub failed: u64,
    /// Of these, those that could not connect.
    pub unconnected: u64,
    /// Of those that failed, answers with a status of 5xx.
    pub server_errors: u64,
}

impl Backend {
    pub(super) fn new(
        member: &Member,
        options: &Arc<Options>,
        tls: Option<&tls::Connector>,
        home: Weak<Pool>,
    ) -> Backend {
        Backend {
            endpoint: member.endpoint.clone(),
            address: member.address,
            name: member.name.clone(),
            salt: Key::of(member.name.as_bytes()).with(0),
            told: ArcSwap::from_pointee(Told::new(member, options, tls)),
            load: Load::default(),
            weight: AtomicU32::new(member.weight),
            max: AtomicUsize::new(member.max.unwrap_or(usize::MAX)),
            state: AtomicU8::new(State::Up as u8),
            is_draining: AtomicBool::new(false),
            warming: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            measured: AtomicU64::new(0),
            turn: AtomicI64::new(0),
            latencies: Histogram::default(),
            health: Mutex::new(Health::new(Tick::now())),
            trouble: Mutex::default(),
            home,
            id: NEXT_ID.fetch_add(1, Relaxed),
        }
    }

    /// A number that no other backend of this process has: what its kept connections are found by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its address, where its name was looked up.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address.or_else(|| self.endpoint.socket_addr())
    }

    /// What logs, reports and sticky cookies call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number for its name, the same in every process.
    pub fn salt(&self) -> u64 {
        self.salt
    }

    /// Its share of the work, beside the others'.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Another share from now on; at least 1. To give it nothing, drain it.
    pub fn set_weight(&self, weight: u32) {
        self.weight
            .store(weight.clamp(1, Options::WEIGHT_MAX), Relaxed);
        self.tell_pool();
    }

    /// The share that it has now, in parts of [`Backend::PARTS`] for each of weight: less while it warms up.
    pub fn share(&self) -> u64 {
        let full = u64::from(self.weight()) * Backend::PARTS;
        match self.warming.load(Relaxed) {
            0 => full,
            since => self.warming_share(full, Tick::from_nanos(since).elapsed()),
        }
    }

    /// How finely a weight is divided.
    pub const PARTS: u64 = 1_000;

    /// A straight line from a tenth to all of it (nginx's begins at nothing, and then nothing tells how it does).
    fn warming_share(&self, full: u64, elapsed: Duration) -> u64 {
        let Some(slow) = self.told.load().options.slow_start else {
            return full;
        };
        if elapsed >= slow {
            self.warming.store(0, Relaxed);
            return full;
        }
        let part = elapsed.as_secs_f64() / slow.as_secs_f64();
        let warm = full as f64 * part.max(0.1);
        (warm as u64).clamp(1, full)
    }

    /// Leases out: connections or requests that it has now.
    pub fn active(&self) -> usize {
        self.load.active.load(Relaxed)
    }

    /// The most of them, if there is a bound.
    pub fn max(&self) -> Option<usize> {
        Some(self.max.load(Relaxed)).filter(|max| *max != usize::MAX)
    }

    /// Whether it has as many as it may.
    pub fn is_full(&self) -> bool {
        self.active() >= self.max.load(Relaxed)
    }

    /// Counts one more, unless it is full.
    pub(super) fn take_place(&self) -> bool {
        let max = self.max.load(Relaxed);
        if max == usize::MAX {
            self.load.active.fetch_add(1, SeqCst);
        } else {
            let more = |active: usize| (active < max).then(|| active + 1);
            if self
                .load
                .active
                .fetch_update(SeqCst, Relaxed, more)
                .is_err()
            {
                return false;
            }
        }
        self.load.leased.fetch_add(1, Relaxed);
        true
    }

    pub(super) fn give_place_back(&self) {
        self.load.active.fetch_sub(1, SeqCst);
    }

    /// How it is, as probes and traffic say.
    pub fn state(&self) -> State {
        match self.state.load(Relaxed) {
            n if n == State::Down as u8 => State::Down,
            n if n == State::Ejected as u8 => State::Ejected,
            _ => State::Up,
        }
    }

    /// Whether it gets nothing new, by an operator's wish.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// Whether it can be picked in good times.
    pub fn is_ready(&self) -> bool {
        self.state() == State::Up && !self.is_draining()
    }

    /// Gives it nothing new from now on; what it has goes on.
    pub fn drain(&self) {
        self.is_draining.store(true, Relaxed);
        self.tell_pool();
    }

    /// Takes [`Backend::drain`] back.
    pub fn ready(&self) {
        if self.is_draining.swap(false, Relaxed) {
            self.warm_up(Tick::now());
        }
        self.tell_pool();
    }

    /// What it takes until an answer begins, as of late; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        Some(self.latency.load(Relaxed))
            .filter(|n| *n > 0)
            .map(Duration::from_nanos)
    }

    /// How long it took until answers began, all of them.
    pub fn latencies(&self) -> Latencies {
        self.latencies.latencies()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        Counters {
            leased: self.load.leased.load(Relaxed),
            ended: self.load.ended.load(Relaxed),
            failed: self.load.failed.load(Relaxed),
            unconnected: self.load.unconnected.load(Relaxed),
            server_errors: self.load.server_errors.load(Relaxed),
        }
    }

    /// A copy of its health, for reports.
    pub fn health(&self) -> Health {
        self.lock().clone()
    }

    /// Whether it is not ready because it cannot be connected to.
    pub fn is_unreachable(&self) -> bool {
        self.lock().is_unreachable()
    }

    /// The version of HTTP that it is asked in, where its pool was told.
    pub fn http(&self) -> Option<Version> {
        self.told.load().options.http_asked()
    }

    /// A lease came to its end well, after this long until the answer began.
    pub(super) fn succeeded(&self, latency: Option<Duration>) {
        self.load.ended.fetch_add(1, Relaxed);
        // Most are no change, and a read is cheaper than a write that other cores must hear of.
        if self.load.in_a_row.load(Relaxed) != 0 {
            self.load.in_a_row.store(0, Relaxed);
        }
        if let Some(latency) = latency {
            self.measure(latency);
        }
    }

    /// A lease failed. An answer of 5xx is one that took its time, and fails all the same.
    pub(super) fn failed(&self, fault: Fault, is_answer: bool, latency: Option<Duration>) {
        self.load.failed.fetch_add(1, Relaxed);
        self.load.ended.fetch_add(1, Relaxed);
        let in_a_row = self.load.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        if fault == Fault::Unreachable {
            self.load.unconnected.fetch_add(1, Relaxed);
        }
        if is_answer {
            self.load.server_errors.fetch_add(1, Relaxed);
        }
        if let Some(latency) = latency {
            self.measure(latency);
        }
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let options = home.options();
        let passive = &options.health.passive;
        let totals = Totals {
            in_a_row,
            ..self.totals()
        };
        if self.lock().is_failing(totals, passive, Tick::now()) {
            home.eject(self, fault, &options.health);
        }
    }

    /// Gives it a pause. Says whether it had none before.
    pub(super) fn eject(&self, fault: Fault, passive: &Passive) -> bool {
        let now = Tick::now();
        let mut health = self.lock();
        let has_changed = health.eject(fault, passive, now);
        if has_changed {
            self.note_trouble(match fault {
                Fault::Unreachable => "it could not be connected to".to_owned(),
                Fault::Unwell => "what it was asked failed".to_owned(),
            });
            self.show(&health, now);
        }
        has_changed
    }

    /// A probe's result; of a failure also what it was, for people.
    pub(super) fn probed(&self, result: Result<(), (Fault, Error)>) {
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let rules = &home.options().health.rules;
        let result = result.map_err(|(fault, error)| {
            self.note_trouble(error.to_string());
            fault
        });
        let now = Tick::now();
        let mut health = self.lock();
        let has_changed = health.probed(result, rules, now);
        if has_changed {
            self.show(&health, now);
        }
        drop(health);
        if has_changed {
            self.log_state(&home);
            home.refresh();
        }
    }

    pub(super) fn note_trouble(&self, what: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// What was last found wrong with it; it may be well again by now.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says in the log that its state is another now.
    pub(super) fn log_state(&self, home: &Pool) {
        let (pool, backend) = (home.name(), self.name());
        match self.state() {
            State::Up => tracing::info!(pool, backend, "backend is up"),
            State::Down => {
                let why = self.trouble().unwrap_or_default();
                tracing::warn!(pool, backend, why, "backend is down: its probes fail");
            }
            State::Ejected => {
                let until = self.health().ejected_until();
                let pause = until.map_or(Duration::ZERO, |until| until.remaining());
                let why = self.trouble().unwrap_or_default();
                tracing::warn!(pool, backend, ?pause, why, "backend is ejected");
            }
        }
    }

    /// Lets a pause end that is over. Says whether one did.
    pub(super) fn pass_time(&self, now: Tick) -> bool {
        let told = self.told.load();
        let mut health = self.lock();
        let passive = &told.options.health.passive;
        let is_over = health.pass_time(self.totals(), passive, now);
        if is_over {
            self.load.in_a_row.store(0, Relaxed);
            self.show(&health, now);
        }
        is_over
    }

    fn show(&self, health: &Health, now: Tick) {
        let state = health.state();
        let before = self.state.swap(state as u8, Relaxed);
        if state == State::Up && before != State::Up as u8 {
            self.warm_up(now);
        }
    }

    fn warm_up(&self, now: Tick) {
        if self.told.load().options.slow_start.is_some() {
            self.warming.store(now.as_nanos().max(1), Relaxed);
        }
    }

    fn totals(&self) -> Totals {
        Totals {
            ended: self.load.ended.load(Relaxed),
            failed: self.load.failed.load(Relaxed),
            in_a_row: self.load.in_a_row.load(Relaxed),
        }
    }

    /// Moves the mean: to a longer latency at once, to a shorter one over [`DECAY`].
    fn measure(&self, latency: Duration) {
        self.latencies.note(latency);
        let now = Tick::now().as_nanos();
        let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mean = self.latency.load(Relaxed);
        let since = now.saturating_sub(self.measured.swap(now, Relaxed));
        // Two at once may lose one of them: the mean is of many.
        self.latency.store(moved(mean, latency, since), Relaxed);
    }

    /// The mean as of now: what was slow long ago is forgotten, or nobody would ever try it again.
    pub(super) fn latency_now(&self, now: Tick) -> u64 {
        let mean = self.latency.load(Relaxed);
        if mean == 0 {
            return 0;
        }
        let since = now.as_nanos().saturating_sub(self.measured.load(Relaxed));
        moved(mean, 0, since).max(1)
    }

    pub(super) fn is_for(&self, member: &Member) -> bool {
        self.endpoint == member.endpoint
            && self.name == member.name
            && self.address == member.address
    }

    /// Takes up what a new configuration says of it; what was counted and found out stays.
    pub(super) fn take_up(
        &self,
        member: &Member,
        options: &Arc<Options>,
        tls: Option<&tls::Connector>,
    ) {
        self.weight.store(member.weight, Relaxed);
        self.max.store(member.max.unwrap_or(usize::MAX), Relaxed);
        self.told.store(Arc::new(Told::new(member, options, tls)));
        if options.health.probe.is_none() {
            let now = Tick::now();
            let mut health = self.lock();
            if health.unprobed(now) {
                self.show(&health, now);
            }
        }
    }

    pub(super) fn home(&self) -> Option<Arc<Pool>> {
        self.home.upgrade()
    }

    fn tell_pool(&self) {
        if let Some(home) = self.home.upgrade() {
            home.refresh();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        // A state that somebody panicked beside is still a state.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Over how long a mean forgets, to a third (1/e).
const DECAY: Duration = Duration::from_secs(10);

/// A peak-sensitive moving mean (as in Finagle's `PeakEwma`): up at once, down exponentially with time.
fn moved(mean: u64, latency: u64, since_nanos: u64) -> u64 {
    if latency >= mean {
        return latency;
    }
    let keeps = (-(since_nanos as f64) / DECAY.as_nanos() as f64).exp();
    (mean as f64 * keeps + latency as f64 * (1.0 - keeps)) as u64
}

impl Census {
    /// Counts these.
    pub(super) fn of(members: &[Arc<Backend>]) -> Census {
        let mut census = Census::default();
        for backend in members.iter().filter(|b| !b.is_draining()) {
            let count = match backend.state() {
                State::Up => &mut census.ready,
                _ if backend.is_unreachable() => &mut census.unreachable,
                _ => &mut census.unwell,
            };
            *count += 1;
        }
        census
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.name)
            .field("state", &self.state())
            .field("active", &self.active())
            .finish_non_exhaustive()
    }
}

//! Pools: other servers, with a strategy and their health.
//!
//! A [`Pool`] leases one of its backends at a time: [`Pool::lease`] gives a [`Lease`], which counts against the backend
//! until it is dropped. Whoever holds it connects ([`Backend::connect`]), talks, and says how that went
//! ([`Lease::report`]). Which backend it is, a [`Strategy`] picks among those that are ready; what is ready, `health`
//! decides, out of what leases report and what `prober` finds.
//!
//! Left out: connections that are kept, and what is spoken on them. That is for those who lease.
//!
//! The way to a backend takes no lock that another request could hold for long, and allocates nothing while one is ready
//! and has room. What changes seldom (who is ready, how it is picked) is in one value, the roster, which is replaced as a
//! whole.

pub mod backend;
pub mod budget;
pub mod health;
mod keeper;
mod key;
mod lease;
pub mod options;
mod probe;
mod queue;
mod resolve;
mod roster;
pub mod snapshot;
pub mod strategy;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::error::Result;
use crate::net::{Tick, tls};
pub use backend::Backend;
pub use budget::Budget;
pub use key::Key;
pub use lease::{Lease, Outcome, Wanted};
pub use options::Options;
use queue::Queue;
use roster::Roster;
pub use strategy::Strategy;

/// Other servers, one of which is leased at a time.
pub struct Pool {
    name: String,
    roster: ArcSwap<Roster>,
    /// Who is in the pool, ready or not. Taken by whoever makes a new roster.
    inside: Mutex<Inside>,
    queue: Queue,
    budget: Budget,
    counts: Counts,
    /// Told of every change of who is in the pool, and what it was told.
    changes: watch::Sender<u64>,
    own: Weak<Pool>,
}

/// What is inside, behind one lock.
#[derive(Default)]
struct Inside {
    members: Vec<Arc<Backend>>,
    /// What the DNS said.
    found: resolve::Found,
    tls: Option<tls::Connector>,
}

/// What happened to a pool's leases.
#[derive(Debug, Default)]
struct Counts {
    /// Wanted while no backend was ready.
    unready: AtomicU64,
    /// Given up in the queue, or before it because it was full.
    overloaded: AtomicU64,
}

impl Pool {
    /// A pool as it was told. Nothing is connected to yet, and nothing probed: [`Pool::keep`] does that.
    ///
    /// # Errors
    /// What is wrong with its certificates.
    pub fn new(options: Options) -> Result<Arc<Pool>> {
        let tls = connector(&options)?;
        let options = Arc::new(options);
        let pool = Arc::new_cyclic(|own| Pool {
            name: options.name.clone(),
            roster: ArcSwap::from_pointee(Roster::empty(options.clone())),
            inside: Mutex::default(),
            queue: Queue::default(),
            budget: Budget::new(options.retry.budget),
            counts: Counts::default(),
            changes: watch::Sender::new(0),
            own: own.clone(),
        });
        pool.lock().tls = tls;
        let strategy = options.strategy.build();
        pool.fill(options, strategy);
        Ok(pool)
    }

    /// What goes on beside the pool for as long as it lives: probes, and names that are looked up again. To be run on an
    /// event loop.
    pub fn keep(&self) -> impl Future<Output = ()> + Send + 'static {
        keeper::keep(self.own.clone(), self.changes.subscribe())
    }

    /// Prepares to be told anew. Backends that stay keep their health, their counts and their leases; those that go keep
    /// the leases that are out.
    ///
    /// # Errors
    /// What is wrong with its certificates.
    pub fn update(self: &Arc<Pool>, options: Options) -> Result<Update> {
        Ok(Update {
            tls: connector(&options)?,
            pool: self.clone(),
            options,
        })
    }

    /// What the DNS has said of a member.
    fn found(&self, member: &options::Member, targets: Vec<resolve::Target>) {
        let mut inside = self.lock();
        if inside.found.get(&member.name) == Some(&targets) {
            return;
        }
        let count = targets.len();
        tracing::info!(
            pool = self.name,
            name = member.name,
            addresses = count,
            "looked up"
        );
        inside.found.insert(member.name.clone(), targets);
        drop(inside);
        let roster = self.roster.load_full();
        self.fill(roster.options.clone(), roster.strategy.clone());
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was told.
    pub fn options(&self) -> Arc<Options> {
        self.roster.load().options.clone()
    }

    /// How often may be tried again.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Everyone in it, ready or not, in the order of the configuration.
    pub fn members(&self) -> Vec<Arc<Backend>> {
        self.lock().members.clone()
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<Arc<Backend>> {
        let inside = self.lock();
        inside.members.iter().find(|b| b.name() == name).cloned()
    }

    /// Puts the members into the pool that the options tell of: those that are there stay who they are.
    fn fill(&self, options: Arc<Options>, strategy: Arc<dyn Strategy>) {
        let mut inside = self.lock();
        let old = std::mem::take(&mut inside.members);
        for member in &resolve::expanded(&options, &inside.found) {
            let is_new = |b: &&Arc<Backend>| !inside.members.iter().any(|m| Arc::ptr_eq(m, b));
            let known = old.iter().filter(is_new).find(|b| b.is_for(member));
            let backend = match known {
                Some(backend) => {
                    backend.take_up(member, &options, inside.tls.as_ref());
                    backend.clone()
                }
                None => {
                    let home = self.own.clone();
                    Arc::new(Backend::new(member, &options, inside.tls.as_ref(), home))
                }
            };
            inside.members.push(backend);
        }
        let roster = Roster::with(options, strategy, &inside.members, Tick::now());
        self.roster.store(Arc::new(roster));
        drop(inside);
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
        self.serve_queue();
    }

    /// Finds out anew who is ready: called where something changed that decides about it.
    pub(crate) fn refresh(&self) {
        let inside = self.lock();
        let before = self.roster.load();
        let now = Tick::now();
        for backend in &inside.members {
            if backend.pass_time(now) {
                backend.log_state(self);
            }
        }
        let roster = before.next(&inside.members, now);
        roster.log_change(&self.name, &before);
        self.roster.store(Arc::new(roster));
        drop(inside);
        self.serve_queue();
    }

    /// Ejects a backend that fails, if the others suffice. Under the lock, so that two of them cannot both be the last.
    fn eject(&self, backend: &Backend, fault: health::Fault, options: &health::Options) {
        let inside = self.lock();
        let census = health::Census::of(&inside.members);
        let may = backend.is_ready() && census.may_eject(fault, &options.panic);
        let is_ejected = may && backend.eject(fault, &options.passive);
        drop(inside);
        if is_ejected {
            backend.log_state(self);
            self.refresh();
        }
    }

    /// Who can be picked now.
    fn roster(&self) -> Guard<Arc<Roster>> {
        let roster = self.roster.load();
        if roster.look_again.is_some_and(Tick::is_past) {
            drop(roster);
            self.refresh();
            return self.roster.load();
        }
        roster
    }

    fn has_queue(&self) -> bool {
        self.queue.length() > 0
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // A list that somebody panicked beside is still a list.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(count: &AtomicU64) {
        count.fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What makes TLS connections to its backends, if any of them is asked over TLS.
fn connector(options: &Options) -> Result<Option<tls::Connector>> {
    let is_secure = |m: &options::Member| m.endpoint.scheme().is_secure();
    match options.members.iter().any(is_secure) {
        true => tls::Connector::new(&options.tls).map(Some),
        false => Ok(None),
    }
}

/// What a pool is to be told anew.
#[derive(Debug)]
pub struct Update {
    pool: Arc<Pool>,
    options: Options,
    tls: Option<tls::Connector>,
}

impl Update {
    /// The name of the pool that is told.
    pub fn name(&self) -> &str {
        self.pool.name()
    }

    /// Whether anything is different: what was told, or what stands in the files that it names.
    pub fn is_needed(&self) -> bool {
        let tls = &self.pool.lock().tls;
        let is_same = match (tls, &self.tls) {
            (Some(before), Some(now)) => before.has_read_the_same(now),
            (before, now) => before.is_none() && now.is_none(),
        };
        !is_same || *self.pool.options() != self.options
    }

    /// Tells it.
    pub fn apply(self) {
        let (pool, options) = (self.pool, self.options);
        pool.budget.set_percent(options.retry.budget);
        let mut inside = pool.lock();
        inside.tls = self.tls;
        let is_there = |name: &String| options.members.iter().any(|m| m.name == *name);
        inside.found.retain(|name, _| is_there(name));
        drop(inside);
        let strategy = options.strategy.build();
        pool.fill(Arc::new(options), strategy);
    }
}

/// All pools of a configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct Pools(Arc<HashMap<String, Arc<Pool>>>);

impl Pools {
    /// Makes all of them.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn new(all: &[Options]) -> Result<Pools> {
        let made = all
            .iter()
            .map(|options| Ok((options.name.clone(), Pool::new(options.clone())?)));
        Ok(Pools(Arc::new(made.collect::<Result<_>>()?)))
    }

    /// The pools of another configuration: those there are, with what is to be told them, and new ones.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn next(&self, all: &[Options]) -> Result<(Pools, Vec<Update>)> {
        let (mut next, mut updates) = (HashMap::new(), Vec::new());
        for options in all {
            let pool = match self.get(&options.name) {
                None => Pool::new(options.clone())?,
                Some(pool) => {
                    let update = pool.update(options.clone())?;
                    updates.extend(update.is_needed().then_some(update));
                    pool.clone()
                }
            };
            next.insert(options.name.clone(), pool);
        }
        Ok((Pools(Arc::new(next)), updates))
    }

    /// The pool of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Pool>> {
        self.0.get(name)
    }

    /// Every pool, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.0.values()
    }
}

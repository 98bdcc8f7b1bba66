//! What goes on beside a pool for as long as it lives: probes, and names that are looked up again.
//!
//! One task for each backend that is probed and each name that is looked up, on one event loop. They hold the pool weakly:
//! with it they end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::health::Probe;
use super::{Backend, Pool, probe, resolve};

/// Keeps a pool up to date until it is dropped.
pub(super) async fn keep(pool: Weak<Pool>, mut changes: watch::Receiver<u64>) {
    let mut work = Work::default();
    loop {
        let Some(alive) = pool.upgrade() else {
            return;
        };
        // What is noted from here on is another change.
        changes.borrow_and_update();
        work.follow(&alive);
        drop(alive);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// The tasks of one pool. Dropping it ends them.
#[derive(Default)]
struct Work {
    probes: Vec<Probing>,
    lookups: JoinSet<()>,
    /// What is looked up, and where.
    names: Names,
}

type Names = (Vec<super::options::Member>, Option<std::net::SocketAddr>);

struct Probing {
    backend: Weak<Backend>,
    probe: Probe,
    task: JoinSet<()>,
}

impl Work {
    /// Begins what is new, ends what is gone, and leaves the rest alone.
    fn follow(&mut self, pool: &Arc<Pool>) {
        let options = pool.options();
        let members = pool.members();
        let wanted = options.health.probe.as_ref();
        self.probes.retain(|probing| {
            let backend = probing.backend.upgrade();
            let is_member = backend.is_some_and(|b| members.iter().any(|m| Arc::ptr_eq(m, &b)));
            is_member && wanted == Some(&probing.probe)
        });
        for backend in wanted.iter().flat_map(|_| &members) {
            let is_probed = |p: &Probing| std::ptr::eq(p.backend.as_ptr(), Arc::as_ptr(backend));
            if let Some(probe) = wanted
                && !self.probes.iter().any(is_probed)
            {
                let mut task = JoinSet::new();
                task.spawn(keep_asking(Arc::downgrade(backend), probe.clone()));
                self.probes.push(Probing {
                    backend: Arc::downgrade(backend),
                    probe: probe.clone(),
                    task,
                });
            }
        }
        let has_name = |m: &&super::options::Member| m.host_to_resolve().is_some();
        let names: Vec<_> = options.members.iter().filter(has_name).cloned().collect();
        if self.names != (names.clone(), options.resolver) {
            self.lookups = JoinSet::new();
            for member in &names {
                let looking =
                    resolve::keep_looking(Arc::downgrade(pool), member.clone(), options.resolver);
                self.lookups.spawn(looking);
            }
            self.names = (names, options.resolver);
        }
        // What ended by itself has nothing to say.
        while self.lookups.try_join_next().is_some() {}
        for probing in &mut self.probes {
            while probing.task.try_join_next().is_some() {}
        }
    }
}

/// Probes a backend for as long as it lives.
async fn keep_asking(backend: Weak<Backend>, probe: Probe) {
    // Not all at once when a pool begins.
    tokio::time::sleep(probe.every.mul_f64(0.1 * fastrand::f64())).await;
    loop {
        let Some(alive) = backend.upgrade() else {
            return;
        };
        match probe::ask(&alive, &probe).await {
            Ok(()) => alive.probed(Ok(())),
            Err((fault, error)) => {
                tracing::debug!(backend = alive.name(), "{error}");
                alive.probed(Err(fault));
            }
        }
        drop(alive);
        tokio::time::sleep(jittered(probe.every)).await;
    }
}

/// Give or take a tenth.
fn jittered(every: Duration) -> Duration {
    every.mul_f64(0.9 + 0.2 * fastrand::f64())
}

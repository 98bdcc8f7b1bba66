//! Leases: the right to one of a backend's places, until it is dropped.

use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::health::Fault;
use super::roster::Roster;
use super::{Key, Options, Pool};
use crate::error::{Error, Kind, Result, Side};

/// What is wanted of a pool.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// What strategies that hash decide by.
    pub key: Option<Key>,
    /// Backends that were tried already. They are taken only where no other is ready.
    pub avoid: &'a [Arc<Backend>],
    /// The name of the backend to take as long as it is ready: a sticky cookie's.
    pub stick: Option<&'a str>,
}

/// One of a backend's places. Dropping it is the only way that the place comes back.
#[derive(Debug)]
pub struct Lease {
    backend: Arc<Backend>,
}

/// How it went, for the backend's health and latency.
///
/// What the client spoilt is not told: a lease that is dropped without a word says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work; the time until its answer began, or until it was connected to where nothing is asked.
    Done(Duration),
    /// It answered with a status of 5xx, after that long.
    ServerError(Duration),
    /// No connection came about.
    NotConnected,
    /// It was connected to, and then closed, reset, or said what is not to be understood.
    Broken,
    /// It was connected to, and no answer came in time.
    TimedOut,
}

impl Lease {
    /// A place of this backend that was taken before.
    pub(super) fn of_place(backend: Arc<Backend>) -> Lease {
        Lease { backend }
    }

    /// Whose place it is.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Says how it went.
    pub fn report(&self, outcome: Outcome) {
        let backend = &self.backend;
        match outcome {
            Outcome::Done(latency) => backend.succeeded(Some(latency)),
            Outcome::ServerError(latency) => backend.failed(Fault::Unwell, true, Some(latency)),
            Outcome::NotConnected => backend.failed(Fault::Unreachable, false, None),
            Outcome::Broken | Outcome::TimedOut => backend.failed(Fault::Unwell, false, None),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.give_place_back();
        // Without a bound nobody waits for a place.
        if self.backend.max().is_some()
            && let Some(home) = self.backend.home()
        {
            home.serve_queue();
        }
    }
}

impl Pool {
    /// Leases a backend. Where all that are ready are at their `max`, it waits in the pool's queue; with none ready it
    /// fails at once. Cancel-safe.
    ///
    /// # Errors
    /// [`Kind::NotConnected`] with no backend ready, [`Kind::Overload`] when the queue is full or the wait too long; on
    /// [`Side::Upstream`].
    pub async fn lease(&self, wanted: Wanted<'_>) -> Result<Lease> {
        match self.try_lease(wanted)? {
            Some(lease) => Ok(lease),
            None => self.wait(wanted).await,
        }
    }

    /// As [`Pool::lease`], without waiting: `None` when all that are ready are at their `max`, or others wait already.
    ///
    /// # Errors
    /// With no backend ready.
    pub fn try_lease(&self, wanted: Wanted<'_>) -> Result<Option<Lease>> {
        self.pick_now(&self.roster(), wanted)
    }

    /// As [`Pool::try_lease`], where it hangs on what the pool was told what is wanted; `None` where `ask` says so.
    pub(crate) fn try_lease_as_told<'w, R>(
        &self,
        ask: impl FnOnce(&Options) -> Option<(Wanted<'w>, R)>,
    ) -> Option<(Result<Option<Lease>>, R)> {
        let roster = self.roster();
        let (wanted, told) = ask(&roster.options)?;
        Some((self.pick_now(&roster, wanted), told))
    }

    fn pick_now(&self, roster: &Roster, wanted: Wanted<'_>) -> Result<Option<Lease>> {
        // What is free now is theirs who wait.
        match self.has_queue() && !roster.ready.is_empty() {
            true => Ok(None),
            false => self.pick(roster, wanted),
        }
    }

    /// As [`Pool::try_lease`], out of this roster.
    pub(super) fn pick(&self, roster: &Roster, wanted: Wanted<'_>) -> Result<Option<Lease>> {
        let ready = &roster.ready;
        if ready.is_empty() {
            Pool::count(&self.counts.unready);
            return Err(self.nobody_ready());
        }
        if let Some(backend) = stuck_to(ready, wanted)
            && backend.take_place()
        {
            return Ok(Some(Lease::of_place(backend.clone())));
        }
        let picked = roster.strategy.pick(ready, wanted.key);
        if let Some(backend) = picked.and_then(|at| ready.get(at))
            && !is_in(wanted.avoid, backend)
            && backend.take_place()
        {
            return Ok(Some(Lease::of_place(backend.clone())));
        }
        // The one that was picked is full or was tried: the seldom case, and the only one that allocates.
        let mut left = others(ready, wanted.avoid);
        while !left.is_empty() {
            let at = roster.strategy.pick(&left, wanted.key).unwrap_or(0);
            // In their order: strategies may go by it.
            let backend = left.remove(at.min(left.len() - 1));
            if backend.take_place() {
                return Ok(Some(Lease::of_place(backend)));
            }
        }
        Ok(None)
    }

    /// As [`Pool::pick`], and nothing is taken; and why.
    pub(super) fn would_pick(
        &self,
        roster: &Roster,
        wanted: Wanted<'_>,
    ) -> Option<(Arc<Backend>, &'static str)> {
        let ready = &roster.ready;
        let has_room = |b: &&Arc<Backend>| !b.is_full();
        if let Some(backend) = stuck_to(ready, wanted).filter(has_room) {
            return Some((backend.clone(), "its cookie names it"));
        }
        let why = roster.strategy.why();
        let picked = roster.strategy.peek(ready, wanted.key);
        let picked = picked.and_then(|at| ready.get(at));
        if let Some(backend) = picked.filter(has_room)
            && !is_in(wanted.avoid, backend)
        {
            return Some((backend.clone(), why));
        }
        let left = others(ready, wanted.avoid);
        let picked = roster.strategy.peek(&left, wanted.key)?;
        Some((left.get(picked)?.clone(), why))
    }

    pub(super) fn nobody_ready(&self) -> Error {
        let roster = self.roster.load();
        let all = self.lock().members.len();
        let why = match all {
            0 => "it has no backend".to_owned(),
            1 => "its only backend is not ready".to_owned(),
            n if roster.is_panic => format!("too few of its {n} backends are well (panic: fail)"),
            n => format!("none of its {n} backends is ready"),
        };
        self.refused(Kind::NotConnected, why)
            .hint("are they running? The log says when and why each was taken out")
    }

    pub(super) fn refused(&self, kind: Kind, why: impl Into<String>) -> Error {
        let act = format!("choosing a backend of pool `{}`", self.name());
        Error::new(kind, Side::Upstream, act).because(why.into())
    }
}

/// The one that is to be stuck to, if it is ready and was not tried.
fn stuck_to<'a>(ready: &'a [Arc<Backend>], wanted: Wanted<'_>) -> Option<&'a Arc<Backend>> {
    let name = wanted.stick?;
    let named = ready.iter().find(|b| b.name() == name);
    named.filter(|b| !is_in(wanted.avoid, b))
}

/// Those with room that were not tried; where all were tried, any with room.
fn others(ready: &[Arc<Backend>], avoid: &[Arc<Backend>]) -> Vec<Arc<Backend>> {
    let all_tried = ready.iter().all(|b| is_in(avoid, b));
    let is_left = |b: &&Arc<Backend>| !b.is_full() && (all_tried || !is_in(avoid, b));
    ready.iter().filter(is_left).cloned().collect()
}

fn is_in(backends: &[Arc<Backend>], backend: &Arc<Backend>) -> bool {
    backends.iter().any(|b| Arc::ptr_eq(b, backend))
}

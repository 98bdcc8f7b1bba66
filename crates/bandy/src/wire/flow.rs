//! Who is talking over a socket that knows no connections: a table of UDP flows with idle expiry.
//!
//! A flow begins with its first datagram and ends when none came for a while, or when it is removed. Time is an
//! argument; the table never asks for it. A datagram only notes when it came: a flow's place in the queue of deadlines
//! is put right when it comes up, so that traffic costs one look-up and no queue operation.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

/// Flows by key.
///
/// Invariant: every flow has exactly one entry in the queue, and that is due no later than the flow itself.
#[derive(Debug)]
pub struct Flows<K, V> {
    by_key: HashMap<K, Flow<V>, RandomState>,
    /// When to look at which flow next. A removed flow's entry stays until its time, or until there are too many.
    due: BinaryHeap<Reverse<Due<K>>>,
    idle: Duration,
    max: usize,
    born: u64,
}

#[derive(Debug)]
struct Flow<V> {
    value: V,
    last: Instant,
    id: u64,
}

/// Ordered by time; `id` tells a flow from an earlier one with the same key.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due<K> {
    at: Instant,
    id: u64,
    key: K,
}

/// The table is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<K: Hash + Ord + Clone, V> Flows<K, V> {
    /// A table of at most `max` flows that end after `idle` without a datagram.
    pub fn new(max: usize, idle: Duration) -> Self {
        Flows {
            by_key: HashMap::default(),
            due: BinaryHeap::new(),
            idle,
            max,
            born: 0,
        }
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The flow of a datagram that came now, or `None` where it would begin one.
    pub fn touch(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        let flow = self.by_key.get_mut(key)?;
        flow.last = now;
        Some(&mut flow.value)
    }

    /// Begins a flow, in the place of one with the same key.
    ///
    /// # Errors
    /// [`Full`] at the table's limit; nothing has changed then.
    pub fn insert(&mut self, key: K, value: V, now: Instant) -> Result<(), Full> {
        if self.by_key.len() >= self.max && !self.by_key.contains_key(&key) {
            return Err(Full);
        }
        self.born += 1;
        let id = self.born;
        self.due.push(Reverse(Due {
            at: now + self.idle,
            id,
            key: key.clone(),
        }));
        self.by_key.insert(
            key,
            Flow {
                value,
                last: now,
                id,
            },
        );
        self.drop_stale();
        Ok(())
    }

    /// Ends a flow if `meant` says that it is the one meant, not a later one with the same key.
    pub fn remove_if(&mut self, key: &K, meant: impl FnOnce(&V) -> bool) -> Option<V> {
        match self.by_key.entry(key.clone()) {
            Entry::Occupied(flow) if meant(&flow.get().value) => Some(flow.remove().value),
            _ => None,
        }
    }

    /// When to call [`Flows::expire`] next. It may turn out that nothing ends then.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    /// Ends the flows that were idle for the whole idle time, handing each to `ended`.
    pub fn expire(&mut self, now: Instant, mut ended: impl FnMut(K, V)) {
        while self.next_due().is_some_and(|at| at <= now) {
            let Some(Reverse(due)) = self.due.pop() else {
                return;
            };
            let Entry::Occupied(flow) = self.by_key.entry(due.key.clone()) else {
                continue;
            };
            if flow.get().id != due.id {
                continue;
            }
            let at = flow.get().last + self.idle;
            if at <= now {
                ended(due.key, flow.remove().value);
            } else {
                self.due.push(Reverse(Due { at, ..due }));
            }
        }
    }

    /// Every flow there is, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.by_key.values().map(|flow| &flow.value)
    }

    /// Keeps the queue within a small multiple of the flows: short flows would fill it with entries of the past.
    fn drop_stale(&mut self) {
        if self.due.len() > 2 * self.by_key.len() + 64 {
            let by_key = &self.by_key;
            self.due
                .retain(|Reverse(due)| by_key.get(&due.key).is_some_and(|f| f.id == due.id));
        }
    }
}

#[cfg(test)]
mod tests;

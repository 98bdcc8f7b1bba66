//! `consistent-hash`: the same key, the same server, and none of them overrun.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Strategy;
use super::random::by_share;
use crate::pool::key::mixed;
use crate::pool::{Backend, Key};

/// A Maglev table (Eisenbud et al., NSDI 2016) over all members, with bounded load (Mirrokni, Thorup and Zadimoghaddam, 2018).
///
/// The table has everyone, ready or not. A key whose backend is not ready, or has more than [`ConsistentHash::load`] says,
/// goes on to other places of the table, the same ones each time. So when a backend is gone for a while only its keys
/// move, and return; only when the configuration is another one may a few others move, as is Maglev's way.
#[derive(Debug)]
pub struct ConsistentHash {
    load: u32,
    table: ArcSwap<Table>,
}

impl ConsistentHash {
    /// The default of the load.
    pub const LOAD: u32 = 125;

    /// A table where nobody has more than this share of the mean load. Percent; 0 is no bound.
    pub fn new(load: u32) -> ConsistentHash {
        ConsistentHash {
            load,
            table: ArcSwap::from_pointee(Table::default()),
        }
    }

    /// The most that one may have, in percent of the mean.
    pub fn load(&self) -> u32 {
        self.load
    }
}

impl Strategy for ConsistentHash {
    fn pick(&self, ready: &[Arc<Backend>], key: Option<Key>) -> Option<usize> {
        let Some(key) = key else {
            return by_share(ready, None);
        };
        let table = self.table.load();
        let bound = Bound::of(ready, self.load);
        let mut last = None;
        for attempt in 0..PROBES {
            let Some(at) = table.place(key, attempt, ready) else {
                continue;
            };
            last = last.or(Some(at));
            if ready.get(at).is_some_and(|backend| bound.has_room(backend)) {
                return Some(at);
            }
        }
        // Nearly everyone is out or full: the first that is ready, in this key's own order.
        let own_order = |at: &usize| {
            ready
                .get(*at)
                .map_or(0, |b| key.with(b.salt().rotate_left(17)))
        };
        let with_room = |at: &usize| ready.get(*at).is_some_and(|b| bound.has_room(b));
        let others = (0..ready.len()).filter(with_room);
        others.max_by_key(own_order).or(last)
    }

    fn prepare(&self, members: &[Arc<Backend>]) {
        let columns: Vec<(u64, u32)> = members.iter().map(|b| (b.salt(), b.weight())).collect();
        if self.table.load().columns != columns {
            self.table.store(Arc::new(Table::new(columns)));
        }
    }

    fn why(&self) -> &'static str {
        "the hash of its key"
    }
}

/// How many places of the table are looked at for one key.
const PROBES: u64 = 32;

/// Maglev's table: whose key is whose.
#[derive(Default)]
struct Table {
    /// Of each member its salt and weight.
    columns: Vec<(u64, u32)>,
    /// Each place belongs to the member of this number.
    places: Vec<u32>,
}

impl Table {
    /// Primes: each permutation must come by every place. The paper wants a hundred places for each backend at least; one
    /// size for nearly all pools, since a table of another size is another order.
    const SIZES: [usize; 2] = [65_537, 655_373];

    fn new(columns: Vec<(u64, u32)>) -> Table {
        let wanted = columns.len() * 100;
        let size = Table::SIZES.into_iter().find(|size| *size >= wanted);
        let size = size.unwrap_or(Table::SIZES[Table::SIZES.len() - 1]);
        let places = match columns.is_empty() {
            true => Vec::new(),
            false => fill(&columns, size),
        };
        Table { columns, places }
    }

    /// Whose the key's place is at this attempt, if that one is among the ready.
    fn place(&self, key: Key, attempt: u64, ready: &[Arc<Backend>]) -> Option<usize> {
        let size = self.places.len() as u64;
        let place = key.with(mixed(attempt)).checked_rem(size)?;
        let member = *self.places.get(place as usize)? as usize;
        let (salt, _) = *self.columns.get(member)?;
        let is_it = |backend: &Arc<Backend>| backend.salt() == salt;
        // While everyone is ready they stand where they stand in the table.
        match ready.get(member).is_some_and(is_it) {
            true => Some(member),
            false => ready.iter().position(is_it),
        }
    }
}

/// Each member takes the first free place of its own permutation, in turns: as many at a time as its weight says.
fn fill(columns: &[(u64, u32)], size: usize) -> Vec<u32> {
    const FREE: u32 = u32::MAX;
    let len = size as u64;
    let mut places = vec![FREE; size];
    // Where each one's permutation is, and how it goes on.
    let mut ways: Vec<(u64, u64)> = columns
        .iter()
        .map(|(salt, _)| (mixed(*salt) % len, mixed(!*salt) % (len - 1) + 1))
        .collect();
    let most = columns.iter().map(|(_, weight)| *weight).max().unwrap_or(1);
    let mut turns = vec![0u32; columns.len()];
    let mut left = size;
    loop {
        for (member, (_, weight)) in columns.iter().enumerate() {
            // A weight of half the largest has a turn every other round.
            turns[member] += *weight;
            if turns[member] < most {
                continue;
            }
            turns[member] -= most;
            let (at, skip) = &mut ways[member];
            while places[*at as usize] != FREE {
                *at = (*at + *skip) % len;
            }
            places[*at as usize] = u32::try_from(member).unwrap_or(0);
            left -= 1;
            if left == 0 {
                return places;
            }
        }
    }
}

/// What each may have at most: its share of what all have, and then some.
struct Bound {
    active: u128,
    shares: u128,
    percent: u128,
}

impl Bound {
    fn of(ready: &[Arc<Backend>], percent: u32) -> Bound {
        let mut bound = Bound {
            // With the one that is being picked for.
            active: 1,
            shares: 0,
            percent: percent.into(),
        };
        if percent > 0 {
            for backend in ready {
                bound.active += backend.active() as u128;
                bound.shares += u128::from(backend.weight());
            }
        }
        bound
    }

    /// Whether one more is within `percent` of the mean, rounded up.
    fn has_room(&self, backend: &Backend) -> bool {
        let share = u128::from(backend.weight());
        let fair = self.active * self.percent * share;
        let bound = fair.div_ceil((100 * self.shares).max(1));
        self.percent == 0 || (backend.active() as u128) < bound
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Table of {} for {}",
            self.places.len(),
            self.columns.len()
        )
    }
}

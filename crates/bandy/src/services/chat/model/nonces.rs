//! What was sent lately, so that sending it again appends nothing.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::name::Person;

/// How many of a room's last entries are remembered.
pub const REMEMBERED: usize = 2_048;

/// Whose nonce, and it.
pub type Key = (Person, String);

/// Guests' nonces from this length on are everybody's: a guest who comes back is somebody else, and one that long is
/// made so that nobody makes it again.
const LONG: usize = 16;

/// Under which a nonce is remembered.
pub fn key(person: &Person, nonce: &str) -> Key {
    let whose = match person.is_guest() && nonce.len() >= LONG {
        true => Person::any_guest(),
        false => person.clone(),
    };
    (whose, nonce.to_owned())
}

/// A room's nonces, each with the entry that has it. Those of the last [`REMEMBERED`] entries with one.
#[derive(Debug, Clone, Default)]
pub struct Nonces {
    seqs: HashMap<Key, u64, RandomState>,
    order: VecDeque<Key>,
}

impl Nonces {
    /// Notes the entry. The first one with a nonce stays.
    pub fn note(&mut self, person: &Person, nonce: &str, seq: u64) {
        let key = key(person, nonce);
        if self.seqs.contains_key(&key) {
            return;
        }
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seqs.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.seqs.insert(key, seq);
    }

    /// The entry that they sent under this nonce.
    pub fn find(&self, person: &Person, nonce: &str) -> Option<u64> {
        self.seqs.get(&key(person, nonce)).copied()
    }
}

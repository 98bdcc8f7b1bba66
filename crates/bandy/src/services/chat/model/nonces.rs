//! What was sent lately, so that sending it again appends nothing.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::name::Person;

/// How many of a room's last entries are remembered.
pub const REMEMBERED: usize = 2_048;

/// A room's nonces, each with the entry that has it. Those of the last [`REMEMBERED`] entries with one.
#[derive(Debug, Clone, Default)]
pub struct Nonces {
    seqs: HashMap<(Person, String), u64, RandomState>,
    order: VecDeque<(Person, String)>,
}

impl Nonces {
    /// Notes the entry. The first one with a nonce stays.
    pub fn note(&mut self, person: &Person, nonce: &str, seq: u64) {
        let key = (person.clone(), nonce.to_owned());
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
        self.seqs.get(&(person.clone(), nonce.to_owned())).copied()
    }
}

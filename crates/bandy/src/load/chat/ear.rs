//! What one member heard of a room: each entry of its log once, and in its order? No clock, no connection.

use std::collections::BTreeSet;

/// What one member heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::load) struct Ear {
    epoch: u64,
    /// The highest entry that was heard.
    last: u64,
    /// Those below it that were not.
    missing: BTreeSet<u64>,
    /// The run's messages that were heard: a bit for each, by the event loop that they were said on.
    heard: Vec<Vec<u64>>,
    /// How many those are.
    pub(in crate::load) delivered: u64,
    /// What was heard again.
    pub(in crate::load) duplicates: u64,
    /// What was heard behind something later, or is at another place than for others.
    pub(in crate::load) misordered: u64,
}

/// Entries that are missing, and remembered one by one; what comes late beyond them counts as misordered all the same.
const MISSING_MAX: usize = 100_000;

enum Order {
    Next,
    Late,
    Again,
}

impl Ear {
    /// Of somebody for whom the room begins behind this entry.
    pub(super) fn new(epoch: u64, last: u64) -> Ear {
        Ear {
            epoch,
            last,
            ..Ear::default()
        }
    }

    /// An entry is heard, with the message in it if it is one of the run's: whether that is heard for the first time.
    pub(super) fn hear(&mut self, epoch: u64, seq: u64, message: Option<(u16, u32)>) -> bool {
        let order = self.place(epoch, seq);
        let is_new = message.is_some_and(|message| self.note(message));
        match (order, message) {
            (Order::Next, Some(_)) if !is_new => self.duplicates += 1,
            (Order::Next, _) => {}
            (Order::Again, _) if !is_new => self.duplicates += 1,
            // Behind what came after it.
            (Order::Late | Order::Again, _) => self.misordered += 1,
        }
        self.delivered += u64::from(is_new);
        is_new
    }

    fn place(&mut self, epoch: u64, seq: u64) -> Order {
        if epoch != self.epoch {
            // The room was made anew, and its numbers with it.
            (self.epoch, self.last) = (epoch, seq);
            self.missing.clear();
            return Order::Next;
        }
        if seq > self.last {
            let room = MISSING_MAX.saturating_sub(self.missing.len());
            self.missing.extend((self.last + 1..seq).take(room));
            self.last = seq;
            return Order::Next;
        }
        match self.missing.remove(&seq) {
            true => Order::Late,
            false => Order::Again,
        }
    }

    /// Whether it was not there yet.
    fn note(&mut self, (lane, number): (u16, u32)) -> bool {
        let lane = usize::from(lane);
        if lane >= LANES_MAX {
            return false;
        }
        if self.heard.len() <= lane {
            self.heard.resize_with(lane + 1, Vec::new);
        }
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        let Some(words) = self.heard.get_mut(lane) else {
            return false;
        };
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        let place = words.get_mut(word);
        place.is_some_and(|place| std::mem::replace(place, *place | bit) & bit == 0)
    }
}

/// Event loops that a run has at most.
pub(super) const LANES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(seqs: &[u64]) -> Ear {
        let mut ear = Ear::new(1, 10);
        for seq in seqs {
            ear.hear(1, *seq, Some((0, *seq as u32)));
        }
        ear
    }

    #[test]
    fn once_and_in_order() {
        let told = |seqs: &[u64]| {
            let ear = heard(seqs);
            (
                ear.delivered,
                ear.duplicates,
                ear.misordered,
                ear.missing.len(),
            )
        };
        assert_eq!(told(&[11, 12, 13]), (3, 0, 0, 0));
        assert_eq!(told(&[11, 13]), (2, 0, 0, 1));
        assert_eq!(told(&[11, 13, 12, 14]), (4, 0, 1, 0));
        assert_eq!(told(&[11, 11, 12, 11]), (2, 2, 0, 0));
        // The same message in two places of the log.
        let mut ear = heard(&[11]);
        assert!(!ear.hear(1, 12, Some((0, 11))));
        assert_eq!((ear.delivered, ear.duplicates), (1, 1));
        // What others say is in the order, too.
        assert!(!ear.hear(1, 14, None) && !ear.hear(1, 13, None));
        assert_eq!((ear.delivered, ear.misordered), (1, 1));
    }

    #[test]
    fn a_room_that_is_made_anew() {
        let mut ear = heard(&[11]);
        assert!(ear.hear(2, 1, Some((1, 1))) && ear.hear(2, 2, Some((1, 2))));
        assert_eq!((ear.duplicates, ear.misordered), (0, 0));
    }

    proptest! {
        /// Whatever is dropped, swapped and repeated: each is counted once.
        #[test]
        fn nothing_is_counted_twice(seqs in prop::collection::vec(11_u64..60, 0..120)) {
            let ear = heard(&seqs);
            let distinct: BTreeSet<u64> = seqs.iter().copied().collect();
            prop_assert_eq!(ear.delivered as usize, distinct.len());
            prop_assert_eq!(ear.delivered + ear.duplicates, seqs.len() as u64);
            let in_order = seqs.windows(2).all(|pair| pair[0] < pair[1]);
            prop_assert_eq!(in_order, ear.misordered + ear.duplicates == 0);
        }
    }
}

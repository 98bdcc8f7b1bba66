//! How fast somebody may be: a burst, and then a pause that grows with each command that comes too soon.
//!
//! Nothing is refused and nothing is lost: a command waits ("fakelag"), and with it what the same connection sends after
//! it. Who pauses for a while begins anew. Time is an argument.

use super::event::Millis;

/// The bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Commands that may come at once.
    pub burst: u32,
    /// One more may come this often, in milliseconds.
    pub every: Millis,
    /// The longest that a command waits, in milliseconds.
    pub longest: Millis,
}

impl Default for Rate {
    fn default() -> Rate {
        Rate {
            burst: 20,
            every: 500,
            longest: 10_000,
        }
    }
}

/// One person's pace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// When all that was sent would have been sent at one each `every`.
    paid: Millis,
    /// How many in a row came too soon.
    excess: u32,
}

impl Pace {
    /// A command comes: how long it has to wait. One that costs more than another counts for several.
    pub fn take(&mut self, now: Millis, cost: u32, rate: &Rate) -> Millis {
        let credit = rate.every.saturating_mul(Millis::from(rate.burst));
        if self.paid <= now {
            // Everything is paid for: whoever is quiet begins anew.
            self.paid = now;
            self.excess = 0;
        }
        let cost = rate.every.saturating_mul(Millis::from(cost));
        self.paid = self.paid.saturating_add(cost);
        let ahead = self.paid - now;
        if ahead <= credit {
            return 0;
        }
        // Each one that is too soon waits longer: half of what one costs, then one, two, four …
        let wait = (rate.every / 2).max(1) << self.excess.min(16);
        self.excess = self.excess.saturating_add(1);
        // Waiting pays.
        let wait = wait.min(rate.longest);
        self.paid = self
            .paid
            .min(now.saturating_add(credit).saturating_add(wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate {
        burst: 4,
        every: 100,
        longest: 1000,
    };

    #[test]
    fn a_burst_is_free_and_then_it_grows() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..10).map(|_| pace.take(5_000, 1, &RATE)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 50, 100, 200, 400, 800, 1000]);
        assert_eq!(pace.take(60_000, 1, &RATE), 0);
    }

    proptest! {
        /// Over any time the commands that were let through are bounded, whatever the client does.
        #[test]
        fn nobody_is_faster_for_long(gaps in prop::collection::vec(0u64..200, 1..300)) {
            let mut pace = Pace::default();
            let (start, mut now, mut done) = (1_000_000, 1_000_000, 0u64);
            for gap in gaps {
                now += gap;
                now += pace.take(now, 1, &RATE);
                done += 1;
                let allowed = 2 * u64::from(RATE.burst) + 2 * (now - start) / RATE.every + 4;
                prop_assert!(done <= allowed, "{done} in {} ms", now - start);
            }
        }
    }
}

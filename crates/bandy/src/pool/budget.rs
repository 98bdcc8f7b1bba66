//! How often may be tried again: a share of the requests, whatever happens.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A retry budget: each request pays in a share of a retry, and each retry takes a whole one out.
///
/// So of any number of requests at most that share is tried again, and [`Budget::RESERVE`] more: a pool that has just
/// begun may try again too. What nobody uses is saved up to [`Budget::SAVED`] retries, so that a backend's death
/// among many requests is got over.
#[derive(Debug)]
pub struct Budget {
    /// In hundredths of a retry.
    credit: AtomicI64,
    percent: AtomicU32,
    /// Retries that were ever made.
    made: AtomicU64,
}

impl Budget {
    /// The default share. Percent.
    pub const PERCENT: u32 = 20;
    /// Retries that are there at the beginning.
    pub const RESERVE: u32 = 10;
    /// The most retries that are saved.
    pub const SAVED: u32 = 1_000;

    const WHOLE: i64 = 100;

    /// A budget of this share of the requests, in percent. Of none, nothing is tried again.
    pub fn new(percent: u32) -> Budget {
        let reserve = if percent == 0 { 0 } else { Budget::RESERVE };
        Budget {
            credit: AtomicI64::new(i64::from(reserve) * Budget::WHOLE),
            percent: AtomicU32::new(percent),
            made: AtomicU64::new(0),
        }
    }

    /// The share, in percent.
    pub fn percent(&self) -> u32 {
        self.percent.load(Relaxed)
    }

    /// Another share from now on.
    pub fn set_percent(&self, percent: u32) {
        self.percent.store(percent, Relaxed);
        if percent == 0 {
            self.credit.store(0, Relaxed);
        }
    }

    /// A request came in: the first try, not those after it.
    pub fn deposit(&self) {
        let full = i64::from(Budget::SAVED) * Budget::WHOLE;
        // Two at once may go beyond it by their shares: nothing hangs on that.
        if self.credit.load(Relaxed) < full {
            self.credit.fetch_add(i64::from(self.percent()), Relaxed);
        }
    }

    /// Takes one retry, if there is one left.
    pub fn withdraw(&self) -> bool {
        let take = |credit: i64| (credit >= Budget::WHOLE).then(|| credit - Budget::WHOLE);
        let is_left = self.credit.fetch_update(Relaxed, Relaxed, take).is_ok();
        if is_left {
            self.made.fetch_add(1, Relaxed);
        }
        is_left
    }

    /// Retries that were ever made.
    pub fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }

    /// Retries that could be made now.
    pub fn left(&self) -> u32 {
        u32::try_from(self.credit.load(Relaxed) / Budget::WHOLE).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However requests and retries come, and however much the retries want.
        #[test]
        fn retries_never_exceed_their_share(percent in 0..=100u32, asks in prop::collection::vec(any::<bool>(), 0..3_000)) {
            let budget = Budget::new(percent);
            let reserve = if percent == 0 { 0 } else { Budget::RESERVE };
            let (mut requests, mut retries) = (0, 0);
            for is_request in asks {
                if is_request {
                    budget.deposit();
                    requests += 1;
                } else {
                    retries += u32::from(budget.withdraw());
                }
                prop_assert!(retries * 100 <= requests * percent + reserve * 100);
            }
        }

        /// And one that keeps to its share is never refused.
        #[test]
        fn who_keeps_to_the_share_is_not_refused(percent in 1..=100u32, requests in 1..3_000u32) {
            let budget = Budget::new(percent);
            let mut owed = 0;
            for _ in 0..requests {
                budget.deposit();
                owed += percent;
                if owed >= 100 {
                    owed -= 100;
                    prop_assert!(budget.withdraw());
                }
            }
        }
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let budget = Budget::new(20);
        (0..1_000_000).for_each(|_| budget.deposit());
        assert_eq!(budget.left(), Budget::SAVED);
        budget.set_percent(0);
        assert!(!budget.withdraw());
    }
}

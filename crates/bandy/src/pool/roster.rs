//! Who can be picked now: one value, made anew whenever something changes.

use std::sync::Arc;

use super::backend::Backend;
use super::health::{Census, Policy, State};
use super::options::Options;
use super::strategy::Strategy;
use crate::net::Tick;

/// Who can be picked, and how.
pub(super) struct Roster {
    pub(super) options: Arc<Options>,
    pub(super) strategy: Arc<dyn Strategy>,
    /// Those to pick from: the ready ones, or in a panic all that can be connected to, or nobody.
    pub(super) ready: Box<[Arc<Backend>]>,
    pub(super) census: Census,
    pub(super) is_panic: bool,
    /// When the first pause is over.
    pub(super) look_again: Option<Tick>,
}

impl Roster {
    /// Of nobody.
    pub(super) fn empty(options: Arc<Options>) -> Roster {
        let strategy = options.strategy.build();
        Roster::with(options, strategy, &[], Tick::now())
    }

    /// The next roster, with the same strategy.
    pub(super) fn next(&self, members: &[Arc<Backend>], now: Tick) -> Roster {
        Roster::with(self.options.clone(), self.strategy.clone(), members, now)
    }

    /// The roster of these members as they are now.
    pub(super) fn with(
        options: Arc<Options>,
        strategy: Arc<dyn Strategy>,
        members: &[Arc<Backend>],
        now: Tick,
    ) -> Roster {
        let census = Census::of(members);
        let panic = &options.health.panic;
        let is_panic = census.is_panic(panic);
        let can_be_picked = |b: &&Arc<Backend>| match (is_panic, panic.policy) {
            _ if b.is_draining() => false,
            (false, _) => b.state() == State::Up,
            (true, Policy::All) => !b.is_unreachable(),
            (true, Policy::Fail) => false,
        };
        let ready = members.iter().filter(can_be_picked).cloned().collect();
        let pauses = members.iter().filter_map(|b| b.health().ejected_until());
        let look_again = pauses.min().map(|until| until.max(now));
        strategy.prepare(members);
        Roster {
            options,
            strategy,
            ready,
            census,
            is_panic,
            look_again,
        }
    }

    /// Says in the log what an operator should know of.
    pub(super) fn log_change(&self, pool: &str, before: &Roster) {
        let (ready, unwell) = (self.census.ready, self.census.unwell);
        let policy = self.options.health.panic.policy.as_str();
        match (before.is_panic, self.is_panic) {
            (false, true) => tracing::error!(
                pool,
                ready,
                unwell,
                policy,
                "so few backends are well that their health is no guide any more"
            ),
            (true, false) => tracing::info!(pool, ready, "enough backends are well again"),
            _ => {}
        }
        if self.ready.is_empty() && !before.ready.is_empty() {
            tracing::error!(pool, "no backend is ready: what comes in is refused");
        } else if before.ready.is_empty() && !self.ready.is_empty() {
            tracing::info!(pool, ready, "a backend is ready again");
        }
    }
}

//! Whatever is done to a store, it answers as the simplest thing would that could be a store.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bandy::error::Kind;
use bandy::limits::StoreLimits;
use bandy::state::{Batch, Expect};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::{Fresh, memory, sqlite};

/// What is done. Keys and logs are few, so that much happens to each.
#[derive(Debug, Clone)]
enum Act {
    Commit(Vec<Step>),
    Get(usize),
    List(usize, Option<usize>, usize),
    Read(usize, u64, usize),
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, u8, Expected),
    Delete(usize, Expected),
    Append(usize, u8),
    Trim(usize, u64),
}

/// Revisions are not known beforehand: the right one is looked up when the time comes.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Anything,
    Absent,
    Right,
    Wrong,
}

const KEYS: [&str; 6] = ["", "a", "a\0", "a/b", "ä", "b"];
const LOGS: [&str; 2] = ["a", "a\0"];

fn expected() -> impl Strategy<Value = Expected> {
    use Expected::*;
    prop_oneof![
        4 => Just(Anything),
        2 => Just(Absent),
        4 => Just(Right),
        1 => Just(Wrong),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS.len(), any::<u8>(), expected()).prop_map(|(k, v, e)| Step::Put(k, v, e)),
        2 => (0..KEYS.len(), expected()).prop_map(|(k, e)| Step::Delete(k, e)),
        4 => (0..LOGS.len(), any::<u8>()).prop_map(|(l, v)| Step::Append(l, v)),
        1 => (0..LOGS.len(), 0..12_u64).prop_map(|(l, to)| Step::Trim(l, to)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let key = || 0..KEYS.len();
    prop_oneof![
        5 => prop::collection::vec(step(), 1..5).prop_map(Act::Commit),
        1 => key().prop_map(Act::Get),
        2 => (key(), prop::option::of(key()), 0..8_usize).prop_map(|(p, a, n)| Act::List(p, a, n)),
        2 => (0..LOGS.len(), 0..12_u64, 0..12_usize).prop_map(|(l, a, n)| Act::Read(l, a, n)),
    ]
}

/// The simplest thing. A batch is done to a copy, which is thrown away when it conflicts.
#[derive(Debug, Clone, Default)]
struct Model {
    records: BTreeMap<&'static str, (u8, u64)>,
    logs: BTreeMap<&'static str, Vec<(u64, u8)>>,
    trimmed: BTreeMap<&'static str, u64>,
}

impl Model {
    fn last(&self, log: &str) -> u64 {
        let last = self.logs.get(log).and_then(|entries| entries.last());
        last.map_or_else(|| self.trimmed(log), |(seq, _)| *seq)
    }

    fn trimmed(&self, log: &str) -> u64 {
        self.trimmed.get(log).copied().unwrap_or(0)
    }

    fn expect(&self, key: usize, expected: Expected) -> Expect {
        let actual = self
            .records
            .get(KEYS[key])
            .map_or(0, |(_, revision)| *revision);
        match expected {
            Expected::Anything => Expect::Anything,
            Expected::Absent => Expect::Absent,
            Expected::Right => Expect::Revision(actual),
            // So far off that the batch itself does not get there.
            Expected::Wrong => Expect::Revision(actual + 1_000),
        }
    }

    /// Does a step that comes to `number`; where `None`, only looks whether it may be done.
    fn step(&mut self, step: &Step, expect: Expect, number: Option<u64>) -> ControlFlow<()> {
        if let Step::Put(key, ..) | Step::Delete(key, _) = step {
            let actual = self.records.get(KEYS[*key]).map(|(_, revision)| *revision);
            if !expect.is_met(actual) {
                return ControlFlow::Break(());
            }
        }
        match *step {
            Step::Put(key, value, _) => {
                // Until it is known, a revision that nobody has.
                let revision = number.unwrap_or(u64::MAX);
                self.records.insert(KEYS[key], (value, revision));
            }
            Step::Delete(key, _) => drop(self.records.remove(KEYS[key])),
            Step::Append(log, value) => {
                let seq = self.last(LOGS[log]) + 1;
                self.logs.entry(LOGS[log]).or_default().push((seq, value));
            }
            Step::Trim(log, through) => {
                let through = through.min(self.last(LOGS[log]));
                let trimmed = self.trimmed.entry(LOGS[log]).or_default();
                *trimmed = through.max(*trimmed);
                let entries = self.logs.entry(LOGS[log]).or_default();
                entries.retain(|(seq, _)| *seq > through);
            }
        }
        ControlFlow::Continue(())
    }
}

async fn commit(
    store: &Fresh,
    model: &mut Model,
    highest: &mut u64,
    steps: &[Step],
) -> TestCaseResult {
    // Expectations are those before the batch, for the store and the model alike.
    let expects: Vec<Expect> = steps
        .iter()
        .map(|step| match step {
            Step::Put(key, _, expected) | Step::Delete(key, expected) => {
                model.expect(*key, *expected)
            }
            Step::Append(..) | Step::Trim(..) => Expect::Anything,
        })
        .collect();
    let batch =
        steps
            .iter()
            .zip(&expects)
            .fold(Batch::new(), |batch, (step, expect)| match *step {
                Step::Put(key, value, _) => batch.put(KEYS[key], vec![value], *expect),
                Step::Delete(key, _) => batch.delete(KEYS[key], *expect),
                Step::Append(log, value) => batch.append(LOGS[log], vec![value]),
                Step::Trim(log, through) => batch.trim(LOGS[log], through),
            });
    let mut trial = model.clone();
    let mut both = steps.iter().zip(&expects);
    let may = both.try_for_each(|(step, expect)| trial.step(step, *expect, None));
    let done = match store.commit(batch).await.expect("no failure") {
        Err(conflict) => {
            prop_assert!(may.is_break(), "conflict over {:?}", conflict.key);
            return Ok(());
        }
        Ok(done) => done,
    };
    prop_assert!(may.is_continue());
    prop_assert_eq!(done.numbers().len(), steps.len());
    for ((step, expect), number) in steps.iter().zip(&expects).zip(done.numbers()) {
        let before = match step {
            Step::Delete(key, _) => model.records.get(KEYS[*key]).map_or(0, |(_, r)| *r),
            _ => 0,
        };
        let _ = model.step(step, *expect, Some(*number));
        match *step {
            Step::Put(..) => {
                prop_assert!(*number > *highest, "revisions grow");
                *highest = *number;
            }
            Step::Delete(..) => prop_assert_eq!(*number, before),
            Step::Append(log, _) => prop_assert_eq!(*number, model.last(LOGS[log])),
            Step::Trim(log, _) => prop_assert_eq!(*number, model.trimmed(LOGS[log]) + 1),
        }
    }
    Ok(())
}

async fn act_on(store: &Fresh, model: &mut Model, highest: &mut u64, act: &Act) -> TestCaseResult {
    match act {
        Act::Commit(steps) => commit(store, model, highest, steps).await?,
        Act::Get(key) => {
            let found = store.get(KEYS[*key]).await.expect("no failure");
            let found = found.map(|record| (record.value[0], record.revision));
            prop_assert_eq!(found, model.records.get(KEYS[*key]).copied());
        }
        Act::List(prefix, after, limit) => {
            let (prefix, after) = (KEYS[*prefix], after.map(|key| KEYS[key]));
            let found = store.list(prefix, after, *limit).await.expect("no failure");
            let found = found
                .iter()
                .map(|r| (r.key.as_str(), (r.value[0], r.revision)));
            let expected = model.records.iter().filter(|(key, _)| {
                key.starts_with(prefix) && after.is_none_or(|after| **key > after)
            });
            let expected = expected.map(|(key, value)| (*key, *value)).take(*limit);
            prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
        Act::Read(log, after, limit) => {
            let log = LOGS[*log];
            let (last, oldest) = (store.last(log).await, store.oldest(log).await);
            prop_assert_eq!(last.expect("no failure"), model.last(log));
            prop_assert_eq!(oldest.expect("no failure"), model.trimmed(log) + 1);
            match store.read(log, *after, *limit).await {
                Ok(found) => {
                    prop_assert!(*after >= model.trimmed(log));
                    let found = found.iter().map(|entry| (entry.seq, entry.value[0]));
                    let expected = model.logs.get(log).into_iter().flatten().copied();
                    let expected = expected.filter(|(seq, _)| seq > after).take(*limit);
                    prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), Kind::Gone);
                    prop_assert!(*after < model.trimmed(log));
                }
            }
        }
    }
    Ok(())
}

fn holds(store: &Fresh, acts: &[Act]) -> TestCaseResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut model, mut highest) = (Model::default(), 0);
        for act in acts {
            act_on(store, &mut model, &mut highest, act).await?;
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn memory_is_what_a_store_should_be(acts in prop::collection::vec(act(), 1..60)) {
        holds(&memory(StoreLimits::default()), &acts)?;
    }
}

proptest! {
    // Each has a file of its own, and waits for the disk.
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn sqlite_is_what_a_store_should_be(acts in prop::collection::vec(act(), 1..60)) {
        holds(&sqlite(StoreLimits::default()), &acts)?;
    }
}

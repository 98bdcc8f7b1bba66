//! The laws, each a function that is given an empty store.

use std::collections::HashSet;
use std::sync::Arc;

use bandy::error::Kind;
use bandy::limits::StoreLimits;
use bandy::state::{self, Batch, Expect, Store};
use bandy_testkit::within;
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::{Fresh, whole};

/// Makes each law a test of each engine.
macro_rules! hold {
    ($($law:ident $(with $limits:expr)?;)*) => {
        hold!(@ memory $($law $(with $limits)?;)*);
        hold!(@ sqlite $($law $(with $limits)?;)*);
    };
    (@ $engine:ident $($law:ident $(with $limits:expr)?;)*) => {
        mod $engine {
            use super::*;
            $(
                #[tokio::test]
                async fn $law() {
                    #[allow(unused_mut, unused_assignments)]
                    let mut limits = StoreLimits::default();
                    $( limits = $limits; )?
                    within("the law to be seen", super::$law(crate::$engine(limits))).await;
                }
            )*
        }
    };
}

hold! {
    what_was_written_is_read;
    a_conflict_says_what_is_there_and_changes_nothing;
    a_later_write_of_a_batch_finds_an_earlier_one;
    no_revision_is_given_twice;
    nothing_is_lost_between_reading_and_writing;
    records_are_listed_in_the_order_of_their_keys;
    a_list_goes_on_behind_any_key;
    large_answers_end_early_and_lose_nothing with small_answers();
    seqs_have_no_gaps;
    a_batch_is_seen_as_a_whole;
    a_tail_misses_and_repeats_nothing;
    a_tail_that_is_cancelled_goes_on_where_it_was;
    trimmed_history_is_told;
    a_hint_comes_after_the_entry;
    what_is_beyond_the_limits_is_refused with small_values();
    writes_wait_for_room with small_queue();
    who_goes_away_takes_nothing_along with small_queue();
    a_closed_store_says_so;
}

fn small_answers() -> StoreLimits {
    StoreLimits {
        answer_bytes: 10_000,
        ..StoreLimits::default()
    }
}

fn small_values() -> StoreLimits {
    StoreLimits {
        key_bytes: 10,
        value_bytes: 100,
        batch_bytes: 1_000,
        ..StoreLimits::default()
    }
}

fn small_queue() -> StoreLimits {
    StoreLimits {
        queue: 2,
        batch_bytes: 10_000,
        ..StoreLimits::default()
    }
}

/// The keys of these records.
async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let found = store.list(prefix, after, limit).await.unwrap();
    found.into_iter().map(|record| record.key).collect()
}

async fn put(store: &dyn Store, key: &str, value: impl Into<Bytes>) -> u64 {
    let done = store.put(key, value.into(), Expect::Anything).await;
    done.unwrap().unwrap()
}

async fn what_was_written_is_read(store: Fresh) {
    assert_eq!(store.get("a").await.unwrap(), None);
    for value in [&b"first"[..], b"", b"\0\xff", &[7; 100_000]] {
        let revision = put(&**store, "a", value).await;
        let record = store.get("a").await.unwrap().unwrap();
        assert_eq!((record.key.as_str(), &record.value[..]), ("a", value));
        assert_eq!(record.revision, revision);
    }
    let record = store.get("a").await.unwrap().unwrap();
    let gone = store.delete("a", Expect::Anything).await.unwrap().unwrap();
    assert_eq!(gone, record.revision);
    assert_eq!(store.get("a").await.unwrap(), None);
    assert_eq!(store.delete("a", Expect::Absent).await.unwrap(), Ok(0));

    assert_eq!(store.append("a", "entry".into()).await.unwrap(), 1);
    assert_eq!(store.get("a").await.unwrap(), None, "logs are no records");
    let entries = store.read("a", 0, 10).await.unwrap();
    assert_eq!((entries.len(), &entries[0].value[..]), (1, &b"entry"[..]));
    let nothing = store.commit(Batch::new()).await.unwrap().unwrap();
    assert_eq!((nothing.numbers(), nothing.last()), (&[][..], 0));
}

async fn a_conflict_says_what_is_there_and_changes_nothing(store: Fresh) {
    let revision = put(&**store, "there", "old").await;
    store.append("log", "1".into()).await.unwrap();
    store.append("log", "2".into()).await.unwrap();
    let wrong = [
        ("there", Expect::Absent, Some(revision)),
        ("there", Expect::Revision(revision + 1), Some(revision)),
        ("there", Expect::Revision(0), Some(revision)),
        ("absent", Expect::Revision(revision), None),
    ];
    for (key, expect, actual) in wrong {
        let before = || {
            Batch::new()
                .put("there", "new", Expect::Anything)
                .delete("there", Expect::Anything)
                .put("absent", "new", Expect::Absent)
                .delete("absent", Expect::Anything)
                .put("there", "back", Expect::Absent)
                .append("log", "3")
                .append("another", "1")
                .trim("log", 1)
        };
        // At the end, when everything else has been done, the record has been changed by the batch itself.
        let alone = store.commit(Batch::new().put(key, "new", expect)).await;
        let conflict = alone.unwrap().unwrap_err();
        assert_eq!((conflict.key.as_str(), conflict.actual), (key, actual));
        let whole = store
            .commit(before().delete("never", Expect::Revision(1)))
            .await;
        assert_eq!(whole.unwrap().unwrap_err().key, "never");

        assert_eq!(keys(&**store, "", None, 10).await, ["there"]);
        let record = store.get("there").await.unwrap().unwrap();
        assert_eq!(
            (&record.value[..], record.revision),
            (&b"old"[..], revision)
        );
        assert_eq!(store.read("log", 0, 10).await.unwrap().len(), 2);
        assert_eq!(store.last("another").await.unwrap(), 0);
    }
    let error = store.commit(Batch::new().delete("there", Expect::Absent));
    let error = bandy::Error::from(error.await.unwrap().unwrap_err());
    assert_eq!(error.kind(), Kind::Conflict);
}

async fn a_later_write_of_a_batch_finds_an_earlier_one(store: Fresh) {
    let batch = Batch::new()
        .put("a", "1", Expect::Absent)
        .delete("a", Expect::Anything)
        .put("a", "2", Expect::Absent)
        .append("log", "1")
        .append("log", "2")
        .trim("log", 1)
        .append("log", "3")
        .trim("log", 0)
        .append("other", "1");
    let done = store.commit(batch).await.unwrap().unwrap();
    assert!(done[0] < done[2]);
    assert_eq!(done[1], done[0], "what was deleted");
    assert_eq!(&done.numbers()[3..], [1, 2, 2, 3, 2, 1]);
    let record = store.get("a").await.unwrap().unwrap();
    assert_eq!((&record.value[..], record.revision), (&b"2"[..], done[2]));
    assert_eq!(whole(&**store, "log").await.len(), 2);
}

async fn no_revision_is_given_twice(store: Fresh) {
    let mut given = HashSet::new();
    let mut highest = 0;
    for round in 0..20 {
        for key in ["a", "b", "c"] {
            let revision = put(&**store, key, round.to_string()).await;
            assert!(revision > highest && given.insert(revision));
            highest = revision;
        }
        store.delete("a", Expect::Anything).await.unwrap().unwrap();
        // Also not after a batch that took some and was taken back.
        let batch = Batch::new()
            .put("a", "", Expect::Absent)
            .put("a", "", Expect::Absent);
        assert!(store.commit(batch).await.unwrap().is_err());
    }
}

async fn nothing_is_lost_between_reading_and_writing(store: Fresh) {
    const TASKS: u64 = 10;
    const EACH: u64 = 10;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store: Arc<dyn Store> = store.clone();
        tasks.spawn(async move {
            for _ in 0..EACH {
                add_one(&*store).await;
            }
        });
    }
    tasks.join_all().await;
    let count = store.get("count").await.unwrap().unwrap();
    assert_eq!(count.value, (TASKS * EACH).to_string());
}

async fn add_one(store: &dyn Store) {
    loop {
        let found = store.get("count").await.unwrap();
        let (count, expect) = match found {
            None => (0, Expect::Absent),
            Some(record) => {
                let text = String::from_utf8(record.value.to_vec()).unwrap();
                (text.parse().unwrap(), Expect::Revision(record.revision))
            }
        };
        let next = (count + 1_u64).to_string();
        if store
            .put("count", next.into(), expect)
            .await
            .unwrap()
            .is_ok()
        {
            return;
        }
    }
}

/// Keys that are easily put into a wrong order or under a wrong prefix, in the order of their bytes.
const ODD: [&str; 14] = [
    "",
    "\0",
    "\0a",
    "A",
    "a",
    "a\0",
    "a%",
    "a/b",
    "a_",
    "a\u{7f}",
    "aä",
    "a\u{10ffff}",
    "b",
    "\u{10ffff}",
];

async fn records_are_listed_in_the_order_of_their_keys(store: Fresh) {
    for at in [3, 9, 0, 13, 5, 1, 12, 2, 11, 4, 8, 6, 10, 7] {
        put(&**store, ODD[at], at.to_string()).await;
    }
    assert_eq!(keys(&**store, "", None, 100).await, ODD);
    assert_eq!(keys(&**store, "", None, 3).await, ODD[..3]);
    assert!(keys(&**store, "", None, 0).await.is_empty());
    for prefix in ODD.iter().chain(&["a\u{7e}", "ab", "c"]) {
        let expected: Vec<&str> = ODD.into_iter().filter(|k| k.starts_with(prefix)).collect();
        assert_eq!(
            keys(&**store, prefix, None, 100).await,
            expected,
            "{prefix:?}"
        );
    }
    for (at, key) in ODD.iter().enumerate() {
        let record = store.get(key).await.unwrap().unwrap();
        assert_eq!(record.value, at.to_string());
    }
}

async fn a_list_goes_on_behind_any_key(store: Fresh) {
    for key in ODD {
        put(&**store, key, "").await;
    }
    for after in ODD.iter().chain(&["a\u{7e}", "ab", "c"]) {
        for prefix in ["", "a", "b"] {
            let expected = ODD.iter().filter(|k| k.starts_with(prefix) && k > &after);
            let expected: Vec<&str> = expected.copied().collect();
            let found = keys(&**store, prefix, Some(after), 100).await;
            assert_eq!(found, expected, "{prefix:?} behind {after:?}");
        }
    }
}

async fn large_answers_end_early_and_lose_nothing(store: Fresh) {
    let lengths = [10, 9_000, 2_000, 50_000, 0, 10, 20_000, 20_000];
    for (n, length) in lengths.into_iter().enumerate() {
        let value = vec![7; length];
        put(&**store, &n.to_string(), value.clone()).await;
        store.append("log", value.into()).await.unwrap();
    }
    let (mut after, mut answers, mut found) = (None, 0, Vec::new());
    loop {
        let records = store.list("", after.as_deref(), 100).await.unwrap();
        let bytes: usize = records.iter().map(|record| record.value.len()).sum();
        assert!(bytes <= 10_000 || records.len() == 1);
        let Some(last) = records.last() else { break };
        (after, answers) = (Some(last.key.clone()), answers + 1);
        found.extend(records.iter().map(|record| record.value.len()));
    }
    assert_eq!(found, lengths);
    assert!(answers > 3);
    let entries = whole(&**store, "log").await;
    let found: Vec<usize> = entries.iter().map(|entry| entry.value.len()).collect();
    assert_eq!(found, lengths);
}

/// Appends `each` entries from each of `tasks` tasks to one log: `TASK:N`, N counting up.
fn appenders(store: &Arc<dyn Store>, tasks: usize, each: usize) -> JoinSet<()> {
    let mut set = JoinSet::new();
    for task in 0..tasks {
        let store = store.clone();
        set.spawn(async move {
            for n in 0..each {
                let value = format!("{task}:{n}");
                store.append("log", value.into()).await.unwrap();
            }
        });
    }
    set
}

async fn seqs_have_no_gaps(store: Fresh) {
    appenders(&store, 20, 20).join_all().await;
    let seqs: Vec<u64> = whole(&**store, "log").await.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=400).collect::<Vec<u64>>());
    assert_eq!(store.last("log").await.unwrap(), 400);
    assert_eq!(store.append("another", "".into()).await.unwrap(), 1);
    assert_eq!(store.read("log", 399, 10).await.unwrap().len(), 1);
    assert_eq!(store.read("log", 100, 7).await.unwrap()[6].seq, 107);
    for nothing in [400, 401, u64::MAX] {
        assert_eq!(store.read("log", nothing, 10).await.unwrap(), []);
    }
    assert_eq!(store.read("log", 0, 0).await.unwrap(), []);
    assert_eq!(store.read("never", 7, 10).await.unwrap(), []);
}

async fn a_batch_is_seen_as_a_whole(store: Fresh) {
    let writes = {
        let store: Arc<dyn Store> = store.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                let pair = Batch::new()
                    .put("pair/a", n.to_string(), Expect::Anything)
                    .append("log", n.to_string())
                    .put("pair/b", n.to_string(), Expect::Anything);
                store.commit(pair).await.unwrap().unwrap();
            }
        })
    };
    while !writes.is_finished() {
        let pair = store.list("pair/", None, 10).await.unwrap();
        if let [a, b] = &pair[..] {
            assert_eq!(a.value, b.value);
        } else {
            assert!(pair.is_empty());
        }
        tokio::task::yield_now().await;
    }
    writes.await.unwrap();
}

async fn a_tail_misses_and_repeats_nothing(store: Fresh) {
    const ALL: u64 = 300;
    let mut tails = JoinSet::new();
    let appenders = appenders(&store, 10, 30);
    for after in [0, 0, 1, 7, 100, 250] {
        let mut tail = state::tail(store.clone(), "log", after);
        tails.spawn(async move {
            let mut counts = [0; 10];
            for seq in after + 1..=ALL {
                let entry = tail.next().await.unwrap();
                assert_eq!((entry.seq, tail.seq()), (seq, seq));
                let text = String::from_utf8(entry.value.to_vec()).unwrap();
                let (task, n) = text.split_once(':').unwrap();
                // Those of one task come in its own order.
                let count = &mut counts[task.parse::<usize>().unwrap()];
                let n = n.parse::<usize>().unwrap();
                assert!(after > 0 || n == *count);
                *count = n + 1;
            }
        });
        // Some begin in the midst of it.
        tokio::task::yield_now().await;
    }
    appenders.join_all().await;
    tails.join_all().await;
}

async fn a_tail_that_is_cancelled_goes_on_where_it_was(store: Fresh) {
    let mut tail = state::tail(store.clone(), "log", 0);
    let appenders = appenders(&store, 3, 30);
    let mut seq = 0;
    while seq < 90 {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            entry = tail.next() => {
                seq += 1;
                assert_eq!(entry.unwrap().seq, seq);
            }
        }
    }
    appenders.join_all().await;
}

async fn trimmed_history_is_told(store: Fresh) {
    assert_eq!(store.oldest("log").await.unwrap(), 1);
    assert_eq!(store.trim("log", 10).await.unwrap(), 1, "nothing to trim");
    let mut early = state::tail(store.clone(), "log", 0);
    for n in 1..=10 {
        store.append("log", n.to_string().into()).await.unwrap();
    }
    assert_eq!(store.trim("log", 4).await.unwrap(), 5);
    assert_eq!(store.oldest("log").await.unwrap(), 5);
    assert_eq!(store.trim("log", 2).await.unwrap(), 5, "trimmed before");
    assert_eq!(store.read("log", 4, 100).await.unwrap()[0].seq, 5);
    for after in [0, 3] {
        let error = store.read("log", after, 100).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Gone);
        assert!(error.next_step().is_some());
    }
    for _ in 0..2 {
        let error = early.next().await.unwrap_err();
        assert_eq!((error.kind(), early.seq()), (Kind::Gone, 0));
    }
    assert_eq!(store.trim("log", u64::MAX).await.unwrap(), 11);
    assert_eq!(store.oldest("log").await.unwrap(), 11);
    assert_eq!(store.last("log").await.unwrap(), 10);
    assert_eq!(store.read("log", 10, 100).await.unwrap(), []);
    let error = store.read("log", 9, 100).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Gone);
    assert_eq!(store.append("log", "11".into()).await.unwrap(), 11);
    assert_eq!(store.read("log", 10, 100).await.unwrap()[0].value, "11");
}

async fn a_hint_comes_after_the_entry(store: Fresh) {
    let (mut hint, mut other) = (store.watch("log"), store.watch("other"));
    assert_eq!(*hint.borrow_and_update(), 0);
    for n in 1..=20 {
        store.append("log", "".into()).await.unwrap();
        let last = *hint.wait_for(|last| *last >= n).await.unwrap();
        assert_eq!(last, n);
        assert_eq!(store.read("log", last - 1, 1).await.unwrap().len(), 1);
    }
    assert!(!other.has_changed().unwrap());
    assert_eq!(*other.borrow_and_update(), 0);
}

async fn what_is_beyond_the_limits_is_refused(store: Fresh) {
    let large = vec![7_u8; 101];
    let long = "a".repeat(11);
    let refused = [
        Batch::new().put("a", large.clone(), Expect::Anything),
        Batch::new().append("a", large),
        Batch::new().put(&long, "", Expect::Anything),
        Batch::new().delete(&long, Expect::Anything),
        Batch::new().append(&long, ""),
        Batch::new().trim(&long, 1),
        (0..20).fold(Batch::new(), |batch, _| batch.append("a", "")),
        (0..8).fold(Batch::new(), |batch, _| batch.append("a", vec![7; 100])),
    ];
    for batch in refused {
        let batch = batch.put("b", "", Expect::Absent);
        let error = store.commit(batch).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Overload);
    }
    assert_eq!(store.get(&long).await.unwrap(), None);
    assert_eq!(store.get("b").await.unwrap(), None);
    put(&**store, &long[..10], vec![7; 100]).await;
}

async fn writes_wait_for_room(store: Fresh) {
    let mut writes = JoinSet::new();
    for n in 0..50_usize {
        let store: Arc<dyn Store> = store.clone();
        writes.spawn(async move {
            store.append("log", vec![7; n * 100].into()).await.unwrap();
        });
    }
    writes.join_all().await;
    assert_eq!(whole(&**store, "log").await.len(), 50);
}

async fn who_goes_away_takes_nothing_along(store: Fresh) {
    // Dropped before they were polled, while they wait for room, and while they are being written.
    let mut seen = 0;
    for round in 0..30 {
        let mut writes = appenders(&store, 5, 1);
        for _ in 0..round % 3 {
            tokio::task::yield_now().await;
        }
        writes.abort_all();
        while writes.join_next().await.is_some() {}
        let reading = store.read("log", 0, 10);
        drop(reading);
        let last = store.append("log", "0:0".into()).await.unwrap();
        assert!(last > seen);
        seen = last;
    }
    let entries = whole(&**store, "log").await;
    assert!((30..=180).contains(&entries.len()));
    assert_eq!(entries.len() as u64, seen);
}

async fn a_closed_store_says_so(store: Fresh) {
    let mut tail = state::tail(store.clone(), "nothing", 0);
    let waiting = tokio::spawn(async move { tail.next().await });
    let hint = store.watch("log");
    // Writes that came before the end are done.
    let early = appenders(&store, 20, 1);
    tokio::task::yield_now().await;
    store.close().await.unwrap();
    early.join_all().await;
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), Kind::Closed);
    assert!(hint.has_changed().is_err());
    assert!(store.watch("log").has_changed().is_err());
    assert_eq!(store.get("a").await.unwrap_err().kind(), Kind::Closed);
    assert_eq!(store.last("a").await.unwrap_err().kind(), Kind::Closed);
    let late = store.append("log", "".into()).await;
    assert_eq!(late.unwrap_err().kind(), Kind::Closed);
    store.close().await.unwrap();
}

//! What holds for stores in files: several processes, copies, full disks, files that are not ours.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bandy::error::Kind;
use bandy::limits::StoreLimits;
use bandy::state::{self, Batch, Expect, Location, Store};
use bandy_testkit::within;
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::{open, sqlite, whole};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let store = sqlite(StoreLimits::default());
    let batch = Batch::new()
        .put("a", "1", Expect::Absent)
        .append("log", "1")
        .append("log", "2")
        .trim("log", 1);
    let done = store.commit(batch).await.unwrap().unwrap();
    store.close().await.unwrap();
    let left: Vec<_> = fs::read_dir(store.path("")).unwrap().collect();
    assert_eq!(left.len(), 1, "an orderly end leaves one file: {left:?}");

    let again = store.again();
    assert_eq!(again.get("a").await.unwrap().unwrap().revision, done[0]);
    assert_eq!(again.oldest("log").await.unwrap(), 2);
    assert_eq!(again.append("log", "3".into()).await.unwrap(), 3);
    let next = again.put("a", "2".into(), Expect::Revision(done[0])).await;
    assert!(next.unwrap().unwrap() > done[0]);
}

#[tokio::test]
async fn only_its_owner_may_read_it() {
    let store = sqlite(StoreLimits::default());
    store.append("log", "secret".into()).await.unwrap();
    store.backup(&store.path("copy.db")).await.unwrap();
    for name in ["a.db", "a.db-wal", "a.db-shm", "copy.db"] {
        assert_eq!(mode(&store.path(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || open(path))
        })
        .collect();
    for (n, handle) in (1..).zip(opening) {
        let store = handle.join().unwrap();
        assert_eq!(store.append("log", "".into()).await.unwrap(), n);
    }
}

#[tokio::test]
async fn two_handles_are_one_store() {
    let store = sqlite(StoreLimits::default());
    let again = store.again();
    let handles = [store.store.clone(), again.clone()];
    let mut tail = state::tail(again.clone(), "log", 0);
    let mut writers = JoinSet::new();
    for n in 0..40 {
        let handle = handles[n % 2].clone();
        writers.spawn(async move {
            let batch = Batch::new().append("log", n.to_string()).put(
                "last",
                n.to_string(),
                Expect::Anything,
            );
            let done = handle.commit(batch).await.unwrap().unwrap();
            // What is acknowledged here is seen there.
            (done[0], done[1])
        });
    }
    let (seqs, mut revisions): (Vec<u64>, Vec<u64>) = writers.join_all().await.into_iter().unzip();
    for handle in &handles {
        assert_eq!(handle.last("log").await.unwrap(), 40);
    }
    for seq in 1..=40 {
        let entry = within("the other's entries", tail.next()).await.unwrap();
        assert_eq!(entry.seq, seq);
        assert!(seqs.contains(&seq));
    }
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 40, "no revision twice");
    // Now that nobody here writes, only looking for it tells of what the other appends.
    store.append("log", "foreign".into()).await.unwrap();
    let entry = within("the other's entry", tail.next()).await.unwrap();
    assert_eq!(entry.value, "foreign");
}

#[tokio::test]
async fn a_copy_is_of_one_moment_while_others_write() {
    let store = sqlite(StoreLimits::default());
    let writer = {
        let store: Arc<dyn Store> = store.clone();
        tokio::spawn(async move {
            for n in 1..=300_u64 {
                let pair = Batch::new().append("log", vec![7; 1_000]).put(
                    "last",
                    n.to_string(),
                    Expect::Anything,
                );
                store.commit(pair).await.unwrap().unwrap();
            }
        })
    };
    let mut lasts = Vec::new();
    while !writer.is_finished() || lasts.is_empty() {
        let to = store.path("copy.db");
        store.backup(&to).await.unwrap();
        let copy = open(to.clone());
        let entries = whole(&*copy, "log").await;
        let last = copy.get("last").await.unwrap();
        assert_eq!(
            entries.len().to_string(),
            last.map_or("0".into(), |last| text(&last.value))
        );
        lasts.push(entries.len());
        copy.close().await.unwrap();
    }
    writer.await.unwrap();
    assert!(lasts.is_sorted());
    let names = fs::read_dir(store.path("")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let is_partial = |name: &std::ffi::OsString| name.to_string_lossy().starts_with('.');
    assert!(!names.iter().any(is_partial), "{names:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_copy_never_replaces_the_store_itself() {
    let store = sqlite(StoreLimits::default());
    store.append("log", "1".into()).await.unwrap();
    fs::hard_link(store.path("a.db"), store.path("b.db")).unwrap();
    for name in ["a.db", "b.db"] {
        let error = store.backup(&store.path(name)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
    }
    let error = store
        .backup(&store.path("nowhere/copy.db"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert_eq!(store.last("log").await.unwrap(), 1);
    store.close().await.unwrap();
    let error = store.backup(&store.path("copy.db")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Closed);
    let forgetful = state::open("memory:").unwrap();
    let error = forgetful.backup(&store.path("copy.db")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test]
async fn a_full_store_fails_what_does_not_fit_and_goes_on() {
    let store = sqlite(StoreLimits {
        file_bytes: Some(1 << 20),
        ..StoreLimits::default()
    });
    store.append("log", vec![7; 500_000].into()).await.unwrap();
    let mut writes = JoinSet::new();
    for n in 0..20_usize {
        let store: Arc<dyn Store> = store.clone();
        // One of many that go to the disk together has no room there.
        let bytes = if n == 10 { 2_000_000 } else { 1_000 };
        writes.spawn(async move { (n, store.append("log", vec![7; bytes].into()).await) });
    }
    let mut seqs = Vec::new();
    for (n, outcome) in writes.join_all().await {
        match outcome {
            Ok(seq) => seqs.push(seq),
            Err(error) => {
                assert_eq!((n, error.kind()), (10, Kind::Io));
                assert!(error.to_string().contains("full"), "{error}");
            }
        }
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=20).collect::<Vec<u64>>());
    // What is given up makes room.
    let large = || store.append("log", vec![7; 700_000].into());
    large().await.unwrap_err();
    store.trim("log", 1).await.unwrap();
    assert_eq!(large().await.unwrap(), 21);
    assert_eq!(store.read("log", 1, 1).await.unwrap()[0].seq, 2);
}

#[tokio::test]
async fn another_process_that_writes_for_too_long_is_a_failure_that_passes() {
    let store = sqlite(StoreLimits {
        busy: Duration::from_millis(50),
        ..StoreLimits::default()
    });
    store.append("log", "1".into()).await.unwrap();
    let other = Connection::open(store.path("a.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append("log", "2".into()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    assert_eq!(store.last("log").await.unwrap(), 1, "reading needs no turn");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.append("log", "2".into()).await.unwrap(), 2);
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs");
    let refused = |kind| {
        let before = fs::read(&path).ok();
        let error = state::open(&format!("sqlite:{}", path.display())).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.next_step().is_some());
        assert_eq!(fs::read(&path).ok(), before);
    };
    fs::write(
        &path,
        "not a database, but long enough to be looked at ".repeat(100),
    )
    .unwrap();
    refused(Kind::Usage);
    fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(other);
    refused(Kind::Usage);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(Kind::Io);
    let nowhere = state::open(&format!("sqlite:{}/a/b.db", folder.path().display()));
    assert_eq!(nowhere.unwrap_err().kind(), Kind::Io);
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(open(path.clone()));
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    let error = state::open_with(&Location::Sqlite(path), StoreLimits::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("99"), "{error}");
}

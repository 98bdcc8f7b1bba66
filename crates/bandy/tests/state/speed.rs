//! How many commits a second, for whoever changes the writer. Run it by name: `speed -- --ignored --nocapture`.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bandy::limits::StoreLimits;
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::sqlite;

const FOR: Duration = Duration::from_secs(3);

#[test]
#[ignore = "measures, and has nothing to hold"]
fn commits_a_second() {
    let mut report = vec![format!(
        "the disk alone: {:.0} syncs a second",
        syncs_a_second()
    )];
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    for writers in [1, 10, 100, 1_000] {
        let rate = runtime.block_on(appends_a_second(writers));
        report.push(format!("{writers} writers: {rate:.0} commits a second"));
    }
    report.push(format!(
        "gets: {:.0} a second",
        runtime.block_on(gets_a_second(100))
    ));
    let mut out = std::io::stdout();
    writeln!(out, "{}", report.join("\n")).expect("written");
}

/// As a write-ahead log does it: over and over the same place, which was there before.
fn syncs_a_second() -> f64 {
    const PAGE: usize = 4096;
    const PAGES: u64 = 1_000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = File::create(folder.path().join("a")).expect("a file");
    for _ in 0..PAGES {
        file.write_all(&[7; PAGE]).expect("written");
    }
    let (since, mut count) = (Instant::now(), 0_u64);
    while since.elapsed() < FOR {
        let at = count % PAGES * PAGE as u64;
        file.write_all_at(&[8; PAGE], at).expect("written");
        file.sync_all().expect("synced");
        count += 1;
    }
    count as f64 / since.elapsed().as_secs_f64()
}

async fn appends_a_second(writers: usize) -> f64 {
    let store = sqlite(StoreLimits::default());
    let since = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let store = store.store.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while since.elapsed() < FOR {
                let value = Bytes::from_static(&[7; 100]);
                store.append("log", value).await.expect("appended");
                count += 1;
            }
            count
        });
    }
    let count: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(count) / since.elapsed().as_secs_f64()
}

async fn gets_a_second(readers: usize) -> f64 {
    let store = sqlite(StoreLimits::default());
    let key = "a key";
    let put = store.put(key, "value".into(), bandy::state::Expect::Absent);
    put.await.expect("put").expect("absent");
    let since = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..readers {
        let store = store.store.clone();
        tasks.spawn(async move {
            let mut count = 0;
            while since.elapsed() < FOR {
                store.get(key).await.expect("read");
                count += 1;
            }
            count
        });
    }
    let count: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(count) / since.elapsed().as_secs_f64()
}

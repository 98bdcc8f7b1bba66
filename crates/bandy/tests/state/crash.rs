//! Nothing acknowledged is lost, and nothing is torn, when the process is killed at any moment.
//!
//! This test starts itself as another process, which writes and prints every acknowledgement, kills it after so many
//! of them, and looks at what is left. Several rounds go on with one file.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bandy::state::{Batch, Expect, Store, tail};
use bandy_testkit::{noise, within};
use rusqlite::Connection;

use crate::{open, whole};

const WRITERS: usize = 16;
const LOGS: usize = 3;
const ROUNDS: usize = 8;
/// Where the process that is to be killed finds its store.
const FOLDER: &str = "BANDY_TEST_CRASH_FOLDER";

/// A writer's own record, counted up, and an entry that says so, in one batch.
#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    writer: usize,
    count: u64,
    seq: u64,
}

#[tokio::test]
async fn what_was_acknowledged_survives_being_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        acknowledged.extend(killed(folder.path(), round));
        let store = open(folder.path().join("a.db"));
        check(&*store, &acknowledged).await;
        store.close().await.expect("closed");
        check_files(folder.path()).await;
    }
}

#[tokio::test]
async fn another_process_that_is_killed_harms_nobody_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path().join("a.db"));
    let mut acknowledged = Vec::new();
    let mut tail = tail(store.clone(), "0", 0);
    for round in 0..ROUNDS {
        let path = folder.path().to_owned();
        let mut killing = tokio::task::spawn_blocking(move || killed(&path, round));
        loop {
            let before = tail.seq();
            tokio::select! {
                entry = tail.next() => assert_eq!(entry.expect("an entry").seq, before + 1),
                done = &mut killing => break acknowledged.extend(done.expect("killed")),
            }
        }
        let last = store.last("0").await.expect("a last one");
        for seq in tail.seq() + 1..=last {
            let entry = within("what is left of the log", tail.next()).await;
            assert_eq!(entry.expect("an entry").seq, seq);
        }
        check(&*store, &acknowledged).await;
        check_files(folder.path()).await;
        // What this one writes goes between.
        store
            .put("between", round.to_string().into(), Expect::Anything)
            .await
            .unwrap()
            .unwrap();
    }
}

/// What another process acknowledged in this round before it was killed.
fn killed(folder: &Path, round: usize) -> Vec<Acknowledged> {
    let seed = noise(round as u64, 2);
    let after = 1 + usize::from(seed[0]) + usize::from(seed[1] % 2) * 256;
    let acknowledged = acknowledged_before_the_kill(folder, after);
    assert!(acknowledged.len() >= after);
    acknowledged
}

/// The database is sound, and so is a copy that may have been made.
async fn check_files(folder: &Path) {
    assert_intact(&folder.join("a.db"));
    let copy = folder.join("copy.db");
    if copy.exists() {
        assert_intact(&copy);
        let copy = open(copy);
        check(&*copy, &[]).await;
        copy.close().await.expect("closed");
    }
}

/// Lets another process write until it has acknowledged so much; everything that it did before it was gone.
fn acknowledged_before_the_kill(folder: &Path, after: usize) -> Vec<Acknowledged> {
    let mut writer = Killed(
        Command::new(env::current_exe().expect("this program"))
            .args(["crash::writes_until_killed", "--exact", "--ignored"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started"),
    );
    let mut out = BufReader::new(writer.0.stdout.take().expect("a pipe"));
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    // Also those that it said between the last one we waited for and its end.
    while out.read_line(&mut line).expect("lines") > 0 {
        acknowledged.extend(parse(&line));
        if acknowledged.len() == after {
            writer.0.kill().expect("killed");
        }
        line.clear();
    }
    acknowledged
}

/// A process that does not outlive a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn parse(line: &str) -> Option<Acknowledged> {
    let said = line.strip_suffix('\n')?.strip_prefix("acknowledged ")?;
    let mut numbers = said
        .split(' ')
        .map(|number| number.parse::<u64>().expect("a number"));
    Some(Acknowledged {
        writer: numbers.next()?.try_into().expect("a writer"),
        count: numbers.next()?,
        seq: numbers.next()?,
    })
}

async fn check(store: &dyn Store, acknowledged: &[Acknowledged]) {
    let mut logs = Vec::new();
    let mut counts = [0; WRITERS];
    for log in 0..LOGS {
        let entries = whole(store, &log.to_string()).await;
        for (seq, entry) in (1..).zip(&entries) {
            assert_eq!(entry.seq, seq, "no gap");
            let text = String::from_utf8(entry.value.to_vec()).expect("as written");
            let (writer, count) = text.split_once(':').expect("as written");
            let at = writer.parse::<usize>().expect("a writer");
            counts[at] += 1;
            assert_eq!(count, counts[at].to_string(), "one after the other");
        }
        logs.push(entries);
    }
    for (writer, count) in counts.iter().enumerate() {
        let record = store.get(&writer.to_string()).await.expect("a store");
        let found = record.map_or("0".into(), |record| record.value);
        assert_eq!(found, count.to_string(), "a batch is never torn");
    }
    for Acknowledged { writer, count, seq } in acknowledged {
        let at = usize::try_from(seq - 1).expect("small");
        let entry = logs[writer % LOGS].get(at).expect("acknowledged, and lost");
        assert_eq!(entry.value, format!("{writer}:{count}"));
    }
}

fn assert_intact(path: &Path) {
    let db = Connection::open(path).expect("a database");
    let said: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("an answer");
    assert_eq!(said, "ok");
}

/// The other process: every writer counts its record up, and says so in a log.
#[test]
#[ignore = "is what the test above starts"]
fn writes_until_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let store = open(folder.join("a.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        for writer in 0..WRITERS {
            tokio::spawn(count_up(store.clone(), writer));
        }
        // It is killed in the midst of copies as well.
        loop {
            let copied = store.backup(&folder.join("copy.db")).await;
            copied.expect("a copy");
        }
    });
}

async fn count_up(store: Arc<dyn Store>, writer: usize) {
    let key = writer.to_string();
    let found = store.get(&key).await.expect("a store");
    let (mut count, mut expect) = match found {
        None => (0, Expect::Absent),
        Some(record) => {
            let text = String::from_utf8(record.value.to_vec()).expect("as written");
            (
                text.parse().expect("a number"),
                Expect::Revision(record.revision),
            )
        }
    };
    loop {
        count += 1_u64;
        let batch = Batch::new()
            .put(&key, count.to_string(), expect)
            .append((writer % LOGS).to_string(), format!("{writer}:{count}"));
        let done = store.commit(batch).await.expect("a store").expect("alone");
        expect = Expect::Revision(done[0]);
        // One write to the pipe, which is whole or not there.
        let line = format!("acknowledged {writer} {count} {}\n", done[1]);
        io::stdout().write_all(line.as_bytes()).expect("a pipe");
    }
}

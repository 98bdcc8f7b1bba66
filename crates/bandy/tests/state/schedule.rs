//! Backups at intervals. When the next one is due is a pure function, with its tests beside it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bandy::limits::StoreLimits;
use bandy::state::backup::{self, Schedule};
use bandy_testkit::within;

use crate::{open, sqlite};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_first_copy_is_made_at_once_and_the_oldest_go() {
    let store = sqlite(StoreLimits::default());
    store.append("log", "1".into()).await.unwrap();
    let folder = store.path("backups");
    fs::create_dir(&folder).unwrap();
    let hour = Duration::from_secs(3600);
    let ago = |hours| backup::name(SystemTime::now() - hours * hour);
    let unfinished = format!(".{}.4711.0", ago(30));
    for name in ["notes.txt", &ago(50), &ago(26), &ago(25), &unfinished] {
        fs::write(folder.join(name), "old").unwrap();
    }
    let schedule = Schedule {
        every: 24 * hour,
        keep: 2,
        folder: folder.clone(),
    };
    let running = tokio::spawn(backup::run(store.store.clone(), schedule));
    let newest = within("a backup", async {
        loop {
            let names = names(&folder);
            // The unfinished one goes last, or nothing is there to wait for.
            if let [kept, newest, notes] = &names[..] {
                assert_eq!((kept.clone(), notes.as_str()), (ago_of(kept), "notes.txt"));
                break newest.clone();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.abort();
    assert!(backup::made_at(&newest).unwrap().elapsed().unwrap() < hour);
    let copy = open(folder.join(newest));
    assert_eq!(copy.last("log").await.unwrap(), 1);
}

/// The name that says the time that this one says.
fn ago_of(name: &str) -> String {
    backup::name(backup::made_at(name).expect("a copy"))
}

#[tokio::test]
async fn a_copy_on_request_has_its_own_folder_and_name() {
    let store = sqlite(StoreLimits::default());
    let folder = store.path("a/b");
    let path = backup::make(&**store, &folder, 3).await.unwrap();
    assert_eq!(path.parent(), Some(&*folder));
    assert_eq!(names(&folder).len(), 1);
    assert!(
        backup::make(&**store, &store.path("a.db"), 3)
            .await
            .is_err()
    );
}
